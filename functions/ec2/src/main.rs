//! The Lambda function that answers GuardDuty findings about instances.

use remediation::{Responder, aws, playbook::ec2::Ec2, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let sdk = aws::load().await;
    runtime::run(Responder::from_env(Ec2::new, &sdk)).await
}
