//! The rest of a release beside its own incident: other incidents of the same target are released with it, and all
//! channels send a notice.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::shared::Others;
use super::world::look;
use super::{Release, ReleaseStep, Releaser, Verdict, recorded};
use crate::error::Error;
use crate::finding::Finding;
use crate::notify::Notices;
use crate::plan::{Action, Phase, Step, StepKey};
use crate::record::Incident;
use crate::report::{Report, StepReport};
use aws::playbook::Playbook;

/// The steps that a release has put back or is done with.
pub(super) struct Settled {
    /// The keys of what was put back and read back.
    back: BTreeSet<StepKey>,
    /// The keys of the steps that nothing is left to be done about, these among them.
    done: BTreeSet<String>,
    /// The keys of what others count on.
    kept: BTreeSet<String>,
}

/// The other incidents that a release affects.
#[derive(Default)]
pub(super) struct Affected {
    /// All that contained them was put back.
    pub(super) closed: Vec<Incident>,
    /// A part of their containment was put back, and a part of their own is still in effect.
    pub(super) in_part: Vec<Incident>,
    /// The next steps of the operator.
    pub(super) next_steps: Vec<String>,
}

impl Settled {
    pub(super) fn of<A: Action>(steps: &[ReleaseStep<A>], release: &Release) -> Self {
        let key = |step: &ReleaseStep<A>| StepKey::of(&step.recorded);
        let problem = |step: &ReleaseStep<A>| {
            let mut released = release.steps.iter();
            released.any(|it| {
                it.action == step.action && it.target == step.target && it.problem.is_some()
            })
        };
        let done = steps
            .iter()
            .filter(|step| !step.counted_on && !problem(step));
        let kept = steps.iter().filter(|step| step.counted_on);
        Self {
            kept: kept.map(|step| key(step).to_string()).collect(),
            back: done
                .clone()
                .filter(|step| step.verdict.puts_back())
                .map(key)
                .collect(),
            done: done.map(|step| key(step).to_string()).collect(),
        }
    }

    /// Closes the other incidents of the target that nothing contains after what was put back, as read for each. A step
    /// that still contains one stays, and so does the incident.
    pub(super) async fn others<P: Playbook>(
        &self,
        playbook: &P,
        releaser: &Releaser<'_>,
        incident: &Incident,
        finding: &Finding,
        now: Timestamp,
    ) -> Affected {
        let record = releaser.record;
        let mut affected = Affected::default();
        if self.back.is_empty() {
            return affected;
        }
        let (beside, apart) = match Others::open::<P>(record, incident, finding).await {
            Ok(open) => open,
            Err(error) => {
                affected.next_steps.push(format!(
                    "check other incidents of the same target (gdr incidents), which may still show it \
                     contained: {error}"
                ));
                return affected;
            }
        };
        for other in beside {
            if let Some(left) = self.left_of::<P>(playbook, incident, &other, now).await {
                affected.settle(releaser, incident, other, left, now).await;
            }
        }
        // It was contained while this was put back, and found in effect what is no longer so.
        let late = Others::from(incident, apart);
        let shared = self
            .back
            .iter()
            .filter(|key| P::Action::is_shared(key.action));
        for key in shared {
            if let Some(other) = late.relying(key) {
                affected.next_steps.push(format!(
                    "contain incident {other} again (gdr run), unless its next recheck in a minute does: \
                     it relies on {key}, which was put back"
                ));
            }
        }
        affected
    }
}

impl Affected {
    /// Writes down what is left of `other`, of which something was put back with `incident`.
    async fn settle(
        &mut self,
        releaser: &Releaser<'_>,
        incident: &Incident,
        other: Incident,
        left: Left,
        now: Timestamp,
    ) {
        let Releaser { by, record, .. } = *releaser;
        let written = match &left {
            Left::Nothing => {
                let by = format!("{by}, with incident {},", incident.id);
                record.close(&other, &by, now).await
            }
            Left::Part => record.put_back_in_part(&other, now).await,
            Left::Unknown(_) => Ok(()),
        };
        if let Err(error) = written {
            self.next_steps.push(format!(
                "release incident {} too: its containment was put back, and the table does not show it: \
                 {error}",
                other.id
            ));
        }
        let id = &other.id;
        match left {
            Left::Nothing => self.closed.push(other),
            Left::Part => {
                self.next_steps.push(format!(
                    "release incident {id} too (gdr release {id}), if all of it is to be put back: it is \
                     still contained in part"
                ));
                self.in_part.push(other);
            }
            Left::Unknown(error) => self.next_steps.push(format!(
                "check incident {id}, a part of which was put back: the part that still contains it \
                 could not be read: {error}"
            )),
        }
    }
}

/// The rest of an incident after a release of another one.
enum Left {
    Nothing,
    Part,
    /// It could not be read, for this reason.
    Unknown(Error),
}

impl Settled {
    /// The rest of `other`. `None`: nothing that contained it was put back.
    async fn left_of<P: Playbook>(
        &self,
        playbook: &P,
        incident: &Incident,
        other: &Incident,
        now: Timestamp,
    ) -> Option<Left> {
        let back: BTreeSet<_> = self.back.iter().map(ToString::to_string).collect();
        let contains = containing::<P>(other);
        if contains.is_disjoint(&back) {
            return None;
        }
        let looking = async {
            let finding = Finding::parse(&other.event)?;
            let recorded = recorded::<P>(other)?;
            look(playbook, &finding, other, &recorded, now).await
        };
        let world = match Box::pin(looking).await {
            Ok(world) => world,
            Err(error) => return Some(Left::Unknown(error)),
        };
        // A step of the same name may be another one for the other finding: of two sessions, each is denied.
        let in_effect = |key: &&String| {
            let mut steps = world.steps.iter();
            steps.any(|(of, step)| matches!(step, Step::Already(..)) && of.to_string() == **key)
        };
        let lost: BTreeSet<_> = contains
            .intersection(&back)
            .filter(|it| !in_effect(it))
            .collect();
        if lost.is_empty() {
            return None;
        }
        // A step that the operator left as it is contains no other incident of the target either.
        let mut over: BTreeSet<_> = incident.contained_by().collect();
        over.extend(self.done.iter().cloned());
        over.retain(|key| !self.kept.contains(key) && !back.contains(key));
        let mut contains = contains.iter().filter(in_effect);
        let contained = contains.any(|key| !over.contains(key));
        let mut begun = other.actions.keys();
        let own = begun.any(|key| !self.done.contains(key) && !lost.contains(key));
        Some(if contained || own {
            Left::Part
        } else {
            Left::Nothing
        })
    }
}

/// The keys of what contains the target of an incident, by its last report and by what was begun.
fn containing<P: Playbook>(incident: &Incident) -> BTreeSet<String> {
    let contains = |recorded: &serde_json::Value| {
        let action = serde_json::from_value::<P::Action>(recorded.clone());
        action.map_or(true, |action| action.phase() == Phase::Contain)
    };
    let begun = incident.actions.iter();
    let begun = begun.filter(|(_, recorded)| contains(recorded));
    let begun = begun.map(|(key, _)| key.clone());
    begun.chain(incident.contained_by()).collect()
}

/// Tells by all channels what was released, of each incident.
pub(super) async fn tell<P: Playbook>(
    notices: &Notices,
    by: &str,
    incident: &Incident,
    finding: &Finding,
    steps: &[ReleaseStep<P::Action>],
    release: &mut Release,
    others: &Affected,
) {
    let mut reason = format!("released by {by}");
    if !release.with.is_empty() {
        reason = format!("{reason}, and with it incident {}", release.with.join(", "));
    }
    let told = steps.iter().map(|step| {
        let mut released = release.steps.iter();
        let released = released.find(|it| it.action == step.action && it.target == step.target);
        match (&step.verdict, released) {
            (_, Some(released)) => {
                StepReport::restored(&step.recorded, released.problem.as_deref())
            }
            (Verdict::Left(why), None) => StepReport::left(&step.recorded, why),
            (_, None) => StepReport::left(&step.recorded, "it is as it was found already"),
        }
    });
    let (told, partly) = (told.collect(), !release.succeeded());
    let mut report = Report::released(P::CATEGORY, finding, by, reason, told, partly);
    report.next_steps.clone_from(&release.next_steps);
    let known = report.next_steps.len();
    Box::pin(notices.announce(&mut report, finding)).await;
    release.next_steps.extend(report.next_steps.drain(known..));
    let closed = others.closed.iter().map(|other| (other, false));
    let in_part = others.in_part.iter().map(|other| (other, true));
    for (other, partly) in closed.chain(in_part) {
        let reason = format!(
            "incident {} was released by {by}: it had contained the same target",
            incident.id
        );
        // Its event was read to find that it has the same target.
        let Ok(finding) = Finding::parse(&other.event) else {
            continue;
        };
        let steps = Vec::new();
        let mut report = Report::released(P::CATEGORY, &finding, by, reason, steps, partly);
        Box::pin(notices.announce(&mut report, &finding)).await;
        release.next_steps.append(&mut report.next_steps);
    }
}
