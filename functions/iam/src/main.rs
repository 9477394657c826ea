//! The Lambda function that answers GuardDuty findings about credentials.

use playbook_iam::Iam;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(Iam::new).await
}
