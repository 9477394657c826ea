//! What the responder would have done about the findings of the past, had it not been a dry run.
//!
//! Two halves, both pure. [`Rehearser::look`] judges one finding at the time at which its event came: the
//! decision, the steps that a plan could have, and what the policies say of each. [`rehearse`] goes
//! through all of that in the order of time, and knows what is contained already and whether the breaker has
//! places left.
//!
//! Nothing is observed, since the world of that time is gone. What only observing would show is said as a
//! condition (`if`) of a step, or as what the answer depends on (`depends_on`); the rest is decided by the
//! code that decides in the functions.

mod foresee;
mod occasion;
mod story;
mod tally;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use self::occasion::{Cause, Occasion, Step, Target, Verdict};
pub use self::story::{Brief, Entry, Outcome, rehearse};
pub use self::tally::{Exemption, Hit, LeftOut, Numbers, Report};
pub use self::windows::{CrowdSize, Demand, Opening};

use self::occasion::{Answer, Left};
use crate::breaker::Limits;
use crate::catalogue::{self, Category, Disposition};
use crate::error::Result;
use crate::finding::Finding;
use crate::guard::{Foresight, Guard, Situation};
use crate::hand_over;
use crate::policy::{self, Decision, Policy, ResponseMode, decide};
use crate::settings::Settings;

/// The policies of the default ones that only carry a setting out.
const OF_SETTINGS: [&str; 2] = ["minimum-severity", "response-mode"];

/// The policy flags of the functions that contain, by the names of the stack's parameters.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Modes {
    /// `S3Response`.
    pub s3: ResponseMode,
    /// `IamResponse`.
    pub iam: ResponseMode,
    /// `Ec2Response`.
    pub ec2: ResponseMode,
}

/// The settings that are rehearsed.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What the functions decide by; the mode is that of [`Rules::modes`].
    pub policy: Policy,
    /// The flags of the functions.
    pub modes: Modes,
    /// How far the playbooks go.
    pub settings: Settings,
    /// What the breaker lets through.
    pub limits: Limits,
    /// `HandOverSequences`.
    pub hand_over: bool,
    /// Take a finding that is archived by now for what it was before a person archived it.
    pub archived: bool,
    /// Events before this time did not come.
    pub since: Option<Timestamp>,
    /// Nor did those from this time on.
    pub until: Option<Timestamp>,
    /// How large a crowd is, where that is known.
    pub sizes: Vec<CrowdSize>,
}

/// Judges findings, one by one.
#[derive(Debug)]
pub struct Rehearser {
    rules: Rules,
    foresight: Foresight,
    policies: BTreeMap<Category, Policy>,
}

impl Rehearser {
    /// A rehearser with these rules and policies.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] if the built-in schema cannot be read.
    pub fn new(rules: Rules, guard: Guard) -> Result<Self> {
        let modes = [
            (Category::S3, rules.modes.s3),
            (Category::Iam, rules.modes.iam),
            (Category::Ec2, rules.modes.ec2),
            (Category::Triage, ResponseMode::Contain),
        ];
        let policies = modes.map(|(category, mode)| {
            let policy = Policy {
                mode,
                dry_run: false,
                ..rules.policy.clone()
            };
            (category, policy)
        });
        Ok(Self {
            policies: policies.into(),
            foresight: Foresight::new(guard)?,
            rules,
        })
    }

    /// The rules that are rehearsed.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What each function would have made of `finding` at each time at which its event came. `document`
    /// gives what it was read from, which is asked for only of an attack sequence.
    ///
    /// An event, and a finding of the export, came once. GuardDuty's API tells only how a finding was last,
    /// and when it was made: it is taken to have been so then, and at its last update. Empty: no event came
    /// in the time that is rehearsed.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if the finding has no time.
    pub fn look(
        &self,
        finding: &mut Finding,
        last_known_only: bool,
        document: impl Fn() -> Option<Value>,
    ) -> Result<Vec<Occasion>> {
        if self.rules.archived {
            finding.take_out_of_archive();
        }
        let mut times = finding.delivered_at(last_known_only)?;
        let since = self.rules.since.unwrap_or(Timestamp::MIN);
        let until = self.rules.until.unwrap_or(Timestamp::MAX);
        times.retain(|time| (since..until).contains(time));
        let brief = Arc::new(Brief::of(finding));
        let mut occasions = Vec::new();
        for at in times {
            for function in catalogue::routes(finding) {
                let answer = match self.parts(function, finding, &document) {
                    Some(parts) => {
                        for (function, mut part) in parts {
                            if self.rules.archived {
                                part.take_out_of_archive();
                            }
                            let answer = self.judge(function, &part, at);
                            occasions.push(Occasion::new(at, &brief, function, answer));
                        }
                        continue;
                    }
                    None => self.judge(function, finding, at),
                };
                occasions.push(Occasion::new(at, &brief, function, answer));
            }
        }
        Ok(occasions)
    }

    /// The parts of an attack sequence, if they are handed over. `None`: the finding stays whole.
    fn parts(
        &self,
        function: Category,
        finding: &Finding,
        document: &impl Fn() -> Option<Value>,
    ) -> Option<Vec<(Category, Finding)>> {
        let whole = function == Category::Triage && finding.is_attack_sequence();
        let wanted = self.rules.hand_over && whole && !finding.is_archived();
        if !wanted || finding.is_sample() || finding.is_drill() {
            return None;
        }
        let parts = hand_over::parts(&document()?, finding, self.policy(Category::Triage));
        let parts: Vec<_> = parts
            .into_iter()
            .filter_map(|(function, event)| Some((function, Finding::parse(&event).ok()?)))
            .collect();
        (!parts.is_empty()).then_some(parts)
    }

    fn policy(&self, function: Category) -> &Policy {
        self.policies.get(&function).unwrap_or(&self.rules.policy)
    }

    /// What a function would have made of a finding at a time.
    fn judge(&self, function: Category, finding: &Finding, at: Timestamp) -> Answer {
        let policy = self.policy(function);
        let left = |cause, reason: String| Answer::Left(Left { cause, reason });
        if finding.is_sample() {
            return left(Cause::Sample, "a sample changes nothing".to_owned());
        }
        if finding.is_drill() {
            return left(Cause::Drill, "a drill changes nothing".to_owned());
        }
        match decide(function, finding, policy) {
            Decision::Ignore(why) if finding.is_archived() => left(Cause::Archived, why),
            Decision::Ignore(why) => left(Cause::Setting, why),
            Decision::Notify(why) => match cause(function, finding, policy) {
                Cause::Spared => match foresee::spared(function, finding, &why) {
                    Some(target) => Answer::Contain(vec![target]),
                    None => left(Cause::Spared, why),
                },
                cause => left(cause, why),
            },
            Decision::Contain(_) => self.contain(function, finding, at),
        }
    }

    fn contain(&self, function: Category, finding: &Finding, at: Timestamp) -> Answer {
        let situation = Situation::new(finding, self.policy(function), function, false, at);
        let outright = self
            .foresight
            .guard()
            .forbids(function, finding, situation.settings, at);
        if let Some(why) = &outright
            && why.by.iter().all(|id| OF_SETTINGS.contains(&id.as_str()))
        {
            return Answer::Left(Left {
                cause: Cause::Setting,
                reason: why.reason.clone(),
            });
        }
        foresee::targets(&self.foresight, &situation, &self.rules.settings, outright)
    }
}

/// Why a finding is left to a person.
fn cause(function: Category, finding: &Finding, policy: &Policy) -> Cause {
    if let Disposition::Notify(_) = catalogue::disposition(function, finding) {
        if function == Category::Ec2 && finding.instance_is_victim() {
            return Cause::Victim;
        }
        return Cause::Kind;
    }
    if policy.mode == ResponseMode::Notify {
        return Cause::Setting;
    }
    if let Some(own) = &policy.own_account
        && *own != finding.account_id
    {
        return Cause::Account;
    }
    if policy::targets(function, finding).is_err() {
        return Cause::Malformed;
    }
    match finding.principal() {
        Ok(principal) if policy.protects(&finding.account_id, &principal).is_some() => {
            Cause::Spared
        }
        _ => Cause::Nothing,
    }
}

#[cfg(test)]
mod tests;
