//! Every call of every playbook, struck in every way in which calls to AWS go wrong, through a proxy in
//! front of the emulators.
//!
//! Whatever befalls a call: the function ends in time and says what is so, nothing that was isolated is
//! opened, a retry completes the containment, and a release brings back what was there before.

mod log;
mod sweep;
pub(crate) mod target;
mod trial;
mod world;

use integration_tests::Result;

use crate::faults::sweep::sweep;
use crate::faults::target::{Bucket, Cut, First, Function, Instance, Key, Next, Object, Session};

#[test]
fn whatever_befalls_a_call_an_exposed_bucket_ends_shut() -> Result {
    sweep::<Bucket>("an exposed bucket")
}

#[test]
fn whatever_befalls_a_call_a_malicious_object_ends_unreadable() -> Result {
    sweep::<Object>("a malicious object")
}

#[test]
fn whatever_befalls_a_call_a_stolen_key_ends_useless() -> Result {
    sweep::<Key>("a stolen key")
}

#[test]
fn whatever_befalls_a_call_a_stolen_session_ends_useless() -> Result {
    sweep::<Session>("a stolen session of a role")
}

#[test]
fn whatever_befalls_a_call_a_hijacked_function_ends_still() -> Result {
    sweep::<Function>("a hijacked function")
}

#[test]
fn whatever_befalls_a_call_the_first_instance_of_a_network_ends_isolated() -> Result {
    sweep::<Instance<First>>("the first instance of a network")
}

#[test]
fn whatever_befalls_a_call_the_next_instance_of_a_network_ends_isolated() -> Result {
    sweep::<Instance<Next>>("the next instance of a network")
}

#[test]
fn whatever_befalls_a_call_an_instance_whose_connections_are_cut_ends_isolated() -> Result {
    sweep::<Instance<Cut>>("an instance whose connections are cut")
}
