//! The notice that the person on call gets.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::faults::FaultyAws;
use integration_tests::scenario::{PublicBucket, StolenRoleSession};
use integration_tests::{Result, Scenario, unique};
use serde_json::{Value, json};

use crate::e2e::world::{World, on_aws};

#[test]
fn a_containment_is_noticed_in_words_that_fit_a_subject_line() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world, "NotificationTopic").await?;
        let bucket = PublicBucket::create(world.aws).await?;
        world.enforcing.respond(&bucket.finding()?).await?;
        let notice = receive(world, &inbox, &bucket.name).await?;

        let subject = notice["Subject"].as_str().ok_or("no subject")?;
        assert!(subject.len() <= 100 && subject.is_ascii(), "{subject}");
        assert!(!subject.contains('\n'), "{subject}");
        let body = notice["Message"].as_str().ok_or("no body")?;
        for part in [
            bucket.name.as_str(),
            "Policy:S3/BucketAnonymousAccessGranted",
        ] {
            assert!(body.contains(part), "no {part} in:\n{body}");
        }
        let done = body
            .split("WHAT WAS DONE")
            .nth(1)
            .ok_or("what was done is not said")?;
        let step = format!("s3:BlockBucketPublicAccess on arn:aws:s3:::{}", bucket.name);
        assert!(done.contains(&step), "what was done is not said:\n{body}");
        Ok(())
    })
}

#[test]
fn a_status_is_notified_once_and_not_at_each_delivery() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world, "NotificationTopic").await?;
        let theft = StolenRoleSession::create(world.aws).await?;
        let finding = theft.finding()?;
        for _ in 0..3 {
            world.enforcing.respond(&finding).await?;
        }
        assert_eq!(notices_until_quiet(world, &inbox, finding.id()).await?, 1);
        Ok(())
    })
}

/// How many notices about a finding have come. A notice about something else is sent after them. A queue keeps no
/// order, so that what has arrived beside that one is counted too.
pub(crate) async fn notices_until_quiet(world: &World, inbox: &str, id: &str) -> Result<usize> {
    let last = StolenRoleSession::create(world.aws).await?.finding()?;
    world.enforcing.respond(&last).await?;
    let mut told = 0;
    while let Some(notice) = next(world, inbox).await? {
        let body = notice["Message"].as_str().unwrap_or_default();
        told += usize::from(body.contains(id));
        if body.contains(last.id()) {
            while let Some(notice) = take(world, inbox, 0).await? {
                let body = notice["Message"].as_str().unwrap_or_default();
                told += usize::from(body.contains(id));
            }
            break;
        }
    }
    Ok(told)
}

#[test]
fn a_chat_gets_its_own_form_of_the_notice_at_its_own_topic() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world, "ChatTopic").await?;
        let bucket = PublicBucket::create(world.aws).await?;
        world.enforcing.respond(&bucket.finding()?).await?;
        let notice = receive(world, &inbox, &bucket.name).await?;
        let told: Value = serde_json::from_str(notice["Message"].as_str().ok_or("no body")?)?;
        assert_eq!(
            (&told["version"], &told["source"]),
            (&json!("1.0"), &json!("custom"))
        );
        let description = told["content"]["description"]
            .as_str()
            .ok_or("no description")?;
        assert!(description.contains("*WHAT WAS DONE*"), "{description}");
        Ok(())
    })
}

#[test]
fn other_tools_get_the_report_as_an_event_and_security_hub_s_note_waits_for_the_finding() -> Result
{
    on_aws(async |world| {
        let (inbox, arn) = queue(world).await?;
        let bus = aws_sdk_eventbridge::Client::new(&world.aws.root());
        let rule = unique("tools");
        let pattern =
            json!({ "source": ["guardduty-responder"], "detail-type": ["GuardDuty Response"] });
        let put = bus
            .put_rule()
            .name(&rule)
            .event_pattern(pattern.to_string());
        put.send().await?;
        let target = aws_sdk_eventbridge::types::Target::builder()
            .id("inbox")
            .arn(arn)
            .build()?;
        bus.put_targets().rule(&rule).targets(target).send().await?;

        let theft = StolenRoleSession::create(world.aws).await?;
        let finding = theft.finding()?;
        // Other tests' notes lie in the queue too, and nobody sees what is held back there.
        let proxy = FaultyAws::start(world.aws).await?;
        let through = [("AWS_ENDPOINT_URL_SQS", proxy.endpoint.as_str())];
        let function = world.enforcing.variant("Iam", None, &through).await?;
        let report = world.enforcing.invoke(&function, &finding.0).await?;
        let failed = report["next_steps"].to_string();
        assert!(!failed.contains("Security Hub"), "{report:#}");
        let queue = security_hub_queue(world).await?;
        let sent = proxy.calls().into_iter();
        let sent = sent.map(|call| serde_json::from_slice::<Value>(&call.request.body));
        let sent: Vec<_> = sent.collect::<std::result::Result<_, _>>()?;
        // The emulator's queues have several hosts.
        let name = |url: &str| url.rsplit('/').next().map(ToOwned::to_owned);
        let is_note = |it: &&Value| it["QueueUrl"].as_str().and_then(name) == name(&queue);
        let notes: Vec<_> = sent.iter().filter(is_note).collect();
        let [note] = notes[..] else {
            return Err(format!("no note for Security Hub, or several: {sent:#?}").into());
        };
        let body = note["MessageBody"].as_str().unwrap_or_default();
        assert!(body.contains(finding.id()), "{note:#}");
        assert!(
            held_back(world, &queue).await? > 0,
            "the queue does not hold it back"
        );
        // Other tests' reports come too.
        while let Some(event) = next(world, &inbox).await? {
            let detail = &event["detail"];
            if detail["finding_id"] == finding.id() && detail["category"] == "iam" {
                assert_eq!(detail["status"], report["status"], "{event:#}");
                assert_eq!(detail["steps"], report["steps"], "{event:#}");
                return Ok(());
            }
        }
        Err("no event".into())
    })
}

async fn security_hub_queue(world: &World) -> Result<String> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let prefix = format!("{}-SecurityHubQueue", world.enforcing.name);
    let queues = sqs.list_queues().queue_name_prefix(prefix).send().await?;
    Ok(queues.queue_urls().first().ok_or("no queue")?.clone())
}

/// How many notes for Security Hub wait until GuardDuty has sent their findings there.
async fn held_back(world: &World, queue: &str) -> Result<u64> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let held = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    let call = sqs
        .get_queue_attributes()
        .queue_url(queue)
        .attribute_names(held.clone());
    let attributes = call.send().await?;
    let held = attributes.attributes().and_then(|all| all.get(&held));
    Ok(held.ok_or("no such attribute")?.parse()?)
}

/// A queue that gets what is published to a topic of the stack.
pub(crate) async fn subscribe(world: &World, topic: &str) -> Result<String> {
    let (url, arn) = queue(world).await?;
    aws_sdk_sns::Client::new(&world.aws.root())
        .subscribe()
        .topic_arn(world.enforcing.output(topic)?)
        .protocol("sqs")
        .endpoint(arn)
        .send()
        .await?;
    Ok(url)
}

/// A queue that AWS's services may send to: its URL and ARN.
async fn queue(world: &World) -> Result<(String, String)> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": ["sns.amazonaws.com", "events.amazonaws.com"] },
            "Action": "sqs:SendMessage",
            "Resource": "*",
        }],
    });
    let made = sqs
        .create_queue()
        .queue_name(unique("inbox"))
        .attributes(QueueAttributeName::Policy, policy.to_string())
        .send()
        .await?;
    let url = made.queue_url.ok_or("no queue")?;
    let attributes = sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await?;
    let arn = attributes
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::QueueArn));
    let arn = arn.ok_or("no ARN")?.clone();
    Ok((url, arn))
}

/// The next notice, whatever it is about. `None`: none came for a while.
pub(crate) async fn next(world: &World, inbox: &str) -> Result<Option<Value>> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if let Some(notice) = take(world, inbox, 1).await? {
            return Ok(Some(notice));
        }
    }
    Ok(None)
}

/// Takes a message out of a queue, if one is there within so many seconds.
async fn take(world: &World, inbox: &str, seconds: i32) -> Result<Option<Value>> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let call = sqs.receive_message().queue_url(inbox);
    let batch = call.wait_time_seconds(seconds).send().await?;
    let Some(message) = batch.messages().first() else {
        return Ok(None);
    };
    let receipt = message.receipt_handle().unwrap_or_default();
    let delete = sqs.delete_message().queue_url(inbox);
    delete.receipt_handle(receipt).send().await?;
    let body = message.body().unwrap_or_default();
    Ok(Some(serde_json::from_str(body)?))
}

/// The first contained-bucket notice that mentions `what`; other tests publish too.
async fn receive(world: &World, inbox: &str, what: &str) -> Result<Value> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let batch = sqs
            .receive_message()
            .queue_url(inbox)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .send()
            .await?;
        for message in batch.messages() {
            let notice: Value = serde_json::from_str(message.body().unwrap_or("{}"))?;
            let body = notice["Message"].as_str().unwrap_or_default();
            if body.contains(what) && body.contains("BlockBucketPublicAccess") {
                return Ok(notice);
            }
        }
    }
    Err(format!("no notice about {what}").into())
}
