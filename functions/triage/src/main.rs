//! The Lambda function that records and notifies GuardDuty findings of every other kind.

use remediation::triage::Triage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(Triage::new).await
}
