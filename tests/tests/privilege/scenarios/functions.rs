//! Lambda functions.

use integration_tests::scenario::HijackedFunction;
use integration_tests::{Result, Scenario as _};

use super::{PLAIN, Scenario, TOLD};
use crate::privilege::world::{MEMBER, Run};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "a hijacked function is throttled and its credentials are denied",
        function: "Lambda",
        parameters: TOLD,
        play: |run| Box::pin(hijacked(run)),
        ..PLAIN
    },
    Scenario {
        name: "what would be done about a hijacked function is told",
        function: "Lambda",
        parameters: &[("DryRun", "true")],
        status: "dry_run",
        play: |run| Box::pin(hijacked(run)),
        ..PLAIN
    },
    Scenario {
        name: "a hijacked function of a member account is throttled",
        function: "Lambda",
        parameters: &[("Mode", "hub")],
        play: |run| Box::pin(of_member(run)),
        ..PLAIN
    },
];

async fn hijacked(run: &Run<'_>) -> Result {
    let function = HijackedFunction::create(run.aws(), Some(3)).await?;
    run.respond(&function.finding()?).await
}

async fn of_member(run: &Run<'_>) -> Result {
    let function = HijackedFunction::of(run.aws(), run.world.member(), MEMBER, None).await?;
    run.respond(&function.finding()?).await
}
