//! The roles are granted no action whose verb takes away, but those with a reason of their own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FUNCTIONS, attached, template};
use crate::common::{granted, yaml};

/// Verbs of actions that delete, stop, open, or take something from somebody.
const TAKES_AWAY: [&str; 26] = [
    "Abort",
    "Archive",
    "Authorize",
    "Cancel",
    "Deactivate",
    "Delete",
    "Deregister",
    "Detach",
    "Disable",
    "Disassociate",
    "Purge",
    "Reboot",
    "Reject",
    "Release",
    "Remove",
    "Replace",
    "Reset",
    "Restore",
    "Revoke",
    "Start",
    "Stop",
    "Suspend",
    "Terminate",
    "Unassign",
    "Unsubscribe",
    "Untag",
];

/// The function, the action, and why its role has it all the same.
const ALL_THE_SAME: [(&str, &str, &str); 13] = [
    ("S3", "sqs:DeleteMessage", "a look that was taken is done"),
    ("Iam", "sqs:DeleteMessage", "a look that was taken is done"),
    ("Ec2", "sqs:DeleteMessage", "a look that was taken is done"),
    (
        "Lambda",
        "sqs:DeleteMessage",
        "a look that was taken is done",
    ),
    (
        "Triage",
        "sqs:DeleteMessage",
        "a note for Security Hub that was written is done",
    ),
    (
        "Ec2",
        "autoscaling:DetachInstances",
        "the group would terminate what is isolated",
    ),
    (
        "Ec2",
        "ec2:AuthorizeSecurityGroupEgress",
        "only of the groups that cut connections or let forensics in",
    ),
    (
        "Ec2",
        "ec2:AuthorizeSecurityGroupIngress",
        "only of the groups that cut connections or let forensics in",
    ),
    (
        "Ec2",
        "ec2:DisassociateAddress",
        "Ec2RemovePublicAddress; a release gives it back",
    ),
    (
        "Ec2",
        "ec2:RevokeSecurityGroupEgress",
        "a group isolates only without rules",
    ),
    (
        "Ec2",
        "ec2:RevokeSecurityGroupIngress",
        "a group isolates only without rules",
    ),
    (
        "Ec2",
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        "a release registers it again",
    ),
    (
        "Ec2",
        "elasticloadbalancing:DeregisterTargets",
        "a release registers it again",
    ),
];

fn takes_away(action: &str) -> bool {
    let name = action.split(':').nth(1).unwrap_or_default();
    TAKES_AWAY.iter().any(|verb| name.starts_with(verb))
}

#[test]
fn no_role_may_remove_anything_without_a_reason() {
    let templates = [
        (template(), "ResponderRole"),
        (yaml("infra/member-roles.yaml"), "MemberRole"),
    ];
    let mut used = BTreeSet::new();
    let mut roles = 0;
    for (template, suffix) in &templates {
        for (function, _) in FUNCTIONS {
            let name = format!("{function}{suffix}");
            let role = &template["Resources"][&name]["Properties"];
            // Triage has no role in member accounts.
            let Some(inline) = role["Policies"].as_array() else {
                continue;
            };
            roles += 1;
            let granted = granted(inline.iter().chain(attached(template, &name)));
            for action in granted.into_iter().filter(|action| takes_away(action)) {
                let reason = ALL_THE_SAME
                    .iter()
                    .find(|(of, allowed, _)| *of == function && *allowed == action);
                let reason = reason.unwrap_or_else(|| panic!("{name} may {action}"));
                used.insert(*reason);
            }
        }
    }
    assert_eq!(roles, 9);
    assert_eq!(used, BTreeSet::from(ALL_THE_SAME));
}

/// The actions on roles in the statements of this effect.
fn on_roles(policies: &[&Value], effect: &str) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for policy in policies {
        let statements = policy["PolicyDocument"]["Statement"].as_array();
        for statement in statements.into_iter().flatten() {
            if statement["Effect"] != effect
                || !statement["Resource"].to_string().contains(":role/")
            {
                continue;
            }
            // A deny under a condition is none where the condition does not hold.
            if effect == "Deny" && !statement["Condition"].is_null() {
                continue;
            }
            let several = statement["Action"].as_array().cloned();
            let several = several.unwrap_or_else(|| vec![statement["Action"].clone()]);
            actions.extend(several.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    actions
}

/// An attacker who runs code in a function must not get to widen the responder's roles, or to switch them off.
#[test]
fn each_change_of_roles_is_denied_on_the_responders_own() {
    // The tag `gdr:contained` by itself, which denies nothing.
    const HARMLESS: &str = "iam:TagRole";
    let templates = [
        (template(), "ResponderRole"),
        (yaml("infra/member-roles.yaml"), "MemberRole"),
    ];
    let mut changing = 0;
    for (template, suffix) in &templates {
        for (function, _) in FUNCTIONS {
            let name = format!("{function}{suffix}");
            let role = &template["Resources"][&name]["Properties"];
            let inline = role["Policies"].as_array().into_iter().flatten();
            let policies: Vec<_> = inline.chain(attached(template, &name)).collect();
            let denied = on_roles(&policies, "Deny");
            for action in on_roles(&policies, "Allow") {
                // A statement may be about users as well. The roles of members are assumed, not changed.
                let of_roles = action.starts_with("iam:") && action.contains("Role");
                let reads = ["iam:Get", "iam:List"]
                    .iter()
                    .any(|it| action.starts_with(it));
                if !of_roles || reads || action == HARMLESS {
                    continue;
                }
                assert!(
                    denied.contains(&action),
                    "{name} may {action} on its own role"
                );
                changing += 1;
            }
        }
    }
    assert!(changing >= 8, "{changing}");
}
