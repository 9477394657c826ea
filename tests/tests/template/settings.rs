//! The effect of the settings of the stack: the grants of the roles, and how large the environment gets.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::Result;
use playbooks::permissions;
use remediation::category::Category;
use remediation::config::Config;
use serde_json::{Value, json};

use super::{FUNCTIONS, template};
use crate::common::{granted, yaml};
use crate::privilege::template::Deployed;

const ENFORCING: (&str, &str) = ("DryRun", "false");

/// Each setting that a function acts by, beside those that `ALL` has.
const EACH: &[(&str, &str)] = &[
    ("Mode", "hub"),
    ("VerifyFindings", "true"),
    ("HandOverSequences", "true"),
    ("ChatNotices", "true"),
    ("ResponseEvents", "false"),
    ("SecurityHub", "true"),
    ("EvidenceBucket", "governance"),
    ("S3AccountBlock", "true"),
    ("S3PolicyDeny", "true"),
    ("S3QuarantineObjects", "true"),
    ("IamUserSessionKeys", "true"),
    ("IamCreatedKeys", "true"),
    ("IamRoleWide", "true"),
    ("IamMarkContained", "true"),
    ("Ec2AutoScaling", "standby"),
    ("Ec2AutoScaling", "keep"),
    ("Ec2CutConnectionsSeconds", "30"),
    ("Ec2ShortenTimeouts", "true"),
    ("Ec2RemovePublicAddress", "true"),
    ("Ec2DisableMetadata", "true"),
    ("Ec2ContainerNodes", "true"),
    ("Ec2ForensicsAccess", "from sg-0123456789abcdef0 tcp/22"),
    ("S3Response", "approve"),
    ("IamResponse", "approve"),
    ("Ec2Response", "approve"),
    ("LambdaResponse", "approve"),
    ("S3Response", "notify"),
    ("IamResponse", "notify"),
    ("Ec2Response", "off"),
    ("LambdaResponse", "notify"),
];

/// The default settings, each of the others by itself, and all of them; in a dry run, and enforcing.
fn deployments() -> Vec<Vec<(&'static str, &'static str)>> {
    let modes = ["S3Response", "IamResponse", "Ec2Response", "LambdaResponse"];
    let all = EACH
        .iter()
        .filter(|(name, _)| !modes.contains(name))
        .copied();
    let all: Vec<_> = [("ExternalId", "an-external-id")]
        .into_iter()
        .chain(all)
        .collect();
    let mut deployments = vec![vec![], all];
    deployments.extend(
        EACH.iter()
            .map(|setting| vec![("ExternalId", "an-external-id"), *setting]),
    );
    let enforcing = deployments
        .iter()
        .map(|it| [&it[..], &[ENFORCING]].concat());
    let enforcing: Vec<_> = enforcing.collect();
    deployments.extend(enforcing);
    deployments
}

/// A stack of this template with the parameters that differ from their defaults.
fn deployed(template: &Value, parameters: &[(&str, &str)]) -> Deployed {
    let resources = template["Resources"].as_object().expect("resources");
    let named = resources
        .keys()
        .map(|id| (id.clone(), (id.clone(), format!("arn:aws:any:::{id}"))));
    let parameters = parameters.iter();
    Deployed {
        template: template.clone(),
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        stack: "gdr".to_owned(),
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        resources: named.collect(),
    }
}

/// The actions that a role is granted.
fn actions(stack: &Deployed, role: &str) -> Result<BTreeSet<String>> {
    let policies = stack.policies(role)?;
    let policies: Vec<_> = policies
        .into_iter()
        .map(|document| json!({ "PolicyDocument": document }))
        .collect();
    Ok(granted(&policies))
}

fn owned(actions: BTreeSet<&'static str>) -> BTreeSet<String> {
    actions.into_iter().map(ToOwned::to_owned).collect()
}

fn config(stack: &Deployed, name: &str) -> Result<Config> {
    let environment = stack.environment(&format!("{name}ResponderFunction"))?;
    Ok(Config::from_variables(&environment))
}

/// A role has the permissions that its function takes with its settings, and nothing else.
#[test]
fn with_any_settings_each_role_allows_exactly_the_calls_of_the_code() -> Result {
    let template = template();
    for parameters in deployments() {
        let stack = deployed(&template, &parameters);
        for (name, category) in FUNCTIONS {
            let expected = owned(permissions::of(category, &config(&stack, name)?));
            let granted = actions(&stack, &format!("{name}ResponderRole"))?;
            assert_eq!(granted, expected, "{name}: {parameters:?}");
        }
    }
    Ok(())
}

/// A member's stack has the settings of the hub as parameters of its own.
#[test]
fn with_any_settings_each_member_role_allows_exactly_the_calls_of_its_function() -> Result {
    let (template, members) = (template(), yaml("infra/member-roles.yaml"));
    for mut parameters in deployments() {
        if !parameters.contains(&ENFORCING) {
            parameters.push(("DryRun", "true"));
        }
        let (hub, member) = (
            deployed(&template, &parameters),
            deployed(&members, &parameters),
        );
        for (name, category) in FUNCTIONS {
            if category == Category::Triage {
                continue;
            }
            let expected = owned(permissions::on_targets(category, &config(&hub, name)?));
            let granted = actions(&member, &format!("{name}MemberRole"))?;
            assert_eq!(granted, expected, "{name}: {parameters:?}");
        }
    }
    Ok(())
}

/// The longest value that CloudFormation takes for a parameter.
fn longest(name: &str, parameter: &Value) -> String {
    if let Some(allowed) = parameter["AllowedValues"].as_array() {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let longest = allowed.iter().map(text).max_by_key(String::len);
        return longest.unwrap_or_default();
    }
    if parameter["Type"] == "Number" {
        // A severity may have decimals.
        return format!("{}.00", parameter["MaxValue"]);
    }
    let most = parameter["MaxLength"].as_u64();
    let most = most.unwrap_or_else(|| panic!("{name} may be of any length"));
    "x".repeat(usize::try_from(most).unwrap_or(usize::MAX))
}

/// The longest name that CloudFormation gives to a resource, as `!Ref` has it, and the longest ARN.
fn longest_name(kind: &str) -> (String, String) {
    let of = |length: usize| "x".repeat(length);
    let arn = |service: &str, name: &str| {
        format!("arn:aws-us-gov:{service}:us-gov-west-1:111122223333:{name}")
    };
    // A stack has a name of 128 characters at most, and so have parts of names that are made of it.
    match kind {
        "AWS::SNS::Topic" => (arn("sns", &of(160)), String::new()),
        "AWS::SQS::Queue" => {
            let url = format!(
                "https://sqs.us-gov-west-1.amazonaws.com/111122223333/{}",
                of(80)
            );
            (url, arn("sqs", &of(80)))
        }
        "AWS::DynamoDB::Table" => (of(160), String::new()),
        "AWS::S3::Bucket" => (of(63), String::new()),
        "AWS::SSM::Parameter" => (of(165), String::new()),
        "AWS::Serverless::Function" => (of(64), arn("lambda", &format!("function:{}", of(64)))),
        _ => (of(64), String::new()),
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>: 4 KB for all variables, which Lambda
/// measures as JSON.
#[test]
fn the_environment_of_each_function_fits_whatever_the_parameters_are() -> Result {
    let template = template();
    let parameters = template["Parameters"].as_object().expect("parameters");
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    let settings = |name: &str| {
        let own = &template["Resources"][name]["Properties"]["Environment"];
        let of_all = &template["Globals"]["Function"]["Environment"];
        format!("{own}{of_all}")
    };
    for (name, parameter) in parameters {
        let mut functions = FUNCTIONS.iter();
        let reference = json!({ "Ref": name }).to_string();
        if functions.any(|(function, _)| {
            settings(&format!("{function}ResponderFunction")).contains(&reference)
        }) {
            used.insert(name.clone(), longest(name, parameter));
        }
    }
    // These turn on what the others are about.
    for (name, value) in [
        ("ChatNotices", "true"),
        ("SecurityHub", "true"),
        ("EvidenceBucket", "compliance"),
    ] {
        used.insert(name.to_owned(), value.to_owned());
    }
    let resources = template["Resources"].as_object().expect("resources").iter();
    let resources = resources.map(|(id, it)| {
        (
            id.clone(),
            longest_name(it["Type"].as_str().unwrap_or_default()),
        )
    });
    let stack = Deployed {
        parameters: used,
        resources: resources.collect(),
        ..deployed(&template, &[])
    };
    for (name, _) in FUNCTIONS {
        let mut environment = stack.environment(&format!("{name}ResponderFunction"))?;
        environment.insert("METRICS_NAMESPACE".to_owned(), "x".repeat(128));
        let size = serde_json::to_string(&environment)?.len();
        assert!(size <= 4096, "{name}: {size} bytes");
    }
    Ok(())
}
