//! Documents with findings, in files, folders, standard input; plain or compressed.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use same_file::Handle;
use walkdir::{DirEntry, WalkDir};

use super::json_stream::{CHUNK, JsonStream};
use super::parse::JsonText;

pub(crate) type Reader = Box<dyn Read + Send>;

/// Something to read findings from.
pub(crate) struct Document {
    /// Its name in error messages.
    pub(crate) name: Arc<str>,
    /// Its text, or why it cannot be read.
    pub(crate) text: Result<Reader, String>,
    /// Its findings are as GuardDuty has them now, not as they were sent.
    pub(crate) last_known_only: bool,
}

/// A file, or the name of what could not be looked at and why.
type Entry = Result<PathBuf, (PathBuf, String)>;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// The endings of the files that are taken from a folder; those without any are taken too.
const ENDINGS: [&str; 4] = ["json", "jsonl", "ndjson", "gz"];

/// The JSON values of all documents, one document after the other.
pub(crate) fn values(
    documents: impl Iterator<Item = Document> + Send + 'static,
) -> impl Iterator<Item = JsonText> + Send {
    documents.flat_map(|document| {
        let (stream, problem) = match document.text {
            Ok(reader) => (Some(JsonStream::new(reader)), None),
            Err(problem) => (None, Some((0, Err(format!("cannot be read: {problem}"))))),
        };
        let found = problem.into_iter().chain(stream.into_iter().flatten());
        found.map(move |(line, text)| JsonText {
            file: Arc::clone(&document.name),
            line,
            text,
            last_known_only: document.last_known_only,
        })
    })
}

/// How many files there were, so that nobody takes a folder without findings for one whose findings are harmless.
#[derive(Debug, Default)]
pub(crate) struct Files {
    read: AtomicU64,
    passed_over: AtomicU64,
}

impl Files {
    /// How many files of folders were passed over for their names.
    pub(crate) fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// The complaint to a user who got no finding.
    pub(crate) fn without_findings(&self) -> String {
        let passed_over = match self.passed_over() {
            0 => String::new(),
            _ => format!(
                " From folders, only files whose names end in .{}, and files without an ending, are read.",
                ENDINGS.join(", .")
            ),
        };
        format!("no finding was read ({self}): check the paths.{passed_over}")
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.read.load(Ordering::Relaxed);
        write!(f, "files: {read} read, {} passed over", self.passed_over())
    }
}

/// The documents that `paths` stand for, each opened when its turn comes.
pub(crate) fn documents(
    paths: Vec<PathBuf>,
    progress: ProgressBar,
    counts: Arc<Files>,
) -> impl Iterator<Item = Document> + Send {
    // The file that the output goes to. Reading it would never end.
    let output = Handle::stdout().ok();
    files(paths, Arc::clone(&counts)).map(move |entry| {
        let (path, text) = match entry {
            Ok(path) => {
                counts.read.fetch_add(1, Ordering::Relaxed);
                let text = open(&path, output.as_ref(), &progress);
                (path, text.map_err(|error| error.to_string()))
            }
            Err((path, problem)) => (path, Err(problem)),
        };
        Document {
            name: path.to_string_lossy().into(),
            text,
            last_known_only: false,
        }
    })
}

fn open(path: &Path, output: Option<&Handle>, progress: &ProgressBar) -> io::Result<Reader> {
    if path == Path::new(STANDARD_INPUT) {
        return decompressed(io::stdin());
    }
    let file = File::open(path)?;
    if file.metadata()?.is_file() && Handle::from_file(file.try_clone()?).ok().as_ref() == output {
        return Err(io::Error::other("it is the file that the output goes to"));
    }
    decompressed(progress.wrap_read(file))
}

/// How many bytes there are to read. `None`: nobody knows before standard input has ended.
pub(crate) fn size(paths: &[PathBuf]) -> Option<u64> {
    if paths.iter().any(|path| path == Path::new(STANDARD_INPUT)) {
        return None;
    }
    let sizes = files(paths.to_vec(), Arc::default()).flatten().map(|path| {
        // What cannot be looked at is complained of when its turn comes.
        path.metadata().map_or(0, |metadata| metadata.len())
    });
    Some(sizes.sum())
}

/// The files that `paths` stand for: each one itself or, in folders, what is in it in the order of
/// the names, without what is hidden.
fn files(paths: Vec<PathBuf>, counts: Arc<Files>) -> impl Iterator<Item = Entry> + Send {
    paths
        .into_iter()
        .flat_map(move |path| -> Box<dyn Iterator<Item = Entry> + Send> {
            if path == Path::new(STANDARD_INPUT) {
                return Box::new(iter::once(Ok(path)));
            }
            let counts = Arc::clone(&counts);
            let walk = WalkDir::new(&path)
                .follow_links(true)
                .sort_by_file_name()
                .into_iter()
                .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry))
                .filter_map(move |entry| match entry {
                    Ok(entry) if is_taken(&entry) => Some(Ok(entry.into_path())),
                    Ok(entry) => {
                        let passed_over = u64::from(entry.file_type().is_file());
                        counts.passed_over.fetch_add(passed_over, Ordering::Relaxed);
                        None
                    }
                    Err(error) => Some(Err((
                        error.path().unwrap_or(&path).to_owned(),
                        problem(&error),
                    ))),
                });
            Box::new(walk)
        })
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_taken(entry: &DirEntry) -> bool {
    let kind = entry.file_type();
    if entry.depth() == 0 {
        // Named by the user: whatever it is, a pipe too.
        return !kind.is_dir();
    }
    kind.is_file() && may_have_findings(entry.path())
}

/// True for a name such as findings have.
pub(crate) fn may_have_findings(path: &Path) -> bool {
    path.extension().is_none_or(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn problem(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(folder), _) => format!("it leads back to the folder {}", folder.display()),
        (None, Some(error)) => error.to_string(),
        (None, None) => error.to_string(),
    }
}

/// The text of a stream that is gzip, of one member or several, if it begins as gzip does
/// (<https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1>).
pub(crate) fn decompressed(mut stream: impl Read + Send + 'static) -> io::Result<Reader> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut head = Vec::new();
    stream.by_ref().take(2).read_to_end(&mut head)?;
    let compressed = head == GZIP;
    let whole = Cursor::new(head).chain(stream);
    if compressed {
        let buffered = BufReader::with_capacity(CHUNK, whole);
        Ok(Box::new(MultiGzDecoder::new(buffered)))
    } else {
        Ok(Box::new(whole))
    }
}
