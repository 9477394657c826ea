//! The responder in this process, on local AWS, with a table; and `gdr` as a person would call it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use integration_tests::finding::Finding;
use integration_tests::{ENFORCING, LocalAws, Result, incident_table, unique};
use jiff::{SignedDuration, Timestamp};
use playbooks::{Iam, Playbook};
use remediation::Responder;
use remediation::breaker::Limits;
use remediation::config::Config;
use remediation::decision::{ResponseMode, ResponseSettings};
use remediation::record::IncidentStore;
use remediation::report::{Report, Status};
use remediation::respond::Invocation;
use remediation::settings::Settings;
use serde_json::Value;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static AWS: LazyLock<LocalAws> = LazyLock::new(|| LocalAws::start().expect("local AWS"));
pub(crate) static TABLE: LazyLock<String> =
    LazyLock::new(|| RUNTIME.block_on(table()).expect("a table"));

pub(crate) async fn table() -> Result<String> {
    let name = unique("incidents");
    incident_table::create(&AWS.root(), &name).await?;
    Ok(name)
}

pub(crate) fn on_aws(test: impl AsyncFnOnce(&'static LocalAws) -> Result) -> Result {
    let _ = &*TABLE;
    RUNTIME.block_on(test(&AWS))
}

pub(crate) fn sdk(aws: &LocalAws, endpoint: &str) -> aws_config::SdkConfig {
    aws.root().into_builder().endpoint_url(endpoint).build()
}

pub(crate) fn record(aws: &LocalAws, table: &str) -> IncidentStore {
    IncidentStore::new(aws_sdk_dynamodb::Client::new(&aws.root()), table.to_owned())
}

/// The parameter that the functions read their policies from.
pub(crate) async fn parameter(aws: &LocalAws, policies: &str) -> Result<String> {
    let name = format!("/{}/policy", unique("gdr"));
    let client = aws_sdk_ssm::Client::new(&aws.root());
    let put = client.put_parameter().name(&name).value(policies);
    put.r#type(ParameterType::String).send().await?;
    Ok(name)
}

/// Settings under which everything is contained.
pub(crate) fn config() -> Config {
    Config {
        policy: ResponseSettings {
            minimum_severity: Some(4.0),
            ..ENFORCING.clone()
        },
        settings: Settings::default(),
        hub: None,
        verify_findings: false,
        approval_lasts: Config::APPROVAL_LASTS,
        topic_arn: None,
        notices: remediation::notify::Settings::default(),
        incident_table: None,
        evidence: None,
        metrics_namespace: None,
        policy_parameter: None,
        recheck_queue_url: None,
        hand_over: None,
        limits: Limits {
            containments: Limits::MOST,
            share_percent: 100,
            ..Limits::default()
        },
        problems: vec![],
    }
}

/// Settings under which every containment waits for a person.
pub(crate) fn approving() -> Config {
    let mut config = config();
    config.policy.mode = ResponseMode::Approve;
    config
}

pub(crate) fn responder<P: Playbook>(playbook: P, aws: &LocalAws, table: &str) -> Responder<P> {
    responder_with(config(), playbook, aws, table)
}

pub(crate) fn responder_with<P: Playbook>(
    config: Config,
    playbook: P,
    aws: &LocalAws,
    table: &str,
) -> Responder<P> {
    let root = aws.root();
    let record = record(aws, table);
    Responder::new(playbook, config, aws_sdk_sns::Client::new(&root)).recording(record)
}

pub(crate) async fn respond_in<P: Playbook>(
    playbook: P,
    aws: &LocalAws,
    finding: &Finding,
    table: &str,
    request: &str,
) -> Result<Report> {
    answer(&responder(playbook, aws, table), finding, request).await
}

pub(crate) async fn answer<P: Playbook>(
    responder: &Responder<P>,
    finding: &Finding,
    request: &str,
) -> Result<Report> {
    let invocation = Invocation {
        id: request.to_owned(),
        now: Timestamp::now(),
        time_left: Duration::from_secs(60),
        look: None,
        trace: None,
    };
    Ok(responder.respond(finding.0.clone(), &invocation).await?)
}

pub(crate) async fn respond<P: Playbook>(
    playbook: P,
    aws: &LocalAws,
    finding: &Finding,
) -> Result<Report> {
    respond_in(playbook, aws, finding, &TABLE, &unique("request")).await
}

pub(crate) fn iam(aws: &LocalAws) -> Iam {
    Iam::new(&sdk(aws, &aws.endpoint))
}

pub(crate) fn gdr(aws: &LocalAws, arguments: &[&str], typed: &str) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args(["--table", &TABLE])
        .args(arguments)
        .envs(aws.environment())
        .env("AWS_ENDPOINT_URL_EC2", &aws.ec2_endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no input")?
        .write_all(typed.as_bytes())?;
    Ok(child.wait_with_output()?)
}

#[track_caller]
pub(crate) fn expect_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

pub(crate) fn json(output: &Output) -> Result<Value> {
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[track_caller]
pub(crate) fn expect(report: &Report, status: Status) {
    assert_eq!(report.status(), status, "{}", report.to_line());
}

/// The same finding, seen again later.
pub(crate) fn seen_again(finding: &Finding, later: SignedDuration) -> Finding {
    finding.clone().with(
        "/service/eventLastSeen",
        (Timestamp::now() + later).to_string(),
    )
}
