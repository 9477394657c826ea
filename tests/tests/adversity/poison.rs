//! An event on which a function fails each time.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::Message;
use integration_tests::faults::{Fault, FaultyAws, Strike};
use integration_tests::finding::Finding;
use integration_tests::scenario::{StolenKey, all_work, none_works};
use integration_tests::{Result, Scenario};
use serde_json::Value;

use crate::adversity::world::{World, on_aws};

const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn an_event_on_which_a_function_fails_three_times_waits_in_the_queue_and_is_not_lost() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let proxy = FaultyAws::start(world.aws).await?;
        proxy.watch(Some(Strike {
            operation: "iam:GetUser".to_owned(),
            nth: 1,
            times: usize::MAX,
            fault: Fault::Failed,
        }));
        let reach = |endpoint: &str| [("AWS_ENDPOINT_URL_IAM", endpoint.to_owned())];
        world.stack.set("Iam", &reach(&proxy.endpoint)).await?;
        assert_eq!(world.stack.deliver(&finding).await?, ["Iam"]);

        let (message, body) = in_queue(world, finding.id()).await?;
        assert_eq!(body["requestContext"]["condition"], "RetriesExhausted");
        let said = body["responsePayload"].to_string();
        assert!(said.contains("iam:GetUser"), "{said}");
        let reports = world.stack.reports("Iam", finding.id()).await?;
        assert_eq!(reports.len(), 3, "{reports:#?}");
        assert!(reports.iter().all(|report| report["status"] == "failed"));
        assert!(all_work(&theft.attack().await?), "nothing was contained");

        // Whoever takes it out of the queue sends it again.
        proxy.heal();
        let again = Finding(body["requestPayload"].clone());
        assert_eq!(again.0, finding.0, "the whole event");
        let report = &world.stack.respond(&again).await?["Iam"];
        assert_eq!(report["status"], "contained", "{report:#}");
        let attack = theft.attack().await?;
        assert!(none_works(&attack), "{attack:?}");
        delete(world, &message).await
    })
}

async fn in_queue(world: &World, id: &str) -> Result<(Message, Value)> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        for message in waiting(world).await? {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default())?;
            if body["requestPayload"]["detail"]["id"] == id {
                return Ok((message, body));
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err("the event did not reach the queue".into())
}

/// Some of what waits in the queue for events that a function failed on. It is out of sight then for as long as
/// a test takes.
pub(crate) async fn waiting(world: &World) -> Result<Vec<Message>> {
    let queue = world.stack.output("OnFailureQueue")?;
    let receive = aws_sdk_sqs::Client::new(&world.aws.root()).receive_message();
    let found = receive.queue_url(queue).max_number_of_messages(10);
    let found = found.visibility_timeout(3600).send().await?;
    Ok(found.messages.unwrap_or_default())
}

pub(crate) async fn delete(world: &World, message: &Message) -> Result {
    let queue = world.stack.output("OnFailureQueue")?;
    let delete = aws_sdk_sqs::Client::new(&world.aws.root()).delete_message();
    let handle = message.receipt_handle().unwrap_or_default();
    delete
        .queue_url(queue)
        .receipt_handle(handle)
        .send()
        .await?;
    Ok(())
}
