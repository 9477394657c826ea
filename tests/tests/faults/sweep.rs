//! Which trials there are, and running them.

#![expect(clippy::print_stdout, reason = "the counts are what the tests are for")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use futures::future::join_all;
use integration_tests::Result;
use integration_tests::documents::read;
use integration_tests::faults::{Call, Fault, Strike};

use crate::faults::target::Target;
use crate::faults::trial::{Seen, Slot, Trial};
use crate::faults::world::{RUNTIME, WORLD};

/// How many victims are under trial at a time. Most of a trial is waiting for time-outs to pass.
const SLOTS: usize = 6;
/// One in so many of the trials is run unless FAULTS=all, but at least one of each call and one of each way.
const SOME: usize = 7;
/// How often a call that was not struck is tried again by another trial: the calls of a function that does several
/// things at once do not come in the same order each time.
const PASSES: usize = 4;
/// What is told of failures: the first few say it all.
const TOLD: usize = 12;

/// A way in which calls are struck: how, how many calls of the operation, and whether the finding comes again.
type Way = (Fault, usize, bool);
/// A call: the operation, and the how-manieth of it.
type Which = (String, usize);

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
        let all = trials::<T>(&seen);
        let calls: BTreeSet<_> = all
            .iter()
            .filter(|it| !it.twice)
            .filter_map(which)
            .collect();
        let ways: BTreeSet<_> = all.iter().filter_map(way).collect();
        expect_documented(name, calls.len(), all.len())?;
        let mut left = all.clone();
        let mut next = match std::env::var("FAULTS").as_deref() {
            Ok("all") => std::mem::take(&mut left),
            _ => some(&mut left, &calls, &ways),
        };
        let mut counts = Counts::default();
        for _ in 0..PASSES {
            let queue = Mutex::new(VecDeque::from(next));
            let workers = (0..SLOTS).map(|_| Box::pin(work::<T>(&queue)));
            for worker in join_all(workers).await {
                counts.add(worker?);
            }
            // A trial whose call was not made is tried again, after those that were not tried yet.
            left.append(&mut counts.untried);
            next = counts.missing(&calls, &ways, &mut left);
            if next.is_empty() {
                break;
            }
        }
        println!(
            "{name}: {} calls, {} of {} trials: {:?}",
            calls.len(),
            counts.ways.values().sum::<usize>(),
            all.len(),
            counts.ways
        );
        for missed in &counts.missed {
            println!("{name}: the call was not made: {missed}");
        }
        let failures = counts.failures;
        let told = failures[..failures.len().min(TOLD)].join("\n\n");
        assert!(failures.is_empty(), "{} failures:\n{told}", failures.len());
        let unstruck: Vec<_> = calls.difference(&counts.calls).collect();
        assert!(unstruck.is_empty(), "never struck: {unstruck:?}");
        let struck = counts.ways.into_keys().collect();
        let unmet: Vec<_> = ways.difference(&struck).collect();
        assert!(
            unmet.is_empty(),
            "no call was struck in these ways: {unmet:?}"
        );
        Ok(())
    }))
}

/// The document says of each victim how many calls and trials there are at least.
fn expect_documented(name: &str, calls: usize, trials: usize) -> Result {
    let document = read("docs/faults.md");
    let row = document
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {name} | ")));
    let row = row.ok_or_else(|| format!("docs/faults.md has no row of {name}"))?;
    let numbers = row.split(" | ").take(2).map(str::parse);
    let numbers: Vec<usize> = numbers.collect::<std::result::Result<_, _>>()?;
    let [documented_calls, documented_trials] = numbers[..] else {
        return Err(format!("docs/faults.md has not two numbers for {name}").into());
    };
    assert!(
        calls >= documented_calls && trials >= documented_trials,
        "{name}: {calls} calls and {trials} trials; docs/faults.md has {documented_calls} and {documented_trials}"
    );
    Ok(())
}

fn which(trial: &Trial) -> Option<Which> {
    let strike = trial.strike.as_ref()?;
    Some((strike.operation.clone(), strike.nth))
}

fn way(trial: &Trial) -> Option<Way> {
    let strike = trial.strike.as_ref()?;
    Some((strike.fault, strike.times, trial.twice))
}

#[derive(Default)]
struct Counts {
    ways: BTreeMap<Way, usize>,
    calls: BTreeSet<Which>,
    missed: Vec<String>,
    untried: Vec<Trial>,
    failures: Vec<String>,
}

impl Counts {
    fn add(&mut self, other: Self) {
        for (way, count) in other.ways {
            *self.ways.entry(way).or_default() += count;
        }
        self.calls.extend(other.calls);
        self.missed.extend(other.missed);
        self.untried.extend(other.untried);
        self.failures.extend(other.failures);
    }

    /// A trial more of each call that no trial has struck, and in each way in which none was.
    fn missing(
        &self,
        calls: &BTreeSet<Which>,
        ways: &BTreeSet<Way>,
        left: &mut Vec<Trial>,
    ) -> Vec<Trial> {
        let mut next = Vec::new();
        let mut take = |is_one: &dyn Fn(&Trial) -> bool| {
            if let Some(place) = left.iter().position(is_one) {
                next.push(left.swap_remove(place));
            }
        };
        for call in calls.difference(&self.calls) {
            take(&|trial| !trial.twice && which(trial).as_ref() == Some(call));
        }
        for unmet in ways.iter().filter(|way| !self.ways.contains_key(way)) {
            take(&|trial| way(trial) == Some(*unmet));
        }
        next
    }
}

async fn work<T: Target>(queue: &Mutex<VecDeque<Trial>>) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut slot = None;
    loop {
        let next = queue.lock().map_err(|_| "a worker failed")?.pop_front();
        let Some(trial) = next else {
            return Ok(counts);
        };
        let (Some(which), Some(way)) = (which(&trial), way(&trial)) else {
            continue;
        };
        let victim = match slot.take() {
            Some(victim) => victim,
            None => Box::pin(Slot::<T>::create()).await?,
        };
        match Box::pin(victim.run(&trial)).await {
            Ok(seen) => {
                // As the proxy did, not as it should have.
                if seen.calls.iter().any(|call| call.struck) {
                    *counts.ways.entry(way).or_default() += 1;
                    if !trial.twice {
                        counts.calls.insert(which);
                    }
                } else {
                    counts.missed.push(trial.to_string());
                    counts.untried.push(trial);
                }
                slot = Some(victim);
            }
            // The next trial gets a victim of its own.
            Err(error) => counts.failures.push(format!("{trial}: {error}")),
        }
    }
}

/// Trials that were chosen, and how often each way and each call was.
#[derive(Default)]
struct Choice {
    trials: Vec<Trial>,
    ways: BTreeMap<Way, usize>,
    calls: BTreeMap<Which, usize>,
}

impl Choice {
    /// Takes one of these trials: of the way, and then of the call, that was chosen least often.
    fn take(&mut self, left: &mut Vec<Trial>, is_one: impl Fn(&Trial) -> bool) -> bool {
        let often = |trial: &Trial| {
            let way = way(trial).and_then(|way| self.ways.get(&way));
            let call = which(trial).and_then(|call| self.calls.get(&call));
            (
                way.copied().unwrap_or_default(),
                call.copied().unwrap_or_default(),
            )
        };
        let ones = left.iter().enumerate().filter(|(_, trial)| is_one(trial));
        let Some((place, _)) = ones.min_by_key(|(_, trial)| often(trial)) else {
            return false;
        };
        let trial = left.remove(place);
        if let (Some(way), Some(call)) = (way(&trial), which(&trial)) {
            *self.ways.entry(way).or_default() += 1;
            *self.calls.entry(call).or_default() += 1;
        }
        self.trials.push(trial);
        true
    }
}

/// Takes one of each call, one of each way, and more until it is one in so many.
fn some(left: &mut Vec<Trial>, calls: &BTreeSet<Which>, ways: &BTreeSet<Way>) -> Vec<Trial> {
    let enough = left.len() / SOME;
    let mut choice = Choice::default();
    for call in calls {
        choice.take(left, |trial| {
            !trial.twice && which(trial).as_ref() == Some(call)
        });
    }
    for one in ways {
        if !choice.ways.contains_key(one) {
            choice.take(left, |trial| way(trial).as_ref() == Some(one));
        }
    }
    while choice.trials.len() < enough && choice.take(left, |_| true) {}
    choice.trials
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
