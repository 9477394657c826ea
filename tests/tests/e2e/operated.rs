//! A stack that one test at a time may break, and repairs.

use std::sync::LazyLock;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::{LocalAws, Result, Stack};
use tokio::sync::Mutex;

use crate::e2e::world::{World, on_aws};

pub(crate) const STACK: &str = "gdr-operated";

static OPERATED: LazyLock<Mutex<Option<Stack<'static>>>> = LazyLock::new(Mutex::default);

/// Runs a test on it, with empty queues.
pub(crate) fn on_operated(
    test: impl AsyncFnOnce(&'static World, &Stack<'static>) -> Result,
) -> Result {
    on_aws(async |world| {
        let mut shared = OPERATED.lock().await;
        if shared.is_none() {
            let enforcing = [("DryRun", "false")];
            *shared = Some(Stack::deploy(world.aws, STACK, &enforcing).await?);
        }
        let stack = shared.as_ref().ok_or("no stack")?;
        for queue in ["EventDeadLetterQueue", "OnFailureQueue"] {
            let queue = stack.output(queue)?;
            sqs(world.aws).purge_queue().queue_url(queue).send().await?;
        }
        test(world, stack).await
    })
}

pub(crate) fn sqs(aws: &LocalAws) -> Client {
    Client::new(&aws.root())
}

/// How many messages lie in a queue, in sight or not.
pub(crate) async fn lying(aws: &LocalAws, stack: &Stack<'_>, queue: &str) -> Result<u32> {
    let attributes = sqs(aws)
        .get_queue_attributes()
        .queue_url(stack.output(queue)?)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await?
        .attributes
        .unwrap_or_default();
    let count = |name| {
        attributes
            .get(&name)
            .map_or(Ok(0), |text| text.parse::<u32>())
    };
    Ok(count(QueueAttributeName::ApproximateNumberOfMessages)?
        + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?)
}
