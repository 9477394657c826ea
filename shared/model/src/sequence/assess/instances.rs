//! The instances of a sequence: the place of each, and the facts about it.

use serde_json::json;

use super::{Assessor, Place, Verdict, all, no, tags};
use crate::category::Category;
use crate::finding::{Resource, instance};

impl<'a> Place<'a> {
    /// By an ARN, as far as it is one: `arn:aws:ec2:<region>:<account>:instance/<id>`.
    fn of_arn(arn: &'a str) -> Self {
        let parts: Vec<_> = arn.split(':').collect();
        let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty());
        Self {
            account: part(4),
            region: part(3),
        }
    }

    /// With what `other` says where this says nothing.
    fn or(self, other: Self) -> Self {
        Self {
            account: self.account.or(other.account),
            region: self.region.or(other.region),
        }
    }
}

impl Assessor<'_> {
    pub(super) fn instance(&mut self, uid: &str, place: Place<'_>) -> Result<usize, String> {
        let Some(id) = instance(uid) else {
            return Err(format!("'{uid}' is not the ARN or id of an instance"));
        };
        let sequence = self.sequence;
        let same = |one: &&Resource| {
            let uid = one.uid.as_deref().and_then(instance);
            one.kind == "EC2_INSTANCE" && uid.as_ref() == Some(&id)
        };
        let described = sequence.resources.iter().find(same);
        let own = described.and_then(|one| one.uid.as_deref());
        let arns = [Some(uid), own].map(|uid| Place::of_arn(uid.unwrap_or_default()));
        let said = described.map(|one| Place {
            account: one.account.as_deref(),
            region: one.region.as_deref(),
        });
        // The resource that holds an instance may be global, or shared by another account.
        let [first, second] = arns;
        let in_arn = first.or(second);
        let mut details = json!({ "instanceId": id });
        if let Some(described) = described {
            if !described.tags.is_empty() {
                details["tags"] = tags(described);
            }
            if let Some(arn) = &described.instance_profile {
                details["iamInstanceProfile"] = json!({ "arn": arn });
            }
            if let (None, Some(zone)) = (in_arn.region, &described.zone) {
                details["availabilityZone"] = json!(zone);
            }
        }
        let place = in_arn.or(said.unwrap_or_default()).or(place);
        let section = json!({ "resourceType": "Instance", "instanceDetails": details });
        self.target(Category::Ec2, place, section)
    }

    /// An interface says nothing of its instance, but an instance lists its interfaces.
    pub(super) fn interface(&mut self, interface: &Resource) -> Verdict {
        let uid = interface.uid.as_ref();
        let sequence = self.sequence;
        let resources = sequence.resources.iter();
        let of: Vec<_> = resources
            .filter(|one| one.kind == "EC2_INSTANCE")
            .filter(|one| uid.is_some_and(|uid| one.interfaces.contains(uid)))
            .collect();
        if of.is_empty() {
            return no(
                "the sequence does not say to which instance it belongs: find that, and isolate it",
            );
        }
        all(of.into_iter().map(|instance| self.resource(instance)))
    }
}
