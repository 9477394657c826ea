//! The two emulators, started by `tests/local_aws/serve.py` and ended when this process ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use serde_json::Value;

use crate::{Result, checkout};

/// The root user's key on the emulators.
const ROOT: &str = "test";

#[derive(Debug)]
pub struct LocalAws {
    /// Everything but EC2.
    pub endpoint: String,
    /// EC2, Auto Scaling and load balancing.
    pub ec2_endpoint: String,
    pub account_id: String,
    pub region: String,
    /// Holds the supervisor's standard input open. It stops the emulators when that closes, so
    /// they end with this process even if it is killed.
    supervisor: Child,
    /// The connections of all clients, if they are shared.
    http: Option<SharedHttpClient>,
}

impl LocalAws {
    pub fn start() -> Result<Self> {
        Self::serve(&[], None)
    }

    /// The same for thousands of runs: nothing is recorded, which is half of what a call takes, and the
    /// clients share their connections. So it is for tests that have one runtime in common.
    pub fn start_quick() -> Result<Self> {
        let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
        let http = Builder::new().tls_provider(provider).build_https();
        Self::serve(&["--quick"], Some(http))
    }

    fn serve(options: &[&str], http: Option<SharedHttpClient>) -> Result<Self> {
        let root = checkout();
        let python = root.join(".local/emulators/bin/python");
        if !python.exists() {
            return Err("the emulators are not installed: run `make setup`".into());
        }
        let mut supervisor = Command::new(python)
            .arg(root.join("tests/local_aws/serve.py"))
            .arg("--log-folder")
            .arg(root.join(".local/log"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let ready: Value =
            serde_json::from_str(&line).map_err(|_| "the emulators did not start")?;
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            endpoint: text("aws"),
            ec2_endpoint: text("ec2"),
            account_id: text("account_id"),
            region: text("region"),
            supervisor,
            http,
        })
    }

    /// Stops the emulators and waits until they are gone.
    pub fn stop(mut self) -> Result {
        drop(self.supervisor.stdin.take());
        let status = self.supervisor.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the emulators: {status}").into())
        }
    }

    /// The account's root user.
    #[must_use]
    pub fn root(&self) -> SdkConfig {
        self.signed_in(&Credentials::new(ROOT, ROOT, None, None, "root"))
    }

    #[must_use]
    pub fn signed_in(&self, credentials: &Credentials) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()));
        config.set_http_client(self.http.clone());
        config.build()
    }

    #[must_use]
    pub fn ec2(&self) -> aws_sdk_ec2::Client {
        self.ec2_in(&self.region)
    }

    /// EC2 in another Region of the account.
    #[must_use]
    pub fn ec2_in(&self, region: &str) -> aws_sdk_ec2::Client {
        let root = self
            .root()
            .into_builder()
            .region(Region::new(region.to_owned()))
            .endpoint_url(&self.ec2_endpoint)
            .build();
        aws_sdk_ec2::Client::new(&root)
    }

    #[must_use]
    pub fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.root())
    }

    /// The environment in which a command-line tool acts as the root user.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 6] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", ROOT),
            ("AWS_SECRET_ACCESS_KEY", ROOT),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ]
    }
}

/// Turns a call's result into allowed or refused, with AWS's word for it. Any other failure stays one:
/// an attack that fails since the emulator is down must not look contained.
pub fn allowed<T, E, R>(result: std::result::Result<T, SdkError<E, R>>) -> Result<(bool, String)>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    const REFUSALS: [&str; 6] = [
        "AccessDenied",
        "AccessDeniedException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "ExpiredToken",
        "UnrecognizedClientException",
    ];
    match result {
        Ok(_) => Ok((true, "allowed".to_owned())),
        Err(error) => match error.code() {
            Some(code) if REFUSALS.contains(&code) => Ok((false, format!("refused: {code}"))),
            _ => Err(error.into()),
        },
    }
}
