//! How AWS is called: the settings that all clients share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// How many requests were sent. An execution environment answers one event at a time.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// How many requests this process has sent to AWS through the settings of [`load`], with those that were
/// sent again.
pub(crate) fn requests() -> u64 {
    REQUESTS.load(Ordering::Relaxed)
}

/// Loads the settings from the function's environment.
///
/// Retries: throttling is shared with everybody in the account, so it is met with patience (six
/// attempts). Time-outs: the SDK sets none on reading an answer, and one connection that hangs
/// would use up the whole invocation.
pub async fn load() -> SdkConfig {
    let sdk = aws_config::defaults(BehaviorVersion::latest())
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
        .await;
    match sdk.http_client() {
        Some(client) => sdk.to_builder().http_client(Counting(client)).build(),
        None => sdk,
    }
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
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        self.0.call(request)
    }
}
