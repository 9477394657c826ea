//! One trial: a finding comes in while one call is struck, and then again while none is, and then a person
//! releases what was contained.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use integration_tests::faults::{Call, Fault, FaultyAws, Strike};
use integration_tests::finding::Finding as Event;
use integration_tests::scenario::{all_work, none_works};
use integration_tests::{ENFORCING, Result, unique};
use jiff::Timestamp;
use playbooks::Playbook;
use remediation::breaker::Limits;
use remediation::config::Config;
use remediation::decision::ResponseSettings;
use remediation::finding::Finding;
use remediation::history::AuthorizationSources;
use remediation::plan::{Action, Step};
use remediation::planner::Planner;
use remediation::policy_parameter::PolicyParameter;
use remediation::recheck::RecheckQueue;
use remediation::record::IncidentStore;
use remediation::release::{self, Allowance, Releaser, Verdict};
use remediation::report::Report;
use remediation::respond::Invocation;
use remediation::{Error, Responder};
use serde_json::Value;
use tokio::time::sleep;
use tracing::instrument::WithSubscriber as _;

use crate::faults::log::Log;
use crate::faults::target::{Route, Target};
use crate::faults::world::{WORLD, World};

/// What is tried again of what failed.
const RETRIES: usize = 3;

/// Until what was put off comes again, since a claim could not be given back and ends by its time only.
const PAUSE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    pub(crate) strike: Option<Strike>,
    /// The finding is delivered once more, and the call is struck in that delivery.
    pub(crate) twice: bool,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.strike {
            Some(strike) if self.twice => write!(f, "{strike} in the second delivery"),
            Some(strike) => strike.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

/// True if the event is to come again through the queue.
fn was_put_off(ended: &Ended) -> bool {
    matches!(ended, Ended::Answered(report) if report.reason().contains("is handled again"))
}

/// What became of an invocation.
enum Ended {
    Answered(Box<Report>),
    Failed(Error),
    Killed,
    Late,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(report) => write!(f, "answered {}", report.status().as_str()),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Killed => f.write_str("killed"),
            Self::Late => f.write_str("not ended by its deadline"),
        }
    }
}

/// The calls of a trial's deliveries while the fault stood.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    /// Where the second delivery begins.
    pub(crate) first: usize,
}

/// A victim behind a proxy of its own, used for one trial at a time.
pub(crate) struct Slot<T> {
    target: T,
    proxy: FaultyAws,
    through: Route,
    direct: Route,
    original: String,
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn claims(status: &str) -> bool {
    matches!(status, "contained" | "already_contained")
}

/// As the functions call AWS, with shorter times.
fn hasty(sdk: SdkConfig, endpoint: &str) -> SdkConfig {
    sdk.into_builder()
        .endpoint_url(endpoint)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(2)
                .with_initial_backoff(Duration::from_millis(2))
                .with_max_backoff(Duration::from_millis(10)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .read_timeout(Duration::from_millis(1000))
                .operation_attempt_timeout(Duration::from_millis(1200))
                .operation_timeout(Duration::from_secs(3))
                .build(),
        )
        .build()
}

fn config<T: Target>(world: &World) -> Config {
    Config {
        policy: ResponseSettings {
            quarantine_objects: true,
            ..ENFORCING.clone()
        },
        settings: T::settings(),
        hub: None,
        verify_findings: false,
        approval_lasts: Config::APPROVAL_LASTS,
        evidence: None,
        topic_arn: Some(world.topic.clone()),
        incident_table: None,
        metrics_namespace: None,
        policy_parameter: None,
        recheck_queue_url: None,
        hand_over: None,
        limits: Limits {
            share_percent: 100,
            ..Limits::default()
        },
        notices: remediation::notify::Settings::default(),
        problems: vec![],
    }
}

impl<T: Target> Slot<T> {
    pub(crate) async fn create() -> Result<Self> {
        let aws = &WORLD.aws;
        let target = Box::pin(T::create(aws)).await?;
        let attack = target.attack().await?;
        require(all_work(&attack), || format!("no attack: {attack:?}"))?;
        let proxy = FaultyAws::start(aws).await?;
        let direct = Route {
            sdk: aws.root(),
            ec2_endpoint: aws.ec2_endpoint.clone(),
        };
        let through = Route {
            sdk: hasty(aws.root(), &proxy.endpoint),
            ec2_endpoint: proxy.ec2_endpoint.clone(),
        };
        Ok(Self {
            original: target.described().await?,
            target,
            proxy,
            through,
            direct,
        })
    }

    pub(crate) async fn run(&self, trial: &Trial) -> Result<Seen> {
        let event = self.target.finding()?;
        let table = WORLD.table().await?;
        let log = Log::default();
        let request = unique("request");
        let (in_first, in_second) = if trial.twice {
            (None, trial.strike.clone())
        } else {
            (trial.strike.clone(), None)
        };
        self.proxy.watch(in_first);
        // Planning again is about the time for which it was planned.
        let mut now = Timestamp::now();
        let mut ended = Box::pin(self.deliver(&event, &table, &request, &log, now)).await;
        let first = self.proxy.calls().len();
        if trial.twice {
            self.proxy.begin_delivery(in_second);
            let request = unique("request");
            loop {
                now = Timestamp::now();
                ended = Box::pin(self.deliver(&event, &table, &request, &log, now)).await;
                if !was_put_off(&ended) {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
        self.proxy.heal();
        let calls = self.proxy.calls();
        let told = log.report().unwrap_or_default();
        let checked = async {
            Box::pin(self.expect_truth(trial, &ended, &told, &event, now)).await?;
            let isolated = self.target.isolated().await?;
            Box::pin(self.expect_retry(&ended, &event, &table, &request, &log)).await?;
            let now = self.target.isolated().await?;
            require(isolated.is_subset(&now), || {
                format!("isolated {isolated:?}, then {now:?}")
            })?;
            let reopened = T::reopened(&self.proxy.calls());
            require(reopened.is_none(), || reopened.unwrap_or_default())?;
            Box::pin(self.expect_release(&event, &table, &log)).await
        };
        Box::pin(checked)
            .await
            .map_err(|error| format!("{error}\n   after: {ended}\n   report: {told}"))?;
        Ok(Seen { calls, first })
    }

    async fn deliver(
        &self,
        event: &Event,
        table: &str,
        request: &str,
        log: &Log,
        now: Timestamp,
    ) -> Ended {
        let sdk = &self.through.sdk;
        let sns = aws_sdk_sns::Client::new(sdk);
        let record = IncidentStore::new(aws_sdk_dynamodb::Client::new(sdk), table.to_owned());
        let recheck = RecheckQueue::new(aws_sdk_sqs::Client::new(sdk), WORLD.queue.clone());
        let policies = aws_sdk_ssm::Client::new(sdk);
        let lines = log.clone();
        let responder = Responder::new(T::playbook(&self.through), config::<T>(&WORLD), sns)
            .recording(record)
            .rechecking(recheck)
            .guarded(AuthorizationSources {
                policies: PolicyParameter::new(policies, WORLD.policies.clone()),
                history: None,
            })
            .logging(move |line| lines.add(line));
        let invocation = Invocation {
            id: request.to_owned(),
            now,
            time_left: T::time(),
            look: None,
            trace: None,
        };
        let respond = Box::pin(responder.respond(event.0.clone(), &invocation));
        let respond = respond.with_subscriber(log.subscriber());
        tokio::select! {
            biased;
            () = self.proxy.killed() => Ended::Killed,
            ended = tokio::time::timeout(T::time(), respond) => match ended {
                Ok(Ok(report)) => Ended::Answered(Box::new(report)),
                Ok(Err(error)) => Ended::Failed(error),
                Err(_) => Ended::Late,
            },
        }
    }

    /// Holds what was answered against the world as it is.
    async fn expect_truth(
        &self,
        trial: &Trial,
        ended: &Ended,
        told: &Value,
        event: &Event,
        now: Timestamp,
    ) -> Result {
        let fault = trial.strike.as_ref().map(|strike| strike.fault);
        let status = match ended {
            Ended::Late => return Err("it did not end by its deadline".into()),
            Ended::Killed => return Ok(()),
            Ended::Answered(_) | Ended::Failed(_) => told["status"].as_str().ok_or("no report")?,
        };
        let attack = Box::pin(self.target.attack()).await?;
        require(!claims(status) || none_works(&attack), || {
            format!("it says {status}, and the attack works: {attack:?}")
        })?;
        // Of anything else nobody would try again.
        let will_be_retried = matches!(ended, Ended::Failed(_));
        let for_good = matches!(fault, Some(Fault::Denied | Fault::Stale));
        require(claims(status) || will_be_retried || for_good, || {
            format!("it says {status}, and that is its answer")
        })?;
        let undisturbed = fault.is_none_or(Fault::is_harmless);
        require(!undisturbed || !will_be_retried, || {
            "it fails, and nothing did".to_owned()
        })?;
        if fault == Some(Fault::Denied) && !claims(status) {
            let text = told.to_string();
            let named = ["AccessDenied", "UnauthorizedOperation"];
            require(named.iter().any(|code| text.contains(code)), || {
                "the refusal is not told".to_owned()
            })?;
        }
        if !claims(status) {
            self.expect_steps(told, event, now).await?;
        }
        Ok(())
    }

    /// What is said to be done is so.
    async fn expect_steps(&self, told: &Value, event: &Event, now: Timestamp) -> Result {
        let done = |step: &&Value| step["outcome"] == "applied" || step["outcome"] == "already";
        let key = |step: &Value| {
            let [action, target] = ["action", "target"].map(|member| step[member].as_str());
            format!(
                "{} {}",
                action.unwrap_or_default(),
                target.unwrap_or_default()
            )
        };
        let steps = told["steps"].as_array().into_iter().flatten();
        let said: BTreeSet<String> = steps.filter(done).map(key).collect();
        if said.is_empty() {
            return Ok(());
        }
        let finding = Finding::parse(&event.0)?;
        let state = Box::pin(T::playbook(&self.direct).observe(&finding)).await?;
        let plan = T::Playbook::plan(&finding, &state, &T::settings(), now);
        let so: BTreeSet<String> = plan
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Already(..)))
            .map(|step| step.key().to_string())
            .collect();
        require(said.is_subset(&so), || {
            format!("it says that {said:?} are done, and {so:?} are")
        })
    }

    /// A retry completes it: Lambda's, of the same invocation, or that of whoever read the answer.
    async fn expect_retry(
        &self,
        ended: &Ended,
        event: &Event,
        table: &str,
        request: &str,
        log: &Log,
    ) -> Result {
        let request = match ended {
            Ended::Answered(_) => unique("request"),
            _ => request.to_owned(),
        };
        let mut last = String::new();
        let mut retries = 0;
        while retries < RETRIES {
            let ended = Box::pin(self.deliver(event, table, &request, log, Timestamp::now())).await;
            if was_put_off(&ended) {
                sleep(PAUSE).await;
                continue;
            }
            retries += 1;
            if let Ended::Answered(report) = &ended
                && claims(report.status().as_str())
            {
                let attack = Box::pin(self.target.attack()).await?;
                return require(none_works(&attack), || {
                    format!("retried, and the attack works: {attack:?}")
                });
            }
            last = format!("{ended}: {}", log.report().unwrap_or_default());
        }
        Err(format!("retried {RETRIES} times: {last}").into())
    }

    /// A release brings back what was there before the first delivery.
    async fn expect_release(&self, event: &Event, table: &str, log: &Log) -> Result {
        let client = aws_sdk_dynamodb::Client::new(&self.direct.sdk);
        let record = IncidentStore::new(client, table.to_owned());
        let playbook = T::playbook(&self.direct);
        let incidents = record.incidents_of(event.id()).await?;
        let [incident] = incidents.as_slice() else {
            return Err(format!("{} incidents", incidents.len()).into());
        };
        let now = Timestamp::now();
        let allowance = Allowance {
            force_drift: false,
            reactivate: self.target.keys(),
        };
        let steps = Box::pin(release::plan(&playbook, &record, incident, &allowance, now)).await?;
        let drifted = steps
            .iter()
            .find(|step| matches!(step.verdict, Verdict::Drifted(_)));
        require(drifted.is_none(), || format!("{drifted:?}"))?;
        let releaser = Releaser {
            by: "the operator who runs the tests",
            record: &record,
            notices: None,
        };
        let release = release::release(&playbook, &releaser, incident, steps, &allowance, now);
        let released = Box::pin(release).await?;
        let problem = released.steps.iter().find(|step| step.problem.is_some());
        require(problem.is_none(), || format!("{problem:?}"))?;
        // What could not be recorded is in the log, for a person to put back.
        let mut kept = Vec::new();
        for (key, action) in log.unrecorded() {
            if !incident.actions.contains_key(&key) {
                kept.push(serde_json::from_value::<ActionOf<T>>(action)?);
            }
        }
        kept.sort_by_key(|action| std::cmp::Reverse((action.phase(), action.order())));
        for action in &kept {
            Box::pin(playbook.restore(action)).await?;
        }
        let described = self.target.described().await?;
        require(described == self.original, || {
            format!(
                "released, and it is {described} instead of {}",
                self.original
            )
        })?;
        self.target.tidy().await
    }
}

type ActionOf<T> = <<T as Target>::Playbook as Planner>::Action;
