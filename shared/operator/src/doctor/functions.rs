//! The four functions: there, whole, and with settings that they understand.

use aws_sdk_lambda::Client;
use remediation::category::Category;
use remediation::config::Config;
use remediation::decision::ResponseMode;
use remediation::error::{CallContext as _, Result};

use super::check::{Check, CheckContext};
use crate::deployment::Deployed;

/// A function, and what its settings say.
pub(super) struct Function {
    pub(super) deployed: Deployed,
    pub(super) config: Config,
}

/// Looks at the function of `category`.
pub(super) async fn check(
    context: &CheckContext<'_>,
    category: Category,
) -> (Vec<Check>, Option<Function>) {
    let of = format!("{category} function");
    let lambda = Client::new(context.sdk);
    let name = match context.deployment.function(category) {
        Ok(name) => name,
        Err(error) => return (vec![Check::unknown(of, &error)], None),
    };
    let deployed = match Deployed::of(&lambda, name).await {
        Ok(deployed) => deployed,
        Err(error) if error.has_code("ResourceNotFoundException") => {
            let there = format!("there is no function {name}");
            return (vec![Check::problem(of, there, context.redeploy())], None);
        }
        Err(error) => return (vec![Check::unknown(of, &error)], None),
    };
    let config = Config::from_variables(&deployed.variables);
    let mut lines = vec![state(&of, &deployed, &config)];
    for problem in &config.problems {
        lines.push(Check::problem(
            format!("{of}, settings"),
            problem.clone(),
            "set the parameter of the stack, and deploy it again",
        ));
    }
    // All functions have the same exemptions, and those of users and roles matter most.
    if category == Category::Iam && config.policy.never_contain.is_empty() {
        lines.push(Check::hint(
            "NeverContain",
            "it is empty: each user and role may be contained",
            "name the role that deploys and the break-glass users, so that they can put things right",
        ));
    }
    let access = &config.settings.ec2.forensics_access;
    if category == Category::Ec2 && !access.is_empty() {
        let access: Vec<_> = access.iter().map(ToString::to_string).collect();
        lines.push(Check::hint(
            "Ec2ForensicsAccess",
            format!(
                "an isolated instance stays reachable: {}",
                access.join(", ")
            ),
            "let nobody but the investigators get into these groups or change these prefix lists",
        ));
    }
    let (concurrency, failures) = futures::join!(
        concurrency(&lambda, name),
        on_failure(context, &lambda, name)
    );
    for (of, found) in [
        (format!("{of}, concurrency"), concurrency),
        (format!("{of}, on failure"), failures),
    ] {
        match found {
            Ok(None) => {}
            Ok(Some((found, to_do))) => lines.push(Check::problem(of, found, to_do)),
            Err(error) => lines.push(Check::unknown(of, &error)),
        }
    }
    (lines, Some(Function { deployed, config }))
}

fn state(of: &str, deployed: &Deployed, config: &Config) -> Check {
    if let Some(trouble) = &deployed.trouble {
        let to_do = "look at the function in the Lambda console, and deploy the stack again";
        return Check::problem(of, trouble.clone(), to_do);
    }
    let extent = if config.policy.dry_run {
        "dry run: changes nothing"
    } else {
        "enforcing"
    };
    let mode = match config.policy.mode {
        ResponseMode::Contain => "contain",
        ResponseMode::Approve => "approve",
        ResponseMode::Notify => "notify",
        ResponseMode::Off => "off",
    };
    Check::ok(of, format!("{extent}, response {mode}"))
}

/// The problem, and its remedy.
type Trouble = Option<(String, String)>;

async fn concurrency(lambda: &Client, name: &str) -> Result<Trouble> {
    let found = lambda.get_function_concurrency().function_name(name).send();
    let found = found.await.during("lambda:GetFunctionConcurrency", name)?;
    Ok(match found.reserved_concurrent_executions {
        Some(0) => Some((
            "its reserved concurrency is 0, so that it never runs".to_owned(),
            format!("aws lambda delete-function-concurrency --function-name {name}"),
        )),
        _ => None,
    })
}

async fn on_failure(context: &CheckContext<'_>, lambda: &Client, name: &str) -> Result<Trouble> {
    let queue = context.deployment.output("OnFailureQueue")?;
    let queue = queue.rsplit('/').next().unwrap_or(queue);
    let found = lambda.get_function_event_invoke_config();
    // As SAM names it.
    let found = found.function_name(name).qualifier("$LATEST").send().await;
    let found = found.during("lambda:GetFunctionEventInvokeConfig", name);
    let destination = match found {
        Ok(found) => found.destination_config.and_then(|it| it.on_failure),
        Err(error) if error.is_gone() => None,
        Err(error) => return Err(error),
    };
    let destination = destination.and_then(|it| it.destination);
    let right = destination
        .as_ref()
        .is_some_and(|arn| arn.ends_with(&format!(":{queue}")));
    Ok((!right).then(|| {
        let instead = destination.unwrap_or_else(|| "nowhere".to_owned());
        (
            format!("what it fails on goes to {instead}, not to OnFailureQueue"),
            context.redeploy(),
        )
    }))
}
