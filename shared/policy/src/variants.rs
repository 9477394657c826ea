//! Policies in every way in which their conditions could come out, where these look at what is not known.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{
    AuthorizationError, Authorizer, Entities, Policy as Cedar, PolicyId, PolicySet, Request,
};
use serde_json::{Map, Value, json};

use model::resource::{Kind, Resource};

/// More conditions in one policy than these are held to be unclear, since the ways double with each.
const MOST_CONDITIONS: usize = 6;

/// The unknown attributes of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unknown<'a> {
    /// All attributes of a resource of this kind that only observing shows.
    Unobserved(Kind),
    /// The unread attributes of this resource.
    Unread(&'a Resource),
}

impl Unknown<'_> {
    /// The words for an attribute of the schema's, if it is not known.
    fn attribute(self, name: &str) -> Option<&'static str> {
        match self {
            Self::Unobserved(kind) => unobserved(kind, name),
            Self::Unread(resource) => {
                unobserved(resource.kind, name).filter(|_| resource.unread.contains(name))
            }
        }
    }

    /// The words for what `hasTag` or `getTag` looks at, if that is not known. A finding shows the tags of buckets
    /// and instances, and only those that it shows may count, but for AWS's own. It shows none of users and
    /// roles.
    fn tag(self, operands: &Value) -> Option<&'static str> {
        let untold = match self {
            Self::Unobserved(kind) => matches!(kind, Kind::User | Kind::Role),
            Self::Unread(resource) => resource.tags_are_unread(),
        };
        let key = operands["right"]["Value"].as_str();
        let own = key.is_none_or(|key| key.starts_with("aws:"));
        (untold && own).then_some("its tags of AWS's own")
    }
}

/// Policies in every way in which their conditions could come out.
#[derive(Debug, Default)]
pub(super) struct Variants {
    set: PolicySet,
    /// For each policy, by its place: its name, what it looks at, and how many ways there are.
    policies: Vec<(String, BTreeSet<&'static str>, usize)>,
    /// To which of them a way belongs.
    of: HashMap<PolicyId, usize>,
}

/// How a policy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    Surely,
    Perhaps,
    Never,
}

/// In how many of its ways a policy applies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// 0: it has more conditions than were tried.
    ways: usize,
    applying: usize,
    /// In these it cannot be evaluated.
    erring: usize,
}

impl Tally {
    pub(super) fn applies(self) -> Applies {
        match self.applying {
            _ if self.ways == 0 => Applies::Perhaps,
            0 => Applies::Never,
            some if some == self.ways => Applies::Surely,
            _ => Applies::Perhaps,
        }
    }

    /// Whether it cannot be evaluated.
    pub(super) fn errs(self) -> Applies {
        match self.erring {
            0 => Applies::Never,
            some if some == self.ways => Applies::Surely,
            _ => Applies::Perhaps,
        }
    }
}

impl Variants {
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Adds `policy`, if it looks at what is not known. True if it does.
    pub(super) fn add_unclear(&mut self, policy: &Cedar, unknown: Unknown<'_>) -> bool {
        self.add(policy, unknown, false)
    }

    /// Adds `policy`. True if it looks at what is not known.
    pub(super) fn add_any(&mut self, policy: &Cedar, unknown: Unknown<'_>) -> bool {
        self.add(policy, unknown, true)
    }

    fn add(&mut self, policy: &Cedar, unknown: Unknown<'_>, also_clear: bool) -> bool {
        let Ok(written) = policy.to_json() else {
            return false;
        };
        let mut unclear = ConditionFinder {
            unknown,
            found: BTreeSet::new(),
            conditions: 0,
        };
        let template = unclear.conditions(&written["conditions"]);
        let looks = !unclear.found.is_empty();
        if !looks && !also_clear {
            return false;
        }
        let index = self.policies.len();
        let id = policy.id().to_string();
        let mut count = 0;
        if unclear.conditions <= MOST_CONDITIONS {
            for way in 0..1_usize << unclear.conditions {
                let mut written = written.clone();
                written["conditions"] = instantiate(&template, way);
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
        looks
    }

    /// How each policy answers.
    pub(super) fn ask(&self, request: &Request, entities: &Entities) -> Vec<(usize, Applies)> {
        let tallied = self.tally(request, entities).into_iter().enumerate();
        tallied
            .map(|(index, tally)| (index, tally.applies()))
            .collect()
    }

    /// In how many ways each policy applies.
    pub(super) fn tally(&self, request: &Request, entities: &Entities) -> Vec<Tally> {
        let response = Authorizer::new().is_authorized(request, &self.set, entities);
        let counts = self.policies.iter().map(|(_, _, ways)| Tally {
            ways: *ways,
            ..Tally::default()
        });
        let mut counts: Vec<_> = counts.collect();
        for id in response.diagnostics().reason() {
            if let Some(index) = self.of.get(id) {
                counts[*index].applying += 1;
            }
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            if let Some(index) = self.of.get(error.policy_id()) {
                counts[*index].erring += 1;
            }
        }
        counts
    }

    /// The policy's id, and what it looks at that is not known.
    pub(super) fn policy(&self, index: usize) -> (&str, &BTreeSet<&'static str>) {
        let (id, looks_at, _) = &self.policies[index];
        (id, looks_at)
    }

    pub(super) fn words(&self, index: usize) -> String {
        let (id, looks_at, _) = &self.policies[index];
        let looks_at: Vec<_> = looks_at.iter().copied().collect();
        format!("{} (policy {id})", looks_at.join(", "))
    }
}

/// Finds the conditions of a policy that look at what is not known.
struct ConditionFinder<'a> {
    unknown: Unknown<'a>,
    found: BTreeSet<&'static str>,
    conditions: usize,
}

/// The member in place of a condition with an unknown outcome, with its number.
const OPEN: &str = "\u{0}open";

impl ConditionFinder<'_> {
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

    /// The unknown attributes that an expression uses.
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
                        found.extend(self.unknown.attribute(value.as_str().unwrap_or_default()));
                    }
                    if matches!(key.as_str(), "hasTag" | "getTag") {
                        found.extend(self.unknown.tag(value));
                    }
                    found.extend(self.looks_at(value));
                }
            }
            _ => {}
        }
        found
    }
}

/// The conditions in one of the ways in which they could come out: each bit is one of them.
fn instantiate(template: &Value, way: usize) -> Value {
    match template {
        Value::Array(items) => items.iter().map(|item| instantiate(item, way)).collect(),
        Value::Object(members) => match members.get(OPEN).and_then(Value::as_u64) {
            Some(bit) => json!({ "Value": way >> bit & 1 == 1 }),
            None => {
                let members = members.iter();
                let instantiate =
                    members.map(|(name, value)| (name.clone(), instantiate(value, way)));
                Value::Object(instantiate.collect())
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
        (Kind::Instance | Kind::Function, "role") => "its role",
        (Kind::User | Kind::Role | Kind::Instance | Kind::Function, "target") => {
            "the exact change of the step"
        }
        (_, "unread") => "its attributes that could not be read",
        _ => return None,
    })
}
