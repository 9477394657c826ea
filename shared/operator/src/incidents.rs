//! `gdr incidents` and `gdr incident`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use playbooks::of_category;
use remediation::category::Category;
use remediation::page::{self, Place, Undone};
use remediation::record::{Incident, IncidentStore};
use remediation::report_view::incident_at_risk;
use remediation::undo;
use serde_json::Value;

use crate::exit::CommandResult;
use crate::option_values::{self, Status};
use crate::output::{self, Format, Stream};
use crate::report_view::{self, StepView, Values};

const LIST_EXAMPLES: &str = "\
Examples:
  gdr incidents
  gdr incidents --status partial --since 7d
  gdr incidents --account 111122223333 --limit 20
  gdr incidents --output json | jq -r '.[].id'";

pub(crate) const SHOW_EXAMPLES: &str = "\
Examples:
  gdr incident 16afba5c
  gdr incident 16afba5c --html
  gdr incident 16afba5c --category iam --html=incident.html
  gdr incident 16afba5c --output json";

/// Which incidents are listed.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListOptions {
    /// Only those with this status.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those of this function.
    #[arg(long, value_name = "FUNCTION", value_parser = option_values::function())]
    category: Option<Category>,
    /// Only those of this account, as 12 digits.
    #[arg(long, value_name = "ID", value_parser = option_values::account)]
    account: Option<String>,
    /// Only those whose finding was received since: a date, a time, or how long ago (12h, 90d, 2w).
    #[arg(long, value_name = "TIME", value_parser = option_values::time)]
    since: Option<Timestamp>,
    /// At most so many, the newest.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl ListOptions {
    fn lists(&self, incident: &Incident) -> bool {
        // A time that cannot be read is shown rather than left out.
        let since = |since: Timestamp| {
            incident
                .received_at
                .parse()
                .map_or(true, |at: Timestamp| at >= since)
        };
        self.status.is_none_or(|status| status.is_of(incident))
            && self
                .category
                .is_none_or(|it| incident.category == it.as_str())
            && self
                .account
                .as_ref()
                .is_none_or(|it| *it == incident.account_id)
            && self.since.is_none_or(since)
    }
}

pub(crate) async fn list(
    record: &IncidentStore,
    options: &ListOptions,
    format: Format,
) -> CommandResult {
    let mut incidents = all(record).await?;
    incidents.retain(|incident| options.lists(incident));
    let found = incidents.len();
    if let Some(limit) = options.limit {
        incidents.truncate(usize::try_from(limit)?);
    }
    if incidents.len() < found {
        output::note(&format!(
            "{} of {found} incidents: see --limit",
            incidents.len()
        ))?;
    }
    if format == Format::Json {
        output::json(&incidents)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = incidents
        .iter()
        .map(|incident| {
            [
                second(&incident.received_at),
                if report_view::awaits_approval(incident) {
                    format!("{}, awaits approval", shown_status(incident))
                } else {
                    shown_status(incident)
                },
                incident.scope(),
                incident.account_id.clone(),
                incident.finding_type.clone(),
                incident.id.clone(),
            ]
        })
        .collect();
    output::table(
        [
            "RECEIVED", "STATUS", "FUNCTION", "ACCOUNT", "TYPE", "INCIDENT",
        ],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}

/// Every incident, which takes as long as the table is large.
async fn all(record: &IncidentStore) -> remediation::Result<Vec<Incident>> {
    let _progress = output::waiting("reading the table of incidents");
    record.incidents().await
}

/// The incidents of the finding whose id is `id` or begins with it, if they are of this function.
pub(crate) async fn of(
    record: &IncidentStore,
    id: &str,
    category: Option<Category>,
) -> Result<Vec<Incident>, Box<dyn std::error::Error>> {
    let mut found = find(record, id).await?;
    let functions: Vec<_> = found.iter().map(Incident::scope).collect();
    found.retain(|incident| category.is_none_or(|it| incident.category == it.as_str()));
    if let (Some(category), true) = (category, found.is_empty()) {
        let functions = functions.join("; ");
        return Err(
            format!("the {category} function did not deal with {id}, only: {functions}").into(),
        );
    }
    Ok(found)
}

/// How the recorded actions are undone, as their playbook tells.
fn undone(incident: &Incident) -> Result<Vec<Undone>, String> {
    let category = incident.known_category();
    let category = category.map_err(|error| error.to_string())?;
    of_category!(category, P => undo::recorded::<P>(incident))
}

/// Writes the page of each incident.
pub(crate) fn write(
    place: Place<'_>,
    incidents: &[Incident],
    file: Option<&Path>,
    format: Format,
) -> CommandResult {
    if file.is_some() && incidents.len() > 1 {
        let functions: Vec<_> = incidents.iter().map(Incident::scope).collect();
        return Err(format!(
            "there is a page for each of: {}; choose one with --category, or leave FILE out",
            functions.join("; ")
        )
        .into());
    }
    let mut written = Vec::new();
    for incident in incidents {
        let path = file.map_or_else(|| file_name(incident), Path::to_owned);
        let page = page::incident(incident, &undone(incident), Some(place), Timestamp::now());
        output::page(&path, &page)?;
        if path == Path::new(output::STANDARD) {
            return Ok(ExitCode::SUCCESS);
        }
        if format == Format::Table {
            output::line(&path.display().to_string());
        }
        written.push(path);
    }
    if format == Format::Json {
        output::json(&written)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file name of letters, digits and hyphens only: the id and the part come from a finding.
fn file_name(incident: &Incident) -> PathBuf {
    let mut name = format!("incident-{}-{}", incident.id, incident.category);
    if let Some(part) = &incident.part {
        name.push('-');
        name.push_str(part);
    }
    name = name.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
    name.truncate(200);
    format!("{name}.html").into()
}

pub(crate) fn show(incidents: &[Incident], format: Format) -> CommandResult {
    if format == Format::Json {
        output::json(&incidents)?;
        return Ok(ExitCode::SUCCESS);
    }
    for incident in incidents {
        describe(incident);
    }
    Ok(ExitCode::SUCCESS)
}

/// The incidents of the finding whose id is `id` or begins with it.
pub(crate) async fn find(
    record: &IncidentStore,
    id: &str,
) -> Result<Vec<Incident>, Box<dyn std::error::Error>> {
    let exact = record.incidents_of(id).await?;
    if !exact.is_empty() {
        return Ok(exact);
    }
    let mut found = all(record).await?;
    found.retain(|incident| incident.id.starts_with(id));
    let mut ids: Vec<_> = found.iter().map(|incident| incident.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [] => Err(format!("there is no incident {id}: `gdr incidents` lists them").into()),
        [_] => Ok(found),
        several => {
            Err(format!("{id} may be any of {}: give more of it", several.join(", ")).into())
        }
    }
}

pub(crate) fn describe(incident: &Incident) {
    for (label, fact) in facts(incident) {
        if let Some(fact) = fact {
            output::line(&format!("{label:<10} {fact}"));
        }
    }
    let report = &incident.report;
    let steps: Vec<_> = entries(report, "steps").map(step).collect();
    if !steps.is_empty() {
        output::line("");
        output::line("steps:");
        report_view::show_steps(Stream::Output, &steps, Values::Short);
    }
    awaiting(incident);
    let at_risk = incident_at_risk(incident).to_lowercase();
    section(&at_risk, entries(report, "residual_risks").map(cell));
    section("to do", entries(report, "next_steps").map(cell));
    section("what is known", entries(report, "investigation").map(known));
    let after = &incident.afterwards;
    if !after.is_null() {
        let title = format!("what CloudTrail showed at {}", cell(&after["asked_at"]));
        let made = entries(after, "made").map(cell);
        section(&title, std::iter::once(cell(&after["summary"])).chain(made));
    }
    output::line("");
}

/// The facts of an incident, in one line each.
pub(crate) fn facts(incident: &Incident) -> [(&'static str, Option<String>); 14] {
    let report = &incident.report;
    let text = |member: &str| report[member].as_str().map(ToOwned::to_owned);
    let at = |time: &Option<String>| time.as_deref().map_or("-".to_owned(), second);
    let changed = format!(
        "first {}, last {}",
        at(&incident.intended_at),
        second(&incident.updated_at)
    );
    let severity = Some(&report["severity"]).filter(|it| !it.is_null());
    let severity = severity.map(|severity| format!(" (severity {severity})"));
    [
        (
            "incident",
            Some(format!("{} ({})", incident.id, incident.scope())),
        ),
        ("status", Some(shown_status(incident))),
        ("released", incident.released.clone()),
        ("approved", incident.approved.clone()),
        ("rejected", incident.rejected.clone()),
        ("run by", text("run_by")),
        (
            "page",
            incident.stored.as_ref().map(|it| it.place().to_string()),
        ),
        (
            "finding",
            Some(incident.finding_type.clone() + &severity.unwrap_or_default()),
        ),
        (
            "where",
            Some(format!(
                "account {}, region {}",
                incident.account_id, incident.region
            )),
        ),
        ("received", Some(second(&incident.received_at))),
        ("changed", Some(changed)),
        ("reported", Some(at(&incident.concluded_at))),
        ("what", text("title")),
        ("why", text("reason")),
    ]
}

/// The entries of a list, if there is one.
fn entries<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value[member].as_array().into_iter().flatten()
}

/// Prints a list under its title, if there is anything in it.
fn section(title: &str, entries: impl Iterator<Item = String>) {
    for (index, entry) in entries.enumerate() {
        if index == 0 {
            output::line("");
            output::line(&format!("{title}:"));
        }
        output::line(&format!("  - {entry}"));
    }
}

fn step(step: &Value) -> StepView<'_> {
    let text = |member: &str| step[member].as_str().unwrap_or_default();
    StepView {
        word: text("outcome"),
        action: text("action"),
        target: text("target"),
        detail: text("detail"),
        from: &step["from"],
        to: &step["to"],
    }
}

/// Prints the plan that awaits approval, or did.
fn awaiting(incident: &Incident) {
    match incident.awaiting() {
        Ok(Some(awaiting)) => {
            let until = output::second(awaiting.expires_at);
            output::line("");
            output::line(&if report_view::awaits_approval(incident) {
                format!(
                    "awaits approval until {until} (gdr approve {}):",
                    incident.id
                )
            } else {
                format!("could be approved until {until}:")
            });
            let steps = awaiting.steps.iter().map(|step| &step.proposed);
            report_view::proposed_steps(Stream::Output, steps);
        }
        Ok(None) => {}
        Err(error) => {
            output::line("");
            output::line(&error.to_string());
        }
    }
}

/// An answer of the investigation.
fn known(answer: &Value) -> String {
    let [question, text, source] =
        ["question", "answer", "source"].map(|member| cell(&answer[member]));
    let open = if answer["known"] == true {
        ""
    } else {
        "not known: "
    };
    format!("{question}: {open}{text} ({source})")
}

/// A recorded time to the second.
fn second(text: &str) -> String {
    text.parse()
        .map_or_else(|_| text.to_owned(), output::second)
}

/// The status, and that it is a drill's.
fn shown_status(incident: &Incident) -> String {
    let drill = if incident.drill { " (drill)" } else { "" };
    format!("{}{drill}", incident.status)
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) if members.is_empty() => "-".to_owned(),
        other => other.to_string(),
    }
}
