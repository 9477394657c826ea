//! Removing what a proof made: looked for by its tag and its names, and removed only with the tag just read.

mod access;
mod function;
mod network;
mod store;

use std::collections::BTreeMap;

use remediation::error::Result;
use tokio::time::{Instant, sleep};

use crate::adopt::adopt;
use crate::context::Context;
use crate::find::{Found, find};
use crate::own::{Kind, Own};
use crate::record::{Left, Removal};

/// Looks in a row that find nothing before nothing counts as left: IAM and EC2 answer from copies that lag behind, so
/// that what was made a moment ago may not be shown yet.
const EMPTY_LOOKS: usize = 3;
/// Rounds without progress before it is given up: an instance's attachments take a while to be free.
const FRUITLESS: usize = 20;

/// Removes all that there is, in rounds, until nothing is found. Resources that are left are listed with the reason.
pub(crate) async fn remove_all(context: &Context<'_>) -> Removal {
    let until = Instant::now() + context.world.patience.new * 2;
    let mut round = Round::default();
    let (mut fruitless, mut empty) = (0, 0);
    loop {
        let found = Box::pin(find(context)).await;
        round.gone(context, &found);
        if found.own.is_empty() && found.going.is_empty() && found.unread.is_empty() {
            empty += 1;
            if empty >= EMPTY_LOOKS {
                return round.conclude(context, found);
            }
            sleep(context.world.patience.pause).await;
            continue;
        }
        empty = 0;
        let progress = Box::pin(round.remove(context, &found)).await;
        fruitless = if progress || !found.going.is_empty() {
            0
        } else {
            fruitless + 1
        };
        if fruitless >= FRUITLESS || Instant::now() >= until {
            let found = Box::pin(find(context)).await;
            round.gone(context, &found);
            return round.conclude(context, found);
        }
        sleep(context.world.patience.pause).await;
    }
}

#[derive(Default)]
struct Round {
    /// Resources that were seen and are not seen any longer.
    removed: Vec<String>,
    /// The resources that were found last.
    seen: Vec<Own>,
    /// Why each could not be removed.
    problems: BTreeMap<String, String>,
    /// Resources that the responder made and that could not get the proof's tag.
    unadopted: Vec<Left>,
}

impl Round {
    /// Notes what is not there any longer.
    fn gone(&mut self, context: &Context<'_>, found: &Found) {
        let all = || found.own.iter().chain(&found.going);
        // A kind that could not be looked for may still be there.
        let known = found.unread.is_empty();
        let still = |own: &Own| !known || all().any(|it| same(it, own));
        for own in std::mem::take(&mut self.seen) {
            if still(&own) {
                if !all().any(|it| same(it, &own)) {
                    self.seen.push(own);
                }
                continue;
            }
            self.problems.remove(&own.to_string());
            context.watcher.removed(&own.to_string());
            self.removed.push(own.to_string());
        }
        // A resource that was not shown for a moment was not removed.
        self.removed
            .retain(|removed| all().all(|own| own.to_string() != *removed));
        self.seen.extend(all().cloned());
    }

    /// Removes what can be removed now. True if anything was.
    async fn remove(&mut self, context: &Context<'_>, found: &Found) -> bool {
        self.unadopted = Box::pin(adopt(context, &found.own)).await;
        // The responder's snapshots and groups are found by these.
        let sure = self.unadopted.is_empty() && found.knows(Kind::Volume) && found.knows(Kind::Vpc);
        let keeps = |own: &Own| !sure && leads_on(own.kind());
        for own in found.own.iter().filter(|own| keeps(own)) {
            let why = "it stays, since what the responder made for it is found by it, and could not get the proof's tag";
            self.problems.insert(own.to_string(), why.to_owned());
        }
        let mut progress = false;
        for own in found.own.iter().filter(|own| !keeps(own)) {
            match Box::pin(remove(context, own)).await {
                Ok(()) => {
                    self.problems.remove(&own.to_string());
                    progress = true;
                }
                Err(error) => drop(self.problems.insert(own.to_string(), error.to_string())),
            }
        }
        progress
    }

    fn conclude(self, context: &Context<'_>, found: Found) -> Removal {
        let why = |own: &Own| match self.problems.get(&own.to_string()) {
            Some(why) => why.clone(),
            None => "it was still there when it was last looked for".to_owned(),
        };
        let own = found.own.iter().map(|own| Left {
            resource: own.to_string(),
            why: why(own),
        });
        let going = found.going.iter().map(|own| Left {
            resource: own.to_string(),
            why: "AWS is removing it and was not done in time".to_owned(),
        });
        let hidden: Vec<_> = hidden(&found).collect();
        let left: Vec<_> = own
            .chain(going)
            .chain(hidden)
            .chain(found.foreign)
            .chain(found.unread)
            .chain(self.unadopted.clone())
            .collect();
        for left in &left {
            context.watcher.left(left);
        }
        Removal {
            removed: self.removed,
            left,
        }
    }
}

/// The responder's groups and snapshots are looked for by the VPCs and volumes of the proof.
fn hidden(found: &Found) -> impl Iterator<Item = Left> {
    let by = [
        (Kind::Vpc, Kind::SecurityGroup),
        (Kind::Volume, Kind::Snapshot),
    ];
    let unknown = by.into_iter().filter(|(by, _)| !found.knows(*by));
    unknown.map(|(by, kind)| Left {
        resource: format!("{}s of the responder", kind.word()),
        why: format!(
            "it is not known whether any is left: they are found by the {}s of the proof, which could not be looked \
             for",
            by.word()
        ),
    })
}

/// Whether what the responder made is found by such a resource.
fn leads_on(kind: Kind) -> bool {
    matches!(kind, Kind::Instance | Kind::Volume | Kind::Vpc)
}

fn same(one: &Own, other: &Own) -> bool {
    one.kind() == other.kind() && one.id() == other.id()
}

async fn remove(context: &Context<'_>, own: &Own) -> Result<()> {
    let removed = match own.kind() {
        Kind::Function => function::remove(context, own).await,
        Kind::User => Box::pin(access::user(context, own)).await,
        Kind::Role => Box::pin(access::role(context, own)).await,
        Kind::Bucket => Box::pin(store::bucket(context, own)).await,
        Kind::Table => store::table(context, own).await,
        _ => Box::pin(network::remove(context, own)).await,
    };
    match removed {
        Err(error) if error.is_gone() => Ok(()),
        removed => removed,
    }
}
