//! The Lambda function that answers GuardDuty findings about credentials.

use remediation::playbook::iam::Iam;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(Iam::new).await
}
