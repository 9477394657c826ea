//! The Lambda function that answers GuardDuty findings about instances.

use playbook_ec2::Ec2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(Ec2::new).await
}
