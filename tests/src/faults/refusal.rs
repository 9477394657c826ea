//! Errors in the words and the form of each service.

use serde_json::json;

use super::{Fault, Request};

/// The answer with which `service` refuses a call.
pub(super) fn answer(service: &str, request: &Request, fault: Fault) -> Vec<u8> {
    let json = request.header("x-amz-target").is_some();
    let (status, code) = match (fault, service) {
        (Fault::Throttled, "lambda") => (429, "TooManyRequestsException"),
        (Fault::Denied, "lambda") => (403, "AccessDeniedException"),
        (_, "lambda") => (500, "ServiceException"),
        (Fault::Throttled, "s3") => (503, "SlowDown"),
        (Fault::Throttled, "ec2") => (503, "RequestLimitExceeded"),
        (Fault::Throttled, _) if json => (400, "ThrottlingException"),
        (Fault::Throttled, _) => (400, "Throttling"),
        (Fault::Denied, "ec2") => (403, "UnauthorizedOperation"),
        (Fault::Denied, "sns") => (403, "AuthorizationError"),
        (Fault::Denied, _) if json => (400, "AccessDeniedException"),
        (Fault::Denied, _) => (403, "AccessDenied"),
        (_, _) if json => (500, "InternalServerError"),
        (_, "ec2" | "s3") => (500, "InternalError"),
        (_, _) => (500, "InternalFailure"),
    };
    let error =
        format!("<Error><Code>{code}</Code><Message>As the test wants it</Message></Error>");
    let (kind, body) = match service {
        "lambda" => (
            "application/json",
            json!({ "code": code, "message": "As the test wants it" }).to_string(),
        ),
        _ if json => (
            "application/x-amz-json-1.0",
            json!({ "__type": format!("test#{code}"), "message": "As the test wants it" })
                .to_string(),
        ),
        "ec2" => (
            "text/xml",
            format!("<Response><Errors>{error}</Errors><RequestID>test</RequestID></Response>"),
        ),
        "s3" if !request.path.starts_with("/v20180820/") => ("application/xml", error),
        _ => (
            "text/xml",
            format!("<ErrorResponse>{error}<RequestId>test</RequestId></ErrorResponse>"),
        ),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Refused\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
