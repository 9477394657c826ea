//! One AWS and two stacks, shared by all the tests of this file's process.

use std::sync::LazyLock;

use integration_tests::scenario::{all_work, none_works};
use integration_tests::{LocalAws, Result, Scenario, Stack};
use serde_json::Value;
use tokio::runtime::Runtime;

pub(crate) struct World {
    pub(crate) aws: &'static LocalAws,
    /// Deployed with DryRun=false, with sequences handed over, telling by every channel, with evidence kept and
    /// malicious objects quarantined.
    pub(crate) enforcing: Stack<'static>,
    /// Deployed with the defaults.
    pub(crate) dry: Stack<'static>,
}

// One runtime for all tests, since an AWS client's connections die with the runtime that made them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static AWS: LazyLock<LocalAws> = LazyLock::new(|| LocalAws::start().expect("local AWS"));
static WORLD: LazyLock<World> =
    LazyLock::new(|| RUNTIME.block_on(World::new()).expect("the stacks"));

/// Runs a test on the shared stacks.
pub(crate) fn on_aws(test: impl AsyncFnOnce(&'static World) -> Result) -> Result {
    let world = &*WORLD;
    RUNTIME.block_on(test(world))
}

impl World {
    async fn new() -> Result<Self> {
        Ok(Self {
            aws: &AWS,
            enforcing: Stack::deploy(
                &AWS,
                "gdr",
                &[
                    ("DryRun", "false"),
                    ("HandOverSequences", "true"),
                    ("ChatNotices", "true"),
                    ("SecurityHub", "true"),
                    ("EvidenceBucket", "compliance"),
                    ("S3QuarantineObjects", "true"),
                    // All the tests together are more than a breaker lets through.
                    ("MaxContainments", "500"),
                    ("MaxSharePercent", "100"),
                ],
            )
            .await?,
            dry: Stack::deploy(&AWS, "gdr-dry", &[]).await?,
        })
    }
}

/// Before any response: or what is shown afterwards shows nothing.
pub(crate) async fn expect_working_attack(scenario: &impl Scenario) -> Result {
    let attack = scenario.attack().await?;
    assert!(all_work(&attack), "the attack does not work: {attack:#?}");
    expect_unharmed_bystanders(scenario).await
}

pub(crate) async fn expect_stopped_attack(scenario: &impl Scenario) -> Result {
    let attack = scenario.attack().await?;
    assert!(none_works(&attack), "the attack still works: {attack:#?}");
    expect_unharmed_bystanders(scenario).await
}

async fn expect_unharmed_bystanders(scenario: &impl Scenario) -> Result {
    let bystanders = scenario.bystanders().await?;
    assert!(
        all_work(&bystanders),
        "a bystander is hurt: {bystanders:#?}"
    );
    Ok(())
}

#[track_caller]
pub(crate) fn expect_status(report: &Value, status: &str) {
    assert_eq!(report["status"], status, "{report:#}");
}

/// Some steps have this outcome, and all others found it done already.
#[track_caller]
pub(crate) fn expect_outcomes(report: &Value, outcome: &str) {
    let steps = steps(report);
    let has = |step: &Value, outcome: &str| step["outcome"] == outcome;
    assert!(
        steps.iter().any(|step| has(step, outcome)),
        "none {outcome}: {report:#}"
    );
    assert!(
        steps
            .iter()
            .all(|step| has(step, outcome) || has(step, "already")),
        "not all {outcome}: {report:#}"
    );
}

#[track_caller]
pub(crate) fn expect_no_step_applied(report: &Value) {
    assert!(
        steps(report)
            .iter()
            .all(|step| step["outcome"] != "applied"),
        "{report:#}"
    );
}

#[track_caller]
pub(crate) fn expect_action(report: &Value, action: &str) {
    assert!(
        steps(report).iter().any(|step| step["action"] == action),
        "no {action}: {report:#}"
    );
}

pub(crate) fn steps(report: &Value) -> &[Value] {
    report["steps"].as_array().map_or(&[], Vec::as_slice)
}
