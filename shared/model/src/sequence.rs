//! The response to the parts of an attack sequence: the containment of each, and its words.

mod assess;
mod outline;

use std::collections::BTreeSet;

use serde_json::Value;

pub use self::assess::{Assessment, Target, assess};
pub use self::outline::{Outline, Part};
use crate::category::Category;
use crate::decision::{self, ResponseSettings};
use crate::error::Error;
use crate::finding::{Finding, Sequence};

/// The report on an attack sequence.
#[derive(Debug, Default)]
pub struct Unfolded {
    /// The parts, as a notice lists them.
    pub outline: Option<Outline>,
    /// In a few words, for the report's reason.
    pub summary: String,
    /// The steps for the on-call engineer.
    pub next_steps: Vec<String>,
    /// A hand-over that a retry may get through.
    pub transient: Option<Error>,
    /// A hand-over failed that no retry gets through.
    pub refused: bool,
}

/// The outcome of handing over a target.
#[derive(Clone, Debug)]
pub enum HandedOver {
    /// The function has it.
    Done,
    /// The function would get it, and this is a dry run.
    DryRun,
    /// The setting is off.
    Off,
    /// The function was not reached.
    Failed(Error),
}

impl Unfolded {
    /// Makes the report on `sequence`, whose targets had these outcomes.
    pub fn of(sequence: &Sequence, assessment: &Assessment, outcomes: &[HandedOver]) -> Self {
        Self {
            outline: Some(outline::outline(sequence, assessment, outcomes)),
            ..summary(assessment, outcomes)
        }
    }

    /// A sequence whose parts cannot be listed, for this reason.
    pub fn unlisted(why: impl Into<String>) -> Self {
        Self {
            summary: why.into(),
            next_steps: vec![
            "look the sequence up in GuardDuty (guardduty:GetFindings with the finding's id): its \
             actors and resources are not listed here, and none was handed over"
                .to_owned(),
        ],
            ..Unfolded::default()
        }
    }
}

/// The parts of an attack sequence that would be handed over, each as the event that its function gets.
/// Pure.
pub fn parts(
    event: &Value,
    finding: &Finding,
    policy: &ResponseSettings,
) -> Vec<(Category, Value)> {
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
pub fn part_like(
    part: &Finding,
    event: &Value,
    current: &Finding,
    policy: &ResponseSettings,
) -> Option<Finding> {
    let to = part.handed_over_to()?;
    let of = |finding: &Finding| {
        let names = decision::targets(to, finding).ok()?;
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

fn summary(assessment: &Assessment, outcomes: &[HandedOver]) -> Unfolded {
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
            "see the functions' reports about this finding, each about its own part: {}",
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
            "contain the parts of the sequence that can be contained, or have them handed \
             over: set HandOverSequences to true"
                .to_owned(),
        );
    }
    let mut failed = 0;
    for (target, outcome) in targets {
        if let HandedOver::Failed(error) = outcome {
            failed += 1;
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
