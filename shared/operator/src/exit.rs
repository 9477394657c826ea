//! How a command ends.

use std::fmt;
use std::process::ExitCode;

/// The result of a part of a command.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The exit status of a command, or why it failed.
pub(crate) type CommandResult = Result<ExitCode>;

/// The exit status for wrong usage, as clap has it.
pub(crate) const WRONG_USAGE: u8 = 2;
/// The exit status for what was refused.
pub(crate) const REFUSED: u8 = 3;

/// Wrong usage that shows only when the command runs.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
