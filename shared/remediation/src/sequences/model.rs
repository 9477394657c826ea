//! What must hold after each command.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::account::{Key, Kind, Step};
use super::command::{Command, FINDINGS, Setting};
use crate::error::Result;
use crate::record::Incident;
use crate::report::{Report, Status};

/// The subjects and bodies of the notices that were published.
pub(super) type Notices = Vec<(String, String)>;

/// The id of a finding.
pub(super) fn id_of(finding: usize) -> String {
    format!("{finding:032x}")
}

/// What there is at one time.
pub(super) struct Moment {
    pub(super) clock: Timestamp,
    pub(super) setting: Setting,
    pub(super) in_effect: BTreeSet<Step>,
    pub(super) incidents: Vec<Incident>,
    pub(super) notices: Notices,
}

impl Moment {
    pub(super) fn incident(&self, finding: usize) -> Option<&Incident> {
        let id = id_of(finding);
        self.incidents.iter().find(|incident| incident.id == id)
    }

    /// When the plan that waits was planned.
    fn planned_at(&self, finding: usize) -> Option<Timestamp> {
        let plan = self.incident(finding)?.awaiting().expect("a plan")?;
        Some(plan.planned_at)
    }

    /// The findings of which a plan waits.
    pub(super) fn waiting(&self) -> Vec<usize> {
        let findings = 0..FINDINGS.len();
        findings
            .filter(|finding| self.planned_at(*finding).is_some())
            .collect()
    }

    /// The findings with an incident that is not released.
    pub(super) fn unreleased(&self) -> Vec<usize> {
        let open = |incident: &Incident| incident.status != "released";
        let findings = 0..FINDINGS.len();
        findings
            .filter(|finding| self.incident(*finding).is_some_and(open))
            .collect()
    }

    fn stands(&self, key: Key) -> bool {
        let mut steps = key.steps().into_iter();
        steps.all(|step| self.in_effect.contains(&step))
    }

    /// The notices about the finding since the first so many of all.
    fn told(&self, finding: usize, since: usize) -> impl Iterator<Item = &(String, String)> {
        let about = format!("finding {}", id_of(finding));
        let notices = self.notices.iter().skip(since);
        notices.filter(move |(_, body)| body.contains(&about))
    }
}

/// What came of a command.
pub(super) enum Outcome {
    Nothing,
    /// A function answered, or none of its attempts did.
    Answered {
        finding: usize,
        newer: bool,
        report: Option<Box<Report>>,
        undone: bool,
        /// The account was read.
        read: bool,
        /// A message is held back, by which the event comes again.
        comes_again: bool,
        /// An operator released the incident of this finding at that time.
        released: Option<usize>,
    },
    /// An approver or an operator did something, or it was refused.
    Answer {
        finding: usize,
        done: Result<()>,
    },
}

/// Who took a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Attacker,
    Operator,
}

/// What the sequence is known to have done.
#[derive(Default)]
pub(super) struct Model {
    /// The steps that were in effect and are not now.
    taken_back: BTreeMap<Step, By>,
    /// The same, before the last command.
    taken_back_before: BTreeMap<Step, By>,
    /// When each plan was planned that waited before the command before.
    shown: BTreeMap<usize, Timestamp>,
    /// When each key was released, and not contained since.
    released: BTreeMap<Key, Timestamp>,
    /// The keys of these, before the last command.
    released_before: BTreeSet<Key>,
    /// How many notices there were when each plan began to wait.
    waits_since: BTreeMap<usize, usize>,
    history: Vec<String>,
}

fn stands_by_record(incident: Option<&Incident>) -> bool {
    incident.is_some_and(|incident| ["contained", "partial"].contains(&incident.status.as_str()))
}

/// The steps that the report of an incident shows in effect.
fn shown_in_effect(incident: &Incident, key: Key) -> BTreeSet<Step> {
    let steps = incident.report["steps"].as_array().into_iter().flatten();
    let steps =
        steps.filter(|step| matches!(step["outcome"].as_str(), Some("applied" | "already")));
    let steps = steps.map(|step| match step["action"].as_str() {
        Some("iam:DeactivateAccessKey") => Step::of(Kind::Deactivated, key),
        _ => Step::of(Kind::Denied, key),
    });
    steps.collect()
}

impl Model {
    pub(super) fn hold(
        &mut self,
        command: &Command,
        outcome: &Outcome,
        before: &Moment,
        after: &Moment,
    ) {
        let told = &after.notices[before.notices.len()..];
        let told: Vec<_> = told.iter().map(|(subject, _)| subject.as_str()).collect();
        let statuses: Vec<_> = (0..FINDINGS.len())
            .map(|finding| {
                after
                    .incident(finding)
                    .map(|incident| incident.status.as_str())
            })
            .collect();
        let done = match outcome {
            Outcome::Answered { report, undone, .. } => {
                let status = report.as_ref().map(|report| report.status());
                format!("{status:?}, undone: {undone}")
            }
            Outcome::Answer { done, .. } => format!("{done:?}"),
            Outcome::Nothing => String::new(),
        };
        let step = format!(
            "{command:?} under {:?}: {done}; in effect {:?}; table {statuses:?}; told {told:?}",
            before.setting, after.in_effect
        );
        self.history.push(step);
        self.follow(command, outcome, before, after);
        match outcome {
            // The release of its own target waits for the invocation, and what it reported was true then.
            Outcome::Answered {
                finding,
                released: Some(other),
                ..
            } if FINDINGS[*finding] == FINDINGS[*other] => {}
            Outcome::Answered {
                finding, released, ..
            } => {
                self.only_what_is_allowed_is_done(outcome, before, after);
                self.what_is_reported_is_true(*finding, outcome, after);
                self.a_containment_in_effect_is_not_reported_as_less(*finding, before, after);
                self.an_undoing_is_told(outcome, before, after);
                self.each_finding_is_told(*finding, outcome, after);
                if let Some(other) = released {
                    self.a_release_lifts_its_own_only(*other, before, after);
                }
            }
            Outcome::Answer { finding, done } => {
                self.a_rejection_covers_only_the_plan_that_was_shown(
                    command, *finding, done, before, after,
                );
                let told = after.told(*finding, before.notices.len()).count();
                self.must(done.is_err() || told == 1, "an answer is not told once");
                if matches!(command, Command::Release(_)) {
                    self.a_release_lifts_its_own_only(*finding, before, after);
                }
            }
            Outcome::Nothing => {}
        }
        self.each_plan_is_told(after);
        self.the_table_is_true(after);
        let plans = (0..FINDINGS.len()).filter_map(|it| Some((it, before.planned_at(it)?)));
        self.shown = plans.collect();
    }

    fn must(&self, holds: bool, what: &str) {
        assert!(holds, "{what}:\n  {}", self.history.join("\n  "));
    }

    fn follow(&mut self, command: &Command, outcome: &Outcome, before: &Moment, after: &Moment) {
        self.taken_back_before.clone_from(&self.taken_back);
        self.released_before = self.released.keys().copied().collect();
        let by = match command {
            Command::Undo(_) => By::Attacker,
            _ => By::Operator,
        };
        for step in before.in_effect.difference(&after.in_effect) {
            self.taken_back.insert(*step, by);
        }
        self.taken_back
            .retain(|step, _| !after.in_effect.contains(step));
        let released = match outcome {
            Outcome::Answer {
                finding,
                done: Ok(()),
            } if matches!(command, Command::Release(_)) => Some(*finding),
            Outcome::Answered { released, .. } => *released,
            _ => None,
        };
        if let Some(finding) = released {
            self.released.insert(FINDINGS[finding], after.clock);
        }
        for finding in 0..FINDINGS.len() {
            match (before.planned_at(finding), after.planned_at(finding)) {
                (None, Some(_)) => {
                    self.waits_since.insert(finding, before.notices.len());
                }
                (_, None) => {
                    self.waits_since.remove(&finding);
                }
                (Some(_), Some(_)) => {}
            }
        }
    }

    /// A function contains where it may, and what its finding is about; it takes nothing back.
    fn only_what_is_allowed_is_done(&mut self, outcome: &Outcome, before: &Moment, after: &Moment) {
        let Outcome::Answered {
            finding,
            newer,
            released,
            ..
        } = outcome
        else {
            return;
        };
        let key = FINDINGS[*finding];
        let done: Vec<_> = after.in_effect.difference(&before.in_effect).collect();
        let may = before.setting == Setting::Contain;
        self.must(done.is_empty() || may, "something was done without leave");
        let own = done.iter().all(|step| key.steps().contains(step));
        self.must(own, "another credential was contained");
        let back = before.in_effect.is_subset(&after.in_effect) || released.is_some();
        self.must(back, "a function took something back");
        let left = self.released.contains_key(&key) && !newer;
        let stood = before.stands(key);
        self.must(
            !left || stood || done.is_empty(),
            "what was released is contained for old activity",
        );
        if !done.is_empty() {
            self.released.remove(&key);
        }
    }

    fn what_is_reported_is_true(&self, finding: usize, outcome: &Outcome, after: &Moment) {
        let Outcome::Answered {
            report: Some(report),
            ..
        } = outcome
        else {
            return;
        };
        let contained = matches!(
            report.status(),
            Status::Contained | Status::AlreadyContained
        );
        let true_now = !contained || after.stands(FINDINGS[finding]);
        self.must(true_now, "contained is reported, and the credential works");
    }

    /// Whatever the settings, a dry run, a claim or a failed read: what is contained stays so in the table, and
    /// nobody is told the contrary.
    fn a_containment_in_effect_is_not_reported_as_less(
        &self,
        finding: usize,
        before: &Moment,
        after: &Moment,
    ) {
        let incident = before.incident(finding);
        if !stands_by_record(incident) || !before.stands(FINDINGS[finding]) {
            return;
        }
        let stands = stands_by_record(after.incident(finding));
        self.must(stands, "what stands is less in the table");
        let less = ["[LOOK AT", "[NOT CONTAINED", "[DRY RUN", "[APPROVE"];
        let mut told = after.told(finding, before.notices.len());
        let untrue = told.any(|(subject, _)| less.iter().any(|less| subject.starts_with(less)));
        self.must(!untrue, "what stands is told as less");
    }

    /// An attacker's undoing is told by the first who reads it; nobody else's is.
    fn an_undoing_is_told(&self, outcome: &Outcome, before: &Moment, after: &Moment) {
        let Outcome::Answered {
            finding,
            report,
            undone,
            read,
            ..
        } = outcome
        else {
            return;
        };
        let key = FINDINGS[*finding];
        // What was done again is no longer known as taken back.
        let attacked = |step: &Step| self.taken_back_before.get(step) == Some(&By::Attacker);
        let any = key.steps().iter().any(attacked);
        self.must(
            any || !undone,
            "an undoing is told, and nobody undid anything",
        );
        let Some(incident) = before.incident(*finding).filter(|_| report.is_some()) else {
            return;
        };
        let stood = stands_by_record(Some(incident));
        let shown = shown_in_effect(incident, key);
        let allowed = matches!(before.setting, Setting::Contain | Setting::Approve);
        // An operator knows of what was undone before a release.
        let left = self.released_before.contains(&key);
        if stood && *read && allowed && !left && shown.iter().any(attacked) {
            let mut told = after.told(*finding, before.notices.len());
            let told = told.any(|(_, body)| body.contains("someone undid this containment"));
            self.must(told, "an undoing is told to nobody");
        }
    }

    fn each_finding_is_told(&self, finding: usize, outcome: &Outcome, after: &Moment) {
        if let Outcome::Answered {
            report: Some(report),
            comes_again,
            ..
        } = outcome
        {
            let put_off = report.status() == Status::Ignored && *comes_again;
            let told = after.told(finding, 0).count();
            self.must(told > 0 || put_off, "nobody was told of a finding");
        }
    }

    fn a_rejection_covers_only_the_plan_that_was_shown(
        &self,
        command: &Command,
        finding: usize,
        done: &Result<()>,
        before: &Moment,
        after: &Moment,
    ) {
        let Command::Reject { stale: true, .. } = command else {
            return;
        };
        let (waited, waits) = (before.planned_at(finding), after.planned_at(finding));
        let rejected = done.is_ok() && waited.is_some() && waits.is_none();
        let shown = self.shown.get(&finding).copied();
        self.must(
            !rejected || waited == shown,
            "a plan was rejected that was not shown",
        );
    }

    /// A release of one credential leaves all others contained, and no incident of its own contained by the table.
    fn a_release_lifts_its_own_only(&self, finding: usize, before: &Moment, after: &Moment) {
        let key = FINDINGS[finding];
        for (other, about) in FINDINGS.iter().enumerate() {
            let stood = stands_by_record(before.incident(other)) && before.stands(*about);
            if stood && *about != key {
                self.must(after.stands(*about), "a release let another credential out");
            }
        }
    }

    /// Each plan that can be approved was told since it waits.
    fn each_plan_is_told(&self, after: &Moment) {
        for (finding, since) in &self.waits_since {
            let incident = after.incident(*finding).expect("an incident");
            let plan = incident.awaiting().expect("a plan").expect("it waits");
            let mut told = after.told(*finding, *since);
            let told = told.any(|(_, body)| body.contains("AWAITS APPROVAL"));
            let over = plan.expires_at <= after.clock;
            self.must(told || over, "a plan waits of which nobody was told");
        }
    }

    /// Contained in the table is contained, or was until an attacker undid it that no function has read since.
    fn the_table_is_true(&self, after: &Moment) {
        for (finding, key) in FINDINGS.iter().enumerate() {
            let incident = after.incident(finding);
            if incident.is_some_and(|incident| incident.status == "contained") {
                let attacked = |step: &Step| self.taken_back.get(step) == Some(&By::Attacker);
                let mut steps = key.steps().into_iter();
                let holds = steps.all(|step| after.in_effect.contains(&step) || attacked(&step));
                self.must(holds, "contained by the table, and somebody released it");
            }
        }
    }
}
