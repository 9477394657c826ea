//! What a role is granted, piece by piece.

use integration_tests::Result;
use serde_json::{Value, json};

use crate::privilege::authority::{Judge, Role};
use crate::privilege::calls::Check;

/// One action of one statement. Where two statements of a role say the same of an action, that is one
/// grant: taking it away takes it out of both.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grant {
    pub(crate) function: &'static str,
    pub(crate) action: String,
    resource: Value,
    condition: Value,
}

/// The grants of a function's role.
pub(crate) fn of(function: &'static str, role: &Role) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    for statement in role.policies.iter().flat_map(statements) {
        for action in actions(statement) {
            let grant = Grant {
                function,
                action: action.to_owned(),
                resource: statement["Resource"].clone(),
                condition: statement["Condition"].clone(),
            };
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
    }
    grants
}

impl Grant {
    /// The role without it.
    pub(crate) fn taken_from(&self, role: &Role) -> Role {
        let mut role = role.clone();
        for document in &mut role.policies {
            let Some(all) = document["Statement"].as_array_mut() else {
                continue;
            };
            for statement in all.iter_mut().filter(|statement| self.is_of(statement)) {
                let left: Vec<_> = actions(statement)
                    .into_iter()
                    .filter(|action| *action != self.action)
                    .map(str::to_owned)
                    .collect();
                statement["Action"] = json!(left);
            }
            all.retain(|statement| statement["Action"] != json!([]));
        }
        role
    }

    fn is_of(&self, statement: &Value) -> bool {
        statement["Effect"] == "Allow"
            && statement["Resource"] == self.resource
            && statement["Condition"] == self.condition
    }

    /// Whether it allows this, by itself.
    pub(crate) fn allows(&self, judge: &Judge, role: &Role, check: &Check) -> Result<bool> {
        if self.action != check.action {
            return Ok(false);
        }
        let mut statement =
            json!({ "Effect": "Allow", "Action": self.action, "Resource": self.resource });
        if !self.condition.is_null() {
            statement["Condition"] = self.condition.clone();
        }
        let alone = Role {
            policies: vec![json!({ "Statement": [statement] })],
            ..role.clone()
        };
        judge.allows(&alone, check)
    }

    /// In words, with the resources where the action alone does not tell.
    pub(crate) fn name(&self) -> String {
        format!("{} {} on {}", self.function, self.action, self.resource)
    }
}

fn statements(document: &Value) -> impl Iterator<Item = &Value> {
    let statements = document["Statement"].as_array().into_iter().flatten();
    statements.filter(|statement| statement["Effect"] == "Allow")
}

fn actions(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
        action => action.as_str().into_iter().collect(),
    }
}
