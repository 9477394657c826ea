//! The IAM permissions that each action needs.

use model::actions::ec2::*;

const ATTRIBUTE: &[&str] = &["ec2:ModifyInstanceAttribute"];
const INTERFACE: &str = "ec2:ModifyNetworkInterfaceAttribute";
/// To put an isolated interface into a group that has rules.
const INTO_OPEN_GROUP: &[&str] = &[
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    INTERFACE,
];

pub(super) const TABLE: &[(&str, &[&str])] = &[
    (TERMINATION, ATTRIBUTE),
    (STOP, ATTRIBUTE),
    (SHUTDOWN, ATTRIBUTE),
    (KEEP_VOLUME, ATTRIBUTE),
    (DETACH, &["autoscaling:DetachInstances"]),
    (STANDBY, &["autoscaling:EnterStandby"]),
    (TARGETS, &["elasticloadbalancing:DeregisterTargets"]),
    (
        BALANCERS,
        &["elasticloadbalancing:DeregisterInstancesFromLoadBalancer"],
    ),
    (
        PREPARE,
        &[
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
    ),
    (
        CLOSE,
        &[
            "ec2:DescribeSecurityGroupRules",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
    ),
    (ISOLATE, &["ec2:DescribeSecurityGroups", INTERFACE]),
    (DENY, &["iam:PutRolePolicy"]),
    (ADDRESS, &["ec2:DisassociateAddress", INTERFACE]),
    (METADATA, &["ec2:ModifyInstanceMetadataOptions"]),
    (TIMEOUTS, &[INTERFACE]),
    (CUT, INTO_OPEN_GROUP),
    (
        SNAPSHOT,
        &[
            "ec2:CreateSnapshots",
            "ec2:CreateTags",
            "ec2:DescribeSnapshots",
        ],
    ),
    (FORENSICS, INTO_OPEN_GROUP),
    (MARK, &["ec2:CreateTags"]),
];
