//! The place of a proof: clients, clock and patience.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;

use crate::reach::{Internet, Reach};

/// The account, as the caller's credentials reach it.
#[derive(Clone)]
pub struct World {
    /// The caller's credentials, and the Region.
    pub sdk: SdkConfig,
    /// A client for Block Public Access of the account.
    pub control: aws_sdk_s3control::Client,
    /// How the instances' connections are tried.
    pub reach: Arc<dyn Reach>,
    /// The image of the instances: an id, or `resolve:ssm:` and a public parameter of AWS,
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameter-to-find-AMI.html>.
    pub image: String,
    pub clock: fn() -> Timestamp,
    pub patience: Patience,
}

/// How long AWS is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two looks.
    pub pause: Duration,
    /// For something new to work, or to be gone.
    pub new: Duration,
    /// For an attack to fail once it was contained, and to work again once it was released.
    pub change: Duration,
}

impl Patience {
    /// The place of a proof on AWS. IAM's changes take seconds to reach every endpoint, and AWS names no limit,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>.
    pub const AWS: Self = Self {
        pause: Duration::from_secs(1),
        new: Duration::from_secs(240),
        change: Duration::from_secs(180),
    };
}

impl World {
    /// AWS, with these credentials.
    #[must_use]
    pub fn of(sdk: SdkConfig, clock: fn() -> Timestamp) -> Self {
        let image =
            "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
        Self {
            control: aws_sdk_s3control::Client::new(&sdk),
            reach: Arc::new(Internet::new(&sdk, clock)),
            image: image.to_owned(),
            clock,
            patience: Patience::AWS,
            sdk,
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.sdk.region();
        f.debug_struct("World")
            .field("region", &region)
            .finish_non_exhaustive()
    }
}
