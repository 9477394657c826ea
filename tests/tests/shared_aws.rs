//! One local AWS for the tests that need no stack. Each makes resources of its own there.

use std::sync::LazyLock;

use integration_tests::{LocalAws, Result};
use tokio::runtime::Runtime;

// One runtime for all tests, since an AWS client's connections die with the runtime that made them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static AWS: LazyLock<LocalAws> = LazyLock::new(|| LocalAws::start().expect("local AWS"));

pub(crate) fn on_aws(test: impl AsyncFnOnce(&'static LocalAws) -> Result) -> Result {
    let aws = &*AWS;
    RUNTIME.block_on(test(aws))
}
