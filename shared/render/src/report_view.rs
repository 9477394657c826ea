//! The words for reports and recorded incidents: the same in notices, chats, pages and on the command line. Pure.

use jiff::Timestamp;
use model::incident::Incident;
use model::plan::Phase;
use model::report::{Outcome, Report, Status, StepReport};

const DRILL: &str = "This is a drill, not a finding of GuardDuty. Nothing was changed: this is how such a finding \
                     would be answered.";

/// The result in a few words, and whether to act.
pub(crate) fn headline(report: &Report) -> &'static str {
    match report.status() {
        Status::Partial if report.released_by().is_some() => "RELEASED IN PART",
        Status::Partial | Status::Failed if report.stands => "CONTAINED BEFORE, NOT READ NOW",
        Status::Failed if report.is_busy() => "ANOTHER INVOCATION IS AT WORK, LOOK AT THIS",
        Status::Notified if report.approval().is_some() => "APPROVE OR REJECT",
        Status::Ignored => "IGNORED",
        Status::Notified => "LOOK AT THIS",
        Status::DryRun => "DRY RUN, NOTHING CHANGED",
        Status::Contained if report.undone() => "UNDONE, CONTAINED AGAIN",
        Status::Contained => "CONTAINED",
        Status::AlreadyContained => "ALREADY CONTAINED",
        Status::Partial => "PARTLY CONTAINED, ACT NOW",
        Status::Failed => "NOT CONTAINED, ACT NOW",
        Status::Rejected => "REJECTED",
        Status::Released => "RELEASED",
    }
}

/// The result, in a sentence or two.
pub(crate) fn summary(report: &Report) -> String {
    if report.drill() {
        return DRILL.to_owned();
    }
    let function = format!("The {} function", report.category());
    match report.status() {
        Status::Partial if report.released_by().is_some() => {
            "The operator released only a part. The steps that still contain the target are listed below."
                .to_owned()
        }
        Status::Partial | Status::Failed if report.stands => {
            "This attempt could not read the whole target. The record says that it is contained, and nothing that \
             was read contradicts it."
                .to_owned()
        }
        Status::Ignored => format!("{function} did nothing."),
        Status::Notified if report.approval().is_some() => {
            format!("{function} contained nothing yet. The plan below runs if an approver approves it.")
        }
        Status::Notified => format!("{function} contained nothing. The on-call engineer decides."),
        Status::DryRun => format!("{function} changed nothing. This is the plan of a dry run."),
        Status::Contained if report.undone() => format!(
            "Somebody reverted this containment. {function} contained the target again, and read it back."
        ),
        Status::Contained => format!("{function} contained the target, and read it back."),
        Status::AlreadyContained => {
            format!("{function} found the target contained, and changed nothing.")
        }
        Status::Partial => format!(
            "{function} contained only a part of the target. The steps that were not done are listed below."
        ),
        Status::Failed if report.is_busy() => format!(
            "{function} contained nothing. Another invocation held the target the whole time, and reports its own \
             result."
        ),
        Status::Failed => format!("{function} contained NOTHING. The threat is still live."),
        Status::Rejected => "The operator rejected the plan. None of its steps was done.".to_owned(),
        Status::Released => {
            "The operator released the containment. The values below were put back, and read back.".to_owned()
        }
    }
}

/// The heading of the risks that are left once the plan is carried out. A plan that was not carried out must not
/// look as if it were.
pub fn at_risk(report: &Report) -> &'static str {
    let awaits = report.status() == Status::Notified && report.approval().is_some();
    if awaits || report.status() == Status::DryRun {
        "What would remain at risk"
    } else {
        "What remains at risk"
    }
}

/// The heading of the risks of a recorded incident.
pub fn incident_at_risk(incident: &Incident) -> &'static str {
    match incident.status.as_str() {
        _ if incident.is_only_planned() => "What would remain at risk",
        "released" => "What remained at risk while it was contained",
        _ => "What remains at risk",
    }
}

/// Steps of a report that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepGroup {
    Planned,
    Applied,
    Restored,
    Already,
    NotDone,
}

impl StepGroup {
    const ALL: [Self; 5] = [
        Self::Planned,
        Self::Applied,
        Self::Restored,
        Self::Already,
        Self::NotDone,
    ];

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Planned => Self::Planned,
            Outcome::Applied => Self::Applied,
            Outcome::Restored => Self::Restored,
            Outcome::Already => Self::Already,
            Outcome::Failed | Outcome::Withheld | Outcome::Skipped => Self::NotDone,
        }
    }

    /// True if the step is worth a line of its own: it contains something, or it was not done.
    pub(crate) fn lists(self, step: &StepReport) -> bool {
        match self {
            Self::Planned | Self::Applied => step.contains(),
            Self::Restored => true,
            Self::Already => false,
            Self::NotDone => step.phase() != Phase::Annotate || step.outcome() == Outcome::Failed,
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Planned => "WOULD BE DONE",
            Self::Applied => "WHAT WAS DONE",
            Self::Restored => "WHAT WAS PUT BACK",
            Self::Already => "ALREADY IN PLACE",
            Self::NotDone => "WHAT WAS NOT DONE",
        }
    }
}

/// The steps of a report in the groups of the notice. A step that awaits approval is shown as such.
pub(crate) fn step_groups(report: &Report) -> impl Iterator<Item = (StepGroup, Vec<&StepReport>)> {
    StepGroup::ALL.into_iter().map(|group| {
        let steps = report.steps().iter();
        let of_group =
            |step: &&StepReport| StepGroup::of(step.outcome()) == group && !awaits(report, step);
        (group, steps.filter(of_group).collect())
    })
}

/// True if an approver is asked about the step.
fn awaits(report: &Report, step: &StepReport) -> bool {
    let mut proposed = report.approval().into_iter().flat_map(|it| &it.steps);
    step.outcome() == Outcome::Withheld
        && proposed.any(|it| it.action == step.action() && it.target == step.target())
}

/// How good or bad a status or an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Doubtful,
    Bad,
    Neutral,
}

/// The tone, the word and the meaning of a recorded incident's status.
pub(crate) fn incident_status(incident: &Incident) -> (Tone, &str, &'static str) {
    let waits = !incident.awaiting.is_null();
    match incident.status.as_str() {
        "contained" | "already_contained" => (
            Tone::Good,
            "contained",
            "The function contained the target, and read it back.",
        ),
        "partial" => (
            Tone::Bad,
            "partly contained",
            "The function contained only a part of the target. The steps that were not done are listed below.",
        ),
        "failed" => (
            Tone::Bad,
            "not contained",
            "The function contained nothing. The threat may still be live.",
        ),
        "notified" if waits => (
            Tone::Doubtful,
            "awaits approval",
            "The plan to contain it awaits approval.",
        ),
        "notified" => (
            Tone::Doubtful,
            "not contained",
            "The function contained nothing. The on-call engineer decides.",
        ),
        "dry_run" => (
            Tone::Doubtful,
            "dry run",
            "This is the plan of a dry run. Nothing was changed.",
        ),
        "containing" => (
            Tone::Doubtful,
            "being contained",
            "The function has begun and not reported yet: it is still at work, or it was cut off.",
        ),
        "released" => (
            Tone::Neutral,
            "released",
            "The operator released the containment.",
        ),
        "ignored" => (Tone::Neutral, "ignored", "The function did nothing."),
        other => (
            Tone::Doubtful,
            other,
            "Another version of the responder wrote this.",
        ),
    }
}

/// The tone and the words of a recorded step's outcome, and the heading of the value that it wants.
pub(crate) fn recorded_outcome(outcome: &str) -> (Tone, &str, &'static str) {
    match outcome {
        "applied" => (Tone::Good, "done", "After, as read back"),
        "already" => (Tone::Good, "already in place", "After"),
        "planned" => (Tone::Doubtful, "would be done", "Would become"),
        "skipped" => (Tone::Doubtful, "not done", "Would have become"),
        "withheld" => (Tone::Doubtful, "withheld", "Would have become"),
        "failed" => (Tone::Bad, "failed", "Was to become"),
        other => (Tone::Doubtful, other, "Wanted"),
    }
}

/// The next step after a containing step that failed.
pub(crate) fn not_in_effect(action: &str, target: &str) -> String {
    format!("do {action} on {target} by hand, or mend its cause below: it is NOT in effect")
}

/// A time to the second.
pub(crate) fn to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
