//! The Lambda function that answers GuardDuty findings about credentials.

use remediation::{Responder, aws, playbook::iam::Iam, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let sdk = aws::load().await;
    runtime::run(Responder::from_env(Iam::new, &sdk)).await
}
