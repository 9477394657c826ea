//! Claims that name the test that holds them: by its file and its function, and it runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use integration_tests::documents::{all, read, target};
use integration_tests::{Result, cargo, checkout};
use syn::{Attribute, Item, Meta};

/// A test, by its file from the checkout and the name of its function.
type Test = (PathBuf, String);

/// Documents of which parts must name a test.
const HELD: [&str; 3] = ["docs/depth.md", "docs/faults.md", "docs/security.md"];

/// Sections that claim nothing of the code: a history, and what no code can help; and what other programs hold.
const UNHELD: [&str; 7] = [
    // By tests/requests/check.py, which runs after the library's tests.
    "A request that AWS would refuse",
    "Shown only by AWS",
    "Reporting a weakness",
    "Defects found",
    "When the responder itself is suspect",
    "Limits of a retry",
    "Grants for people",
];

/// All tests that `cargo test` runs without further ado: not what is ignored, commented out, in a file that no
/// module names, or there on other platforms only.
fn tests() -> Result<BTreeSet<Test>> {
    let metadata = cargo::metadata(&["--no-deps"])?;
    let members = metadata["workspace_default_members"]
        .as_array()
        .ok_or("members")?;
    let packages = metadata["packages"].as_array().ok_or("packages")?;
    let mut tests = BTreeSet::new();
    for package in packages
        .iter()
        .filter(|package| members.contains(&package["id"]))
    {
        for target in package["targets"].as_array().ok_or("targets")? {
            if target["test"] == true {
                let root = Path::new(target["src_path"].as_str().ok_or("no path")?);
                let folder = root.parent().ok_or("no folder")?;
                of_file(root, folder, &mut tests)?;
            }
        }
    }
    Ok(tests)
}

/// Adds the tests of a file and of the modules that it names, whose files are in `folder`.
fn of_file(file: &Path, folder: &Path, tests: &mut BTreeSet<Test>) -> Result {
    let text = std::fs::read_to_string(file)?;
    let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    of_items(&parsed.items, file, folder, tests)
}

fn of_items(items: &[Item], file: &Path, folder: &Path, tests: &mut BTreeSet<Test>) -> Result {
    for item in items {
        match item {
            Item::Mod(module) if is_compiled(&module.attrs) => {
                let name = module.ident.to_string();
                let below = folder.join(&name);
                if let Some((_, items)) = &module.content {
                    of_items(items, file, &below, tests)?;
                    continue;
                }
                if let Some(elsewhere) = path_of(&module.attrs) {
                    let found = folder.join(elsewhere).canonicalize()?;
                    of_file(&found, found.parent().ok_or("no folder")?, tests)?;
                    continue;
                }
                let files = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                let found = files.iter().find(|file| file.is_file());
                let found =
                    found.ok_or_else(|| format!("no file of module {name} in {folder:?}"))?;
                of_file(found, &below, tests)?;
            }
            Item::Fn(function) if is_run(&function.attrs) => {
                let file = file.strip_prefix(checkout()).unwrap_or(file);
                tests.insert((file.to_owned(), function.sig.ident.to_string()));
            }
            // `proptest!`, whose functions are none of Rust's.
            Item::Macro(expanded) if is_compiled(&expanded.attrs) => {
                let file = file.strip_prefix(checkout()).unwrap_or(file);
                let names = of_tokens(&expanded.mac.tokens.to_string());
                tests.extend(names.into_iter().map(|name| (file.to_owned(), name)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The file that a `#[path]` names for a module.
fn path_of(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|it| it.path().is_ident("path"))?;
    let syn::Expr::Lit(literal) = &attribute.meta.require_name_value().ok()?.value else {
        return None;
    };
    match &literal.lit {
        syn::Lit::Str(path) => Some(path.value()),
        _ => None,
    }
}

/// The tests among tokens, in which no comments are left.
fn of_tokens(tokens: &str) -> Vec<String> {
    let parts: Vec<_> = tokens.split("# [test]").collect();
    let mut names = Vec::new();
    for pair in parts.windows(2) {
        let [before, after] = pair else {
            continue;
        };
        // The attributes that come before it belong to the same function.
        let before = before.rsplit('}').next().unwrap_or_default();
        let Some((between, function)) = after.split_once("fn ") else {
            continue;
        };
        let left_out =
            |attributes: &str| attributes.contains("ignore") || attributes.contains("cfg");
        if !left_out(before) && !left_out(between) {
            let name = function
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

fn is_compiled(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| {
        let only = attribute.parse_args::<syn::Path>();
        !attribute.path().is_ident("cfg") || only.is_ok_and(|only| only.is_ident("test"))
    })
}

/// `#[test]` or `#[tokio::test]`, and neither ignored nor left out.
fn is_run(attributes: &[Attribute]) -> bool {
    let last = |attribute: &Attribute, name: &str| {
        let segments = &attribute.path().segments;
        segments.last().is_some_and(|segment| segment.ident == name)
    };
    let ignored = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) if attribute.path().is_ident("cfg_attr") => {
            list.tokens.to_string().contains("ignore")
        }
        _ => last(attribute, "ignore"),
    };
    attributes.iter().any(|attribute| last(attribute, "test"))
        && !attributes.iter().any(ignored)
        && is_compiled(attributes)
}

/// The name of a function in a code span, if it is long enough to be a test's.
fn names_a_test(code: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    code.bytes().all(word) && code.matches('_').count() >= 3
}

/// A document without its blocks of code.
fn prose(document: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in document.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if !fenced && !fence {
            prose += line;
            prose.push('\n');
        }
    }
    prose
}

/// The tests that a text names, each as a link to its file. The links are as in a document of `folder`.
fn claimed(text: &str, folder: &Path) -> Result<Vec<Test>> {
    let mut claimed = Vec::new();
    let prose = prose(text);
    let mut rest = prose.as_str();
    while let Some((before, code)) = rest.split_once('`') {
        let (code, after) = code.split_once('`').ok_or("a code span without an end")?;
        rest = after;
        if !names_a_test(code) {
            continue;
        }
        let link = after.strip_prefix("](").filter(|_| before.ends_with('['));
        let link = link.and_then(|link| link.split(')').next());
        let link = link.ok_or_else(|| format!("{code} does not say in which file it is"))?;
        claimed.push((target(folder, link), code.to_owned()));
    }
    Ok(claimed)
}

#[test]
fn each_test_that_a_document_names_is_one_that_runs() -> Result {
    let tests = tests()?;
    assert!(tests.len() > 1000, "{} tests", tests.len());
    let mut named = 0;
    for path in all() {
        let folder = Path::new(&path).parent().ok_or("no folder")?;
        let claimed = claimed(&read(&path), folder);
        for test in claimed.map_err(|problem| format!("{path}: {problem}"))? {
            assert!(
                tests.contains(&test),
                "{path}: no test that runs is {test:?}"
            );
            named += 1;
        }
    }
    assert!(named > 60, "{named} tests are named");
    Ok(())
}

/// The parts of a document that claim something each: the rows of its tables, and the sections without a table.
fn parts(document: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for section in document.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        if UNHELD.contains(&title) {
            continue;
        }
        let rows: Vec<_> = section
            .lines()
            .filter(|line| line.starts_with('|'))
            .collect();
        // The last column of such a table names the tests.
        let header = rows.first().copied().unwrap_or_default();
        if header.ends_with("| test |") {
            let rows = rows.iter().skip(2);
            parts.extend(rows.map(|row| (title.to_owned(), (*row).to_owned())));
        } else {
            parts.push((title.to_owned(), section.to_owned()));
        }
    }
    parts
}

#[test]
fn each_claim_of_these_documents_names_a_test() -> Result {
    let mut held = 0;
    for path in HELD {
        let folder = Path::new(path).parent().ok_or("no folder")?;
        let document = read(path);
        for title in UNHELD {
            let heading = format!("\n## {title}\n");
            assert!(
                HELD.iter().any(|path| read(path).contains(&heading)),
                "{title}"
            );
        }
        for (title, part) in parts(&document) {
            let named = claimed(&part, folder)?;
            assert!(!named.is_empty(), "{path}, {title}: no test holds {part}");
            held += 1;
        }
    }
    assert!(held > 40, "{held} claims");
    Ok(())
}

#[test]
fn an_ignored_test_is_not_counted_as_a_test() -> Result {
    let of = |text: &str| -> Result<bool> {
        let file: syn::File = syn::parse_str(text)?;
        let mut tests = BTreeSet::new();
        of_items(&file.items, Path::new("x.rs"), Path::new(""), &mut tests)?;
        Ok(!tests.is_empty())
    };
    assert!(of("#[test] fn a_test() {}")?);
    assert!(of(
        "#[tokio::test(start_paused = true)] async fn a_test() {}"
    )?);
    assert!(of("#[cfg(test)] mod tests { #[test] fn a_test() {} }")?);
    assert!(of(
        "proptest! { #[test] fn a_test(x in 0..9) { let y = x; } }"
    )?);
    for text in [
        "fn a_helper() {}",
        "// #[test] fn a_test() {}",
        "/* #[test] fn a_test() {} */",
        "#[test] #[ignore] fn a_test() {}",
        "#[ignore = \"slow\"] #[test] fn a_test() {}",
        "#[test] #[cfg(windows)] fn a_test() {}",
        "#[cfg(any())] mod tests { #[test] fn a_test() {} }",
        "#[test] #[cfg_attr(all(), ignore)] fn a_test() {}",
        "proptest! { #[test] #[ignore] fn a_test(x in 0..9) {} }",
        "proptest! { #[ignore] #[test] fn a_test(x in 0..9) {} }",
        "proptest! { /* #[test] fn a_test(x in 0..9) {} */ }",
        "const TEXT: &str = \"#[test] fn a_test() {}\";",
    ] {
        assert!(!of(text)?, "{text}");
    }
    Ok(())
}
