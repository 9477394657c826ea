//! Local AWS, the deployed stack on it, and the attacks that the stack has to stop.
//!
//! The tests and the demo share this: [`LocalAws`] starts the emulators, [`Stack`] deploys with the
//! real `sam deploy` and delivers findings as EventBridge would, each [`scenario`] brings victims, an
//! attacker and bystanders, and [`trail`] tells which calls a function sent.

pub mod browser;
pub mod cargo;
pub mod cloudwatch;
pub mod console;
pub mod demo;
pub mod documents;
pub mod faults;
pub mod files;
pub mod finding;
pub mod http;
pub mod incident_table;
pub mod known_types;
pub mod lambda;
pub mod local_aws;
pub mod proving;
pub mod s3;
pub mod scenario;
pub mod stack;
pub mod trail;
pub mod waits;

pub use browser::Browser;
pub use faults::FaultyAws;
pub use local_aws::LocalAws;
pub use scenario::{Observation, Scenario};
pub use stack::Stack;

use remediation::decision::{ResponseMode, ResponseSettings};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T = ()> = std::result::Result<T, Error>;

/// The settings of a function that contains whatever it may.
pub static ENFORCING: ResponseSettings = ResponseSettings {
    dry_run: false,
    mode: ResponseMode::Contain,
    minimum_severity: Some(0.0),
    approval_not_needed_from: None,
    own_account: None,
    quarantine_objects: false,
    responder_roles: Vec::new(),
    never_contain: Vec::new(),
};

/// The checkout's root: the tools and the template are found from here, wherever cargo runs us.
#[must_use]
pub fn checkout() -> &'static std::path::Path {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// A lower-case name that no other test uses.
#[must_use]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", &random_hex()[..10])
}

/// 32 hexadecimal digits, the shape of GuardDuty's finding ids.
#[must_use]
pub fn random_hex() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system's randomness");
    format!("{:032x}", u128::from_ne_bytes(bytes))
}
