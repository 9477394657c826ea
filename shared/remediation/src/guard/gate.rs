//! What stands between a plan and its execution: only what the policies permit comes through.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Deref;

use jiff::Timestamp;

use super::past::Past;
use super::request::Situation;
use super::resource::Resource;
use super::tags::Age;
use super::{Guard, Verdict};
use crate::finding::Finding;
use crate::plan::{Action, Phase, Plan, Step, StepKey, Withheld};
use crate::playbook::Playbook;
use crate::policy::Policy;
use crate::record::{Claim, Standing};
use crate::settings::Settings;

/// The highest severity that GuardDuty gives.
const MOST_SEVERE: f64 = 10.0;

/// The policies, and what they decide about: one finding at one function.
#[derive(Clone, Debug)]
pub struct Gate<'a> {
    guard: &'a Guard,
    pub(super) situation: Situation<'a>,
    /// The targets, with what stands of them by the record.
    claims: &'a [Claim],
    /// What a person approved.
    pub(super) approved: HashSet<StepKey>,
    pub(super) known: RefCell<Known>,
}

/// What CloudTrail has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What the principal did before. `None`: it was not asked.
    pub(super) past: Option<Past>,
    /// Of whose tags it was asked, by name and Region.
    pub(super) tags: BTreeMap<(String, String), Age>,
    /// What a person should know of that.
    pub(super) told: Vec<String>,
}

impl<'a> Gate<'a> {
    /// A gate for what a playbook may do about `finding` at `now`, under these settings.
    pub fn new<P: Playbook>(
        guard: &'a Guard,
        finding: &'a Finding,
        settings: &'a Policy,
        dry_run: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            guard,
            situation: Situation::new(finding, settings, P::CATEGORY, dry_run, now),
            claims: &[],
            approved: HashSet::new(),
            known: RefCell::default(),
        }
    }

    /// The same, for a person who approved these steps and no others.
    #[must_use]
    pub(crate) fn approving(self, approved: HashSet<StepKey>) -> Self {
        Self { approved, ..self }
    }

    /// The same, where the record has these targets. What contains one of them already was permitted on account
    /// of another finding. If it is to be done again, somebody undid it; then the policies are asked as about
    /// that finding's severity, since GuardDuty gives a low one to the undoing itself.
    #[must_use]
    pub(crate) fn about(self, claims: &'a [Claim]) -> Self {
        Self { claims, ..self }
    }

    /// From now on this is known of what the principal did before.
    pub(super) fn knows(&self, past: Past) {
        self.known.borrow_mut().past = Some(past);
    }

    fn situation(&self) -> Situation<'a> {
        let past = self.known.borrow().past;
        self.situation.with(past.unwrap_or(Past::UNKNOWN))
    }

    /// The situation of one step.
    fn situation_of(&self, step: &StepKey, resource: &Resource) -> Situation<'a> {
        let severity = standing(self.claims, step, resource).map(|stands| stands.severity);
        self.situation().at_least(severity.unwrap_or_default())
    }

    /// What is decided about.
    pub fn finding(&self) -> &'a Finding {
        self.situation.finding
    }

    /// Plans, and withholds what the policies do not permit. What the playbook itself leaves to a person runs only
    /// if a person approved it.
    pub fn plan<P: Playbook>(
        &self,
        state: &P::State,
        settings: &Settings,
    ) -> Authorized<P::Action> {
        let Situation { finding, now, .. } = self.situation;
        let mut plan = P::plan(finding, state, settings, now);
        let mut doubted = Vec::new();
        let mut rests_on_tags_of = BTreeSet::new();
        let mut rests_on_past = false;
        let steps = std::mem::take(&mut plan.steps);
        let mut authorize = |action: P::Action| {
            let resource = P::resource(finding, state, &action);
            let key = StepKey::of(&action);
            let tagless = resource.without_set_tags();
            let with_and_without = [Some(&resource), tagless.as_ref()];
            rests_on_past |= with_and_without
                .into_iter()
                .flatten()
                .any(|resource| self.rests_on_past(&key, resource));
            let weighed = self.weigh(&key, &resource);
            rests_on_tags_of.extend(weighed.rests_on_tags_of);
            doubted.extend(weighed.doubted);
            match weighed.verdict {
                Verdict::Permitted(_) => Step::Do(action),
                Verdict::Withheld(why) => Step::Withheld(action, why),
            }
        };
        plan.steps = steps
            .into_iter()
            .map(|step| match step {
                Step::Do(action) => authorize(action),
                Step::Withheld(action, why) => {
                    let approved = self.approved.contains(&StepKey::of(&action));
                    match authorize(action) {
                        Step::Do(action) if !approved => Step::Withheld(action, why),
                        Step::Withheld(action, policies) => {
                            Step::Withheld(action, both(why, policies))
                        }
                        step => step,
                    }
                }
                other => other,
            })
            .collect();
        if let Some(why) = uncontained(&plan.steps) {
            withhold_marks(&mut plan, &why);
        }
        for told in doubted {
            if !plan.next_steps.contains(&told) {
                plan.next_steps.push(told);
            }
        }
        Authorized {
            plan,
            rests_on_tags_of,
            rests_on_past,
        }
    }

    /// What forbids every step about this finding, whatever its target is. Then it need not be observed.
    pub fn forbids_outright(&self) -> Option<Withheld> {
        let stands = self.claims.iter().filter_map(Claim::stands);
        let severity = stands.map(|stands| stands.severity).fold(0.0, f64::max);
        let situation = self.situation().at_least(severity);
        self.guard.forbids_outright(&situation)
    }

    /// True if a target that is contained already, by a record that was not read yet, could be contained again.
    pub(crate) fn may_restore(&self) -> bool {
        let situation = self.situation().at_least(MOST_SEVERE);
        self.guard.forbids_outright(&situation).is_none()
    }

    pub(super) fn tag_worlds(&self, resource: &Resource) -> Vec<Resource> {
        self.guard.tag_worlds(resource)
    }

    /// What the policies say of a step of this name on `resource`.
    pub(crate) fn judge(&self, step: &StepKey, resource: &Resource) -> Verdict {
        let approved = self.approved.contains(step);
        self.guard
            .judge(&self.situation_of(step, resource), step, resource, approved)
    }

    /// True if the policies would answer otherwise if more were known of what the principal did before.
    fn rests_on_past(&self, step: &StepKey, resource: &Resource) -> bool {
        let policies = self.guard.policies.as_ref();
        if !policies.is_ok_and(|policies| policies.looks_back) {
            return false;
        }
        let approved = self.approved.contains(step);
        let answers = Past::POSSIBLE.map(|past| {
            let situation = self.situation_of(step, resource).with(past);
            match self.guard.judge(&situation, step, resource, approved) {
                Verdict::Permitted(_) => (true, false),
                Verdict::Withheld(why) => (false, why.awaits_approval),
            }
        });
        answers.iter().any(|answer| *answer != answers[0])
    }

    /// That a tag would withhold a step and does not count, so that whoever set it learns why.
    pub(super) fn doubted(&self, step: &StepKey, resource: &Resource) -> Option<String> {
        let claimed = resource.with_doubtful_tags()?;
        let Verdict::Withheld(Withheld { by, .. }) = self.judge(step, &claimed) else {
            return None;
        };
        Some(format!(
            "by its tags {} would be left alone ({}), but they are not known to be older than the \
             activity, so they did not count: find out who set them",
            resource.name(),
            by.join(", "),
        ))
    }
}

/// What stands of the target of a step by the record, if the step is a part of it.
pub(crate) fn standing<'a>(
    claims: &'a [Claim],
    step: &StepKey,
    resource: &Resource,
) -> Option<&'a Standing> {
    let claim = match claims {
        [claim] => claim,
        claims => claims.iter().find(|claim| claim.is_of(resource.name()))?,
    };
    let stands = claim.stands();
    stands.filter(|stands| stands.steps.contains(&step.to_string()))
}

/// What the playbook leaves to a person and the policies withhold too: a person may let it only if the policies
/// let a person.
fn both(playbook: Withheld, policies: Withheld) -> Withheld {
    Withheld {
        by: playbook.by.into_iter().chain(policies.by).collect(),
        reason: format!("{}; {}", policies.reason, playbook.reason),
        awaits_approval: playbook.awaits_approval && policies.awaits_approval,
    }
}

/// Why nothing would be contained, if all that contains is withheld.
fn uncontained<A: Action>(steps: &[Step<A>]) -> Option<Withheld> {
    let mut why = None;
    for step in steps {
        match step {
            Step::Do(action) | Step::Already(action, _) if action.contains() => {
                return None;
            }
            Step::Withheld(action, withheld) if action.phase() == Phase::Contain => {
                why.get_or_insert(withheld);
            }
            _ => {}
        }
    }
    why.cloned()
}

/// A mark says that something is contained.
fn withhold_marks<A: Action>(plan: &mut Plan<A>, why: &Withheld) {
    let steps = std::mem::take(&mut plan.steps).into_iter();
    plan.steps = steps
        .map(|step| match step {
            Step::Do(action) if action.phase() == Phase::Annotate => {
                Step::Withheld(action, why.clone())
            }
            other => other,
        })
        .collect();
}

/// A plan of which each step that is to be done is permitted. Only a [`Gate`] makes one.
#[derive(Debug)]
pub struct Authorized<A> {
    pub(super) plan: Plan<A>,
    /// Names and Regions of that of which the tags decide.
    pub(super) rests_on_tags_of: BTreeSet<(String, String)>,
    /// What the principal did before would change what is done.
    pub(super) rests_on_past: bool,
}

impl<A> Deref for Authorized<A> {
    type Target = Plan<A>;

    fn deref(&self) -> &Plan<A> {
        &self.plan
    }
}

impl<A: Action> Authorized<A> {
    /// Lets the steps of a phase wait for another time, for this reason.
    pub(crate) fn hold_back(&mut self, phase: Phase, reason: &str) {
        self.leave_out(|action| (action.phase() == phase).then(|| reason.to_owned()));
    }

    /// Leaves out what is to be done and has a reason not to be, also when reading back would plan it.
    pub(crate) fn leave_out(&mut self, reason: impl Fn(&A) -> Option<String>) {
        for step in &mut self.plan.steps {
            if let Step::Do(action) = step
                && let Some(reason) = reason(action)
            {
                self.plan.held_back.insert(StepKey::of(action));
                *step = Step::Skipped {
                    action: action.name(),
                    target: action.target(),
                    reason,
                };
            }
        }
    }

    /// Withholds all that is to be done, for this reason.
    pub(crate) fn withhold(&mut self, why: &Withheld) {
        let steps = std::mem::take(&mut self.plan.steps).into_iter();
        self.plan.steps = steps
            .map(|step| match step {
                Step::Do(action) => Step::Withheld(action, why.clone()),
                other => other,
            })
            .collect();
    }

    /// True if anything is to be contained.
    pub(crate) fn contains(&self) -> bool {
        let mut steps = self.plan.steps.iter();
        steps.any(|step| matches!(step, Step::Do(action) if action.phase() == Phase::Contain))
    }

    /// Only the steps that are not among these.
    pub(crate) fn without(mut self, known: &HashSet<StepKey>) -> Self {
        self.plan.steps.retain(|step| !known.contains(&step.key()));
        self
    }

    /// Takes those steps out that are to be done and are `wanted`.
    pub(crate) fn take_out(&mut self, wanted: impl Fn(&A) -> bool) -> Self {
        let taken = self.plan.steps.extract_if(
            ..,
            |step| matches!(step, Step::Do(action) if wanted(action)),
        );
        Self {
            plan: Plan {
                steps: taken.collect(),
                ..Plan::default()
            },
            rests_on_tags_of: BTreeSet::new(),
            rests_on_past: false,
        }
    }

    /// The plan, to be taken apart.
    pub(crate) fn into_plan(self) -> Plan<A> {
        self.plan
    }
}
