//! A containment that someone undoes before IAM enforces it everywhere.

use std::time::{Duration, Instant};

use aws_sdk_iam::config::Credentials;
use integration_tests::local_aws::allowed;
use integration_tests::scenario::StolenKey;
use integration_tests::{Result, Scenario, unique};
use serde_json::json;

use crate::e2e::world::{expect_status, expect_stopped_attack, on_aws};

#[test]
fn a_reverted_containment_is_repeated_within_seconds_and_notified() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let reports = world.enforcing.respond(&finding).await?;
        expect_status(&reports["Iam"], "contained");

        let undoing = world
            .aws
            .iam()
            .delete_user_policy()
            .user_name(theft.user_name());
        undoing.policy_name("gdr-revoke-sessions").send().await?;
        let started = Instant::now();
        let again = loop {
            let reports = world.enforcing.reports("Iam", finding.id()).await?;
            if let Some(report) = reports.into_iter().find(|report| report["undone"] == true) {
                break report;
            }
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "it was not looked at again"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        expect_status(&again, "contained");
        assert!(
            again["next_steps"][0]
                .as_str()
                .is_some_and(|step| step.contains("someone undid"))
        );
        let (active, policies) = theft.state().await?;
        assert!(
            !active && policies.contains(&"gdr-revoke-sessions".to_owned()),
            "{policies:?}"
        );
        expect_stopped_attack(&theft).await
    })
}

/// A look is answered as the finding is that it carries, so that whoever may send one could have anything contained.
#[test]
fn only_a_function_may_send_itself_a_recheck() -> Result {
    on_aws(async |world| {
        let (name, iam) = (unique("developer"), world.aws.iam());
        iam.create_user().user_name(&name).send().await?;
        let may = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sqs:*", "Resource": "*" }] });
        let policy = iam.put_user_policy().user_name(&name).policy_name("queues");
        policy.policy_document(may.to_string()).send().await?;
        let key = iam.create_access_key().user_name(&name).send().await?;
        let key = key.access_key.ok_or("no key")?;
        let key = Credentials::new(
            key.access_key_id,
            key.secret_access_key,
            None,
            None,
            "developer",
        );
        let sqs = aws_sdk_sqs::Client::new(&world.aws.signed_in(&key));
        let queues = sqs.list_queues().queue_name_prefix("gdr-").send().await?;
        let queues = queues.queue_urls();
        let sends = async |queue: &String| {
            let sent = sqs
                .send_message()
                .queue_url(queue)
                .message_body("{}")
                .send();
            allowed(sent.await).map(|(allowed, _)| allowed)
        };
        // Of the stack that enforces, and of the one in a dry run.
        for stack in ["gdr", "gdr-dry"] {
            for looks in ["BucketRecheckQueue", "InstanceRecheckQueue", "RecheckQueue"] {
                let name = format!("/{stack}-{looks}-");
                let queue = queues.iter().find(|it| it.contains(&name));
                let queue = queue.ok_or_else(|| format!("no {name}: {queues:?}"))?;
                assert!(!sends(queue).await?, "{queue}");
            }
        }
        let own = sqs.create_queue().queue_name(&name).send().await?;
        let own = own.queue_url.ok_or("no queue")?;
        assert!(sends(&own).await?, "it may send at all");
        Ok(())
    })
}
