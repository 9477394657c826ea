//! The Lambda function that answers GuardDuty findings about buckets.

use remediation::{Responder, aws, playbook::s3::S3, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let sdk = aws::load().await;
    runtime::run(Responder::from_env(S3::new, &sdk)).await
}
