//! The log of reports, a line each.

use std::fmt;
use std::io::{self, Write as _};

type Write = dyn Fn(&str) -> io::Result<()> + Send + Sync;

/// Takes one line.
pub(crate) struct Lines(Box<Write>);

impl Lines {
    pub(crate) fn to(write: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Box::new(write))
    }

    pub(crate) fn write(&self, line: &str) -> io::Result<()> {
        (self.0)(line)
    }
}

/// Standard output, which Lambda keeps as the log.
impl Default for Lines {
    fn default() -> Self {
        Self::to(|line| writeln!(io::stdout().lock(), "{line}"))
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}
