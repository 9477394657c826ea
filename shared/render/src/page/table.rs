//! Tables that stay readable: no column is narrower than its longest word, and many rows fold.

use maud::{Markup, html};

use super::Outside;
use model::finding::printable;

/// How many rows show before the others are folded.
const UNFOLDED: usize = 20;
/// A longer word may be broken: names and ARNs have hundreds of characters.
const LONG_WORD: usize = 24;

/// A table that scrolls by itself where there is no room for it.
#[derive(Debug)]
pub struct Table<'a> {
    /// The table's name for those who do not see it.
    pub name: &'a str,
    /// A heading for each column.
    pub headings: &'a [&'a str],
    /// The cells of each row.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table. Its text comes from outside.
#[derive(Debug)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// The class that colors it.
    pub tone: &'static str,
}

impl Cell {
    fn render(&self) -> Markup {
        let text = printable(&self.text);
        let is_long = text
            .split_whitespace()
            .any(|it| it.chars().count() > LONG_WORD);
        html! {
            @if is_long { td.long { bdi.(self.tone) { (breakable(&text)) } } }
            @else if self.tone.is_empty() { td { (Outside(&self.text)) } }
            @else { td { span.(self.tone) { (Outside(&self.text)) } } }
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: "" }
    }
}

/// Text that may be broken where the parts of a name meet.
fn breakable(text: &str) -> Markup {
    html! { @for part in text.split_inclusive([':', '/', '.', ',', '-', '_', '=']) { (part) wbr; } }
}

impl Table<'_> {
    /// The table, of which the first rows show.
    pub fn render(&self) -> Markup {
        let shown = self.rows.len().min(UNFOLDED);
        let (shown, folded) = self.rows.split_at(shown);
        html! {
            (self.of(shown))
            @if !folded.is_empty() {
                details {
                    summary { "and " (folded.len()) " more" }
                    (self.of(folded))
                }
            }
        }
    }

    fn of(&self, rows: &[Vec<Cell>]) -> Markup {
        html! {
            div.wide role="region" aria-label=(self.name) tabindex="0" {
                table aria-label=(self.name) {
                    thead { tr { @for heading in self.headings { th scope="col" { (heading) } } } }
                    tbody { @for row in rows { tr { @for cell in row { (cell.render()) } } } }
                }
            }
        }
    }
}
