//! The calls that describe a function.

use std::collections::BTreeMap;

use aws_sdk_lambda::Client;

use super::state::Configuration;
use aws::error::{CallContext, Error, Result};
use model::finding::printable;

pub(super) async fn concurrency(client: &Client, name: &str) -> Result<Option<i32>> {
    let read = client.get_function_concurrency().function_name(name);
    let read = read.send().await;
    let found = read.during("lambda:GetFunctionConcurrency", name)?;
    Ok(found.reserved_concurrent_executions)
}

pub(super) async fn configuration(client: &Client, name: &str) -> Result<Configuration> {
    let read = client.get_function_configuration().function_name(name);
    let read = read.send().await;
    let found = read.during("lambda:GetFunctionConfiguration", name)?;
    let environment = found.environment.and_then(|found| found.variables);
    let variables = environment.unwrap_or_default();
    let mut variables: Vec<_> = variables.keys().map(|name| printable(name)).collect();
    variables.sort();
    let layers = found.layers.unwrap_or_default();
    Ok(Configuration {
        role: found.role.unwrap_or_default(),
        runtime: found.runtime.map(|runtime| printable(runtime.as_str())),
        code_sha256: found.code_sha256.as_deref().map(printable),
        last_modified: found.last_modified.as_deref().map(printable),
        timeout: found.timeout,
        variables,
        layers: layers.into_iter().filter_map(|layer| layer.arn).collect(),
        durable: found.durable_config.is_some(),
    })
}

pub(super) async fn tags(client: &Client, arn: &str) -> Result<BTreeMap<String, String>> {
    let read = client.list_tags().resource(arn).send().await;
    let tags = read.during("lambda:ListTags", arn)?.tags;
    Ok(tags.unwrap_or_default().into_iter().collect())
}

/// How many functions the account has in the Region.
pub(super) async fn functions(client: &Client) -> Result<usize> {
    let operation = "lambda:GetAccountSettings";
    let read = client.get_account_settings().send().await;
    let usage = read.during(operation, "the account")?.account_usage;
    let count = usage.and_then(|usage| usize::try_from(usage.function_count).ok());
    count.ok_or_else(|| Error::Refused(format!("{operation} gave no number of functions")))
}

/// The first page: more would hide the rest of a notice.
pub(super) async fn event_sources(client: &Client, name: &str) -> Result<Vec<String>> {
    let read = client.list_event_source_mappings().function_name(name);
    let read = read.send().await;
    let found = read.during("lambda:ListEventSourceMappings", name)?;
    let found = found.event_source_mappings.unwrap_or_default().into_iter();
    let enabled = found.filter(|found| found.state.as_deref() != Some("Disabled"));
    let named = enabled.map(|found| match found.event_source_arn {
        Some(arn) => printable(&arn),
        None => "an event source of its own".to_owned(),
    });
    Ok(named.collect())
}

pub(super) async fn urls(client: &Client, name: &str) -> Result<Vec<String>> {
    let read = client.list_function_url_configs().function_name(name);
    let read = read.send().await;
    let found = read.during("lambda:ListFunctionUrlConfigs", name)?;
    let shown = found.function_url_configs.iter().map(|found| {
        let auth = found.auth_type.as_str();
        format!("{} (authentication {auth})", printable(&found.function_url))
    });
    Ok(shown.collect())
}

pub(super) async fn provisioned(client: &Client, name: &str) -> Result<Vec<String>> {
    let read = client.list_provisioned_concurrency_configs();
    let read = read.function_name(name).send().await;
    let found = read.during("lambda:ListProvisionedConcurrencyConfigs", name)?;
    let found = found.provisioned_concurrency_configs.unwrap_or_default();
    let arns = found.into_iter().filter_map(|found| found.function_arn);
    Ok(arns.map(|arn| printable(&arn)).collect())
}

/// The newest versions, each with the hash of its code.
pub(super) async fn versions(client: &Client, name: &str) -> Result<Vec<String>> {
    let read = client.list_versions_by_function().function_name(name);
    let read = read.send().await;
    let found = read.during("lambda:ListVersionsByFunction", name)?;
    let versions = found.versions.unwrap_or_default().into_iter().rev();
    let shown = versions.filter_map(|found| {
        let details = [found.code_sha256, found.last_modified];
        let details: Vec<_> = details.into_iter().flatten().collect();
        let shown = format!("{} ({})", found.version?, details.join(", "));
        Some(printable(&shown))
    });
    Ok(shown.collect())
}
