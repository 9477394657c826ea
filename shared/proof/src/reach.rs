//! How it is tried whether an instance can be reached, and whether it reaches others.

use std::time::Duration;

use aws_config::SdkConfig;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::record::Answer;

/// The port on which the instances of a proof listen.
pub const PORT: u16 = 8080;
/// How often an instance sends its heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(3);

/// An instance of the proof, as those need it who try its connections.
#[derive(Clone, Debug)]
pub struct Instance {
    pub id: String,
    pub public_address: Option<String>,
    /// Where its heartbeat goes.
    pub bucket: String,
    pub key: String,
}

/// Tries the connections of an instance.
pub trait Reach: Send + Sync {
    /// Whether somebody on the internet gets a connection to the instance.
    fn inward<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<Answer, String>>;
    /// Whether the instance gets a connection to somebody on the internet.
    fn outward<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<Answer, String>>;
}

/// By real connections: from here to the instance's public address, and by the heartbeat that the instance puts
/// into the proof's bucket.
#[derive(Clone, Debug)]
pub struct Internet {
    s3: aws_sdk_s3::Client,
    clock: fn() -> Timestamp,
    port: u16,
}

/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(3);
/// How many heartbeats may be missing before there is none.
const MISSING: u32 = 4;

impl Internet {
    #[must_use]
    pub fn new(sdk: &SdkConfig, clock: fn() -> Timestamp) -> Self {
        Self {
            s3: aws_sdk_s3::Client::new(sdk),
            clock,
            port: PORT,
        }
    }

    /// The same, trying another port.
    #[must_use]
    pub fn at_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    async fn connect(&self, instance: &Instance) -> Answer {
        let at = (self.clock)();
        let Some(address) = &instance.public_address else {
            let evidence = format!("{} has no public address", instance.id);
            return Answer {
                works: false,
                evidence,
                at,
            };
        };
        let connecting = TcpStream::connect((address.as_str(), self.port));
        let (works, evidence) = match timeout(CONNECTING, connecting).await {
            Ok(Ok(_)) => (true, format!("TCP connection to port {}", self.port)),
            Ok(Err(error)) => (false, format!("TCP port {}: {error}", self.port)),
            Err(_) => {
                let seconds = CONNECTING.as_secs();
                (
                    false,
                    format!("TCP port {}: no answer in {seconds} s", self.port),
                )
            }
        };
        Answer {
            works,
            evidence,
            at,
        }
    }

    async fn heartbeat(&self, instance: &Instance) -> Result<Option<(String, Timestamp)>, String> {
        let head = self
            .s3
            .head_object()
            .bucket(&instance.bucket)
            .key(&instance.key);
        match head.send().await {
            Ok(found) => {
                let beat = found.e_tag.unwrap_or_default();
                let at = found
                    .last_modified
                    .and_then(|at| Timestamp::from_second(at.secs()).ok());
                Ok(at.map(|at| (beat, at)))
            }
            Err(error) if error.as_service_error().is_some_and(|it| it.is_not_found()) => Ok(None),
            Err(error) => Err(format!(
                "s3:GetObject on {}/{} failed: {}",
                instance.bucket,
                instance.key,
                aws_sdk_s3::error::DisplayErrorContext(&error),
            )),
        }
    }
}

impl Reach for Internet {
    fn inward<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move { Ok(self.connect(instance).await) })
    }

    fn outward<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let at = (self.clock)();
            let before = self.heartbeat(instance).await?;
            for _ in 0..MISSING {
                sleep(HEARTBEAT).await;
                let now = self.heartbeat(instance).await?;
                if now != before
                    && let Some((_, beat)) = now
                {
                    let evidence = format!("a heartbeat at {beat}");
                    return Ok(Answer {
                        works: true,
                        evidence,
                        at,
                    });
                }
            }
            let seconds = (HEARTBEAT * MISSING).as_secs();
            let evidence = format!("no heartbeat in {seconds} s");
            Ok(Answer {
                works: false,
                evidence,
                at,
            })
        })
    }
}
