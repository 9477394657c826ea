//! Judging one finding at the time at which its event came.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::evaluation::{Evaluation, FindingSummary, Judgement, Left, Reason};
use super::possible_steps;
use super::rules::{OF_SETTINGS, Rules};
use model::catalogue::{self, Disposition};
use model::category::Category;
use model::decision::{Decision, ResponseMode, ResponseSettings, decide};
use model::error::Result;
use model::finding::Finding;
use model::sequence;
use policy::{Forecaster, LoadedPolicies, RequestContext};

/// Judges findings, one by one.
#[derive(Debug)]
pub struct Rehearser {
    rules: Rules,
    forecaster: Forecaster,
    policies: BTreeMap<Category, ResponseSettings>,
}

impl Rehearser {
    /// A rehearser with these rules and policies.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] if the built-in schema cannot be read.
    pub fn new(rules: Rules, guard: LoadedPolicies) -> Result<Self> {
        let modes = [
            (Category::S3, rules.modes.s3),
            (Category::Iam, rules.modes.iam),
            (Category::Ec2, rules.modes.ec2),
            (Category::Lambda, rules.modes.lambda),
            (Category::Triage, ResponseMode::Contain),
        ];
        let policies = modes.map(|(category, mode)| {
            let policy = ResponseSettings {
                mode,
                dry_run: false,
                ..rules.policy.clone()
            };
            (category, policy)
        });
        Ok(Self {
            policies: policies.into(),
            forecaster: Forecaster::new(guard)?,
            rules,
        })
    }

    /// The rules that are rehearsed.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Each function's answer to `finding` at each time of its events. `document` gives what it was read from, which is
    /// asked for only of an attack sequence.
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
    ) -> Result<Vec<Evaluation>> {
        if self.rules.archived {
            finding.take_out_of_archive();
        }
        let mut times = finding.delivered_at(last_known_only)?;
        let since = self.rules.since.unwrap_or(Timestamp::MIN);
        let until = self.rules.until.unwrap_or(Timestamp::MAX);
        times.retain(|time| (since..until).contains(time));
        let brief = Arc::new(FindingSummary::of(finding));
        let mut evaluations = Vec::new();
        for at in times {
            for function in catalogue::routes(finding) {
                let answer = match self.parts(function, finding, &document) {
                    Some(parts) => {
                        for (function, mut part) in parts {
                            if self.rules.archived {
                                part.take_out_of_archive();
                            }
                            let answer = self.judge(function, &part, at);
                            evaluations.push(Evaluation::new(at, &brief, function, answer));
                        }
                        continue;
                    }
                    None => self.judge(function, finding, at),
                };
                evaluations.push(Evaluation::new(at, &brief, function, answer));
            }
        }
        Ok(evaluations)
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
        let parts = sequence::parts(&document()?, finding, self.policy(Category::Triage));
        let parts: Vec<_> = parts
            .into_iter()
            .filter_map(|(function, event)| Some((function, Finding::parse(&event).ok()?)))
            .collect();
        (!parts.is_empty()).then_some(parts)
    }

    fn policy(&self, function: Category) -> &ResponseSettings {
        self.policies.get(&function).unwrap_or(&self.rules.policy)
    }

    /// A function's answer to a finding at a time.
    fn judge(&self, function: Category, finding: &Finding, at: Timestamp) -> Judgement {
        let policy = self.policy(function);
        let left = |cause, reason: String| Judgement::Left(Left { cause, reason });
        if finding.is_sample() {
            return left(Reason::Sample, "a sample changes nothing".to_owned());
        }
        if finding.is_drill() {
            return left(Reason::Drill, "a drill changes nothing".to_owned());
        }
        match decide(function, finding, policy) {
            Decision::Ignore(why) if finding.is_archived() => left(Reason::Archived, why),
            Decision::Ignore(why) => left(Reason::Setting, why),
            Decision::Notify(why) => match cause(function, finding, policy) {
                Reason::Spared => match possible_steps::spared(function, finding, &why) {
                    Some(target) => Judgement::Contain(vec![target]),
                    None => left(Reason::Spared, why),
                },
                cause => left(cause, why),
            },
            Decision::Contain(_) => self.contain(function, finding, at),
        }
    }

    fn contain(&self, function: Category, finding: &Finding, at: Timestamp) -> Judgement {
        let context = RequestContext::new(finding, self.policy(function), function, false, at);
        let outright = self
            .forecaster
            .guard()
            .forbids(function, finding, context.settings, at);
        if let Some(why) = &outright
            && why.by.iter().all(|id| OF_SETTINGS.contains(&id.as_str()))
        {
            return Judgement::Left(Left {
                cause: Reason::Setting,
                reason: why.reason.clone(),
            });
        }
        possible_steps::targets(&self.forecaster, &context, &self.rules.settings, outright)
    }
}

/// The reason that a finding is only notified.
fn cause(function: Category, finding: &Finding, policy: &ResponseSettings) -> Reason {
    if let Disposition::Notify(_) = catalogue::disposition(function, finding) {
        if function == Category::Ec2 && finding.instance_is_victim() {
            return Reason::Victim;
        }
        return Reason::Kind;
    }
    if policy.mode == ResponseMode::Notify {
        return Reason::Setting;
    }
    if let Some(own) = &policy.own_account
        && *own != finding.account_id
    {
        return Reason::Account;
    }
    if model::decision::targets(function, finding).is_err() {
        return Reason::Malformed;
    }
    match finding.principal() {
        Ok(principal) if policy.protects(&finding.account_id, &principal).is_some() => {
            Reason::Spared
        }
        _ => Reason::Nothing,
    }
}
