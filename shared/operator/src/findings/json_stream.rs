//! Reads the JSON values in a stream of bytes, and holds no more than one of them.
//!
//! A stream may hold values on a line each, values over several lines, lists of them and
//! `{"Findings": […]}`, one after the other. A value that cannot be read costs its own lines and
//! not the rest of the stream.

use std::io::{ErrorKind, Read};

use memchr::{memchr, memchr_iter};
use serde::de::IgnoredAny;

/// The longest value in bytes. GuardDuty's events are at most 256 KiB.
pub(crate) const LONGEST: usize = 8 << 20;
/// How much is asked of the stream at a time, in bytes.
pub(crate) const CHUNK: usize = 256 << 10;

/// The line that a value begins in, from 1, and its text or what is wrong.
pub(crate) type Found = (u64, Result<Vec<u8>, String>);

/// A list whose values are values of the stream.
#[derive(Clone, Copy)]
struct List {
    /// The line that it begins in.
    line: u64,
    /// It is the list in `{"Findings": […]}`.
    in_object: bool,
    next: Next,
}

/// The next token of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    Separator,
    /// The list is over; the other members of its object may follow.
    Member,
}

/// The values of one stream.
pub(crate) struct JsonStream<R> {
    reader: R,
    window: Vec<u8>,
    /// The beginning of the part of the window that was not taken yet.
    start: usize,
    begun: bool,
    ended: bool,
    /// Why the stream could not be read to its end.
    failure: Option<String>,
    /// The line that the rest of the window begins in.
    line: u64,
    list: Option<List>,
    /// The last value had a line to itself, so the next one is presumed to have one too.
    one_a_line: bool,
}

impl<R: Read> JsonStream<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            window: Vec::new(),
            start: 0,
            begun: false,
            ended: false,
            failure: None,
            line: 1,
            list: None,
            one_a_line: false,
        }
    }

    /// Takes a byte order mark away. Answers why nothing of the stream can be read.
    fn begin(&mut self) -> Option<Found> {
        self.begun = true;
        while self.rest().len() < 3 && self.fill() {}
        let rest = self.rest();
        if rest.starts_with(&[0xff, 0xfe]) || rest.starts_with(&[0xfe, 0xff]) {
            self.abandon();
            return Some((1, Err("this is UTF-16: save it as UTF-8".to_owned())));
        }
        if rest.starts_with("\u{feff}".as_bytes()) {
            self.pass(3);
        }
        None
    }

    /// An object: a value, or what is around a list of findings.
    fn object(&mut self) -> Option<Found> {
        if self.one_a_line
            && let Some(found) = self.one_line()
        {
            return Some(found);
        }
        loop {
            match list_of_findings(self.rest()) {
                Ahead::Yes(length) => {
                    self.open(length, true);
                    return None;
                }
                Ahead::Unknown if self.rest().len() < LONGEST && self.fill() => {}
                Ahead::Unknown | Ahead::No => return self.value(),
            }
        }
    }

    /// Takes an object that has a line to itself by its first and last byte alone: its parser finds
    /// out whether it is one. `None`: it does not look so.
    fn one_line(&mut self) -> Option<Found> {
        let mut newline = memchr(b'\n', self.rest());
        while newline.is_none() && self.rest().len() < LONGEST && self.fill() {
            newline = memchr(b'\n', self.rest());
        }
        let rest = self.rest();
        let length = newline.unwrap_or(rest.len());
        let text = rest[..length].trim_ascii_end();
        if length >= LONGEST || !text.ends_with(b"}") {
            return None;
        }
        let length = text.len();
        Some((self.line, Ok(self.take(length))))
    }

    /// Takes one value of whatever form. `None`: it is none of the stream's own, or the stream failed.
    fn value(&mut self) -> Option<Found> {
        loop {
            let rest = self.rest();
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
            let outcome = values.next().unwrap_or(Ok(IgnoredAny));
            let length = values.byte_offset();
            let may_go_on = match &outcome {
                Err(error) => error.is_eof(),
                // The rest of a number may be yet to come.
                Ok(_) => length == rest.len() && !closes(rest),
            };
            if may_go_on && rest.len() < LONGEST && self.fill() {
                continue;
            }
            return match outcome {
                Ok(_) => self.whole(length),
                Err(error) if error.is_eof() && self.ended => self.incomplete(),
                Err(error) if error.is_eof() => {
                    let line = self.line;
                    self.pass(self.rest().len());
                    Some(self.skip(line, too_long(), false))
                }
                Err(error) => Some(self.broken(&error)),
            };
        }
    }

    /// Takes a value that was read to its end.
    fn whole(&mut self, length: usize) -> Option<Found> {
        let (value, behind) = self.rest().split_at(length);
        let mut behind = behind.iter();
        let next = behind.find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        let alone = next.is_none_or(|byte| *byte == b'\n');
        self.one_a_line = alone && memchr(b'\n', value).is_none();
        let line = self.line;
        let text = self.take(length);
        if let Some(list) = &mut self.list {
            if list.next == Next::Member {
                return None;
            }
            list.next = Next::Separator;
        }
        let found = if length > LONGEST {
            Err(too_long())
        } else {
            Ok(text)
        };
        Some((line, found))
    }

    /// The stream ends within a value.
    fn incomplete(&mut self) -> Option<Found> {
        if self.failure.is_some() {
            self.pass(self.rest().len());
            return None;
        }
        let line = self.line;
        let last = line + newlines(self.rest().trim_ascii_end());
        let problem = format!("the JSON value is not complete: the file ends in line {last}");
        if self.one_a_line {
            // It may be a line that ends too early, and then the next ones are whole.
            return Some(self.skip(line, problem, false));
        }
        self.abandon();
        Some((line, Err(problem)))
    }

    /// Something is not JSON: goes on behind it.
    fn broken(&mut self, error: &serde_json::Error) -> Found {
        // Column 0 is the newline before the line.
        let lines_on = error.line() - usize::from(error.column() == 0);
        let begins = lines_on
            .checked_sub(2)
            .and_then(|index| memchr_iter(b'\n', self.rest()).nth(index))
            .map_or(0, |newline| newline + 1);
        self.pass(begins);
        // What is broken may be a line that ends too early, and then the next one is whole.
        let whole = begins > 0 && matches!(self.rest().first(), Some(b'{' | b'['));
        self.skip(self.line, not_json(error), whole)
    }

    /// Goes to the next line that does not look like the middle of a value.
    fn skip(&mut self, line: u64, mut problem: String, mut at_line_start: bool) -> Found {
        self.one_a_line = false;
        self.list = self.list.filter(|list| list.next != Next::Member);
        while !self.rest().is_empty() || self.fill() {
            let rest = self.rest();
            let in_value = match rest[0] {
                b']' => self.list.is_none(),
                byte => matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b',' | b'}'),
            };
            if at_line_start && !in_value {
                break;
            }
            let newline = memchr(b'\n', rest);
            at_line_start = newline.is_some();
            self.pass(newline.map_or(rest.len(), |newline| newline + 1));
        }
        let last = self.line - u64::from(at_line_start);
        if last > line {
            problem += &format!("; everything up to line {last} is skipped with it");
        }
        if let Some(list) = &mut self.list {
            list.next = Next::Value;
        }
        (line, Err(problem))
    }

    /// Enters a list, behind the `length` bytes that begin it.
    fn open(&mut self, length: usize, in_object: bool) {
        self.list = Some(List {
            line: self.line,
            in_object,
            next: Next::Value,
        });
        self.pass(length);
    }

    /// At the end of the stream: why it is not complete.
    fn end(&mut self) -> Option<Found> {
        let list = self.list.take();
        if let Some(failure) = self.failure.take() {
            return Some((self.line, Err(format!("cannot be read further: {failure}"))));
        }
        let problem = format!(
            "the list that begins here is not complete: the file ends in line {}",
            self.line
        );
        Some((list?.line, Err(problem)))
    }

    /// The next byte that is not blank.
    fn first(&mut self) -> Option<u8> {
        loop {
            self.pass(self.rest().len() - self.rest().trim_ascii_start().len());
            let first = self.rest().first().copied();
            if first.is_some() || !self.fill() {
                return first;
            }
        }
    }

    fn rest(&self) -> &[u8] {
        &self.window[self.start..]
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let text = self.rest()[..length].to_vec();
        self.pass(length);
        text
    }

    fn pass(&mut self, length: usize) {
        self.line += newlines(&self.rest()[..length]);
        self.start += length;
    }

    /// Reads no further.
    fn abandon(&mut self) {
        self.start = self.window.len();
        self.ended = true;
        self.list = None;
    }

    /// Reads the available bytes, or as many again as a long value already has: the work stays in proportion
    /// to its length. False at the end of the stream.
    fn fill(&mut self) -> bool {
        self.window.drain(..self.start);
        self.start = 0;
        let held = self.window.len();
        let enough = if held < CHUNK { held + 1 } else { 2 * held };
        self.window.reserve_exact(enough + CHUNK - held);
        while self.window.len() < enough && !self.ended {
            let end = self.window.len();
            self.window.resize(end + CHUNK, 0);
            let read = self.reader.read(&mut self.window[end..]);
            self.window
                .truncate(end + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error.to_string());
                    self.ended = true;
                }
            }
        }
        self.window.len() > held
    }
}

impl<R: Read> Iterator for JsonStream<R> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if !self.begun
            && let Some(found) = self.begin()
        {
            return Some(found);
        }
        loop {
            let Some(first) = self.first() else {
                return self.end();
            };
            let found = match (first, &mut self.list) {
                (b'{', None) => self.object(),
                (b'[', None) => {
                    self.open(1, false);
                    None
                }
                (b']', Some(list)) if list.next != Next::Member => {
                    list.next = Next::Member;
                    if !list.in_object {
                        self.list = None;
                    }
                    self.pass(1);
                    None
                }
                (b',', Some(list)) if list.next == Next::Separator => {
                    list.next = Next::Value;
                    self.pass(1);
                    None
                }
                (_, Some(list)) if list.next == Next::Separator => {
                    // Whatever follows, it is not in the list: it is taken for what it is by itself.
                    self.list = None;
                    let problem = "not JSON: expected `,` or `]` in the list";
                    Some((self.line, Err(problem.to_owned())))
                }
                (b'}', Some(list)) if list.next == Next::Member => {
                    self.list = None;
                    self.pass(1);
                    None
                }
                (b',' | b':', Some(list)) if list.next == Next::Member => {
                    self.pass(1);
                    None
                }
                _ => self.value(),
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// The problem, without serde's own line, which counts from the beginning of the value.
pub(crate) fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(&*text, |(it, _)| it);
    match error.column() {
        0 => format!("not JSON: {problem}, at the end of the line"),
        column => format!("not JSON: {problem}, at column {column}"),
    }
}

fn too_long() -> String {
    format!("longer than {} MiB", LONGEST >> 20)
}

/// How many lines end in `text`.
pub(crate) fn newlines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// True if the value at the beginning of `text` ends with a bracket or a quote of its own.
fn closes(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'{' | b'[' | b'"'))
}

enum Ahead {
    /// This many bytes, up to and with the bracket.
    Yes(usize),
    No,
    /// The text is too short to tell.
    Unknown,
}

/// Whether `text` begins with `{"Findings": [`, in either case, as the answer of GetFindings does.
fn list_of_findings(text: &[u8]) -> Ahead {
    let tokens: [&[&[u8]]; 4] = [
        &[b"{"],
        &[b"\"Findings\"", b"\"findings\""],
        &[b":"],
        &[b"["],
    ];
    let mut rest = text;
    for alternatives in tokens {
        rest = rest.trim_ascii_start();
        let found = alternatives.iter().find_map(|it| rest.strip_prefix(*it));
        match found {
            Some(behind) => rest = behind,
            None if alternatives.iter().any(|it| it.starts_with(rest)) => return Ahead::Unknown,
            None => return Ahead::No,
        }
    }
    Ahead::Yes(text.len() - rest.len())
}

#[cfg(test)]
mod tests;
