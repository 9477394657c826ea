//! The flow: from an event to a report. The only function that calls all the others.

use std::io::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::accounts::{Accounts, Elsewhere};
use crate::aws;
use crate::breaker::{Alone, Page};
use crate::catalogue::Category;
use crate::config::Config;
use crate::contain::{
    Contained, Incoming, Means, contain, notified, rehearse, target_state, unobserved,
};
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::{Finding, printable};
use crate::guard::{DEFAULT, EventHistory, Gate, Guard, Guards, PolicyParameter};
use crate::guidance;
use crate::hand_over::{self, HandOver};
use crate::metrics::{self, Measured};
use crate::notify;
use crate::playbook::Playbook;
use crate::policy::{Decision, decide};
use crate::recheck::Recheck;
use crate::record::{Record, Recorded, TargetState};
use crate::report::{Report, Status};
use crate::verify::Verifier;

/// What is kept of an invocation's time for the record and the notice, after containment.
const RESERVE: Duration = Duration::from_secs(10);

/// A function: its settings and clients, built once at start.
#[derive(Debug)]
pub struct Responder<P> {
    playbook: P,
    config: Config,
    guards: Guards,
    sns: aws_sdk_sns::Client,
    accounts: Option<Accounts<P>>,
    verifier: Option<Verifier>,
    record: Option<Record>,
    recheck: Option<Recheck>,
    hand_over: Option<HandOver>,
    alone: Alone,
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
        if record.is_none() && P::CATEGORY != Category::Triage {
            tracing::warn!(
                "INCIDENT_TABLE is not set: the breaker is off, nothing limits containments"
            );
        }
        let recheck = config
            .recheck_queue_url
            .clone()
            .map(|url| Recheck::new(aws_sdk_sqs::Client::new(sdk), url));
        // No other function hands anything over, whatever its environment says.
        let functions = config.hand_over.clone();
        let hand_over = functions
            .filter(|_| P::CATEGORY == Category::Triage)
            .map(|functions| HandOver::new(aws_sdk_lambda::Client::new(sdk), functions));
        let policies = match &config.policy_parameter {
            Some(name) => PolicyParameter::new(aws_sdk_ssm::Client::new(sdk), name.clone()),
            None => {
                PolicyParameter::fixed(Guard::unusable("POLICY_PARAMETER is not set".to_owned()))
            }
        };
        let sns = aws_sdk_sns::Client::new(sdk);
        let sts = aws_sdk_sts::Client::new(sdk);
        let accounts = Accounts::new(build, sdk, sts, config.hub.clone(), &config.settings);
        let verifier = config.verify_findings.then(|| Verifier::new(sdk));
        Self {
            accounts: Some(accounts),
            verifier,
            record,
            recheck,
            hand_over,
            guards: Guards {
                policies,
                history: Some(EventHistory::new(sdk)),
            },
            ..Self::new(build(sdk), config, sns)
        }
    }

    /// A responder with these settings, the default policies and this client for notices, without a
    /// record.
    pub fn new(mut playbook: P, config: Config, sns: aws_sdk_sns::Client) -> Self {
        playbook.configure(&config.settings);
        Self {
            playbook,
            config,
            guards: Guards {
                policies: PolicyParameter::fixed(Guard::new(DEFAULT)),
                history: None,
            },
            sns,
            accounts: None,
            verifier: None,
            record: None,
            recheck: None,
            hand_over: None,
            alone: Alone::default(),
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

    /// The same, asking these.
    #[must_use]
    pub fn guarded(self, guards: Guards) -> Self {
        Self { guards, ..self }
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

    /// The same, handing the parts of attack sequences over through `hand_over`.
    #[must_use]
    pub fn handing_over(self, hand_over: HandOver) -> Self {
        Self {
            hand_over: Some(hand_over),
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
                self.log(&report, None, &Measured::default(), invocation.now);
                return Ok(report);
            }
        };
        let (started, requests) = (Instant::now(), aws::requests());
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
            decided,
            contained,
            refused,
        } = Box::pin(self.act(&incoming, decision)).await;
        // Whoever sent a drill waits for the record of it.
        if report.status() != Status::Ignored || finding.is_drill() {
            let told = self.tell(&incoming, &mut report, &collected, refused);
            for error in Box::pin(told).await {
                if error.is_transient() {
                    transient.get_or_insert(error);
                }
            }
        }
        if let Some(record) = &self.record {
            for claim in &claims {
                let withheld = refused.map(|_| TargetState::Withheld);
                let state = target_state(report.status()).or(withheld);
                if let Err(error) = record.give_back(claim, state, incoming.clock()).await {
                    tracing::error!(%error, "the claim on a target was not given back and ends by its time");
                }
            }
        }
        let measured = Measured {
            decided: decided.or(Some(incoming.now)),
            contained,
            requests: aws::requests().saturating_sub(requests),
        };
        self.log(&report, Some(&finding), &measured, incoming.clock());
        transient.map_or(Ok(report), Err)
    }

    /// Answers what is no JSON that can be read, for this reason.
    pub(crate) fn unreadable(&self, problem: &str, now: Timestamp) -> Report {
        let error = Error::malformed("event", format!("cannot be read: {}", printable(problem)));
        let report = self.malformed(&Value::Null, &error);
        self.log(&report, None, &Measured::default(), now);
        report
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
            Decision::Notify(why)
                if P::CATEGORY == Category::Triage && finding.is_attack_sequence() =>
            {
                return self.unfold(incoming, why).await;
            }
            Decision::Notify(why) => return self.leave(incoming, why, dry_run).await,
        };
        if let Some(why) = self.forbidden(incoming, dry_run) {
            return self.leave(incoming, why, dry_run).await;
        }
        let elsewhere = match self.elsewhere(incoming).await {
            Ok(elsewhere) => elsewhere,
            Err(error) => return unobserved::<P>(finding, &error, dry_run),
        };
        let there = elsewhere.as_ref();
        let history = there.map(|there| EventHistory::new(&there.sdk));
        let means = Means {
            playbook: there.map_or(&self.playbook, |there| &*there.playbook),
            config: &self.config,
            policies: &self.guards.policies,
            history: history.as_ref().or(self.guards.history.as_ref()),
            record: self.record.as_ref(),
            verifier: self.verifier.as_ref(),
            alone: &self.alone,
        };
        let mut done = if dry_run {
            rehearse(&means, incoming, what).await
        } else {
            contain(&means, incoming, what).await
        };
        let remark = elsewhere.and_then(|elsewhere| elsewhere.remark);
        done.report.next_steps.extend(remark);
        done
    }

    /// Leaves the finding to a person, for this reason, and tells what can be found out.
    async fn leave(&self, incoming: &Incoming<'_>, why: String, dry_run: bool) -> Contained {
        let mut unreached = None;
        let elsewhere = if self.is_foreign(incoming.finding) {
            None
        } else {
            self.elsewhere(incoming).await.unwrap_or_else(|error| {
                unreached = Some(format!("look yourself, nothing was asked there: {error}"));
                None
            })
        };
        let playbook = match &elsewhere {
            Some(there) => Some(&*there.playbook),
            None if unreached.is_some() || self.is_foreign(incoming.finding) => None,
            None => Some(&self.playbook),
        };
        let mut report = notified(playbook, incoming, why, dry_run).await;
        report.next_steps.extend(unreached);
        Contained::just(report, None)
    }

    /// True for a finding of an account in which the function has no role: asking in its own account
    /// instead would answer about others of the same names.
    fn is_foreign(&self, finding: &Finding) -> bool {
        let own = match &self.config.hub {
            Some(hub) if P::CATEGORY == Category::Triage => hub.account.as_ref(),
            Some(_) => None,
            None => self.config.policy.own_account.as_ref(),
        };
        own.is_some_and(|own| *own != finding.account_id)
    }

    /// What acts in the finding's account and Region, if the function's own playbook does not.
    async fn elsewhere(&self, incoming: &Incoming<'_>) -> Result<Option<Elsewhere<P>>> {
        let Some(accounts) = &self.accounts else {
            return Ok(None);
        };
        let time_left = incoming.until.saturating_duration_since(incoming.started);
        let playbook = accounts.playbook(incoming.finding, incoming.now, time_left);
        within(incoming.until, "sts:AssumeRole", playbook).await
    }

    /// Tells of an attack sequence, and hands its parts over.
    async fn unfold(&self, incoming: &Incoming<'_>, why: String) -> Contained {
        let (finding, policy) = (incoming.finding, &self.config.policy);
        let unfolded = hand_over::unfold(self.hand_over.as_ref(), policy, incoming).await;
        let reason = format!("{why}; {}", unfolded.summary);
        let dry_run = policy.is_dry_run(finding);
        let mut report = Report::notified(P::CATEGORY, finding, reason, dry_run);
        report.sequence = unfolded.outline;
        report.next_steps = unfolded.next_steps;
        report
            .next_steps
            .extend(guidance::next_steps(P::CATEGORY, finding));
        Contained::just(report, unfolded.transient)
    }

    /// Why nothing is permitted, whatever the target is. Then it need not be observed.
    fn forbidden(&self, incoming: &Incoming<'_>, dry_run: bool) -> Option<String> {
        let Incoming { finding, now, .. } = *incoming;
        let guard = self.guards.policies.fresh(now)?;
        let gate = Gate::new::<P>(&guard, finding, &self.config.policy, dry_run, now);
        gate.forbids_outright().map(|why| why.to_string())
    }

    /// Records the report, notifies people if it is news, and has the containment looked at again.
    /// Returns what failed, which the report then says too.
    async fn tell(
        &self,
        incoming: &Incoming<'_>,
        report: &mut Report,
        collected: &Value,
        refused: Option<Page>,
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
        let mut news = report.status() != Status::Ignored;
        let mut recorded = false;
        if let Some(record) = &self.record {
            match record
                .conclude(finding, event, report, collected, incoming.clock())
                .await
            {
                Ok(before) => {
                    recorded = true;
                    news &= is_news(&before, report, incoming.clock());
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
        let news = match refused {
            Some(Page::Due) => true,
            Some(Page::Done) => false,
            Some(Page::AsUsual) | None => news,
        };
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
                if let Some(record) = self.record.as_ref().filter(|_| recorded)
                    && let Err(error) = record.mark_notified(finding, report).await
                {
                    tracing::error!(%error, "people may be notified again");
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

    /// Writes the report, which is the record of last resort, with its metrics.
    fn log(&self, report: &Report, finding: Option<&Finding>, measured: &Measured, now: Timestamp) {
        let line = match &self.config.metrics_namespace {
            Some(namespace) => metrics::line(report, finding, measured, namespace, now),
            None => report.to_line(),
        };
        for line in std::iter::once(line).chain(report.left_out()) {
            if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
                tracing::error!(%error, line, "the report could not be written to standard output");
            }
        }
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

/// People are told once of each status, not once of each delivery; and of a plan that they can approve,
/// unless it is the one that they know and can approve still.
fn is_news(before: &Recorded, report: &Report, now: Timestamp) -> bool {
    let told = before.notified.as_deref();
    let unknown = |approval| !before.told_of(approval, now);
    let contained = [
        Status::Contained.as_str(),
        Status::AlreadyContained.as_str(),
    ];
    let again = told == Some(report.status().as_str());
    let still = report.status() == Status::AlreadyContained
        && told.is_some_and(|told| contained.contains(&told));
    report.undone() || report.approval().is_some_and(unknown) || !(again || still)
}

#[cfg(test)]
mod tests;
