//! The breaker on a local DynamoDB: what a storm comes to, and `gdr breaker`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::try_join_all;
use integration_tests::scenario::{PublicBucket, all_work, none_works};
use integration_tests::{LocalAws, Result, Scenario, unique};
use jiff::{SignedDuration, Timestamp};
use playbooks::S3;
use remediation::Responder;
use remediation::breaker::{BlastRadiusGroup, Limits};
use remediation::category::Category;
use remediation::record::{IncidentStore, Taken, Terms, Window};
use remediation::report::Status;
use serde_json::{Value, json as value};

use crate::common::{
    TABLE, answer, config, expect, expect_exit, gdr, json, on_aws, record, sdk, table,
};

/// A window that no other test has.
fn window(crowd: Option<BlastRadiusGroup>) -> Window {
    static ACCOUNTS: AtomicU64 = AtomicU64::new(700_000_000_000);
    Window {
        category: Category::Ec2,
        account_id: ACCOUNTS.fetch_add(1, Ordering::Relaxed).to_string(),
        crowd,
    }
}

fn terms(places: usize, now: Timestamp) -> Terms {
    Terms {
        places,
        now,
        lasts: SignedDuration::from_mins(60),
        until: tokio::time::Instant::now() + Duration::from_secs(60),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

async fn take(record: &IncidentStore, window: &Window, of: &[&str], terms: &Terms) -> Result<bool> {
    let taken = record.take(window, &names(of), terms).await?;
    Ok(matches!(taken, Taken::Places(_)))
}

/// How many of 500 targets at once get a place of 20.
async fn storm(record: &IncidentStore, window: &Window, now: Timestamp) -> Result<usize> {
    let terms = terms(20, now);
    let targets: Vec<_> = (0..500).map(|_| unique("target")).collect();
    let taken = targets.iter().map(async |target| {
        let taken = take(record, window, &[target], &terms).await?;
        Ok::<_, integration_tests::Error>(usize::from(taken))
    });
    Ok(try_join_all(taken).await?.into_iter().sum())
}

#[test]
fn of_500_targets_at_once_exactly_as_many_get_a_place_as_there_are_and_again_when_time_has_passed()
-> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(None));
        let now = Timestamp::now();
        assert_eq!(storm(&record, &window, now).await?, 20);
        let almost = now + SignedDuration::from_mins(59);
        assert_eq!(storm(&record, &window, almost).await?, 0);
        let later = now + SignedDuration::from_mins(60);
        assert_eq!(storm(&record, &window, later).await?, 20);
        Ok(())
    })
}

#[test]
fn places_are_free_one_by_one_as_their_time_passes() -> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(None));
        let start = Timestamp::now();
        let at = |minutes| terms(2, start + SignedDuration::from_mins(minutes));
        assert!(take(&record, &window, &["a"], &at(0)).await?);
        assert!(take(&record, &window, &["b"], &at(30)).await?);
        assert!(!take(&record, &window, &["c"], &at(59)).await?);
        assert!(take(&record, &window, &["c"], &at(60)).await?);
        assert!(!take(&record, &window, &["d"], &at(61)).await?);
        assert!(take(&record, &window, &["d"], &at(90)).await?);
        Ok(())
    })
}

#[test]
fn who_has_a_place_keeps_it_and_takes_no_second() -> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(Some(BlastRadiusGroup::Users)));
        let terms = terms(2, Timestamp::now());
        for _ in 0..3 {
            assert!(take(&record, &window, &["a"], &terms).await?);
        }
        assert!(take(&record, &window, &["b"], &terms).await?);
        assert!(take(&record, &window, &["a"], &terms).await?);
        assert!(take(&record, &window, &["a", "b"], &terms).await?);
        assert!(!take(&record, &window, &["c"], &terms).await?);
        Ok(())
    })
}

#[test]
fn several_places_are_taken_together_or_not_at_all() -> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(None));
        let terms = terms(3, Timestamp::now());
        assert!(!take(&record, &window, &["a", "b", "c", "d"], &terms).await?);
        assert!(take(&record, &window, &["a", "b"], &terms).await?);
        assert!(!take(&record, &window, &["c", "d"], &terms).await?);
        assert!(take(&record, &window, &["b", "c"], &terms).await?);
        assert!(!take(&record, &window, &["d"], &terms).await?);
        Ok(())
    })
}

#[test]
fn places_that_are_given_back_are_free_and_those_of_before_stay() -> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(None));
        let start = Timestamp::now();
        let at = |minutes| terms(2, start + SignedDuration::from_mins(minutes));
        assert!(take(&record, &window, &["before"], &at(0)).await?);
        let both = names(&["before", "new"]);
        let Taken::Places(places) = record.take(&window, &both, &at(30)).await? else {
            return Err("no room".into());
        };
        assert!(!take(&record, &window, &["other"], &at(31)).await?);
        record.give_places_back(&places).await?;
        record.give_places_back(&places).await?;
        assert!(take(&record, &window, &["other"], &at(31)).await?);
        // The place of before is free when it would have been.
        assert!(!take(&record, &window, &["another"], &at(59)).await?);
        assert!(take(&record, &window, &["another"], &at(60)).await?);
        Ok(())
    })
}

#[test]
fn with_fewer_places_than_are_taken_nothing_new_gets_one() -> Result {
    on_aws(async |aws| {
        let (record, window) = (record(aws, &TABLE), window(None));
        let now = Timestamp::now();
        for name in ["a", "b", "c"] {
            assert!(take(&record, &window, &[name], &terms(3, now)).await?);
        }
        let fewer = terms(2, now);
        assert!(!take(&record, &window, &["d"], &fewer).await?);
        assert!(take(&record, &window, &["a"], &fewer).await?, "it has one");
        Ok(())
    })
}

/// A text of an item.
async fn text(aws: &LocalAws, table: &str, key: [&str; 2], name: &str) -> Result<Option<String>> {
    let client = aws_sdk_dynamodb::Client::new(&aws.root());
    let [pk, sk] = key.map(|part| AttributeValue::S(part.to_owned()));
    let found = client
        .get_item()
        .table_name(table)
        .key("pk", pk)
        .key("sk", sk);
    let found = found.consistent_read(true).send().await?;
    let value = found.item.as_ref().and_then(|item| item.get(name));
    Ok(value.and_then(|value| value.as_s().ok()).cloned())
}

/// A queue that gets what is published to the topic.
async fn inbox(aws: &LocalAws, topic: &str) -> Result<String> {
    let sqs = aws_sdk_sqs::Client::new(&aws.root());
    let name = unique("inbox");
    let policy = value!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage", "Resource": "*" }] });
    let made = sqs.create_queue().queue_name(&name);
    let made = made.attributes(QueueAttributeName::Policy, policy.to_string());
    let made = made.send().await?;
    let arn = format!("arn:aws:sqs:{}:{}:{name}", aws.region, aws.account_id);
    let subscribe = aws_sdk_sns::Client::new(&aws.root()).subscribe();
    let subscribe = subscribe.topic_arn(topic).protocol("sqs").endpoint(arn);
    subscribe.send().await?;
    Ok(made.queue_url.ok_or("no queue")?)
}

/// The subject of a notice that is published after all others.
const LAST: &str = "the last";

/// The subjects of what came into the queue, until [`LAST`] did.
async fn subjects(aws: &LocalAws, inbox: &str) -> Result<Vec<String>> {
    let sqs = aws_sdk_sqs::Client::new(&aws.root());
    let (started, mut subjects) = (Instant::now(), Vec::new());
    while started.elapsed() < Duration::from_secs(30) {
        let call = sqs.receive_message().queue_url(inbox).wait_time_seconds(1);
        let batch = call.max_number_of_messages(10).send().await?;
        for message in batch.messages() {
            let notice: Value = serde_json::from_str(message.body().unwrap_or_default())?;
            let subject = notice["Subject"].as_str().ok_or("no subject")?;
            subjects.push(subject.to_owned());
        }
        if let Some(last) = subjects.iter().position(|subject| subject == LAST) {
            subjects.remove(last);
            return Ok(subjects);
        }
    }
    Err(format!("the last notice did not come: {subjects:?}").into())
}

#[test]
fn findings_beyond_the_limit_are_withheld_with_one_notice() -> Result {
    on_aws(async |aws| {
        let table = table().await?;
        let sns = aws_sdk_sns::Client::new(&aws.root());
        let topic = sns.create_topic().name(unique("notices")).send().await?;
        let topic = topic.topic_arn.ok_or("no topic")?;
        let inbox = inbox(aws, &topic).await?;
        let mut config = config();
        config.topic_arn = Some(topic.clone());
        config.limits = Limits {
            containments: 2,
            ..Limits::default()
        };
        let responder = Responder::new(S3::new(&sdk(aws, &aws.endpoint)), config, sns.clone());
        let responder = responder.recording(record(aws, &table));
        let mut buckets = Vec::new();
        for _ in 0..4 {
            buckets.push(PublicBucket::create(aws).await?);
        }
        for (index, bucket) in buckets.iter().enumerate() {
            let finding = bucket.finding()?;
            let report = Box::pin(answer(&responder, &finding, &unique("request"))).await?;
            let incident = format!("INCIDENT#{}", finding.id());
            let notified = text(aws, &table, [&incident, "s3"], "notified").await?;
            let target = format!("TARGET#s3#{}#{}", aws.account_id, bucket.name);
            let state = text(aws, &table, [&target, "state"], "target_state").await?;
            if index < 2 {
                expect(&report, Status::Contained);
                assert!(none_works(&bucket.attack().await?));
                assert_eq!(notified.as_deref(), Some("contained"));
                assert_eq!(state.as_deref(), Some("contained"));
                // Found contained, it needs no place.
                let again = Box::pin(answer(&responder, &finding, &unique("request"))).await?;
                expect(&again, Status::AlreadyContained);
                continue;
            }
            expect(&report, Status::Notified);
            assert!(all_work(&bucket.attack().await?), "{}", report.to_line());
            assert!(
                report.reason().contains("withheld by breaker"),
                "{}",
                report.to_line()
            );
            assert_eq!(report.breaker().is_some(), index == 2);
            assert_eq!(notified.is_some(), index == 2, "{notified:?}");
            assert_eq!(state.as_deref(), Some("withheld"));
            let status = text(aws, &table, [&incident, "s3"], "status").await?;
            assert_eq!(status.as_deref(), Some("notified"));
            let intended = text(aws, &table, [&incident, "s3"], "intended_at").await?;
            assert_eq!(intended, None, "nothing was begun");
        }
        let last = sns.publish().topic_arn(&topic).subject(LAST).message(LAST);
        last.send().await?;
        let subjects = subjects(aws, &inbox).await?;
        let about = |word: &str| subjects.iter().filter(|it| it.starts_with(word)).count();
        assert_eq!(about("[BREAKER OPEN] s3"), 1, "{subjects:?}");
        assert_eq!(about("[CONTAINED]"), 2, "{subjects:?}");
        assert_eq!(
            subjects.len(),
            3,
            "of the fourth finding nobody is told: {subjects:?}"
        );
        for shown in record(aws, &table).windows(Timestamp::now()).await? {
            record(aws, &table).reset(&shown.window).await?;
        }
        let finding = buckets[3].finding()?;
        let withheld = Box::pin(answer(&responder, &finding, &unique("request"))).await?;
        expect(&withheld, Status::Contained);
        Ok(())
    })
}

#[test]
fn slots_in_use_are_shown_and_reset_for_the_named_account() -> Result {
    on_aws(async |aws| {
        let record = record(aws, &TABLE);
        let (mine, other) = (window(None), window(Some(BlastRadiusGroup::Users)));
        let now = Timestamp::now();
        for window in [&mine, &other] {
            assert!(take(&record, window, &["a"], &terms(1, now)).await?);
        }
        let lasts = SignedDuration::from_mins(60);
        record.mark_opened(&mine, "request", now, lasts).await?;
        let account = ["--account", &mine.account_id];
        let show = |account: &str| gdr(aws, &["breaker", "show", "--account", account], "");
        let shown = show(&mine.account_id)?;
        let said = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            said.contains("1 of 1") && said.contains(&mine.account_id),
            "{said}"
        );
        assert!(!said.contains(&other.account_id), "{said}");
        let listed = gdr(
            aws,
            &[&["breaker", "show", "--output", "json"], &account[..]].concat(),
            "",
        )?;
        let listed = json(&listed)?;
        assert_eq!(listed[0]["opened"]["by"], "request", "{listed}");
        assert!(listed[0]["taken"]["a"].is_string(), "{listed}");

        let reset = [&["breaker", "reset", "--category", "ec2"], &account[..]].concat();
        let declined = gdr(aws, &reset, "n\n")?;
        expect_exit(&declined, 3);
        assert!(!take(&record, &mine, &["b"], &terms(1, now)).await?);
        let done = gdr(aws, &[&reset[..], &["--yes"]].concat(), "")?;
        expect_exit(&done, 0);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains("gdr incidents --status notified"), "{said}");
        assert!(take(&record, &mine, &["b"], &terms(1, now)).await?);
        assert!(!take(&record, &other, &["b"], &terms(1, now)).await?);

        let nothing = gdr(
            aws,
            &["breaker", "reset", "--account", "000000000000", "-y"],
            "",
        )?;
        expect_exit(&nothing, 3);
        Ok(())
    })
}
