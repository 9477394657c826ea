//! The metric filters of `infra/operations.yaml`, on the lines that a function writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use integration_tests::lambda::Environment;
use integration_tests::scenario::StolenKey;
use integration_tests::{LocalAws, Result, Scenario, checkout, files, stack, unique};
use policy::DEFAULT;
use serde_json::Value;

use crate::common::yaml;
use crate::shared_aws::on_aws;

/// As the stack gives a function.
const TIME: Duration = Duration::from_secs(120);

/// A filter of the form `{ $.member.member = "text*" }`, of the grammar for lines of JSON,
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html>:
/// an asterisk stands for any text, capitals count, and a line that is no JSON never matches.
struct Filter {
    path: Vec<String>,
    parts: Vec<String>,
}

impl Filter {
    fn parse(pattern: &str) -> Option<Self> {
        let inner = pattern.strip_prefix("{ $.")?.strip_suffix("\" }")?;
        let (path, text) = inner.split_once(" = \"")?;
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_')
        };
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        let plain = path.iter().all(|name| is_name(name)) && !text.contains(['"', '\\']);
        let parts = text.split('*').map(str::to_owned).collect();
        plain.then_some(Self { path, parts })
    }

    fn matches(&self, line: &str) -> bool {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return false;
        };
        let found = self.path.iter().try_fold(&line, |at, name| at.get(name));
        let Some(Value::String(text)) = found else {
            return false;
        };
        let [first, between @ .., last] = self.parts.as_slice() else {
            return self.parts.first() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in between {
            let Some((_, after)) = rest.split_once(part.as_str()) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }
}

#[test]
fn a_filter_matches_as_cloudwatch_says() {
    let filter = |pattern: &str| Filter::parse(pattern).expect("a filter");
    let of_text = filter(r#"{ $.fields.message = "policy unusable*" }"#);
    for (line, matches) in [
        (
            r#"{"fields":{"message":"policy unusable: all is withheld"}}"#,
            true,
        ),
        (r#"{"fields":{"message":"policy unusable"}}"#, true),
        (r#"{"fields":{"message":"a policy unusable"}}"#, false),
        (r#"{"fields":{"message":"Policy unusable"}}"#, false),
        (r#"{"message":"policy unusable"}"#, false),
        (r#"{"fields":{"message":7}}"#, false),
        ("policy unusable", false),
    ] {
        assert_eq!(of_text.matches(line), matches, "{line}");
    }
    let within = filter(r#"{ $.a = "x*y*z" }"#);
    assert!(within.matches(r#"{"a":"x1y2z"}"#) && !within.matches(r#"{"a":"x1z"}"#));
    assert!(filter(r#"{ $.a = "x" }"#).matches(r#"{"a":"x"}"#));
    for other in [
        r#"{ $.a != "x" }"#,
        r#"{ $.a = "x" && $.b = "y" }"#,
        "ERROR",
    ] {
        assert!(Filter::parse(other).is_none(), "{other}");
    }
}

/// The lines that the function writes about a finding, under the policies of this parameter.
async fn logged(aws: &LocalAws, parameter: Option<&str>) -> Result<Vec<String>> {
    let theft = StolenKey::create(aws).await?;
    let program = checkout()
        .join(stack::BUILD_FOLDER)
        .join("IamResponderFunction/bootstrap");
    let mut variables: HashMap<String, String> = aws
        .environment()
        .into_iter()
        .chain([
            // As Lambda sets them for LoggingConfig.
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("AWS_REGION", &*aws.region),
            ("DRY_RUN", "true"),
            ("MINIMUM_SEVERITY", "4"),
            ("OWN_ACCOUNT_ID", &*aws.account_id),
            ("METRICS_NAMESPACE", "gdr"),
        ])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if let Some(parameter) = parameter {
        variables.insert("POLICY_PARAMETER".to_owned(), parameter.to_owned());
    }
    let log = files::path("function.log")?;
    let to = Stdio::from(File::create(&log)?);
    let mut function = Environment::start_logging(&program, &variables, to).await?;
    let finding = theft.finding()?;
    let answer = function
        .invoke(&finding.0, &unique("request"), TIME)
        .await?;
    let report = answer.map_err(|failure| format!("the function failed: {failure}"))?;
    assert_eq!(report["finding_id"], finding.id(), "{report}");
    drop(function);
    let log = fs::read_to_string(log)?;
    Ok(log.lines().map(str::to_owned).collect())
}

#[test]
fn each_filter_counts_the_line_about_policies_that_cannot_be_used_once_and_no_other() -> Result {
    on_aws(async |aws| {
        let operations = yaml("infra/operations.yaml");
        let resources = operations["Resources"].as_object().ok_or("no resources")?;
        let filters: BTreeMap<_, _> = resources
            .iter()
            .filter(|(_, resource)| resource["Type"] == "AWS::Logs::MetricFilter")
            .map(|(name, resource)| (name, &resource["Properties"]["FilterPattern"]))
            .collect();
        let patterns: BTreeSet<_> = filters.values().filter_map(|it| it.as_str()).collect();
        assert_eq!((filters.len(), patterns.len()), (4, 1), "{filters:?}");
        let parameter = format!("/{}/policy", unique("gdr"));
        let ssm = aws_sdk_ssm::Client::new(&aws.root());
        let put = ssm.put_parameter().name(&parameter).value(DEFAULT);
        put.r#type(ParameterType::String).send().await?;
        let without = logged(aws, None).await?;
        let with = logged(aws, Some(&parameter)).await?;
        for pattern in patterns {
            let filter = Filter::parse(pattern).ok_or(pattern)?;
            let count = |lines: &[String]| lines.iter().filter(|line| filter.matches(line)).count();
            assert_eq!(count(&without), 1, "{}", without.join("\n"));
            assert_eq!(count(&with), 0, "{}", with.join("\n"));
        }
        // The report's own line is there, so that something was read.
        assert!(with.iter().any(|line| line.contains("\"status\"")));
        Ok(())
    })
}
