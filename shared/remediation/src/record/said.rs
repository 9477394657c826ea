//! The functions' words about a finding in Security Hub's one note of it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;

use super::{Record, number, text};
use crate::error::{CallContext, Result};

/// The prefix of the keys of these items.
const SECURITY_HUB: &str = "SECURITYHUB#";
/// The prefixes of the attributes with the words of a function, and with their time.
const SAID: &str = "said:";
const SAID_AT: &str = "said_at:";

impl Record {
    /// Keeps the words of `from` about a finding at that time, and answers the last words of each function. `None`: it
    /// has newer words. Words without a time count only where there are none.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn say(
        &self,
        finding_arn: &str,
        from: &str,
        words: &str,
        at: Option<Timestamp>,
    ) -> Result<Option<BTreeMap<String, String>>> {
        let at = at.map_or(0, Timestamp::as_millisecond);
        let said = self
            .update(format!("{SECURITY_HUB}{finding_arn}"), "said")
            .update_expression("SET #said = :words, #at = :at")
            .condition_expression("attribute_not_exists(#at) OR #at <= :at")
            .expression_attribute_names("#said", format!("{SAID}{from}"))
            .expression_attribute_names("#at", format!("{SAID_AT}{from}"))
            .expression_attribute_values(":words", text(words))
            .expression_attribute_values(":at", number(at))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table);
        let item = match said {
            Err(error) if error.has_code("ConditionalCheckFailedException") => return Ok(None),
            said => said?.attributes.unwrap_or_default(),
        };
        let said = item.iter().filter_map(|(name, value)| {
            let from = name.strip_prefix(SAID)?;
            Some((from.to_owned(), value.as_s().ok()?.clone()))
        });
        Ok(Some(said.collect()))
    }
}
