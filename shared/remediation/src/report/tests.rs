use super::*;

fn status_of(outcomes: &[Outcome]) -> Status {
    let steps: Vec<_> = outcomes
        .iter()
        .map(|outcome| StepReport {
            phase: Phase::Contain,
            action: "s3:BlockBucketPublicAccess",
            target: String::new(),
            outcome: *outcome,
            detail: String::new(),
            from: Value::Null,
            to: Value::Null,
            read: true,
            unread: false,
            ours: false,
        })
        .collect();
    worst(&steps)
}

#[test]
fn the_status_is_the_worst_of_what_happened() {
    use Outcome::{Already, Applied, Failed, Planned, Skipped, Withheld};
    for (outcomes, status) in [
        (&[Applied, Applied][..], Status::Contained),
        (&[Applied, Already], Status::Contained),
        (&[Already, Already], Status::AlreadyContained),
        (&[Applied, Failed], Status::Partial),
        (&[Already, Failed], Status::Partial),
        (&[Applied, Skipped], Status::Partial),
        (&[Already, Withheld], Status::Partial),
        (&[Failed, Failed], Status::Failed),
        (&[Failed, Skipped], Status::Failed),
        (&[Skipped], Status::Notified),
        (&[], Status::Notified),
        (&[Planned, Already, Skipped], Status::DryRun),
        (&[Planned, Failed], Status::Failed),
    ] {
        assert_eq!(status_of(outcomes), status, "{outcomes:?}");
    }
}

#[test]
fn what_protects_neither_makes_up_for_a_containment_nor_spoils_one_by_being_skipped() {
    use Outcome::{Already, Applied, Failed, Skipped, Withheld};
    for (protect, contain, status) in [
        (Already, Withheld, Status::Notified),
        (Applied, Withheld, Status::Partial),
        (Applied, Failed, Status::Failed),
        (Skipped, Applied, Status::Contained),
        (Failed, Applied, Status::Partial),
        (Applied, Skipped, Status::Partial),
        (Skipped, Skipped, Status::Notified),
        (Already, Withheld, Status::Notified),
        (Applied, Withheld, Status::Partial),
    ] {
        let step = |phase, outcome| StepReport {
            phase,
            action: "ec2:IsolateInterface",
            target: String::new(),
            outcome,
            detail: String::new(),
            from: Value::Null,
            to: Value::Null,
            read: true,
            unread: false,
            ours: false,
        };
        let steps = [step(Phase::Protect, protect), step(Phase::Contain, contain)];
        assert_eq!(worst(&steps), status, "{protect:?} {contain:?}");
    }
}
