//! The question to the owner, ready to be sent. Pure.

use super::answer::{Answer, Question, listed};
use super::facts;
use crate::finding::{Finding, Principal};

/// One paragraph for the owner of the credentials, the instance or the bucket, of three lines at most.
pub(super) fn question(finding: &Finding) -> Option<Answer> {
    let text = match finding.principal() {
        Ok(principal) if principal.is_own() => of_principal(finding, &principal),
        Ok(principal) if !of_buckets(finding).is_empty() => format!(
            "Is {} meant to be used by {principal}? GuardDuty saw it {}. If so, reply by whom and why. If not, \
             or if unsure, reply now what it holds, and do not change it.",
            of_buckets(finding),
            circumstances(finding),
        ),
        _ => of_instance(finding).or_else(|| of_function(finding))?,
    };
    Some(Answer::known(
        Question::AskTheOwner,
        &text,
        "made from the finding; for the owner",
    ))
}

fn of_principal(finding: &Finding, principal: &Principal) -> String {
    let key = match finding.access_key_id() {
        Some(key) => format!(" (key {key})"),
        None => String::new(),
    };
    let who = match principal {
        Principal::User { name, .. } => format!("IAM user {name}{key}"),
        Principal::RoleSession { role, session } => {
            let session = match session {
                Some(session) => format!(", session {}", session.name),
                None => String::new(),
            };
            format!("role {role}{session}{key}")
        }
        other => format!("{other}{key}"),
    };
    format!(
        "Did you or your program act as {who}, {}? If so, why? If not, or if unsure, reply now; do not use these \
         credentials or their machine.",
        circumstances(finding),
    )
}

fn of_instance(finding: &Finding) -> Option<String> {
    let instance = finding.instance_id().ok()?;
    Some(format!(
        "{} If so, reply why. If not, or if unsure, reply now, and do not stop, reboot or terminate it.",
        is_intended(finding, &format!("instance {instance}")),
    ))
}

fn of_function(finding: &Finding) -> Option<String> {
    let function = finding.function_name().ok()?;
    Some(format!(
        "{} If so, reply why. If not, or if unsure, reply now, and do not deploy or delete it: its versions are \
         evidence.",
        is_intended(finding, &format!("Lambda function {function}")),
    ))
}

fn is_intended(finding: &Finding, resource: &str) -> String {
    let other_end = match facts::place(finding) {
        Some(place) => format!(" with {place}"),
        None => String::new(),
    };
    format!(
        "Is the activity {} of your {resource}{other_end} {} intended?",
        finding.finding_type,
        times(finding),
    )
}

fn of_buckets(finding: &Finding) -> String {
    match finding.buckets() {
        Ok(buckets) if !buckets.is_empty() => {
            format!("bucket {}", listed(&buckets, 5))
        }
        _ => String::new(),
    }
}

/// The call, its object, its time and its origin.
fn circumstances(finding: &Finding) -> String {
    let call = finding.api_call().map_or_else(String::new, |call| {
        let service = call.service.map_or_else(String::new, |it| {
            format!(" of {}", it.trim_end_matches(".amazonaws.com"))
        });
        format!("calling {}{service} ", call.api)
    });
    let on = Some(of_buckets(finding))
        .filter(|buckets| !buckets.is_empty())
        .map_or_else(String::new, |buckets| format!("on {buckets} "));
    let from = facts::place(finding).map_or_else(String::new, |place| format!(" from {place}"));
    format!("{call}{on}{}{from}", times(finding))
}

fn times(finding: &Finding) -> String {
    match (finding.first_seen(), finding.last_seen()) {
        (Some(first), Some(last)) if first != last => {
            let (first, last) = (first.to_string(), last.to_string());
            let day = &first[..first.find('T').map_or(0, |at| at + 1)];
            format!(
                "between {first} and {}",
                last.strip_prefix(day).unwrap_or(&last)
            )
        }
        (Some(at), _) | (None, Some(at)) => format!("at {at}"),
        (None, None) => "at a time that the finding does not name".to_owned(),
    }
}
