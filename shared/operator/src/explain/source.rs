//! Where findings come from: files, folders, standard input; plain or compressed.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use same_file::Handle;
use walkdir::{DirEntry, WalkDir};

use super::cut::{Block, CHUNK, Cutter};

type Reader = Box<dyn Read + Send>;

/// A file, or the name of what could not be looked at and why.
type Entry = Result<PathBuf, (PathBuf, String)>;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// The endings of the files that are taken from a folder; those without any are taken too.
const ENDINGS: [&str; 4] = ["json", "jsonl", "ndjson", "gz"];

/// The blocks of all files, one file after the other.
pub(super) struct Blocks {
    files: Box<dyn Iterator<Item = Entry> + Send>,
    current: Option<Cutter<Reader>>,
    /// The file that the output goes to. Reading it would never end.
    output: Option<Handle>,
    progress: ProgressBar,
}

impl Blocks {
    pub(super) fn new(paths: Vec<PathBuf>, progress: ProgressBar) -> Self {
        Self {
            files: Box::new(files(paths)),
            current: None,
            output: Handle::stdout().ok(),
            progress,
        }
    }

    fn open(&self, path: &Path) -> io::Result<Reader> {
        if path == Path::new(STANDARD_INPUT) {
            return decompressed(io::stdin());
        }
        let file = File::open(path)?;
        if file.metadata()?.is_file() && Handle::from_file(file.try_clone()?).ok() == self.output {
            return Err(io::Error::other("it is the file that the output goes to"));
        }
        decompressed(self.progress.wrap_read(file))
    }
}

impl Iterator for Blocks {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(block) = self.current.as_mut().and_then(Iterator::next) {
                return Some(block);
            }
            let (path, opened) = match self.files.next()? {
                Ok(path) => {
                    let opened = self.open(&path).map_err(|error| error.to_string());
                    (path, opened)
                }
                Err((path, problem)) => (path, Err(problem)),
            };
            let name: Arc<str> = path.to_string_lossy().into();
            match opened {
                Ok(reader) => self.current = Some(Cutter::new(name, reader)),
                Err(problem) => {
                    return Some(Block::unreadable(
                        name,
                        format!("cannot be read: {problem}"),
                    ));
                }
            }
        }
    }
}

/// How many bytes there are to read. `None`: nobody knows before standard input has ended.
pub(super) fn size(paths: &[PathBuf]) -> Option<u64> {
    if paths.iter().any(|path| path == Path::new(STANDARD_INPUT)) {
        return None;
    }
    let sizes = files(paths.to_vec()).flatten().map(|path| {
        // What cannot be looked at is complained of when its turn comes.
        path.metadata().map_or(0, |metadata| metadata.len())
    });
    Some(sizes.sum())
}

/// The files that `paths` stand for: each one itself or, in folders, what is in it in the order of
/// the names, without what is hidden.
fn files(paths: Vec<PathBuf>) -> impl Iterator<Item = Entry> + Send {
    paths
        .into_iter()
        .flat_map(|path| -> Box<dyn Iterator<Item = Entry> + Send> {
            if path == Path::new(STANDARD_INPUT) {
                return Box::new(iter::once(Ok(path)));
            }
            let walk = WalkDir::new(&path)
                .follow_links(true)
                .sort_by_file_name()
                .into_iter()
                .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry))
                .filter_map(move |entry| match entry {
                    Ok(entry) => is_taken(&entry).then(|| Ok(entry.into_path())),
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
    let known = entry.path().extension().is_none_or(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    });
    kind.is_file() && known
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
fn decompressed(mut stream: impl Read + Send + 'static) -> io::Result<Reader> {
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
