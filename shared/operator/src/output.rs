//! Printing: results go to standard output, everything else to standard error. Colours are for terminals
//! only, and `NO_COLOR` disables them.

mod table;

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
use serde_json::Value;
use terminal_size::{Width, terminal_size_of};

pub(crate) use self::table::table;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document; `explain` prints one on each line. Questions then go to standard
    /// error, with their subject.
    Json,
}

/// The stream of text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl Stream {
    /// The stream of a question and its subject: with JSON, standard output belongs to a program.
    pub(crate) fn of_question(format: Format) -> Self {
        match format {
            Format::Table => Self::Output,
            Format::Json => Self::Error,
        }
    }

    /// Prints a line. Its text may come from anybody who can write the table: no part of it is obeyed by a
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
    if file == Path::new(STANDARD) {
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
    if file == Path::new(STANDARD) {
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

/// The name of standard input, or of standard output, which then holds nothing but the result.
pub(crate) const STANDARD: &str = "-";

/// The beginning of every page.
const PAGE: &str = "<!DOCTYPE html>";

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    Stream::Output.raw(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// An object without the members that have no value.
pub(crate) fn object(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    value
}

/// Prints a line to standard output, as [`Stream::line`] does.
pub(crate) fn line(text: &str) {
    Stream::Output.line(text);
}

/// Prints text that is already made, in one write.
pub(crate) fn bytes(text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text)?;
    output.flush()
}

/// Prints text that is made already; [`written`] tells where it could not be written.
pub(crate) fn printed(text: &[u8]) {
    keep(bytes(text));
}

/// Prints a note beside the result. Fails if standard error is closed.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "gdr: {text}")
}

/// Tells what went wrong.
pub(crate) fn complain(text: &str) {
    let text = visible(text);
    let _ = writeln!(anstream::stderr().lock(), "{BAD}gdr:{BAD:#} {text}");
}

/// The interval at which a progress line is redrawn.
const TICK: Duration = Duration::from_millis(100);

/// The progress of counted work, on standard error if that is a terminal.
pub(crate) fn busy(what: &str) -> ProgressBar {
    progress(terminal(), "{spinner} {pos} {msg}", what)
}

/// The progress of one long operation, on standard error if that is a terminal.
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

/// The beginning of a text, and a mark where something was cut.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{beginning}…")
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
    fn progress_without_a_count_is_drawn_only_on_a_terminal() {
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
    fn the_first_word_of_a_cell_decides_its_color() {
        assert_eq!(of_word("contained, awaits approval"), GOOD);
        assert_eq!(of_word("failed"), BAD);
        assert_eq!(of_word("leave: a person must"), DOUBTFUL);
        for plain in ["", "-", "is as it was", "containedness"] {
            assert_eq!(of_word(plain), Style::new(), "{plain}");
        }
    }
}
