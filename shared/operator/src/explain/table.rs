//! Rows in columns, for people.
//!
//! The rows stream, so that no column can be as wide as its widest cell: each has a width of its
//! own, and what is longer is cut. The last column is never cut.

use remediation::finding::printable;

use super::row::Row;

/// A column: its heading, its width in characters, and its cell.
struct Column {
    heading: &'static str,
    width: usize,
    /// The end of the cell tells more than its beginning.
    end_matters: bool,
    cell: fn(&Row) -> String,
}

const COLUMNS: [Column; 7] = [
    column("DECISION", 8, |row| row.decision.as_str().to_owned()),
    column("FUNCTIONS", 9, |row| {
        let names: Vec<_> = row.functions.iter().map(|it| it.as_str()).collect();
        names.join(",")
    }),
    column("SAMPLE", 6, |row| {
        if row.sample { "sample" } else { "" }.to_owned()
    }),
    column("TYPE", 42, |row| row.finding_type.clone()),
    column("FINDING", 32, |row| row.finding_id.clone()),
    Column {
        end_matters: true,
        ..column("FILE", 24, |row| row.file.to_string())
    },
    column("TARGETS", 48, |row| row.targets.join(" ")),
];

const fn column(heading: &'static str, width: usize, cell: fn(&Row) -> String) -> Column {
    Column {
        heading,
        width,
        end_matters: false,
        cell,
    }
}

/// The first line of the table.
pub(super) fn headings() -> String {
    let cells = COLUMNS.iter().map(|it| padded(it.heading, it));
    cells.collect::<String>() + "REASON\n"
}

/// The line for `row`.
pub(super) fn line(row: &Row) -> String {
    let cells = COLUMNS
        .iter()
        .map(|it| padded(&printable(&(it.cell)(row)), it));
    cells.collect::<String>() + &printable(&row.reason) + "\n"
}

fn padded(text: &str, column: &Column) -> String {
    let width = column.width;
    let length = text.chars().count();
    let text = if length <= width {
        text.to_owned()
    } else if column.end_matters {
        let end: String = text.chars().skip(length - width + 1).collect();
        format!("…{end}")
    } else {
        let beginning: String = text.chars().take(width - 1).collect();
        format!("{beginning}…")
    };
    format!("{text:width$}  ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remediation::catalogue::Category;

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

    fn column_of(line: &str, heading: &str) -> usize {
        let at = line.find(heading).expect(heading);
        line[..at].chars().count()
    }

    #[test]
    fn every_cell_begins_below_its_heading() {
        let (headings, line) = (headings(), line(&row()));
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
    fn what_a_terminal_would_obey_is_made_visible() {
        let file: Arc<str> = "a\u{1b}[2Jb\n\u{202e}c".into();
        let line = line(&Row { file, ..row() });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line}");
    }
}
