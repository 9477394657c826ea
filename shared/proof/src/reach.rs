//! How it is tried whether an instance can be reached, and whether it reaches others.

use std::time::Duration;

use aws_config::SdkConfig;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::record::AttemptResult;

/// The port on which the instances of a proof listen.
pub const PORT: u16 = 8080;
/// How often an instance sends its heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(3);

/// An instance of the proof, as those need it who try its connections.
#[derive(Clone, Debug)]
pub struct Instance {
    pub id: String,
    pub public_address: Option<String>,
    /// The bucket of its heartbeat.
    pub bucket: String,
    pub key: String,
}

/// Tries the connections of an instance.
pub trait Reach: Send + Sync {
    /// Whether somebody on the internet gets a connection to the instance.
    fn inward<'a>(&'a self, instance: &'a Instance)
    -> BoxFuture<'a, Result<AttemptResult, String>>;
    /// Whether the instance gets a connection to somebody on the internet.
    fn outward<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> BoxFuture<'a, Result<AttemptResult, String>>;
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

    async fn connect(&self, instance: &Instance) -> AttemptResult {
        let at = (self.clock)();
        let Some(address) = &instance.public_address else {
            let evidence = format!("{} has no public address", instance.id);
            return AttemptResult {
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
        AttemptResult {
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
    fn inward<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> BoxFuture<'a, Result<AttemptResult, String>> {
        Box::pin(async move { Ok(self.connect(instance).await) })
    }

    fn outward<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> BoxFuture<'a, Result<AttemptResult, String>> {
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
                    return Ok(AttemptResult {
                        works: true,
                        evidence,
                        at,
                    });
                }
            }
            let seconds = (HEARTBEAT * MISSING).as_secs();
            let evidence = format!("no heartbeat in {seconds} s");
            Ok(AttemptResult {
                works: false,
                evidence,
                at,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_sdk_s3::operation::head_object::HeadObjectOutput;
    use aws_sdk_s3::primitives::DateTime;
    use testkit::{mock, mock_client};
    use tokio::net::TcpListener;

    use super::*;

    fn noon() -> Timestamp {
        "2026-03-04T12:00:00Z".parse().expect("a time")
    }

    fn instance(public_address: Option<&str>) -> Instance {
        Instance {
            id: "i-0123456789abcdef0".to_owned(),
            public_address: public_address.map(ToOwned::to_owned),
            bucket: "data".to_owned(),
            key: "heartbeat".to_owned(),
        }
    }

    fn internet(s3: aws_sdk_s3::Client, port: u16) -> Internet {
        Internet {
            s3,
            clock: noon,
            port,
        }
    }

    /// S3, to which a heartbeat comes before each of the first `beats` looks.
    fn beating(beats: u64) -> aws_sdk_s3::Client {
        let looks = AtomicU64::new(0);
        let head = mock!(aws_sdk_s3::Client::head_object).then_output(move || {
            let beat = looks.fetch_add(1, Ordering::Relaxed).min(beats);
            let at = noon().as_second() + i64::try_from(beat).expect("a second");
            HeadObjectOutput::builder()
                .e_tag(beat.to_string())
                .last_modified(DateTime::from_secs(at))
                .build()
        });
        mock_client!(aws_sdk_s3, [&head])
    }

    #[tokio::test]
    async fn a_port_is_open_only_where_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let s3 = beating(0);
        let here = instance(Some("127.0.0.1"));
        let open = internet(s3.clone(), port)
            .inward(&here)
            .await
            .expect("an answer");
        assert!(open.works, "{open:?}");
        drop(listener);
        let closed = internet(s3.clone(), port)
            .inward(&here)
            .await
            .expect("an answer");
        assert!(
            !closed.works && closed.evidence.contains("TCP port"),
            "{closed:?}"
        );
        let nowhere = internet(s3, port)
            .inward(&instance(None))
            .await
            .expect("an answer");
        assert!(!nowhere.works && nowhere.evidence.contains("no public address"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_counts_only_if_it_comes_while_it_is_waited_for() {
        let alive = internet(beating(100), PORT).outward(&instance(None)).await;
        let alive = alive.expect("an answer");
        assert!(
            alive.works
                && alive
                    .evidence
                    .starts_with("a heartbeat at 2026-03-04T12:00")
        );
        // There are old ones.
        let dead = internet(beating(0), PORT).outward(&instance(None)).await;
        let dead = dead.expect("an answer");
        assert!(!dead.works, "{dead:?}");
        assert_eq!(
            (dead.at, dead.evidence.as_str()),
            (noon(), "no heartbeat in 12 s")
        );
    }
}
