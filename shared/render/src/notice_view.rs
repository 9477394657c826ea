//! The content of a notice, the same for every channel: the status, what to do now, and the rest in the order in which
//! the on-call engineer needs it. Pure.
//!
//! A notice fits on a screen for the usual incident. It names the command that shows what is left out.

use serde_json::Value;

use crate::report_view::{
    StepGroup, at_risk, headline, not_in_effect, step_groups, summary, to_second,
};
use model::breaker::OpenBreaker;
use model::finding::{Severity, printable};
use model::investigation::{Answer, Question, THE_FINDING};
use model::report::{Approval, Outcome, Proposed, READ_BACK, Report, StepReport};
use model::sequence::Outline;

/// SNS allows a subject of at most 100 ASCII characters,
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const SUBJECT_LIMIT: usize = 100;
/// How many entries a section lists, and how many characters of each.
const BRIEF: Limits = (2, 160);
/// The same for what the on-call engineer does, and for what they must know to do it.
const TO_DO: Limits = (6, 500);
const URGENT: Limits = (8, 300);

type Limits = (usize, usize);

/// A notice without the form of a channel. Its text comes from outside and is not made harmless yet.
#[derive(Debug)]
pub(crate) struct NoticeView {
    /// At most 100 printable ASCII characters.
    pub(crate) subject: String,
    /// The outcome, in a sentence or two.
    pub(crate) status: Vec<String>,
    /// The sections that have entries.
    pub(crate) sections: Vec<Section>,
}

/// A heading with its lines.
#[derive(Debug)]
pub(crate) struct Section {
    /// In capitals, and never from outside.
    pub(crate) title: String,
    pub(crate) entries: Vec<Entry>,
}

/// A line of a section.
#[derive(Debug)]
pub(crate) enum Entry {
    /// One of several of its kind.
    Item(String),
    /// More about the item before.
    Detail(String),
    /// A sentence of its own.
    Line(String),
    /// A command to copy, with what it is for.
    Command(String),
}

/// The heading of what the on-call engineer does next.
pub(crate) const DO_NOW: &str = "WHAT TO DO NOW";

impl NoticeView {
    pub(crate) fn of(report: &Report) -> Self {
        let mut sections = Vec::new();
        sections.extend(report.breaker().map(open_breaker));
        sections.extend(report.approval().map(|it| awaits(it, report.finding_id())));
        sections.push(to_do(report));
        sections.push(happened(report));
        sections.extend(report.sequence().map(sequence));
        sections.extend(steps(report));
        sections.push(risks(report));
        sections.extend(investigated(report.investigation()));
        sections.retain(|section| !section.entries.is_empty());
        let breaker = report.breaker().map(OpenBreaker::reason);
        Self {
            subject: subject(report),
            status: breaker.into_iter().chain([summary(report)]).collect(),
            sections,
        }
    }
}

/// The finding in one line of printable ASCII, with what came of it.
pub(crate) fn subject(report: &Report) -> String {
    let headline = match report.breaker() {
        _ if report.drill() => format!("[DRILL] {}:", report.status().as_str()),
        Some(_) => "[BREAKER OPEN]".to_owned(),
        None => format!("[{}]", headline(report)),
    };
    let mut subject = format!(
        "{headline} {} {} in {}",
        report.category(),
        report.finding_type(),
        report.account_id(),
    );
    subject.retain(|character| (' '..='~').contains(&character));
    subject.truncate(SUBJECT_LIMIT);
    subject
}

/// The first finding that a breaker withholds is the only one of which a notice is sent.
fn open_breaker(open: &OpenBreaker) -> Section {
    let mut entries = vec![
        Entry::Line("Decide whether this is an attack or an error.".to_owned()),
        Entry::Command(format!("to contain more now: {}", open.reset())),
        Entry::Command(
            "to list the findings that were withheld: gdr incidents --status notified".to_owned(),
        ),
        Entry::Line(
            "Each further finding is recorded without a notice. A withheld finding is contained when GuardDuty \
             next updates it and there is room."
                .to_owned(),
        ),
    ];
    let names: Vec<_> = open.contained().map(ToOwned::to_owned).collect();
    let contained = items("", &names, URGENT).entries;
    if !contained.is_empty() {
        entries.push(Entry::Line("Contained in this window:".to_owned()));
        entries.extend(contained);
    }
    Section {
        title: "THE CIRCUIT BREAKER IS OPEN".to_owned(),
        entries,
    }
}

/// The commands are whole, so that they can be copied: a finding's id has no character that a shell would
/// read.
fn awaits(approval: &Approval, id: &str) -> Section {
    let mut entries = Vec::new();
    for step in approval.steps.iter().take(URGENT.0) {
        entries.push(Entry::Item(format!("{} on {}", step.action, step.target)));
        entries.push(Entry::Detail(cut(&change(step), URGENT.1)));
    }
    entries.extend(more(approval.steps.len(), URGENT.0));
    let approve = format!("to run exactly these steps: gdr approve {id}");
    let reject = format!("to reject them: gdr reject {id} --reason \"why\"");
    entries.extend([Entry::Command(approve), Entry::Command(reject)]);
    Section {
        title: format!("AWAITS APPROVAL (until {})", to_second(approval.expires_at)),
        entries,
    }
}

/// The change that a proposed step would make: the members of the value that become others.
fn change(step: &Proposed) -> String {
    let (Value::Object(from), Value::Object(to)) = (&step.from, &step.to) else {
        return format!("{} -> {}", step.from, step.to);
    };
    let changed = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(value));
    let changed = changed.map(|(name, value)| match from.get(name) {
        Some(before) => format!("{name}: {before} -> {value}"),
        None => format!("{name}: none -> {value}"),
    });
    changed.collect::<Vec<_>>().join(", ")
}

/// The next steps. A containing step that failed comes first.
fn to_do(report: &Report) -> Section {
    let failed = report.steps().iter();
    let failed = failed.filter(|step| step.contains() && step.outcome() == Outcome::Failed);
    let failed = failed.map(|step| not_in_effect(step.action(), step.target()));
    let all: Vec<_> = failed.chain(report.next_steps().iter().cloned()).collect();
    let mut section = items(DO_NOW, &all, TO_DO);
    if !report.finding_id().is_empty() {
        let id = report.finding_id();
        let all = format!("to see all of it: gdr incident {id}");
        section.entries.push(Entry::Command(all));
    }
    if let Some(stored) = report.stored() {
        let page = format!("page {}", stored.place());
        section.entries.push(Entry::Command(page));
    }
    section
}

fn happened(report: &Report) -> Section {
    let severity = report.severity();
    let about = format!(
        "severity {severity} ({}), account {}, {}, finding {}",
        Severity::label(severity),
        report.account_id(),
        report.region(),
        report.finding_id(),
    );
    let reason = reason(report);
    // The reason of a containment begins with the type.
    let kind = report.finding_type();
    let kind = Some(kind.to_owned()).filter(|kind| !reason.starts_with(kind.as_str()));
    let run_by = report
        .run_by()
        .map(|operator| format!("run by hand by {operator}"));
    let lines = [Some(report.title().to_owned()), kind, Some(reason)];
    let lines = lines.into_iter().flatten().filter(|line| !line.is_empty());
    let lines = lines.map(|line| cut(&line, URGENT.1));
    let lines = lines.chain([about]).chain(run_by);
    Section {
        title: "WHAT HAPPENED".to_owned(),
        entries: lines.map(Entry::Line).collect(),
    }
}

/// The reason of the report, without the words of a step that the notice lists.
fn reason(report: &Report) -> String {
    let reason = report.reason();
    let words = |step: &StepReport| format!("; {}: {}", step.action(), step.detail());
    let steps = report.steps().iter();
    let mut shorter = steps.filter_map(|step| reason.strip_suffix(words(step).as_str()));
    shorter.next().unwrap_or(reason).to_owned()
}

/// Bounded already; it says itself how many parts there are more.
fn sequence(outline: &Outline) -> Section {
    let mut entries = Vec::new();
    for part in outline.lines() {
        let mut lines = part.split('\n').map(|line| line.trim_start().to_owned());
        entries.extend(lines.next().map(Entry::Item));
        entries.extend(lines.map(Entry::Detail));
    }
    Section {
        title: "THE SEQUENCE".to_owned(),
        entries,
    }
}

/// The steps by what came of them. A step that contains nothing, and that went as planned, is counted only.
fn steps(report: &Report) -> impl Iterator<Item = Section> {
    step_groups(report).map(|(group, steps)| {
        let condition = match group {
            StepGroup::Planned if report.drill() => " (a drill never does it)",
            StepGroup::Planned => " (set DRY_RUN to false to enforce)",
            _ => "",
        };
        let (listed, counted): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| group.lists(step));
        let listed: Vec<_> = listed.into_iter().map(words).collect();
        let title = format!("{}{condition}", group.title());
        let mut section = items(&title, &listed, URGENT);
        if !counted.is_empty() {
            let also = if listed.is_empty() { "" } else { "also: " };
            let counted = format!("{also}{}", in_short(&counted));
            section.entries.push(Entry::Item(cut(&counted, BRIEF.1)));
        }
        section
    })
}

fn words(step: &StepReport) -> String {
    let (action, target, detail) = (step.action(), step.target(), step.detail());
    let detail = detail.strip_prefix(READ_BACK).unwrap_or(detail);
    match step.outcome() {
        Outcome::Failed => format!("{action} on {target} FAILED: {detail}"),
        Outcome::Withheld => format!("{action} on {target} withheld: {detail}"),
        Outcome::Skipped => format!("{action} on {target} skipped: {detail}"),
        _ => format!("{action} on {target}: {detail}"),
    }
}

/// The actions in the order of the plan, each once, with how many targets it had.
pub(crate) fn in_short(steps: &[&StepReport]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for step in steps {
        match counts
            .iter_mut()
            .find(|(action, _)| *action == step.action())
        {
            Some((_, count)) => *count += 1,
            None => counts.push((step.action(), 1)),
        }
    }
    let named = counts.into_iter().map(|(action, count)| match count {
        1 => action.to_owned(),
        count => format!("{action} ({count} resources)"),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// The notice names a failed step above.
fn risks(report: &Report) -> Section {
    let failed: Vec<_> = report
        .steps()
        .iter()
        .filter_map(StepReport::goes_on)
        .collect();
    let risks = report
        .residual_risks()
        .iter()
        .filter(|risk| !failed.contains(risk));
    let risks: Vec<_> = risks.cloned().collect();
    items(&at_risk(report).to_uppercase(), &risks, BRIEF)
}

/// The finding, which the notice names, says less than an investigation does, and nothing about a question that this
/// has answered.
fn investigated(answers: &[Answer]) -> [Section; 2] {
    let (to_send, known): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.question() == Question::AskTheOwner);
    let (by_finding, found): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|answer| answer.source() == THE_FINDING);
    let is_open = |answer: &&Answer| {
        let mut same = found.iter().filter(|it| it.question() == answer.question());
        !same.any(|it| it.is_known())
    };
    let by_finding = by_finding.into_iter().filter(is_open);
    let known: Vec<_> = found
        .iter()
        .copied()
        .chain(by_finding)
        .map(known_words)
        .collect();
    let to_send = to_send
        .into_iter()
        .map(|it| Entry::Line(it.answer().to_owned()));
    [
        items("WHAT IS KNOWN", &known, BRIEF),
        Section {
            title: "ASK THE OWNER".to_owned(),
            entries: to_send.collect(),
        },
    ]
}

fn known_words(answer: &Answer) -> String {
    let (question, said, source) = (answer.question(), answer.answer(), answer.source());
    let open = if answer.is_known() { "" } else { "NOT KNOWN: " };
    match source {
        THE_FINDING => format!("{question}: {open}{said}"),
        source => format!("{question}: {open}{said} ({source})"),
    }
}

/// A section of so many entries at most, each of so many characters at most.
fn items(title: &str, entries: &[String], (count, length): Limits) -> Section {
    let listed = entries.iter().take(count);
    let listed = listed.map(|entry| Entry::Item(cut(entry, length)));
    Section {
        title: title.to_owned(),
        entries: listed.chain(more(entries.len(), count)).collect(),
    }
}

fn more(all: usize, listed: usize) -> Option<Entry> {
    let more = all.checked_sub(listed).filter(|more| *more > 0)?;
    Some(Entry::Item(format!("and {more} more")))
}

/// At most so many characters, all of which show.
fn cut(text: &str, limit: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
