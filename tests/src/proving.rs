//! A proof on this machine: the crate's own code, with the emulators' endpoints. No packet flows there, so that the
//! instances' connections are judged by the path analysis.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_ec2::Client;
use aws_sdk_iam::config::Credentials;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use futures::future::BoxFuture;
use jiff::Timestamp;
use proof::reach::Instance;
use proof::record::AttemptResult;
use proof::{Patience, Reach, World};

use crate::scenario::reachable;
use crate::{LocalAws, s3};

/// Somebody on the internet.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// Local AWS for a proof, at these endpoints: the emulators' own, or a proxy's.
pub async fn world(aws: &LocalAws, endpoint: &str, ec2_endpoint: &str) -> World {
    let sdk = sdk(aws, endpoint, ec2_endpoint).await;
    World {
        control: s3::control(&sdk, ec2_endpoint),
        reach: Arc::new(Paths(aws.ec2())),
        image: "ami-12c6146b".to_owned(),
        clock: Timestamp::now,
        patience: Patience {
            pause: Duration::from_millis(50),
            new: Duration::from_secs(10),
            change: Duration::from_secs(10),
        },
        sdk,
    }
}

/// The root user's configuration, with EC2 elsewhere than the rest, as a profile says it.
async fn sdk(aws: &LocalAws, endpoint: &str, ec2_endpoint: &str) -> SdkConfig {
    let mut profile =
        format!("[default]\nendpoint_url = {endpoint}\nservices = local\n[services local]\n");
    for service in [
        "ec2",
        "auto_scaling",
        "elastic_load_balancing",
        "elastic_load_balancing_v2",
    ] {
        profile += &format!("{service} =\n  endpoint_url = {ec2_endpoint}\n");
    }
    let files = EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, profile)
        .build();
    let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
    aws_config::defaults(BehaviorVersion::latest())
        .profile_files(files)
        .region(Region::new(aws.region.clone()))
        .credentials_provider(Credentials::new("test", "test", None, None, "root"))
        .http_client(Builder::new().tls_provider(provider).build_https())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(2)
                .with_initial_backoff(Duration::from_millis(10)),
        )
        .load()
        .await
}

/// The traffic that the security groups let through.
struct Paths(Client);

impl Paths {
    async fn open(
        &self,
        instance: &str,
        direction: &str,
    ) -> std::result::Result<AttemptResult, String> {
        let paths = reachable(&self.0, instance, PEER).await;
        let paths = paths.map_err(|error| error.to_string())?;
        let open = paths.iter().filter(|path| path.direction == direction);
        let open = open.count();
        Ok(AttemptResult {
            works: open > 0,
            evidence: format!("{open} open path{}", if open == 1 { "" } else { "s" }),
            at: Timestamp::now(),
        })
    }
}

impl Reach for Paths {
    fn inward<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> BoxFuture<'a, std::result::Result<AttemptResult, String>> {
        Box::pin(self.open(&instance.id, "in"))
    }

    fn outward<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> BoxFuture<'a, std::result::Result<AttemptResult, String>> {
        Box::pin(self.open(&instance.id, "out"))
    }
}
