//! Where a proof takes place: clients, clock and patience.

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
    /// Block Public Access of the account.
    pub control: aws_sdk_s3control::Client,
    /// EC2, which need not have the endpoint of the others.
    pub ec2: SdkConfig,
    /// How the instance's connections are tried.
    pub reach: Arc<dyn Reach>,
    /// The image of the instances: an id, or `resolve:ssm:` and a public parameter of AWS.
    pub image: String,
    pub clock: fn() -> Timestamp,
    pub patience: Patience,
}

/// How long is waited for AWS.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two looks.
    pub pause: Duration,
    /// For something new to work, or to be gone.
    pub new: Duration,
    /// For an attack to fail once it was contained. IAM says "usually within a few minutes" of no change, but
    /// gives no limit.
    pub contained: Duration,
}

impl Patience {
    /// That of a proof on AWS.
    pub const AWS: Self = Self {
        pause: Duration::from_secs(1),
        new: Duration::from_secs(180),
        contained: Duration::from_secs(180),
    };
}

impl World {
    /// AWS, with these credentials.
    #[must_use]
    pub fn of(sdk: SdkConfig, clock: fn() -> Timestamp) -> Self {
        Self {
            control: aws_sdk_s3control::Client::new(&sdk),
            ec2: sdk.clone(),
            reach: Arc::new(Internet::new(&sdk, clock)),
            image:
                "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
                    .to_owned(),
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
