//! Findings for unit tests: a whole event, varied where a test says so; and what is done about them.

pub(crate) mod expressions;
pub(crate) mod fake;
pub(crate) mod looks;
pub(crate) mod table;
pub(crate) mod waves;
pub(crate) mod windows;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::wire::{Protocol, Wire};
pub(crate) use self::world::{World, each_call_fails_in_turn};
use crate::breaker::Limits;
use crate::config::Config;
use crate::decision::{ResponseMode, ResponseSettings};
use crate::error::Error;
use crate::execute::{Execution, execute};
use crate::finding::Finding;
use crate::inquiry::Inquiry;
use crate::investigation::{Answer, Investigation, Question};
use crate::plan::Action;
use crate::playbook::Playbook;
use crate::playbook::triage::Triage;
use crate::record::{Intent, Record, Times};
use crate::release::{Allowance, Released, Releaser, Verdict};
use crate::report::Report;
use crate::session::actions_of;
use crate::settings::Settings;
use policy::{Gate, LoadedPolicies};
pub(crate) use sample_findings::{NOW, attack, case_text, event, user_detail};

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// The finding of [`case_text`].
pub(crate) fn case(name: &str) -> Finding {
    let event = serde_json::from_str(&case_text(name)).expect("JSON");
    Finding::parse(&event).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}

/// [`NOW`].
pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// Observes, plans and executes, as the flow does.
pub(crate) async fn run<P: Playbook>(playbook: &P, finding: &Finding) -> Execution<P::Action> {
    run_at(playbook, finding, now()).await
}

/// [`run`], for an event that comes in at `now`.
pub(crate) async fn run_at<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    now: Timestamp,
) -> Execution<P::Action> {
    let state = Box::pin(playbook.observe(finding)).await;
    let state = state.expect("the world can be read");
    carry_out(playbook, finding, &state, &Settings::default(), now).await
}

/// Plans and executes, under policies that permit everything.
pub(crate) async fn carry_out<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    state: &P::State,
    settings: &Settings,
    now: Timestamp,
) -> Execution<P::Action> {
    let gate = gate::<P>(finding, now);
    let plan = gate.plan::<P>(state, settings);
    let until = Instant::now() + Duration::from_secs(60);
    Box::pin(execute(playbook, &gate, plan, settings, until)).await
}

/// Settings under which everything is contained.
pub(crate) static ENFORCING: ResponseSettings = ResponseSettings {
    dry_run: false,
    mode: ResponseMode::Contain,
    minimum_severity: Some(0.0),
    approval_not_needed_from: None,
    own_account: None,
    responder_roles: Vec::new(),
    never_contain: Vec::new(),
};

/// A function's settings under which everything is contained.
pub(crate) fn enforcing() -> Config {
    Config {
        settings: Settings::default(),
        hub: None,
        verify_findings: false,
        approval_lasts: Config::APPROVAL_LASTS,
        incident_table: None,
        policy_parameter: None,
        metrics_namespace: None,
        recheck_queue_url: None,
        hand_over: None,
        limits: Limits::default(),
        policy: ResponseSettings {
            minimum_severity: Some(4.0),
            own_account: Some("111122223333".to_owned()),
            ..ENFORCING.clone()
        },
        evidence: None,
        topic_arn: Some("arn:aws:sns:us-east-1:111122223333:notices".to_owned()),
        notices: crate::notify::Settings::default(),
        problems: Vec::new(),
    }
}

/// What lets every step pass that the rails do.
pub(crate) fn gate<P: Playbook>(finding: &Finding, now: Timestamp) -> Gate<'_> {
    static OPEN: LazyLock<LoadedPolicies> =
        LazyLock::new(|| LoadedPolicies::new("permit (principal, action, resource);"));
    Gate::new::<P>(&OPEN, finding, &ENFORCING, false, now)
}

/// [`run`] with settings.
pub(crate) async fn run_with<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    settings: &Settings,
) -> Execution<P::Action> {
    let state = Box::pin(playbook.observe(finding)).await;
    let state = state.expect("the world can be read");
    carry_out(playbook, finding, &state, settings, now()).await
}

/// Contains as a function does, with a record of what was found and of what came of it.
pub(crate) async fn recorded<P: Playbook>(
    playbook: &P,
    record: &Record,
    event: &Value,
    settings: &Settings,
    now: Timestamp,
) -> Report {
    let finding = Finding::parse(event).expect("a finding");
    let state = Box::pin(playbook.observe(&finding)).await;
    let state = state.expect("the world can be read");
    let plan = P::plan(&finding, &state, settings, now);
    if !plan.is_empty() {
        let intent = Intent {
            received_at: now,
            evidence: Value::Null,
            settings: settings.clone(),
            actions: actions_of(&plan),
            completes: false,
            approved: None,
            invocation: now.to_string(),
        };
        let intended = record.intend(P::CATEGORY, &finding, event, &intent, now);
        intended.await.expect("written");
    }
    let done = carry_out(playbook, &finding, &state, settings, now).await;
    let because = "a reason".to_owned();
    let report = Report::concluded(P::CATEGORY, &finding, because, false, done.steps);
    let times = Times::default();
    let concluded = record.conclude(&finding, event, &report, &Value::Null, times, now);
    concluded.await.expect("written");
    report
}

/// Releases the incident of `event` as a person does who is shown the steps. Answers the verdicts, and what
/// came of it.
pub(crate) async fn release<P: Playbook>(
    playbook: &P,
    record: &Record,
    event: &Value,
    allowance: &Allowance,
    now: Timestamp,
) -> (Vec<(&'static str, Verdict)>, Result<Vec<Released>, Error>) {
    let id = event["detail"]["id"].as_str().expect("an id");
    let incidents = record.incidents_of(id).await.expect("read");
    let incident = &incidents[0];
    let planned = crate::release::plan(playbook, record, incident, allowance, now);
    let steps = Box::pin(planned).await.expect("planned");
    let verdicts = steps.iter().map(|step| (step.action, step.verdict.clone()));
    let verdicts = verdicts.collect();
    let releaser = Releaser {
        by: "somebody",
        record,
        notices: None,
    };
    let releasing = crate::release::release(playbook, &releaser, incident, steps, allowance, now);
    let released = Box::pin(releasing).await;
    (verdicts, released.map(|release| release.steps))
}

/// [`run`] in a world that perhaps cannot be read, with what the function would answer.
pub(crate) async fn answer<P: Playbook>(
    playbook: &P,
    finding: &Finding,
) -> (Report, Option<Error>) {
    let (category, because) = (P::CATEGORY, "a reason".to_owned());
    match Box::pin(playbook.observe(finding)).await {
        Err(error) => {
            let report = Report::prevented(
                category,
                finding,
                crate::report::Obstacle::Target,
                &error,
                false,
            );
            (report, Some(error).filter(Error::is_transient))
        }
        Ok(state) => {
            let settings = Settings::default();
            let done = carry_out(playbook, finding, &state, &settings, now()).await;
            let mut report = Report::concluded(category, finding, because, false, done.steps);
            report.residual_risks = done.residual_risks;
            report.next_steps = done.next_steps;
            (report, done.transient)
        }
    }
}

/// What `playbook` finds out about `finding`, of which nothing was observed before.
pub(crate) async fn investigate<P: Playbook>(playbook: &P, finding: &Finding) -> Investigation {
    let inquiry = Inquiry::new(finding, now(), Instant::now() + Duration::from_secs(60));
    playbook.investigate(&inquiry, None).await
}

/// The answer to a question.
pub(crate) fn answered(investigation: &Investigation, question: Question) -> &Answer {
    let mut answers = investigation.answers.iter();
    let answer = answers.find(|answer| answer.question() == question);
    answer.unwrap_or_else(|| panic!("no {question}: {investigation:#?}"))
}

/// The IAM permissions that a playbook declares.
pub(crate) fn declared<P: Playbook>() -> BTreeSet<&'static str> {
    let actions = <P::Action as Action>::PERMISSIONS.iter();
    let acting = actions.flat_map(|(_, permissions)| permissions.iter());
    let reads = P::READS.iter().chain(P::INVESTIGATES);
    reads.chain(acting).copied().collect()
}

/// The playbook of the triage function, with clients that reach nothing.
pub(crate) fn triage() -> Triage {
    let sdk = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .build();
    Triage::new(&sdk)
}
