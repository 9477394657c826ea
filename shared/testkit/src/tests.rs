//! That a client answers what the rules say, as the AWS crates would read it, and nothing else.

use aws_sdk_sts::Client;
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use aws_sdk_sts::operation::get_session_token::GetSessionTokenOutput;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{MockResponse, mock, mock_client};

fn caller() -> crate::Rule {
    mock!(Client::get_caller_identity).then_output(|| {
        GetCallerIdentityOutput::builder()
            .account("111122223333")
            .build()
    })
}

#[tokio::test]
async fn the_first_rule_that_matches_answers_each_time() {
    let for_an_hour = mock!(Client::get_session_token)
        .match_requests(|request| request.duration_seconds() == Some(3600))
        .then_output(|| GetSessionTokenOutput::builder().build());
    let refused = mock!(Client::get_session_token).then_compute_response(|_| {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>";
        MockResponse::Http(HttpResponse::new(403.try_into().unwrap(), body.into()))
    });
    let sts = mock_client!(aws_sdk_sts, [&caller(), &for_an_hour, &refused]);
    for _ in 0..2 {
        let identity = sts.get_caller_identity().send().await.unwrap();
        assert_eq!(identity.account(), Some("111122223333"));
    }
    let hour = sts.get_session_token().duration_seconds(3600).send().await;
    assert!(hour.is_ok(), "{hour:?}");
    let other = sts.get_session_token().send().await.unwrap_err();
    assert_eq!(other.code(), Some("AccessDenied"));
}

#[tokio::test]
#[should_panic(expected = "GetSessionTokenInput")]
async fn a_call_that_no_rule_answers_is_a_panic() {
    let sts = mock_client!(aws_sdk_sts, [&caller()]);
    drop(sts.get_session_token().send().await);
}
