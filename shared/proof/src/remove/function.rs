//! Removing functions, whatever concurrency is left to them.

use remediation::error::{CallContext as _, Result};

use crate::context::Context;
use crate::own::Own;

#[expect(
    clippy::disallowed_methods,
    reason = "a function that the proof made, with its tag read"
)]
pub(super) async fn remove(context: &Context<'_>, own: &Own) -> Result<()> {
    let call = context.lambda.delete_function().function_name(own.id());
    let done = call.send().await;
    done.during("lambda:DeleteFunction", own.id()).map(drop)
}
