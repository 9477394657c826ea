//! Writes that met another change of the same resource, which the SDK does not retry.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::Result;

/// Makes a change, and makes it again after each of `pauses` while AWS refuses it with one of `codes`.
///
/// # Errors
/// The last refusal, or the first failure of another kind.
pub async fn despite_conflicts(
    codes: &[&str],
    pauses: &[Duration],
    change: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    for pause in pauses {
        match change().await {
            Err(error) if codes.iter().any(|code| error.has_code(code)) => sleep(*pause).await,
            done => return done,
        }
    }
    change().await
}
