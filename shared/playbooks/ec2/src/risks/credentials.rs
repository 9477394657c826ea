//! Credentials of the instance's roles that were read on it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::action::Action;
use super::super::instance::Instance;
use super::super::role;
use super::super::state::{Role, State};
use super::planned::is_planned;
use aws::error::Result;
use model::actions::ec2 as name;
use model::finding::Finding;
use model::plan::Plan;

/// The risks of the instance's role, and of the one that it had by the finding. EC2 hands out credentials that work for
/// up to six hours, whatever becomes of the instance and of its profile.
pub(crate) fn credentials(
    plan: &mut Plan<Action>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
    exempt: bool,
) {
    let (id, gone) = (&instance.id, state.gone().is_some());
    if gone && instance.profile.is_none() && state.earlier.is_none() {
        plan.residual_risks.push(format!(
            "if {id} had a role, credentials that were read on it work anywhere until they expire (up to six \
             hours): the finding names no instance profile"
        ));
    }
    let current = instance.profile.as_ref().map(|profile| Held {
        profile,
        role: &state.role,
        deny: state.deny.as_ref(),
        renewed: if gone { "" } else { ", and it gets new ones" },
    });
    let earlier = state.earlier.as_ref().map(|earlier| Held {
        profile: &earlier.profile,
        role: &earlier.role,
        deny: earlier.deny.as_ref(),
        renewed: "",
    });
    for held in current.into_iter().chain(earlier) {
        of_role(plan, finding, state, id, exempt, &held);
    }
}

/// The known facts about a profile.
struct Held<'a> {
    profile: &'a str,
    role: &'a Result<Option<Role>>,
    deny: Option<&'a Result<Option<Value>>>,
    renewed: &'static str,
}

fn of_role(
    plan: &mut Plan<Action>,
    finding: &Finding,
    state: &State,
    id: &str,
    exempt: bool,
    held: &Held<'_>,
) {
    let Held {
        profile,
        role,
        deny,
        renewed,
    } = held;
    let works = "work anywhere until they expire (up to six hours)";
    let role = match role {
        Ok(Some(role)) if !exempt => role,
        Ok(None) => {
            plan.residual_risks.push(format!(
                "{profile} has no role now: credentials of one that it had, read on {id}, {works}"
            ));
            return;
        }
        _ => {
            plan.residual_risks.push(format!(
                "credentials of {profile} that were read on {id} {works}{renewed}"
            ));
            return;
        }
    };
    let wanted = role::policy(finding, state.region_of_arn(), id, &role.id);
    let denied = matches!(deny, Some(Ok(Some(found))) if role::denies(found, &wanted));
    let planned = is_planned(plan, name::DENY, &role.arn);
    plan.residual_risks.push(if denied {
        format!("sessions of other roles that {id} assumed as {} outlive the deny (role chaining)", role.name)
    } else if planned {
        format!(
            "until {} is in effect on {}, credentials of it that were read on {id} {works}{renewed}; sessions \
             of other roles that {id} assumed as {} outlive that, too (role chaining)",
            name::DENY, role.name, role.name,
        )
    } else {
        format!("credentials of {} that were read on {id} {works}{renewed}", role.name)
    });
    let regions = BTreeSet::from([finding.region.as_str(), state.region.as_str()]);
    let regions: Vec<_> = regions.into_iter().collect();
    plan.next_steps.push(format!(
        "look in CloudTrail ({}) for AssumeRole by {}:{id}, contain the sessions it obtained, and review \
         what else it did",
        regions.join(", "),
        role.id,
    ));
}
