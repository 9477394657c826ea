//! What tests wait for in real time, since no setting shortens it.

use std::time::Duration;

/// The cut-off of a user's sessions is this much ahead of the containment at most: a minute, rounded up.
pub const CUT_OFF: Duration = Duration::from_secs(62);

/// IAM and CloudTrail date by the second: what comes after this is dated later than what came before.
pub async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}
