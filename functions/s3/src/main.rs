//! The Lambda function that answers GuardDuty findings about buckets.

use playbook_s3::S3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::RuntimeError> {
    lambda::run(S3::new).await
}
