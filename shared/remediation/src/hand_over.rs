//! What becomes of the parts of an attack sequence: each actor and resource is listed with what its
//! containment would be, and, if the settings say so, each is handed to the function that contains it.
//!
//! What is handed over is an event like any other: the sequence's own, with its id, severity and
//! times, naming one resource where a finding on that resource would, and `handedOverTo`. The
//! function that gets it reads, decides and contains by its own settings. Only triage hands over, and
//! only what is a whole sequence, so that nothing goes round in circles. Handing over again, when
//! GuardDuty updates the sequence or Lambda retries, finds things contained.

mod assess;
mod outline;

use std::collections::BTreeSet;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use futures::future::join_all;
use serde_json::Value;

use self::assess::{Assessment, Target, assess};
pub use self::outline::{Outline, Part};
use crate::catalogue::Category;
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::{CallContext, Error, Result};
use crate::finding::Finding;
use crate::policy::{self, Policy};
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
            Category::Triage => {
                return Err(Error::Refused("triage hands nothing to itself".to_owned()));
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

/// What there is to tell of an attack sequence.
#[derive(Debug, Default)]
pub(crate) struct Unfolded {
    pub(crate) outline: Option<Outline>,
    /// In a few words, for the report's reason.
    pub(crate) summary: String,
    pub(crate) next_steps: Vec<String>,
    /// A hand-over that a retry may get through.
    pub(crate) transient: Option<Error>,
    /// A hand-over failed that no retry gets through.
    pub(crate) refused: bool,
}

/// What became of handing a target over.
#[derive(Clone, Debug)]
enum HandedOver {
    Done,
    DryRun,
    Off,
    Failed(Error),
}

/// Lists the parts of the sequence and hands over what can be contained. `None` for `hand_over`: the
/// setting is off.
pub(crate) async fn unfold(
    hand_over: Option<&HandOver>,
    policy: &Policy,
    delivery: &Delivery<'_>,
) -> Unfolded {
    let Delivery { event, finding, .. } = *delivery;
    let sequence = match finding.sequence() {
        Ok(Some(sequence)) => sequence,
        Ok(None) => {
            return unlisted(
                "the finding does not carry the sequence (service.detection.sequence)",
            );
        }
        Err(error) => return unlisted(format!("the sequence cannot be listed: {error}")),
    };
    let assessment = assess(event, finding, &sequence, policy);
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
    let mut unfolded = conclude(&assessment, &outcomes);
    unfolded.outline = Some(outline::outline(&sequence, &assessment, &outcomes));
    unfolded
}

/// The parts of an attack sequence that would be handed over, each as the event that its function gets.
/// Pure.
pub(crate) fn parts(event: &Value, finding: &Finding, policy: &Policy) -> Vec<(Category, Value)> {
    let Ok(Some(sequence)) = finding.sequence() else {
        return Vec::new();
    };
    let targets = assess(event, finding, &sequence, policy).targets;
    let parts = targets.into_iter();
    parts
        .map(|target| (target.function, target.event))
        .collect()
}

/// The part of the sequence `current`, which is that of `event`, that has the target of `part`. `None`: it
/// has none.
pub(crate) fn part_like(
    part: &Finding,
    event: &Value,
    current: &Finding,
    policy: &Policy,
) -> Option<Finding> {
    let to = part.handed_over_to()?;
    let of = |finding: &Finding| {
        let names = policy::targets(to, finding).ok()?;
        Some((names, finding.account_id.clone(), finding.region.clone()))
    };
    let wanted = of(part)?;
    let parts = parts(event, current, policy).into_iter();
    let mut parts = parts.filter(|(function, _)| *function == to);
    parts.find_map(|(_, event)| {
        let finding = Finding::parse(&event).ok()?;
        (of(&finding).as_ref() == Some(&wanted)).then_some(finding)
    })
}

fn unlisted(why: impl Into<String>) -> Unfolded {
    Unfolded {
        summary: why.into(),
        next_steps: vec![
            "look the sequence up in GuardDuty (guardduty:GetFindings with the finding's id): its \
             actors and resources are not listed here, and none was handed over"
                .to_owned(),
        ],
        ..Unfolded::default()
    }
}

fn conclude(assessment: &Assessment, outcomes: &[HandedOver]) -> Unfolded {
    let targets = assessment.targets.iter().zip(outcomes);
    let functions = |these: &[&Target]| {
        let names: BTreeSet<_> = these
            .iter()
            .map(|target| target.function.as_str())
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let those = |wanted: fn(&HandedOver) -> bool| {
        let those = targets.clone().filter(|(_, outcome)| wanted(outcome));
        those.map(|(target, _)| target).collect::<Vec<_>>()
    };
    let done = those(|outcome| matches!(outcome, HandedOver::Done));
    let planned = those(|outcome| matches!(outcome, HandedOver::DryRun));
    let off = those(|outcome| matches!(outcome, HandedOver::Off));
    let mut unfolded = Unfolded::default();
    let mut said = Vec::new();
    if !done.is_empty() {
        said.push(format!(
            "{} of its parts handed over ({})",
            done.len(),
            functions(&done)
        ));
        unfolded.next_steps.push(format!(
            "see what the functions report about this finding, each about its own part: {}",
            functions(&done)
        ));
    }
    if !planned.is_empty() {
        said.push(format!(
            "{} of its parts would be handed over ({}), and this is a dry run",
            planned.len(),
            functions(&planned)
        ));
    }
    if !off.is_empty() {
        said.push(format!(
            "{} of its parts can be contained and are not handed over (HAND_OVER_SEQUENCES is off)",
            off.len()
        ));
        unfolded.next_steps.push(
            "contain the parts that can be, as the list of the sequence says, or have them handed \
             over: set HandOverSequences to true"
                .to_owned(),
        );
    }
    let mut failed = 0;
    for (target, outcome) in targets {
        if let HandedOver::Failed(error) = outcome {
            failed += 1;
            tracing::error!(%error, what = target.what, "not handed over");
            let next = format!("not handed over, do it by hand: {}: {error}", target.what);
            unfolded.next_steps.push(next);
            if error.is_transient() {
                unfolded.transient.get_or_insert_with(|| error.clone());
            } else {
                unfolded.refused = true;
            }
        }
    }
    if failed > 0 {
        said.push(format!("{failed} could NOT be handed over"));
    }
    if said.is_empty() {
        said.push("none of its parts can be contained by a function".to_owned());
    }
    unfolded.summary = said.join("; ");
    unfolded
}
