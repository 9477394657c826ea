//! The actions of the playbooks as others know them: who takes each, in which phase, and by which setting. Pure.
//!
//! An action knows its own name, phase and undo, but only its playbook knows the action. Here is what the
//! policies, the rehearsal and the pages need of it without knowing a playbook.

use crate::category::Category;
use crate::decision::ResponseSettings;
use crate::plan::Phase;
use crate::settings::{AutoScaling, Settings};

/// The names of the S3 playbook's actions, as reports, notices and records show them.
pub mod s3 {
    #![allow(missing_docs, reason = "the names are their own documentation")]
    pub const BLOCK: &str = "s3:BlockBucketPublicAccess";
    pub const BLOCK_ACCOUNT: &str = "s3:BlockAccountPublicAccess";
    pub const DENY: &str = "s3:DenyInBucketPolicy";
    pub const DENY_TAGGED: &str = "s3:DenyTaggedObjects";
    pub const TAG_OBJECT: &str = "s3:TagObjectVersion";
}

/// The names of the IAM playbook's actions.
pub mod iam {
    #![allow(missing_docs, reason = "the names are their own documentation")]
    pub const REVOKE: &str = "iam:RevokeUserSessions";
    pub const DEACTIVATE: &str = "iam:DeactivateAccessKey";
    pub const DEACTIVATE_CREDENTIAL: &str = "iam:DeactivateServiceSpecificCredential";
    pub const DENY_SESSION: &str = "iam:DenyRoleSession";
    pub const REVOKE_ROLE: &str = "iam:RevokeRoleSessions";
    pub const MARK: &str = "iam:MarkContained";
    /// Never taken: a password that is taken away cannot be given back.
    pub const CONSOLE: &str = "iam:DisableConsoleAccess";

    /// The beginning of the detail of a step that is in effect since all of the user or role is denied.
    pub const EVERYTHING_DENIED: &str = "everything is denied";
}

/// The names of the EC2 playbook's actions.
pub mod ec2 {
    #![allow(missing_docs, reason = "the names are their own documentation")]
    pub const TERMINATION: &str = "ec2:ProtectFromTermination";
    pub const STOP: &str = "ec2:ProtectFromStop";
    pub const SHUTDOWN: &str = "ec2:StopOnShutdown";
    pub const KEEP_VOLUME: &str = "ec2:KeepVolume";
    pub const DETACH: &str = "autoscaling:DetachInstance";
    pub const STANDBY: &str = "autoscaling:EnterStandby";
    pub const TARGETS: &str = "elasticloadbalancing:DeregisterTarget";
    pub const BALANCERS: &str = "elasticloadbalancing:DeregisterInstance";
    pub const PREPARE: &str = "ec2:PrepareIsolationGroup";
    pub const CLOSE: &str = "ec2:CloseIsolationGroup";
    pub const ISOLATE: &str = "ec2:IsolateInterface";
    pub const DENY: &str = "iam:DenyInstanceCredentials";
    pub const ADDRESS: &str = "ec2:RemovePublicAddress";
    pub const METADATA: &str = "ec2:DisableInstanceMetadata";
    pub const TIMEOUTS: &str = "ec2:ShortenIdleTimeouts";
    pub const CUT: &str = "ec2:CutTrackedConnections";
    pub const SNAPSHOT: &str = "ec2:SnapshotVolumes";
    pub const FORENSICS: &str = "ec2:AdmitForensics";
    pub const MARK: &str = "ec2:MarkContained";
}

/// The names of the Lambda playbook's actions.
pub mod lambda {
    #![allow(missing_docs, reason = "the names are their own documentation")]
    pub const THROTTLE: &str = "lambda:ThrottleFunction";
    pub const DENY: &str = "iam:DenyFunctionCredentials";
}

/// Each action of a function, with its phase. A test holds the table against the playbooks' actions.
const ACTIONS: &[(Category, &[(&str, Phase)])] = &[
    (
        Category::S3,
        &[
            (s3::BLOCK, Phase::Contain),
            (s3::BLOCK_ACCOUNT, Phase::Contain),
            (s3::DENY, Phase::Contain),
            (s3::DENY_TAGGED, Phase::Contain),
            (s3::TAG_OBJECT, Phase::Contain),
        ],
    ),
    (
        Category::Iam,
        &[
            (iam::REVOKE, Phase::Contain),
            (iam::DEACTIVATE, Phase::Contain),
            (iam::DEACTIVATE_CREDENTIAL, Phase::Contain),
            (iam::DENY_SESSION, Phase::Contain),
            (iam::REVOKE_ROLE, Phase::Contain),
            (iam::MARK, Phase::Annotate),
        ],
    ),
    (
        Category::Ec2,
        &[
            (ec2::TERMINATION, Phase::Protect),
            (ec2::STOP, Phase::Protect),
            (ec2::SHUTDOWN, Phase::Protect),
            (ec2::KEEP_VOLUME, Phase::Protect),
            (ec2::DETACH, Phase::Protect),
            (ec2::STANDBY, Phase::Protect),
            (ec2::TARGETS, Phase::Protect),
            (ec2::BALANCERS, Phase::Protect),
            (ec2::PREPARE, Phase::Contain),
            (ec2::CLOSE, Phase::Contain),
            (ec2::ISOLATE, Phase::Contain),
            (ec2::DENY, Phase::Contain),
            (ec2::ADDRESS, Phase::Contain),
            (ec2::METADATA, Phase::Contain),
            (ec2::TIMEOUTS, Phase::Contain),
            (ec2::CUT, Phase::Contain),
            (ec2::SNAPSHOT, Phase::Preserve),
            (ec2::FORENSICS, Phase::Preserve),
            (ec2::MARK, Phase::Annotate),
        ],
    ),
    (
        Category::Lambda,
        &[
            (lambda::THROTTLE, Phase::Contain),
            (lambda::DENY, Phase::Contain),
        ],
    ),
];

/// Lists the actions of the function of `category`, with the phase of each.
pub fn of(category: Category) -> &'static [(&'static str, Phase)] {
    let mut known = ACTIONS.iter();
    known
        .find(|(function, _)| *function == category)
        .map_or(&[], |(_, actions)| actions)
}

/// Names the phase of the action of this name. An action that no playbook has counts as one that contains.
pub fn phase(name: &str) -> Phase {
    let mut known = ACTIONS.iter().flat_map(|(_, actions)| *actions);
    known
        .find(|(action, _)| *action == name)
        .map_or(Phase::Contain, |(_, phase)| *phase)
}

/// True if a playbook plans the action of this name for any finding, with these settings.
pub fn is_planned(action: &str, policy: &ResponseSettings, settings: &Settings) -> bool {
    let Settings { s3, iam, ec2 } = settings;
    match action {
        self::s3::DENY_TAGGED | self::s3::TAG_OBJECT => policy.quarantine_objects,
        self::s3::DENY => s3.policy_deny,
        self::s3::BLOCK_ACCOUNT => s3.account_block,
        self::iam::MARK => iam.mark_contained,
        self::ec2::DETACH => ec2.auto_scaling == AutoScaling::Detach,
        self::ec2::STANDBY => ec2.auto_scaling == AutoScaling::Standby,
        self::ec2::ADDRESS => ec2.remove_public_address,
        self::ec2::METADATA => ec2.disable_metadata,
        self::ec2::TIMEOUTS => ec2.shorten_timeouts,
        self::ec2::CUT => ec2.cut_connections_seconds > 0,
        self::ec2::FORENSICS => !ec2.forensics_access.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_its_actions_each_in_its_phase() {
        for (category, action, expected) in [
            (Category::S3, s3::BLOCK, Phase::Contain),
            (Category::Iam, iam::DENY_SESSION, Phase::Contain),
            (Category::Iam, iam::MARK, Phase::Annotate),
            (Category::Ec2, ec2::DETACH, Phase::Protect),
            (Category::Ec2, ec2::ISOLATE, Phase::Contain),
            (Category::Ec2, ec2::SNAPSHOT, Phase::Preserve),
        ] {
            assert!(of(category).contains(&(action, expected)), "{action}");
            assert_eq!(phase(action), expected, "{action}");
        }
        assert!(of(Category::Triage).is_empty());
        // Never taken, and named by policies and pages all the same.
        assert_eq!(phase(iam::CONSOLE), Phase::Contain);
    }

    #[test]
    fn an_action_that_a_setting_turns_on_is_planned_with_that_setting_alone() {
        let off = Settings {
            ec2: crate::settings::Ec2Settings {
                auto_scaling: AutoScaling::Keep,
                ..Default::default()
            },
            ..Settings::default()
        };
        type Setting = (&'static str, fn(&mut Settings));
        let turned_on: [Setting; 10] = [
            (s3::DENY, |it| it.s3.policy_deny = true),
            (s3::BLOCK_ACCOUNT, |it| it.s3.account_block = true),
            (iam::MARK, |it| it.iam.mark_contained = true),
            (ec2::DETACH, |it| it.ec2.auto_scaling = AutoScaling::Detach),
            (ec2::STANDBY, |it| {
                it.ec2.auto_scaling = AutoScaling::Standby;
            }),
            (ec2::ADDRESS, |it| it.ec2.remove_public_address = true),
            (ec2::METADATA, |it| it.ec2.disable_metadata = true),
            (ec2::TIMEOUTS, |it| it.ec2.shorten_timeouts = true),
            (ec2::CUT, |it| it.ec2.cut_connections_seconds = 1),
            (ec2::FORENSICS, |it| {
                it.ec2
                    .forensics_access
                    .push("from sg-0123456789abcdef0 tcp/22".parse().expect("a rule"));
            }),
        ];
        for (action, turn_on) in &turned_on {
            let mut settings = off.clone();
            turn_on(&mut settings);
            for (known, _) in ACTIONS.iter().flat_map(|(_, actions)| *actions) {
                let always = turned_on.iter().all(|(action, _)| action != known);
                let expected = always || known == action;
                let policy = ResponseSettings::default();
                let (expected, always) = match known {
                    &(s3::DENY_TAGGED | s3::TAG_OBJECT) => (false, false),
                    _ => (expected, always),
                };
                assert_eq!(
                    is_planned(known, &policy, &settings),
                    expected,
                    "{known} {action}"
                );
                assert_eq!(is_planned(known, &policy, &off), always, "{known}");
            }
        }
        let policy = ResponseSettings {
            quarantine_objects: true,
            ..ResponseSettings::default()
        };
        for action in [s3::DENY_TAGGED, s3::TAG_OBJECT] {
            assert!(is_planned(action, &policy, &off), "{action}");
        }
    }
}
