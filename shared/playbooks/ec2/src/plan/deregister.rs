//! Out of what checks the health of an instance, or sends people to it.

use super::super::action::{
    Action, DeregisterFromBalancers, DeregisterTargets, LeaveAutoScalingGroup,
};
use super::super::state::Registrations;
use super::super::target_groups::Unread;
use super::planner::Planner;
use aws::error::{Error, Result};
use model::actions::ec2 as name;
use model::plan::Step;
use model::settings::AutoScaling;

impl Planner<'_> {
    /// Out of everything that checks its health: it will fail, and an Auto Scaling group terminates
    /// what fails, whatever protects it from termination.
    pub(super) fn deregister(&mut self) {
        let (id, state) = (self.id(), self.state);
        let standby = self.settings.auto_scaling == AutoScaling::Standby;
        let action = if standby { name::STANDBY } else { name::DETACH };
        if let Some(why) = self.exempt_reason.clone() {
            for action in [action, name::TARGETS, name::BALANCERS] {
                self.push(Step::skipped(
                    action,
                    &id,
                    format!("it is not isolated: {why}"),
                ));
            }
            return;
        }
        if self.settings.auto_scaling != AutoScaling::Keep {
            self.leave_auto_scaling_group(action, standby);
        }
        let Some(rest) = &state.rest else {
            return;
        };
        self.deregister_targets(&rest.targets);
        if let Some(from) = self.read(name::BALANCERS, &id, &rest.balancers) {
            let none = from.is_empty();
            let change = Action::DeregisterFromBalancers(DeregisterFromBalancers {
                region: self.region(),
                instance: id,
                from,
            });
            self.push(if none {
                Step::Already(change, "no Classic Load Balancer has it".to_owned())
            } else {
                Step::Do(change)
            });
        }
    }

    fn leave_auto_scaling_group(&mut self, action: &'static str, standby: bool) {
        let id = self.id();
        let Some(membership) = self.read(action, &id, &self.state.scaling) else {
            return;
        };
        let change = |group: Option<&str>| {
            Action::LeaveAutoScalingGroup(LeaveAutoScalingGroup {
                region: self.region(),
                instance: id.clone(),
                group: group.map(ToOwned::to_owned),
                standby,
            })
        };
        let Some(found) = &membership else {
            let change = change(None);
            self.push(Step::Already(
                change,
                "it is in no Auto Scaling group".to_owned(),
            ));
            return;
        };
        let group = &found.group;
        let step = match found.lifecycle.as_str() {
            "InService" => Step::Do(change(Some(group))),
            "Detaching" | "Detached" | "Standby" | "EnteringStandby" => Step::Already(
                change(Some(group)),
                format!("it is {} in {group}", found.lifecycle),
            ),
            other => Step::skipped(
                action,
                &id,
                format!(
                    "it is {other} in {group}, which lets nobody detach it now: watch that its snapshots \
                     complete before the group terminates it"
                ),
            ),
        };
        self.push(step);
    }

    /// From its target groups, when all of them are looked through.
    fn deregister_targets(&mut self, targets: &Result<Registrations>) {
        let id = self.id();
        let found = match targets {
            Ok(found) => found.clone(),
            Err(error) => {
                let unread = Unread::of(&id, std::slice::from_ref(error));
                self.plan.steps.extend(unread.map(|unread| unread.step(id)));
                return;
            }
        };
        if !found.left.is_empty() {
            return;
        }
        if !found.elsewhere.is_empty() {
            let shown = found.elsewhere.iter();
            let shown: Vec<_> = shown
                .map(|target| format!("{} in {}", target.id, target.group))
                .collect();
            self.plan.next_steps.push(format!(
                "find out whether a target outside its group's VPC is {id}, which has that address, and \
                 deregister it there: {}",
                shown.join(", "),
            ));
        }
        let unread = Unread::of(&id, &found.unread);
        let mut from = found.own;
        let seen = from.iter().map(|target| target.group.clone()).collect();
        from.retain(|target| !target.draining);
        let none = from.is_empty();
        let change = Action::DeregisterTargets(DeregisterTargets {
            region: self.region(),
            instance: id.clone(),
            from,
            seen: Some(seen),
        });
        if !none {
            self.push(Step::Do(change));
        } else if unread.is_none() {
            let detail = "it is registered in no target group";
            self.push(Step::Already(change, detail.to_owned()));
        }
        if let Some(unread) = unread {
            let target = if none {
                id
            } else {
                format!("other target groups of {id}")
            };
            self.push(unread.step(target));
        }
    }
}

impl Unread {
    /// It keeps the instance from nothing but being deregistered: the interfaces are isolated without it. So what
    /// may pass is left to the next look, and only what does not pass is a failure.
    fn step(self, target: String) -> Step<Action> {
        let Self { may_pass, why } = self;
        if may_pass {
            return Step::skipped(name::TARGETS, &target, why);
        }
        Step::unknown(name::TARGETS, target, &Error::Refused(why))
    }
}
