//! The clients of the playbook, in the Region of each function. IAM is the same in every Region.

use aws_config::SdkConfig;
use aws_sdk_lambda::config::Region;

use aws::cloudtrail::event_history::EventHistory;

/// The services that it calls.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) trail: EventHistory,
}

impl Clients {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self {
            lambda: aws_sdk_lambda::Client::new(sdk),
            iam: aws_sdk_iam::Client::new(sdk),
            trail: EventHistory::new(sdk),
        }
    }

    pub(super) fn lambda_in(&self, region: &str) -> aws_sdk_lambda::Client {
        let own = self.lambda.config();
        if own.region().is_some_and(|own| own.as_ref() == region) {
            return self.lambda.clone();
        }
        let there = own.to_builder().region(Region::new(region.to_owned()));
        aws_sdk_lambda::Client::from_conf(there.build())
    }
}
