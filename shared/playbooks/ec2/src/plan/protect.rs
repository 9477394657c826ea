//! The steps that keep the instance and its volumes from being lost.

use super::super::action::{Action, Attribute};
use super::planner::Planner;
use model::actions::ec2 as name;
use model::plan::Step;

impl Planner<'_> {
    pub(super) fn protect(&mut self) {
        let rest = self.state.rest.as_ref();
        let found = rest.map(|rest| &rest.protection);
        let attributes = found.map(|found| {
            [
                (Attribute::DisableApiTermination, &found.termination),
                (Attribute::DisableApiStop, &found.stop),
                (Attribute::ShutdownBehavior, &found.shutdown),
            ]
        });
        for (attribute, from) in attributes.into_iter().flatten() {
            let (action, id) = (attribute.action(), self.id());
            if let Some(why) = self.unprotectable(attribute) {
                self.push(Step::skipped(action, &id, why));
                continue;
            }
            let Some(from) = self.read(action, &id, from) else {
                continue;
            };
            let protected = from == attribute.wanted();
            let change = Action::ProtectAttribute {
                region: self.region(),
                instance: id,
                attribute,
                from,
            };
            self.push(if protected {
                Step::Already(change, attribute.protection().to_owned())
            } else {
                Step::Do(change)
            });
        }
        for volume in &self.instance.volumes {
            let change = Action::KeepVolume {
                region: self.region(),
                instance: self.id(),
                device: volume.device.clone(),
                volume: volume.id.clone(),
            };
            self.push(match self.operated() {
                _ if !volume.delete_on_termination => Step::Already(
                    change,
                    "it stays when the instance is terminated".to_owned(),
                ),
                Some(why) => Step::skipped(name::KEEP_VOLUME, &volume.id, why),
                None => Step::Do(change),
            });
        }
    }

    /// The protection that EC2 does not offer for this instance,
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-stop-protection.html>.
    fn unprotectable(&self, attribute: Attribute) -> Option<String> {
        if let Some(why) = self.operated() {
            return Some(why);
        }
        let why = match attribute {
            Attribute::DisableApiTermination if self.instance.spot => {
                "a Spot Instance cannot be protected from termination: EC2 may take it back at any time, so \
                 its snapshots are the evidence"
            }
            Attribute::DisableApiStop if self.instance.spot => {
                "a Spot Instance cannot be protected from being stopped"
            }
            Attribute::DisableApiStop | Attribute::ShutdownBehavior
                if !self.instance.root_is_ebs =>
            {
                "an instance whose root is an instance-store volume cannot be stopped at all"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }
}
