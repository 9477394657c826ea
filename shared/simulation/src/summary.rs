//! The report of a rehearsal: who would have been hit, what applied, what was left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::breaker::{BreakerTrip, PeakDemand};
use super::entry::{Entry, Event, Outcome};
use super::evaluation::{Evaluation, FindingSummary, Left, Reason, StepVerdict, Target};
use super::remarks::remarks;
use super::rules::{OF_SETTINGS, Rules};
use model::category::Category;

/// The policy that carries the mode `approve` out.
const APPROVAL: &str = "approval";

/// The report on the findings of a time.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this document: it grows when a member changes its meaning or goes away.
    pub format: u32,
    /// The settings, by the names of the stack's parameters.
    pub settings: Value,
    /// The numbers.
    pub summary: Numbers,
    /// The entries, in the order of time.
    pub entries: Vec<Entry>,
    /// The principals, instances and buckets that would have been contained.
    pub hit: Vec<AffectedTarget>,
    /// When the breaker would have opened.
    pub openings: Vec<BreakerTrip>,
    /// How much was contained at most in the time of a window.
    pub windows: Vec<PeakDemand>,
    /// The policies that withheld something.
    pub exemptions: Vec<Exemption>,
    /// The findings that would not be contained, and why.
    pub left_out: Vec<NotContained>,
    /// The remarks on this report.
    pub remarks: Vec<String>,
}

/// The numbers of a rehearsal.
#[derive(Debug, Default, Serialize)]
pub struct Numbers {
    /// When the first event came.
    pub from: Option<Timestamp>,
    /// When the last one came.
    pub to: Option<Timestamp>,
    /// Findings.
    pub findings: usize,
    /// Events; a finding has one for each update.
    pub events: usize,
    /// Targets that would have been contained.
    pub contained: usize,
    /// Those of them of which some steps would have been withheld.
    pub partial: usize,
    /// Those of them that depend on what only observing would show.
    pub uncertain: usize,
    /// Targets whose containment would have awaited approval.
    pub awaits_approval: usize,
    /// Targets of which policies would have withheld all that contains.
    pub withheld: usize,
    /// Targets that the breaker would have withheld at first or for good.
    pub breaker: usize,
    /// How often the breaker would have opened.
    pub openings: usize,
    /// Findings of which nothing is one to contain.
    pub left_out: usize,
}

/// One that would have been contained.
#[derive(Debug, Serialize)]
pub struct AffectedTarget {
    /// `User`, `Role`, `Bucket`, `Instance` or `Account`.
    pub kind: &'static str,
    /// Its name, or the id of an instance.
    pub name: String,
    /// Its ARN; the ARN of a user or role is without its path.
    pub resource: String,
    /// Its account.
    pub account_id: String,
    /// When first.
    pub first: Timestamp,
    /// How often: keys and sessions are contained one by one.
    pub containments: usize,
    /// How many findings are about what was contained.
    pub findings: usize,
    /// The types of the findings that caused it.
    pub finding_types: BTreeSet<String>,
}

/// A policy or a rail that withheld something.
#[derive(Debug, Serialize)]
pub struct Exemption {
    /// Its id.
    pub by: String,
    /// Its reason.
    pub reason: String,
    /// The function.
    pub function: Category,
    /// An approver may approve it.
    pub awaits_approval: bool,
    /// The steps.
    pub steps: BTreeSet<&'static str>,
    /// The targets.
    pub targets: BTreeSet<String>,
    /// How many findings.
    pub findings: usize,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
}

/// Findings of which nothing is one to contain, for the same reason.
#[derive(Debug, Serialize)]
pub struct NotContained {
    /// The function.
    pub function: Category,
    /// In one word.
    pub cause: Reason,
    /// For people.
    pub reason: String,
    /// How many findings.
    pub findings: usize,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// How many of each type.
    pub finding_types: BTreeMap<String, usize>,
}

/// Findings by their numbers, from a time to a time.
struct Span {
    findings: BTreeMap<u32, String>,
    first: Timestamp,
    last: Timestamp,
}

impl Span {
    fn add(span: Option<Self>, finding: &FindingSummary, number: u32, at: Timestamp) -> Self {
        let mut span = span.unwrap_or(Self {
            findings: BTreeMap::new(),
            first: at,
            last: at,
        });
        let kind = || finding.finding_type.clone();
        span.findings.entry(number).or_insert_with(kind);
        span.last = at;
        span
    }

    fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for kind in self.findings.values() {
            *types.entry(kind.clone()).or_insert(0) += 1;
        }
        types
    }
}

/// The steps that a policy withheld, as they are counted.
#[derive(Default)]
struct Applied {
    reason: String,
    awaits_approval: bool,
    steps: BTreeSet<&'static str>,
    targets: BTreeSet<String>,
    span: Option<Span>,
}

/// The counts during the replay.
#[derive(Default)]
pub(super) struct Summary {
    numbers: HashMap<String, u32>,
    events: HashSet<(String, Timestamp)>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// The findings of which something is one to contain.
    containable: BTreeSet<u32>,
    left: BTreeMap<(Category, Reason, String), Span>,
    exemptions: BTreeMap<(String, Category), Applied>,
}

impl Summary {
    /// Counts an evaluation. Gives the finding's number.
    pub(super) fn count(&mut self, evaluation: &Evaluation) -> u32 {
        self.from.get_or_insert(evaluation.at);
        self.to = Some(evaluation.at);
        let id = &evaluation.finding.id;
        self.events.insert((id.clone(), evaluation.at));
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        match self.numbers.get(id) {
            Some(number) => *number,
            None => {
                self.numbers.insert(id.clone(), next);
                next
            }
        }
    }

    /// Counts a finding of which something is one to contain.
    pub(super) fn containable(&mut self, number: u32) {
        self.containable.insert(number);
    }

    pub(super) fn left(
        &mut self,
        left: Left,
        function: Category,
        finding: &FindingSummary,
        at: Timestamp,
        number: u32,
    ) {
        let key = (function, left.cause, left.reason);
        let span = self.left.remove(&key);
        self.left.insert(key, Span::add(span, finding, number, at));
    }

    /// Counts what policies withhold of a target.
    pub(super) fn exempt(&mut self, event: &Event, target: &Target) {
        for step in &target.steps {
            if step.verdict == StepVerdict::Permitted {
                continue;
            }
            for id in &step.by {
                if id == APPROVAL || OF_SETTINGS.contains(&id.as_str()) {
                    continue;
                }
                let key = (id.clone(), event.function);
                let applied = self.exemptions.entry(key).or_default();
                applied.reason.clone_from(&step.reason);
                applied.awaits_approval = step.verdict == StepVerdict::AwaitsApproval;
                applied.steps.insert(step.action);
                applied.targets.insert(target.place.clone());
                let span = applied.span.take();
                let span = Span::add(span, &event.finding, event.number, event.at);
                applied.span = Some(span);
            }
        }
    }

    pub(super) fn report(
        self,
        rules: &Rules,
        entries: Vec<Entry>,
        openings: Vec<BreakerTrip>,
        windows: Vec<PeakDemand>,
    ) -> Report {
        let those = |wanted: &dyn Fn(&Entry) -> bool| {
            let targets = entries.iter().filter(|entry| wanted(entry));
            let targets: BTreeSet<_> = targets
                .map(|entry| (entry.function, &entry.account_id, &entry.target))
                .collect();
            targets.len()
        };
        let by_outcome = |outcome| those(&|entry| entry.outcome == outcome);
        let contained = |entry: &Entry| entry.outcome == Outcome::Contained;
        let all: BTreeSet<u32> = self.numbers.values().copied().collect();
        let summary = Numbers {
            from: self.from,
            to: self.to,
            findings: all.len(),
            events: self.events.len(),
            contained: by_outcome(Outcome::Contained),
            partial: those(&|entry| contained(entry) && entry.partial),
            uncertain: those(&|entry| contained(entry) && !entry.depends_on.is_empty()),
            awaits_approval: by_outcome(Outcome::AwaitsApproval),
            withheld: by_outcome(Outcome::Withheld),
            breaker: by_outcome(Outcome::Breaker),
            openings: openings.len(),
            left_out: all.len() - self.containable.len(),
        };
        let left_out = self
            .left
            .into_iter()
            .map(|((function, cause, reason), span)| NotContained {
                function,
                cause,
                reason,
                findings: span.findings.len(),
                first: span.first,
                last: span.last,
                finding_types: span.types(),
            });
        let mut left_out: Vec<_> = left_out.collect();
        left_out.sort_by_key(|left| std::cmp::Reverse(left.findings));
        Report {
            format: 1,
            settings: rules.by_parameter(),
            hit: hit(&entries),
            remarks: remarks(&summary, &entries, &windows, &left_out, rules),
            summary,
            entries,
            openings,
            windows,
            exemptions: exemptions(self.exemptions),
            left_out,
        }
    }
}

fn exemptions(applied: BTreeMap<(String, Category), Applied>) -> Vec<Exemption> {
    let exemptions = applied.into_iter().filter_map(|((by, function), applied)| {
        let span = applied.span?;
        Some(Exemption {
            by,
            function,
            reason: applied.reason,
            awaits_approval: applied.awaits_approval,
            steps: applied.steps,
            targets: applied.targets,
            findings: span.findings.len(),
            first: span.first,
            last: span.last,
        })
    });
    exemptions.collect()
}

fn hit(entries: &[Entry]) -> Vec<AffectedTarget> {
    let mut hits: BTreeMap<(&str, &str, &str), AffectedTarget> = BTreeMap::new();
    for entry in entries {
        if entry.outcome != Outcome::Contained {
            continue;
        }
        let key = (
            entry.kind,
            entry.account_id.as_str(),
            entry.resource.as_str(),
        );
        let hit = hits.entry(key).or_insert_with(|| AffectedTarget {
            kind: entry.kind,
            name: entry.name.clone(),
            resource: entry.resource.clone(),
            account_id: entry.account_id.clone(),
            first: entry.at,
            containments: 0,
            findings: 0,
            finding_types: BTreeSet::new(),
        });
        hit.containments += 1;
        hit.findings += entry.findings;
        hit.finding_types.insert(entry.finding_type.clone());
    }
    let mut hits: Vec<_> = hits.into_values().collect();
    let order = |hit: &AffectedTarget| (hit.kind, hit.first, hit.resource.clone());
    hits.sort_by_key(order);
    hits
}
