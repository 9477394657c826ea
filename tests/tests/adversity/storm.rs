//! A thousand findings in a minute.
//!
//! Each function runs in few environments at a time, as one with reserved concurrency does. The emulator gives
//! an event up after two more attempts within seconds, where Lambda would go on for an hour; such events wait in
//! the queue, and are sent again from there as a person would. They are deleted from it when all is over: what comes
//! into a queue of the emulator while it deletes from it is lost at times.

#![expect(clippy::print_stdout, reason = "the counts are what the test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::Message;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use integration_tests::faults::FaultyAws;
use integration_tests::finding::Finding;
use integration_tests::scenario::{
    HijackedFunction, InfectedInstance, Observation, PublicBucket, StolenKey, none_works,
};
use integration_tests::stack::{RESPONDERS, Responder};
use integration_tests::{Result, Scenario, random_hex};
use serde_json::Value;
use tokio::time::interval;

use crate::adversity::poison::{delete, waiting};
use crate::adversity::world::{World, on_aws};

const FINDINGS: usize = 1000;
const MINUTE: Duration = Duration::from_secs(60);
/// Victims of each kind. A third of the findings are about them, and another third about them again.
const BUCKETS: usize = 200;
const KEYS: usize = 80;
const INSTANCES: usize = 20;
const FUNCTIONS: usize = 10;
/// Environments of a function at a time.
const ENVIRONMENTS: i32 = 4;
/// By when it must be over, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(600);
/// What an environment may have grown from half of the findings on.
const FLAT: u64 = 4 * 1024;

enum Victim {
    Bucket(PublicBucket),
    Key(Box<StolenKey<'static>>),
    Instance(Box<InfectedInstance>),
    Function(Box<HijackedFunction<'static>>),
}

impl Victim {
    fn responder(&self) -> Responder {
        match self {
            Self::Bucket(_) => "S3",
            Self::Key(_) => "Iam",
            Self::Instance(_) => "Ec2",
            Self::Function(_) => "Lambda",
        }
    }

    fn finding(&self) -> Result<Finding> {
        match self {
            // Of anyone, since what a principal of the account does is also the IAM function's.
            Self::Bucket(bucket) => bucket.read_by_anyone(),
            Self::Key(key) => key.finding(),
            Self::Instance(instance) => instance.finding(),
            Self::Function(function) => function.finding(),
        }
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        match self {
            Self::Bucket(bucket) => bucket.attack().await,
            Self::Key(key) => key.attack().await,
            Self::Instance(instance) => instance.attack().await,
            Self::Function(function) => function.attack().await,
        }
    }
}

async fn victims(world: &'static World) -> Result<Vec<Victim>> {
    let mut victims = Vec::new();
    for _ in 0..BUCKETS {
        victims.push(Victim::Bucket(PublicBucket::create(world.aws).await?));
    }
    for _ in 0..KEYS {
        let key = StolenKey::create(world.aws).await?;
        victims.push(Victim::Key(Box::new(key)));
    }
    for _ in 0..INSTANCES {
        let instance = InfectedInstance::create(world.aws).await?;
        victims.push(Victim::Instance(Box::new(instance)));
    }
    for _ in 0..FUNCTIONS {
        let function = HijackedFunction::create(world.aws, None).await?;
        victims.push(Victim::Function(Box::new(function)));
    }
    Ok(victims)
}

/// Two findings on each victim, far apart, and others in between.
fn findings(victims: &[Victim]) -> Result<Vec<(Responder, Finding)>> {
    let mut all = Vec::new();
    for round in 0..2 {
        for (index, victim) in victims.iter().enumerate() {
            all.push((index * 7919 % victims.len() + round * 500, victim));
        }
    }
    all.sort_by_key(|(place, _)| *place);
    let mut findings = Vec::new();
    for (_, victim) in all {
        findings.push((victim.responder(), victim.finding()?));
    }
    let other = Finding::instance_calls_home()?.of_type("Policy:Kubernetes/AnonymousAccessGranted");
    let others = FINDINGS - findings.len();
    for index in 0..others {
        let other = other.clone().with("/id", random_hex());
        findings.insert(index * 2 % findings.len(), ("Triage", other));
    }
    Ok(findings)
}

#[test]
fn of_a_thousand_findings_in_a_minute_none_is_lost_and_each_target_is_contained_once() -> Result {
    on_aws(async |world| storm(world).await)
}

async fn storm(world: &'static World) -> Result {
    let victims = victims(world).await?;
    let findings = findings(&victims)?;
    assert_eq!(findings.len(), FINDINGS);
    let proxy = FaultyAws::start(world.aws).await?;
    for (responder, variable, endpoint) in [
        ("S3", "AWS_ENDPOINT_URL_S3", &proxy.endpoint),
        ("Iam", "AWS_ENDPOINT_URL_IAM", &proxy.endpoint),
        ("Ec2", "AWS_ENDPOINT_URL_EC2", &proxy.ec2_endpoint),
    ] {
        world
            .stack
            .set(responder, &[(variable, endpoint.clone())])
            .await?;
    }
    for responder in RESPONDERS {
        world.stack.reserve(responder, ENVIRONMENTS).await?;
    }

    let started = Instant::now();
    let mut pace = interval(MINUTE / u32::try_from(FINDINGS)?);
    for (responder, finding) in &findings {
        pace.tick().await;
        world.stack.send(responder, finding).await?;
    }
    let delivered = started.elapsed();
    // From half of the findings on: the first size of each process.
    let (mut half, mut redelivered) = (BTreeMap::new(), Vec::new());
    loop {
        let answered = answered(world).await?;
        let missing = findings
            .iter()
            .filter(|(_, it)| !answered.contains(it.id()));
        let missing = missing.count();
        if missing <= FINDINGS / 2 {
            for (process, kilobytes) in memory(world)? {
                half.entry(process).or_insert(kilobytes);
            }
        }
        if missing == 0 {
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{missing} findings are not answered"
        );
        redelivered.extend(redeliver(world, &findings).await?);
    }
    let took = started.elapsed();
    let at_end = memory(world)?;
    expect_flat(&half, &at_end);
    let attacks = stream::iter(&victims)
        .map(Victim::attack)
        .buffer_unordered(4);
    let attacks: Vec<_> = attacks.try_collect().await?;
    assert!(attacks.iter().all(|attack| none_works(attack)));
    once_each(world, &findings, &proxy).await?;
    for message in &redelivered {
        delete(world, message).await?;
    }
    println!(
        "{FINDINGS} findings on {} targets, delivered in {:.0} s, answered in {:.0} s ({:.0} a minute), \
         {} of them from the queue; largest process {} KB",
        victims.len(),
        delivered.as_secs_f64(),
        took.as_secs_f64(),
        FINDINGS as f64 * 60.0 / took.as_secs_f64(),
        redelivered.len(),
        at_end.values().max().copied().unwrap_or_default(),
    );
    Ok(())
}

/// The findings that have an incident with a report.
async fn answered(world: &World) -> Result<BTreeSet<String>> {
    let client = aws_sdk_dynamodb::Client::new(&world.aws.root());
    let pages = client
        .scan()
        .table_name(world.stack.output("IncidentTable")?)
        .projection_expression("pk, concluded_at")
        .filter_expression("attribute_exists(concluded_at)")
        .into_paginator()
        .items()
        .send();
    let items: Vec<_> = pages.try_collect().await?;
    let ids = items.iter().filter_map(|item| {
        let key = item.get("pk").map(AttributeValue::as_s)?.ok()?;
        key.strip_prefix("INCIDENT#").map(str::to_owned)
    });
    Ok(ids.collect())
}

/// Sends again what lies in the queue, a little at a time. Returns the messages.
async fn redeliver(world: &World, findings: &[(Responder, Finding)]) -> Result<Vec<Message>> {
    let mut sent = Vec::new();
    for _ in 0..4 {
        for message in waiting(world).await? {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default())?;
            let event = Finding(body["requestPayload"].clone());
            let known = findings.iter().find(|(_, known)| known.id() == event.id());
            let (responder, _) = known.ok_or("an event of nobody's")?;
            world.stack.send(responder, &event).await?;
            sent.push(message);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(sent)
}

/// A process of a responder's function.
type Process = (Responder, u32);

/// No process grew, and of each function there is one that was measured before.
fn expect_flat(half: &BTreeMap<Process, u64>, at_end: &BTreeMap<Process, u64>) {
    let mut compared = BTreeSet::new();
    for (process, kilobytes) in at_end {
        if let Some(before) = half.get(process) {
            assert!(
                *kilobytes <= before + FLAT,
                "process {process:?} grew from {before} to {kilobytes} KB"
            );
            compared.insert(process.0);
        }
    }
    let all = BTreeSet::from(RESPONDERS);
    assert_eq!(compared, all, "at half {half:?}, at the end {at_end:?}");
}

/// The memory of each process of the stack's functions, in KB.
fn memory(world: &World) -> Result<BTreeMap<Process, u64>> {
    let mut functions = Vec::new();
    for responder in RESPONDERS {
        functions.push((responder, world.stack.function(responder)?));
    }
    // With the environment of each process, on Linux and on macOS.
    let listed = Command::new("ps")
        .args(["axeww", "-o", "pid=,rss=,command="])
        .output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut sizes = BTreeMap::new();
    for line in listed.lines() {
        let is_of = |name: &str| line.contains(&format!("AWS_LAMBDA_FUNCTION_NAME={name} "));
        let ours = functions.iter().find(|(_, name)| is_of(name));
        let Some((responder, _)) = ours.filter(|_| line.contains(&world.aws.endpoint)) else {
            continue;
        };
        let mut words = line.split_whitespace();
        if let (Some(process), Some(kilobytes)) = (words.next(), words.next()) {
            sizes.insert((*responder, process.parse()?), kilobytes.parse()?);
        }
    }
    if sizes.is_empty() {
        return Err("no process of the functions was found".into());
    }
    Ok(sizes)
}

/// What the functions' logs have.
struct Told {
    findings: BTreeSet<String>,
    statuses: BTreeMap<(Responder, String), usize>,
}

async fn told(world: &World, findings: &[(Responder, Finding)]) -> Result<Told> {
    let ids: BTreeSet<_> = findings.iter().map(|(_, finding)| finding.id()).collect();
    let (mut reported, mut statuses) = (BTreeSet::new(), BTreeMap::new());
    for responder in RESPONDERS {
        for report in world.stack.all_reports(responder).await? {
            let id = report["finding_id"].as_str().unwrap_or_default().to_owned();
            if ids.contains(id.as_str()) {
                let status = report["status"].as_str().unwrap_or_default().to_owned();
                *statuses.entry((responder, status)).or_default() += 1;
                reported.insert(id);
            }
        }
    }
    Ok(Told {
        findings: reported,
        statuses,
    })
}

/// Each containing write once, and reports that say so.
async fn once_each(world: &World, findings: &[(Responder, Finding)], proxy: &FaultyAws) -> Result {
    let mut writes: BTreeMap<String, usize> = BTreeMap::new();
    for call in proxy.calls() {
        let of = |key: &str| call.parameter(key).unwrap_or_default().to_owned();
        let target = match call.operation.as_str() {
            "s3:PUT publicAccessBlock" => call.request.path.clone(),
            "iam:UpdateAccessKey" => of("AccessKeyId"),
            "iam:PutUserPolicy" => of("UserName"),
            "ec2:ModifyNetworkInterfaceAttribute" => of("NetworkInterfaceId"),
            _ => continue,
        };
        *writes
            .entry(format!("{} {target}", call.operation))
            .or_default() += 1;
    }
    assert_eq!(writes.len(), BUCKETS + 2 * KEYS + 2 * INSTANCES);
    let twice: Vec<_> = writes.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");

    let mut told = told(world, findings).await?;
    let started = Instant::now();
    // An incident is concluded a little before its report is in the log. If that invocation ends before its report,
    // Lambda tries again: at the latest after the function's two minutes and a pause of one.
    while told.findings.len() < FINDINGS && started.elapsed() < 4 * MINUTE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        told = self::told(world, findings).await?;
    }
    let Told {
        findings: reported,
        statuses,
    } = told;
    assert_eq!(reported.len(), FINDINGS, "{statuses:?}");
    // Each finding on an instance has its own snapshots, which is something that it did.
    for (responder, did) in [
        ("S3", BUCKETS),
        ("Iam", KEYS),
        ("Ec2", 2 * INSTANCES),
        ("Lambda", FUNCTIONS),
    ] {
        let contained = statuses.get(&(responder, "contained".to_owned()));
        assert_eq!(contained, Some(&did), "{statuses:?}");
    }
    Ok(())
}
