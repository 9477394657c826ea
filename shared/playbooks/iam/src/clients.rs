//! The clients of the playbook. IAM is the same in every Region.

use aws_config::SdkConfig;

use aws::cloudtrail::event_history::EventHistory;
use aws::iam_principal::Principals;

/// The services that it calls.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) principals: Principals,
}

impl Clients {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self {
            iam: aws_sdk_iam::Client::new(sdk),
            principals: Principals::new(sdk),
        }
    }

    pub(super) fn trail(&self) -> &EventHistory {
        &self.principals.trail
    }
}
