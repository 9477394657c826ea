//! One finding at work, from the claim on its targets to the end of the claim.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::timeout_at;

use crate::claims::Claims;
use crate::config::Config;
use crate::deadline::within;
use crate::decision::ResponseSettings;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::finding::Finding;
use crate::history::EventHistory;
use crate::inquiry::Inquiry;
use crate::investigation::{Investigation, from_finding};
use crate::plan::Plan;
use crate::policy_parameter::PolicyParameter;
use crate::record::{IncidentStore, Intent};
use crate::settings::Settings;
use crate::slots::FallbackQuota;
use crate::verify::Verifier;
use aws::playbook::Playbook;

/// The clients and settings of a function that a session may use.
pub(crate) struct Services<'a> {
    pub(crate) config: &'a Config,
    pub(crate) policies: &'a PolicyParameter,
    pub(crate) history: Option<&'a EventHistory>,
    pub(crate) verifier: Option<&'a Verifier>,
    pub(crate) alone: &'a FallbackQuota,
}

impl<'a> Services<'a> {
    /// The rules of the function.
    pub(crate) fn rules(&self, dry_run: bool) -> Rules<'a> {
        Rules {
            policy: &self.config.policy,
            settings: &self.config.settings,
            history: self.history,
            dry_run,
        }
    }
}

/// The settings that a plan is made and authorized by.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) policy: &'a ResponseSettings,
    pub(crate) settings: &'a Settings,
    pub(crate) history: Option<&'a EventHistory>,
    pub(crate) dry_run: bool,
}

/// One finding at work: the playbook for its targets, and the claims on them.
pub(crate) struct Session<'a, P> {
    pub(crate) playbook: &'a P,
    pub(crate) record: Option<&'a IncidentStore>,
    pub(crate) delivery: &'a Delivery<'a>,
    pub(crate) claims: Claims,
    /// The finding as GuardDuty has it, if it was asked; and with what CloudTrail shows, if that is newer.
    verified: Option<Box<Finding>>,
}

impl<'a, P: Playbook> Session<'a, P> {
    /// A session that has claimed nothing.
    pub(crate) fn new(
        playbook: &'a P,
        record: Option<&'a IncidentStore>,
        delivery: &'a Delivery<'a>,
    ) -> Self {
        Self {
            playbook,
            record,
            delivery,
            claims: Claims::default(),
            verified: None,
        }
    }

    /// The finding that is enforced.
    pub(crate) fn finding(&self) -> &Finding {
        self.verified.as_deref().unwrap_or(self.delivery.finding)
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.delivery.now()
    }

    /// Enforces the finding as GuardDuty has it.
    pub(crate) fn enforce(&mut self, mut verified: Box<Finding>) {
        verified.see_marks(self.delivery.finding.marks_seen_at());
        self.verified = Some(verified);
    }

    /// True if GuardDuty has confirmed the finding.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified.is_some()
    }

    /// Enforces the finding as one whose activity goes on until this time at least, by what CloudTrail shows.
    pub(crate) fn extend_activity(&mut self, seen: Timestamp) {
        let delivered = || Finding::parse(self.delivery.event).ok().map(Box::new);
        if let Some(mut finding) = self.verified.take().or_else(delivered) {
            finding.go_on_until(seen);
            self.enforce(finding);
        }
    }

    /// Claims targets, if there is a record.
    pub(crate) async fn claim(&mut self, targets: Result<Vec<String>>) {
        if let Some(record) = self.record {
            let (claims, delivery) = (&mut self.claims, self.delivery);
            claims.claim(record, P::CATEGORY, delivery, targets).await;
        }
    }

    /// The intent to carry out `plan`, which was made of `state`.
    pub(crate) fn intent(
        &self,
        state: &P::State,
        plan: &Plan<P::Action>,
        rules: &Rules<'_>,
    ) -> Intent {
        Intent {
            received_at: self.delivery.received_at(),
            evidence: P::evidence(state),
            settings: rules.settings.clone(),
            actions: plan.recorded_actions(),
            completes: false,
            approved: None,
            invocation: self.delivery.invocation.to_owned(),
        }
    }

    /// Collects the evidence that takes time, or why there is none.
    pub(crate) async fn collect(&self, state: &P::State) -> Value {
        let collecting = Box::pin(self.playbook.collect(self.finding(), state));
        let collected = within(self.delivery.deadline, "collecting evidence", collecting).await;
        collected.unwrap_or_else(|error| json!({ "error": error.to_string() }))
    }
}

/// The answers of the finding itself and of `playbook`. `state`: as observed before containing, if it was.
pub(crate) async fn investigate<P: Playbook>(
    playbook: &P,
    inquiry: &Inquiry<'_>,
    state: Option<&P::State>,
) -> Investigation {
    let mut investigation = from_finding(inquiry.finding);
    let work = Box::pin(playbook.investigate(inquiry, state));
    match timeout_at(inquiry.until, work).await {
        Ok(found) => investigation.merge(inquiry.finding, found),
        Err(_) => investigation.leads.push(
            "look into the finding yourself: the investigation did not end in the time allowed"
                .to_owned(),
        ),
    }
    investigation
        .answers
        .sort_by_key(|answer| answer.question());
    investigation
}
