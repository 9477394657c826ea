//! Records for tests.

use jiff::{SignedDuration, Timestamp};

use crate::record::{AttemptResult, ContainedBy, Left, Proof, Removal, Scene, Tried, Victim};

/// The time at which everything happens.
pub(crate) fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56)
}

pub(crate) fn answer(works: bool) -> AttemptResult {
    let evidence = if works { "200 OK" } else { "403 Forbidden" };
    AttemptResult {
        works,
        evidence: evidence.to_owned(),
        at: now(),
    }
}

pub(crate) fn tried(
    request: &str,
    before: Option<AttemptResult>,
    contained: Option<AttemptResult>,
) -> Tried {
    let stopped = contained.as_ref().is_some_and(|answer| !answer.works);
    Tried {
        request: request.to_owned(),
        before,
        contained,
        stopped_after_seconds: stopped.then_some(4.31),
        released: Some(answer(true)),
    }
}

/// A scene that was shown.
pub(crate) fn scene(victim: Victim) -> Scene {
    let works = || Some(answer(true));
    Scene {
        victim,
        resources: vec!["gdr-proof-0a1b2c3d".to_owned()],
        finding_type: Some("UnauthorizedAccess:IAMUser/TorIPCaller".to_owned()),
        finding_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        found_at: Some(now()),
        status: Some("contained".to_owned()),
        reason: Some("a key of a user".to_owned()),
        steps: vec!["iam:DeactivateAccessKey AKIAIOSFODNN7EXAMPLE: applied".to_owned()],
        attacks: vec![tried(
            "ask who it is with the key",
            works(),
            Some(answer(false)),
        )],
        bystanders: vec![tried(
            "ask who it is with the other key",
            works(),
            Some(answer(true)),
        )],
        released: vec!["iam:DeactivateAccessKey AKIAIOSFODNN7EXAMPLE: restored".to_owned()],
        not_released: None,
        not_shown: None,
    }
}

pub(crate) fn proof(scenes: Vec<Scene>) -> Proof {
    Proof {
        id: "0a1b2c3d".to_owned(),
        account_id: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        caller: "arn:aws:iam::111122223333:user/olga".to_owned(),
        contained_by: ContainedBy::ThisProcess,
        began_at: now(),
        ended_at: Some(now() + SignedDuration::from_mins(7)),
        scenes,
        stopped: None,
        removal: Removal {
            removed: vec!["gdr-proof-0a1b2c3d".to_owned()],
            left: Vec::new(),
        },
    }
}

pub(crate) fn left() -> Left {
    Left {
        resource: "vpc-0abc1234def567890".to_owned(),
        why: "DependencyViolation".to_owned(),
    }
}
