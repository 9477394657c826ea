//! `clippy.toml` bans each call of the AWS SDK that takes something away or lets somebody in: containment
//! needs none of them but the few that a function allows itself by an `#[expect]` with its reason.
//!
//! The operations are read from the sources of each AWS crate that a deployed function depends on. So an update of the
//! SDK that brings a new one fails here. `UPDATE_EXPECT=1 cargo test -p remediation --lib banned_calls` writes
//! `clippy.toml`; read the difference.

mod lists;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;
use serde_json::Value;

use self::lists::{
    ALLOWED, BESIDES, OPENS, OTHER_VERBS, READ_IN_ONE_PLACE, READS, REASONS, Reasoned, TAKES_AWAY,
};

type Error = Box<dyn std::error::Error>;

const START: &str =
    "    # Down to the end mark generated: shared/remediation/src/banned_calls.rs\n";
const END: &str = "    # end of what is generated\n";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of each AWS crate that a deployed function is linked with, by the service.
fn services() -> Result<BTreeMap<String, PathBuf>, Error> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "host-tuple"])
        .current_dir(checkout())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut needs = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let linked = list(&node["deps"]).into_iter().filter(|dependency| {
            let kinds = list(&dependency["dep_kinds"]);
            kinds.iter().any(|kind| kind["kind"].is_null())
        });
        let linked: Vec<_> = linked.map(|dependency| text(&dependency["pkg"])).collect();
        needs.insert(text(&node["id"]), linked);
    }
    let packages = list(&metadata["packages"]);
    let deployed = packages
        .iter()
        .filter(|it| text(&it["name"]).ends_with("-responder"));
    let mut waiting: Vec<_> = deployed.map(|package| text(&package["id"])).collect();
    assert_eq!(waiting.len(), 5, "{waiting:?}");
    let mut linked = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if linked.insert(id.clone()) {
            waiting.extend(needs.get(&id).cloned().unwrap_or_default());
        }
    }
    let mut services = BTreeMap::new();
    for package in packages
        .iter()
        .filter(|package| linked.contains(&text(&package["id"])))
    {
        let (name, manifest) = (text(&package["name"]), text(&package["manifest_path"]));
        if let Some(service) = name.strip_prefix("aws-sdk-") {
            let folder = Path::new(&manifest).parent().ok_or("no folder")?;
            services.insert(service.to_owned(), folder.to_owned());
        }
    }
    Ok(services)
}

/// The operations of a service, as the methods of its client are called.
fn operations(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let mut operations = BTreeSet::new();
    for entry in folder.join("src/client").read_dir()? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // `customize` is not one.
        if folder.join(format!("src/operation/{name}.rs")).is_file() {
            operations.insert(name.to_owned());
        }
    }
    Ok(operations)
}

/// Each banned operation with the reason. An operation whose verb is not known is an error.
fn banned() -> Result<BTreeMap<(String, String), &'static str>, Error> {
    let mut banned = BTreeMap::new();
    let mut unknown = Vec::new();
    let mut stale: BTreeSet<_> = BESIDES.iter().chain(&ALLOWED).chain(&REASONS).collect();
    for (service, folder) in services()? {
        let operations = operations(&folder)?;
        assert!(operations.len() > 10, "{service}: {operations:?}");
        for operation in operations {
            let is_this = |it: &&Reasoned| it.0 == service && it.1 == operation;
            stale.retain(|it| !is_this(it));
            let special =
                |list: &'static [Reasoned]| list.iter().find(is_this).map(|(_, _, reason)| *reason);
            let words: Vec<_> = operation
                .split('_')
                .skip_while(|word| *word == "batch")
                .collect();
            let takes_away = TAKES_AWAY.iter().find(|(verb, _)| *verb == words[0]);
            let reason = if let Some((_, reason)) = takes_away {
                Some(*reason)
            } else if READS.contains(&words[0]) {
                None
            } else if OTHER_VERBS.contains(&words[0]) {
                let opens = words[1..].iter().any(|word| OPENS.contains(word));
                let opens = opens && special(&ALLOWED).is_none();
                opens.then_some("it decides who may do what, or how long something is kept")
            } else {
                unknown.push(format!("{service} {operation}"));
                None
            };
            let reason = special(&REASONS).or_else(|| special(&BESIDES)).or(reason);
            if let Some(reason) = reason {
                banned.insert((service.clone(), operation), reason);
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "operations with a verb that is on no list: does it take something away? {unknown:?}"
    );
    assert!(
        stale.is_empty(),
        "the SDK has no such operations: {stale:?}"
    );
    Ok(banned)
}

#[test]
fn each_call_of_the_sdk_that_takes_away_or_lets_in_is_banned() -> Result<(), Error> {
    let path = checkout().join("clippy.toml");
    let written = std::fs::read_to_string(&path)?;
    let (before, rest) = written.split_once(START).ok_or("no mark of the start")?;
    let (_, after) = rest.split_once(END).ok_or("no mark of the end")?;
    let banned = banned()?;
    assert!(banned.len() > 400, "{}", banned.len());
    let mut text = format!("{before}{START}");
    for ((service, operation), reason) in banned {
        writeln!(
            text,
            "    {{ path = \"aws_sdk_{service}::Client::{operation}\", reason = \"{reason}\" }},"
        )?;
    }
    text = format!("{text}{END}{after}");
    expect_file![path].assert_eq(&text);
    Ok(())
}

#[test]
fn the_clocks_and_the_environment_are_banned() -> Result<(), Error> {
    let written = std::fs::read_to_string(checkout().join("clippy.toml"))?;
    for path in READ_IN_ONE_PLACE {
        let line = format!("    {{ path = \"{path}\", reason = ");
        assert!(written.contains(&line), "clippy.toml does not ban {path}");
    }
    Ok(())
}
