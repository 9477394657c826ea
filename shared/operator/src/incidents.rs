//! `gdr incidents` and `gdr incident`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use remediation::catalogue::Category;
use remediation::page::{self, Place};
use remediation::record::{Incident, Record};
use serde_json::Value;

use crate::exit::CommandResult;
use crate::option_values::Status;
use crate::output::{self, Format, Stream};
use crate::report_view;

pub(crate) const LIST_EXAMPLES: &str = "\
Examples:
  gdr incidents
  gdr incidents --status partial
  gdr incidents --output json | jq -r '.[].id'";

pub(crate) const SHOW_EXAMPLES: &str = "\
Examples:
  gdr incident 16afba5c
  gdr incident 16afba5c --html
  gdr incident 16afba5c --category iam --html=incident.html
  gdr incident 16afba5c --output json";

pub(crate) async fn list(record: &Record, status: Option<Status>, format: Format) -> CommandResult {
    let mut incidents = all(record).await?;
    incidents.retain(|incident| status.is_none_or(|status| status.is_of(incident)));
    if format == Format::Json {
        output::json(&incidents)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = incidents
        .iter()
        .map(|incident| {
            [
                incident.received_at.clone(),
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
async fn all(record: &Record) -> remediation::Result<Vec<Incident>> {
    let _progress = output::waiting("reading the table of incidents");
    record.incidents().await
}

/// The incidents of the finding whose id is `id` or begins with it, if they are of this function.
pub(crate) async fn of(
    record: &Record,
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
        let page = page::incident(incident, Some(place), Timestamp::now());
        output::page(&path, &page)?;
        if path == Path::new(output::STANDARD_OUTPUT) {
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

/// Of nothing but letters, digits and hyphens: the id and the part come from a finding.
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
    record: &Record,
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
    let report = &incident.report;
    let text = |member: &str| report[member].as_str().unwrap_or_default().to_owned();
    output::line(&format!(
        "incident   {} ({})",
        incident.id,
        incident.scope()
    ));
    output::line(&format!("status     {}", shown_status(incident)));
    if let Some(released) = &incident.released {
        output::line(&format!("released   {released}"));
    }
    if let Some(approved) = &incident.approved {
        output::line(&format!("approved   {approved}"));
    }
    if let Some(rejected) = &incident.rejected {
        output::line(&format!("rejected   {rejected}"));
    }
    if let Some(person) = report["run_by"].as_str() {
        output::line(&format!("run by     {person}"));
    }
    if let Some(stored) = &incident.stored {
        output::line(&format!("page       {}", stored.place()));
    }
    output::line(&format!(
        "finding    {} (severity {})",
        incident.finding_type, report["severity"]
    ));
    output::line(&format!(
        "where      account {}, region {}",
        incident.account_id, incident.region
    ));
    let at = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
    output::line(&format!(
        "when       received {}, first change {}, reported {}, last change {}",
        incident.received_at,
        at(&incident.intended_at),
        at(&incident.concluded_at),
        incident.updated_at
    ));
    output::line(&format!("what       {}", text("title")));
    output::line(&format!("why        {}", text("reason")));
    let steps = report["steps"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            ["outcome", "action", "target", "from", "to", "detail"]
                .map(|member| cell(&step[member]))
        })
        .collect();
    if !rows.is_empty() {
        output::line("");
        output::table(
            ["OUTCOME", "ACTION", "TARGET", "FROM", "TO", "DETAIL"],
            &rows,
        );
    }
    match incident.awaiting() {
        Ok(Some(awaiting)) => {
            let until = awaiting.expires_at;
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
    let at_risk = match incident.status.as_str() {
        _ if incident.is_only_planned() => "would still be at risk",
        "released" => "at risk while it was contained",
        _ => "still at risk",
    };
    for (title, member) in [(at_risk, "residual_risks"), ("to do", "next_steps")] {
        let entries = report[member].as_array().cloned().unwrap_or_default();
        if !entries.is_empty() {
            output::line("");
            output::line(&format!("{title}:"));
        }
        for entry in entries {
            output::line(&format!("  - {}", cell(&entry)));
        }
    }
    let answers = report["investigation"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !answers.is_empty() {
        output::line("");
        output::line("what is known:");
    }
    for answer in answers {
        let [question, text, source] =
            ["question", "answer", "source"].map(|member| cell(&answer[member]));
        let open = if answer["known"] == true {
            ""
        } else {
            "not known: "
        };
        output::line(&format!("  - {question}: {open}{text} ({source})"));
    }
    afterwards(&incident.afterwards);
    output::line("");
}

/// What CloudTrail showed some time after the containment.
fn afterwards(after: &Value) {
    if after.is_null() {
        return;
    }
    output::line("");
    output::line(&format!(
        "what CloudTrail showed at {}:",
        cell(&after["asked_at"])
    ));
    output::line(&format!("  - {}", cell(&after["summary"])));
    let made = after["made"].as_array().into_iter().flatten();
    for made in made {
        output::line(&format!("  - {}", cell(made)));
    }
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
