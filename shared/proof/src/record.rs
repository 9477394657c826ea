//! The record of a proof: the attacks, their means and times, and AWS's answers. The table, the page and the JSON of a
//! proof are made from it alone.

use jiff::Timestamp;
use serde::Serialize;

/// A proof from its first call to its last.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// Also the value of the tag `gdr:proof` on all that it made.
    pub id: String,
    pub account_id: String,
    pub region: String,
    /// The ARN of the principal that ran it.
    pub caller: String,
    pub contained_by: ContainedBy,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub scenes: Vec<Scene>,
    /// Why it stopped before its end, if it did: operation, target, cause, what to do.
    pub stopped: Option<String>,
    pub removal: Removal,
}

/// The process that contained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainedBy {
    /// The one that ran the proof, with the caller's credentials.
    ThisProcess,
    /// The functions of the deployed stack of this name.
    Stack(String),
}

/// One victim: attacked, contained, attacked again, released.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub victim: Victim,
    /// The names or ids of the victim's resources.
    pub resources: Vec<String>,
    pub finding_type: Option<String>,
    pub finding_id: Option<String>,
    /// When the finding was handed over.
    pub found_at: Option<Timestamp>,
    /// The status of the responder's report, and its reason.
    pub status: Option<String>,
    pub reason: Option<String>,
    /// The steps of the report, as `action target: outcome`.
    pub steps: Vec<String>,
    pub attacks: Vec<Tried>,
    pub bystanders: Vec<Tried>,
    /// The steps of the release, as `action target: restored`.
    pub released: Vec<String>,
    /// Why not all was released.
    pub not_released: Option<String>,
    /// Why this attack could not be shown here, if it could not.
    pub not_shown: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Victim {
    PublicBucket,
    StolenKey,
    StolenRoleSession,
    InfectedInstance,
    HijackedFunction,
}

/// One request of an attacker or a bystander, tried before, after and again after the release.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The request in words: "read the object without credentials".
    pub request: String,
    pub before: Option<AttemptResult>,
    pub contained: Option<AttemptResult>,
    /// Seconds from the finding until the request failed first, of an attack that was stopped.
    pub stopped_after_seconds: Option<f64>,
    pub released: Option<AttemptResult>,
}

/// AWS's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptResult {
    pub works: bool,
    /// The status or error as AWS gave it.
    pub evidence: String,
    pub at: Timestamp,
}

/// The resources that were made, and what became of each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Removal {
    pub removed: Vec<String>,
    /// Resources that are still there, each with the cause and what to do.
    pub left: Vec<Left>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    pub resource: String,
    pub why: String,
}

impl Proof {
    /// Whether every scene that could be shown was: each attack worked, then failed; each bystander went on
    /// working; nothing is left behind.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.stopped.is_none()
            && self.removal.left.is_empty()
            && self.scenes.iter().any(|scene| scene.not_shown.is_none())
            && self.scenes.iter().all(Scene::holds)
    }
}

impl Scene {
    #[must_use]
    pub fn holds(&self) -> bool {
        self.not_shown.is_some()
            || (!self.attacks.is_empty()
                && self.status.as_deref() == Some("contained")
                && self.not_released.is_none()
                && self.attacks.iter().all(Tried::was_stopped)
                && self.bystanders.iter().all(Tried::went_on))
    }
}

impl Tried {
    /// It worked, and failed after the containment.
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        works(self.before.as_ref()) && self.contained.as_ref().is_some_and(|answer| !answer.works)
    }

    /// It worked before and after the containment.
    #[must_use]
    pub fn went_on(&self) -> bool {
        works(self.before.as_ref()) && works(self.contained.as_ref())
    }
}

fn works(answer: Option<&AttemptResult>) -> bool {
    answer.is_some_and(|answer| answer.works)
}
