//! The files of `tests/golden`: compared, or written where somebody means to change them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

/// `gdr.txt` is held by the tests of `gdr`, which show the record of the same folder.
const BY_OTHERS: [&str; 1] = ["gdr.txt"];

/// A folder for one incident.
pub(super) struct Folder {
    path: PathBuf,
    held: Mutex<BTreeSet<String>>,
    differ: Mutex<Vec<String>>,
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether to write is asked of whoever runs the tests"
)]
fn writes() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok()
}

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            path: root().join(name),
            held: Mutex::default(),
            differ: Mutex::default(),
        }
    }

    /// Compares a file with what was made, or writes it.
    pub(super) fn hold(&self, name: &str, made: &str) {
        let made = without_version(made);
        let path = self.path.join(name);
        let first = self.held.lock().unwrap().insert(name.to_owned());
        assert!(first, "{name} is made twice");
        if writes() {
            fs::create_dir_all(&self.path).unwrap();
            fs::write(&path, &made).unwrap();
            return;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if kept != made {
            let differ = difference(&kept, &made);
            let differ = format!("{}: {differ}", path.display());
            self.differ.lock().unwrap().push(differ);
        }
    }

    /// Nothing else may be in the folder.
    pub(super) fn ends(&self) {
        let held = self.held.lock().unwrap();
        let files = fs::read_dir(&self.path).unwrap();
        for file in files.map(|file| file.unwrap()) {
            let name = file.file_name().into_string().unwrap();
            if !held.contains(&name) && !BY_OTHERS.contains(&&*name) {
                assert!(writes(), "nothing makes {}", file.path().display());
                fs::remove_file(file.path()).unwrap();
            }
        }
        let differ = self.differ.lock().unwrap();
        assert!(
            differ.is_empty(),
            "not as it was; if that is meant, run it with UPDATE_EXPECT=1 and read the difference:\n{}",
            differ.join("\n")
        );
    }
}

/// A release changes no sample.
fn without_version(made: &str) -> String {
    let mut text = made.replace(
        &format!("guardduty-responder {}", crate::VERSION),
        "guardduty-responder VERSION",
    );
    // In JSON, in JSON within a text, and in HTML.
    for (quote, colon) in [("\"", ": "), ("\\\"", ":"), ("&quot;", ": ")] {
        let member = |version: &str| {
            format!("{quote}responder_version{quote}{colon}{quote}{version}{quote}")
        };
        text = text.replace(&member(crate::VERSION), &member("VERSION"));
    }
    // As the value of an attribute.
    text.replace(
        &format!("\"S\": \"{}\"", crate::VERSION),
        "\"S\": \"VERSION\"",
    )
}

/// The first lines that differ.
fn difference(kept: &str, made: &str) -> String {
    let (kept, made): (Vec<_>, Vec<_>) = (kept.lines().collect(), made.lines().collect());
    let line = (0..kept.len().max(made.len())).find(|at| kept.get(*at) != made.get(*at));
    let line = line.unwrap_or_default();
    let at = |lines: &[&str]| lines.get(line).copied().unwrap_or("<the end>").to_owned();
    format!(
        "line {}\n  was: {}\n  is:  {}",
        line + 1,
        at(&kept),
        at(&made)
    )
}

#[test]
fn what_differs_is_told_with_its_line() {
    let told = difference("one\ntwo\n", "one\n2\n");
    assert!(told.contains("line 2") && told.contains("was: two") && told.contains("is:  2"));
    assert!(difference("one\n", "one\ntwo\n").contains("was: <the end>"));
}

/// Nothing in the samples may be anybody's: only the accounts and addresses that documents use.
#[test]
fn the_samples_name_nobody() {
    let accounts = ["111122223333", "999988887777"];
    // https://www.rfc-editor.org/rfc/rfc5737, and private ones.
    let networks = ["192.0.2.", "198.51.100.", "203.0.113.", "10.", "0.0.0.0"];
    let mut files = 0;
    for folder in fs::read_dir(root()).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            files += 1;
            let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '.');
            for word in words.map(|word| word.trim_matches('.')) {
                let digits = word.bytes().all(|it| it.is_ascii_digit());
                let is_account = word.len() == 12 && digits;
                assert!(
                    !is_account || accounts.contains(&word),
                    "{}: {word}",
                    path.display()
                );
                let is_address = word.parse::<std::net::Ipv4Addr>().is_ok();
                let documented = networks.iter().any(|network| word.starts_with(network));
                assert!(!is_address || documented, "{}: {word}", path.display());
            }
        }
    }
    assert!(files > 60, "{files} files");
}
