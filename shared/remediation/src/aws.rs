//! How AWS is called: the settings that all clients share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// What was sent so far. An execution environment answers one event at a time.
static SENT: Ledger = Ledger::new();

/// What this process has sent to AWS through the settings of [`load`], with what was sent again.
pub(crate) fn sent() -> Sent {
    SENT.read()
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How many requests.
    pub(crate) requests: u64,
    /// How many sequential round trips: the longest chain of requests of which each began when the one
    /// before it was answered, or given up.
    pub(crate) round_trips: u64,
}

impl Sent {
    /// What was sent since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            round_trips: self.round_trips.saturating_sub(before.round_trips),
        }
    }
}

#[derive(Debug)]
struct Ledger {
    requests: AtomicU64,
    /// The length of the longest chain that has ended.
    longest: AtomicU64,
}

impl Ledger {
    const fn new() -> Self {
        Self {
            requests: AtomicU64::new(0),
            longest: AtomicU64::new(0),
        }
    }

    fn read(&self) -> Sent {
        Sent {
            requests: self.requests.load(Ordering::Relaxed),
            round_trips: self.longest.load(Ordering::Relaxed),
        }
    }

    /// Enters a request, until what is returned is dropped.
    fn begin(&self) -> OnItsWay<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        OnItsWay {
            ledger: self,
            chain: self.longest.load(Ordering::Relaxed) + 1,
        }
    }
}

/// A request that is not answered yet.
struct OnItsWay<'a> {
    ledger: &'a Ledger,
    /// How long the chain is that ends with it.
    chain: u64,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.ledger.longest.fetch_max(self.chain, Ordering::Relaxed);
    }
}

/// Loads the settings from the function's environment.
///
/// Retries: throttling is shared with everybody in the account, so it is met with patience (six
/// attempts). Time-outs: the SDK sets none on reading an answer, and one connection that hangs
/// would use up the whole invocation.
pub async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Counting(https()))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(6)
                .with_initial_backoff(Duration::from_millis(300))
                .with_max_backoff(Duration::from_secs(5)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .read_timeout(Duration::from_secs(5))
                .operation_attempt_timeout(Duration::from_secs(8))
                .operation_timeout(Duration::from_secs(30))
                .build(),
        )
        .load()
        .await
}

/// The client that the SDK takes where it is given none: then there is none yet that could be counted.
fn https() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

#[derive(Debug)]
struct Counting<T>(T);

impl HttpClient for Counting<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Counting(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Counting<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (on_its_way, answer) = (SENT.begin(), self.0.call(request));
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            drop(on_its_way);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_with_the_settings_is_counted() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", nobody.local_addr().expect("an address"));
        drop(nobody);
        let sdk = load().await.into_builder().endpoint_url(endpoint);
        let sdk = sdk
            .region(aws_config::Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(
                aws_sdk_sts::config::Credentials::for_tests(),
            ))
            .build();
        let before = sent();
        let answer = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send();
        assert!(answer.await.is_err());
        assert!(sent().since(before).requests > 0);
    }

    #[test]
    fn requests_that_are_on_their_way_at_once_are_one_round_trip() {
        let ledger = Ledger::new();
        drop(ledger.begin());
        let before = ledger.read();
        assert_eq!((before.requests, before.round_trips), (1, 1));
        let together = [ledger.begin(), ledger.begin(), ledger.begin()];
        drop(together);
        assert_eq!(ledger.read().round_trips, 2);
        // One that is on its way all the time makes no chain longer.
        let slow = ledger.begin();
        drop(ledger.begin());
        drop(ledger.begin());
        drop(slow);
        let sent = ledger.read().since(before);
        assert_eq!((sent.requests, sent.round_trips), (6, 3));
    }
}
