//! The gate between a plan and its execution: only what the policies permit comes through.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::authorization::Authorization;
use super::authorized::Authorized;
use super::loaded_policies::LoadedPolicies;
use super::prior_activity::PriorActivity;
use super::questions::{HistoryAnswer, OpenQuestion, TagAge, TaggedResource};
use super::request_context::RequestContext;
use model::category::Category;
use model::decision::ResponseSettings;
use model::finding::{Finding, printable};
use model::plan::{Action, Phase, Plan, Step, StepKey, Withheld};
use model::planner::Planner;
use model::resource::Resource;
use model::settings::Settings;
use model::standing::{RecordedTarget, standing};

/// The highest severity that GuardDuty gives.
const MOST_SEVERE: f64 = 10.0;

/// The policies, and what they decide about: one finding at one function.
#[derive(Clone, Debug)]
pub struct Gate<'a> {
    guard: &'a LoadedPolicies,
    context: RequestContext<'a>,
    /// The targets, with their recorded containments.
    targets: Vec<RecordedTarget<'a>>,
    /// The approved steps.
    approved: HashSet<StepKey>,
    known: RefCell<Known>,
}

/// CloudTrail's answers so far.
#[derive(Clone, Debug, Default)]
struct Known {
    /// `None`: it was not asked.
    prior_activity: Option<PriorActivity>,
    tags: BTreeMap<TaggedResource, TagAge>,
    /// The remarks for the on-call engineer.
    remarks: Vec<String>,
}

impl<'a> Gate<'a> {
    /// A gate for what a playbook may do about `finding` at `now`, under these settings.
    pub fn new<P: Planner>(
        guard: &'a LoadedPolicies,
        finding: &'a Finding,
        settings: &'a ResponseSettings,
        dry_run: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            guard,
            context: RequestContext::new(finding, settings, P::CATEGORY, dry_run, now),
            targets: Vec::new(),
            approved: HashSet::new(),
            known: RefCell::default(),
        }
    }

    /// The same gate, for an approver of these steps and no others.
    #[must_use]
    pub fn approving(self, approved: HashSet<StepKey>) -> Self {
        Self { approved, ..self }
    }

    /// The same, where the record has these targets. A step that contains one of them already was permitted for another
    /// finding. If it is to be done again, somebody undid it; then the policies are asked as about that finding's
    /// severity, since GuardDuty gives a low one to the undoing itself.
    #[must_use]
    pub fn about(self, targets: impl IntoIterator<Item = impl Into<RecordedTarget<'a>>>) -> Self {
        let targets = targets.into_iter().map(Into::into).collect();
        Self { targets, ..self }
    }

    /// Lists what the policies' answers about `plan` rest on and CloudTrail was not asked yet.
    pub fn open_questions<A>(&self, plan: &Authorized<A>) -> Vec<OpenQuestion> {
        let known = self.known.borrow();
        let unknown = plan.depends_on_prior_activity && known.prior_activity.is_none();
        let prior_activity = unknown.then_some(OpenQuestion::PriorActivity);
        let tags = plan.depends_on_tags_of.iter();
        let unknown = tags.filter(|resource| !known.tags.contains_key(resource));
        let tags = unknown.map(|resource| OpenQuestion::TagAge(resource.clone()));
        prior_activity.into_iter().chain(tags).collect()
    }

    /// Takes an answer, by which it plans from now on.
    pub fn learn(&self, answer: HistoryAnswer) {
        let mut known = self.known.borrow_mut();
        match answer {
            HistoryAnswer::PriorActivity(activity, missing) => {
                known.prior_activity = Some(activity);
                known.remarks.extend(missing.map(|why| {
                    format!(
                        "find out whether the principal has made such calls before, from the same address, \
                         since policies decide by it: {}",
                        printable(&why)
                    )
                }));
            }
            HistoryAnswer::TagAge(resource, age) => {
                known.remarks.extend(age.remark(&resource.name));
                known.tags.insert(resource, age);
            }
        }
    }

    /// Lists what the on-call engineer should know of the answers so far.
    pub fn remarks(&self) -> Vec<String> {
        self.known.borrow().remarks.clone()
    }

    fn context(&self) -> RequestContext<'a> {
        let activity = self.known.borrow().prior_activity;
        self.context
            .with(activity.unwrap_or(PriorActivity::UNKNOWN))
    }

    /// The context of one step.
    fn context_of(&self, step: &StepKey, resource: &Resource) -> RequestContext<'a> {
        let severity = standing(self.targets.iter().copied(), step, resource).map(|it| it.severity);
        self.context().at_least(severity.unwrap_or_default())
    }

    /// The finding that the gate decides about.
    pub fn finding(&self) -> &'a Finding {
        self.context.finding
    }

    /// The function that would act.
    pub fn category(&self) -> Category {
        self.context.category
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.context.now
    }

    /// Plans, and withholds what the policies do not permit. A step that the playbook itself withholds runs only with
    /// an approval.
    pub fn plan<P: Planner>(&self, state: &P::State, settings: &Settings) -> Authorized<P::Action> {
        let RequestContext { finding, now, .. } = self.context;
        let mut plan = P::plan(finding, state, settings, now);
        let mut doubted = Vec::new();
        let mut depends_on_tags_of = BTreeSet::new();
        let mut depends_on_prior_activity = false;
        let steps = std::mem::take(&mut plan.steps);
        let mut authorize = |action: P::Action| {
            let resource = P::resource(finding, state, &action);
            let key = StepKey::of(&action);
            let tagless = resource.without_set_tags();
            let with_and_without = [Some(&resource), tagless.as_ref()];
            depends_on_prior_activity |= with_and_without
                .into_iter()
                .flatten()
                .any(|resource| self.depends_on_prior_activity(&key, resource));
            let weighed = self.weigh(&key, &resource);
            depends_on_tags_of.extend(weighed.depends_on_tags_of);
            doubted.extend(weighed.doubted);
            match weighed.verdict {
                Authorization::Permitted(_) => Step::Do(action),
                Authorization::Withheld(why) => Step::Withheld(action, why),
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
            depends_on_tags_of,
            depends_on_prior_activity,
        }
    }

    /// The reason that forbids every step about this finding, whatever its target is. Then it need not be observed.
    pub fn forbids_outright(&self) -> Option<Withheld> {
        let standing = self.targets.iter().filter_map(|target| target.standing);
        let severity = standing.map(|it| it.severity).fold(0.0, f64::max);
        let context = self.context().at_least(severity);
        self.guard.forbids_outright(&context)
    }

    /// True if a target that is contained already, by a record that was not read yet, could be contained again.
    pub fn may_restore(&self) -> bool {
        let context = self.context().at_least(MOST_SEVERE);
        self.guard.forbids_outright(&context).is_none()
    }

    /// The policies' answer about a step of this name on `resource`.
    pub fn judge(&self, step: &StepKey, resource: &Resource) -> Authorization {
        let approved = self.approved.contains(step);
        self.guard
            .judge(&self.context_of(step, resource), step, resource, approved)
    }

    /// Judges a step. If its tags decide, they count only if CloudTrail shows that nobody has set them since the
    /// activity began. If this is not known, the approver decides.
    fn weigh(&self, step: &StepKey, resource: &Resource) -> Weighed {
        let verdict = self.judge(step, resource);
        let worlds = self.guard.tag_worlds(resource).into_iter();
        let mut others = worlds.map(|world| self.judge(step, &world));
        let other = others.find(|other| other.effect() != verdict.effect());
        let unweighed = |verdict, resource: &Resource| {
            let permitted = matches!(verdict, Authorization::Permitted(_));
            let doubted = permitted.then(|| self.doubted(step, resource));
            (verdict, doubted.flatten())
        };
        let of = TaggedResource {
            name: resource.name.clone(),
            region: resource.region.clone(),
        };
        let age = self.known.borrow().tags.get(&of).cloned();
        let without = resource.without_set_tags();
        let ((verdict, doubted), asks) = match (other, age, &without) {
            // Tags that somebody has tampered with count for nothing, whatever they decide.
            (_, Some(TagAge::SetSince(_)), Some(without)) => {
                (unweighed(self.judge(step, without), without), true)
            }
            (None, _, _) => (unweighed(verdict, resource), false),
            (Some(_), Some(TagAge::Older), _) => (unweighed(verdict, resource), true),
            (Some(other), age, _) => {
                let unread = resource.tags_are_unread();
                let doubt = match age {
                    _ if unread => "its tags could not be read".to_owned(),
                    Some(TagAge::Unknown(why)) => not_known_to_be_older(&why),
                    _ => not_known_to_be_older("CloudTrail was not asked"),
                };
                let left = self.left_to_the_approver(step, verdict, other, &doubt);
                ((left, None), !unread)
            }
        };
        Weighed {
            verdict,
            depends_on_tags_of: asks.then_some(of),
            doubted,
        }
    }

    /// The attacker may have set the tags, and the policy's author may have meant them.
    fn left_to_the_approver(
        &self,
        step: &StepKey,
        verdict: Authorization,
        other: Authorization,
        doubt: &str,
    ) -> Authorization {
        if self.approved.contains(step) {
            return Authorization::Permitted(Vec::new());
        }
        match (verdict, other) {
            (Authorization::Withheld(why), _) | (_, Authorization::Withheld(why)) => {
                Authorization::Withheld(Withheld {
                    reason: format!("{}; the approver decides, since {doubt}", why.reason),
                    awaits_approval: true,
                    ..why
                })
            }
            (permitted, _) => permitted,
        }
    }

    /// True if the policies would answer otherwise if more were known of what the principal did before.
    fn depends_on_prior_activity(&self, step: &StepKey, resource: &Resource) -> bool {
        let policies = self.guard.policies.as_ref();
        if !policies.is_ok_and(|policies| policies.looks_back) {
            return false;
        }
        let approved = self.approved.contains(step);
        let answers = PriorActivity::POSSIBLE.map(|activity| {
            let context = self.context_of(step, resource).with(activity);
            let verdict = self.guard.judge(&context, step, resource, approved);
            verdict.effect()
        });
        answers.iter().any(|answer| *answer != answers[0])
    }

    /// The remark that a tag would withhold a step and does not count, so the resource owner learns why.
    pub fn doubted(&self, step: &StepKey, resource: &Resource) -> Option<String> {
        let claimed = resource.with_doubtful_tags()?;
        let Authorization::Withheld(Withheld { by, .. }) = self.judge(step, &claimed) else {
            return None;
        };
        Some(format!(
            "the tags of {} would exempt it ({}), but they are not known to be older than the activity, \
             so they did not count: find out who set them",
            resource.name(),
            by.join(", "),
        ))
    }
}

/// The policies' answer about a step, with the weight of its tags.
struct Weighed {
    verdict: Authorization,
    /// The resource, if its tags decide and CloudTrail tells how old they are.
    depends_on_tags_of: Option<TaggedResource>,
    /// The remark that a tag would withhold the step and does not count.
    doubted: Option<String>,
}

/// A step that both the playbook and the policies withhold: an approver may permit it only if the policies allow an
/// approval.
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

fn not_known_to_be_older(why: &str) -> String {
    format!("it is not known whether its tags are older than the activity: {why}")
}
