//! AWS clients for unit tests. They send nothing; each call is answered by the test.
//!
//! [`mock!`] makes a [`Rule`] for one operation, and [`mock_client!`] a client from rules. A call that no
//! rule answers is a panic, so that a test declares each call. A call is tried once.
//!
//! The crate `aws-smithy-mocks` does the same, but needs the feature `test-util` of the AWS crates. With
//! that feature Cargo would compile each AWS crate a second time for the tests.

mod client;
mod recording;
mod rule;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Answering, NothingSent};
pub use rule::{MockResponse, Operation, Rule, owned};
pub use wire::{Fault, Protocol, Wire, reads};

/// An operation of a client, such as `mock!(aws_sdk_sts::Client::get_caller_identity)`.
#[macro_export]
macro_rules! mock {
    ($operation:expr) => {
        $crate::Operation::new(
            $operation,
            |call| $crate::owned(call.as_input()).build(),
            |call| call.send(),
        )
    };
}

/// A client of an AWS crate that answers by the first of the rules that matches.
#[macro_export]
macro_rules! mock_client {
    ($service:ident, $rules:expr) => {
        $service::Client::from_conf(
            $crate::config!($service)
                .retry_config($service::config::retry::RetryConfig::disabled())
                .http_client($crate::NothingSent)
                .interceptor($crate::Answering::by($rules))
                .build(),
        )
    };
}

/// A client of an AWS crate over a connection of the test's own. It tries again as the AWS crates do.
#[macro_export]
macro_rules! client_over {
    ($service:ident, $connection:expr) => {
        $service::Client::from_conf($crate::config!($service).http_client($connection).build())
    };
}

/// The settings that each client needs. Requests are not signed: nobody would check it, and in an unoptimised
/// build it takes a fifth of a call.
#[doc(hidden)]
#[macro_export]
macro_rules! config {
    ($service:ident) => {
        $service::Config::builder()
            .behavior_version($service::config::BehaviorVersion::latest())
            .region($service::config::Region::new("us-east-1"))
            .allow_no_auth()
    };
}
