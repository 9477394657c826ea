//! The Lambda function that answers GuardDuty findings about Lambda functions.

use playbook_lambda::Lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(Lambda::new).await
}
