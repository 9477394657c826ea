//! Requests as they would go to AWS, each kept once, where `RECORD_REQUESTS` names a file: `tests/requests`
//! holds them against AWS's own models of its services.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::{LazyLock, Mutex};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::json;

/// The variable that names the file.
const FILE: &str = "RECORD_REQUESTS";

/// Headers that say how a request is made, and not what is asked.
const OF_THE_CLIENT: [&str; 5] = [
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "traceparent",
    "user-agent",
    "x-amz-user-agent",
];

struct Kept {
    file: File,
    seen: HashSet<u64>,
}

static KEPT: LazyLock<Option<Mutex<Kept>>> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "whether to keep requests is asked of whoever runs the tests"
    )]
    let path = std::env::var(FILE).ok()?;
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{FILE}: {path}: {error}"));
    Some(Mutex::new(Kept {
        file,
        seen: HashSet::new(),
    }))
});

/// Keeps a request that is not there yet, if somebody asks for them.
pub(crate) fn keep(request: &HttpRequest) {
    let Some(kept) = &*KEPT else { return };
    let line = line(request);
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    let mut kept = kept.lock().expect("no panic before");
    if kept.seen.insert(hasher.finish()) {
        writeln!(kept.file, "{line}").expect("the request is written");
    }
}

fn line(request: &HttpRequest) -> String {
    let headers = request.headers().iter();
    let headers = headers.filter(|(name, _)| !OF_THE_CLIENT.contains(name));
    let headers: BTreeMap<_, _> = headers.collect();
    let body = request.body().bytes().unwrap_or_default();
    json!({
        "method": request.method(),
        "uri": request.uri(),
        "headers": headers,
        "body": String::from_utf8_lossy(body),
    })
    .to_string()
}
