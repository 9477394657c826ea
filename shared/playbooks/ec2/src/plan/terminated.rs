//! The plan where there is no instance to isolate.

use super::super::action::Action;
use super::super::risks;
use super::planner::Planner;
use model::actions::ec2 as name;
use model::plan::{Plan, Step};

impl Planner<'_> {
    /// There is no instance to isolate, for this reason. The credentials that it was given may be there still.
    pub(super) fn plan_for_terminated(mut self, why: String) -> Plan<Action> {
        let (id, state) = (self.id(), self.state);
        match (&state.instance, &state.elsewhere) {
            // The deny contains all that is left: that there is nothing to isolate is no omission then.
            (Some(_), _) if state.roles().next().is_some() => {
                self.push(Step::skipped(name::SNAPSHOT, &id, why));
            }
            (None, Some(Err(error))) => self.push(Step::unknown(name::ISOLATE, &id, error)),
            _ => self.push(Step::skipped(name::ISOLATE, &id, why)),
        }
        self.deny();
        let mut plan = self.plan;
        if state.instance.is_none() {
            plan.residual_risks.push(format!(
                "{id} was not found, and it is not isolated: if it runs, the attacker can still use it"
            ));
            plan.next_steps.push(format!(
                "find out in CloudTrail (RunInstances, TerminateInstances) and AWS Config where {id} is, or when it \
                 was terminated; isolate it if it runs"
            ));
        }
        risks::credentials(&mut plan, self.finding, state, self.instance, false);
        plan
    }
}
