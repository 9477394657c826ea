//! Printing: what was asked for to standard output, everything else to standard error.

#![expect(clippy::print_stdout, reason = "the one place that prints")]

use std::io::{self, BufRead as _, Write as _};

use serde::Serialize;

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints text that is made already, at once.
pub(crate) fn bytes(text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text)?;
    output.flush()
}

/// Tells something beside what was asked for. Fails where nobody listens any more.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "gdr: {text}")
}

/// Tells what went wrong.
pub(crate) fn complain(text: &str) {
    eprintln!("gdr: {text}");
}

/// Asks a question; true if the answer is yes.
pub(crate) fn confirmed(question: &str) -> bool {
    eprint!("{question}");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Prints rows under headings, each column as wide as its widest cell.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &[&str]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&headings);
    for row in rows {
        print(&row.each_ref().map(String::as_str));
    }
}
