//! Rows in columns, for people.
//!
//! The rows stream, so that no column can be as wide as its widest cell: each has a width of its
//! own, and what is longer is cut. The reason is only cut where a terminal has no room for it.

use remediation::finding::printable;

use super::row::Row;
use crate::output::shortened;

/// A column: its heading, its width in characters, and its cell.
struct Column {
    heading: &'static str,
    width: usize,
    /// The end of the cell tells more than its beginning.
    end_matters: bool,
    /// Left out of a terminal with fewer columns.
    from: usize,
    cell: fn(&Row) -> String,
}

const COLUMNS: [Column; 7] = [
    column("DECISION", 8, 0, |row| row.decision.as_str().to_owned()),
    column("FUNCTIONS", 9, 100, |row| {
        let names: Vec<_> = row.functions.iter().map(|it| it.as_str()).collect();
        names.join(",")
    }),
    column("SAMPLE", 6, 100, |row| {
        if row.sample { "sample" } else { "" }.to_owned()
    }),
    column("TYPE", 42, 0, |row| row.finding_type.clone()),
    column("FINDING", 32, 180, |row| row.finding_id.clone()),
    Column {
        end_matters: true,
        ..column("FILE", 24, 220, |row| row.file.to_string())
    },
    column("TARGETS", 48, 180, |row| row.targets.join(" ")),
];

const fn column(
    heading: &'static str,
    width: usize,
    from: usize,
    cell: fn(&Row) -> String,
) -> Column {
    Column {
        heading,
        width,
        end_matters: false,
        from,
        cell,
    }
}

/// The table of a terminal of `width` columns; whole where it is for none.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) width: Option<usize>,
}

impl Table {
    /// The first line.
    pub(super) fn headings(self) -> String {
        self.joined(|column| column.heading.to_owned(), "REASON")
    }

    /// The line for `row`.
    pub(super) fn line(self, row: &Row) -> String {
        let cell = |column: &Column| printable(&(column.cell)(row));
        self.joined(cell, &printable(&row.reason))
    }

    fn joined(self, cell: impl Fn(&Column) -> String, reason: &str) -> String {
        let shown = |column: &&Column| self.width.is_none_or(|width| column.from <= width);
        let columns = COLUMNS.iter().filter(shown);
        let mut line: String = columns
            .map(|column| padded(&cell(column), column))
            .collect();
        match self.width {
            Some(width) => {
                let room = width.saturating_sub(line.chars().count());
                line += &shortened(reason, room);
            }
            None => line += reason,
        }
        line + "\n"
    }
}

fn padded(text: &str, column: &Column) -> String {
    let width = column.width;
    let length = text.chars().count();
    let text = if column.end_matters && length > width {
        let end: String = text.chars().skip(length - width + 1).collect();
        format!("…{end}")
    } else {
        shortened(text, width)
    };
    format!("{text:width$}  ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remediation::category::Category;

    use super::super::row::Verdict;
    use super::*;

    fn row() -> Row {
        Row {
            file: "a/long/way/to/the/file/of/findings.jsonl".into(),
            finding_id: "16afba5c5c43e07c9e3e5e2e544e95df".to_owned(),
            finding_type: "Backdoor:EC2/Spambot".to_owned(),
            functions: vec![Category::S3, Category::Iam],
            decision: Verdict::Contain,
            decisions: [("s3", Verdict::Contain), ("iam", Verdict::Notify)].into(),
            reason: "a reason".to_owned(),
            sample: true,
            targets: vec!["i-0abc1234def567890".to_owned()],
        }
    }

    const WHOLE: Table = Table { width: None };

    #[test]
    fn a_row_fits_the_terminal_and_keeps_decision_type_and_reason() {
        let long = Row {
            reason: "a reason that goes on ".repeat(20),
            ..row()
        };
        for width in [80, 120, 200] {
            let table = Table { width: Some(width) };
            for line in [table.headings(), table.line(&long)] {
                assert!(
                    line.trim_end_matches('\n').chars().count() <= width,
                    "{line}"
                );
            }
            let line = table.line(&long);
            for part in ["contain", "Backdoor:EC2/Spambot", "a reason that"] {
                assert!(line.contains(part), "{width}: {line}");
            }
        }
    }

    fn column_of(line: &str, heading: &str) -> usize {
        let at = line.find(heading).expect(heading);
        line[..at].chars().count()
    }

    #[test]
    fn every_cell_begins_below_its_heading() {
        let (headings, line) = (WHOLE.headings(), WHOLE.line(&row()));
        for (heading, cell) in [
            ("DECISION", "contain"),
            ("FUNCTIONS", "s3,iam"),
            ("SAMPLE", "sample"),
            ("TYPE", "Backdoor:EC2/Spambot"),
            ("FINDING", "16afba5c5c43e07c9e3e5e2e544e95df"),
            ("FILE", "…"),
            ("TARGETS", "i-0abc1234def567890"),
            ("REASON", "a reason"),
        ] {
            assert_eq!(
                column_of(&headings, heading),
                column_of(&line, cell),
                "{heading}\n{headings}{line}"
            );
        }
        assert!(line.contains("/findings.jsonl  "), "{line}");
    }

    #[test]
    fn control_characters_for_a_terminal_are_made_visible() {
        let file: Arc<str> = "a\u{1b}[2Jb\n\u{202e}c".into();
        let line = WHOLE.line(&Row { file, ..row() });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line}");
    }
}
