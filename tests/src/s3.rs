//! The S3 playbook's clients, as the emulators take them.

use aws_config::SdkConfig;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use playbooks::S3;

/// Without the account in the host's name, which would be one that does not resolve.
#[derive(Debug)]
struct NoHostPrefix(String);

impl ResolveEndpoint for NoHostPrefix {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let endpoint = Endpoint::builder().url(self.0.clone());
        let endpoint = match params.account_id() {
            Some(account) => endpoint.header("x-amz-account-id", account.to_owned()),
            None => endpoint,
        };
        EndpointFuture::ready(Ok(endpoint.build()))
    }
}

/// A client for the account's own settings, which the emulator of EC2 has.
#[must_use]
pub fn control(sdk: &SdkConfig, endpoint: &str) -> aws_sdk_s3control::Client {
    let config = aws_sdk_s3control::config::Builder::from(sdk);
    let config = config.endpoint_resolver(NoHostPrefix(endpoint.to_owned()));
    aws_sdk_s3control::Client::from_conf(config.build())
}

/// A client that has no name for each bucket.
#[must_use]
pub fn client(sdk: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(sdk);
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

#[must_use]
pub fn playbook(sdk: &SdkConfig, control_endpoint: &str) -> S3 {
    let trail = aws_sdk_cloudtrail::Client::new(sdk);
    S3::with_clients(client(sdk), control(sdk, control_endpoint), trail)
}
