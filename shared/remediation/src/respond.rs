//! The flow: from an event to a report. The only function that calls all the others.

use std::io::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::execute::{Execution, execute, within};
use crate::finding::Finding;
use crate::guidance;
use crate::notify;
use crate::playbook::Playbook;
use crate::policy::{Decision, decide};
use crate::report::{Report, Status, StepReport};

/// What is kept of an invocation's time for the notice, after containment.
const RESERVE: Duration = Duration::from_secs(10);

/// A function: its settings and clients, built once at start.
#[derive(Debug)]
pub struct Responder<P> {
    playbook: P,
    config: Config,
    sns: aws_sdk_sns::Client,
}

impl<P: Playbook> Responder<P> {
    /// A responder that notifies through `sdk`, with the settings of the environment.
    pub fn from_env(playbook: P, sdk: &SdkConfig) -> Self {
        let config = Config::from_env();
        for problem in &config.problems {
            tracing::error!(problem, "setting");
        }
        Self::new(playbook, config, aws_sdk_sns::Client::new(sdk))
    }

    /// A responder with these settings and this client for notices.
    pub fn new(playbook: P, config: Config, sns: aws_sdk_sns::Client) -> Self {
        Self {
            playbook,
            config,
            sns,
        }
    }

    /// Answers an event: decides, contains, reads back, logs and notifies.
    ///
    /// `now` is when the event came in, `time_left` what the invocation may still take.
    ///
    /// # Errors
    /// A transient failure that is left after everything that could be done was done and reported,
    /// so that Lambda tries again. Any other failure is an answer: a [`Report`] that says so.
    pub async fn respond(
        &self,
        event: Value,
        now: Timestamp,
        time_left: Duration,
    ) -> Result<Report> {
        let until = Instant::now() + time_left.saturating_sub(RESERVE);
        let (mut report, mut transient) = match self.assess(&event) {
            Ok((finding, decision)) => self.act(&finding, decision, now, until).await,
            Err(error) => {
                let report = self.malformed(&event, &error);
                log(&report);
                return Ok(report);
            }
        };
        if report.status() != Status::Ignored
            && let Err(error) = self.notify(&report).await
        {
            tracing::error!(%error, "the notice was not published");
            report.next_steps.push(format!(
                "tell the person on call, who was not notified: {error}"
            ));
            if error.is_transient() {
                transient.get_or_insert(error);
            }
        }
        log(&report);
        transient.map_or(Ok(report), Err)
    }

    fn assess(&self, event: &Value) -> Result<(Finding, Decision)> {
        let finding = Finding::parse(event)?;
        let decision = decide(P::CATEGORY, &finding, &self.config.policy)?;
        Ok((finding, decision))
    }

    async fn act(
        &self,
        finding: &Finding,
        decision: Decision,
        now: Timestamp,
        until: Instant,
    ) -> (Report, Option<Error>) {
        let dry_run = self.config.policy.is_dry_run(finding);
        match decision {
            Decision::Ignore(why) => (Report::ignored(P::CATEGORY, finding, why, dry_run), None),
            Decision::Notify(why) => {
                let mut report = Report::notified(P::CATEGORY, finding, why, dry_run);
                report.next_steps = guidance::next_steps(P::CATEGORY, finding);
                (report, None)
            }
            Decision::Contain(what) => self.contain(finding, what, dry_run, now, until).await,
        }
    }

    async fn contain(
        &self,
        finding: &Finding,
        what: String,
        dry_run: bool,
        now: Timestamp,
        until: Instant,
    ) -> (Report, Option<Error>) {
        let state = match within(until, "observing", self.playbook.observe(finding)).await {
            Ok(state) => state,
            Err(error) => {
                let mut report = Report::unobserved(P::CATEGORY, finding, &error, dry_run);
                report.next_steps = guidance::next_steps(P::CATEGORY, finding);
                return (report, Some(error).filter(Error::is_transient));
            }
        };
        let plan = P::plan(finding, &state, &self.config.settings, now);
        let done = if dry_run {
            Execution {
                steps: plan.steps.iter().map(StepReport::unexecuted).collect(),
                transient: None,
                residual_risks: plan.residual_risks,
                next_steps: plan.next_steps,
            }
        } else {
            execute(
                &self.playbook,
                finding,
                plan,
                &self.config.settings,
                now,
                until,
            )
            .await
        };
        let mut report = Report::concluded(P::CATEGORY, finding, what, dry_run, done.steps);
        report.residual_risks = done.residual_risks;
        report.next_steps = done.next_steps;
        report
            .next_steps
            .extend(guidance::next_steps(P::CATEGORY, finding));
        (report, done.transient)
    }

    /// No call is made for an event that is not a finding, not even for a notice: whoever can
    /// invoke the function could page people with it. The log line raises the stack's alarm.
    fn malformed(&self, event: &Value, error: &Error) -> Report {
        tracing::error!(%error, "malformed event");
        Report::malformed(P::CATEGORY, event, error, self.config.policy.dry_run)
    }

    async fn notify(&self, report: &Report) -> Result<()> {
        let Some(topic) = self.config.topic_arn.as_deref() else {
            return Err(Error::Refused(
                "NOTIFICATION_TOPIC_ARN is not set".to_owned(),
            ));
        };
        notify::publish(&self.sns, topic, &notify::render(report)).await
    }
}

/// Writes the report as one line of its own: it is the record, and a metric filter reads it.
fn log(report: &Report) {
    let line = report.to_line();
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        tracing::error!(%error, line, "the report could not be written to standard output");
    }
}

#[cfg(test)]
mod tests;
