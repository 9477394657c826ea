//! The attempts of attackers and bystanders: real requests, and what AWS answers to them.

use std::time::Duration;

use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::types::ThrottleReason;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use futures::future::join_all;
use jiff::Timestamp;
use remediation::error::{Error, Result, call_error};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::reach::Instance;
use crate::record::AttemptResult;
use crate::watcher::Who;

/// One request, which can be tried again and again.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) who: Who,
    /// In words.
    pub(crate) request: String,
    pub(crate) probe: Probe,
}

#[derive(Debug)]
pub(crate) enum Probe {
    ReadObject {
        client: aws_sdk_s3::Client,
        bucket: String,
        key: String,
    },
    ListBucket {
        client: aws_sdk_s3::Client,
        bucket: String,
    },
    WhoAmI(aws_sdk_sts::Client),
    Invoke {
        client: aws_sdk_lambda::Client,
        function: String,
    },
    Inward(Instance),
    Outward(Instance),
}

impl Attempt {
    pub(crate) fn attack(request: &str, probe: Probe) -> Self {
        Self {
            who: Who::Attacker,
            request: request.to_owned(),
            probe,
        }
    }

    pub(crate) fn bystander(request: &str, probe: Probe) -> Self {
        Self {
            who: Who::Bystander,
            ..Self::attack(request, probe)
        }
    }

    /// Tries it now.
    ///
    /// # Errors
    /// An answer that neither works nor refuses: it says nothing of a containment.
    pub(crate) async fn ask(&self, context: &Context<'_>) -> Result<AttemptResult> {
        let at = context.now();
        let (owner, reach) = (&context.account, &context.world.reach);
        let (works, evidence) = match &self.probe {
            Probe::ReadObject {
                client,
                bucket,
                key,
            } => {
                let call = client.get_object().bucket(bucket).key(key);
                let answer = call.expected_bucket_owner(owner).send().await;
                judge("s3:GetObject", bucket, answer)?
            }
            Probe::ListBucket { client, bucket } => {
                let call = client.list_objects_v2().bucket(bucket);
                let answer = call.expected_bucket_owner(owner).send().await;
                judge("s3:ListBucket", bucket, answer)?
            }
            Probe::WhoAmI(client) => {
                let answer = client.get_caller_identity().send().await;
                judge("sts:GetCallerIdentity", "the key", answer)?
            }
            Probe::Invoke { client, function } => judge_invocation(
                function,
                client.invoke().function_name(function).send().await,
            )?,
            Probe::Inward(instance) => {
                return reach.inward(instance).await.map_err(Error::Refused);
            }
            Probe::Outward(instance) => {
                return reach.outward(instance).await.map_err(Error::Refused);
            }
        };
        Ok(AttemptResult {
            works,
            evidence,
            at,
        })
    }
}

/// How AWS refuses a request for the sake of its credentials or of a policy. The end of a session is none of them: it
/// would look like a containment.
const REFUSALS: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// Whether a request works, with AWS's word for it.
fn judge<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    target: &str,
    answer: std::result::Result<T, SdkError<E, HttpResponse>>,
) -> Result<(bool, String)> {
    let error = match answer {
        Ok(_) => return Ok((true, "allowed".to_owned())),
        Err(error) => error,
    };
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    let error = call_error(operation, target, &error);
    if !REFUSALS.contains(&error.code.as_str()) {
        return Err(error.into());
    }
    let status = status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
    Ok((false, format!("refused: {}{status}", error.code)))
}

/// Whether a function ran. Its own throttle counts as a refusal, and not that of the account.
fn judge_invocation(
    function: &str,
    answer: std::result::Result<InvokeOutput, SdkError<InvokeError, HttpResponse>>,
) -> Result<(bool, String)> {
    if let Ok(InvokeOutput {
        function_error: Some(error),
        ..
    }) = &answer
    {
        return Err(Error::Refused(format!(
            "the function {function} failed ({error}): whether it can be invoked is not known"
        )));
    }
    let refused = answer.as_ref().err().and_then(SdkError::as_service_error);
    if let Some(InvokeError::TooManyRequestsException(error)) = refused
        && error.reason()
            == Some(&ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded)
    {
        return Ok((
            false,
            "refused: TooManyRequestsException (HTTP 429)".to_owned(),
        ));
    }
    judge("lambda:InvokeFunction", function, answer)
}

/// The last answer to an attempt.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: AttemptResult,
    /// Since when the answer is as wanted; `None`: it is not.
    pub(crate) since: Option<Timestamp>,
}

/// Tries all at the same time, each until it works or no longer works, as wanted. All of them must still do so when
/// they are tried once more: AWS's endpoints do not all learn of a change at the same time.
///
/// # Errors
/// As [`Attempt::ask`], where that is still so after `for_how_long`.
pub(crate) async fn ask_until(
    context: &Context<'_>,
    attempts: &[(&Attempt, bool)],
    for_how_long: Duration,
) -> Result<Vec<Asked>> {
    let until = Instant::now() + for_how_long;
    let mut since = vec![None; attempts.len()];
    loop {
        let asking = attempts
            .iter()
            .map(|(attempt, wanted)| Box::pin(ask_until_once(context, attempt, *wanted, until)));
        let answers: Result<Vec<_>> = join_all(asking).await.into_iter().collect();
        let answers = answers?;
        let once_more = attempts
            .iter()
            .map(|(attempt, _)| Box::pin(attempt.ask(context)));
        let once_more = join_all(once_more).await;
        let mut settled = true;
        for (index, (_, wanted)) in attempts.iter().enumerate() {
            let as_wanted = |answer: &AttemptResult| answer.works == *wanted;
            if !as_wanted(&answers[index]) {
                since[index] = None;
            } else if once_more[index].as_ref().is_ok_and(as_wanted) {
                since[index].get_or_insert(answers[index].at);
            } else {
                since[index] = None;
                settled = false;
            }
        }
        if settled || Instant::now() >= until {
            let asked = answers.into_iter().zip(since);
            return Ok(asked
                .map(|(answer, since)| Asked { answer, since })
                .collect());
        }
    }
}

/// Tries all at the same time, once.
///
/// # Errors
/// As [`Attempt::ask`].
pub(crate) async fn ask_once(
    context: &Context<'_>,
    attempts: &[&Attempt],
) -> Result<Vec<AttemptResult>> {
    let asking = attempts
        .iter()
        .map(|attempt| Box::pin(attempt.ask(context)));
    join_all(asking).await.into_iter().collect()
}

async fn ask_until_once(
    context: &Context<'_>,
    attempt: &Attempt,
    wanted: bool,
    until: Instant,
) -> Result<AttemptResult> {
    loop {
        let answer = Box::pin(attempt.ask(context)).await;
        let settled = answer.as_ref().is_ok_and(|answer| answer.works == wanted);
        if settled || Instant::now() >= until {
            return answer;
        }
        sleep(context.world.patience.pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;
    use testkit::{MockResponse, mock, mock_client};

    async fn judged(code: &'static str, status: u16) -> Result<(bool, String)> {
        let rule = mock!(aws_sdk_sts::Client::get_caller_identity).then_compute_response(move |_| {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            );
            let status = status.try_into().expect("a status");
            MockResponse::Http(HttpResponse::new(status, SdkBody::from(body)))
        });
        let sts = mock_client!(aws_sdk_sts, [&rule]);
        let answer = sts.get_caller_identity().send().await;
        judge("sts:GetCallerIdentity", "the key", answer)
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_refusal_counts_as_one() {
        let (works, evidence) = judged("InvalidClientTokenId", 403).await.expect("refused");
        assert!(!works);
        assert_eq!(evidence, "refused: InvalidClientTokenId (HTTP 403)");
        for (code, status) in [
            ("ExpiredToken", 403),
            ("InternalFailure", 500),
            ("SignatureDoesNotMatch", 403),
        ] {
            let error = judged(code, status).await.expect_err(code);
            let error = error.to_string();
            assert!(
                error.contains("sts:GetCallerIdentity on the key"),
                "{error}"
            );
        }
    }

    async fn invoked(
        status: u16,
        header: (&'static str, &'static str),
        body: &'static str,
    ) -> Result<(bool, String)> {
        let rule = mock!(aws_sdk_lambda::Client::invoke).then_compute_response(move |_| {
            let status = status.try_into().expect("a status");
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert(header.0, header.1);
            MockResponse::Http(response)
        });
        let lambda = mock_client!(aws_sdk_lambda, [&rule]);
        judge_invocation(
            "orders",
            lambda.invoke().function_name("orders").send().await,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_is_stopped_only_by_its_own_throttle() {
        let throttled = ("x-amzn-errortype", "TooManyRequestsException");
        let own = r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}"#;
        let (works, evidence) = invoked(429, throttled, own).await.expect("refused");
        assert!(!works);
        assert_eq!(evidence, "refused: TooManyRequestsException (HTTP 429)");
        let of_account = r#"{"Reason":"ConcurrentInvocationLimitExceeded"}"#;
        let error = invoked(429, throttled, of_account).await;
        let error = error
            .expect_err("it says nothing of the function")
            .to_string();
        assert!(error.contains("lambda:InvokeFunction on orders"), "{error}");
        let failed = ("x-amz-function-error", "Unhandled");
        let error = invoked(200, failed, "{}")
            .await
            .expect_err("it failed")
            .to_string();
        assert!(
            error.contains("the function orders failed (Unhandled)"),
            "{error}"
        );
        let ran = invoked(200, ("x-amz-executed-version", "$LATEST"), "{}").await;
        assert!(ran.expect("it ran").0);
    }
}
