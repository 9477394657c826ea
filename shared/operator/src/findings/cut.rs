//! Cuts a stream of bytes into the JSON values in it, without holding more than one of them.
//!
//! A stream may hold values on a line each, values over several lines, arrays of them and
//! `{"Findings": […]}`, one after the other. A value that cannot be read costs its own lines and
//! not the rest of the stream.

use std::io::Read;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter};
use serde::de::IgnoredAny;

/// The longest value in bytes. GuardDuty's events are at most 256 KiB.
pub(crate) const LONGEST: usize = 8 << 20;
/// How much is asked of the stream at a time, and about how much goes into a block, in bytes.
pub(crate) const CHUNK: usize = 256 << 10;
/// How many pieces go into a block at most.
const PIECES: usize = 4096;

/// Values that follow each other in a file.
pub(crate) struct Block {
    /// The file's name.
    pub(crate) file: Arc<str>,
    /// The text of the values.
    pub(crate) text: Vec<u8>,
    /// Where each value is, in the order of the file.
    pub(crate) pieces: Vec<Piece>,
    /// The findings are as GuardDuty has them now, not as they were sent.
    pub(crate) last_known_only: bool,
}

/// One value, or why there is none.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The line of the file that it begins in, from 1; 0 for the file as a whole.
    pub(crate) line: u64,
    /// Its place in the block's text, or what is wrong.
    pub(crate) content: Result<Range<usize>, String>,
}

impl Block {
    fn new(file: Arc<str>) -> Self {
        Self {
            file,
            text: Vec::new(),
            pieces: Vec::new(),
            last_known_only: false,
        }
    }

    /// A block that says only that the file cannot be read.
    pub(crate) fn unreadable(file: Arc<str>, problem: String) -> Self {
        let mut block = Self::new(file);
        block.fail(0, problem);
        block
    }

    fn fail(&mut self, line: u64, problem: String) {
        let content = Err(problem);
        self.pieces.push(Piece { line, content });
    }
}

/// Where the cutter is between two values.
enum Place {
    /// At the very beginning, where a byte order mark may be.
    Start,
    /// In no array.
    Top,
    /// In an array.
    Array {
        array: Array,
        /// A value may follow; else a comma must come first.
        separated: bool,
    },
    /// In the object around an array, behind the array.
    Behind(Array),
    /// Behind something that is not JSON, on the way to a line that may begin a value.
    Skipping(Skip),
}

#[derive(Clone, Copy)]
struct Array {
    /// The line that it begins in.
    line: u64,
    /// It is the list in `{"Findings": […]}`.
    in_object: bool,
}

struct Skip {
    line: u64,
    problem: String,
    /// The next byte is the first of its line.
    at_line_start: bool,
    /// The array that goes on behind what is skipped.
    array: Option<Array>,
}

/// What a step came to.
enum Step {
    Went,
    NeedsMore,
    Done,
}

/// The blocks of one stream.
pub(crate) struct Cutter<R> {
    reader: R,
    window: Vec<u8>,
    /// The part of the window that was read and not yet cut.
    rest: Range<usize>,
    ended: bool,
    /// The line that the rest begins in.
    line: u64,
    place: Place,
    /// The last value had a line to itself, so the next one is presumed to have one too.
    lines: bool,
    block: Block,
}

impl<R: Read> Cutter<R> {
    pub(crate) fn new(file: Arc<str>, reader: R) -> Self {
        Self {
            reader,
            window: Vec::new(),
            rest: 0..0,
            ended: false,
            line: 1,
            place: Place::Start,
            lines: false,
            block: Block::new(file),
        }
    }

    fn step(&mut self) -> Step {
        match &self.place {
            Place::Start => return self.start(),
            Place::Skipping(_) => return self.skip(),
            _ => {}
        }
        self.pass(self.rest().len() - self.rest().trim_ascii_start().len());
        let Some(first) = self.rest().first().copied() else {
            return if self.ended {
                self.finish()
            } else {
                Step::NeedsMore
            };
        };
        match (&mut self.place, first) {
            (Place::Top, b'{') => self.object(),
            (Place::Top, b'[') => self.enter(1, false),
            (Place::Array { array, .. }, b']') => {
                self.place = if array.in_object {
                    Place::Behind(*array)
                } else {
                    Place::Top
                };
                self.went(1)
            }
            (Place::Array { separated, .. }, b',') if !*separated => {
                *separated = true;
                self.went(1)
            }
            (Place::Array { separated, .. }, _) if !*separated => {
                // Whatever follows, it is not in the array: it is taken for what it is by itself.
                let problem = "not JSON: expected `,` or `]` in the list";
                self.block.fail(self.line, problem.to_owned());
                self.place = Place::Top;
                Step::Went
            }
            (Place::Behind(_), b'}') => {
                self.place = Place::Top;
                self.went(1)
            }
            (Place::Behind(_), b',' | b':') => self.went(1),
            _ => self.value(),
        }
    }

    /// Takes a byte order mark away.
    fn start(&mut self) -> Step {
        let rest = self.rest();
        if rest.len() < 3 && !self.ended {
            return Step::NeedsMore;
        }
        let utf16 = rest.starts_with(&[0xff, 0xfe]) || rest.starts_with(&[0xfe, 0xff]);
        let marked = rest.starts_with("\u{feff}".as_bytes());
        self.place = Place::Top;
        if utf16 {
            let problem = "this is UTF-16: save it as UTF-8";
            self.block.fail(1, problem.to_owned());
            self.abandon();
        }
        self.went(if marked { 3 } else { 0 })
    }

    fn object(&mut self) -> Step {
        if self.lines
            && let Some(step) = self.one_line()
        {
            return step;
        }
        match list_of_findings(self.rest()) {
            Ahead::Yes(length) => self.enter(length, true),
            Ahead::Unknown if !self.ended && self.rest().len() < LONGEST => Step::NeedsMore,
            Ahead::Unknown | Ahead::No => self.value(),
        }
    }

    /// Cuts off an object that has a line to itself by its first and last byte alone: whoever reads
    /// the value finds out whether it is one. `None`: it does not look so.
    fn one_line(&mut self) -> Option<Step> {
        let rest = self.rest();
        let length = match memchr(b'\n', rest) {
            Some(length) => length,
            None if self.ended => rest.len(),
            None if rest.len() < LONGEST => return Some(Step::NeedsMore),
            None => return None,
        };
        let text = rest[..length].trim_ascii_end();
        if length > LONGEST || text.last() != Some(&b'}') {
            return None;
        }
        self.keep(text.len());
        Some(self.went(length))
    }

    /// Cuts off one value of whatever form.
    fn value(&mut self) -> Step {
        let rest = self.rest();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        let outcome = values.next().unwrap_or(Ok(IgnoredAny));
        let length = values.byte_offset();
        match outcome {
            Err(error) if error.is_eof() && !self.ended => {
                if rest.len() < LONGEST {
                    return Step::NeedsMore;
                }
                let line = self.line;
                self.pass(self.rest().len());
                self.skip_from(line, too_long(), false)
            }
            Err(error) if error.is_eof() => {
                let last = self.line + newlines(rest.trim_ascii_end());
                let line = self.line;
                let problem =
                    format!("the JSON value is not complete: the file ends in line {last}");
                if self.lines {
                    // It may be a line that ends too early, and then the next ones are whole.
                    return self.skip_from(line, problem, false);
                }
                self.block.fail(line, problem);
                self.abandon();
                Step::Went
            }
            // Column 0 is the newline before the line.
            Err(error) => {
                let line = error.line() - usize::from(error.column() == 0);
                self.fail(line.saturating_sub(1), not_json(&error))
            }
            // The rest of a number may be yet to come.
            Ok(_) if length == rest.len() && !self.ended && !closes(rest) => Step::NeedsMore,
            Ok(_) => {
                let (value, behind) = rest.split_at(length);
                let alone = behind
                    .iter()
                    .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))
                    .is_none_or(|byte| *byte == b'\n');
                self.lines = alone && memchr(b'\n', value).is_none();
                if length > LONGEST {
                    self.block.fail(self.line, too_long());
                } else if !matches!(self.place, Place::Behind(_)) {
                    self.keep(length);
                }
                if let Place::Array { separated, .. } = &mut self.place {
                    *separated = false;
                }
                self.went(length)
            }
        }
    }

    /// Something is not JSON, `lines_on` lines below the beginning of the rest.
    fn fail(&mut self, lines_on: usize, problem: String) -> Step {
        let rest = self.rest();
        let begins = lines_on
            .checked_sub(1)
            .and_then(|index| memchr_iter(b'\n', rest).nth(index))
            .map_or(0, |newline| newline + 1);
        self.pass(begins);
        let line = self.line;
        // What is broken may be a line that ends too early, and then the next one is whole.
        let whole = begins > 0 && matches!(self.rest().first(), Some(b'{' | b'['));
        self.skip_from(line, problem, whole)
    }

    fn skip_from(&mut self, line: u64, problem: String, at_line_start: bool) -> Step {
        let array = match self.place {
            Place::Array { array, .. } => Some(array),
            _ => None,
        };
        self.lines = false;
        self.place = Place::Skipping(Skip {
            line,
            problem,
            at_line_start,
            array,
        });
        Step::Went
    }

    /// Goes to the next line that does not look like the middle of a value.
    fn skip(&mut self) -> Step {
        let rest = &self.window[self.rest.clone()];
        let Place::Skipping(skip) = &mut self.place else {
            return Step::Went;
        };
        let resumes = match rest.first() {
            None if !self.ended => return Step::NeedsMore,
            None => true,
            Some(b']') if skip.array.is_some() => skip.at_line_start,
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'"' | b',' | b'}' | b']') => false,
            Some(_) => skip.at_line_start,
        };
        if !resumes {
            let newline = memchr(b'\n', rest);
            skip.at_line_start = newline.is_some();
            let length = newline.map_or(rest.len(), |newline| newline + 1);
            return self.went(length);
        }
        let mut problem = mem::take(&mut skip.problem);
        let (line, array) = (skip.line, skip.array);
        let last = self.line - u64::from(skip.at_line_start);
        if last > line {
            problem.push_str(&format!(
                "; everything up to line {last} is skipped with it"
            ));
        }
        self.block.fail(line, problem);
        self.place = match array {
            Some(array) => Place::Array {
                array,
                separated: true,
            },
            None => Place::Top,
        };
        Step::Went
    }

    fn enter(&mut self, length: usize, in_object: bool) -> Step {
        let line = self.line;
        self.place = Place::Array {
            array: Array { line, in_object },
            separated: true,
        };
        self.went(length)
    }

    /// At the end of the stream.
    fn finish(&mut self) -> Step {
        if let Place::Array { array, .. } | Place::Behind(array) = self.place {
            self.block.fail(
                array.line,
                format!(
                    "the list that begins here is not complete: the file ends in line {}",
                    self.line
                ),
            );
            self.place = Place::Top;
        }
        Step::Done
    }

    fn rest(&self) -> &[u8] {
        &self.window[self.rest.clone()]
    }

    /// Puts the next `length` bytes into the block.
    fn keep(&mut self, length: usize) {
        let start = self.block.text.len();
        let rest = &self.window[self.rest.clone()];
        self.block.text.extend_from_slice(&rest[..length]);
        self.block.pieces.push(Piece {
            line: self.line,
            content: Ok(start..start + length),
        });
    }

    fn pass(&mut self, length: usize) {
        self.line += newlines(&self.rest()[..length]);
        self.rest.start += length;
    }

    fn went(&mut self, length: usize) -> Step {
        self.pass(length);
        Step::Went
    }

    /// Reads no further.
    fn abandon(&mut self) {
        self.rest = 0..0;
        self.ended = true;
        self.place = Place::Top;
    }

    /// Reads more: what there is, or as much again as a long value already has, so that the work is
    /// in proportion to its length.
    fn fill(&mut self) {
        self.window.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        let enough = if self.rest.len() < CHUNK {
            self.rest.len() + 1
        } else {
            2 * self.rest.len()
        };
        while self.rest.end < enough && !self.ended {
            if self.window.len() < self.rest.end + CHUNK {
                self.window.resize(self.rest.end + CHUNK, 0);
            }
            match self.reader.read(&mut self.window[self.rest.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.rest.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let line = self.line + newlines(self.rest());
                    self.block
                        .fail(line, format!("cannot be read further: {error}"));
                    self.abandon();
                }
            }
        }
    }
}

impl<R: Read> Iterator for Cutter<R> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        loop {
            let done = match self.step() {
                Step::Went => self.block.text.len() >= CHUNK || self.block.pieces.len() >= PIECES,
                // Waiting for more must not hold back what there is.
                Step::NeedsMore if self.block.pieces.is_empty() => {
                    self.fill();
                    false
                }
                Step::NeedsMore => true,
                Step::Done if self.block.pieces.is_empty() => return None,
                Step::Done => true,
            };
            if done {
                let next = Block::new(Arc::clone(&self.block.file));
                return Some(mem::replace(&mut self.block, next));
            }
        }
    }
}

/// What is wrong, without serde's own line, which counts from the beginning of the value.
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
    /// Of this length, up to and with the bracket.
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
