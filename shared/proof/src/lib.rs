//! A proof that the responder contains: it makes victims of its own, shows each attack working, contains it,
//! shows the attack failing and the bystanders unharmed, releases, and removes all that it made.

#[cfg(test)]
mod fixtures;
pub mod page;
pub mod reach;
pub mod record;
mod request;
pub mod table;
mod watcher;
mod world;

use std::future::Future;

pub use self::reach::Reach;
pub use self::record::{Proof, Removal, Victim};
pub use self::request::{Id, Refused, Request};
pub use self::watcher::{Moment, Silent, Watcher, Who};
pub use self::world::{Patience, World};

/// Runs a proof from its first call to its last, and removes all that it made, also when it fails on its way or
/// when `stop` is ready (Ctrl-C). What went wrong on the way is in the record.
///
/// # Errors
/// Why it was refused. Nothing was made then.
pub async fn prove(
    _world: &World,
    _request: &Request,
    _watcher: &dyn Watcher,
    _stop: impl Future<Output = ()> + Send,
) -> Result<Proof, Refused> {
    Err(Refused("not there yet".to_owned()))
}

/// Removes what a proof left behind, found by its tag and its names.
///
/// # Errors
/// Why it was refused, or could not look. Nothing was removed then.
pub async fn clean(
    _world: &World,
    _account: &str,
    _id: &Id,
    _watcher: &dyn Watcher,
) -> Result<Removal, Refused> {
    Err(Refused("not there yet".to_owned()))
}
