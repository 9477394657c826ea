//! Who is shown the progress of a proof.

use crate::record::{Left, Scene, Tried, Victim};

/// Is shown each step of a proof when it is done.
pub trait Watcher: Send + Sync {
    /// The next part of the proof begins.
    fn stage(&self, title: &str);
    /// Something takes a while: the awaited event, in words.
    fn waiting(&self, _for_what: &str) {}
    /// A resource was made.
    fn made(&self, resource: &str);
    /// A request was tried; its newest answer is that of `moment`.
    fn tried(&self, victim: Victim, who: Who, moment: Moment, tried: &Tried);
    /// The responder answered, or the victim cannot be shown here: see `not_shown`.
    fn reported(&self, scene: &Scene);
    /// A resource was removed.
    fn removed(&self, resource: &str);
    /// A resource was not removed.
    fn left(&self, left: &Left);
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Attacker,
    Bystander,
}

/// When a request was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    Contained,
    Released,
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watcher for Silent {
    fn stage(&self, _title: &str) {}
    fn made(&self, _resource: &str) {}
    fn tried(&self, _victim: Victim, _who: Who, _moment: Moment, _tried: &Tried) {}
    fn reported(&self, _scene: &Scene) {}
    fn removed(&self, _resource: &str) {}
    fn left(&self, _left: &Left) {}
}
