//! The clients of the playbook, in the Region of each bucket.

use aws_config::SdkConfig;
use aws_sdk_s3::config::Region;

use aws::cloudtrail::event_history::EventHistory;

/// The clients of one Region.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) control: aws_sdk_s3control::Client,
    pub(super) trail: EventHistory,
}

impl Clients {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self {
            s3: aws_sdk_s3::Client::new(sdk),
            control: aws_sdk_s3control::Client::new(sdk),
            trail: EventHistory::new(sdk),
        }
    }

    /// S3 answers a request for a bucket of another Region with a redirect that the SDK does not follow. So each
    /// bucket's own Region is called.
    pub(super) fn in_region(&self, region: &str) -> Self {
        if self.region() == region {
            return self.clone();
        }
        let there = || Region::new(region.to_owned());
        let s3 = self.s3.config().to_builder().region(there()).build();
        let control = self.control.config().to_builder().region(there()).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            control: aws_sdk_s3control::Client::from_conf(control),
            trail: self.trail.in_region(region),
        }
    }

    pub(super) fn region(&self) -> &str {
        self.s3.config().region().map_or("", AsRef::as_ref)
    }
}
