//! One AWS and one stack, used by one test at a time: each changes what the others would measure.

use std::sync::{LazyLock, Mutex, PoisonError};

use integration_tests::{LocalAws, Result, Stack, stack};
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
    // A test that failed before leaves the stack usable.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = &*WORLD;
    RUNTIME.block_on(Box::pin(test(world)))
}

impl World {
    async fn new() -> Result<Self> {
        stack::build()?;
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
