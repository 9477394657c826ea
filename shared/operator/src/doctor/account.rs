//! The dependencies in the account: names that were cut, Lambda's limit, Security Hub, others who contain.

use std::fmt;

use remediation::error::{CallContext as _, Error, Result};

use super::check::{Check, CheckContext};
use crate::deployment::Resource;

/// Looks at names, concurrency, and who else contains.
pub(super) async fn check(context: &CheckContext<'_>) -> Vec<Check> {
    let (concurrency, others) = futures::join!(concurrency(context), others(context));
    vec![names(context), concurrency, others]
}

/// Whose physical names CloudFormation makes of the stack's name, the name in the template, and random letters.
const NAMED: [&str; 6] = [
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
];
/// How many names are listed.
const TOLD: usize = 3;

fn names(context: &CheckContext<'_>) -> Check {
    let (of, stack) = ("names", &context.deployment.name);
    let resources = match context.resources {
        Ok(resources) => resources,
        Err(error) => return Check::unknown(of, error),
    };
    let cut: Vec<_> = resources
        .iter()
        .filter(|resource| NAMED.contains(&resource.kind.as_str()) && is_cut(stack, resource))
        .map(|resource| name(&resource.physical))
        .collect();
    let Some(first) = cut.get(..TOLD.min(cut.len())).filter(|it| !it.is_empty()) else {
        return Check::ok(of, "none was cut");
    };
    let more = match cut.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first = first.join(", ");
    Check::hint(
        of,
        format!(
            "the stack's name is too long for them, and was cut: {first}{more} do not begin with {stack}-"
        ),
        format!(
            "if a policy of yours names them as {stack}-*, name them by their ARN or path; or deploy under a name \
             of at most 25 characters"
        ),
    )
}

/// The name within a URL, an ARN, or `bus|rule`.
fn name(physical: &str) -> &str {
    physical.rsplit(['/', ':', '|']).next().unwrap_or(physical)
}

/// True if the name begins with a part of the stack's name, and goes on with that of the template. A name that is
/// made otherwise is not cut.
fn is_cut(stack: &str, resource: &Resource) -> bool {
    /// How much of the name in the template tells: it may be cut, too.
    const TELLS: usize = 5;
    let name = name(&resource.physical);
    if name.starts_with(&format!("{stack}-")) {
        return false;
    }
    let logical: String = resource.logical.chars().take(TELLS).collect();
    let mut parts = stack.char_indices().skip(1).map(|(end, _)| &stack[..end]);
    parts.any(|part| {
        let rest = name.strip_prefix(part);
        // Whichever hyphen ends the part, also one of the stack's name.
        let rest = rest.map(|rest| rest.trim_start_matches('-'));
        rest.is_some_and(|rest| rest.starts_with(&logical))
    })
}

/// As many as a new account has, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const FEW: i32 = 10;

async fn concurrency(context: &CheckContext<'_>) -> Check {
    let of = "concurrency of the account";
    let asked = async {
        let client = aws_sdk_lambda::Client::new(context.sdk);
        let found = client.get_account_settings().send().await;
        let found = found.during("lambda:GetAccountSettings", "")?;
        let limit = found.account_limit.map(|it| it.concurrent_executions);
        limit.ok_or_else(|| Error::Refused("lambda:GetAccountSettings tells no limit".to_owned()))
    };
    match asked.await {
        Ok(limit) if limit <= FEW => Check::hint(
            of,
            format!(
                "at most {limit} concurrent executions for all functions of the account: simultaneous findings wait"
            ),
            "ask AWS for more: Service Quotas, AWS Lambda, Concurrent executions",
        ),
        Ok(limit) => Check::ok(of, format!("at most {limit} concurrent executions")),
        Err(error) => Check::unknown(of, &error),
    }
}

/// The role by which AWS Security Incident Response contains, in AWS's own template,
/// <https://docs.aws.amazon.com/security-ir/latest/userguide/containment-only-template.html>. Without it the
/// service cannot contain in the account.
const INCIDENT_RESPONSE: &str = "AWSSecurityIncidentResponseContainment";

async fn others(context: &CheckContext<'_>) -> Check {
    let of = "AWS Security Incident Response";
    let client = aws_sdk_iam::Client::new(context.sdk);
    let found = client.get_role().role_name(INCIDENT_RESPONSE).send().await;
    match found.during("iam:GetRole", INCIDENT_RESPONSE) {
        Ok(_) => Check::hint(
            of,
            format!("this service may contain too: the account has its role {INCIDENT_RESPONSE}"),
            "agree who contains what: if both changed a resource, a release by one leaves the changes of the other",
        ),
        Err(error) if error.is_gone() => {
            Check::ok(of, format!("the account has no role {INCIDENT_RESPONSE}"))
        }
        Err(error) => Check::unknown(of, &error),
    }
}

/// One of the two Security Hubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hub {
    Cspm,
    V2,
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cspm => "Security Hub CSPM",
            Self::V2 => "Security Hub",
        })
    }
}

/// Looks which Security Hub is on. Only of interest with the setting `SecurityHub`.
pub(super) async fn security_hub(context: &CheckContext<'_>) -> Check {
    let of = "SecurityHub";
    let client = aws_sdk_securityhub::Client::new(context.sdk);
    let cspm = async {
        let asked = client.describe_hub().send().await;
        is_on(asked.during("securityhub:DescribeHub", "").map(drop))
    };
    let v2 = async {
        let asked = client.describe_security_hub_v2().send().await;
        let asked = asked.during("securityhub:DescribeSecurityHubV2", "");
        is_on(asked.map(drop))
    };
    let (cspm, v2) = futures::join!(cspm, v2);
    let on = match (cspm, v2) {
        (Ok(cspm), Ok(v2)) => [(Hub::Cspm, cspm), (Hub::V2, v2)],
        (Err(error), _) | (_, Err(error)) => return Check::unknown(of, &error),
    };
    let on: Vec<_> = on
        .iter()
        .filter(|(_, on)| *on)
        .map(|(hub, _)| hub.to_string())
        .collect();
    match on.as_slice() {
        [] => Check::problem(
            of,
            format!(
                "neither {} nor {} is on: nothing can be noted there",
                Hub::Cspm,
                Hub::V2
            ),
            "turn one on, or deploy with SecurityHub false",
        ),
        [one] => Check::ok(of, format!("{one} is on, and gets the notes")),
        both => Check::ok(
            of,
            format!("{} are on, and each gets the notes", both.join(" and ")),
        ),
    }
}

/// Whether it is on, in the errors that each has for an account that has not turned it on.
fn is_on(asked: Result<()>) -> Result<bool> {
    match asked {
        Ok(()) => Ok(true),
        Err(error) if error.has_code("InvalidAccessException") => Ok(false),
        Err(error) if error.has_code("ResourceNotFoundException") => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(logical: &str, physical: &str) -> Resource {
        Resource {
            logical: logical.to_owned(),
            physical: physical.to_owned(),
            kind: "AWS::IAM::Role".to_owned(),
        }
    }

    #[test]
    fn a_name_that_begins_with_a_part_of_the_stacks_name_is_cut() {
        let stack = "guardduty-responder-of-the-payments-team";
        for (logical, physical, cut) in [
            (
                "S3ResponderFunction",
                "guardduty-responder-of-the-payments-team-S3Re-1A2B3C",
                false,
            ),
            (
                "S3ResponderFunction",
                "guardduty-responder-of-th-S3ResponderFunction-1A2B3C",
                true,
            ),
            // The part ends with a hyphen of the stack's name.
            (
                "S3ResponderFunction",
                "guardduty-responder-of-S3ResponderFunction-1A2B3C",
                true,
            ),
            (
                "IamResponderRole",
                "guardduty-responder-of-t-IamRespo-1A2B3C",
                true,
            ),
            (
                "OnFailureQueue",
                "https://sqs.eu-west-1.amazonaws.com/111122223333/guardduty-resp-OnFailureQueue-1A",
                true,
            ),
            (
                "NotificationTopic",
                "arn:aws:sns:eu-west-1:111122223333:guardduty-resp-NotificationTopic-1A",
                true,
            ),
            (
                "PolicyChanged",
                "own-bus|guardduty-resp-PolicyChanged-1A",
                true,
            ),
            // Named by the template, or by whoever has imported it.
            ("IamResponderRole", "iam-responder", false),
            ("IamResponderRole", "guardduty-something-else", false),
        ] {
            assert_eq!(
                is_cut(stack, &resource(logical, physical)),
                cut,
                "{physical}"
            );
        }
        assert!(!is_cut(
            "gdr",
            &resource("IamResponderRole", "gdr-IamResponderRole-1A2B")
        ));
    }
}
