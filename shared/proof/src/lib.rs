//! A proof that the responder contains: it makes victims of its own, shows each attack working, and contains it. It
//! shows the attack failing and the bystanders unharmed, releases, and removes all that it made.

mod adopt;
mod attempt;
mod context;
pub mod deployment;
mod find;
mod finding;
#[cfg(test)]
mod fixtures;
mod flow;
mod means;
mod own;
pub mod page;
pub mod reach;
pub mod record;
mod remove;
mod request;
pub mod table;
mod victim;
mod watcher;
mod world;

use std::future::Future;
use std::pin::pin;

use futures::future::{Either, select};

use self::context::Context;
use self::means::Means;
pub use self::reach::Reach;
pub use self::record::{Proof, Removal, Victim};
pub use self::request::{Id, Refused, Request, TAG};
pub use self::watcher::{Moment, Silent, Watcher, Who};
pub use self::world::{Patience, World};

/// Runs a proof from its first call to its last, and removes all that it made. It does so also when it fails on its
/// way, or when `stop` is ready (Ctrl-C). The reason is in the record, [`Proof::stopped`].
///
/// Dropped before its end it leaves what it made, for [`clean`].
///
/// # Errors
/// Why it was refused. Nothing was made then.
pub async fn prove(
    world: &World,
    request: &Request,
    watcher: &dyn Watcher,
    stop: impl Future<Output = ()>,
) -> Result<Proof, Refused> {
    watcher.stage("Look at the account");
    let context = Context::new(world, &request.account, &request.id, watcher).await?;
    let means = Box::pin(Means::of(&context, request)).await?;
    nothing_there(&context).await?;
    let mut proof = Proof {
        id: request.id.to_string(),
        account_id: context.account.clone(),
        region: context.region.clone(),
        caller: context.caller.clone(),
        contained_by: request.by.clone(),
        began_at: context.now(),
        ended_at: None,
        scenes: Vec::new(),
        stopped: None,
        removal: Removal::default(),
    };
    let stopped = {
        let work = pin!(flow::run(&context, request, &means, &mut proof));
        match select(work, pin!(stop)).await {
            Either::Left((done, _)) => done.err().map(|error| error.to_string()),
            Either::Right(((), _)) => {
                Some("it was interrupted, so that what follows was not tried".to_owned())
            }
        }
    };
    proof.stopped = stopped.map(|why| format!("{why}{}", left_open(&proof)));
    watcher.stage("Remove all that was made");
    proof.removal = Box::pin(remove::remove_all(&context)).await;
    proof.ended_at = Some(context.now());
    Ok(proof)
}

/// The incidents in a stack's record that nobody releases any longer.
fn left_open(proof: &Proof) -> String {
    let record::ContainedBy::Stack(stack) = &proof.contained_by else {
        return String::new();
    };
    let open = proof.scenes.iter().filter(|it| it.released.is_empty());
    let open: Vec<_> = open.filter_map(|it| it.finding_id.as_deref()).collect();
    match open.as_slice() {
        [] => String::new(),
        open => format!(
            ". The record of the stack {stack} still has what was contained, although the victims are removed: {}",
            open.join(", ")
        ),
    }
}

async fn nothing_there(context: &Context<'_>) -> Result<(), Refused> {
    let found = Box::pin(find::find(context)).await;
    if found.is_empty() {
        return Ok(());
    }
    let there: Vec<_> = found
        .own
        .iter()
        .chain(&found.going)
        .map(ToString::to_string)
        .collect();
    let doubtful = found.foreign.iter().chain(&found.unread);
    let doubtful = doubtful.map(|left| format!("{}: {}", left.resource, left.why));
    let there: Vec<_> = there.into_iter().chain(doubtful).collect();
    Err(Refused(format!(
        "nothing was made: it is not sure that account {} has nothing of proof {}: {}. Take another id, or remove \
         what is there with --clean {}",
        context.account,
        context.id,
        there.join("; "),
        context.id,
    )))
}

/// Removes what a proof left behind, found by its tag and its names.
///
/// # Errors
/// Why it was refused. Nothing was removed then.
pub async fn clean(
    world: &World,
    account: &str,
    id: &Id,
    watcher: &dyn Watcher,
) -> Result<Removal, Refused> {
    let context = Context::new(world, account, id, watcher).await?;
    watcher.stage("Remove what the proof left");
    Ok(Box::pin(remove::remove_all(&context)).await)
}
