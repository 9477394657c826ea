//! The one error type, and the one place that says whether an error is worth a retry.

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure between a finding and a report. Every variant names the member, the resource or the permission it is
/// about, and the remedy.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The event is not a finding, or a member that is needed is missing or of the wrong type.
    #[error("not a usable GuardDuty finding: `{member}`: {problem}")]
    Malformed {
        /// Path of the member, from the root of the event: `detail.severity`.
        member: String,
        /// The problem with it.
        problem: String,
    },
    /// AWS answered a call with an error, or did not answer it.
    #[error("{}", .0)]
    Call(#[from] CallError),
    /// A precondition of a containment does not hold, so it was not attempted.
    #[error("{0}")]
    Refused(String),
    /// Another invocation is at work on the target and was not done in time.
    #[error(
        "another invocation holds the claim on {target} and did not finish in time (will be retried)"
    )]
    Busy {
        /// The target.
        target: String,
    },
}

/// A failed call to AWS.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} on {target}: {code}: {message}{}", .kind.hint(.operation, .code, .message))]
pub struct CallError {
    /// The IAM name of the operation: `iam:PutUserPolicy`.
    pub operation: &'static str,
    /// The resource that the call was about.
    pub target: String,
    /// The service's error code, or what happened to the connection.
    pub code: String,
    /// The service's own message. Never the raw response: it would carry headers and bodies
    /// into records and notices.
    pub message: String,
    /// The meaning of the failure for the caller.
    pub kind: CallFailure,
}

/// The kinds of failure that call for different reactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// A retry may succeed: throttling, a 5xx, a time-out, a dropped connection, a conflict.
    Transient,
    /// The role lacks the permission, or a guard such as the expected bucket owner refused.
    Denied,
    /// The resource does not exist, or no longer does.
    Gone,
    /// Anything else; a retry would fail the same way.
    Permanent,
}

/// Ends the text of a failure that may be gone at the next attempt.
pub const A_RETRY_MAY_SUCCEED: &str = " (a retry may succeed)";

impl CallFailure {
    /// The kind of failure that an error code and an HTTP status stand for.
    pub fn of(code: &str, status: u16) -> Self {
        if TRANSIENT_CODES.contains(&code) || status >= 500 || status == 429 {
            Self::Transient
        } else if DENIED_CODES.contains(&code) || status == 403 {
            Self::Denied
        } else if code.starts_with("NoSuch") || code.ends_with(".NotFound") || status == 404 {
            Self::Gone
        } else {
            Self::Permanent
        }
    }

    /// How AWS says which kind of policy refused a call:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>.
    fn hint(self, operation: &str, code: &str, message: &str) -> String {
        let of_organization = ["service control policy", "resource control policy"];
        let of_organization = of_organization
            .into_iter()
            .find(|kind| message.contains(kind));
        match self {
            Self::Denied if of_organization.is_some() => format!(
                " (a {} of the organization forbids {operation}: ask the organization's administrator to exempt \
                 the caller's role in that policy, or to contain the target)",
                of_organization.unwrap_or_default(),
            ),
            Self::Denied => format!(
                " (check that the caller's role allows {operation}, and no service control policy or ownership \
                 condition forbids it)"
            ),
            Self::Transient => A_RETRY_MAY_SUCCEED.to_owned(),
            Self::Permanent => {
                no_room(operation, code).map_or_else(String::new, |why| format!(" ({why})"))
            }
            Self::Gone => String::new(),
        }
    }
}

/// The remedy if a quota leaves no room, <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
fn no_room(operation: &str, code: &str) -> Option<&'static str> {
    match (code, operation) {
        ("SecurityGroupLimitExceeded", _) => Some(
            "the account has as many security groups as its quota allows: delete one that nothing uses, \
             or request a higher quota \"VPC security groups per Region\"",
        ),
        ("TagLimitExceeded", _) => {
            Some("it has as many tags as AWS allows: remove one that nothing uses")
        }
        ("LimitExceeded", "iam:PutRolePolicy" | "iam:PutUserPolicy") => Some(
            "its inline policies have no room for another one, and this quota cannot be raised",
        ),
        _ => None,
    }
}

/// Error codes that a later attempt may not meet. The SDK has retried throttling by the time we
/// see it; the conflicts below it does not retry at all.
const TRANSIENT_CODES: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TransactionConflictException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "TooManyRequestsException",
    "SlowDown",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "ServiceUnavailable",
    "Unavailable",
    "InternalError",
    "InternalFailure",
    "InternalServiceError",
    "ServiceFailure",
    "ServiceException",
    "RequestTimeout",
    "OperationAborted",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
    "ScalingActivityInProgress",
    "ResourceContention",
    "IncorrectState",
    // Of an instance that is pending or stopping.
    "IncorrectInstanceState",
];

const DENIED_CODES: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "Forbidden",
];

impl CallError {
    /// The error that an answer carries for a part of the request, although the call succeeded.
    pub fn within_answer(operation: &'static str, target: &str, code: &str, message: &str) -> Self {
        Self {
            operation,
            target: target.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            kind: CallFailure::of(code, 200),
        }
    }
}

impl Error {
    /// A [`Error::Malformed`] for `member`.
    pub fn malformed(member: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            member: member.into(),
            problem: problem.into(),
        }
    }

    /// True if a retry may succeed. Only such an error makes an invocation fail, so that Lambda
    /// retries it and then hands it to the on-failure queue.
    pub fn is_transient(&self) -> bool {
        self.failure() == Some(CallFailure::Transient)
    }

    /// True if the resource of a call does not exist, or no longer does.
    pub fn is_gone(&self) -> bool {
        self.failure() == Some(CallFailure::Gone)
    }

    /// True if the service refused the call, so that it had no effect: the role may not make it, or a guard
    /// such as the expected bucket owner stood in the way.
    pub fn is_denied(&self) -> bool {
        self.failure() == Some(CallFailure::Denied)
    }

    /// True if the service answered with exactly this error code.
    pub fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Call(call) if call.code == code)
    }

    fn failure(&self) -> Option<CallFailure> {
        match self {
            Self::Call(call) => Some(call.kind),
            Self::Busy { .. } => Some(CallFailure::Transient),
            Self::Malformed { .. } | Self::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_are_classified_by_the_effect_of_a_retry() {
        for (code, status, kind) in [
            ("Throttling", 400, CallFailure::Transient),
            ("RequestLimitExceeded", 503, CallFailure::Transient),
            ("OperationAborted", 409, CallFailure::Transient),
            ("IncorrectInstanceState", 400, CallFailure::Transient),
            ("HTTP 502", 502, CallFailure::Transient),
            ("AccessDenied", 403, CallFailure::Denied),
            ("UnauthorizedOperation", 403, CallFailure::Denied),
            ("NoSuchEntity", 404, CallFailure::Gone),
            ("NoSuchBucket", 404, CallFailure::Gone),
            ("InvalidInstanceID.NotFound", 400, CallFailure::Gone),
            ("UnmodifiableEntity", 400, CallFailure::Permanent),
            ("LimitExceeded", 409, CallFailure::Permanent),
        ] {
            assert_eq!(CallFailure::of(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_refusal_by_the_organization_names_the_organization_and_is_not_retried() {
        for message in [
            "User: arn:aws:sts::111122223333:assumed-role/gdr/x is not authorized to perform: \
             iam:PutRolePolicy on resource: role AWSControlTowerExecution with an explicit deny in a service \
             control policy",
            "not authorized because no service control policy allows the iam:PutRolePolicy action",
            "with an explicit deny in a resource control policy",
        ] {
            let error = Error::from(CallError::within_answer(
                "iam:PutRolePolicy",
                "AWSControlTowerExecution",
                "AccessDenied",
                message,
            ));
            let text = error.to_string();
            assert!(text.contains("of the organization forbids"), "{text}");
            assert!(!text.contains("check that the caller's role allows"));
            assert!(!error.is_transient());
        }
    }

    #[test]
    fn a_refusal_names_the_permission_that_is_missing() {
        let error = Error::from(CallError {
            operation: "iam:UpdateAccessKey",
            target: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            code: "AccessDenied".to_owned(),
            message: "not authorized".to_owned(),
            kind: CallFailure::Denied,
        });
        let text = error.to_string();
        assert!(
            text.contains("iam:UpdateAccessKey on AKIAIOSFODNN7EXAMPLE: AccessDenied"),
            "{text}"
        );
        assert!(text.contains("role allows iam:UpdateAccessKey"), "{text}");
    }
}
