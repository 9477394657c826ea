//! The replay of the evaluations, in the order of time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::breaker::Windows;
use super::entry::{Entry, Event, Key, Outcome, deciding};
use super::evaluation::{Evaluation, Judgement, Target};
use super::rules::Rules;
use super::summary::{Report, Summary};

/// The state of a target.
#[derive(Default)]
struct TargetState {
    contained_at: Option<Timestamp>,
    /// The last entry about it, by its index.
    entry: Option<usize>,
}

struct Rehearsal<'a> {
    windows: Windows<'a>,
    states: HashMap<Key, TargetState>,
    entries: Vec<Entry>,
    /// The findings of each entry, by their numbers.
    findings: Vec<BTreeSet<u32>>,
    summary: Summary,
}

/// Goes through what was judged, in the order of time.
///
/// A contained target stays contained, since only the operator releases it. Nobody approves anything, and nobody resets
/// the breaker.
pub fn rehearse(rules: &Rules, mut evaluations: Vec<Evaluation>) -> Report {
    evaluations
        .sort_by(|a, b| (a.at, &a.finding.id, a.function).cmp(&(b.at, &b.finding.id, b.function)));
    let mut rehearsal = Rehearsal {
        windows: Windows::new(&rules.limits, &rules.sizes),
        states: HashMap::new(),
        entries: Vec::new(),
        findings: Vec::new(),
        summary: Summary::default(),
    };
    for evaluation in evaluations {
        rehearsal.answer(evaluation);
    }
    let Rehearsal {
        windows,
        mut entries,
        findings,
        summary,
        ..
    } = rehearsal;
    for (entry, findings) in entries.iter_mut().zip(findings) {
        entry.findings = findings.len();
    }
    let (openings, demands) = windows.done();
    summary.report(rules, entries, openings, demands)
}

impl Rehearsal<'_> {
    fn answer(&mut self, evaluation: Evaluation) {
        let number = self.summary.count(&evaluation);
        let targets = match evaluation.answer {
            Judgement::Left(left) => {
                let Evaluation { at, function, .. } = evaluation;
                return self
                    .summary
                    .left(left, function, &evaluation.finding, at, number);
            }
            Judgement::Contain(targets) => targets,
        };
        self.summary.containable(number);
        let event = Event {
            at: evaluation.at,
            function: evaluation.function,
            finding: evaluation.finding,
            number,
        };
        let targets: Vec<_> = targets
            .into_iter()
            .filter(|target| !self.stays(&event, target))
            .collect();
        let full = self.places(&event, &targets);
        for target in targets {
            self.summary.exempt(&event, &target);
            self.tell(&event, target, full.as_deref());
        }
    }

    /// True if the target is contained already, and this is no news.
    fn stays(&mut self, event: &Event, target: &Target) -> bool {
        let Some(state) = self.states.get(&event.key(target)) else {
            return false;
        };
        let (Some(since), Some(index)) = (state.contained_at, state.entry) else {
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
        taken.err()
    }

    fn tell(&mut self, event: &Event, target: Target, full: Option<&str>) {
        let outcome = match full {
            Some(_) if target.takes_place() => Outcome::Breaker,
            _ if target.contains() => Outcome::Contained,
            _ if target.awaits_approval() => Outcome::AwaitsApproval,
            _ => Outcome::Withheld,
        };
        let by = deciding(outcome, &target);
        let state = self.states.entry(event.key(&target)).or_default();
        let again = state.contained_at.is_some();
        if outcome == Outcome::Contained {
            state.contained_at = Some(event.at);
        }
        if let Some(index) = state.entry
            && self.entries[index].outcome == outcome
            && outcome != Outcome::Contained
            && self.entries[index].by == by
        {
            return self.repeat(index, event);
        }
        state.entry = Some(self.entries.len());
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
