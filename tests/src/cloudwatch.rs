//! Calls to CloudWatch.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{LocalAws, Result, checkout};

/// Calls an operation, by its name in Python, as the root user.
pub fn call(aws: &LocalAws, operation: &str, parameters: &Value) -> Result<Value> {
    let root = checkout();
    let mut python = Command::new(root.join(".local/emulators/bin/python"))
        .arg(root.join("tests/local_aws/cloudwatch.py"))
        .arg(operation)
        .envs(aws.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = python.stdin.take().ok_or("no input")?;
    input.write_all(parameters.to_string().as_bytes())?;
    drop(input);
    let done = python.wait_with_output()?;
    if !done.status.success() {
        return Err(format!("{operation} ended with {}", done.status).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}
