//! Files for a test, gone when it ends: each test has a thread, and the folder goes with the thread.

use std::cell::OnceCell;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Result, unique};

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A name in the folder of the test that runs on this thread. Nothing is there yet.
pub fn path(name: &str) -> Result<PathBuf> {
    FOLDER.with(|folder| {
        if folder.get().is_none() {
            folder.set(TempDir::new()?).ok();
        }
        let folder = folder.get().ok_or("no folder")?;
        // The name comes last, since its ending tells what is in the file.
        Ok(folder.path().join(format!("{}-{name}", unique("test"))))
    })
}

/// A file with this text. Returns its path, as it is typed.
pub fn file(name: &str, text: &str) -> Result<String> {
    let path = path(name)?;
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}
