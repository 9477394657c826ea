//! The dependencies of the functions: GuardDuty, the clock, the policies, the topic, the table.

use aws_config::SdkConfig;
use aws_sdk_guardduty::types::{DetectorStatus, ManagedBy};
use jiff::{SignedDuration, Timestamp};
use policy::Policies;
use remediation::error::{CallContext as _, Error, Result};
use remediation::record::IncidentStore;

use super::check::{Check, CheckContext};
use crate::{clock, output};

/// Looks at this machine's clock, by the time that AWS writes on an answer.
pub(super) async fn clock(context: &CheckContext<'_>) -> Check {
    let of = "clock of this machine";
    match skew(context).await {
        Ok(skew) if clock::is_same(skew) => Check::ok(of, "as AWS's"),
        Ok(skew) => Check::problem(
            of,
            format!(
                "it is {:#} off",
                skew.round(jiff::Unit::Second).unwrap_or(skew)
            ),
            "synchronise it (NTP): AWS refuses what is signed by a clock that is minutes off",
        ),
        Err(error) => Check::unknown(of, &error),
    }
}

async fn skew(context: &CheckContext<'_>) -> Result<SignedDuration> {
    let date = clock::Date::default();
    aws_sdk_sts::Client::new(context.sdk)
        .get_caller_identity()
        .customize()
        .interceptor(date.clone())
        .send()
        .await
        .during("sts:GetCallerIdentity", "")?;
    date.ahead()
}

/// Looks whether GuardDuty is on in the stack's Region.
pub(super) async fn detector(context: &CheckContext<'_>) -> Check {
    let region = context.sdk.region().map_or("", |region| region.as_ref());
    let of = format!("GuardDuty in {region}");
    let detector = match detector_of(context).await {
        Ok(Some(detector)) => detector,
        Ok(None) => {
            return Check::problem(
                of,
                "it is not on: there is no detector, and so no finding",
                "aws guardduty create-detector --enable",
            );
        }
        Err(error) => return Check::unknown(of, &error),
    };
    let Detector {
        id,
        status,
        published,
        ..
    } = &detector;
    let governed = detector.governed();
    if *status == DetectorStatus::Enabled {
        let found =
            format!("detector {id} is on; findings that come again are published {published}");
        return Check::ok(of, found + &governed);
    }
    let enable = format!("aws guardduty update-detector --detector-id {id} --enable");
    let to_do = if governed.is_empty() {
        enable
    } else {
        format!("change the GuardDuty policy of the organization; if it does not decide, {enable}")
    };
    let found = format!("detector {id} is {}", status.as_str());
    Check::problem(of, found + &governed, to_do)
}

/// A detector, as GuardDuty tells it.
struct Detector {
    id: String,
    status: DetectorStatus,
    /// How often.
    published: String,
    /// The features that a policy of the organization manages, which nobody in the account can change,
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_guardduty.html>.
    managed: Vec<String>,
}

impl Detector {
    /// The remark about the policy that governs it, if one does.
    fn governed(&self) -> String {
        if self.managed.is_empty() {
            return String::new();
        }
        format!(
            "; a GuardDuty policy of the organization manages {}",
            self.managed.join(", ")
        )
    }
}

async fn detector_of(context: &CheckContext<'_>) -> Result<Option<Detector>> {
    let client = aws_sdk_guardduty::Client::new(context.sdk);
    let found = client.list_detectors().send().await;
    let found = found.during("guardduty:ListDetectors", "the Region")?;
    let Some(id) = found.detector_ids.unwrap_or_default().into_iter().next() else {
        return Ok(None);
    };
    let detector = client.get_detector().detector_id(&id).send().await;
    let detector = detector.during("guardduty:GetDetector", &id)?;
    let features = detector.features().iter();
    let managed = features.filter(|it| it.managed_by() == Some(&ManagedBy::GuarddutyPolicy));
    let managed = managed.filter_map(|it| Some(it.name()?.as_str().to_owned()));
    let managed = managed.collect();
    let status = detector.status;
    let status = status.ok_or_else(|| Error::Refused(format!("detector {id} has no status")))?;
    let published = detector.finding_publishing_frequency;
    let published = published.map_or("at a time it does not say".to_owned(), |frequency| {
        frequency.as_str().to_lowercase().replace('_', " ")
    });
    Ok(Some(Detector {
        id,
        status,
        published,
        managed,
    }))
}

/// Looks at policies, topic, table and breaker.
pub(super) async fn check(context: &CheckContext<'_>) -> Vec<Check> {
    let (policies, notices, chat, table, breaker) = futures::join!(
        policies(context),
        topic(context, &NOTICES),
        topic(context, &CHAT),
        table(context),
        breaker(context)
    );
    let mut lines = vec![policies];
    lines.extend(notices.into_iter().chain(chat));
    lines.extend([table, breaker]);
    lines
}

async fn policies(context: &CheckContext<'_>) -> Check {
    let of = "policies";
    let stored = async {
        let name = context.deployment.output("PolicyParameter")?;
        let client = aws_sdk_ssm::Client::new(context.sdk);
        let found = client.get_parameter().name(name).send().await;
        let found = match found.during("ssm:GetParameter", name) {
            Ok(found) => found,
            Err(error) if error.has_code("ParameterNotFound") => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(found.parameter.and_then(|parameter| parameter.value))
    };
    let push = "gdr policy check and gdr policy push yours: until then nothing is contained";
    match stored.await {
        Ok(None) => Check::problem(of, "the parameter is gone", push),
        Ok(Some(text)) => match Policies::parse(&text) {
            Ok(_) => Check::ok(of, "valid"),
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Check::problem(of, format!("not valid: {}", problems.join("; ")), push)
            }
        },
        Err(error) => Check::unknown(of, &error),
    }
}

/// A topic, and what makes somebody read it.
struct Topic {
    of: &'static str,
    output: &'static str,
    /// The stack may have none.
    optional: bool,
    to_subscribe: &'static str,
}

const NOTICES: Topic = Topic {
    of: "notices",
    output: "NotificationTopic",
    optional: false,
    to_subscribe: "deploy with NotificationEmail, or subscribe who is on call",
};

/// The output is there with `ChatNotices` only.
const CHAT: Topic = Topic {
    of: "notices for the chat",
    output: "ChatTopic",
    optional: true,
    to_subscribe: "give a channel of Amazon Q Developer in chat applications this topic, or deploy with \
                   ChatNotices false",
};

async fn topic(context: &CheckContext<'_>, topic: &Topic) -> Vec<Check> {
    let of = topic.of;
    let arn = match context.deployment.output(topic.output) {
        Ok(arn) => arn,
        Err(_) if topic.optional => return Vec::new(),
        Err(error) => return vec![Check::unknown(of, &error)],
    };
    match subscriptions(context.sdk, arn).await {
        Ok(subscriptions) if subscriptions.is_empty() => vec![Check::problem(
            of,
            "nobody has subscribed to the topic",
            topic.to_subscribe,
        )],
        Ok(subscriptions) => subscriptions
            .into_iter()
            .map(|(protocol, endpoint, confirmed)| {
                let of = format!("{of} to {protocol} {endpoint}");
                if confirmed {
                    Check::ok(of, "confirmed")
                } else {
                    Check::problem(
                        of,
                        "not confirmed: it gets no notice",
                        "follow the link in the mail that SNS sent; after three days subscribe again",
                    )
                }
            })
            .collect(),
        Err(error) => vec![Check::unknown(of, &error)],
    }
}

/// Protocol, address, and whether it is confirmed.
pub(crate) async fn subscriptions(
    sdk: &SdkConfig,
    topic: &str,
) -> Result<Vec<(String, String, bool)>> {
    let client = aws_sdk_sns::Client::new(sdk);
    let mut pages = client
        .list_subscriptions_by_topic()
        .topic_arn(topic)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("sns:ListSubscriptionsByTopic", topic)?;
        for subscription in page.subscriptions.unwrap_or_default() {
            // The ARN says so until the address is confirmed.
            let arn = subscription.subscription_arn.unwrap_or_default();
            found.push((
                subscription.protocol.unwrap_or_default(),
                subscription.endpoint.unwrap_or_default(),
                arn.starts_with("arn:"),
            ));
        }
    }
    Ok(found)
}

async fn table(context: &CheckContext<'_>) -> Check {
    let of = "table of incidents";
    let found = async {
        let name = context.deployment.output("IncidentTable")?;
        let client = aws_sdk_dynamodb::Client::new(context.sdk);
        let found = client.describe_table().table_name(name).send().await;
        let found = found.during("dynamodb:DescribeTable", name)?;
        let status = found.table.and_then(|table| table.table_status);
        Ok::<_, Error>(
            status
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
        )
    };
    match found.await {
        Ok(status) if status == "ACTIVE" => Check::ok(of, "active"),
        Ok(status) => Check::problem(
            of,
            format!("its status is {status}"),
            "find out in CloudTrail who changed it: nothing is recorded, and nothing can be released",
        ),
        Err(error) if error.has_code("ResourceNotFoundException") => Check::problem(
            of,
            "it is gone: nothing is recorded, and nothing can be released",
            format!(
                "restore it from its backup under its name, or {}",
                context.redeploy()
            ),
        ),
        Err(error) => Check::unknown(of, &error),
    }
}

async fn breaker(context: &CheckContext<'_>) -> Check {
    let of = "breaker";
    let open = async {
        let table = context.deployment.output("IncidentTable")?.to_owned();
        let record = IncidentStore::new(aws_sdk_dynamodb::Client::new(context.sdk), table);
        let windows = record.windows(Timestamp::now()).await?;
        let open = windows.iter().filter(|shown| shown.opened.is_some());
        Ok::<_, Error>(open.count())
    };
    match open.await {
        Ok(0) => Check::ok(of, "closed"),
        Ok(open) => Check::problem(
            of,
            format!(
                "it holds back in {}",
                output::counted(open as u64, "window")
            ),
            format!("gdr breaker show --stack {}", context.deployment.name),
        ),
        Err(error) => Check::unknown(of, &error),
    }
}
