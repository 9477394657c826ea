//! What the policies say of a step before its target was observed, and where that depends on what only
//! observing would show.
//!
//! A condition that looks at what is not known (a path, a group, a role) may hold or not. So each policy
//! that has such conditions is asked once for every way in which they could come out. A policy that answers
//! the same in all of them does not depend on them; one that does not leaves a doubt.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Authorizer, Effect, Entities, Policy as Cedar, PolicyId, PolicySet, Request};
use serde_json::{Map, Value, json};

use super::explain::{possible, resources};
use super::request::Situation;
use super::{Guard, Kind, NOT_PERMITTED, Policies, Resource, Verdict};
use crate::catalogue::Category;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Phase, StepKey};

/// More conditions in one policy than these are held to be unclear, since the ways double with each.
const MOST_CONDITIONS: usize = 6;

/// The policies, asked about targets that nobody has observed.
#[derive(Debug)]
pub(crate) struct Foresight {
    guard: Guard,
    doubtful: HashMap<Kind, Doubtful>,
    /// The policies that look at tags.
    by_tags: BTreeSet<String>,
    actions: HashMap<(Category, Kind), Vec<Possible>>,
}

/// An action that a function has for a kind of resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Possible {
    pub(crate) name: &'static str,
    pub(crate) phase: Phase,
    /// What the policies say is the same for all actions of a class, since none of them tells these apart.
    pub(crate) class: usize,
}

/// What the policies say of a step, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreseen {
    /// What they say if nothing but what the finding tells is so.
    pub(crate) verdict: Verdict,
    /// What else they look at that may change it, in words.
    pub(crate) depends_on: Vec<String>,
}

/// The policies of a kind of resource that look at what is not known of it.
#[derive(Debug, Default)]
struct Doubtful {
    forbids: Ways,
    permits: Ways,
}

/// Policies in every way in which their conditions could come out.
#[derive(Debug, Default)]
struct Ways {
    set: PolicySet,
    /// Of each, by its place: its name, what it looks at, and how many ways there are.
    policies: Vec<(String, BTreeSet<&'static str>, usize)>,
    /// To which of them a way belongs.
    of: HashMap<PolicyId, usize>,
}

/// How a policy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    Surely,
    Perhaps,
    Never,
}

impl Foresight {
    pub(crate) fn new(guard: Guard) -> Result<Self> {
        let mut doubtful: HashMap<_, Doubtful> = HashMap::new();
        let mut by_tags = BTreeSet::new();
        let mut actions = HashMap::new();
        for (category, kind) in [
            (Category::S3, Kind::Bucket),
            (Category::S3, Kind::Account),
            (Category::Iam, Kind::User),
            (Category::Iam, Kind::Role),
            (Category::Ec2, Kind::Instance),
        ] {
            let possible = possible(category, kind)?;
            actions.insert((category, kind), classed(&guard, &possible));
            let mut of_kind = Doubtful::default();
            let mut users: Vec<_> = guard.policies.iter().flat_map(|all| all.users()).collect();
            users.sort_by(|a, b| a.id().cmp(b.id()));
            for policy in users {
                let Ok(written) = policy.to_json() else {
                    continue;
                };
                if mentions_tags(&written["conditions"]) {
                    by_tags.insert(policy.id().to_string());
                }
                let ways = match policy.effect() {
                    Effect::Forbid => &mut of_kind.forbids,
                    Effect::Permit => &mut of_kind.permits,
                };
                ways.add(policy, &written, kind);
            }
            doubtful.insert(kind, of_kind);
        }
        Ok(Self {
            guard,
            doubtful,
            by_tags,
            actions,
        })
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What the finding tells of its targets.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if it lacks what names them.
    pub(crate) fn resources(category: Category, finding: &Finding) -> Result<Vec<Resource>> {
        resources(category, finding)
    }

    /// The actions that a function has for a kind of resource.
    pub(crate) fn actions(&self, category: Category, kind: Kind) -> &[Possible] {
        self.actions
            .get(&(category, kind))
            .map_or(&[], Vec::as_slice)
    }

    /// What the policies say of `action` on `resource`.
    pub(crate) fn foresee(
        &self,
        situation: &Situation<'_>,
        action: &'static str,
        resource: &Resource,
    ) -> Foreseen {
        let step = StepKey {
            action,
            target: resource.arn.clone(),
        };
        let verdict = self.guard.judge(situation, &step, resource, false);
        let mut depends_on = BTreeSet::new();
        if let Verdict::Withheld(why) = &verdict
            && why.by.iter().any(|id| self.by_tags.contains(id))
            && !resource.tags.is_empty()
        {
            depends_on.insert(
                "its tags: they count if they still stand and nobody set them since the activity began"
                    .to_owned(),
            );
        }
        if let Some(doubtful) = self.doubtful.get(&resource.kind)
            && !(doubtful.forbids.is_empty() && doubtful.permits.is_empty())
            && let Ok((request, entities)) = situation.request(&step, resource, false)
        {
            depends_on.extend(doubtful.doubts(&verdict, &request, &entities));
        }
        Foreseen {
            verdict,
            depends_on: depends_on.into_iter().collect(),
        }
    }
}

impl Doubtful {
    /// What may change `verdict`.
    fn doubts(&self, verdict: &Verdict, request: &Request, entities: &Entities) -> Vec<String> {
        let forbids = self.forbids.ask(request, entities);
        let permits = self.permits.ask(request, entities);
        let perhaps = |answers: &[(usize, Applies)], ways: &Ways| -> Vec<String> {
            let perhaps = answers.iter().filter(|(_, it)| *it == Applies::Perhaps);
            perhaps.map(|(index, _)| ways.words(*index)).collect()
        };
        let surely = |ids: &[String], answers: &[(usize, Applies)], ways: &Ways| {
            ids.iter().any(|id| {
                let answer = answers
                    .iter()
                    .find(|(index, _)| ways.policies[*index].0 == *id);
                answer.is_none_or(|(_, applies)| *applies == Applies::Surely)
            })
        };
        match verdict {
            Verdict::Permitted(by) => {
                let mut doubts = perhaps(&forbids, &self.forbids);
                if !surely(by, &permits, &self.permits) {
                    doubts.extend(perhaps(&permits, &self.permits));
                }
                doubts
            }
            Verdict::Withheld(why) if why.by == [NOT_PERMITTED] => perhaps(&permits, &self.permits),
            Verdict::Withheld(why) if surely(&why.by, &forbids, &self.forbids) => Vec::new(),
            Verdict::Withheld(_) => perhaps(&forbids, &self.forbids),
        }
    }
}

impl Ways {
    fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Adds `policy`, if it looks at what is not known of a resource of this kind.
    fn add(&mut self, policy: &Cedar, written: &Value, kind: Kind) {
        let mut unclear = Unclear {
            kind,
            found: BTreeSet::new(),
            conditions: 0,
        };
        let template = unclear.conditions(&written["conditions"]);
        if unclear.found.is_empty() {
            return;
        }
        let index = self.policies.len();
        let id = policy.id().to_string();
        let mut count = 0;
        if unclear.conditions <= MOST_CONDITIONS {
            for way in 0..1_usize << unclear.conditions {
                let mut written = written.clone();
                written["conditions"] = filled(&template, way);
                let name = PolicyId::new(format!("{id}#{way}"));
                if let Ok(policy) = Cedar::from_json(Some(name.clone()), written)
                    && self.set.add(policy).is_ok()
                {
                    self.of.insert(name, index);
                    count += 1;
                }
            }
        }
        self.policies.push((id, unclear.found, count));
    }

    /// How each policy answers.
    fn ask(&self, request: &Request, entities: &Entities) -> Vec<(usize, Applies)> {
        let response = Authorizer::new().is_authorized(request, &self.set, entities);
        let mut applying = vec![0; self.policies.len()];
        for id in response.diagnostics().reason() {
            if let Some(index) = self.of.get(id) {
                applying[*index] += 1;
            }
        }
        let policies = self.policies.iter().enumerate();
        policies
            .map(|(index, (_, _, ways))| {
                let applies = match applying[index] {
                    // It has more conditions than were tried.
                    _ if *ways == 0 => Applies::Perhaps,
                    0 => Applies::Never,
                    some if some == *ways => Applies::Surely,
                    _ => Applies::Perhaps,
                };
                (index, applies)
            })
            .collect()
    }

    fn words(&self, index: usize) -> String {
        let (id, looks_at, _) = &self.policies[index];
        let looks_at: Vec<_> = looks_at.iter().copied().collect();
        format!("{} (policy {id})", looks_at.join(", "))
    }
}

/// Finds the conditions of a policy that look at what is not known.
struct Unclear {
    kind: Kind,
    found: BTreeSet<&'static str>,
    conditions: usize,
}

/// The member that stands for a condition whose outcome is not known, with its number.
const OPEN: &str = "\u{0}open";

impl Unclear {
    /// The conditions, with a mark in the place of each that is not known.
    fn conditions(&mut self, conditions: &Value) -> Value {
        let conditions = conditions.as_array().into_iter().flatten();
        conditions
            .map(|condition| {
                let mut condition = condition.clone();
                condition["body"] = self.boolean(&condition["body"]);
                condition
            })
            .collect()
    }

    /// An expression whose value is true or false,
    /// <https://docs.cedarpolicy.com/policies/json-format.html>.
    fn boolean(&mut self, expression: &Value) -> Value {
        let connective = expression.as_object().and_then(|members| {
            let (operator, parts) = members.iter().next()?;
            let known = matches!(operator.as_str(), "&&" | "||" | "!" | "if-then-else");
            known.then_some((operator, parts.as_object()?))
        });
        if let Some((operator, parts)) = connective {
            let parts: Map<_, _> = parts
                .iter()
                .map(|(name, part)| (name.clone(), self.boolean(part)))
                .collect();
            return json!({ operator: parts });
        }
        let looks_at = self.looks_at(expression);
        if looks_at.is_empty() {
            return expression.clone();
        }
        self.found.extend(looks_at);
        self.conditions += 1;
        json!({ OPEN: self.conditions - 1 })
    }

    /// What an expression looks at that is not known.
    fn looks_at(&self, expression: &Value) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        match expression {
            Value::Array(items) => {
                for item in items {
                    found.extend(self.looks_at(item));
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    if key == "attr" {
                        found.extend(unobserved(self.kind, value.as_str().unwrap_or_default()));
                    }
                    if matches!(key.as_str(), "hasTag" | "getTag") && self.untold_tag(value) {
                        found.insert("its tags of AWS's own");
                    }
                    found.extend(self.looks_at(value));
                }
            }
            _ => {}
        }
        found
    }

    /// A finding shows the tags of buckets and instances. Of users and roles only AWS's own count, which
    /// it does not show.
    fn untold_tag(&self, operands: &Value) -> bool {
        let key = operands["right"]["Value"].as_str();
        matches!(self.kind, Kind::User | Kind::Role)
            && key.is_none_or(|key| key.starts_with("aws:"))
    }
}

/// The conditions in one of the ways in which they could come out: each bit is one of them.
fn filled(template: &Value, way: usize) -> Value {
    match template {
        Value::Array(items) => items.iter().map(|item| filled(item, way)).collect(),
        Value::Object(members) => match members.get(OPEN).and_then(Value::as_u64) {
            Some(bit) => json!({ "Value": way >> bit & 1 == 1 }),
            None => {
                let members = members.iter();
                let filled = members.map(|(name, value)| (name.clone(), filled(value, way)));
                Value::Object(filled.collect())
            }
        },
        plain => plain.clone(),
    }
}

/// The words for an attribute of the schema's that only observing a resource of this kind would show.
fn unobserved(kind: Kind, attribute: &str) -> Option<&'static str> {
    Some(match (kind, attribute) {
        (Kind::Bucket, "public") => "whether it is public",
        (Kind::User | Kind::Role, "path") => "its path",
        (Kind::Instance, "autoScalingGroup") => "its Auto Scaling group",
        (Kind::Instance, "cluster") => "the cluster that it is a node of",
        (Kind::Instance, "operator") => "the AWS service that operates it",
        (Kind::Instance, "internetFacing") => "whether it has a public address",
        (Kind::Instance, "role") => "its role",
        (Kind::User | Kind::Role | Kind::Instance, "target") => "what exactly the step changes",
        (_, "unread") => "what could not be read of it",
        _ => return None,
    })
}

/// Puts into a class of its own each action that a policy names, and each phase that one names.
fn classed(guard: &Guard, possible: &[(&'static str, Phase)]) -> Vec<Possible> {
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

fn mentions_tags(expression: &Value) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(mentions_tags),
        Value::Object(members) => members.iter().any(|(key, value)| {
            matches!(key.as_str(), "hasTag" | "getTag") || mentions_tags(value)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
