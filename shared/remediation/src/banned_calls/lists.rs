//! Which operations are banned, by their verbs, by words in their names, and one by one.

/// A service, an operation of it, and the reason.
pub(super) type Reasoned = (&'static str, &'static str, &'static str);

/// Verbs of operations that take away, stop, hide or replace what somebody may want back.
pub(super) const TAKES_AWAY: [(&str, &str); 35] = [
    (
        "abort",
        "containment never stops what somebody else started",
    ),
    ("archive", "an archived finding is seen by nobody"),
    ("authorize", "a rule lets traffic in or out"),
    (
        "cancel",
        "containment never stops what somebody else started",
    ),
    (
        "deactivate",
        "the device or source would be lost; deny instead",
    ),
    ("deauthorize", "containment never deletes"),
    ("decline", "an answer to an invitation is the operator's"),
    ("delete", "containment never deletes"),
    (
        "deprovision",
        "containment never gives up a resource of the account",
    ),
    ("deregister", "a deregistered target serves nobody"),
    ("detach", "a detached resource serves nobody"),
    ("disable", "containment never turns a service off"),
    ("disassociate", "a disassociated resource serves nobody"),
    ("dissociate", "a dissociated resource serves nobody"),
    ("exit", "back in service it is no longer contained"),
    ("purge", "containment never deletes"),
    ("reboot", "rebooting loses memory"),
    ("reject", "an answer to an invitation is the operator's"),
    (
        "release",
        "a released resource may be somebody else's afterwards",
    ),
    (
        "remove",
        "containment takes away nothing that it did not give",
    ),
    ("replace", "the values from before would be lost"),
    ("reset", "the values from before would be lost"),
    ("revoke", "a rule that is revoked cuts off who relies on it"),
    ("rollback", "containment never undoes the work of others"),
    (
        "stop",
        "stopping loses memory and the public address, or the record",
    ),
    ("suspend", "containment never turns a service off"),
    (
        "terminate",
        "terminating destroys memory and instance-store evidence",
    ),
    ("unarchive", "the archive is the analyst's"),
    (
        "unassign",
        "containment never gives up a resource of the account",
    ),
    ("unlabel", "a label says which version is in use"),
    ("unlock", "a locked object is evidence"),
    ("unmonitor", "containment never turns a record off"),
    ("unsubscribe", "the operator decides who is notified"),
    ("untag", "a tag may be what a policy goes by"),
    (
        "withdraw",
        "containment never gives up a resource of the account",
    ),
];

/// Verbs of operations that only read.
pub(super) const READS: [&str; 15] = [
    "check", "decode", "describe", "generate", "get", "head", "list", "lookup", "query", "receive",
    "scan", "search", "select", "simulate", "validate",
];

/// The other verbs. An operation that begins with one is banned if it has one of [`OPENS`] in its name, or is one
/// of [`BESIDES`].
pub(super) const OTHER_VERBS: [&str; 58] = [
    "accept",
    "acquire",
    "activate",
    "add",
    "advertise",
    "allocate",
    "apply",
    "assign",
    "associate",
    "assume",
    "attach",
    "bundle",
    "change",
    "checkpoint",
    "complete",
    "configure",
    "confirm",
    "copy",
    "create",
    "enable",
    "enter",
    "execute",
    "export",
    "import",
    "invite",
    "invoke",
    "label",
    "launch",
    "lock",
    "modify",
    "monitor",
    "move",
    "opt",
    "provision",
    "publish",
    "purchase",
    "put",
    "record",
    "register",
    "rename",
    "report",
    "request",
    "restore",
    "resume",
    "resync",
    "run",
    "send",
    "set",
    "start",
    "submit",
    "subscribe",
    "tag",
    "test",
    "transact",
    "update",
    "upload",
    "verify",
    "write",
];

/// Words in the names of operations that decide who may do what, or how long something is kept.
pub(super) const OPENS: [&str; 14] = [
    "acl",
    "cors",
    "credential",
    "egress",
    "ingress",
    "key",
    "lifecycle",
    "login",
    "permission",
    "permissions",
    "policy",
    "public",
    "replication",
    "website",
];

/// Operations that open something or lose something although neither verb nor words say so.
pub(super) const BESIDES: [Reasoned; 33] = [
    (
        "autoscaling",
        "launch_instances",
        "containment never starts anything",
    ),
    (
        "autoscaling",
        "set_desired_capacity",
        "a group that shrinks terminates instances",
    ),
    (
        "autoscaling",
        "set_instance_health",
        "an unhealthy instance is terminated",
    ),
    (
        "autoscaling",
        "update_auto_scaling_group",
        "a group that shrinks terminates instances",
    ),
    (
        "autoscaling",
        "start_instance_refresh",
        "a refresh terminates instances",
    ),
    (
        "cloudtrail",
        "put_event_selectors",
        "the operator decides what is recorded",
    ),
    (
        "cloudtrail",
        "update_trail",
        "the operator decides what is recorded",
    ),
    (
        "dynamodb",
        "batch_write_item",
        "it deletes and replaces items without a condition",
    ),
    (
        "dynamodb",
        "update_continuous_backups",
        "containment never turns a record off",
    ),
    (
        "dynamodb",
        "update_time_to_live",
        "items would go away by themselves",
    ),
    (
        "ec2",
        "associate_iam_instance_profile",
        "it gives an instance credentials",
    ),
    (
        "ec2",
        "attach_internet_gateway",
        "it lets traffic in and out",
    ),
    (
        "ec2",
        "attach_network_interface",
        "an interface more is one that is not isolated",
    ),
    ("ec2", "create_route", "it lets traffic in and out"),
    ("ec2", "modify_image_attribute", "it can share the image"),
    (
        "ec2",
        "modify_instance_attribute",
        "its groups cover only the primary interface; change each interface",
    ),
    (
        "ec2",
        "modify_security_group_rules",
        "a rule lets traffic in or out",
    ),
    (
        "ec2",
        "modify_snapshot_attribute",
        "it can share the snapshot",
    ),
    ("ec2", "run_instances", "containment never starts anything"),
    (
        "ec2",
        "send_diagnostic_interrupt",
        "it makes the instance crash or reboot",
    ),
    (
        "ec2",
        "start_instances",
        "containment never starts anything",
    ),
    (
        "iam",
        "add_role_to_instance_profile",
        "it gives instances credentials",
    ),
    ("iam", "add_user_to_group", "it gives a user permissions"),
    ("iam", "create_user", "containment makes no principal"),
    ("iam", "create_role", "containment makes no principal"),
    (
        "lambda",
        "update_function_code",
        "new code has the role of the function",
    ),
    (
        "lambda",
        "update_function_configuration",
        "new settings may switch the function off",
    ),
    (
        "s3",
        "put_bucket_ownership_controls",
        "it brings access lists into effect, or takes them out",
    ),
    (
        "s3",
        "put_bucket_versioning",
        "suspended versioning loses the versions before",
    ),
    ("s3", "put_object_lock_configuration", "a lock is evidence"),
    (
        "s3control",
        "put_bucket_versioning",
        "suspended versioning loses the versions before",
    ),
    (
        "ssm",
        "send_command",
        "containment runs nothing on an instance",
    ),
    (
        "ssm",
        "start_session",
        "containment runs nothing on an instance",
    ),
];

/// Operations with such a word that anybody may call here, since containing is done by them or since they
/// concern nobody's access.
pub(super) const ALLOWED: [Reasoned; 18] = [
    (
        "autoscaling",
        "complete_lifecycle_action",
        "it ends a wait, and decides nothing",
    ),
    (
        "autoscaling",
        "record_lifecycle_action_heartbeat",
        "it only prolongs a wait",
    ),
    ("ec2", "enable_image_block_public_access", "it closes"),
    ("ec2", "enable_snapshot_block_public_access", "it closes"),
    (
        "ec2",
        "update_security_group_rule_descriptions_egress",
        "a description decides nothing",
    ),
    (
        "ec2",
        "update_security_group_rule_descriptions_ingress",
        "a description decides nothing",
    ),
    (
        "iam",
        "attach_role_policy",
        "AWSDenyAll; the role allows no other",
    ),
    (
        "iam",
        "attach_user_policy",
        "AWSDenyAll; the role allows no other",
    ),
    (
        "iam",
        "put_role_permissions_boundary",
        "AWSDenyAll; the role allows no other",
    ),
    ("iam", "put_role_policy", "the deny"),
    (
        "iam",
        "put_user_permissions_boundary",
        "AWSDenyAll; the role allows no other",
    ),
    ("iam", "put_user_policy", "the deny"),
    ("iam", "tag_policy", "a tag of a policy is not the policy"),
    (
        "iam",
        "update_access_key",
        "it deactivates the key of the finding",
    ),
    (
        "iam",
        "update_service_specific_credential",
        "it deactivates the credential",
    ),
    ("s3", "put_bucket_policy", "the deny beside what was there"),
    ("s3", "put_public_access_block", "it closes"),
    ("s3control", "put_public_access_block", "it closes"),
];

/// Reasons that say more of a call than its verb does.
pub(super) const REASONS: [Reasoned; 8] = [
    (
        "iam",
        "deactivate_mfa_device",
        "the password alone would suffice afterwards",
    ),
    (
        "iam",
        "delete_access_key",
        "deactivate instead: the id stays in CloudTrail, and it can be undone",
    ),
    (
        "iam",
        "delete_login_profile",
        "the password would be lost; deny instead",
    ),
    (
        "iam",
        "delete_user_policy",
        "containment never takes a policy away",
    ),
    (
        "iam",
        "delete_role_policy",
        "containment never takes a policy away",
    ),
    (
        "s3",
        "delete_public_access_block",
        "removing the block re-exposes the bucket immediately",
    ),
    (
        "s3control",
        "delete_public_access_block",
        "removing the block re-exposes the account's buckets immediately",
    ),
    (
        "s3",
        "put_bucket_lifecycle_configuration",
        "a lifecycle deletes objects",
    ),
];

/// The clocks and the environment: one place reads each.
pub(super) const READ_IN_ONE_PLACE: [&str; 11] = [
    "jiff::Timestamp::now",
    "jiff::ZonedDateTime::now",
    "jiff::tz::TimeZone::system",
    "jiff::tz::TimeZone::try_system",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::env::vars_os",
    "std::time::Instant::now",
    "std::time::SystemTime::elapsed",
    "std::time::SystemTime::now",
];
