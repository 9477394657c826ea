//! Tables, as wide as the terminal.

use anstyle::Style;
use remediation::finding::visible;

use super::{HEADING, Stream, of_word, shortened};

/// The headings of the columns in which colours tell good from bad.
const TELLING: [&str; 6] = ["STATUS", "OUTCOME", "VERDICT", "WHAT", "ROLE", "CHECK"];

/// Prints rows under headings to standard output, as [`Stream::table`] does.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    Stream::Output.table(headings, rows);
}

/// How far a column is shortened for a terminal that is too narrow, the one first that matters least; to 0: it is
/// left out. `gdr … --output json` has all.
const SHORTENED: [(&str, usize); 17] = [
    ("FOR", 0),
    ("EVENTS", 0),
    ("TARGET", 24),
    ("NAME", 24),
    ("RESOURCE", 24),
    ("ON", 24),
    ("TYPE", 24),
    ("BY", 16),
    ("FINDING", 12),
    ("INCIDENT", 12),
    ("TRIES", 0),
    ("TYPE", 12),
    ("QUEUE", 10),
    ("FUNCTION", 12),
    ("ACCOUNT", 0),
    ("FINDING", 8),
    ("STATUS", 12),
];
/// The columns of ids, of which commands take the beginning. They are cut without a mark, to be copied.
const IDS: [&str; 2] = ["FINDING", "INCIDENT"];
/// The columns of names that differ at their end.
const BY_END: [&str; 3] = ["RESOURCE", "ON", "TARGET"];
/// How narrow the last column may become: its text goes on in the next line.
const LAST: usize = 30;
const GAP: usize = 2;

impl Stream {
    /// Prints rows under headings, each column as wide as its widest cell, or as the terminal allows. Cells are
    /// printed as [`Stream::line`] prints a line.
    pub(crate) fn table<const N: usize>(self, headings: [&str; N], rows: &[[String; N]]) {
        for line in lines(headings, rows, self.width()) {
            self.raw(&line);
        }
    }
}

fn lines<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    terminal: Option<usize>,
) -> Vec<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| visible(cell)))
        .collect();
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(terminal) = terminal {
        fit(headings, &mut widths, terminal);
    }
    let plain = headings.map(ToOwned::to_owned);
    let mut lines = row_lines(headings, &plain, widths, &|_, _| HEADING);
    for row in &rows {
        lines.extend(row_lines(headings, row, widths, &|heading, cell| {
            if TELLING.contains(&heading) {
                of_word(cell)
            } else {
                Style::new()
            }
        }));
    }
    lines
}

/// Makes columns narrower until they fit.
fn fit<const N: usize>(headings: [&str; N], widths: &mut [usize; N], terminal: usize) {
    let Some(last) = N.checked_sub(1) else {
        return;
    };
    let least = |heading: &str| if IDS.contains(&heading) { 12 } else { LAST };
    let needed = |widths: &[usize; N]| {
        let before: usize = widths[..last].iter().map(|it| before(*it)).sum();
        before + widths[last].min(least(headings[last]))
    };
    for (heading, least) in SHORTENED {
        let Some(column) = headings[..last].iter().position(|it| *it == heading) else {
            continue;
        };
        let excess = needed(widths).saturating_sub(terminal);
        if excess == 0 {
            break;
        }
        widths[column] = match least {
            0 => 0,
            _ => widths[column].min(least.max(widths[column].saturating_sub(excess))),
        };
    }
    let before: usize = widths[..last].iter().map(|it| before(*it)).sum();
    let room = terminal.saturating_sub(before).max(least(headings[last]));
    widths[last] = widths[last].min(room);
}

/// The width that a column takes before the next one.
fn before(width: usize) -> usize {
    if width == 0 { 0 } else { width + GAP }
}

/// A row, in as many lines as its last cell takes.
fn row_lines<const N: usize>(
    headings: [&str; N],
    cells: &[String; N],
    widths: [usize; N],
    style: &dyn Fn(&str, &str) -> Style,
) -> Vec<String> {
    let mut text = String::new();
    let mut lines = Vec::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let heading = headings[column];
        let style = style(heading, cell);
        if column + 1 < N {
            if width > 0 {
                let cell = cut(heading, cell, width);
                text += &format!("{style}{cell:width$}{style:#}  ");
            }
            continue;
        }
        let margin = widths[..column].iter().map(|it| before(*it)).sum();
        let cell = if cell.contains(' ') {
            wrapped(cell, width)
        } else {
            vec![cut(heading, cell, width)]
        };
        for (index, part) in cell.iter().enumerate() {
            let indent = if index == 0 { 0 } else { margin };
            lines.push(
                format!("{text}{:indent$}{style}{part}{style:#}", "")
                    .trim_end()
                    .to_owned(),
            );
            text.clear();
        }
    }
    lines
}

/// As much of a cell as its column has room for.
fn cut(heading: &str, cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    if IDS.contains(&heading) {
        return cell.chars().take(width).collect();
    }
    if BY_END.contains(&heading) {
        let end: String = cell.chars().skip(length - (width - 1)).collect();
        return format!("…{end}");
    }
    shortened(cell, width)
}

/// A text in lines of at most `width` characters, unless a word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_is_obeyed_by_a_terminal_or_cut() {
        let long = "x".repeat(5_000);
        let hostile = ["a\u{1b}[2J", "b\u{9b}31m\n", &format!("\u{202e}{long}")];
        let printed = lines(
            ["ONE", "TWO", "THREE"],
            &[hostile.map(ToOwned::to_owned)],
            None,
        );
        assert_eq!(printed.len(), 2, "{printed:?}");
        let row = &printed[1];
        assert!(
            !row.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\n']),
            "{row:?}"
        );
        assert!(row.contains("a\\u{1b}[2J") && row.contains("\\u{9b}") && row.contains(&long));
    }

    #[test]
    fn a_table_fits_the_terminal_by_cutting_its_least_important_columns() {
        let headings = [
            "RECEIVED", "STATUS", "FUNCTION", "ACCOUNT", "TYPE", "INCIDENT",
        ];
        let row = [
            "2026-03-04T05:06:07Z",
            "already_contained, awaits approval",
            "ec2 i-0abc1234def567890",
            "111122223333",
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            "9c1f0a7e5b3d42868e1a000000000001",
        ];
        let plain = |terminal| {
            let lines = lines(headings, &[row.map(ToOwned::to_owned)], terminal);
            lines.iter().map(|line| strip(line)).collect::<Vec<_>>()
        };
        for terminal in [80, 120, 200] {
            for line in plain(Some(terminal)) {
                assert!(line.chars().count() <= terminal, "{terminal}: {line}");
            }
        }
        let narrow = plain(Some(80));
        assert!(narrow[1].contains("2026-03-04T05:06:07Z"), "{narrow:?}");
        assert!(narrow[1].ends_with("9c1f0a7e5b3d"), "{narrow:?}");
        let whole = plain(None);
        assert!(row.iter().all(|cell| whole[1].contains(cell)), "{whole:?}");
    }

    #[test]
    fn the_last_column_goes_on_below_itself_and_keeps_every_word() {
        let found =
            "the last update failed and the version before it runs: look at the stack's events";
        let row = ["problem", "stack gdr", found].map(ToOwned::to_owned);
        let printed = lines(["CHECK", "OF", "FOUND"], &[row], Some(60));
        let printed: Vec<_> = printed.iter().map(|line| strip(line)).collect();
        assert!(printed.len() > 2 && printed.iter().all(|it| it.len() <= 60));
        let words: Vec<_> = printed[1..]
            .iter()
            .flat_map(|it| it.split_whitespace())
            .collect();
        assert_eq!(words.join(" "), format!("problem stack gdr {found}"));
    }

    /// A line without its colours.
    fn strip(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }
}
