//! The functions' roles: the stack's own, with what the code declares and nothing else.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::types::{DifferenceType, StackResourceDriftStatus};
use aws_sdk_iam::Client;
use percent_encoding::percent_decode_str;
use playbooks::permissions;
use remediation::category::Category;
use remediation::error::{CallContext as _, Error, Result};
use serde_json::Value;

use super::check::{Check, CheckContext};
use super::functions::Function;

/// Looks at the role of the function of `category`.
pub(super) async fn check(
    context: &CheckContext<'_>,
    category: Category,
    function: &Function,
) -> Vec<Check> {
    let of = format!("{category} role");
    let logical = format!("{}ResponderRole", category.template_prefix());
    let name = match context.physical(&logical) {
        Ok(name) => name,
        Err(error) => return vec![Check::unknown(of, &error)],
    };
    let role = &function.deployed.role;
    if role.rsplit('/').next() != Some(name) {
        let found = format!("the function runs as {role}, and the stack made {name}");
        return vec![Check::problem(of, found, context.redeploy())];
    }
    let wanted = permissions::of(category, &function.config);
    let iam = Client::new(context.sdk);
    let (granted, drift) = futures::join!(granted(&iam, name), drift(context, &logical));
    let mut lines = match granted {
        Ok(granted) => compared(context, &of, &wanted, &granted),
        Err(error) => vec![Check::unknown(of.as_str(), &error)],
    };
    let of = format!("{of}, as deployed");
    lines.push(match drift {
        Ok(differences) if differences.is_empty() => Check::ok(of, "as in the template"),
        Ok(differences) => Check::problem(
            of,
            format!("differs from the template: {}", differences.join("; ")),
            format!(
                "find out in CloudTrail who changed it, and {}",
                context.redeploy()
            ),
        ),
        Err(error) => Check::unknown(of, &error),
    });
    lines
}

/// The permissions of a role, by its own policies.
#[derive(Debug, Default)]
struct Granted {
    actions: BTreeSet<String>,
    /// Managed policies, of which the stack has none.
    attached: Vec<String>,
}

async fn granted(iam: &Client, role: &str) -> Result<Granted> {
    let mut granted = Granted::default();
    let mut pages = iam
        .list_attached_role_policies()
        .role_name(role)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("iam:ListAttachedRolePolicies", role)?;
        let names = page.attached_policies.unwrap_or_default().into_iter();
        granted
            .attached
            .extend(names.filter_map(|it| it.policy_arn));
    }
    let mut names = Vec::new();
    let mut pages = iam
        .list_role_policies()
        .role_name(role)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        names.extend(page.during("iam:ListRolePolicies", role)?.policy_names);
    }
    for name in names {
        let found = iam
            .get_role_policy()
            .role_name(role)
            .policy_name(&name)
            .send();
        let found = found
            .await
            .during("iam:GetRolePolicy", &format!("{role}/{name}"))?;
        granted.actions.extend(allowed(&found.policy_document)?);
    }
    Ok(granted)
}

/// The actions that a policy allows. IAM encodes the document for a URL.
fn allowed(document: &str) -> Result<Vec<String>> {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Refused(format!("the policy document is not JSON: {error}")))?;
    let several = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let statements = several(&document["Statement"]).into_iter();
    let allowing = statements.filter(|statement| statement["Effect"] == "Allow");
    let actions = allowing.flat_map(|statement| {
        // All but some actions is more than the code declares, whichever they are.
        let others = statement
            .get("NotAction")
            .map(|_| Value::from("everything (NotAction)"));
        several(&statement["Action"]).into_iter().chain(others)
    });
    let actions = actions.filter_map(|action| action.as_str().map(ToOwned::to_owned));
    Ok(actions.collect())
}

fn compared(
    context: &CheckContext<'_>,
    of: &str,
    wanted: &BTreeSet<&'static str>,
    granted: &Granted,
) -> Vec<Check> {
    let Granted { actions, attached } = granted;
    // IAM does not tell capitals from small letters in actions.
    let has = |wanted: &str| {
        actions
            .iter()
            .any(|action| action.eq_ignore_ascii_case(wanted))
    };
    let missing: Vec<_> = wanted
        .iter()
        .filter(|action| !has(action))
        .copied()
        .collect();
    let more = actions.iter().filter(|action| {
        let mut wanted = wanted.iter();
        !wanted.any(|wanted| wanted.eq_ignore_ascii_case(action))
    });
    let more: Vec<_> = more.chain(attached).map(String::as_str).collect();
    let mut lines = Vec::new();
    if !missing.is_empty() {
        lines.push(Check::problem(
            of,
            format!(
                "it lacks {}: steps that take it will fail",
                missing.join(", ")
            ),
            context.redeploy(),
        ));
    }
    if !more.is_empty() {
        let found = format!(
            "it has {}, which the function does not take",
            more.join(", ")
        );
        let to_do = "take it away, and find out in CloudTrail who gave it (PutRolePolicy, AttachRolePolicy)";
        lines.push(Check::problem(of, found, to_do));
    }
    if lines.is_empty() {
        let found = format!(
            "has the {} actions that the function takes, and no other",
            wanted.len()
        );
        lines.push(Check::ok(of, found));
    }
    lines
}

/// How the role differs from the template, by CloudFormation.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html>. It tells a
/// trust policy, a statement's resources and conditions that were changed. Policies that were added it may
/// tell or not; those are recognized by the permissions they add.
async fn drift(context: &CheckContext<'_>, logical: &str) -> Result<Vec<String>> {
    let client = aws_sdk_cloudformation::Client::new(context.sdk);
    let stack = &context.deployment.name;
    let found = client
        .detect_stack_resource_drift()
        .stack_name(stack)
        .logical_resource_id(logical)
        .send()
        .await
        .during("cloudformation:DetectStackResourceDrift", logical)?;
    let Some(drift) = found.stack_resource_drift else {
        return Err(Error::Refused("CloudFormation detected nothing".to_owned()));
    };
    match drift.stack_resource_drift_status() {
        Some(StackResourceDriftStatus::InSync) => Ok(Vec::new()),
        Some(StackResourceDriftStatus::Modified) => {
            let differences = drift.property_differences().iter();
            let changed = differences.filter(|difference| {
                let added = difference.difference_type() == Some(&DifferenceType::Add);
                let path = difference.property_path().unwrap_or_default();
                !(added && path.starts_with("/Policies"))
            });
            let paths = changed.map(|difference| {
                difference
                    .property_path()
                    .unwrap_or("a property")
                    .to_owned()
            });
            Ok(paths.collect())
        }
        Some(StackResourceDriftStatus::Deleted) => Ok(vec!["it is gone".to_owned()]),
        other => {
            let status = other.map_or("no status", StackResourceDriftStatus::as_str);
            Err(Error::Refused(format!(
                "CloudFormation cannot tell ({status})"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_from_every_form_of_a_policy_that_iam_accepts() {
        let document = r#"{"Statement":[
            {"Effect":"Allow","Action":["s3:GetBucketAcl","S3:PutBucketPolicy"],"Resource":"*"},
            {"Effect":"Allow","Action":"sns:Publish","Resource":"*"},
            {"Effect":"Allow","NotAction":"iam:*","Resource":"*"},
            {"Effect":"Deny","Action":"iam:PutRolePolicy","Resource":"*"}]}"#;
        let encoded =
            percent_encoding::utf8_percent_encode(document, percent_encoding::NON_ALPHANUMERIC);
        let allowed = allowed(&encoded.to_string()).unwrap();
        assert_eq!(
            allowed,
            [
                "s3:GetBucketAcl",
                "S3:PutBucketPolicy",
                "sns:Publish",
                "everything (NotAction)"
            ]
        );
        let one = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        assert_eq!(super::allowed(one).unwrap(), ["*"]);
        assert!(super::allowed("{").is_err());
    }
}
