//! A session of a role.

use jiff::Timestamp;

use super::super::change::{Change, DENY_SESSION, REVOKE_ROLE, session_target};
use super::super::policy_document::{Deny, deny_identity_center_user, deny_session};
use super::super::{EVERYTHING_DENIED, RoleState};
use super::{CutOff, Keys, not_contained};
use crate::finding::{Finding, RoleSession};
use crate::plan::{Plan, Step};
use crate::settings::IamSettings;

pub(super) fn plan(
    finding: &Finding,
    role: &str,
    session: Option<&RoleSession>,
    found: &RoleState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Change> {
    if let Some(reason) = not_this_role(finding, role, session, found, now) {
        return not_contained(finding, DENY_SESSION, reason);
    }
    let mut plan = Plan::default();
    match session {
        Some(session) => deny(&mut plan, role, session, found, settings),
        None if settings.role_wide => {}
        None => {
            return not_contained(
                finding,
                DENY_SESSION,
                format!(
                    "the finding does not name the session of {role}, and revoking the whole role would \
                     hit everybody who uses it: {}",
                    found.trust.who(),
                ),
            );
        }
    }
    if settings.role_wide {
        revoke(&mut plan, finding, role, found, now);
    }
    if let Some(how) = found.deny_all.in_effect() {
        plan.residual_risks.push(format!(
            "all of {role} is blocked, in every session, old or new, since {how}: {}",
            hit(found),
        ));
    }
    plan
}

/// Why nothing may be done to the role.
fn not_this_role(
    finding: &Finding,
    role: &str,
    session: Option<&RoleSession>,
    found: &RoleState,
    now: Timestamp,
) -> Option<String> {
    let recreated = match session {
        Some(session) => (session.role_id != found.role_id).then(|| session.role_id.clone()),
        None => found
            .created
            .zip(finding.first_seen())
            .is_some_and(|(created, first)| created > first)
            .then(|| "no id given, seen before the role was created".to_owned()),
    };
    if let Some(id) = recreated {
        return Some(format!(
            "the role {role} of today ({}) is not the principal of the finding ({id}): the role was \
             created anew under the same name, or belongs to another account",
            found.role_id,
        ));
    }
    if found.path.starts_with("/aws-service-role/") {
        return Some(format!(
            "{role} is a service-linked role, which only its AWS service may change: find out who \
             controls the resource that the service acts for"
        ));
    }
    if found.path.starts_with("/aws-reserved/sso.amazonaws.com/") {
        let ready = session.map_or_else(String::new, |session| {
            format!(
                ", and add this to the inline policy of the permission set (with the user's id in the \
                 identity store, which survives a change of the user's name): {}",
                deny_identity_center_user(session, now),
            )
        });
        return Some(format!(
            "{role} belongs to IAM Identity Center, and only there can it be changed: disable the user, \
             delete its sessions{ready}"
        ));
    }
    None
}

fn deny(
    plan: &mut Plan<Change>,
    role: &str,
    session: &RoleSession,
    found: &RoleState,
    settings: &IamSettings,
) {
    let standing = match (&found.deny, found.deny_all.in_effect()) {
        (Ok(standing), _) => standing,
        // What denies everything makes the narrow policy superfluous.
        (Err(_), Some(_)) => &Deny::Absent,
        (Err(error), None) => {
            plan.steps.push(Step::Unknown {
                action: DENY_SESSION,
                target: session_target(&found.arn, session),
                error: error.clone(),
            });
            return;
        }
    };
    let action = Change::DenyRoleSession {
        role: role.to_owned(),
        arn: found.arn.clone(),
        session: session.clone(),
        from: standing.clone(),
        deny_all: found.deny_all.clone(),
        role_wide: settings.role_wide,
    };
    plan.steps
        .push(if let Some(how) = found.deny_all.in_effect() {
            Step::Already(action, format!("{EVERYTHING_DENIED}: {how}"))
        } else if standing.is(&deny_session(session)) {
            Step::Already(
                action,
                format!("the session {} is denied everything", session.name),
            )
        } else {
            Step::Do(action)
        });
    let target = session_target(&found.arn, session);
    plan.residual_risks.push(format!(
        "whoever may assume {role} still can, under another session name: {}; roles that {target} assumed \
         keep their sessions: look for AssumeRole in CloudTrail and contain its source",
        found.trust.who(),
    ));
    plan.residual_risks.push(same_name(role, session, found));
}

/// Who else has the name of the session, which the deny goes by. AWS services give it after what the
/// role is for.
fn same_name(role: &str, session: &RoleSession, found: &RoleState) -> String {
    let name = &session.name;
    let trust = &found.trust;
    if trust.is_for("ec2") && name.starts_with("i-") {
        format!(
            "the instance {name} loses the permissions of {role} until the deny is released, the \
             credentials that it will be given included; other instances keep them"
        )
    } else if trust.is_for("lambda") {
        format!(
            "Lambda names sessions after the function: if {name} is one, every execution environment of it, \
             warm or new, loses the permissions of {role} until the deny is released"
        )
    } else if trust.is_for("ecs-tasks") {
        format!(
            "ECS names sessions after the task: if {name} is one, that task loses the permissions of {role} \
             until it is replaced; other tasks keep them"
        )
    } else {
        format!("every session of {role} that is named {name} is cut off, whoever made it")
    }
}

/// Cuts off everybody who uses the role.
fn revoke(
    plan: &mut Plan<Change>,
    finding: &Finding,
    role: &str,
    found: &RoleState,
    now: Timestamp,
) {
    let standing = match &found.revocation {
        Ok(standing) => standing,
        Err(error) => {
            plan.steps.push(Step::Unknown {
                action: REVOKE_ROLE,
                target: found.arn.clone(),
                error: error.clone(),
            });
            return;
        }
    };
    let cut_off = CutOff::of(finding, standing, Keys::Untouched, now);
    let action = Change::RevokeRoleSessions {
        role: role.to_owned(),
        arn: found.arn.clone(),
        from: standing.clone(),
        deny_all: found.deny_all.clone(),
        cut_off: cut_off.time(),
    };
    plan.steps
        .push(cut_off.step(action, found.deny_all.in_effect()));
    plan.residual_risks.push(format!(
        "every session of {role} from before {} is cut off, not only the stolen one: {}",
        cut_off.time(),
        hit(found),
    ));
}

/// Who feels it when the sessions of a role are cut off.
fn hit(found: &RoleState) -> String {
    let trust = &found.trust;
    let mut who = format!("hit is {}", trust.who());
    let mut broken = Vec::new();
    if trust.is_for("lambda") {
        broken.push("warm environments of Lambda functions");
    }
    if trust.is_for("ecs-tasks") {
        broken.push("running ECS tasks");
    }
    if trust.is_for("ec2") {
        broken.push("every EC2 instance with the role, for hours, since they go on getting the same credentials");
    }
    if broken.is_empty() && !trust.services.is_empty() {
        broken.push("what these services run under the role");
    }
    if !broken.is_empty() {
        who.push_str("; it is a service role, so these fail until their credentials are renewed: ");
        who.push_str(&broken.join(", "));
    }
    who
}
