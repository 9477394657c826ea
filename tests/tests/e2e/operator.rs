//! `gdr` as a person would call it, on a deployed stack.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use integration_tests::{LocalAws, Result};

/// Runs `gdr` as the account's root user, with something typed.
pub(crate) fn gdr(aws: &LocalAws, arguments: &[&str], typed: &str) -> Result<Output> {
    gdr_with(aws, arguments, typed, &[])
}

/// The same, with more in its environment.
pub(crate) fn gdr_with(
    aws: &LocalAws,
    arguments: &[&str],
    typed: &str,
    variables: &[(&str, &str)],
) -> Result<Output> {
    let mut child = Command::new(program()?)
        .args(arguments)
        .envs(aws.environment())
        .env("AWS_ENDPOINT_URL_EC2", &aws.ec2_endpoint)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(typed.as_bytes())?;
    drop(input);
    Ok(child.wait_with_output()?)
}

#[track_caller]
pub(crate) fn expect_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// What it printed, on both outputs.
pub(crate) fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(error)
}

/// Where cargo puts the programs of the workspace, beside the folder of this test.
pub(crate) fn program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let built = test.ancestors().nth(2).ok_or("no folder")?.join("gdr");
    if built.is_file() {
        return Ok(built);
    }
    Err(format!("{} is not there: cargo build -p operator", built.display()).into())
}
