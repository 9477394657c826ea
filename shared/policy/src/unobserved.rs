//! The policies' answer about a step before its target was observed, and its dependence on values that only observing
//! shows.
//!
//! A condition that looks at what is not known (a path, a group, a role) may hold or not. So each policy
//! that has such conditions is asked once for every way in which they could come out. A policy that answers
//! the same in all of them does not depend on them; one that does not leaves a doubt.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Effect, Entities, Request};
use serde_json::Value;

use super::authorization::{Authorization, NOT_PERMITTED};
use super::explain::{possible, resources};
use super::loaded_policies::LoadedPolicies;
use super::policies::Policies;
use super::request_context::RequestContext;
use super::variants::{Applies, Unknown, Variants};
use model::category::Category;
use model::error::Result;
use model::finding::Finding;
use model::plan::{Phase, StepKey};
use model::resource::{Kind, Resource};

/// The policies, asked about targets that nobody has observed.
#[derive(Debug)]
pub struct Forecaster {
    guard: LoadedPolicies,
    doubtful: HashMap<Kind, ConditionalPolicies>,
    actions: HashMap<(Category, Kind), Vec<Possible>>,
}

/// An action that a function has for a kind of resource.
#[derive(Clone, Copy, Debug)]
pub struct Possible {
    pub name: &'static str,
    pub phase: Phase,
    /// The policies' answer is the same for all actions of a class, since no policy tells these apart.
    pub class: usize,
}

/// The policies' answer about a step, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Their answer if only the finding's values are true.
    pub verdict: Authorization,
    /// The other values that may change it, in words.
    pub depends_on: Vec<String>,
}

/// The policies of a kind of resource that look at what is not known of it.
#[derive(Debug, Default)]
struct ConditionalPolicies {
    forbids: Variants,
    permits: Variants,
}

impl Forecaster {
    pub fn new(guard: LoadedPolicies) -> Result<Self> {
        let mut doubtful: HashMap<_, ConditionalPolicies> = HashMap::new();
        let mut actions = HashMap::new();
        for (category, kind) in [
            (Category::S3, Kind::Bucket),
            (Category::S3, Kind::Account),
            (Category::Iam, Kind::User),
            (Category::Iam, Kind::Role),
            (Category::Ec2, Kind::Instance),
            (Category::Lambda, Kind::Function),
        ] {
            let possible = possible(category, kind)?;
            actions.insert((category, kind), classed(&guard, &possible));
            let mut of_kind = ConditionalPolicies::default();
            let mut users: Vec<_> = guard.policies.iter().flat_map(|all| all.users()).collect();
            users.sort_by(|a, b| a.id().cmp(b.id()));
            for policy in users {
                let ways = match policy.effect() {
                    Effect::Forbid => &mut of_kind.forbids,
                    Effect::Permit => &mut of_kind.permits,
                };
                ways.add_unclear(policy, Unknown::Unobserved(kind));
            }
            doubtful.insert(kind, of_kind);
        }
        Ok(Self {
            guard,
            doubtful,
            actions,
        })
    }

    pub fn guard(&self) -> &LoadedPolicies {
        &self.guard
    }

    /// The targets with the values that the finding has.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if it lacks what names them.
    pub fn resources(category: Category, finding: &Finding) -> Result<Vec<Resource>> {
        resources(category, finding)
    }

    /// The actions that a function has for a kind of resource.
    pub fn actions(&self, category: Category, kind: Kind) -> &[Possible] {
        self.actions
            .get(&(category, kind))
            .map_or(&[], Vec::as_slice)
    }

    /// The policies' answer about `action` on `resource`.
    pub fn forecast(
        &self,
        context: &RequestContext<'_>,
        action: &'static str,
        resource: &Resource,
    ) -> Forecast {
        let step = StepKey {
            action,
            target: resource.arn.clone(),
        };
        let verdict = self.guard.judge(context, &step, resource, false);
        let mut depends_on = BTreeSet::new();
        let mut worlds = self.guard.tag_worlds(resource).into_iter();
        let differs = |other: Authorization| other.effect() != verdict.effect();
        if worlds.any(|world| differs(self.guard.judge(context, &step, &world, false))) {
            depends_on.insert(
                "its tags: they count if they are still set, and nobody set them since the activity began"
                    .to_owned(),
            );
        }
        if let Some(doubtful) = self.doubtful.get(&resource.kind)
            && !(doubtful.forbids.is_empty() && doubtful.permits.is_empty())
            && let Ok((request, entities)) = context.request(&step, resource, false)
        {
            depends_on.extend(doubtful.doubts(&verdict, &request, &entities));
        }
        Forecast {
            verdict,
            depends_on: depends_on.into_iter().collect(),
        }
    }
}

impl ConditionalPolicies {
    /// The unknown values that may change `verdict`.
    fn doubts(
        &self,
        verdict: &Authorization,
        request: &Request,
        entities: &Entities,
    ) -> Vec<String> {
        let forbids = self.forbids.ask(request, entities);
        let permits = self.permits.ask(request, entities);
        let perhaps = |answers: &[(usize, Applies)], ways: &Variants| -> Vec<String> {
            let perhaps = answers.iter().filter(|(_, it)| *it == Applies::Perhaps);
            perhaps.map(|(index, _)| ways.words(*index)).collect()
        };
        let surely = |ids: &[String], answers: &[(usize, Applies)], ways: &Variants| {
            ids.iter().any(|id| {
                let known = answers
                    .iter()
                    .find(|(index, _)| ways.policy(*index).0 == id);
                known.is_none_or(|(_, applies)| *applies == Applies::Surely)
            })
        };
        match verdict {
            Authorization::Permitted(by) => {
                let mut doubts = perhaps(&forbids, &self.forbids);
                if !surely(by, &permits, &self.permits) {
                    doubts.extend(perhaps(&permits, &self.permits));
                }
                doubts
            }
            Authorization::Withheld(why) if why.by == [NOT_PERMITTED] => {
                perhaps(&permits, &self.permits)
            }
            Authorization::Withheld(why) if surely(&why.by, &forbids, &self.forbids) => Vec::new(),
            Authorization::Withheld(_) => perhaps(&forbids, &self.forbids),
        }
    }
}

/// Puts into a class of its own each action that a policy names, and each phase that one names.
fn classed(guard: &LoadedPolicies, possible: &[(&'static str, Phase)]) -> Vec<Possible> {
    let mut named = BTreeSet::new();
    for policy in guard.policies.iter().flat_map(Policies::all) {
        if let Ok(written) = policy.to_json() {
            collect_texts(&written, &mut named);
        }
    }
    let possible = possible.iter().enumerate();
    possible
        .map(|(index, (name, phase))| {
            let group = match phase {
                Phase::Protect => "Protect",
                Phase::Contain => "Contain",
                Phase::Preserve => "Preserve",
                Phase::Annotate => "Annotate",
            };
            let class = if named.contains(*name) {
                5 + index
            } else if named.contains(group) {
                1 + *phase as usize
            } else {
                0
            };
            Possible {
                name,
                phase: *phase,
                class,
            }
        })
        .collect()
}

fn collect_texts(value: &Value, to: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            to.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, to)),
        Value::Object(members) => members.values().for_each(|value| collect_texts(value, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
