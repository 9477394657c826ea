//! The documents of the project, and what they contain.

use std::path::{Component, Path, PathBuf};

use crate::checkout;

/// All of them, by their path from the checkout.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn all() -> Vec<String> {
    let mut found = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .to_vec();
    for folder in ["docs", "docs/playbooks"] {
        for entry in std::fs::read_dir(checkout().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.into_string().expect("a name");
            if name.ends_with(".md") {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found
}

/// A file of the checkout.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of code in a language.
#[must_use]
pub fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    document
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

/// The links within a document to other files of the checkout, without their anchors.
pub fn links(document: &str) -> impl Iterator<Item = &str> {
    let links = document.split("](").skip(1);
    let links = links.filter_map(|link| link.split([')', '#']).next());
    links.filter(|link| !link.is_empty() && !link.contains(':'))
}

/// The path from the checkout of a link in a document of `folder`.
#[must_use]
pub fn target(folder: &Path, link: &str) -> PathBuf {
    let mut target = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => {
                target.pop();
            }
            part => target.push(part),
        }
    }
    target
}
