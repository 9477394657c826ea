//! The functions' words about a finding in Security Hub's one note of it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;

use super::write::if_met;
use super::{IncidentStore, number};
use crate::error::Result;

/// The prefix of the keys of these items.
const SECURITY_HUB: &str = "SECURITYHUB#";
/// The prefixes of the attributes with the words of a function, and with their time.
const SAID: &str = "said:";
const SAID_AT: &str = "said_at:";

impl IncidentStore {
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
            .name("#said", format!("{SAID}{from}"))
            .name("#at", format!("{SAID_AT}{from}"))
            .set("#said", words)
            .set_value("#at", number(at))
            .when("attribute_not_exists(#at) OR #at <= :at")
            .send_for(ReturnValue::AllNew);
        let Some(item) = if_met(said.await)? else {
            return Ok(None);
        };
        let said = item.iter().filter_map(|(name, value)| {
            let from = name.strip_prefix(SAID)?;
            Some((from.to_owned(), value.as_s().ok()?.clone()))
        });
        Ok(Some(said.collect()))
    }
}
