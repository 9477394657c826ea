//! The answers about the function: its configuration, its versions, and who changed it.

use std::collections::BTreeSet;

use super::clients::Clients;
use super::describe;
use super::state::{Configuration, State};
use aws::cloudtrail::afterwards::Credential;
use aws::cloudtrail::event::CloudTrailEvent;
use aws::cloudtrail::event_history::{History, Lookup};
use aws::error::Result;
use aws::inquiry::Inquiry;
use model::actions::lambda::DENY;
use model::finding::Finding;
use model::investigation::{Answer, Investigation, Question, listed, reason};

/// The IAM permissions that the questions need.
pub(super) const PERMISSIONS: &[&str] = &[
    "cloudtrail:LookupEvents",
    "lambda:GetFunctionConfiguration",
    "lambda:ListVersionsByFunction",
];

const SOURCE: &str = "Lambda, and CloudTrail's event history of its Region";
const INSTEAD: &str = "look at the function in the console of Lambda";

/// Versions, changes and layers in a sentence.
const MOST: usize = 10;

/// Answers from the state that was observed before. Without one, the function is read now.
pub(super) async fn investigate(
    clients: &Clients,
    inquiry: &Inquiry<'_>,
    observed: Option<&State>,
) -> Investigation {
    let Ok(name) = inquiry.finding.function_name() else {
        return Investigation::default();
    };
    let lambda = clients.lambda_in(&inquiry.finding.region);
    let configuration = async {
        match observed {
            Some(state) => state.configuration.clone(),
            None => {
                inquiry
                    .within(describe::configuration(&lambda, &name))
                    .await
            }
        }
    };
    let (configuration, versions, changes) = futures::join!(
        configuration,
        inquiry.within(describe::versions(&lambda, &name)),
        inquiry.within(changes(clients, inquiry.finding, &name)),
    );
    let described = match configuration {
        Ok(found) => Answer::known(Question::Function, &described(&name, &found), SOURCE),
        Err(error) => {
            let why = format!("{}; {INSTEAD}", reason(&error));
            Answer::unknown(Question::Function, &why, SOURCE)
        }
    };
    Investigation {
        answers: vec![
            described,
            answer(
                &name,
                "versions (hash of the code, last modified)",
                versions,
            ),
            answer(&name, "changes since a day before the activity", changes),
        ],
        ..Investigation::default()
    }
}

/// The function's own credentials, where its role denies them everything.
pub(super) fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
    let denies = |key: &String| key.split(' ').next() == Some(DENY);
    let name = finding.function_name().ok()?;
    let denied = in_effect.iter().any(denies);
    denied.then(|| Credential::function(&name))
}

fn described(name: &str, found: &Configuration) -> String {
    let shown = |what: &str, value: &Option<String>| {
        let value = value.as_deref()?;
        Some(format!("{what} {value}"))
    };
    let list = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what}: {}", listed(names, MOST)))
    };
    let parts = [
        Some(format!("{name} has role {}", found.role)),
        shown("runtime", &found.runtime),
        shown("last modified", &found.last_modified),
        shown("hash of the code", &found.code_sha256),
        list("layers", &found.layers),
        list("names in its environment", &found.variables),
        found.durable.then(|| "durable executions".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn answer(name: &str, what: &str, found: Result<Vec<String>>) -> Answer {
    match found {
        Ok(found) if found.is_empty() => {
            Answer::known(Question::Function, &format!("{name}: no {what}"), SOURCE)
        }
        Ok(found) => {
            let text = format!("{name}: {what}: {}", listed(&found, MOST));
            Answer::known(Question::Function, &text, SOURCE)
        }
        Err(error) => {
            let why = format!("{name}: {what}: {}; {INSTEAD}", reason(&error));
            Answer::unknown(Question::Function, &why, SOURCE)
        }
    }
}

/// Who changed the code or the configuration, since a day before the activity. CloudTrail names a function's calls
/// with the date of its interface: `UpdateFunctionCode20150331v2`.
async fn changes(clients: &Clients, finding: &Finding, name: &str) -> Result<Vec<String>> {
    let since = finding.first_seen();
    let since = since.and_then(|seen| seen.checked_sub(jiff::SignedDuration::from_hours(24)).ok());
    let lookup = Lookup {
        since,
        ..Lookup::one_page(History::Regional, "ResourceName", name)
    };
    let trail = clients.trail.in_region(&finding.region);
    let events = trail.events(lookup).await?;
    let changed = events.records.iter().filter(|event| is_change(event));
    let told = changed.map(|event| {
        let refused = event.error().map(|code| format!(" ({code})"));
        format!(
            "{} by {} at {}{}",
            event.name(),
            event.caller_name(),
            event.time(),
            refused.unwrap_or_default()
        )
    });
    Ok(told.collect())
}

fn is_change(event: &CloudTrailEvent) -> bool {
    const VERBS: [&str; 7] = [
        "AddPermission",
        "Create",
        "Publish",
        "Put",
        "Remove",
        "Tag",
        "Update",
    ];
    let name = event.name();
    event.service() == "lambda.amazonaws.com" && VERBS.iter().any(|verb| name.starts_with(verb))
}
