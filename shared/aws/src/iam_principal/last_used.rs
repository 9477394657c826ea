//! Which services a user or role used last, by IAM's access advisor.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_access-advisor.html>: a job makes
//! the report; attempts that were refused count; recent activity appears within four hours; only
//! the last use of each service is kept. So what was last used since the first event may be the
//! attack's own use, and says nothing about the time before.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{AccessAdvisorUsageGranularityType, JobStatusType, ServiceLastAccessed};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::error::{CallContext, Error, Result};
use crate::inquiry::Inquiry;
use model::investigation::{Answer, Question, listed};

/// How long the job is waited for.
const PATIENCE: Duration = Duration::from_secs(6);
/// Between two looks at the job.
const PAUSE: Duration = Duration::from_secs(1);
/// Services in a sentence.
const MOST_SERVICES: usize = 12;

pub(super) const SOURCE: &str = "iam:GetServiceLastAccessedDetails";

pub(super) async fn last_used(iam: &Client, arn: &str, inquiry: &Inquiry<'_>) -> Result<Answer> {
    let job = iam
        .generate_service_last_accessed_details()
        .arn(arn)
        .granularity(AccessAdvisorUsageGranularityType::ServiceLevel)
        .send()
        .await
        .during("iam:GenerateServiceLastAccessedDetails", arn)?
        .job_id
        .ok_or_else(|| Error::Refused(format!("{SOURCE}: the report on {arn} got no job id")))?;
    let until = Instant::now() + PATIENCE;
    let report = loop {
        let call = iam.get_service_last_accessed_details().job_id(&job);
        let report = call
            .max_items(1000)
            .send()
            .await
            .during("iam:GetServiceLastAccessedDetails", arn)?;
        match report.job_status {
            JobStatusType::Completed => break report,
            JobStatusType::Failed => {
                let why = report.error.map(|error| error.message).unwrap_or_default();
                return Err(Error::Refused(format!(
                    "the report of {SOURCE} on {arn} failed: {why}"
                )));
            }
            _ if Instant::now() + PAUSE > until => {
                return Err(Error::Refused(format!(
                    "the report of {SOURCE} on {arn} was not ready within {} seconds",
                    PATIENCE.as_secs()
                )));
            }
            _ => sleep(PAUSE).await,
        }
    };
    let source = format!(
        "{SOURCE}, report of {}; the use of the last four hours may be missing",
        timestamp(&report.job_completion_date)
            .map_or_else(|| "now".to_owned(), |at| at.to_string()),
    );
    let text = told(&report.services_last_accessed, inquiry);
    let more = if report.is_truncated {
        "; there are more services than were read"
    } else {
        ""
    };
    Ok(Answer::known(
        Question::LastUsed,
        &format!("{text}{more}"),
        &source,
    ))
}

fn told(services: &[ServiceLastAccessed], inquiry: &Inquiry<'_>) -> String {
    let finding = inquiry.finding;
    let mut used: Vec<(Timestamp, &str)> = services
        .iter()
        .filter_map(|service| {
            let at = timestamp(service.last_authenticated.as_ref()?)?;
            Some((at, service.service_namespace.as_str()))
        })
        .collect();
    used.sort_unstable_by(|one, other| other.cmp(one));
    let name = |(at, service): &(Timestamp, &str)| format!("{service} ({at})");
    let Some(first) = finding.first_seen() else {
        let all: Vec<_> = used.iter().map(name).collect();
        return format!(
            "last used: {}; the finding does not say when the activity began",
            or_none(&all)
        );
    };
    let (since, before): (Vec<_>, Vec<_>) = used.iter().partition(|(at, _)| *at >= first);
    let [since, before] =
        [since, before].map(|part| part.into_iter().map(name).collect::<Vec<_>>());
    let of_call = of_the_call(services, &used, inquiry, first);
    format!(
        "{of_call}last used before the first event ({first}): {}; last used since, which may be the attack \
         itself and is no evidence about before: {}; allowed and not used in the time that IAM keeps: {} \
         services",
        or_none(&before),
        or_none(&since),
        services.len() - used.len(),
    )
}

/// About the service that the finding's call went to.
fn of_the_call(
    services: &[ServiceLastAccessed],
    used: &[(Timestamp, &str)],
    inquiry: &Inquiry<'_>,
    first: Timestamp,
) -> String {
    let call = inquiry.finding.api_call();
    let called = call.and_then(|call| call.service).unwrap_or_default();
    let called = called.split('.').next().unwrap_or_default();
    let known = services
        .iter()
        .find(|service| service.service_namespace.eq_ignore_ascii_case(called));
    let Some(service) = known.map(|service| service.service_namespace.as_str()) else {
        return String::new();
    };
    match used.iter().find(|(_, name)| *name == service) {
        None => format!("{service}, which was called here, shows no use at all; "),
        Some((at, _)) if *at < first => {
            format!("{service}, which was called here, was used before, last at {at}; ")
        }
        Some((at, _)) => format!(
            "{service}, which was called here, was last used at {at}: whether before the first event too is \
             not kept; "
        ),
    }
}

fn or_none(services: &[String]) -> String {
    if services.is_empty() {
        "none".to_owned()
    } else {
        listed(services, MOST_SERVICES)
    }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
