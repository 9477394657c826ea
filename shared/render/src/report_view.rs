//! The words for reports and recorded incidents: the same in notices, chats, pages and on the command line. Pure.

use model::incident::Incident;
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

/// The result in one sentence.
pub(crate) fn summary(report: &Report) -> &'static str {
    if report.drill() {
        return DRILL;
    }
    match report.status() {
        Status::Partial if report.released_by().is_some() => {
            "Only a part was put back. The steps that still contain the target are listed below."
        }
        Status::Partial | Status::Failed if report.stands => {
            "This attempt could not read the whole target. By the record it is contained, and nothing that was \
             read says otherwise."
        }
        Status::Ignored => "Nothing was done.",
        Status::Notified => "This function contained nothing. A person must decide.",
        Status::DryRun => "This is a dry run: the plan below was NOT carried out.",
        Status::Contained if report.undone() => {
            "Someone undid this containment. It was done again, and reading back confirms it."
        }
        Status::Contained => "The threat was contained, and reading back confirms it.",
        Status::AlreadyContained => "Everything was found contained. Nothing was changed.",
        Status::Partial => "Only a part was contained. What was not is listed below.",
        Status::Failed if report.is_busy() => {
            "This function contained nothing: another invocation had the target all the time. See what that one \
             reports."
        }
        Status::Failed => "NOTHING WAS CONTAINED. The threat is still live.",
        Status::Rejected => "The plan was rejected. Nothing of it was done.",
        Status::Released => {
            "The containment was released, and reading back shows what was put back."
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

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Planned => "WOULD BE DONE",
            Self::Applied => "WHAT WAS DONE",
            Self::Restored => "WHAT WAS PUT BACK",
            Self::Already => "WAS ALREADY SO",
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
            "The threat was contained, and reading back confirms it.",
        ),
        "partial" => (
            Tone::Bad,
            "partly contained",
            "Only a part was contained. What was not is listed below.",
        ),
        "failed" => (
            Tone::Bad,
            "not contained",
            "Nothing was contained. The threat may still be live.",
        ),
        "notified" if waits => (
            Tone::Doubtful,
            "awaits approval",
            "What would contain it waits for a person.",
        ),
        "notified" => (
            Tone::Doubtful,
            "not contained",
            "This function contained nothing. A person must decide.",
        ),
        "dry_run" => (
            Tone::Doubtful,
            "dry run",
            "The plan below was not carried out: this was a dry run.",
        ),
        "containing" => (
            Tone::Doubtful,
            "being contained",
            "It was begun and not reported yet: it is under way, or it was cut off.",
        ),
        "released" => (
            Tone::Neutral,
            "released",
            "A person put back what the containment found.",
        ),
        "ignored" => (Tone::Neutral, "ignored", "Nothing was done."),
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
        "already" => (Tone::Good, "was so already", "After"),
        "planned" => (Tone::Doubtful, "would be done", "Would become"),
        "skipped" => (Tone::Doubtful, "not done", "Would have become"),
        "withheld" => (Tone::Doubtful, "withheld", "Would have become"),
        "failed" => (Tone::Bad, "failed", "Was to become"),
        other => (Tone::Doubtful, other, "Wanted"),
    }
}
