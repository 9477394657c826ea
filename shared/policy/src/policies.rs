//! Reading policies, checking them against the schema, and asking them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::LazyLock;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, Effect, Entities, PolicyId,
    PolicySet, Request, ResourceConstraint, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use serde_json::Value;

use super::authorization::{Authorization, NOT_PERMITTED};
use model::plan::Withheld;

const SCHEMA: &str = include_str!("schema.cedarschema");
const RAILS: &str = include_str!("rails.cedar");
/// The prefix of the ids of the built-in rails.
const RAIL: &str = "rail:";

struct BuiltIn {
    schema: Schema,
    validator: Validator,
}

static BUILT_IN: LazyLock<Result<BuiltIn, String>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA)
        .map_err(|error| format!("the built-in schema: {error}"))?;
    Ok(BuiltIn {
        validator: Validator::new(schema.clone()),
        schema,
    })
});

fn built_in() -> Result<&'static BuiltIn, String> {
    BUILT_IN.as_ref().map_err(Clone::clone)
}

/// The schema of the policies.
pub fn schema() -> Result<&'static Schema, String> {
    Ok(&built_in()?.schema)
}

/// Something about a text that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, counted from 1: line and column. `None`: it is not about one place.
    pub at: Option<(usize, usize)>,
    /// The problem and its remedy, on one line.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{line}:{column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Problem {
    fn plain(message: String) -> Self {
        Self { at: None, message }
    }

    fn of(text: &str, problem: &dyn Diagnostic) -> Self {
        let label = problem.labels().and_then(|mut labels| labels.next());
        let mut message = problem.to_string();
        let found = label.as_ref().and_then(|label| label.label());
        for more in [
            found.map(ToOwned::to_owned),
            problem.help().map(|help| help.to_string()),
        ] {
            if let Some(more) = more.filter(|more| !more.is_empty()) {
                message = format!("{message} ({more})");
            }
        }
        Self {
            at: label.map(|label| place(text, label.offset())),
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// The line and the column of a byte, counted from 1; columns count characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before: String = text
        .char_indices()
        .take_while(|(index, _)| *index < offset)
        .map(|(_, character)| character)
        .collect();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// The user's policies together with the built-in rails, checked.
#[derive(Clone, Debug)]
pub struct Policies {
    set: PolicySet,
    /// Those that forbid and look at neither the action nor the resource.
    outright: PolicySet,
    /// One of them looks at the history.
    pub(super) looks_back: bool,
    /// The keys of the tags that they look at. `None`: any.
    tag_keys: Option<BTreeSet<String>>,
    reasons: HashMap<PolicyId, String>,
    /// The warnings: a policy that can never apply.
    pub warnings: Vec<Problem>,
}

impl Policies {
    /// Reads the user's policies.
    ///
    /// A policy is called by its annotation `@id`, or `policy0`, `policy1` … by its place.
    ///
    /// # Errors
    /// If the text is not Cedar, does not fit the schema, has templates, or repeats an id or uses a rail's.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let built_in = built_in().map_err(|why| vec![Problem::plain(why)])?;
        let (user, warnings) = read(text, &built_in.validator)?;
        let (rails, _) = read(RAILS, &built_in.validator)?;
        if user.num_of_policies() == 0 {
            let none = "there is no policy, so nothing would be permitted";
            return Err(vec![Problem::plain(none.to_owned())]);
        }
        let mut policies = Self {
            set: PolicySet::new(),
            outright: PolicySet::new(),
            looks_back: false,
            tag_keys: Some(BTreeSet::new()),
            reasons: HashMap::new(),
            warnings,
        };
        for policy in user.policies() {
            if policy
                .annotation("id")
                .is_some_and(|id| id.starts_with(RAIL))
            {
                return Err(vec![Problem::plain(format!(
                    "an @id must not begin with '{RAIL}': these are the built-in rails'"
                ))]);
            }
            policies.add(policy)?;
        }
        for rail in rails.policies() {
            policies.add(rail)?;
        }
        Ok(policies)
    }

    fn add(&mut self, policy: &cedar_policy::Policy) -> Result<(), Vec<Problem>> {
        let id = policy.annotation("id").filter(|id| !id.is_empty());
        let policy = match id {
            Some(id) => policy.new_id(PolicyId::new(id)),
            None => policy.clone(),
        };
        if let Some(reason) = policy.annotation("reason") {
            self.reasons.insert(policy.id().clone(), reason.to_owned());
        }
        let id = policy.id().clone();
        let twice = |_| vec![Problem::plain(format!("two policies have the @id '{id}'"))];
        self.looks_back |= mentions(&policy, |key, value| key == "attr" && value == "history");
        if let Some(keys) = &mut self.tag_keys
            && !policy
                .to_json()
                .is_ok_and(|policy| collect_tag_keys(&policy["conditions"], keys))
        {
            self.tag_keys = None;
        }
        if is_outright(&policy) {
            self.outright.add(policy.clone()).map_err(twice)?;
        }
        self.set.add(policy).map_err(twice)
    }

    /// The reason that forbids every action on every target.
    pub(super) fn forbid_outright(
        &self,
        request: &Request,
        entities: &Entities,
    ) -> Option<Withheld> {
        let response = Authorizer::new().is_authorized(request, &self.outright, entities);
        let mut deciding: Vec<_> = response.diagnostics().reason().collect();
        deciding.sort_unstable();
        (!deciding.is_empty()).then(|| Withheld {
            by: deciding.iter().map(ToString::to_string).collect(),
            reason: self.why(&deciding),
            awaits_approval: false,
        })
    }

    /// The policies' answer. A policy that could not be evaluated might have forbidden, so that nothing is permitted
    /// beside it.
    pub(super) fn judge(&self, request: &Request, entities: &Entities) -> Authorization {
        let response = Authorizer::new().is_authorized(request, &self.set, entities);
        let mut deciding: Vec<_> = response.diagnostics().reason().collect();
        deciding.sort_unstable();
        let ids: Vec<_> = deciding.iter().map(ToString::to_string).collect();
        let errors: Vec<_> = response.diagnostics().errors().collect();
        match response.decision() {
            Decision::Allow if errors.is_empty() => Authorization::Permitted(ids),
            Decision::Deny if !ids.is_empty() => Authorization::Withheld(Withheld {
                reason: self.why(&deciding),
                by: ids,
                awaits_approval: false,
            }),
            Decision::Deny if errors.is_empty() => Authorization::Withheld(Withheld {
                by: vec![NOT_PERMITTED.to_owned()],
                reason: "no policy permits it".to_owned(),
                awaits_approval: false,
            }),
            _ => Authorization::Withheld(Withheld {
                by: errors.iter().map(|error| policy_of(error)).collect(),
                reason: format!(
                    "a policy that may forbid it could not be evaluated: {}",
                    errors[0]
                ),
                awaits_approval: false,
            }),
        }
    }

    fn why(&self, deciding: &[&PolicyId]) -> String {
        let reasons: Vec<_> = deciding
            .iter()
            .filter_map(|id| self.reasons.get(*id))
            .map(String::as_str)
            .collect();
        if reasons.is_empty() {
            "policy forbids it".to_owned()
        } else {
            reasons.join("; ")
        }
    }

    /// True if one of them looks at the tag of this key.
    pub(super) fn looks_at_tag(&self, key: &str) -> bool {
        let keys = self.tag_keys.as_ref();
        keys.is_none_or(|keys| keys.contains(key))
    }

    /// The user's policies and the built-in rails.
    pub(super) fn all(&self) -> impl Iterator<Item = &cedar_policy::Policy> {
        self.set.policies()
    }

    /// The user's policies, without the built-in rails.
    pub(super) fn users(&self) -> impl Iterator<Item = &cedar_policy::Policy> {
        self.all().filter(|policy| !is_rail(policy.id().as_ref()))
    }

    /// Every policy's id and whether it permits or forbids, the built-in rails' first.
    pub fn effects(&self) -> Vec<(String, Effect)> {
        let policies = self.set.policies();
        policies
            .map(|policy| (policy.id().to_string(), policy.effect()))
            .collect()
    }
}

/// True for the id of a built-in rail.
pub(super) fn is_rail(id: &str) -> bool {
    id.starts_with(RAIL)
}

/// Collects the keys of the tags that an expression looks at. False: it computes one, which may be any.
fn collect_tag_keys(expression: &Value, to: &mut BTreeSet<String>) -> bool {
    match expression {
        Value::Array(items) => items.iter().all(|item| collect_tag_keys(item, to)),
        Value::Object(members) => members.iter().all(|(member, value)| {
            if !matches!(member.as_str(), "hasTag" | "getTag") {
                return collect_tag_keys(value, to);
            }
            let key = value["right"]["Value"].as_str();
            to.extend(key.map(ToOwned::to_owned));
            key.is_some() && collect_tag_keys(&value["left"], to)
        }),
        _ => true,
    }
}

/// True for a policy that forbids by the context and the playbook alone.
fn is_outright(policy: &cedar_policy::Policy) -> bool {
    let unscoped = policy.effect() == Effect::Forbid
        && policy.action_constraint() == ActionConstraint::Any
        && policy.resource_constraint() == ResourceConstraint::Any;
    // The step's target too is of the step alone.
    unscoped
        && !mentions(policy, |key, value| match key {
            "Var" => value == "action" || value == "resource",
            "attr" => value == "target",
            _ => false,
        })
}

/// True if the conditions of a policy have such a member in Cedar's JSON format, or if they have none,
/// <https://docs.cedarpolicy.com/policies/json-format.html>.
fn mentions(policy: &cedar_policy::Policy, what: fn(&str, &Value) -> bool) -> bool {
    fn within(expression: &Value, what: fn(&str, &Value) -> bool) -> bool {
        match expression {
            Value::Array(items) => items.iter().any(|item| within(item, what)),
            Value::Object(members) => members
                .iter()
                .any(|(key, value)| what(key, value) || within(value, what)),
            _ => false,
        }
    }
    let json = policy.to_json();
    json.map_or(true, |policy| within(&policy["conditions"], what))
}

fn policy_of(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

/// Parses and checks. The warnings are of policies that can never apply and the like.
fn read(text: &str, validator: &Validator) -> Result<(PolicySet, Vec<Problem>), Vec<Problem>> {
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let errors = errors.iter();
        errors
            .map(|error| Problem::of(text, error))
            .collect::<Vec<_>>()
    })?;
    if set.num_of_templates() > 0 {
        return Err(vec![Problem::plain(
            "a policy with ?principal or ?resource is a template, and nothing would fill it in"
                .to_owned(),
        )]);
    }
    let checked = validator.validate(&set, ValidationMode::Strict);
    let problem = |found: &dyn Diagnostic| Problem::of(text, found);
    if checked.validation_passed() {
        let warnings = checked.validation_warnings();
        Ok((set, warnings.map(|warning| problem(warning)).collect()))
    } else {
        // One mistake is told of once for each kind of resource.
        let mut errors: Vec<_> = checked
            .validation_errors()
            .map(|error| problem(error))
            .collect();
        errors.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
        errors.dedup_by(|a, b| a.at.is_some() && a.at == b.at);
        Err(errors)
    }
}
