//! Steps that contain the targets of several incidents. The deny of a user is one policy for all of the user's keys and
//! sessions. The deny of a bucket is one for all of its malicious objects. It is not taken away while another incident
//! that is open counts on it.

use crate::decision;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action as _, StepKey};
use crate::record::{Incident, IncidentStore};
use aws::playbook::Playbook;

/// How the detail of a step begins that is in effect since all is denied.
pub(super) const WIDE: &str = crate::actions::iam::EVERYTHING_DENIED;

/// The open incidents about other targets of the same account.
pub(super) struct Others {
    intended_at: Option<String>,
    incidents: Vec<Incident>,
}

/// A step that is left for others.
pub(super) struct Left {
    pub(super) why: String,
    /// Who has to put it back one day, if nobody else would.
    pub(super) heir: Option<Heir>,
}

/// An incident that takes over what was found before the first of them.
#[derive(Clone, Debug)]
pub(super) struct Heir(Box<Incident>);

impl Heir {
    pub(super) fn incident(&self) -> &Incident {
        &self.0
    }
}

impl Others {
    pub(super) async fn of<P: Playbook>(
        record: &IncidentStore,
        incident: &Incident,
        finding: &Finding,
        recorded: &[P::Action],
    ) -> Result<Self> {
        // What else is contained has one target, which is released for all of its findings.
        let mut recorded = recorded.iter();
        let incidents = if recorded.any(|action| P::Action::is_shared(action.name())) {
            Self::open::<P>(record, incident, finding).await?.1
        } else {
            Vec::new()
        };
        Ok(Self::from(incident, incidents))
    }

    /// These, which are apart from `incident`.
    pub(super) fn from(incident: &Incident, incidents: Vec<Incident>) -> Self {
        Self {
            intended_at: incident.intended_at.clone(),
            incidents,
        }
    }

    /// The other open incidents of the account: those that share a target with `incident`, and those that do not.
    pub(super) async fn open<P: Playbook>(
        record: &IncidentStore,
        incident: &Incident,
        finding: &Finding,
    ) -> Result<(Vec<Incident>, Vec<Incident>)> {
        let mut incidents = record.incidents().await?;
        incidents.retain(|other| {
            let same = other.id == incident.id && other.part == incident.part;
            let here = other.account_id == incident.account_id
                && other.category == incident.category
                && !other.drill;
            here && !same && other.is_open()
        });
        incidents.sort_by(|a, b| a.received_at.cmp(&b.received_at));
        let own = decision::targets(P::CATEGORY, finding)?;
        let about = |other: &Incident| {
            Finding::parse(&other.event)
                .and_then(|finding| decision::targets(P::CATEGORY, &finding))
                .ok()
        };
        let (mut beside, mut apart) = (Vec::new(), Vec::new());
        for other in incidents {
            match about(&other) {
                Some(targets) if targets.iter().any(|target| own.contains(target)) => {
                    beside.push(other);
                }
                Some(_) => apart.push(other),
                None => {}
            }
        }
        Ok((beside, apart))
    }

    /// The id of an incident that counts on exactly this step.
    pub(super) fn relying(&self, key: &StepKey) -> Option<&str> {
        let key = key.to_string();
        let mut incidents = self.incidents.iter();
        let relying = incidents.find(|other| other.standing().any(|other| other == key))?;
        Some(&relying.id)
    }

    /// Who counts on the step of this key. `wide`: it is in effect since all of the user or role is denied,
    /// which contains every session of it.
    pub(super) fn rely_on(&self, key: &StepKey, wide: bool) -> Option<Left> {
        let exact = key.to_string();
        let shares = |other: &&Incident| other.standing().any(|key| key == exact);
        let is_within = |other: &&Incident| {
            let mut standing = other.standing();
            wide && standing.any(|key| entity(&key) == entity(&exact))
        };
        let relying = self.incidents.iter();
        let others: Vec<_> = relying
            .filter(|other| shares(other) || is_within(other))
            .collect();
        let name = &others.first()?.id;
        let Some(heir) = others.iter().copied().find(shares) else {
            return Some(Left {
                why: format!(
                    "incident {name} is contained by it too, and cannot put it back: take it off by hand \
                     when that one is over"
                ),
                heir: None,
            });
        };
        // Whoever came before has what was found before.
        let before = |other: &Incident| {
            other.actions.contains_key(&exact) && other.intended_at < self.intended_at
        };
        let kept = others.iter().any(|other| before(other));
        Some(Left {
            why: format!(
                "incident {name} is contained by it too: it is put back when that one is released"
            ),
            heir: (!kept).then(|| Heir(Box::new(heir.clone()))),
        })
    }
}

/// The user or role in a step's key: the ARN, without the action and the session.
fn entity(key: &str) -> Option<&str> {
    key.split(' ').nth(1)
}
