//! The notice that the person on call gets.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::scenario::{PublicBucket, StolenRoleSession};
use integration_tests::{Result, Scenario, unique};
use serde_json::{Value, json};

use crate::world::{World, on_aws};

#[test]
fn a_containment_is_noticed_in_words_that_fit_a_subject_line() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world).await?;
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
fn people_are_told_once_and_not_at_each_delivery() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world).await?;
        let theft = StolenRoleSession::create(world.aws).await?;
        let finding = theft.finding()?;
        for _ in 0..3 {
            world.enforcing.respond(&finding).await?;
        }
        assert_eq!(notices_until_quiet(world, &inbox, finding.id()).await?, 1);
        Ok(())
    })
}

/// How many notices about a finding have come. A notice about something else is sent after them, so
/// that they have arrived when that one has.
pub(crate) async fn notices_until_quiet(world: &World, inbox: &str, id: &str) -> Result<usize> {
    let last = StolenRoleSession::create(world.aws).await?.finding()?;
    world.enforcing.respond(&last).await?;
    let mut told = 0;
    while let Some(notice) = next(world, inbox).await? {
        let body = notice["Message"].as_str().unwrap_or_default();
        told += usize::from(body.contains(id));
        if body.contains(last.id()) {
            break;
        }
    }
    Ok(told)
}

/// A queue that gets what is published to the stack's topic.
pub(crate) async fn subscribe(world: &World) -> Result<String> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
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
    aws_sdk_sns::Client::new(&world.aws.root())
        .subscribe()
        .topic_arn(world.enforcing.output("NotificationTopic")?)
        .protocol("sqs")
        .endpoint(arn.ok_or("no ARN")?)
        .send()
        .await?;
    Ok(url)
}

/// The next notice, whatever it is about. `None`: none came for a while.
async fn next(world: &World, inbox: &str) -> Result<Option<Value>> {
    let sqs = aws_sdk_sqs::Client::new(&world.aws.root());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let call = sqs.receive_message().queue_url(inbox).wait_time_seconds(1);
        let batch = call.send().await?;
        if let Some(message) = batch.messages().first() {
            let receipt = message.receipt_handle().unwrap_or_default();
            sqs.delete_message()
                .queue_url(inbox)
                .receipt_handle(receipt)
                .send()
                .await?;
            return Ok(Some(serde_json::from_str(
                message.body().unwrap_or_default(),
            )?));
        }
    }
    Ok(None)
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
