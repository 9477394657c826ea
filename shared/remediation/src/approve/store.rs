//! Storing a plan for an approver.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::config::Config;
use crate::deadline::within;
use crate::error::Error;
use crate::record::{Awaiting, Held};
use crate::report::{Approval, Proposed, Report};
use crate::session::Session;
use aws::playbook::Playbook;

/// How long storing a plan may take: the notice waits for it.
const STORING: Duration = Duration::from_secs(2);

/// The steps that a function leaves to an approver.
pub(crate) struct Waiting<'a, A> {
    /// The steps that would run.
    pub(crate) actions: &'a [A],
    /// The described world.
    pub(crate) evidence: Value,
    /// The decision: the target, and why it is contained.
    pub(crate) what: String,
}

/// Stores what waits for an approver, and has the report say how it is approved, or why it cannot be. Answers
/// a failure that a retry may not meet.
pub(crate) async fn store_for_approval<P: Playbook>(
    config: &Config,
    session: &Session<'_, P>,
    waiting: Waiting<'_, P::Action>,
    report: &mut Report,
) -> Option<Error> {
    if waiting.actions.is_empty() {
        return None;
    }
    let Some(record) = session.record else {
        report.next_steps.push(
            "contain it by hand: it cannot be approved, since there is no table to store the plan in \
             (INCIDENT_TABLE)"
                .to_owned(),
        );
        return None;
    };
    let (delivery, at) = (session.delivery, session.now());
    let steps = waiting.actions.iter().map(|action| Held {
        proposed: Proposed::new(action),
        recorded: serde_json::to_value(action).unwrap_or_default(),
    });
    let awaiting = Awaiting {
        planned_at: delivery.received_at(),
        expires_at: at.saturating_add(config.approval_lasts).unwrap_or(at),
        what: waiting.what,
        policy: config.policy.clone(),
        settings: config.settings.clone(),
        steps: steps.collect(),
    };
    let (finding, evidence) = (session.finding(), &waiting.evidence);
    let storing = record.hold(
        P::CATEGORY,
        finding,
        delivery.event,
        &awaiting,
        evidence,
        at,
    );
    let until = Instant::now() + STORING;
    match within(until, "dynamodb:UpdateItem", Box::pin(storing)).await {
        Ok(true) => {
            report.approval = Some(Approval {
                expires_at: awaiting.expires_at,
                steps: awaiting
                    .steps
                    .into_iter()
                    .map(|step| step.proposed)
                    .collect(),
            });
            None
        }
        Ok(false) => {
            report.next_steps.push(
                "no action needed: the plan was rejected, and there is no newer activity"
                    .to_owned(),
            );
            None
        }
        Err(error) => {
            tracing::error!(%error, "the plan was not stored, so nobody can approve it");
            report.next_steps.push(format!(
                "contain it by hand: it cannot be approved, since the plan was not stored: {error}"
            ));
            Some(error).filter(Error::is_transient)
        }
    }
}
