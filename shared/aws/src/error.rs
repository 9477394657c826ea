//! How an error of the SDK becomes one that names the operation and its target.

use std::error::Error as StdError;
use std::iter;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
pub use model::error::*;

/// Reduces an SDK error to its code and message, and classifies it.
pub fn call_error<E: ProvideErrorMetadata>(
    operation: &'static str,
    target: impl Into<String>,
    error: &SdkError<E, HttpResponse>,
) -> CallError {
    let (code, message, kind) = match error {
        SdkError::TimeoutError(_) => (
            "Timeout".to_owned(),
            "the call timed out".to_owned(),
            CallFailure::Transient,
        ),
        SdkError::DispatchFailure(failure) => not_sent(failure.as_connector_error()),
        SdkError::ResponseError(_) => (
            "UnreadableResponse".to_owned(),
            "the answer could not be read".to_owned(),
            CallFailure::Transient,
        ),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service
                .err()
                .code()
                .map_or_else(|| format!("HTTP {status}"), ToOwned::to_owned);
            let message = service
                .err()
                .message()
                .unwrap_or("the service gave no message")
                .to_owned();
            let kind = CallFailure::of(&code, status);
            (code, message, kind)
        }
        _ => (
            "RequestNotBuilt".to_owned(),
            "the request could not be built".to_owned(),
            CallFailure::Permanent,
        ),
    };
    CallError {
        operation,
        target: target.into(),
        code,
        message,
        kind,
    }
}

/// Why a request did not reach AWS: the SDK asks for the credentials and the endpoint just before it connects,
/// and reports what it then lacks as a failure to connect.
fn not_sent(failure: Option<&ConnectorError>) -> (String, String, CallFailure) {
    let first = failure.and_then(StdError::source);
    let causes: Vec<_> = iter::successors(first, |&error| error.source()).collect();
    let text = |error: &&(dyn StdError + 'static)| error.to_string();
    // The SDK tells of several sources of credentials on as many lines.
    let innermost = causes.last().map(text);
    let innermost =
        innermost.map(|text| text.lines().map(str::trim).collect::<Vec<_>>().join("; "));
    let mut credentials = causes.iter().filter_map(|error| error.downcast_ref());
    if let Some(error) = credentials.next() {
        let message = format!(
            "there are no credentials to sign the request with: {}: check the profile, the environment or the \
             role that they come from",
            innermost.unwrap_or_default(),
        );
        let kind = match error {
            CredentialsError::CredentialsNotLoaded(_)
            | CredentialsError::InvalidConfiguration(_) => CallFailure::Permanent,
            _ => CallFailure::Transient,
        };
        return ("NoCredentials".to_owned(), message, kind);
    }
    if causes.iter().map(text).any(|text| text.contains(NO_REGION)) {
        let message = "no Region is set: name one, in AWS_REGION or in the profile";
        return (
            "NoRegion".to_owned(),
            message.to_owned(),
            CallFailure::Permanent,
        );
    }
    let because = innermost.map_or_else(String::new, |innermost| format!(": {innermost}"));
    if failure.is_some_and(ConnectorError::is_user) {
        let message = format!("the request could not be sent{because}");
        return ("RequestNotSent".to_owned(), message, CallFailure::Permanent);
    }
    let message = format!("the connection failed{because}");
    (
        "ConnectionFailed".to_owned(),
        message,
        CallFailure::Transient,
    )
}

/// How the endpoint rules of every service say it, <https://github.com/smithy-lang/smithy-rs>.
const NO_REGION: &str = "Missing Region";

/// Names the operation and the resource of a failed SDK call.
///
/// `format!("{e}")` of an [`SdkError`] prints only "service error", so no SDK error may travel
/// further than the call that met it.
pub trait CallContext<T> {
    /// Turns an SDK error into an [`Error::Call`] that names `operation` and `target`.
    fn during(self, operation: &'static str, target: &str) -> Result<T>;
}

impl<T, E: ProvideErrorMetadata> CallContext<T>
    for std::result::Result<T, SdkError<E, HttpResponse>>
{
    fn during(self, operation: &'static str, target: &str) -> Result<T> {
        self.map_err(|error| call_error(operation, target, &error).into())
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::{ProvideCredentials, future};
    use aws_sdk_sts::config::retry::RetryConfig;
    use aws_sdk_sts::config::{BehaviorVersion, Builder, Region};
    use testkit::NothingSent;

    use super::*;

    /// A source of credentials, and the failure that comes from it.
    #[derive(Debug)]
    struct Nobody(fn() -> CredentialsError);

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(self.0()))
        }
    }

    async fn unsent(config: Builder) -> Error {
        let config = config.behavior_version(BehaviorVersion::latest());
        let client = aws_sdk_sts::Client::from_conf(config.http_client(NothingSent).build());
        let answer = client.get_caller_identity().send().await;
        answer
            .during("sts:GetCallerIdentity", "the caller")
            .expect_err("nothing was sent")
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_credentials_or_a_region_says_so_and_is_not_retried() {
        let with = |why| {
            let region = Region::new("us-east-1");
            Builder::new()
                .region(region)
                .credentials_provider(Nobody(why))
        };
        for (config, told) in [
            (
                with(|| CredentialsError::not_loaded("no providers in chain provided credentials")),
                "no providers in chain provided credentials",
            ),
            (
                with(|| CredentialsError::invalid_configuration("no profile nosuch was defined")),
                "no profile nosuch was defined",
            ),
            (Builder::new().allow_no_auth(), "no Region is set"),
        ] {
            let error = unsent(config).await;
            let text = error.to_string();
            for part in ["sts:GetCallerIdentity", told] {
                assert!(text.contains(part), "no {part}: {text}");
            }
            assert!(!error.is_transient(), "{text}");
        }
        for may_pass in [
            with(|| CredentialsError::provider_error("503 of the metadata service")),
            with(|| CredentialsError::provider_timed_out(std::time::Duration::from_secs(5))),
        ] {
            let error = unsent(may_pass).await;
            assert!(error.is_transient(), "{error}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_named_as_such_and_may_be_tried_again() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", closed.local_addr().expect("an address"));
        drop(closed);
        let config = Builder::new().behavior_version(BehaviorVersion::latest());
        let config = config
            .region(Region::new("us-east-1"))
            .allow_no_auth()
            .retry_config(RetryConfig::disabled());
        let client = aws_sdk_sts::Client::from_conf(config.endpoint_url(address).build());
        let answer = client.get_caller_identity().send().await;
        let error = answer
            .during("sts:GetCallerIdentity", "the caller")
            .expect_err("nobody listens");
        let text = error.to_string();
        assert!(
            text.contains("the connection failed: ") && text.contains("refused"),
            "{text}"
        );
        assert!(
            error.has_code("ConnectionFailed") && error.is_transient(),
            "{text}"
        );
    }
}
