//! Printing: what was asked for to standard output, everything else to standard error. Colours are for
//! terminals only, and for nobody who sets `NO_COLOR`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a line. Whoever reads may have seen enough (`gdr … | head`); what is being done goes on.
pub(crate) fn line(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
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
    let _ = writeln!(anstream::stderr().lock(), "{BAD}gdr:{BAD:#} {text}");
}

/// What takes a while, on standard error if that is a terminal: what is counted, and how many so far.
pub(crate) fn busy(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner()
        .with_style(style)
        .with_message(what.to_owned())
}

/// Asks a question; true if the answer is yes.
pub(crate) fn confirmed(question: &str) -> bool {
    eprint!("{question}");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// The headings of the columns in which colours tell good from bad.
const TELLING: [&str; 6] = ["STATUS", "OUTCOME", "VERDICT", "WHAT", "ROLE", "CHECK"];

/// Prints rows under headings, each column as wide as its widest cell.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: [&str; N], style: &dyn Fn(usize, &str) -> Style| {
        let mut text = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // Trailing blanks would only break lines of narrow terminals.
            let width = if column + 1 == N { 0 } else { width };
            let style = style(column, cell);
            text += &format!("{style}{cell:width$}{style:#}  ");
        }
        line(text.trim_end());
    };
    print(headings, &|_, _| HEADING);
    for row in rows {
        print(row.each_ref().map(String::as_str), &|column, cell| {
            if TELLING.contains(&headings[column]) {
                of_word(cell)
            } else {
                Style::new()
            }
        });
    }
}

/// The colour of what a cell begins with.
fn of_word(cell: &str) -> Style {
    let word = cell.split([' ', ':', ',']).next().unwrap_or_default();
    match word {
        "ok" | "contained" | "already_contained" | "applied" | "already" | "permitted"
        | "restore" | "allowed" => GOOD,
        "failed" | "partial" | "problem" | "DRIFTED" | "FAILED" | "denied" => BAD,
        "notified" | "withheld" | "awaits" | "unknown" | "skipped" | "dry_run" | "leave" => {
            DOUBTFUL
        }
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_begins_with_tells_its_colour_and_other_words_have_none() {
        assert_eq!(of_word("contained, awaits approval"), GOOD);
        assert_eq!(of_word("failed"), BAD);
        assert_eq!(of_word("leave: a person must"), DOUBTFUL);
        for plain in ["", "-", "is as it was", "containedness"] {
            assert_eq!(of_word(plain), Style::new(), "{plain}");
        }
    }
}
