//! The response to the parts of an attack sequence: each actor and resource is listed with its containment. If the
//! settings say so, each is handed to the function that contains it.
//!
//! A part that is handed over is an event like any other: the sequence's own, with its id, severity and times, naming
//! one resource where a finding on that resource would, and `handedOverTo`. The function that gets it reads, decides
//! and contains by its own settings. Only triage hands over, and only what is a whole sequence, so that nothing goes
//! round in circles. Handing over again, when GuardDuty updates the sequence or Lambda retries, finds things contained.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use futures::future::join_all;
use serde_json::Value;

use crate::category::Category;
use crate::deadline::within;
use crate::decision::ResponseSettings;
use crate::delivery::Delivery;
use crate::error::{CallContext, Error, Result};
use crate::sequence::{self, HandedOver, Unfolded};
use crate::trace::{self, Trace};

/// The IAM permissions that handing over needs, on the three functions only.
pub const PERMISSIONS: &[&str] = &["lambda:InvokeFunction"];

/// The names or ARNs of the functions that contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions {
    /// Buckets.
    pub s3: String,
    /// Credentials.
    pub iam: String,
    /// Instances.
    pub ec2: String,
}

/// The way to the functions that contain.
#[derive(Clone, Debug)]
pub struct HandOver {
    client: Client,
    functions: Functions,
}

impl HandOver {
    /// To these functions.
    pub fn new(client: Client, functions: Functions) -> Self {
        Self { client, functions }
    }

    /// Hands `event` over as a part of `trace`, without waiting for what comes of it,
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html>.
    async fn send(&self, function: Category, event: &Value, trace: Option<&Trace>) -> Result<()> {
        let name = match function {
            Category::S3 => &self.functions.s3,
            Category::Iam => &self.functions.iam,
            Category::Ec2 => &self.functions.ec2,
            Category::Lambda | Category::Triage => {
                return Err(Error::Refused(format!(
                    "no part of a sequence is for {function}"
                )));
            }
        };
        let header = trace.map(|trace| trace.header().to_owned());
        let call = self
            .client
            .invoke()
            .function_name(name)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event.to_string()))
            .customize()
            .mutate_request(move |request| {
                if let Some(header) = &header {
                    request.headers_mut().insert(trace::HEADER, header.clone());
                }
            });
        let done = call.send().await;
        done.during("lambda:InvokeFunction", name).map(drop)
    }
}

/// Lists the parts of the sequence and hands over what can be contained. `None` for `hand_over`: the
/// setting is off.
pub(crate) async fn unfold(
    hand_over: Option<&HandOver>,
    policy: &ResponseSettings,
    delivery: &Delivery<'_>,
) -> Unfolded {
    let Delivery { event, finding, .. } = *delivery;
    let parts = match finding.sequence() {
        Ok(Some(parts)) => parts,
        Ok(None) => {
            return Unfolded::unlisted(
                "the finding does not carry the sequence (service.detection.sequence)",
            );
        }
        Err(error) => return Unfolded::unlisted(format!("the sequence cannot be listed: {error}")),
    };
    let assessment = sequence::assess(event, finding, &parts, policy);
    let dry_run = policy.is_dry_run(finding);
    let outcomes = join_all(
        assessment
            .targets
            .iter()
            .map(async |target| match hand_over {
                None => HandedOver::Off,
                Some(_) if dry_run => HandedOver::DryRun,
                Some(hand_over) => {
                    let sent = hand_over.send(target.function, &target.event, delivery.trace);
                    match within(delivery.deadline, "lambda:InvokeFunction", Box::pin(sent)).await {
                        Ok(()) => HandedOver::Done,
                        Err(error) => HandedOver::Failed(error),
                    }
                }
            }),
    )
    .await;
    for (target, outcome) in assessment.targets.iter().zip(&outcomes) {
        if let HandedOver::Failed(error) = outcome {
            tracing::error!(%error, what = target.what, "not handed over");
        }
    }
    Unfolded::of(&parts, &assessment, &outcomes)
}
