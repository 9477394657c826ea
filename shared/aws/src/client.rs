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

/// The requests sent so far. An execution environment answers one event at a time.
static SENT: Ledger = Ledger::new();

/// The requests that this process has sent to AWS through the settings of [`load`], with the retries.
pub fn sent() -> Sent {
    SENT.read()
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many requests.
    pub requests: u64,
    /// How many sequential round trips: the longest chain of requests of which each began when the one
    /// before it was answered, or given up.
    pub round_trips: u64,
}

impl Sent {
    /// The requests sent since `before`.
    pub fn since(self, before: Self) -> Self {
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
    use std::sync::{Arc, Mutex};

    use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::error::{CallContext as _, Error};

    #[tokio::test]
    async fn requests_with_the_settings_are_counted() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", nobody.local_addr().expect("an address"));
        drop(nobody);
        let sdk = load().await.into_builder().endpoint_url(endpoint);
        let sdk = sdk
            .region(aws_config::Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        let before = sent();
        let answer = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send();
        assert!(answer.await.is_err());
        assert!(sent().since(before).requests > 0);
    }

    /// A connection that answers each request with `answer`, or never.
    #[derive(Clone, Debug, Default)]
    struct Connection {
        answer: Option<(u16, &'static str)>,
        requests: Arc<Mutex<Vec<Instant>>>,
        settings: Arc<Mutex<Option<HttpConnectorSettings>>>,
    }

    impl HttpClient for Connection {
        fn http_connector(
            &self,
            settings: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            *self.settings.lock().unwrap() = Some(settings.clone());
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Connection {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.requests.lock().unwrap().push(Instant::now());
            match self.answer {
                Some((status, body)) => {
                    let status = status.try_into().expect("a status");
                    let answer =
                        HttpResponse::new(status, aws_smithy_types::body::SdkBody::from(body));
                    HttpConnectorFuture::ready(Ok(answer))
                }
                None => HttpConnectorFuture::new(std::future::pending()),
            }
        }
    }

    /// A call with the settings of [`load`] over this connection, and how long it took.
    async fn called(connection: &Connection) -> (Error, Duration) {
        let sdk = load().await.into_builder();
        let sdk = sdk
            .http_client(connection.clone())
            .region(aws_config::Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        let start = Instant::now();
        let answer = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send();
        let answer = timeout(Duration::from_secs(3_600), answer).await;
        let answer = answer
            .expect("an end")
            .during("sts:GetCallerIdentity", "the caller");
        (answer.expect_err("no answer"), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_throttled_is_tried_six_times_each_later_than_the_one_before() {
        let throttled = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>\
             </ErrorResponse>";
        let connection = Connection {
            answer: Some((400, throttled)),
            ..Connection::default()
        };
        let (error, took) = called(&connection).await;
        assert!(error.is_transient(), "{error}");
        let requests = connection.requests.lock().unwrap().clone();
        assert_eq!(requests.len(), 6, "{error}");
        // At most 0.3, 0.6, 1.2, 2.4 and 4.8 seconds, by chance.
        assert!(
            requests.is_sorted() && took <= Duration::from_millis(9_300),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_never_answered_is_tried_again_and_given_up_before_the_invocation_is_over()
     {
        let connection = Connection::default();
        let (error, took) = called(&connection).await;
        assert!(error.is_transient(), "{error}");
        assert_eq!(took, Duration::from_secs(30));
        let requests = connection.requests.lock().unwrap().clone();
        let [first, second, ..] = requests[..] else {
            panic!("{requests:?}");
        };
        let attempt = second.duration_since(first);
        let most = Duration::from_millis(8_300);
        assert!(
            (Duration::from_secs(8)..=most).contains(&attempt),
            "{attempt:?}"
        );
        let settings = connection
            .settings
            .lock()
            .unwrap()
            .clone()
            .expect("settings");
        assert_eq!(settings.connect_timeout(), Some(Duration::from_secs(2)));
        assert_eq!(settings.read_timeout(), Some(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_the_connection_and_says_nothing_is_given_up_after_five_seconds() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
        let sdk = load().await.into_builder().endpoint_url(endpoint);
        let sdk = sdk
            .region(aws_config::Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        let start = Instant::now();
        let answer = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send();
        let answer = timeout(Duration::from_secs(3_600), answer).await;
        let answer = answer
            .expect("an end")
            .during("sts:GetCallerIdentity", "the caller");
        let (error, took) = (answer.expect_err("no answer"), start.elapsed());
        assert!(error.is_transient(), "{error}");
        // The clock may run ahead by the time for connecting.
        let most = Duration::from_secs(7);
        assert!((Duration::from_secs(5)..=most).contains(&took), "{took:?}");
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
