//! The state that the parts of a plan for one instance share.

use super::super::action::Action;
use super::super::instance::Instance;
use super::super::state::State;
use aws::error::{Error, Result};
use model::finding::Finding;
use model::plan::{Plan, Step};
use model::settings::Ec2Settings;

/// Plans for one instance.
pub(super) struct Planner<'a> {
    pub(super) finding: &'a Finding,
    pub(super) state: &'a State,
    pub(super) instance: &'a Instance,
    pub(super) settings: &'a Ec2Settings,
    /// Why nothing is done to it that would keep it from working.
    pub(super) exempt_reason: Option<String>,
    pub(super) plan: Plan<Action>,
}

impl Planner<'_> {
    pub(super) fn push(&mut self, step: Step<Action>) {
        self.plan.steps.push(step);
    }

    pub(super) fn region(&self) -> String {
        self.state.region.clone()
    }

    pub(super) fn id(&self) -> String {
        self.instance.id.clone()
    }

    /// The value that was read, or the step that says that it was not.
    pub(super) fn read<T: Clone>(
        &mut self,
        action: &'static str,
        target: &str,
        read: &Result<T>,
    ) -> Option<T> {
        read.clone()
            .map_err(|error: Error| {
                self.push(Step::unknown(action, target, &error));
            })
            .ok()
    }

    /// Nobody but its operator may change a setting of an instance that an AWS service operates. Tags and snapshots
    /// are anybody's, <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html>.
    pub(super) fn operated(&self) -> Option<String> {
        let operator = self.instance.operator.as_ref()?;
        Some(format!(
            "{operator} operates this instance, and nobody else may change its settings: contain it through \
             that service"
        ))
    }
}
