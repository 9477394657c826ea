//! `gdr rehearse` on local AWS: the export in its bucket, the stored policies, and that the breaker of a
//! rehearsal is the breaker of the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use flate2::{Compression, write::GzEncoder};
use integration_tests::{ENFORCING, LocalAws, Result, s3, unique};
use jiff::{SignedDuration, Timestamp};
use policy::{DEFAULT, LoadedPolicies};
use remediation::breaker::Limits;
use remediation::config::Config;
use remediation::decision::{ResponseMode, ResponseSettings};
use remediation::finding::Finding;
use remediation::report::{self, StepReport};
use remediation::respond::Invocation;
use remediation::settings::Settings;
use serde_json::{Value, json};
use simulation::{Modes, Outcome, Rehearser, Rules, rehearse};

use crate::common::{
    config, expect_exit, gdr, json as printed, on_aws, responder_with, sdk, table,
};
use crate::without_aws::stub::Stub;

/// When an event came, in minutes, and which buckets it is about.
type Event = (i64, Vec<String>);

/// Events of one to three of 40 buckets, each some minutes after the one before.
fn storm(random: &mut fastrand::Rng) -> Vec<Event> {
    let mut minutes = 0;
    let event = |_| {
        minutes += random.i64(0..9);
        let count = random.usize(1..4);
        let buckets: BTreeSet<_> = (0..count).map(|_| random.u8(0..40)).collect();
        let buckets = buckets
            .into_iter()
            .map(|number| format!("bucket-{number:02}"));
        (minutes, buckets.collect())
    };
    (0..60).map(event).collect()
}

fn time(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        + SignedDuration::from_hours(24 * 20_000)
        + SignedDuration::from_mins(minutes)
}

/// A finding about buckets that were made public, as it is exported.
fn exported(id: &str, updated: Timestamp, buckets: &[String]) -> Value {
    let buckets: Vec<_> = buckets.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": id,
        "type": "Policy:S3/BucketAnonymousAccessGranted", "severity": 8,
        "updatedAt": updated.to_string(),
        "resource": { "resourceType": "AccessKey", "s3BucketDetails": buckets },
        "service": {},
    })
}

/// How often each bucket was contained, how many events were refused, and when the breaker opened.
type Story = (BTreeMap<String, usize>, usize, Vec<Timestamp>);

fn rehearsed(limits: Limits, events: &[Event]) -> Result<Story> {
    let rules = Rules {
        policy: ResponseSettings {
            minimum_severity: Some(4.0),
            ..ENFORCING.clone()
        },
        modes: Modes {
            s3: ResponseMode::Contain,
            iam: ResponseMode::Contain,
            ec2: ResponseMode::Contain,
            lambda: ResponseMode::Contain,
        },
        settings: Settings::default(),
        limits,
        hand_over: false,
        archived: false,
        since: None,
        until: None,
        sizes: vec![],
    };
    let rehearser = Rehearser::new(rules, LoadedPolicies::new(DEFAULT))?;
    let mut occasions = Vec::new();
    for (index, (minutes, buckets)) in events.iter().enumerate() {
        let id = format!("finding-{index:03}");
        let mut finding = Finding::read(&exported(&id, time(*minutes), buckets))?;
        occasions.extend(rehearser.look(&mut finding, false, || None)?);
    }
    let report = rehearse(rehearser.rules(), occasions);
    let mut contained = BTreeMap::new();
    for entry in &report.entries {
        if entry.outcome == Outcome::Contained {
            *contained.entry(entry.name.clone()).or_insert(0) += 1;
        }
    }
    let refused = report.openings.iter().map(|opening| opening.withheld);
    let opened = report.openings.iter().map(|opening| opening.at);
    Ok((contained, refused.sum(), opened.collect()))
}

/// The names of buckets that are shut.
type Shut = Arc<Mutex<BTreeSet<String>>>;

/// S3 with buckets that are public until somebody shuts them.
fn s3_with_public_buckets() -> Result<(Shut, Stub)> {
    let shut = Shut::default();
    let kept = Arc::clone(&shut);
    let stub = Stub::start(move |call| {
        let (method, path) = call.operation.split_once(" /")?;
        let (bucket, asked) = path.split_once('?')?;
        let bucket = bucket.trim_end_matches('/');
        let mut shut = kept.lock().ok()?;
        match (method, asked) {
            ("GET", asked) if asked.starts_with("publicAccessBlock") => {
                Some(if shut.contains(bucket) {
                    (200, ALL_FLAGS.to_owned())
                } else {
                    (404, NO_FLAGS.to_owned())
                })
            }
            ("PUT", asked) if asked.starts_with("publicAccessBlock") => {
                shut.insert(bucket.to_owned());
                Some((200, String::new()))
            }
            ("GET", asked) if asked.starts_with("policyStatus") => Some((200, PUBLIC.to_owned())),
            _ => None,
        }
    })?;
    Ok((shut, stub))
}

const ALL_FLAGS: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
    <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
    <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const NO_FLAGS: &str = "<Error><Code>NoSuchPublicAccessBlockConfiguration</Code></Error>";
const PUBLIC: &str = "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>";

/// The function's own decisions about the same events, on public buckets and with a real table.
async fn happened(aws: &LocalAws, limits: Limits, events: &[Event]) -> Result<Story> {
    let (shut, stub) = s3_with_public_buckets()?;
    let playbook = s3::playbook(&sdk(aws, stub.endpoint()), stub.endpoint());
    let config = Config { limits, ..config() };
    let function = responder_with(config, playbook, aws, &table().await?);
    let (mut contained, mut refused, mut opened) = (BTreeMap::new(), 0, Vec::new());
    for (index, (minutes, buckets)) in events.iter().enumerate() {
        let now = time(*minutes);
        let event = json!({
            "source": "aws.guardduty", "detail-type": "GuardDuty Finding", "time": now.to_string(),
            "detail": exported(&format!("finding-{index:03}"), now, buckets),
        });
        let invocation = Invocation {
            id: format!("invocation-{index}"),
            now,
            time_left: Duration::from_secs(60),
            look: None,
            trace: None,
        };
        let report = Box::pin(function.respond(event, &invocation)).await?;
        for name in shut.lock().map_err(|_| "a panic")?.iter() {
            contained.entry(name.clone()).or_insert(1);
        }
        let withheld = |step: &StepReport| step.outcome() == report::Outcome::Withheld;
        refused += usize::from(report.steps().iter().any(withheld));
        opened.extend(report.breaker().map(|_| now));
    }
    Ok((contained, refused, opened))
}

#[test]
fn a_storm_comes_to_the_same_in_a_rehearsal_as_in_the_table() -> Result {
    on_aws(async |aws| {
        for seed in 0..3 {
            let mut random = fastrand::Rng::with_seed(seed);
            let limits = Limits {
                containments: random.usize(3..9),
                // No event comes when a place is free again: the function takes its place a moment later.
                window: SignedDuration::from_secs(random.i64(20..120) * 60 + 30),
                share_percent: 100,
            };
            let events = storm(&mut random);
            let rehearsed = rehearsed(limits, &events)?;
            let happened = Box::pin(happened(aws, limits, &events)).await?;
            let (contained, refused, opened) = &happened;
            assert!(
                contained.len() > limits.containments,
                "seed {seed}: {contained:?}"
            );
            assert!(*refused > opened.len(), "seed {seed}: {refused} {opened:?}");
            assert!(!opened.is_empty(), "seed {seed}: the breaker never opened");
            assert_eq!(rehearsed, happened, "seed {seed}");
        }
        Ok(())
    })
}

/// A bucket with the export of two days, a finding on each.
async fn export(aws: &LocalAws) -> Result<String> {
    let s3 = aws_sdk_s3::Client::new(&aws.root());
    let bucket = unique("export");
    s3.create_bucket().bucket(&bucket).send().await?;
    for (day, target) in [("2026/03/04", "first-day"), ("2026/03/05", "second-day")] {
        let at = format!("{}T10:00:00Z", day.replace('/', "-")).parse()?;
        let mut line = GzEncoder::new(Vec::new(), Compression::fast());
        writeln!(line, "{}", exported(target, at, &[target.to_owned()]))?;
        s3.put_object()
            .bucket(&bucket)
            .key(format!(
                "AWSLogs/111122223333/GuardDuty/us-east-1/{day}/{target}.jsonl.gz"
            ))
            .body(line.finish()?.into())
            .send()
            .await?;
    }
    Ok(bucket)
}

#[test]
fn the_export_is_read_from_its_bucket_under_the_stored_policies() -> Result {
    on_aws(async |aws| {
        let address = format!("s3://{}/AWSLogs", export(aws).await?);
        let rehearse = |more: &[&str]| -> Result<Vec<(String, String)>> {
            let arguments = [&["--output", "json", "rehearse", &address], more].concat();
            let output = gdr(aws, &arguments, "")?;
            expect_exit(&output, 0);
            let document = printed(&output)?;
            let entries = document["entries"].as_array().ok_or("no entries")?.clone();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let told = entries
                .iter()
                .map(|it| (text(&it["name"]), text(&it["outcome"])));
            Ok(told.collect())
        };
        let told = |name: &str, outcome: &str| (name.to_owned(), outcome.to_owned());
        let contained = ["first-day", "second-day"].map(|name| told(name, "contained"));
        assert_eq!(rehearse(&[])?, contained);
        assert_eq!(rehearse(&["--since", "2026-03-05"])?, contained[1..]);

        let name = format!("/{}/policy", unique("gdr"));
        let spare = format!(
            "{DEFAULT}\n@id(\"spared\") @reason(\"ours\") forbid (principal, action, resource) \
             when {{ resource.name == \"first-day\" }};"
        );
        aws_sdk_ssm::Client::new(&aws.root())
            .put_parameter()
            .name(&name)
            .value(spare)
            .r#type(ParameterType::String)
            .send()
            .await?;
        assert_eq!(
            rehearse(&["--policy-parameter", &name])?,
            [told("first-day", "withheld"), contained[1].clone()]
        );
        Ok(())
    })
}

#[test]
fn a_bucket_that_is_not_there_is_an_error_that_names_it() -> Result {
    on_aws(async |aws| {
        let address = format!("s3://{}/AWSLogs", unique("none"));
        let output = gdr(aws, &["rehearse", &address], "")?;
        expect_exit(&output, 1);
        let told = String::from_utf8(output.stderr)?;
        assert!(told.contains(&address), "{told}");
        assert!(told.contains("s3:ListBucket"), "{told}");
        Ok(())
    })
}
