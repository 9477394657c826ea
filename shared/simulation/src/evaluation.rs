//! One finding at one function at one time, judged.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use model::breaker::BlastRadiusGroup;
use model::category::Category;
use model::finding::Finding;
use model::plan::Phase;
use model::resource::Kind;

/// A function's answer to a finding, before the earlier findings count.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub(super) at: Timestamp,
    pub(super) finding: Arc<FindingSummary>,
    pub(super) function: Category,
    pub(super) answer: Judgement,
}

impl Evaluation {
    pub(super) fn new(
        at: Timestamp,
        finding: &Arc<FindingSummary>,
        function: Category,
        answer: Judgement,
    ) -> Self {
        Self {
            at,
            finding: Arc::clone(finding),
            function,
            answer,
        }
    }

    /// When the event came.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

#[derive(Clone, Debug)]
pub(super) enum Judgement {
    /// Nothing is to be contained.
    Left(Left),
    /// These are to be, as far as the policies permit it.
    Contain(Vec<Target>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) cause: Reason,
    pub(super) reason: String,
}

/// Why nothing is to be contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// GuardDuty generated it to be looked at.
    Sample,
    /// The operator sent it as a drill.
    Drill,
    /// It is archived.
    Archived,
    /// The instance was attacked, and does not attack.
    Victim,
    /// Its type is one to notify.
    Kind,
    /// A setting says so: the response, the severity.
    Setting,
    /// It is about another account.
    Account,
    /// The principal is never contained.
    Spared,
    /// It names nothing that can be contained.
    Nothing,
    /// It depends on what only AWS can tell.
    Unknown,
    /// It lacks what names the target.
    Malformed,
}

/// A target that would be contained.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the record and in the breaker's windows.
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) arn: String,
    /// The user, role, bucket or instance.
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) crowds: Vec<BlastRadiusGroup>,
    /// When the activity was last seen, if activity newer than a containment is contained again: a containment of
    /// sessions covers those so far, and there may be new ones.
    pub(super) renewed: Option<Timestamp>,
}

/// A step that a plan could have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The action's name.
    pub action: &'static str,
    /// The phase it belongs to.
    pub phase: Phase,
    /// The condition for planning it. `None`: it surely is.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<&'static str>,
    /// The policies' answer about it.
    pub verdict: StepVerdict,
    /// The ids of the policies that decide.
    pub by: Vec<String>,
    /// Why it is withheld, in the policies' words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The values that only observing shows, and that would change the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// The policies' answer about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepVerdict {
    /// It may run.
    Permitted,
    /// It may run when an approver approves it.
    AwaitsApproval,
    /// It may not.
    Withheld,
}

impl Target {
    /// True if something that contains would be done.
    pub(super) fn contains(&self) -> bool {
        self.any(StepVerdict::Permitted, &[Phase::Contain])
    }

    /// True if it would take a place of the breaker's.
    pub(super) fn takes_place(&self) -> bool {
        self.any(StepVerdict::Permitted, &[Phase::Protect, Phase::Contain])
    }

    /// True if not all that contains would be done.
    pub(super) fn is_partial(&self) -> bool {
        let containing = |step: &&Step| step.phase == Phase::Contain;
        self.contains()
            && self
                .steps
                .iter()
                .filter(containing)
                .any(|step| step.verdict != StepVerdict::Permitted)
    }

    pub(super) fn awaits_approval(&self) -> bool {
        self.any(
            StepVerdict::AwaitsApproval,
            &[Phase::Protect, Phase::Contain],
        )
    }

    fn any(&self, verdict: StepVerdict, phases: &[Phase]) -> bool {
        self.steps
            .iter()
            .any(|step| step.verdict == verdict && phases.contains(&step.phase))
    }
}

/// A finding, as far as a rehearsal tells of it.
#[derive(Clone, Debug)]
pub struct FindingSummary {
    pub(super) id: String,
    pub(super) finding_type: String,
    pub(super) severity: f64,
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) actor: Option<String>,
}

impl FindingSummary {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.clone(),
            finding_type: finding.finding_type.to_string(),
            severity: finding.severity.value(),
            account_id: finding.account_id.clone(),
            region: finding.region.clone(),
            actor: finding.principal().ok().map(|actor| actor.to_string()),
        }
    }
}
