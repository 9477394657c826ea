//! One write of one item: its expressions, and the placeholders in them.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{Item, text};
use crate::error::{CallContext as _, Result};

/// A write of one item. The value of an attribute has the attribute's name as its placeholder. A name that begins with
/// `#` replaces a word that DynamoDB reserves,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>.
#[must_use]
pub(super) struct Write<'a> {
    call: UpdateItemFluentBuilder,
    table: &'a str,
    set: Vec<String>,
    removed: Vec<String>,
}

impl<'a> Write<'a> {
    pub(super) fn new(call: UpdateItemFluentBuilder, table: &'a str) -> Self {
        Self {
            call,
            table,
            set: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// Sets an attribute to a text.
    pub(super) fn set(self, name: &str, value: impl ToString) -> Self {
        self.set_value(name, text(value.to_string()))
    }

    /// Sets an attribute.
    pub(super) fn set_value(mut self, name: &str, value: AttributeValue) -> Self {
        let placeholder = placeholder(name);
        self.set.push(format!("{name} = {placeholder}"));
        self.known(name).value(&placeholder, value)
    }

    /// Sets an attribute to a text unless it is there.
    pub(super) fn set_once(mut self, name: &str, value: impl ToString) -> Self {
        let placeholder = placeholder(name);
        self.set
            .push(format!("{name} = if_not_exists({name}, {placeholder})"));
        self.known(name)
            .value(&placeholder, text(value.to_string()))
    }

    /// Sets a part of an attribute, by an expression whose placeholders are given beside.
    pub(super) fn set_by(mut self, expression: String) -> Self {
        self.set.push(expression);
        self
    }

    /// Removes attributes.
    pub(super) fn remove<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.removed.extend(names.into_iter().map(Into::into));
        self
    }

    /// Writes only where the condition holds.
    pub(super) fn when(mut self, condition: impl Into<String>) -> Self {
        self.call = self.call.condition_expression(condition);
        self
    }

    /// Gives the name behind `alias`.
    pub(super) fn name(mut self, alias: &str, name: impl Into<String>) -> Self {
        self.call = self.call.expression_attribute_names(alias, name);
        self
    }

    /// Gives the value of a placeholder.
    pub(super) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.call = self.call.expression_attribute_values(placeholder, value);
        self
    }

    /// A name with `#` is the word after it, unless [`Write::name`] gave another.
    fn known(self, name: &str) -> Self {
        let names = self.call.get_expression_attribute_names();
        match name.strip_prefix('#') {
            Some(word) if names.as_ref().is_none_or(|it| !it.contains_key(name)) => {
                self.name(name, word)
            }
            _ => self,
        }
    }

    /// A refused write brings the item as it was then.
    pub(super) fn keeping_the_refused(mut self) -> Self {
        let all = ReturnValuesOnConditionCheckFailure::AllOld;
        self.call = self.call.return_values_on_condition_check_failure(all);
        self
    }

    /// The call.
    pub(super) fn call(self) -> UpdateItemFluentBuilder {
        let clauses = [("SET", self.set), ("REMOVE", self.removed)].into_iter();
        let clauses = clauses.filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<_> = clauses
            .map(|(verb, parts)| format!("{verb} {}", parts.join(", ")))
            .collect();
        self.call.update_expression(clauses.join(" "))
    }

    /// Writes. The item is as `returned`.
    pub(super) async fn send_for(self, returned: ReturnValue) -> Result<Item> {
        let table = self.table;
        let done = self.call().return_values(returned).send().await;
        let done = done.during("dynamodb:UpdateItem", table)?;
        Ok(done.attributes.unwrap_or_default())
    }

    /// Writes.
    pub(super) async fn send(self) -> Result<()> {
        let table = self.table;
        let done = self.call().send().await;
        done.during("dynamodb:UpdateItem", table).map(drop)
    }
}

/// `Ok(None)` where the condition of a write did not hold.
pub(super) fn if_met<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Err(error) if error.has_code("ConditionalCheckFailedException") => Ok(None),
        done => done.map(Some),
    }
}

fn placeholder(name: &str) -> String {
    format!(":{}", name.trim_start_matches('#'))
}
