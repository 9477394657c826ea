//! Which trials there are, and running them.

#![expect(clippy::print_stdout, reason = "the counts are what the tests are for")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use futures::future::join_all;
use integration_tests::Result;
use integration_tests::faults::{Call, Fault, Strike};

use crate::faults::target::Target;
use crate::faults::trial::{Seen, Slot, Trial};
use crate::faults::world::{RUNTIME, WORLD};

/// How many victims are under trial at a time. Most of a trial is waiting for time-outs to pass.
const SLOTS: usize = 6;
/// Of the trials, every so-manieth is run unless FAULTS=all: each call once or more, each fault at many calls.
/// It has no factor in common with the number of faults of a call, so that they take turns.
const SOME: usize = 7;
/// What is told of failures: the first few say it all.
const TOLD: usize = 12;

pub(crate) fn sweep<T: Target>(name: &str) -> Result {
    // Which blocks on the runtime itself.
    let _ = &*WORLD;
    RUNTIME.block_on(Box::pin(async {
        let undisturbed = Trial {
            strike: None,
            twice: true,
        };
        let slot = Box::pin(Slot::<T>::create()).await?;
        let seen = Box::pin(slot.run(&undisturbed)).await?;
        let mut trials = trials::<T>(&seen);
        let all = trials.len();
        if std::env::var("FAULTS").as_deref() != Ok("all") {
            trials = trials.into_iter().step_by(SOME).collect();
        }
        let calls = seen.first;
        let queue = Mutex::new(VecDeque::from(trials));
        let workers = (0..SLOTS).map(|_| Box::pin(work::<T>(&queue)));
        let mut counts = Counts::default();
        for worker in join_all(workers).await {
            counts.add(worker?);
        }
        println!(
            "{name}: {calls} calls, {} of {all} trials: {:?}",
            counts.all(),
            counts.struck
        );
        if counts.missed > 0 {
            println!("{name}: in {} trials the call was not made", counts.missed);
        }
        let failures = counts.failures;
        let told = failures[..failures.len().min(TOLD)].join("\n\n");
        assert!(failures.is_empty(), "{} failures:\n{told}", failures.len());
        Ok(())
    }))
}

#[derive(Default)]
struct Counts {
    struck: BTreeMap<Fault, usize>,
    missed: usize,
    failures: Vec<String>,
}

impl Counts {
    fn all(&self) -> usize {
        self.struck.values().sum()
    }

    fn add(&mut self, other: Self) {
        for (fault, count) in other.struck {
            *self.struck.entry(fault).or_default() += count;
        }
        self.missed += other.missed;
        self.failures.extend(other.failures);
    }
}

async fn work<T: Target>(queue: &Mutex<VecDeque<Trial>>) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut slot = Box::pin(Slot::<T>::create()).await?;
    loop {
        let next = queue.lock().map_err(|_| "a worker failed")?.pop_front();
        let Some(trial) = next else {
            return Ok(counts);
        };
        let Some(strike) = &trial.strike else {
            continue;
        };
        match Box::pin(slot.run(&trial)).await {
            Ok(seen) if seen.calls.iter().any(|call| strike.hits(call)) => {
                *counts.struck.entry(strike.fault).or_default() += 1;
            }
            Ok(_) => counts.missed += 1,
            Err(error) => {
                counts.failures.push(format!("{trial}: {error}"));
                // What it left behind is the failure's, not the next trial's.
                slot = Box::pin(Slot::create()).await?;
            }
        }
    }
}

/// Each call of an undisturbed run, in each way; each operation that fails from its first call on; and
/// reads that do not show yet what was written.
fn trials<T: Target>(undisturbed: &Seen) -> Vec<Trial> {
    let (first, second) = undisturbed.calls.split_at(undisturbed.first);
    let mut trials = Vec::new();
    let mut add = |call: &Call, times, fault, twice| {
        let strike = Strike {
            operation: call.operation.clone(),
            nth: call.nth,
            times,
            fault,
        };
        trials.push(Trial {
            strike: Some(strike),
            twice,
        });
    };
    let (mut down, mut lagging) = (BTreeSet::new(), BTreeSet::new());
    for call in first.iter().filter(|call| T::concerns(call)) {
        for fault in Fault::ANY {
            add(call, 1, fault, false);
        }
        if call.writes {
            for fault in Fault::OF_WRITES {
                add(call, 1, fault, false);
            }
        }
        if down.insert(&call.operation) {
            for fault in [
                Fault::Throttled,
                Fault::Failed,
                Fault::TimedOut,
                Fault::Denied,
            ] {
                add(call, usize::MAX, fault, false);
            }
        }
        if call.repeats && !call.writes {
            add(call, 1, Fault::Stale, false);
            add(call, 2, Fault::Stale, false);
            if lagging.insert(&call.operation) {
                add(call, usize::MAX, Fault::Stale, false);
            }
        }
    }
    for call in second.iter().filter(|call| T::concerns(call)) {
        if call.repeats && !call.writes {
            add(call, 1, Fault::Stale, true);
            if lagging.insert(&call.operation) {
                add(call, usize::MAX, Fault::Stale, true);
            }
        }
    }
    trials
}
