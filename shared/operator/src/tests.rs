use clap::Command as Described;
use clap::error::ErrorKind;

use super::*;

/// Every command that does something, by its name.
fn leaves(command: &Described, path: &str) -> Vec<(String, Described)> {
    let path = format!("{path} {}", command.get_name());
    let subcommands = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    let below: Vec<_> = subcommands.flat_map(|it| leaves(it, &path)).collect();
    if below.is_empty() {
        vec![(path, command.clone())]
    } else {
        below
    }
}

/// The command lines of gdr in a text of shell commands.
fn lines_of_gdr(text: &str) -> Vec<String> {
    let lines = text.lines().flat_map(|line| line.split(" | "));
    let lines = lines.map(str::trim).filter(|line| line.starts_with("gdr "));
    lines.map(ToOwned::to_owned).collect()
}

/// The words of a command line, without redirections and remarks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match (quote, letter) {
            (None, '#' | '>') if word.is_empty() => break,
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') if word.is_empty() => {}
            (None, ' ') => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[track_caller]
fn expect_understood(line: &str) {
    match Arguments::try_parse_from(words(line)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
        Err(error) => panic!("{line}: {error}"),
    }
}

#[test]
fn every_command_has_examples_that_are_understood() {
    Arguments::command().debug_assert();
    let leaves = leaves(&Arguments::command(), "");
    assert!(leaves.len() > 12, "{}", leaves.len());
    for (name, command) in leaves {
        let after = command.get_after_help().map(ToString::to_string);
        let after = after.unwrap_or_default();
        let (_, examples) = after.split_once("Examples:").unwrap_or_default();
        let examples = lines_of_gdr(examples);
        assert!(!examples.is_empty(), "{name} has no examples");
        for line in examples {
            assert!(
                line.starts_with(name.trim()) || line.contains("--stack"),
                "{line}"
            );
            expect_understood(&line);
        }
    }
}

#[test]
fn every_command_line_of_the_documents_is_understood() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    let folder = std::fs::read_dir(root.join("docs")).unwrap();
    pages.extend(folder.map(|entry| entry.unwrap().path()));
    let mut lines = 0;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|it| it == "md"))
    {
        let text = std::fs::read_to_string(page).unwrap();
        for block in text.split("```sh\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            for line in lines_of_gdr(block) {
                expect_understood(&line);
                lines += 1;
            }
        }
    }
    assert!(lines > 15, "{lines}");
}

#[test]
fn what_each_shell_completes_and_the_manual_name_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        expect_understood(&format!("gdr completions {shell}"));
    }
    let (mut completions, mut manual) = (Vec::new(), Vec::new());
    let mut command = Arguments::command();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut command,
        "gdr",
        &mut completions,
    );
    clap_mangen::Man::new(command.clone())
        .render(&mut manual)
        .unwrap();
    let [completions, manual] = [completions, manual].map(|it| String::from_utf8(it).unwrap());
    for command in command.get_subcommands() {
        assert!(
            completions.contains(command.get_name()),
            "{}",
            command.get_name()
        );
        assert!(
            manual.contains(&format!("gdr\\-{}", command.get_name())),
            "{}",
            command.get_name()
        );
    }
    assert!(manual.contains("Exit status"), "{manual}");
}
