//! The flow: from an event to a report. The only function that calls all the others.

use std::io::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::contain::{Contained, Incoming, contain, rehearse, target_state, unobserved};
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::guidance;
use crate::notify;
use crate::playbook::Playbook;
use crate::policy::{Decision, decide};
use crate::recheck::Recheck;
use crate::record::Record;
use crate::report::{Report, Status};
use crate::verify::Verifier;

/// What is kept of an invocation's time for the record and the notice, after containment.
const RESERVE: Duration = Duration::from_secs(10);

/// A function: its settings and clients, built once at start.
#[derive(Debug)]
pub struct Responder<P> {
    playbook: P,
    config: Config,
    sns: aws_sdk_sns::Client,
    accounts: Option<Accounts<P>>,
    verifier: Option<Verifier>,
    record: Option<Record>,
    recheck: Option<Recheck>,
}

/// One invocation of a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, the same when Lambda retries it.
    pub id: String,
    /// When it came in.
    pub now: Timestamp,
    /// What it may still take.
    pub time_left: Duration,
    /// How many looks at this containment this is, if it is not the first time.
    pub look: Option<usize>,
}

impl<P: Playbook> Responder<P> {
    /// A responder whose playbooks `build` makes, with the settings of the environment. The record,
    /// the notices and the rest of the function's own are called with `sdk`.
    pub fn from_env(build: fn(&SdkConfig) -> P, sdk: &SdkConfig) -> Self
    where
        P: 'static,
    {
        let config = Config::from_env();
        for problem in &config.problems {
            tracing::error!(problem, "setting");
        }
        let record = config
            .incident_table
            .clone()
            .map(|table| Record::new(aws_sdk_dynamodb::Client::new(sdk), table));
        let recheck = config
            .recheck_queue_url
            .clone()
            .map(|url| Recheck::new(aws_sdk_sqs::Client::new(sdk), url));
        let sns = aws_sdk_sns::Client::new(sdk);
        let sts = aws_sdk_sts::Client::new(sdk);
        let accounts = Accounts::new(build, sdk, sts, config.hub.clone(), &config.settings);
        let verifier = config.verify_findings.then(|| Verifier::new(sdk));
        Self {
            accounts: Some(accounts),
            verifier,
            record,
            recheck,
            ..Self::new(build(sdk), config, sns)
        }
    }

    /// A responder with these settings and this client for notices, without a record.
    pub fn new(mut playbook: P, config: Config, sns: aws_sdk_sns::Client) -> Self {
        playbook.configure(&config.settings);
        Self {
            playbook,
            config,
            sns,
            accounts: None,
            verifier: None,
            record: None,
            recheck: None,
        }
    }

    /// The same, recording in `record`.
    #[must_use]
    pub fn recording(self, record: Record) -> Self {
        Self {
            record: Some(record),
            ..self
        }
    }

    /// The same, acting in `accounts`.
    #[must_use]
    pub fn across(self, accounts: Accounts<P>) -> Self {
        Self {
            accounts: Some(accounts),
            ..self
        }
    }

    /// The same, enforcing only what `verifier` finds to be so.
    #[must_use]
    pub fn verifying(self, verifier: Verifier) -> Self {
        Self {
            verifier: Some(verifier),
            ..self
        }
    }

    /// The same, having containments looked at again through `recheck`.
    #[must_use]
    pub fn rechecking(self, recheck: Recheck) -> Self {
        Self {
            recheck: Some(recheck),
            ..self
        }
    }

    /// Answers an event: decides, contains, reads back, records, notifies and logs.
    ///
    /// # Errors
    /// A transient failure that is left after everything that could be done was done and reported,
    /// so that Lambda tries again. Any other failure is an answer: a [`Report`] that says so.
    pub async fn respond(&self, event: Value, invocation: &Invocation) -> Result<Report> {
        let (finding, decision) = match self.assess(&event) {
            Ok(assessed) => assessed,
            Err(error) => {
                let report = self.malformed(&event, &error);
                log(&report);
                return Ok(report);
            }
        };
        let started = Instant::now();
        let incoming = Incoming {
            event: &event,
            finding: &finding,
            invocation: &invocation.id,
            now: invocation.now,
            started,
            until: started + invocation.time_left.saturating_sub(RESERVE),
            look: invocation.look,
        };
        let Contained {
            mut report,
            mut transient,
            collected,
            claims,
        } = Box::pin(self.act(&incoming, decision)).await;
        if report.status() != Status::Ignored {
            for error in self.tell(&incoming, &mut report, &collected).await {
                if error.is_transient() {
                    transient.get_or_insert(error);
                }
            }
        }
        if let Some(record) = &self.record {
            for claim in &claims {
                let state = target_state(report.status());
                if let Err(error) = record.give_back(claim, state, incoming.clock()).await {
                    tracing::error!(%error, "the claim on a target was not given back and ends by its time");
                }
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

    async fn act(&self, incoming: &Incoming<'_>, decision: Decision) -> Contained {
        let finding = incoming.finding;
        let dry_run = self.config.policy.is_dry_run(finding);
        let what = match decision {
            Decision::Contain(what) => what,
            Decision::Ignore(why) => {
                let report = Report::ignored(P::CATEGORY, finding, why, dry_run);
                return Contained::just(report, None);
            }
            Decision::Notify(why) => {
                let mut report = Report::notified(P::CATEGORY, finding, why, dry_run);
                report.next_steps = guidance::next_steps(P::CATEGORY, finding);
                return Contained::just(report, None);
            }
        };
        let elsewhere = match &self.accounts {
            None => None,
            Some(accounts) => {
                let time_left = incoming.until.saturating_duration_since(incoming.started);
                let playbook = accounts.playbook(finding, incoming.now, time_left);
                match within(incoming.until, "sts:AssumeRole", playbook).await {
                    Ok(elsewhere) => elsewhere,
                    Err(error) => return unobserved::<P>(finding, &error, dry_run),
                }
            }
        };
        let (playbook, remark) = match &elsewhere {
            Some(elsewhere) => (&*elsewhere.playbook, elsewhere.remark.clone()),
            None => (&self.playbook, None),
        };
        let mut done = if dry_run {
            rehearse(playbook, &self.config, incoming, what).await
        } else {
            let (record, verifier) = (self.record.as_ref(), self.verifier.as_ref());
            contain(playbook, &self.config, record, verifier, incoming, what).await
        };
        done.report.next_steps.extend(remark);
        done
    }

    /// Records the report, notifies people if it is news, and has the containment looked at again.
    /// Returns what failed, which the report then says too.
    async fn tell(
        &self,
        incoming: &Incoming<'_>,
        report: &mut Report,
        collected: &Value,
    ) -> Vec<Error> {
        let Incoming {
            event,
            finding,
            look,
            ..
        } = *incoming;
        let mut failures = Vec::new();
        if report.status() == Status::Contained
            && let Some(recheck) = &self.recheck
            && let Err(error) = recheck.schedule(event, look.unwrap_or_default()).await
        {
            report.next_steps.push(format!(
                "look again whether the containment stands: {error}"
            ));
            failures.push(error);
        }
        let mut news = true;
        let mut recorded = false;
        if let Some(record) = &self.record {
            match record
                .conclude(finding, event, report, collected, incoming.clock())
                .await
            {
                Ok(before) => {
                    recorded = true;
                    news = is_news(before.notified.as_deref(), report);
                }
                Err(error) => {
                    tracing::error!(%error, "not recorded: the line of the report is the record");
                    report.next_steps.push(format!(
                        "keep the log: the incident was not recorded: {error}"
                    ));
                    failures.push(error);
                }
            }
        }
        if !news {
            return failures;
        }
        match self.notify(report).await {
            Err(error) => {
                tracing::error!(%error, "the notice was not published");
                let next = format!("tell the person on call, who was not notified: {error}");
                report.next_steps.push(next);
                failures.push(error);
            }
            Ok(()) => {
                if let Some(record) = self.record.as_ref().filter(|_| recorded) {
                    let (id, status) = (report.finding_id(), report.status());
                    if let Err(error) = record.mark_notified(id, P::CATEGORY, status).await {
                        tracing::error!(%error, "people may be notified again");
                    }
                }
            }
        }
        failures
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

/// People are told once of each status, not once of each delivery.
fn is_news(told: Option<&str>, report: &Report) -> bool {
    let contained = [
        Status::Contained.as_str(),
        Status::AlreadyContained.as_str(),
    ];
    let again = told == Some(report.status().as_str());
    let still = report.status() == Status::AlreadyContained
        && told.is_some_and(|told| contained.contains(&told));
    report.undone() || !(again || still)
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
