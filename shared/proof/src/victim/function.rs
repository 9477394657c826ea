//! Two functions with one role. The attacker invokes the first, and has carried its credentials off.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use remediation::error::{CallContext as _, Error, Result};
use tokio::time::{Instant, sleep};

use super::archive;
use super::key::list;
use super::made::{Made, session};
use super::role::{self, Role};
use crate::attempt::{Attempt, Probe};
use crate::context::Context;
use crate::deployment::Deployed;
use crate::finding::About;

/// The names of the functions of a proof, without their beginning.
pub(crate) const FUNCTIONS: [&str; 2] = [HIJACKED, OTHER];
const HIJACKED: &str = "hijacked-function";
const OTHER: &str = "other-function";

const CODE: &str = "def handler(event, context):\n    return 'done'\n";
/// The time that an invocation may take, in seconds.
const TIMEOUT: i32 = 30;

pub(super) async fn make(context: &Context<'_>, data: &str) -> Result<Made> {
    let service = Some("lambda.amazonaws.com");
    let role = Box::pin(role::role(context, "function-role", service, data)).await?;
    let hijacked = Box::pin(function(context, HIJACKED, &role)).await?;
    let other = Box::pin(function(context, OTHER, &role)).await?;
    context.watcher.waiting("the functions are starting");
    for name in [&hijacked, &other] {
        Box::pin(ready(context, name)).await?;
    }
    // Lambda names the session of a function after it.
    let assume = async |function: &str| {
        let issued = Box::pin(role.assume(context, function)).await?;
        session(issued.credentials, &role.name)
    };
    let (stolen, of_other) = (assume(&hijacked).await?, assume(&other).await?);
    context.made(format!(
        "a session of each function with role {}",
        role.name
    ));
    Ok(Made {
        resources: [&hijacked, &other]
            .map(|name| format!("function {name}"))
            .to_vec(),
        attempts: vec![
            Attempt::attack("invoke the hijacked function", invoke(context, &hijacked)),
            Attempt::attack(
                "list a bucket with the stolen credentials of the function",
                list(context, &stolen, data),
            ),
            Attempt::bystander(
                "invoke another function of the role",
                invoke(context, &other),
            ),
            Attempt::bystander(
                "list the bucket with the credentials of the other function",
                list(context, &of_other, data),
            ),
        ],
        about: About::Function {
            name: hijacked,
            role_arn: role.arn,
        },
        keys: Vec::new(),
    })
}

async fn function(context: &Context<'_>, of_what: &str, role: &Role) -> Result<String> {
    let name = context.id.name(of_what);
    let code = Blob::new(archive::of("index.py", CODE.as_bytes()));
    let code = FunctionCode::builder().zip_file(code).build();
    let tags = context.tags(of_what).into_iter();
    let tags = tags.map(|(key, value)| (key.to_owned(), value)).collect();
    let call = context
        .lambda
        .create_function()
        .function_name(&name)
        .runtime(Runtime::from("python3.13"))
        .handler("index.handler")
        .timeout(TIMEOUT)
        .role(&role.arn)
        .code(code)
        .set_tags(Some(tags));
    let create = async || {
        let done = call.clone().send().await;
        done.during("lambda:CreateFunction", &name)
    };
    context.once_assumable(create).await?;
    context.made(format!("function {name}"));
    Ok(name)
}

/// Waits until a function can be invoked.
async fn ready(context: &Context<'_>, name: &str) -> Result<()> {
    let until = Instant::now() + context.world.patience.new;
    loop {
        let look = async || Box::pin(Deployed::of(&context.lambda, name)).await;
        let Some(trouble) = context.once_there(look).await?.trouble else {
            return Ok(());
        };
        if Instant::now() >= until {
            return Err(Error::Refused(format!(
                "the function {name} cannot be invoked yet, so the attack cannot be shown: {trouble}"
            )));
        }
        sleep(context.world.patience.pause).await;
    }
}

fn invoke(context: &Context<'_>, function: &str) -> Probe {
    Probe::Invoke {
        client: context.lambda.clone(),
        function: function.to_owned(),
    }
}
