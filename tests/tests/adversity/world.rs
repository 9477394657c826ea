//! One AWS and one stack, used by one test at a time: each changes what the others would measure.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{LazyLock, Mutex, PoisonError};

use futures::FutureExt as _;
use integration_tests::stack::RESPONDERS;
use integration_tests::{LocalAws, Result, Stack};
use tokio::runtime::Runtime;

pub(crate) struct World {
    pub(crate) aws: &'static LocalAws,
    pub(crate) stack: Stack<'static>,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static AWS: LazyLock<LocalAws> = LazyLock::new(|| LocalAws::start_quick().expect("local AWS"));
static WORLD: LazyLock<World> =
    LazyLock::new(|| RUNTIME.block_on(Box::pin(World::new())).expect("the stack"));
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn on_aws(test: impl AsyncFnOnce(&'static World) -> Result) -> Result {
    // A test that failed before leaves the stack usable: what it set is taken back, also when it panicked.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = &*WORLD;
    RUNTIME.block_on(Box::pin(async {
        let mut deployed = Vec::new();
        for responder in RESPONDERS {
            deployed.push((responder, world.stack.variables(responder).await?));
        }
        let tested = AssertUnwindSafe(Box::pin(test(world))).catch_unwind().await;
        for (responder, variables) in deployed {
            world.stack.restore(responder, variables).await?;
        }
        tested.unwrap_or_else(|panic| resume_unwind(panic))
    }))
}

impl World {
    async fn new() -> Result<Self> {
        let parameters = [
            ("DryRun", "false"),
            // As many as there can be.
            ("MaxContainments", "500"),
            ("MaxSharePercent", "100"),
        ];
        Ok(Self {
            aws: &AWS,
            stack: Stack::deploy(&AWS, "adversity", &parameters).await?,
        })
    }
}
