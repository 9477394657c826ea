//! Reports beside a containment that the record has, and on what an operator did about it.

use super::{Report, Status, StepReport};
use crate::category::Category;
use crate::finding::Finding;

impl Report {
    /// The operator rejected the plan that awaited approval.
    pub fn rejected(category: Category, finding: &Finding, by: &str, why: &str) -> Self {
        let reason = format!("{by} rejected the plan that awaited approval: {why}");
        Self {
            rejected_by: Some(by.to_owned()),
            ..Self::new(category, finding, Status::Rejected, reason, false)
        }
    }

    /// The operator released an incident of the finding, with what came of each step. `partly`: something of the
    /// incident is still contained.
    pub fn released(
        category: Category,
        finding: &Finding,
        by: &str,
        reason: String,
        steps: Vec<StepReport>,
        partly: bool,
    ) -> Self {
        let status = if partly {
            Status::Partial
        } else {
            Status::Released
        };
        Self {
            steps,
            released_by: Some(by.to_owned()),
            ..Self::new(category, finding, status, reason, false)
        }
    }

    /// True if another invocation has the target. It answers for the target.
    pub fn is_busy(&self) -> bool {
        self.busy
    }
    /// True if something that contains the target was read not to be in effect.
    pub fn reads_open(&self) -> bool {
        self.steps.iter().any(StepReport::is_open)
    }
    /// True if it changes what the record says of a containment: a policy, a setting, a dry run, another
    /// invocation and a failed read say nothing of what is in effect.
    pub fn tells_of_target(&self) -> bool {
        let unread = self.steps.iter().any(|step| step.unread);
        self.read && !self.dry_run && (self.reads_open() || !unread)
    }
    /// Tells that a containment was undone. `consequence`: its consequence.
    pub fn tell_undone(&mut self, consequence: &str) {
        self.undone = true;
        self.next_steps.insert(
            0,
            format!(
                "someone undid this containment and {consequence}: find out in CloudTrail who, and contain \
                 that principal too"
            ),
        );
    }
}
