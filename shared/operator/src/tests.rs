use clap::Command as Described;
use clap::error::ErrorKind;
use remediation::record::Incident;
use serde_json::json;

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

/// Each row of that table links to the command's section, and a test of the documents follows every link.
#[test]
fn every_command_is_in_the_table_of_its_page() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gdr.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (table, _) = page.split_once("\n## ").unwrap();
    for command in Arguments::command().get_subcommands() {
        let row = format!("`gdr {}`", command.get_name());
        assert!(table.contains(&row), "{row}");
    }
}

#[test]
fn completions_and_manual_name_every_command() {
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
            // roff has each hyphen escaped.
            manual.contains(&format!("gdr-{}", command.get_name()).replace('-', "\\-")),
            "{}",
            command.get_name()
        );
    }
    assert!(manual.contains("Exit status"), "{manual}");
}

/// The commands of an incident's page, as a shell would split them.
fn commands_of_page(place: Place<'_>) -> Vec<Vec<String>> {
    let incident = Incident {
        id: "16afba5c".to_owned(),
        category: "iam".to_owned(),
        status: "notified".to_owned(),
        awaiting: json!({
            "planned_at": "2026-03-04T05:06:12Z", "expires_at": "2026-03-04T09:06:12Z", "what": "a key",
            "policy": {
                "dry_run": false, "mode": "approve", "minimum_severity": 4.0,
                "approval_not_needed_from": null, "own_account": null, "responder_roles": [],
                "never_contain": [],
            },
            "settings": {}, "steps": [],
        }),
        report: json!({ "run_by": "arn:aws:iam::111122223333:user/olga" }),
        ..Incident::default()
    };
    let now = "2026-03-04T05:30:00Z".parse().unwrap();
    let page = remediation::page::incident(&incident, &Ok(Vec::new()), Some(place), now);
    assert!(
        page.contains("Run by hand by <bdi>arn:aws:iam::111122223333:user/olga"),
        "{page}"
    );
    let blocks = page.split("<pre><code>").skip(1);
    let commands = blocks.filter_map(|block| {
        let (text, _) = block.split_once("</code>")?;
        let text = text.replace("&quot;", "\"").replace("&amp;", "&");
        text.starts_with("gdr ").then_some(text)
    });
    commands.map(|command| words(&command)).collect()
}

#[test]
fn the_commands_of_a_page_are_whole() {
    let known = commands_of_page(Place {
        table: "incidents",
        policy_parameter: Some("/gdr/policy"),
    });
    assert_eq!(known.len(), 2, "{known:?}");
    let approve = Arguments::try_parse_from(&known[0]).unwrap();
    // What is given is enough to ask the policies, without a stack.
    let Command::OnAws(OnAws::Approve(options)) = approve.command else {
        panic!("{known:?}");
    };
    assert_eq!(
        options.asks(),
        ("16afba5c", Some(Category::Iam), Some("/gdr/policy"))
    );
    let reject = Arguments::try_parse_from(&known[1]).unwrap();
    assert!(matches!(reject.command, Command::OnAws(OnAws::Reject(_))));
    // A name that a shell would take apart is one word all the same.
    let quoted = commands_of_page(Place {
        table: "incidents",
        policy_parameter: Some("/gdr/it s policies"),
    });
    assert_eq!(quoted[0].last().unwrap(), "/gdr/it s policies");
    let unknown = commands_of_page(Place {
        table: "incidents",
        policy_parameter: None,
    });
    assert!(
        Arguments::try_parse_from(&unknown[0]).is_ok(),
        "{unknown:?}"
    );
}

#[test]
fn every_question_is_answered_by_y_as_by_yes() {
    for line in [
        "gdr approve x -y",
        "gdr release x -y",
        "gdr run finding.json --enforce -y",
        "gdr redrive -y",
        "gdr breaker reset -y",
        "gdr policy push mine.cedar -y",
        "gdr prove --account 111122223333 -y",
    ] {
        expect_understood(line);
    }
}

#[test]
fn an_incident_is_shown_without_its_unknown_members() {
    let incident = remediation::record::Incident {
        finding_type: "Policy:S3/BucketAnonymousAccessGranted".to_owned(),
        ..Default::default()
    };
    let facts = incidents::facts(&incident);
    let fact = |of: &str| {
        let mut facts = facts.iter();
        facts.find(|(label, _)| *label == of)?.1.as_deref()
    };
    assert_eq!(fact("finding"), Some(incident.finding_type.as_str()));
    assert_eq!(
        (fact("what"), fact("why"), fact("run by")),
        (None, None, None)
    );
}
