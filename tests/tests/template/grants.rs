//! What the roles are granted, by the verb: nothing that takes away, but what has a reason of its own.

use std::collections::BTreeSet;

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
const ALL_THE_SAME: [(&str, &str, &str); 12] = [
    ("S3", "sqs:DeleteMessage", "a look that was taken is done"),
    ("Iam", "sqs:DeleteMessage", "a look that was taken is done"),
    ("Ec2", "sqs:DeleteMessage", "a look that was taken is done"),
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
fn no_role_may_do_what_takes_away_but_by_a_reason_of_its_own() {
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
    assert_eq!(roles, 7);
    assert_eq!(used, BTreeSet::from(ALL_THE_SAME));
}
