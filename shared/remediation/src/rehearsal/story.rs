//! What would have happened, in the order of time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Rules;
use super::occasion::{Answer, Occasion, Step, Target, Verdict};
use super::tally::{Report, Tally};
use super::windows::Windows;
use crate::breaker::BREAKER;
use crate::catalogue::Category;
use crate::finding::Finding;
use crate::plan::Phase;

/// A finding, as far as a rehearsal tells of it.
#[derive(Clone, Debug)]
pub struct Brief {
    pub(super) id: String,
    pub(super) finding_type: String,
    pub(super) severity: f64,
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) actor: Option<String>,
}

impl Brief {
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

/// What would have become of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Contained.
    Contained,
    /// Planned, until a person approves it.
    AwaitsApproval,
    /// Withheld by policies.
    Withheld,
    /// Withheld by the breaker.
    Breaker,
}

/// Something that would have happened to a target. What repeats it is counted, not told again.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub outcome: Outcome,
    /// The function.
    pub function: Category,
    /// The account of the target.
    pub account_id: String,
    /// The Region of the finding.
    pub region: String,
    /// `User`, `Role`, `Bucket`, `Instance` or `Account`.
    pub kind: &'static str,
    /// The target's ARN; of a user or role without its path, which findings do not tell.
    pub resource: String,
    /// The target's name, or the id of an instance.
    pub name: String,
    /// What of it is contained, by the name in the record: `user/alice/AKIA…`.
    pub target: String,
    /// Who acted, if the finding is about calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The finding.
    pub finding_id: String,
    /// Its type.
    pub finding_type: String,
    /// Its severity at that time.
    pub severity: f64,
    /// The ids of the policies that decide, or `breaker`.
    pub by: Vec<String>,
    /// Why it is not contained.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Contained before, and again for newer activity.
    pub again: bool,
    /// Some of what contains is withheld.
    pub partial: bool,
    /// What only observing would show, and would change this.
    pub depends_on: Vec<String>,
    /// The steps.
    pub steps: Vec<Step>,
    /// How many findings this answers.
    pub findings: usize,
    /// How many events.
    pub events: usize,
    /// When the last of them came.
    pub last: Timestamp,
}

/// Where the story of a target stands.
#[derive(Default)]
struct Story {
    contained_at: Option<Timestamp>,
    /// The last entry about it, by its index.
    entry: Option<usize>,
}

type Key = (Category, String, String);

struct Rehearsal<'a> {
    windows: Windows<'a>,
    stories: HashMap<Key, Story>,
    entries: Vec<Entry>,
    /// The findings of each entry, by their numbers.
    findings: Vec<BTreeSet<u32>>,
    tally: Tally,
}

/// Goes through what was judged, in the order of time.
///
/// Once contained a target stays so, since only a person releases it. Nobody approves anything, and nobody
/// resets the breaker.
pub fn rehearse(rules: &Rules, mut occasions: Vec<Occasion>) -> Report {
    occasions
        .sort_by(|a, b| (a.at, &a.finding.id, a.function).cmp(&(b.at, &b.finding.id, b.function)));
    let mut rehearsal = Rehearsal {
        windows: Windows::new(&rules.limits, &rules.sizes),
        stories: HashMap::new(),
        entries: Vec::new(),
        findings: Vec::new(),
        tally: Tally::default(),
    };
    for occasion in occasions {
        rehearsal.answer(occasion);
    }
    let Rehearsal {
        windows,
        mut entries,
        findings,
        tally,
        ..
    } = rehearsal;
    for (entry, findings) in entries.iter_mut().zip(findings) {
        entry.findings = findings.len();
    }
    let (openings, demands) = windows.done();
    tally.report(rules, entries, openings, demands)
}

impl Rehearsal<'_> {
    fn answer(&mut self, occasion: Occasion) {
        let number = self.tally.count(&occasion);
        let targets = match occasion.answer {
            Answer::Left(left) => {
                let Occasion { at, function, .. } = occasion;
                return self
                    .tally
                    .left(left, function, &occasion.finding, at, number);
            }
            Answer::Contain(targets) => targets,
        };
        self.tally.containable(number);
        let event = Event {
            at: occasion.at,
            function: occasion.function,
            finding: occasion.finding,
            number,
        };
        let targets: Vec<_> = targets
            .into_iter()
            .filter(|target| !self.stays(&event, target))
            .collect();
        let full = self.places(&event, &targets);
        for target in targets {
            self.tally.exempt(&event, &target);
            self.tell(&event, target, full.as_deref());
        }
    }

    /// True if the target is contained already, and this is no news.
    fn stays(&mut self, event: &Event, target: &Target) -> bool {
        let Some(story) = self.stories.get(&event.key(target)) else {
            return false;
        };
        let (Some(since), Some(index)) = (story.contained_at, story.entry) else {
            return false;
        };
        // A cut-off moves on for what was seen after it.
        let newer = target.renewed.is_some_and(|seen| seen > since);
        let stays = !(newer && target.contains());
        if stays {
            self.repeat(index, event);
        }
        stays
    }

    /// Takes the breaker's places for what is to be contained. Says why there are none.
    fn places(&mut self, event: &Event, targets: &[Target]) -> Option<String> {
        let mut names = BTreeSet::new();
        let mut crowds: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for target in targets.iter().filter(|target| target.takes_place()) {
            names.insert(target.place.clone());
            for crowd in &target.crowds {
                let members = crowds.entry(crowd.clone()).or_default();
                members.insert(target.name.clone());
            }
        }
        if names.is_empty() {
            return None;
        }
        let Event {
            function, finding, ..
        } = event;
        let account = &finding.account_id;
        let taken = self
            .windows
            .take(*function, account, &names, &crowds, event.at);
        taken.err().map(|full| full.reason)
    }

    fn tell(&mut self, event: &Event, target: Target, full: Option<&str>) {
        let outcome = match full {
            Some(_) if target.takes_place() => Outcome::Breaker,
            _ if target.contains() => Outcome::Contained,
            _ if target.awaits_approval() => Outcome::AwaitsApproval,
            _ => Outcome::Withheld,
        };
        let by = deciding(outcome, &target);
        let story = self.stories.entry(event.key(&target)).or_default();
        let again = story.contained_at.is_some();
        if outcome == Outcome::Contained {
            story.contained_at = Some(event.at);
        }
        if let Some(index) = story.entry
            && self.entries[index].outcome == outcome
            && outcome != Outcome::Contained
            && self.entries[index].by == by
        {
            return self.repeat(index, event);
        }
        story.entry = Some(self.entries.len());
        self.entries
            .push(event.entry(target, outcome, by, full, again));
        self.findings.push(BTreeSet::from([event.number]));
    }

    fn repeat(&mut self, index: usize, event: &Event) {
        self.entries[index].events += 1;
        self.entries[index].last = event.at;
        self.findings[index].insert(event.number);
    }
}

/// An event at a function.
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) function: Category,
    pub(super) finding: Arc<Brief>,
    /// The finding's number.
    pub(super) number: u32,
}

impl Event {
    fn key(&self, target: &Target) -> Key {
        let account = self.finding.account_id.clone();
        (self.function, account, target.place.clone())
    }

    fn entry(
        &self,
        target: Target,
        outcome: Outcome,
        by: Vec<String>,
        full: Option<&str>,
        again: bool,
    ) -> Entry {
        let partial = outcome == Outcome::Contained && target.is_partial();
        let depends_on: BTreeSet<_> = target
            .steps
            .iter()
            .filter(|step| step.phase == Phase::Contain)
            .flat_map(|step| step.depends_on.clone())
            .collect();
        let reason = match outcome {
            Outcome::Contained => String::new(),
            Outcome::Breaker => full.unwrap_or_default().to_owned(),
            Outcome::AwaitsApproval | Outcome::Withheld => reasons(&target),
        };
        let finding = &self.finding;
        Entry {
            at: self.at,
            outcome,
            function: self.function,
            account_id: finding.account_id.clone(),
            region: finding.region.clone(),
            kind: target.kind.as_str(),
            resource: target.arn,
            name: target.name,
            target: target.place,
            actor: finding.actor.clone(),
            finding_id: finding.id.clone(),
            finding_type: finding.finding_type.clone(),
            severity: finding.severity,
            by,
            reason,
            again,
            partial,
            depends_on: depends_on.into_iter().collect(),
            steps: target.steps,
            findings: 1,
            events: 1,
            last: self.at,
        }
    }
}

/// The policies that make an outcome what it is.
fn deciding(outcome: Outcome, target: &Target) -> Vec<String> {
    let verdict = match outcome {
        Outcome::Breaker => return vec![BREAKER.to_owned()],
        Outcome::Contained => Verdict::Permitted,
        Outcome::AwaitsApproval => Verdict::AwaitsApproval,
        Outcome::Withheld => Verdict::Withheld,
    };
    let steps = target.steps.iter();
    let by: BTreeSet<_> = steps
        .filter(|step| step.phase == Phase::Contain && step.verdict == verdict)
        .flat_map(|step| step.by.clone())
        .collect();
    by.into_iter().collect()
}

fn reasons(target: &Target) -> String {
    let reasons: BTreeSet<_> = target
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Contain && !step.reason.is_empty())
        .map(|step| step.reason.as_str())
        .collect();
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}
