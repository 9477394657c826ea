//! The workspace as Cargo describes it, without a change of the lock file.

use std::process::Command;

use serde_json::Value;

use crate::{Result, checkout};

/// Reads `cargo metadata`: the packages, and how they depend on each other.
///
/// # Errors
/// What Cargo complains about.
pub fn metadata(arguments: &[&str]) -> Result<Value> {
    let told = told("metadata", &["--format-version", "1"], arguments)?;
    Ok(serde_json::from_str(&told)?)
}

/// Reads `cargo tree`, a crate a line.
///
/// # Errors
/// What Cargo complains about.
pub fn tree(arguments: &[&str]) -> Result<String> {
    told("tree", &["--offline", "--prefix", "none"], arguments)
}

fn told(command: &str, always: &[&str], arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(checkout())
        .args([command, "--locked"])
        .args(always)
        .args(arguments)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
