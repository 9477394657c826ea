//! The Lambda function that records and notifies GuardDuty findings of every other kind.

use remediation::{Responder, aws, playbook::triage::Triage, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let sdk = aws::load().await;
    runtime::run(Responder::from_env(Triage::new, &sdk)).await
}
