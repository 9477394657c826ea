//! The layer between a plan and its execution: policies say which of its steps may run.
//!
//! Two layers of [Cedar](https://docs.cedarpolicy.com) policies. The built-in rails only forbid, and no
//! policy of the user's lifts them, since in Cedar a `forbid` that holds outweighs every `permit`. The
//! user's policies come from a parameter ([`PolicyParameter`]). Where they are missing or do not fit the
//! schema, or one of them cannot be evaluated, every step they would decide about is withheld: never a
//! guess.
//!
//! [`execute`](crate::execute) takes nothing but an [`Authorized`] plan, and only a [`Gate`] makes one,
//! also of what is planned anew when reading back.

mod doubt;
mod explain;
mod gate;
mod history;
mod parameter;
mod past;
mod policies;
mod request;
mod resource;
mod tags;
mod unread;
mod ways;

use jiff::Timestamp;

pub(crate) use self::doubt::{Foreseen, Foresight};
pub use self::explain::{Explained, Explanation, explain};
pub(crate) use self::gate::standing;
pub use self::gate::{Authorized, Gate};
pub use self::history::EventHistory;
pub use self::parameter::{PolicyParameter, SIZE_LIMIT};
use self::past::Past;
pub use self::policies::{Policies, Problem};
pub(crate) use self::request::Situation;
pub use self::resource::{Kind, Resource};
use crate::catalogue::Category;
use crate::error::Error;
use crate::finding::Finding;
use crate::plan::{StepKey, Withheld};
use crate::policy::Policy;

/// The IAM permissions that reading the policies needs.
pub const PERMISSIONS: &[&str] = &["ssm:GetParameter"];

/// The policies that the stack is deployed with.
pub const DEFAULT: &str = include_str!("../../../infra/policies/default.cedar");

/// How the line in the log begins that says that the user's policies cannot be used or read. The stack has
/// an alarm on it.
pub const UNUSABLE: &str = "policy unusable";

/// What a step is withheld by, if there are no usable policies of the user's.
const NO_POLICY: &str = "no-policy";

/// What a step is withheld by, if nothing forbids it and nothing permits it either.
const NOT_PERMITTED: &str = "not-permitted";

/// What a function asks before it acts.
#[derive(Debug)]
pub struct Guards {
    /// The policies.
    pub policies: PolicyParameter,
    /// What tells how old tags are, and what a principal did before. `None`: what the playbook asks.
    pub history: Option<EventHistory>,
}

/// The policies in force, or why there are none.
#[derive(Clone, Debug)]
pub struct Guard {
    policies: Result<Policies, String>,
    /// Why they could not be read, if a retry may not meet it.
    transient: Option<Error>,
}

/// What the policies say of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may run, by the policies of these ids.
    Permitted(Vec<String>),
    /// It may not.
    Withheld(Withheld),
}

impl Guard {
    /// The policies of `text`. If it is not what [`Policies::parse`] takes, all is withheld.
    pub fn new(text: &str) -> Self {
        Self {
            policies: Policies::parse(text).map_err(|problems| {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                format!("it is not valid: {}", problems.join("; "))
            }),
            transient: None,
        }
    }

    /// No policies, for this reason: all is withheld.
    pub fn unusable(why: String) -> Self {
        Self {
            policies: Err(why),
            transient: None,
        }
    }

    /// No policies, since they could not be read.
    pub fn unread(error: Error) -> Self {
        Self {
            policies: Err(error.to_string()),
            transient: Some(error).filter(Error::is_transient),
        }
    }

    /// Why there are no policies, if there are none.
    pub fn problem(&self) -> Option<&str> {
        self.policies.as_ref().err().map(String::as_str)
    }

    /// Why the policies could not be read, if a retry may not meet it.
    pub fn transient(&self) -> Option<&Error> {
        self.transient.as_ref()
    }

    /// What forbids every step that a function might plan about `finding`, whatever its target is.
    pub fn forbids(
        &self,
        category: Category,
        finding: &Finding,
        settings: &Policy,
        now: Timestamp,
    ) -> Option<Withheld> {
        let dry_run = settings.is_dry_run(finding);
        let situation = Situation::new(finding, settings, category, dry_run, now);
        self.forbids_outright(&situation)
    }

    fn forbids_outright(&self, situation: &Situation<'_>) -> Option<Withheld> {
        let policies = self.policies.as_ref().ok()?;
        let pasts: &[Past] = if policies.looks_back {
            &Past::POSSIBLE
        } else {
            &[Past::UNKNOWN]
        };
        let mut why = None;
        for past in pasts {
            let situation = situation.with(*past);
            // What a person could approve has to be observed, to be planned.
            for approved in [false, true] {
                let (request, entities) = situation.any_request(approved)?.ok()?;
                why = Some(policies.forbid_outright(&request, &entities)?);
            }
        }
        why
    }

    /// What the policies say of a step that nobody has approved, or somebody has. An attribute that could not be
    /// read may be anything: where the answer depends on it, the approver decides.
    fn judge(
        &self,
        situation: &Situation<'_>,
        step: &StepKey,
        resource: &Resource,
        approved: bool,
    ) -> Verdict {
        let verdict = match self.doubt(situation, step, resource, approved) {
            Some(doubt) => doubt.verdict(approved),
            None => self.ask(situation, step, resource, approved),
        };
        match verdict {
            Verdict::Withheld(why) if !approved => Verdict::Withheld(Withheld {
                awaits_approval: matches!(
                    self.judge(situation, step, resource, true),
                    Verdict::Permitted(_)
                ),
                ..why
            }),
            verdict => verdict,
        }
    }

    /// The resource as it would be if others of its tags counted by which the policies decide: where they answer
    /// otherwise then, its tags decide.
    fn tag_worlds(&self, resource: &Resource) -> Vec<Resource> {
        let Ok(policies) = &self.policies else {
            return Vec::new();
        };
        resource.tag_worlds(|key| policies.looks_at_tag(key))
    }

    fn ask(
        &self,
        situation: &Situation<'_>,
        step: &StepKey,
        resource: &Resource,
        approved: bool,
    ) -> Verdict {
        let policies = match &self.policies {
            Ok(policies) => policies,
            Err(why) => {
                return Verdict::Withheld(Withheld {
                    by: vec![NO_POLICY.to_owned()],
                    reason: format!("the policy cannot be used, so nothing is permitted: {why}"),
                    awaits_approval: false,
                });
            }
        };
        match situation.request(step, resource, approved) {
            Ok((request, entities)) => policies.judge(&request, &entities),
            Err(problem) => Verdict::Withheld(Withheld {
                by: vec![NOT_PERMITTED.to_owned()],
                reason: format!("the policies could not be asked: {problem}"),
                awaits_approval: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
