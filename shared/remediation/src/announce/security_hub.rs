//! Telling Security Hub what an invocation before left for it.

use std::io::Write as _;

use jiff::Timestamp;

use crate::category::Category;
use crate::error::{Error, Result};
use crate::metrics;
use crate::notify::Channel;
use crate::notify::security_hub::{Update, Updated};
use crate::responder::Responder;
use aws::playbook::Playbook;

impl<P: Playbook> Responder<P> {
    /// Tells Security Hub what an invocation before left for it.
    ///
    /// # Errors
    /// If a later attempt may do it, so that the queue gives it again.
    pub async fn update(&self, update: &Update, now: Timestamp) -> Result<Updated> {
        // The category is a constant, so that no other function has the code.
        let done = match &self.security_hub {
            Some(hub) if P::CATEGORY == Category::Triage => {
                Box::pin(hub.update(update, self.record.as_ref())).await
            }
            _ => Err(Error::Refused(
                "only triage updates Security Hub".to_owned(),
            )),
        };
        let Err(error) = done else {
            return Ok(Updated::new(update, None));
        };
        if error.is_transient() && !update.is_last() {
            return Err(error);
        }
        tracing::error!(%error, "Security Hub was not updated");
        let told = format!("{}: {error}", Channel::SecurityHub.instead());
        if let Some(namespace) = &self.config.metrics_namespace {
            let line = metrics::notice_failed(&told, namespace, now);
            if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
                tracing::error!(%error, line, "the metric could not be written to standard output");
            }
        }
        Ok(Updated::new(update, Some(told)))
    }
}
