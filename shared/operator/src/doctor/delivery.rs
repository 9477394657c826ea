//! The way of a finding to its function: rules, targets, the right to invoke, and the queues beside it.

use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_lambda::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::future::join_all;
use remediation::category::Category;
use remediation::error::{CallContext as _, Error, Result};
use serde_json::Value;

use super::check::{Check, CheckContext};
use crate::output;

/// Looks at rules, looks again, and queues.
pub(super) async fn check(context: &CheckContext<'_>) -> Vec<Check> {
    let invokers = &invokers(context).await;
    let rules = context.of_type("AWS::Events::Rule").map(async |rule| {
        let of = format!("rule {}", rule.logical);
        line(&of, self::rule(context, &rule.physical, invokers).await)
    });
    let mappings = context
        .of_type("AWS::Lambda::EventSourceMapping")
        .map(async |mapping| {
            let of = format!("event source {}", mapping.logical);
            line(&of, self::mapping(context, &mapping.physical).await)
        });
    let queues = ["EventDeadLetterQueue", "OnFailureQueue"];
    let queues = queues.map(async |queue| line(queue, self::queue(context, queue).await));
    let (mut rules, mappings, queues) =
        futures::join!(join_all(rules), join_all(mappings), join_all(queues));
    if rules.is_empty() {
        rules.push(match context.resources {
            Ok(_) => Check::problem("rules", "the stack has none", context.redeploy()),
            Err(error) => Check::unknown("rules and event sources", error),
        });
    }
    rules.into_iter().chain(mappings).chain(queues).collect()
}

/// The state found, or the problem and its remedy.
type Found = std::result::Result<String, (String, String)>;

fn line(of: &str, found: Result<Found>) -> Check {
    match found {
        Ok(Ok(found)) => Check::ok(of, found),
        Ok(Err((found, to_do))) => Check::problem(of, found, to_do),
        Err(error) => Check::unknown(of, &error),
    }
}

/// The policies of the functions, which say who may invoke them. A function's is empty where it cannot be
/// read, so that its rules tell.
async fn invokers(context: &CheckContext<'_>) -> Vec<(String, Result<String>)> {
    let lambda = Client::new(context.sdk);
    let policies = Category::ALL.map(async |category| {
        let arn = context
            .deployment
            .function_arn(category)
            .unwrap_or_default();
        let policy = lambda.get_policy().function_name(&arn).send().await;
        let policy = policy.during("lambda:GetPolicy", &arn);
        let text = match policy {
            Ok(found) => Ok(found.policy.unwrap_or_default()),
            Err(error) if error.is_gone() => Ok(String::new()),
            Err(error) => Err(error),
        };
        (arn, text)
    });
    join_all(policies).await
}

async fn rule(
    context: &CheckContext<'_>,
    id: &str,
    invokers: &[(String, Result<String>)],
) -> Result<Found> {
    let client = aws_sdk_eventbridge::Client::new(context.sdk);
    // On another bus than the default one the id is `bus|rule`.
    let (bus, name) = id.split_once('|').unwrap_or(("default", id));
    let found = client
        .describe_rule()
        .event_bus_name(bus)
        .name(name)
        .send()
        .await;
    let found = match found.during("events:DescribeRule", name) {
        Ok(found) => found,
        Err(error) if error.has_code("ResourceNotFoundException") => {
            return Ok(Err(("it is gone".to_owned(), context.redeploy())));
        }
        Err(error) => return Err(error),
    };
    if found.state != Some(RuleState::Enabled) {
        let state = found.state.as_ref().map_or("unknown", RuleState::as_str);
        return Ok(Err((
            format!("its state is {state}, so that findings do not arrive"),
            format!("aws events enable-rule --event-bus-name {bus} --name {name}"),
        )));
    }
    let targets = client
        .list_targets_by_rule()
        .event_bus_name(bus)
        .rule(name)
        .send();
    let targets = targets.await.during("events:ListTargetsByRule", name)?;
    let targets: Vec<_> = targets
        .targets()
        .iter()
        .map(|target| target.arn())
        .collect();
    let functions: Vec<_> = invokers
        .iter()
        .filter(|(arn, _)| targets.contains(&arn.as_str()))
        .collect();
    let topic = context.deployment.output("NotificationTopic")?;
    if functions.is_empty() && !targets.contains(&topic) {
        return Ok(Err((
            "it has no target of the stack's".to_owned(),
            context.redeploy(),
        )));
    }
    let rule_arn = found.arn.unwrap_or_default();
    for (function, policy) in functions {
        let policy = policy.as_ref().map_err(Clone::clone)?;
        if !lets_invoke(policy, &rule_arn) {
            return Ok(Err((
                format!("EventBridge may not invoke {function} for it"),
                context.redeploy(),
            )));
        }
    }
    Ok(Ok(format!(
        "enabled, {}",
        output::counted(targets.len() as u64, "target")
    )))
}

/// True if a function's policy lets EventBridge invoke it for this rule.
fn lets_invoke(policy: &str, rule_arn: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"].as_array();
    statements.into_iter().flatten().any(|statement| {
        let service = statement["Principal"]["Service"] == "events.amazonaws.com";
        let conditions = statement["Condition"].as_object();
        let mut sources = conditions.into_iter().flatten().filter_map(|(_, keys)| {
            keys.get("AWS:SourceArn")
                .or_else(|| keys.get("aws:SourceArn"))
        });
        statement["Effect"] == "Allow" && service && sources.any(|source| source == rule_arn)
    })
}

async fn mapping(context: &CheckContext<'_>, id: &str) -> Result<Found> {
    let client = Client::new(context.sdk);
    let found = client.get_event_source_mapping().uuid(id).send().await;
    let found = match found.during("lambda:GetEventSourceMapping", id) {
        Ok(found) => found,
        Err(error) if error.is_gone() => {
            return Ok(Err(("it is gone".to_owned(), context.redeploy())));
        }
        Err(error) => return Err(error),
    };
    let state = found.state.unwrap_or_default();
    Ok(match state.as_str() {
        "Enabled" => Ok("enabled".to_owned()),
        _ => Err((
            format!("its state is {state}, so that containments are not looked at again"),
            format!("aws lambda update-event-source-mapping --uuid {id} --enabled"),
        )),
    })
}

async fn queue(context: &CheckContext<'_>, output: &str) -> Result<Found> {
    let url = context.deployment.output(output)?;
    let attributes = aws_sdk_sqs::Client::new(context.sdk)
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .during("sqs:GetQueueAttributes", url)?
        .attributes
        .unwrap_or_default();
    let count = |name: QueueAttributeName| {
        let text = attributes.get(&name);
        let number = text.and_then(|text| text.parse::<u64>().ok());
        number.ok_or_else(|| Error::Refused(format!("{url} does not say {}", name.as_str())))
    };
    let lying = count(QueueAttributeName::ApproximateNumberOfMessages)?
        + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?;
    Ok(match lying {
        0 => Ok("empty".to_owned()),
        _ => Err((
            format!("it holds {}", output::counted(lying, "message")),
            format!("gdr redrive --stack {}", context.deployment.name),
        )),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_statement_for_this_rule_lets_eventbridge_invoke() {
        let policy = |service: &str, rule: &str| {
            json!({ "Statement": [{
                "Effect": "Allow", "Action": "lambda:InvokeFunction",
                "Principal": { "Service": service },
                "Condition": { "ArnLike": { "AWS:SourceArn": rule } },
            }] })
            .to_string()
        };
        assert!(lets_invoke(&policy("events.amazonaws.com", "r"), "r"));
        assert!(!lets_invoke(&policy("events.amazonaws.com", "other"), "r"));
        assert!(!lets_invoke(&policy("s3.amazonaws.com", "r"), "r"));
        for nothing in ["", "{}", r#"{"Statement":[{}]}"#] {
            assert!(!lets_invoke(nothing, "r"), "{nothing}");
        }
    }
}
