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
            contains: true,
        })
        .collect();
    worst(&steps)
}

#[test]
fn the_status_is_the_worst_outcome_of_the_steps() {
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

fn step(phase: Phase, outcome: Outcome) -> StepReport {
    StepReport {
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
        contains: phase == Phase::Contain,
    }
}

#[test]
fn steps_that_protect_neither_make_up_for_a_containment_nor_spoil_one_by_being_skipped() {
    use Outcome::{Already, Applied, Failed, Skipped, Withheld};
    for (protect, contain, status) in [
        (Already, Withheld, Status::Notified),
        (Applied, Withheld, Status::Notified),
        (Failed, Withheld, Status::Failed),
        (Applied, Failed, Status::Failed),
        (Skipped, Applied, Status::Contained),
        (Failed, Applied, Status::Partial),
        (Applied, Skipped, Status::Notified),
        (Already, Skipped, Status::Notified),
        (Failed, Skipped, Status::Failed),
        (Skipped, Skipped, Status::Notified),
    ] {
        let steps = [step(Phase::Protect, protect), step(Phase::Contain, contain)];
        assert_eq!(worst(&steps), status, "{protect:?} {contain:?}");
    }
}

#[test]
fn a_step_that_only_prepares_or_narrows_contains_nothing() {
    use Outcome::{Already, Applied, Failed, Skipped, Withheld};
    for prepared in [Already, Applied] {
        let prepared = StepReport {
            contains: false,
            ..step(Phase::Contain, prepared)
        };
        for (isolated, status) in [
            (Failed, Status::Failed),
            (Skipped, Status::Notified),
            (Withheld, Status::Notified),
        ] {
            let steps = [prepared.clone(), step(Phase::Contain, isolated)];
            assert_eq!(worst(&steps), status, "{isolated:?}");
        }
    }
}

#[test]
fn a_mark_that_failed_alone_leaves_a_containment_contained() {
    use Outcome::{Already, Applied, Failed, Skipped};
    for (contain, status) in [
        (Applied, Status::Contained),
        (Already, Status::AlreadyContained),
        (Failed, Status::Failed),
        (Skipped, Status::Notified),
    ] {
        let steps = [step(Phase::Contain, contain), step(Phase::Annotate, Failed)];
        assert_eq!(worst(&steps), status, "{contain:?}");
    }
}

#[test]
fn the_reason_names_the_step_that_contains_before_the_steps_around_it() {
    use Outcome::{Failed, Skipped};
    let steps = [
        step(Phase::Annotate, Failed),
        step(Phase::Protect, Skipped),
        step(Phase::Protect, Failed),
        step(Phase::Contain, Skipped),
    ];
    let open = first_open(&steps).expect("an open step");
    assert_eq!(open.phase, Phase::Contain);
}
