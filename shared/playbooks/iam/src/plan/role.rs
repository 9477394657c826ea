//! A session of a role.

use jiff::Timestamp;

use super::super::action::{Action, Issued, session_target};
use super::super::policy_document::{Deny, deny_identity_center_user, deny_session};
use super::super::state::{RoleState, Sharing};
use super::cut_off::{CutOff, Keys};
use super::steps::not_contained;
use model::actions::iam::{DENY_SESSION, EVERYTHING_DENIED, REVOKE_ROLE};
use model::finding::{Finding, RoleSession};
use model::plan::{Plan, Step, Withheld};
use model::settings::IamSettings;

/// The reason id of withholding the deny of a name that others have too, if the policies permit it.
const SHARED_NAME: &str = "playbook:shared-session-name";

pub(super) fn plan(
    finding: &Finding,
    role: &str,
    session: Option<&RoleSession>,
    found: &RoleState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Action> {
    if let Some(reason) = not_this_role(finding, role, session, found, now) {
        return not_contained(finding, DENY_SESSION, reason);
    }
    let mut plan = Plan::default();
    match session {
        Some(session) => deny(&mut plan, finding, role, session, found, settings),
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
            who_is_affected(found),
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
             recreated under the same name, or belongs to another account",
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
                ", and add this to the inline policy of the permission set (its user id of the identity \
                 store survives a change of the name): {}",
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
    plan: &mut Plan<Action>,
    finding: &Finding,
    role: &str,
    session: &RoleSession,
    found: &RoleState,
    settings: &IamSettings,
) {
    let target = session_target(&found.arn, session);
    let standing = match (&found.deny, found.deny_all.in_effect()) {
        (Ok(standing), _) => standing,
        // What denies everything makes the narrow policy superfluous.
        (Err(_), Some(_)) => &Deny::Absent,
        (Err(error), None) => {
            plan.steps.push(Step::unknown(DENY_SESSION, target, error));
            return;
        }
    };
    let action = |issued| Action::DenyRoleSession {
        role: role.to_owned(),
        arn: found.arn.clone(),
        session: session.clone(),
        from: standing.clone(),
        deny_all: found.deny_all.clone(),
        role_wide: settings.role_wide,
        issued,
    };
    let by_itself = denied_by_itself(finding, session, standing);
    let only = by_itself.clone().or_else(|| issued(finding, found));
    let only = only.filter(|_| found.deny_all.in_effect().is_none());
    let stands = stands(session, found, standing, by_itself.as_ref());
    match (stands, &found.sharing) {
        (Some(how), _) => plan.steps.push(Step::Already(action(by_itself), how)),
        (None, Sharing::Nobody | Sharing::Unclear(_)) => plan.steps.push(Step::Do(action(None))),
        (None, Sharing::Everybody { .. }) if only.is_some() => {
            plan.steps.push(Step::Do(action(only.clone())));
        }
        // Its sessions so far are cut off all the same, and those to come go on.
        (None, Sharing::Everybody { who, .. }) if settings.role_wide => {
            plan.residual_risks.push(format!(
                "the session {} is cut off with all others of {role} and not by its name, since {who}",
                session.name,
            ));
            return;
        }
        (None, Sharing::Everybody { who, issued }) => {
            let why = left_to_a_person(role, session, who, issued.as_ref().err());
            plan.steps.push(Step::Withheld(action(None), why));
            return;
        }
    }
    remaining_sessions(plan, role, session, found, only);
}

/// The sessions that a deny of one leaves.
fn remaining_sessions(
    plan: &mut Plan<Action>,
    role: &str,
    session: &RoleSession,
    found: &RoleState,
    only: Option<Issued>,
) {
    let target = session_target(&found.arn, session);
    plan.residual_risks.push(format!(
        "{role} can still be assumed under another session name: {}; sessions of roles that {target} assumed \
         still work: look for AssumeRole in CloudTrail",
        found.trust.who(),
    ));
    plan.residual_risks.push(match only {
        Some(one) => format!(
            "only the session {} of {role} that was issued at {} is denied; others of this name still work: find \
             out who opened this one, and may open the next",
            session.name, one.at,
        ),
        None => same_name(role, session, found),
    });
}

/// The evidence that the session is denied already. `by_itself`: it is, among others of its name.
fn stands(
    session: &RoleSession,
    found: &RoleState,
    standing: &Deny,
    by_itself: Option<&Issued>,
) -> Option<String> {
    let name = &session.name;
    match (found.deny_all.in_effect(), by_itself) {
        (Some(how), _) => Some(format!("{EVERYTHING_DENIED}: {how}")),
        (None, Some(one)) => Some(format!(
            "the session {name} that was issued at {} is denied everything",
            one.at
        )),
        (None, None) => standing
            .is(&deny_session(session))
            .then(|| format!("the session {name} is denied everything")),
    }
}

/// The session of the finding, if it is denied by itself already.
fn denied_by_itself(finding: &Finding, session: &RoleSession, standing: &Deny) -> Option<Issued> {
    let key = finding.access_key_id()?;
    let at = *standing.issued(session).get(&key)?;
    Some(Issued { key, at })
}

/// The session of the finding among those that share its name, if it is known which one it is.
fn issued(finding: &Finding, found: &RoleState) -> Option<Issued> {
    match &found.sharing {
        Sharing::Everybody { issued: Ok(at), .. } => Some(Issued {
            key: finding.access_key_id()?,
            at: *at,
        }),
        _ => None,
    }
}

/// A deny by the name would be right about the session and wrong about everybody else.
fn left_to_a_person(
    role: &str,
    session: &RoleSession,
    who: &str,
    unknown: Option<&String>,
) -> Withheld {
    let name = &session.name;
    Withheld {
        by: vec![SHARED_NAME.to_owned()],
        reason: format!(
            "denying the session {name} of {role} denies everybody who has that name, until a release: \
             {who}. The attacker's session among these could not be found out in time: {}. Approve it if \
             the application may fail; or set IAM_ROLE_WIDE, which cuts off the sessions so far and \
             spares later ones; or contain the source that opened the session",
            unknown.map_or("CloudTrail does not say", String::as_str),
        ),
        awaits_approval: true,
    }
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
        let others = match &found.sharing {
            Sharing::Unclear(why) => format!(
                "; whether other people or programs have that name could not be found out in time: {why}"
            ),
            // What stands is not looked for again.
            _ if !trust.providers.is_empty() => format!(
                "; others that come by {} may have that name too",
                trust.providers.join(", "),
            ),
            _ => String::new(),
        };
        format!("every session of {role} that is named {name} is cut off, whoever made it{others}")
    }
}

/// Cuts off everybody who uses the role.
fn revoke(
    plan: &mut Plan<Action>,
    finding: &Finding,
    role: &str,
    found: &RoleState,
    now: Timestamp,
) {
    let standing = match &found.revocation {
        Ok(standing) => standing,
        Err(error) => {
            plan.steps
                .push(Step::unknown(REVOKE_ROLE, &found.arn, error));
            return;
        }
    };
    let cut_off = CutOff::of(finding, standing, Keys::Untouched, now);
    let action = Action::RevokeRoleSessions {
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
        who_is_affected(found),
    ));
}

/// Who feels it when the sessions of a role are cut off.
fn who_is_affected(found: &RoleState) -> String {
    let trust = &found.trust;
    let mut who = format!("this hits {}", trust.who());
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
        broken.push("the workloads of these services under the role");
    }
    if !broken.is_empty() {
        who.push_str("; it is a service role, so these fail until their credentials are renewed: ");
        who.push_str(&broken.join(", "));
    }
    who
}
