//! Printing: what was asked for to standard output, everything else to standard error. Colours are for
//! terminals only, and for nobody who sets `NO_COLOR`.

use std::fs::{self, File};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use remediation::finding::visible;
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document; of `explain`, one on each line. What is asked about is told on
    /// standard error then.
    Json,
}

/// Where text for people goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl Stream {
    /// Where a person reads what is asked about: standard output is a program's where it is JSON.
    pub(crate) fn of_question(format: Format) -> Self {
        match format {
            Format::Table => Self::Output,
            Format::Json => Self::Error,
        }
    }

    /// Prints a line. What it tells may come from whoever can write the table: nothing in it is obeyed by a
    /// terminal, or begins another line.
    pub(crate) fn line(self, text: &str) {
        self.raw(&visible(text));
    }

    /// Prints a line that begins with a word in its colour, in a column of `width` characters.
    pub(crate) fn word_line(self, word: &str, width: usize, text: &str) {
        let (word, text) = (visible(word), visible(text));
        let style = of_word(&word);
        self.raw(&format!("{style}{word:width$}{style:#}  {text}"));
    }

    /// How many columns the terminal has. `None`: it is no terminal, so that nothing has to fit it.
    pub(crate) fn width(self) -> Option<usize> {
        let size = match self {
            Self::Output => terminal_size_of(io::stdout()),
            Self::Error => terminal_size_of(io::stderr()),
        };
        size.map(|(Width(columns), _)| usize::from(columns))
    }

    /// The command goes on where the text cannot be written; [`written`] tells at its end.
    fn raw(self, text: &str) {
        let done = match self {
            Self::Output => writeln!(anstream::stdout().lock(), "{text}"),
            Self::Error => writeln!(anstream::stderr().lock(), "{text}"),
        };
        keep(done);
    }
}

/// The first failure to write, of the whole command.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// A reader that has seen enough (`gdr … | head`) is no failure.
fn keep(done: io::Result<()>) {
    if let Err(error) = done
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first says enough.
        let _ = FAILED.set(error);
    }
}

/// Whether all that was printed has been written: a full disk must not leave half an answer that counts as done.
pub(crate) fn written() -> Result<(), String> {
    keep(io::stdout().flush());
    match FAILED.get() {
        None => Ok(()),
        Some(error) => Err(format!(
            "the output is not complete, since it could not be written: {error}: free space or write elsewhere, \
             and run the command again"
        )),
    }
}

/// Whether a page may be written into `file`; `-` is standard output. A file that is there already is replaced only
/// if it is a page itself.
pub(crate) fn may_be_page(file: &Path) -> Result<(), String> {
    if file == Path::new(STANDARD_OUTPUT) {
        return Ok(());
    }
    match File::open(file) {
        Ok(there) => {
            let mut head = String::new();
            // A file that is no text, or a folder, is no page.
            let read = there.take(PAGE.len() as u64).read_to_string(&mut head);
            if read.is_err() || !head.eq_ignore_ascii_case(PAGE) {
                return Err(format!(
                    "{}: it is there already and is no page, so it was not replaced: name another file",
                    file.display()
                ));
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_written(file, &error)),
    }
}

/// Writes a page where [`may_be_page`] allows it, and replaces a page that is there only once the new one is whole.
pub(crate) fn page(file: &Path, page: &str) -> Result<(), String> {
    let fails = |error: io::Error| not_written(file, &error);
    may_be_page(file)?;
    if file == Path::new(STANDARD_OUTPUT) {
        return bytes(page.as_bytes()).map_err(fails);
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = Path::new(&beside);
    let done = fs::write(beside, page).and_then(|()| fs::rename(beside, file));
    done.map_err(|error| {
        // Nothing was written if it is not there.
        let _ = fs::remove_file(beside);
        fails(error)
    })
}

fn not_written(file: &Path, error: &io::Error) -> String {
    format!("{}: cannot be written: {error}", file.display())
}

/// The name that stands for standard output, which then holds the page alone.
pub(crate) const STANDARD_OUTPUT: &str = "-";

/// The beginning of every page.
const PAGE: &str = "<!DOCTYPE html>";

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    Stream::Output.raw(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a line to standard output, as [`Stream::line`] does.
pub(crate) fn line(text: &str) {
    Stream::Output.line(text);
}

/// Prints text that is made already, at once.
pub(crate) fn bytes(text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text)?;
    output.flush()
}

/// Prints text that is made already; [`written`] tells where it could not be written.
pub(crate) fn printed(text: &[u8]) {
    keep(bytes(text));
}

/// Tells something beside what was asked for. Fails where nobody listens any more.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "gdr: {text}")
}

/// Tells what went wrong.
pub(crate) fn complain(text: &str) {
    let text = visible(text);
    let _ = writeln!(anstream::stderr().lock(), "{BAD}gdr:{BAD:#} {text}");
}

/// How often a person sees that something still goes on.
const TICK: Duration = Duration::from_millis(100);

/// What takes a while, on standard error if that is a terminal: what is counted, and how many so far.
pub(crate) fn busy(what: &str) -> ProgressBar {
    progress(terminal(), "{spinner} {pos} {msg}", what)
}

/// What takes a while and is one thing, on standard error if that is a terminal.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    progress(terminal(), "{spinner} {msg} {elapsed}", what)
}

fn terminal() -> ProgressDrawTarget {
    if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

fn progress(target: ProgressDrawTarget, template: &str, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, target)
        .with_style(style)
        .with_message(what.to_owned());
    // Without it nothing is drawn before something is counted.
    bar.enable_steady_tick(TICK);
    bar
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
/// What a command takes the beginning of. It is cut without a mark, so that it can be copied.
const IDS: [&str; 2] = ["FINDING", "INCIDENT"];
/// What is known by its end.
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

/// What a column takes before the next one.
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

/// The beginning of a text, and a mark where something was cut.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{beginning}…")
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

/// A number of things: `1 message`, `2 messages`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A time to the second.
pub(crate) fn second(time: Timestamp) -> String {
    format!("{time:.0}")
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
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use indicatif::TermLike;

    use super::*;

    /// Keeps what is drawn.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("the screen").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_takes_a_while_is_drawn_though_nothing_is_counted_and_only_on_a_terminal() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = progress(target, "{spinner} {msg}", "s3 function at work");
        let started = Instant::now();
        let drawn = || screen.0.lock().expect("the screen").clone();
        while !drawn().contains("s3 function at work") {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "nothing is drawn"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        bar.finish_and_clear();
        if !io::stderr().is_terminal() {
            assert!(busy("checks").is_hidden() && waiting("a function").is_hidden());
        }
    }

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
    fn a_table_fits_the_terminal_by_what_matters_least() {
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
