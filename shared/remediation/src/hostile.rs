//! Input from hands that mean harm: findings and other JSON, mutated from real ones, and what must
//! hold of everything that is made from them.
//!
//! The seeds are this repository's own events and, where `FINDINGS_CORPUS` names a folder, every file
//! in it. Cases are the same in every run, unless `PROPTEST_RNG_SEED` is set; `PROPTEST_CASES` makes
//! them more.

pub(crate) mod grammar;
pub(crate) mod mutation;
mod reading;
pub(crate) mod recording;
pub(crate) mod rendering;
mod seeds;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngSeed, TestRunner};

pub(crate) use self::mutation::{event, event_of};

/// The seed of the values, unless `PROPTEST_RNG_SEED` asks for another one.
const SEED: u64 = 0x6764_7200;

/// Holds `property` against as many values of `strategy` as tests do by default, times `share`.
pub(crate) fn hold<S: Strategy>(share: u32, strategy: S, property: impl Fn(S::Value)) {
    let default = Config::default();
    let seed = match default.rng_seed {
        RngSeed::Random => SEED,
        RngSeed::Fixed(asked_for) => asked_for,
    };
    let config = Config {
        cases: default.cases * share,
        ..seeded(seed)
    };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("with PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

fn seeded(seed: u64) -> Config {
    Config {
        failure_persistence: None,
        max_shrink_iters: 2_000,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    }
}

/// Runs a future to its end, in time that does not pass by itself.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// True if `text` is what a person sees of it: nothing in it controls a terminal, breaks a line,
/// turns the direction of writing or stays invisible.
pub(crate) fn shows_as_it_is(text: &str) -> bool {
    text.chars().all(|character| {
        let code = u32::from(character);
        let controls = code < 0x20 || (0x7f..=0x9f).contains(&code);
        let breaks_lines = matches!(code, 0x2028 | 0x2029);
        let turns = matches!(code, 0x61c | 0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069);
        let hides =
            matches!(code, 0xad | 0x200b..=0x200d | 0x2060..=0x2064 | 0xfeff | 0xe0000..=0xe007f);
        !(controls || breaks_lines || turns || hides)
    })
}

#[test]
fn the_same_seed_makes_the_same_values_and_another_seed_makes_others() {
    let values = |seed| {
        let mut runner = TestRunner::new(seeded(seed));
        let drawn = (0..20).map(|_| event().new_tree(&mut runner).map(|tree| tree.current()));
        drawn.collect::<Result<Vec<_>, _>>().expect("values")
    };
    assert_eq!(values(SEED), values(SEED));
    assert_ne!(values(SEED), values(SEED + 1));
}
