//! The recorded containment of a target that is in effect, as data.

use std::collections::BTreeSet;

use crate::plan::StepKey;
use crate::resource::Resource;

/// The steps that contain a target by the record, and the severity on account of which they were permitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The keys of the steps.
    pub steps: BTreeSet<String>,
    /// The highest severity of the target's findings.
    pub severity: f64,
    /// Those of the steps that were found undone and were not done again. People were notified of that.
    pub found_undone: BTreeSet<String>,
}

impl Standing {
    /// True if the step of this key contains the target, as far as is known.
    pub fn is_in_effect(&self, key: &str) -> bool {
        self.steps.contains(key) && !self.found_undone.contains(key)
    }
}

/// A target of a finding, as the record has it.
#[derive(Clone, Copy, Debug)]
pub struct RecordedTarget<'a> {
    /// Its name in the record.
    pub name: &'a str,
    /// `None`: the record knows of no containment.
    pub standing: Option<&'a Standing>,
}

/// Returns the standing containment of the step's target, if the step is a part of it.
pub fn standing<'a>(
    targets: impl IntoIterator<Item = impl Into<RecordedTarget<'a>>>,
    step: &StepKey,
    resource: &Resource,
) -> Option<&'a Standing> {
    let targets: Vec<RecordedTarget<'a>> = targets.into_iter().map(Into::into).collect();
    let target = match targets.as_slice() {
        [target] => target,
        targets => targets
            .iter()
            .find(|target| target.name == resource.name())?,
    };
    let standing = target.standing?;
    standing
        .steps
        .contains(&step.to_string())
        .then_some(standing)
}
