//! The responder's answer: steps with their outcomes, and a status that follows from them.
//!
//! The status is computed here and nowhere else. An outcome of `applied` or `already` takes a [`ReadBack`] or an
//! observation, so no report can be better than what was read.

mod approval;
mod read_back;
mod standing;
mod step;
mod stored;

pub use self::approval::{Approval, Proposed};
pub use self::read_back::ReadBack;
pub use self::step::{Outcome, READ_BACK, StepReport};
pub use self::stored::Stored;

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::breaker::OpenBreaker;
use crate::category::Category;
use crate::error::Error;
use crate::finding::{DRILL_SOURCE, Finding, printable};
use crate::investigation::Answer;
use crate::investigation::afterwards::Afterwards;
use crate::plan::Phase;
use crate::sequence::Outline;

/// The size of an event of CloudWatch Logs that every Region and tool reads,
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>, with room for the
/// newline.
const LINE_LIMIT: usize = 255 * 1024;

/// The worst of what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not a matter for this function, or the response is off.
    Ignored,
    /// The on-call engineer is notified; nothing was to be contained, or nothing could be.
    Notified,
    /// Planned in full, changed nothing.
    DryRun,
    /// Everything that was to be done was done, and reading back shows it.
    Contained,
    /// Found contained; nothing was to be done.
    AlreadyContained,
    /// Some of it was done.
    Partial,
    /// None of it was done.
    Failed,
    /// The operator rejected the plan that awaited approval.
    Rejected,
    /// The operator released the incident, and reading back shows what was put back.
    Released,
}

impl Status {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Notified => "notified",
            Self::DryRun => "dry_run",
            Self::Contained => "contained",
            Self::AlreadyContained => "already_contained",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Released => "released",
        }
    }
}

/// The obstacle that keeps a function from planning.
#[derive(Clone, Copy, Debug)]
pub enum Obstacle {
    /// The target cannot be read.
    Target,
    /// GuardDuty does not say whether the finding is one.
    GuardDuty,
    /// The finding's account is not let into.
    Account,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "the target could not be read",
            Self::GuardDuty => "the finding could not be verified with GuardDuty",
            Self::Account => "the role in the finding's account could not be assumed",
        })
    }
}

/// The function's answer, and its line in the log.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    finding_id: String,
    finding_type: String,
    category: Category,
    account_id: String,
    region: String,
    severity: f64,
    title: String,
    /// The version of the responder that answers.
    responder_version: &'static str,
    status: Status,
    reason: String,
    dry_run: bool,
    /// The X-Ray trace of the invocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The operator sent the finding to see what would be done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    drill: bool,
    /// A containment was found undone by someone, or CloudTrail showed that it did not hold.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
    /// Something was contained that an earlier attempt of the same invocation had not begun.
    #[serde(skip)]
    pub newly_contained: bool,
    /// Something was decided for the moment, until CloudTrail must show what it does not show yet.
    #[serde(skip)]
    pub provisional: bool,
    /// The target was read, or is known to be released: only such a report changes what the record says of a
    /// containment.
    #[serde(skip)]
    pub read: bool,
    /// Another attempt follows, since what failed may pass.
    #[serde(skip)]
    pub is_retried: bool,
    /// Another invocation has the target, and answers for it.
    #[serde(skip)]
    busy: bool,
    /// The status that the record showed before this attempt wrote down what it was about to do, if that was a
    /// containment.
    #[serde(skip)]
    pub stood: Option<Status>,
    /// The record shows a containment, and nothing that was read says otherwise.
    #[serde(skip)]
    pub stands: bool,
    steps: Vec<StepReport>,
    /// The steps that await approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The ARN of the person who approved what was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The ARN of the operator who rejected the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<String>,
    /// The operator who released the incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// The ARN of the person who ran the playbook by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_by: Option<String>,
    /// The parts of an attack sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Outline>,
    /// The window of the breaker that this finding was the first to find without room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<OpenBreaker>,
    /// The place of the incident's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// The residual risks.
    pub residual_risks: Vec<String>,
    /// The next steps for the on-call engineer.
    pub next_steps: Vec<String>,
    /// The facts about who, what, when and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub investigation: Vec<Answer>,
    /// CloudTrail's evidence about the contained credential some time later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Afterwards>,
}

impl Report {
    fn new(
        category: Category,
        finding: &Finding,
        status: Status,
        reason: String,
        dry_run: bool,
    ) -> Self {
        Self {
            finding_id: finding.id.clone(),
            finding_type: finding.finding_type.to_string(),
            category,
            account_id: finding.account_id.clone(),
            region: finding.region.clone(),
            severity: finding.severity.value(),
            title: finding.title(),
            responder_version: crate::VERSION,
            status,
            reason,
            dry_run,
            trace_id: None,
            drill: finding.is_drill(),
            undone: false,
            newly_contained: false,
            provisional: false,
            read: false,
            is_retried: false,
            busy: false,
            stood: None,
            stands: false,
            steps: Vec::new(),
            approval: None,
            approved_by: None,
            rejected_by: None,
            released_by: None,
            run_by: None,
            sequence: None,
            breaker: None,
            stored: None,
            residual_risks: Vec::new(),
            next_steps: Vec::new(),
            investigation: Vec::new(),
            afterwards: None,
        }
    }

    /// The finding is not acted upon.
    pub fn ignored(category: Category, finding: &Finding, reason: String, dry_run: bool) -> Self {
        Self::new(category, finding, Status::Ignored, reason, dry_run)
    }

    /// The report of a finding that is only notified.
    pub fn notified(category: Category, finding: &Finding, reason: String, dry_run: bool) -> Self {
        Self::new(category, finding, Status::Notified, reason, dry_run)
    }

    /// Nothing was planned, since something was in the way. The work of another attempt may be in effect.
    pub fn prevented(
        category: Category,
        finding: &Finding,
        obstacle: Obstacle,
        error: &Error,
        dry_run: bool,
    ) -> Self {
        let busy = matches!(error, Error::Busy { .. });
        let reason = if busy {
            format!("this attempt changed nothing: {error}")
        } else {
            format!("this attempt changed nothing, since {obstacle}: {error}")
        };
        Self {
            busy,
            is_retried: error.is_transient(),
            ..Self::new(category, finding, Status::Failed, reason, dry_run)
        }
    }

    /// The plan was executed, or, in a dry run, would have been.
    pub fn concluded(
        category: Category,
        finding: &Finding,
        decision: String,
        dry_run: bool,
        steps: Vec<StepReport>,
    ) -> Self {
        let status = worst(&steps);
        let reason = match status {
            Status::Contained | Status::AlreadyContained | Status::DryRun => decision,
            _ => match first_open(&steps) {
                Some(step) => format!("{decision}; {}: {}", step.action, step.detail),
                None => format!("{decision}; nothing was found that could be contained"),
            },
        };
        Self {
            steps,
            read: true,
            ..Self::new(category, finding, status, reason, dry_run)
        }
    }

    /// The event is not a finding that can be read. Its readable members are shown, escaped.
    pub fn malformed(category: Category, event: &Value, error: &Error, dry_run: bool) -> Self {
        let drill = event
            .get("source")
            .is_some_and(|source| source == DRILL_SOURCE);
        let detail = event.get("detail").unwrap_or(event);
        let text = |member: &str| {
            printable(
                detail
                    .get(member)
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
        };
        Self {
            finding_id: text("id"),
            finding_type: text("type"),
            category,
            account_id: text("accountId"),
            region: text("region"),
            severity: detail
                .get("severity")
                .and_then(Value::as_f64)
                .unwrap_or_default(),
            title: text("title"),
            responder_version: crate::VERSION,
            status: Status::Failed,
            reason: error.to_string(),
            dry_run: dry_run || drill,
            trace_id: None,
            drill,
            undone: false,
            newly_contained: false,
            provisional: false,
            read: false,
            is_retried: false,
            busy: false,
            stood: None,
            stands: false,
            steps: Vec::new(),
            approval: None,
            approved_by: None,
            rejected_by: None,
            released_by: None,
            run_by: None,
            sequence: None,
            breaker: None,
            stored: None,
            residual_risks: vec!["nothing was contained".to_owned()],
            next_steps: vec![
                "look at the event in GuardDuty; if it is a real finding, report the member named \
                 above to the maintainers of guardduty-responder"
                    .to_owned(),
            ],
            investigation: Vec::new(),
            afterwards: None,
        }
    }

    /// The worst of what happened.
    pub fn status(&self) -> Status {
        self.status
    }
    /// Why, in one sentence.
    pub fn reason(&self) -> &str {
        &self.reason
    }
    /// The steps with their outcomes.
    pub fn steps(&self) -> &[StepReport] {
        &self.steps
    }
    /// The steps that await approval, if any do.
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }
    /// The ARN of the person who approved what was done, if it took one.
    pub fn approved_by(&self) -> Option<&str> {
        self.approved_by.as_deref()
    }
    /// The ARN of the operator who rejected the plan, if one did.
    pub fn rejected_by(&self) -> Option<&str> {
        self.rejected_by.as_deref()
    }
    /// The operator who released the incident, if one did.
    pub fn released_by(&self) -> Option<&str> {
        self.released_by.as_deref()
    }
    /// The ARN of the person who ran the playbook by hand, if one did.
    pub fn run_by(&self) -> Option<&str> {
        self.run_by.as_deref()
    }
    /// The parts of the attack sequence, if the finding is one and lists them.
    pub fn sequence(&self) -> Option<&Outline> {
        self.sequence.as_ref()
    }
    /// The breaker's count, if this finding was the first that it withheld.
    pub fn breaker(&self) -> Option<&OpenBreaker> {
        self.breaker.as_ref()
    }
    /// The place of the incident's page, if it was stored.
    pub fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref()
    }
    /// The residual risks.
    pub fn residual_risks(&self) -> &[String] {
        &self.residual_risks
    }
    /// The next steps for the on-call engineer.
    pub fn next_steps(&self) -> &[String] {
        &self.next_steps
    }
    /// The facts about who, what, when and where.
    pub fn investigation(&self) -> &[Answer] {
        &self.investigation
    }
    /// CloudTrail's evidence about the contained credential some time later, if it was asked.
    pub fn afterwards(&self) -> Option<&Afterwards> {
        self.afterwards.as_ref()
    }
    /// The finding's id.
    pub fn finding_id(&self) -> &str {
        &self.finding_id
    }
    /// The finding's type.
    pub fn finding_type(&self) -> &str {
        &self.finding_type
    }
    /// The finding's title.
    pub fn title(&self) -> &str {
        &self.title
    }
    /// The account of the resource.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }
    /// The Region of the resource.
    pub fn region(&self) -> &str {
        &self.region
    }
    /// GuardDuty's severity.
    pub fn severity(&self) -> f64 {
        self.severity
    }
    /// The function that answers.
    pub fn category(&self) -> Category {
        self.category
    }
    /// True if a containment was found undone by someone.
    pub fn undone(&self) -> bool {
        self.undone
    }
    /// True if it is about a drill, which is a dry run whatever the settings say.
    pub fn drill(&self) -> bool {
        self.drill
    }
    /// True if nothing may be changed.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The report as one line of JSON, which fits into an event of CloudWatch Logs.
    pub fn to_line(&self) -> String {
        self.within(LINE_LIMIT)
    }

    /// Each step as a line of JSON, with the values that were found and wanted, where
    /// [`Report::to_line`] has no room for them.
    pub fn left_out(&self) -> Vec<String> {
        let fits = self.json().len() <= LINE_LIMIT;
        let steps = self.steps.iter().filter(|_| !fits);
        steps
            .map(|step| json!({ "finding_id": self.finding_id, "step": step }).to_string())
            .collect()
    }

    /// The report as one line of JSON of at most `limit` bytes, which is at least 32 KB. The values found and wanted
    /// are left out first if it does not fit, and the line says so.
    pub fn within(&self, limit: usize) -> String {
        let line = self.json();
        if line.len() <= limit {
            return line;
        }
        let mut short = self.clone();
        let texts = short.residual_risks.iter_mut().chain(&mut short.next_steps);
        for text in texts.chain([&mut short.title, &mut short.reason]) {
            *text = printable(text);
        }
        for step in &mut short.steps {
            step.from = json!("left out");
            step.to = json!("left out");
            step.detail = printable(&step.detail);
        }
        let proposed = short
            .approval
            .iter_mut()
            .flat_map(|approval| &mut approval.steps);
        for step in proposed {
            step.from = json!("left out");
            step.to = json!("left out");
        }
        let next_steps = std::mem::take(&mut short.next_steps);
        let mut most = self.steps.len().max(self.residual_risks.len());
        most = most.max(next_steps.len()).max(self.investigation.len());
        loop {
            short.steps.truncate(most);
            if let Some(approval) = &mut short.approval {
                approval.steps.truncate(most);
            }
            short.residual_risks.truncate(most);
            short.investigation.truncate(most);
            if most == 0 {
                short.sequence = None;
                short.breaker = None;
                short.afterwards = None;
            }
            short.next_steps = next_steps.iter().take(most).cloned().collect();
            short.next_steps.push(format!(
                "this report is cut, since all of it would have {} bytes: it has {} of {} steps, \
                 without their values. The function's log has each step in its own line",
                line.len(),
                short.steps.len(),
                self.steps.len(),
            ));
            let cut = short.json();
            if cut.len() <= limit || most == 0 {
                return cut;
            }
            most /= 2;
        }
    }

    fn json(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"unreportable\":\"{error}\"}}"))
    }
}

/// The step that says best why not everything is in effect: one that contains, before those around it, and one
/// that failed before one that was left out.
fn first_open(steps: &[StepReport]) -> Option<&StepReport> {
    let open = steps.iter().filter(|step| {
        matches!(
            step.outcome,
            Outcome::Failed | Outcome::Withheld | Outcome::Skipped
        )
    });
    open.min_by_key(|step| {
        let around = step.phase != Phase::Contain;
        let mark = step.phase == Phase::Annotate;
        (mark, around, step.outcome != Outcome::Failed)
    })
}

/// A containment is `contained` only if every step of it is in effect; one step that was skipped, withheld or
/// failed beside one in effect makes it `partial`. While no step that contains is in effect, nothing is contained,
/// whatever else was done: then it is `failed` if something failed, and otherwise for the on-call engineer. A step
/// that only protects or preserves counts when it fails, not when it was skipped or withheld. A mark that failed is
/// in the report and counts for nothing: the target is contained without it.
fn worst(steps: &[StepReport]) -> Status {
    let any = |is: &dyn Fn(&StepReport) -> bool| steps.iter().any(is);
    let with = |outcome: Outcome| any(&|step| step.outcome == outcome);
    let failed = any(&|step| step.outcome == Outcome::Failed && step.phase != Phase::Annotate);
    let contained =
        any(&|step| step.contains && matches!(step.outcome, Outcome::Applied | Outcome::Already));
    let left_out = any(&|step| {
        let left = matches!(step.outcome, Outcome::Skipped | Outcome::Withheld);
        left && step.phase == Phase::Contain
    });
    match (contained, failed) {
        (false, true) => Status::Failed,
        (true, true) => Status::Partial,
        _ if with(Outcome::Planned) => Status::DryRun,
        (false, false) => Status::Notified,
        _ if left_out => Status::Partial,
        _ if with(Outcome::Applied) => Status::Contained,
        _ => Status::AlreadyContained,
    }
}

#[cfg(test)]
mod tests;
