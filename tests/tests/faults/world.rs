//! What all trials share: the emulators, and what the functions report to.

use std::sync::LazyLock;

use aws_sdk_ssm::types::ParameterType;
use integration_tests::{LocalAws, Result, incident_table, unique};
use policy::DEFAULT;
use tokio::runtime::Runtime;

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
pub(crate) static WORLD: LazyLock<World> =
    LazyLock::new(|| RUNTIME.block_on(World::new()).expect("local AWS"));

pub(crate) struct World {
    pub(crate) aws: LocalAws,
    pub(crate) topic: String,
    pub(crate) queue: String,
    /// The name of the parameter that has the policies.
    pub(crate) policies: String,
}

impl World {
    async fn new() -> Result<Self> {
        let aws = LocalAws::start_quick()?;
        let root = aws.root();
        let topic = aws_sdk_sns::Client::new(&root);
        let topic = topic.create_topic().name("notices").send().await?;
        let queue = aws_sdk_sqs::Client::new(&root);
        let queue = queue.create_queue().queue_name("rechecks").send().await?;
        let policies = "/faults/policy";
        let parameter = aws_sdk_ssm::Client::new(&root);
        let parameter = parameter.put_parameter().name(policies).value(DEFAULT);
        parameter.r#type(ParameterType::String).send().await?;
        Ok(Self {
            topic: topic.topic_arn.ok_or("no topic")?,
            queue: queue.queue_url.ok_or("no queue")?,
            policies: policies.to_owned(),
            aws,
        })
    }

    /// A table of its own for a trial: what one released says nothing about the next.
    pub(crate) async fn table(&self) -> Result<String> {
        let name = unique("incidents");
        incident_table::create(&self.aws.root(), &name).await?;
        Ok(name)
    }
}
