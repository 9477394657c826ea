//! The flow, under input from hands that mean harm.

mod grammar;
mod reading;
mod recording;
mod rendering;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::fixtures::hostile::{SEED, event, seeded};

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
