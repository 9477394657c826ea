//! What lies in the queues of a stack of their own is shown and sent again with `gdr redrive`.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::MessageAttributeValue;
use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, StolenKey};
use integration_tests::{LocalAws, Result, Scenario, Stack};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::e2e::operated::{STACK, lying, on_operated, sqs};
use crate::e2e::operator::{expect_exit, gdr, said};
use crate::e2e::world::{expect_status, expect_stopped_attack, expect_working_attack};

fn redrive(aws: &LocalAws, more: &[&str], typed: &str) -> Result<std::process::Output> {
    gdr(aws, &[&["--stack", STACK, "redrive"], more].concat(), typed)
}

async fn wait_for_a_message(aws: &LocalAws, stack: &Stack<'_>, queue: &str) -> Result {
    let started = Instant::now();
    while lying(aws, stack, queue).await? == 0 {
        if started.elapsed() > Duration::from_secs(120) {
            return Err(format!("nothing came to {queue}").into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// An event as EventBridge leaves it in the dead letters.
pub(crate) async fn leave(
    aws: &LocalAws,
    stack: &Stack<'_>,
    target: &str,
    event: &Value,
) -> Result {
    let attribute = |value: &str| {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value);
        value.build()
    };
    sqs(aws)
        .send_message()
        .queue_url(stack.output("EventDeadLetterQueue")?)
        .message_body(event.to_string())
        .message_attributes("TARGET_ARN", attribute(target)?)
        .message_attributes("ERROR_CODE", attribute("NO_PERMISSIONS")?)
        .message_attributes("RETRY_ATTEMPTS", attribute("0")?)
        .send()
        .await?;
    Ok(())
}

pub(crate) fn function_arn(aws: &LocalAws, name: &str) -> String {
    let (region, account) = (&aws.region, &aws.account_id);
    format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

pub(crate) fn of_age(finding: Finding, age: SignedDuration) -> Finding {
    let mut finding = finding;
    finding.0["time"] = json!((Timestamp::now() - age).to_string());
    finding
}

#[test]
fn a_poison_event_reaches_the_on_failure_queue_is_shown_and_contained_when_it_is_sent_again()
-> Result {
    on_operated(async |world, stack| {
        let bucket = PublicBucket::create(world.aws).await?;
        let finding = of_age(bucket.finding()?, SignedDuration::ZERO);
        stack.set_timeout("S3", 1).await?;
        stack.deliver(&finding).await?;
        wait_for_a_message(world.aws, stack, "OnFailureQueue").await?;
        stack.set_timeout("S3", 120).await?;
        expect_working_attack(&bucket).await?;

        let listed = redrive(world.aws, &["--list"], "")?;
        expect_exit(&listed, 0);
        let shown = said(&listed);
        for part in [
            "OnFailureQueue",
            finding.id(),
            finding.finding_type(),
            stack.function("S3")?,
            "RetriesExhausted",
        ] {
            assert!(shown.contains(part), "no {part}: {shown}");
        }
        let declined = redrive(world.aws, &[], "n\n")?;
        expect_exit(&declined, 3);
        let elsewhere = redrive(world.aws, &["--yes", "--queue", "undelivered"], "")?;
        assert!(
            said(&elsewhere).contains("no such message"),
            "{elsewhere:?}"
        );
        let other = redrive(world.aws, &["--yes", "--finding", "ffffffffffff"], "")?;
        assert!(said(&other).contains("no such message"), "{other:?}");
        assert_eq!(lying(world.aws, stack, "OnFailureQueue").await?, 1);
        expect_working_attack(&bucket).await?;

        let before = stack.reports("S3", finding.id()).await?.len();
        let sent = redrive(world.aws, &["--finding", &finding.id()[..12]], "y\n")?;
        expect_exit(&sent, 0);
        assert!(said(&sent).contains("sent 1, left 0"), "{sent:?}");
        let reports = stack.await_reports("S3", finding.id(), before + 1).await?;
        expect_status(reports.last().ok_or("no report")?, "contained");
        expect_stopped_attack(&bucket).await?;
        assert_eq!(lying(world.aws, stack, "OnFailureQueue").await?, 0);
        Ok(())
    })
}

#[test]
fn messages_older_than_an_hour_are_sent_only_with_late() -> Result {
    on_operated(async |world, stack| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = of_age(theft.finding()?, SignedDuration::from_hours(2));
        let iam = function_arn(world.aws, stack.function("Iam")?);
        leave(world.aws, stack, &iam, &finding.0).await?;

        let left = redrive(world.aws, &["--yes", "--output", "json"], "")?;
        expect_exit(&left, 3);
        let entries: Value = serde_json::from_slice(&left.stdout)?;
        assert_eq!(entries[0]["late"], true, "{entries}");
        assert_eq!(entries[0]["sent"], false, "{entries}");
        assert_eq!(entries[0]["why"], "NO_PERMISSIONS", "{entries}");
        assert!(said(&left).contains("--late"), "{left:?}");
        let asked = redrive(world.aws, &[], "n\n")?;
        assert!(
            said(&asked).contains("1 message older than an hour"),
            "{asked:?}"
        );
        expect_working_attack(&theft).await?;

        let sent = redrive(world.aws, &["--yes", "--late"], "")?;
        expect_exit(&sent, 0);
        let reports = stack.await_reports("Iam", finding.id(), 1).await?;
        expect_status(&reports[0], "contained");
        expect_stopped_attack(&theft).await?;
        assert_eq!(lying(world.aws, stack, "EventDeadLetterQueue").await?, 0);
        Ok(())
    })
}

#[test]
fn unreadable_and_foreign_messages_are_shown_and_stay_while_the_rest_is_sent() -> Result {
    on_operated(async |world, stack| {
        let queue = stack.output("OnFailureQueue")?;
        let send = sqs(world.aws).send_message().queue_url(queue);
        let poison = r#"{"requestPayload":{"detail":{"id":"\u001b[31mred"}}}"#;
        send.message_body(poison).send().await?;
        let event = json!({ "time": Timestamp::now().to_string(), "detail": { "id": "abc" } });
        let foreign = function_arn(world.aws, "somebody-elses");
        leave(world.aws, stack, &foreign, &event).await?;
        let theft = StolenKey::create(world.aws).await?;
        let finding = of_age(theft.finding()?, SignedDuration::ZERO);
        // A look is believed only of what the record shows as contained.
        expect_status(&stack.respond(&finding).await?["Iam"], "contained");
        let undoing = world.aws.iam().delete_user_policy();
        let undoing = undoing.user_name(theft.user_name());
        undoing.policy_name("gdr-revoke-sessions").send().await?;
        let look = json!({ "recheck": 1, "event": finding.0 });
        let send = sqs(world.aws).send_message().queue_url(queue);
        send.message_body(look.to_string()).send().await?;

        let done = redrive(world.aws, &["--yes"], "")?;
        expect_exit(&done, 1);
        let told = said(&done);
        assert!(!told.contains('\u{1b}'), "{told:?}");
        for part in [
            "no function of the stack",
            "no event of EventBridge",
            "sent 1, left 2",
        ] {
            assert!(told.contains(part), "no {part}: {told}");
        }
        let reports = stack.await_reports("Iam", finding.id(), 2).await?;
        let undone = reports.iter().find(|it| it["undone"] == true);
        expect_status(undone.ok_or("it went as no look")?, "contained");
        expect_stopped_attack(&theft).await?;
        assert_eq!(lying(world.aws, stack, "OnFailureQueue").await?, 1);
        assert_eq!(lying(world.aws, stack, "EventDeadLetterQueue").await?, 1);
        let again = redrive(world.aws, &["--list"], "")?;
        expect_exit(&again, 1);
        assert!(said(&again).contains("somebody-elses"), "{again:?}");
        Ok(())
    })
}
