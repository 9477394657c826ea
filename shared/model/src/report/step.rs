//! A step with what became of it.

use serde::Serialize;
use serde_json::Value;

use crate::investigation::afterwards::Afterwards;
use crate::plan::{Action, Phase, Step, StepKey};
use crate::report::ReadBack;

/// The effect of a credential's containment, as CloudTrail shows it afterwards. Nothing is done by it.
const CREDENTIAL_REFUSED: &str = "cloudtrail:CredentialRefused";

/// Begins the detail of a step that was applied.
pub const READ_BACK: &str = "applied and read back: ";

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Would be done, if this were not a dry run.
    Planned,
    /// Done, and read back.
    Applied,
    /// Found as it should be.
    Already,
    /// Not done, for a reason.
    Skipped,
    /// Forbidden by policy.
    Withheld,
    /// Tried or to be tried, and not in effect.
    Failed,
    /// Put back as it was found, by a release, and read back.
    Restored,
}

impl Outcome {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Applied => "applied",
            Self::Already => "already",
            Self::Skipped => "skipped",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
            Self::Restored => "restored",
        }
    }
}

/// A step with its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    pub(super) phase: Phase,
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) outcome: Outcome,
    pub(super) detail: String,
    pub(super) from: Value,
    pub(super) to: Value,
    /// The value that it would change was read.
    #[serde(skip)]
    pub(super) read: bool,
    /// Its resource could not be read.
    #[serde(skip)]
    pub(super) unread: bool,
    /// It found the responder's own work, which it goes on from: it is still in effect.
    #[serde(skip)]
    pub(super) ours: bool,
    /// It contains something by itself, see [`Action::contains`].
    #[serde(skip)]
    pub(super) contains: bool,
}

impl StepReport {
    fn new(action: &impl Action, outcome: Outcome, detail: String) -> Self {
        Self {
            phase: action.phase(),
            contains: action.contains(),
            action: action.name(),
            target: action.target(),
            outcome,
            detail,
            from: action.from(),
            to: action.to(),
            read: true,
            unread: false,
            ours: action.continues_own_change(),
        }
    }

    /// The report of a step that is not executed: in a dry run every step, else those that hold nothing to do.
    pub fn unexecuted<A: Action>(step: &Step<A>) -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        let (action, target, outcome, detail) = match step {
            Step::Do(action) => {
                return Self::new(action, Outcome::Planned, "not changed: dry run".to_owned());
            }
            Step::Already(action, detail) => {
                return Self::new(action, Outcome::Already, detail.clone());
            }
            Step::Withheld(action, why) => {
                return Self::new(action, Outcome::Withheld, why.to_string());
            }
            Step::Skipped {
                action,
                target,
                reason,
            } => (*action, target, Outcome::Skipped, reason.clone()),
            Step::Unknown {
                action,
                target,
                error,
            } => (*action, target, Outcome::Failed, error.to_string()),
        };
        Self {
            phase: A::phase_of(action),
            contains: A::phase_of(action) == Phase::Contain && !A::only_narrows(action),
            action,
            target: target.clone(),
            outcome,
            detail,
            from: empty(),
            to: empty(),
            read: false,
            unread: matches!(step, Step::Unknown { .. }),
            ours: false,
        }
    }

    /// A step of a release that put back what was found, and what went wrong with it, if anything did.
    pub fn restored(action: &impl Action, problem: Option<&str>) -> Self {
        let (outcome, detail) = match problem {
            None => (Outcome::Restored, "put back, and read back".to_owned()),
            Some(problem) => (Outcome::Failed, problem.to_owned()),
        };
        let step = Self::new(action, outcome, detail);
        Self {
            from: step.to,
            to: step.from,
            ..step
        }
    }

    /// A step of a release that leaves what was done as it is, for this reason.
    pub fn left(action: &impl Action, why: &str) -> Self {
        Self::new(action, Outcome::Skipped, why.to_owned())
    }

    /// A step that was applied and that reading back shows to be in effect, with the value that was read.
    pub fn applied(action: &impl Action, read_back: &ReadBack, detail: String) -> Self {
        let mut step = Self::new(action, Outcome::Applied, detail);
        if let Some(value) = read_back.value(&StepKey::of(action)) {
            step.to = value.clone();
        }
        step
    }

    /// A step whose resource went away while it was being contained.
    pub fn vanished(action: &impl Action, detail: String) -> Self {
        Self::new(action, Outcome::Skipped, detail)
    }

    /// A step that AWS refused, and whose work is done otherwise.
    pub fn dispensed(action: &impl Action, detail: String) -> Self {
        Self::new(action, Outcome::Skipped, detail)
    }

    /// A step that is not in effect, or not known to be.
    pub fn failed(action: &impl Action, detail: String) -> Self {
        Self::new(action, Outcome::Failed, detail)
    }

    /// A credential that works by CloudTrail's evidence, although it is contained as read back: the containment is not
    /// whole, whatever its steps say.
    pub fn contradicted(after: &Afterwards) -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        Self {
            phase: Phase::Contain,
            contains: true,
            action: CREDENTIAL_REFUSED,
            target: after.credential.clone(),
            outcome: Outcome::Failed,
            detail: after.summary.clone(),
            from: empty(),
            to: empty(),
            read: false,
            unread: false,
            ours: false,
        }
    }

    /// The activity that goes on since this containing step is not in effect.
    pub fn goes_on(&self) -> Option<String> {
        let open = self.contains && self.outcome == Outcome::Failed;
        (open && self.action != CREDENTIAL_REFUSED).then(|| {
            format!(
                "{} on {} is not in effect, as far as known: the activity that it stops may continue",
                self.action, self.target
            )
        })
    }

    /// Its key, as in the record.
    pub fn key(&self) -> String {
        StepKey {
            action: self.action,
            target: self.target.clone(),
        }
        .to_string()
    }
    /// True if it was found not to be in effect, and was not left out for a reason. A mark contains nothing.
    pub fn was_to_be_done(&self) -> bool {
        let open = matches!(
            self.outcome,
            Outcome::Applied | Outcome::Withheld | Outcome::Failed
        );
        open && self.read && self.phase != Phase::Annotate
    }
    /// True if it would contain something that was read not to be contained.
    pub fn is_open(&self) -> bool {
        let open = matches!(
            self.outcome,
            Outcome::Applied | Outcome::Withheld | Outcome::Failed | Outcome::Planned
        );
        open && self.read && !self.ours && self.phase == Phase::Contain
    }
    /// True if a dry run would contain something by it.
    pub fn would_contain(&self) -> bool {
        self.phase == Phase::Contain && self.outcome == Outcome::Planned
    }
    /// True if it is not in effect after all that was done.
    pub fn is_still_open(&self) -> bool {
        self.is_open() && self.outcome != Outcome::Applied
    }
    /// True if it contains something now that was not contained before.
    pub fn contained_now(&self) -> bool {
        self.phase == Phase::Contain && self.outcome == Outcome::Applied
    }
    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
    /// The action's name.
    pub fn action(&self) -> &str {
        self.action
    }
    /// The resource.
    pub fn target(&self) -> &str {
        &self.target
    }
    /// When in the response it runs.
    pub fn phase(&self) -> Phase {
        self.phase
    }
    /// True if it contains something by itself.
    pub fn contains(&self) -> bool {
        self.contains
    }
    /// The value that was found.
    pub fn from(&self) -> &Value {
        &self.from
    }
    /// The value that is wanted; for an applied step, the one that was read back.
    pub fn to(&self) -> &Value {
        &self.to
    }
    /// The detail of the outcome.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}
