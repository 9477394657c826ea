//! `gdr explain` as a person would call it, on files made for the purpose.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A finding as it is exported to S3.
fn finding(id: &str) -> Value {
    json!({
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "us-east-1",
        "id": id,
        "type": "Backdoor:EC2/C&CActivity.B",
        "severity": 5,
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": "i-0abc1234def567890" },
        },
        "service": { "count": 1, "archived": false },
    })
}

/// The event in which it comes to a function.
fn event(id: &str) -> Value {
    json!({
        "version": "0",
        "id": "cd2d702e-ab31-411b-9344-793ce56b1bc7",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "111122223333",
        "time": "2026-03-04T05:06:07Z",
        "region": "us-east-1",
        "resources": [],
        "detail": finding(id),
    })
}

/// `gdr explain` without anything in the environment, credentials least of all.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdr"));
    command
        .arg("explain")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn explain(folder: &TempDir, arguments: &[&str]) -> Result<Output> {
    Ok(command(folder.path(), arguments).output()?)
}

/// The rows of `gdr explain --output json`.
fn rows(output: &Output) -> Result<Vec<Value>> {
    let text = str::from_utf8(&output.stdout)?;
    Ok(text
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<_>>()?)
}

fn json_rows(folder: &TempDir, arguments: &[&str]) -> Result<(Vec<Value>, Option<i32>)> {
    let arguments = [&["--output", "json"], arguments].concat();
    let output = explain(folder, &arguments)?;
    Ok((rows(&output)?, output.status.code()))
}

/// The ids of the findings, or for an error its line.
fn gist(rows: &[Value]) -> Vec<String> {
    let gist = |row: &Value| match row["finding_id"].as_str() {
        Some(id) => id.to_owned(),
        None => format!("error in line {}", row["line"]),
    };
    rows.iter().map(gist).collect()
}

fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    Ok(encoder.finish()?)
}

#[test]
fn findings_are_read_in_every_form_and_in_any_mix() -> Result {
    let folder = TempDir::new()?;
    let mixed = format!(
        "\u{feff}{}\n\n{:#}\n{}\n[{},\n {:#}]\n{:#}\n{}",
        finding("a"),
        finding("b"),
        event("c"),
        finding("d"),
        event("e"),
        json!({ "Findings": [finding("f"), finding("g")] }),
        json!({ "NextToken": "", "Findings": [finding("h"), finding("i")] }),
    );
    fs::write(folder.path().join("mixed"), mixed)?;
    let (rows, code) = json_rows(&folder, &["mixed"])?;
    assert_eq!(gist(&rows).join(""), "abcdefghi", "{rows:#?}");
    assert_eq!(code, Some(0));
    for row in &rows {
        assert_eq!(
            *row,
            json!({
                "file": "mixed",
                "finding_id": row["finding_id"],
                "finding_type": "Backdoor:EC2/C&CActivity.B",
                "functions": ["ec2"],
                "decision": "contain",
                "decisions": { "ec2": "contain" },
                "reason": "Backdoor:EC2/C&CActivity.B by instance i-0abc1234def567890",
                "sample": false,
                "targets": ["i-0abc1234def567890"],
            })
        );
    }
    Ok(())
}

#[test]
fn gzip_is_known_by_its_beginning_and_may_have_several_members() -> Result {
    let folder = TempDir::new()?;
    let line = |id: &str| format!("{}\n", finding(id));
    let (first, second) = (line("a") + &line("b"), line("c"));
    let members = [gzip(first.as_bytes())?, gzip(second.as_bytes())?].concat();
    fs::write(folder.path().join("1-export.jsonl.gz"), &members)?;
    fs::write(folder.path().join("2-not-by-name.json"), &members)?;
    fs::write(folder.path().join("3-only-by-name.gz"), line("d"))?;
    fs::write(
        folder.path().join("4-cut-off.gz"),
        &members[..members.len() - 12],
    )?;
    let (rows, code) = json_rows(&folder, &["."])?;
    assert_eq!(gist(&rows)[..9].join(""), "abcabcdab", "{rows:#?}");
    let errors: Vec<_> = rows
        .iter()
        .filter_map(|row| row["error"].as_str())
        .collect();
    assert!(
        matches!(errors[..], [only] if only.contains("cannot be read further")),
        "{rows:#?}"
    );
    assert_eq!(code, Some(1));
    Ok(())
}

#[test]
fn the_order_is_that_of_the_input() -> Result {
    const COUNT: usize = 20_000;
    let folder = TempDir::new()?;
    let mut ids = Vec::new();
    for (number, name) in ["a.jsonl", "b/a.jsonl", "b/b.jsonl", "c.jsonl"]
        .iter()
        .enumerate()
    {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        let mut file = std::io::BufWriter::new(File::create(path)?);
        for index in 0..COUNT / 4 {
            let id = format!("{number}-{index}");
            // Of very different lengths, so that blocks take different times.
            let mut finding = finding(&id);
            if index % 100 == 0 {
                finding["description"] = "x".repeat(index * 20).into();
            }
            writeln!(file, "{finding}")?;
            ids.push(id);
        }
        file.flush()?;
    }
    let (rows, _) = json_rows(&folder, &["."])?;
    assert!(gist(&rows) == ids, "{} rows, not in order", rows.len());
    Ok(())
}

#[test]
fn an_error_names_file_line_and_member_and_the_rest_goes_on() -> Result {
    let folder = TempDir::new()?;
    let without = |member: &str| {
        let mut finding = finding("x");
        finding
            .as_object_mut()
            .map(|members| members.remove(member));
        finding
    };
    let lines = format!(
        "{}\n{}\n{{\"id\": \n{}\n",
        finding("a"),
        without("severity"),
        finding("b")
    );
    fs::write(folder.path().join("lines.jsonl"), lines)?;
    let list = format!(
        "[\n{:#},\n{:#},\n{:#}\n]\n",
        finding("c"),
        without("resource"),
        finding("d")
    );
    let second = 2 + format!("{:#}", finding("c")).lines().count();
    fs::write(folder.path().join("list.json"), list)?;
    let mut broken = format!("{}\n", finding("e")).into_bytes();
    broken.extend(b"{\"id\": \"\xff\"}\n");
    fs::write(folder.path().join("not-utf-8.json"), broken)?;

    let (rows, code) = json_rows(&folder, &["."])?;
    let errors: Vec<_> = rows
        .iter()
        .filter(|row| row.get("error").is_some())
        .collect();
    let expected = [
        ("./lines.jsonl", 2, "`severity`: missing"),
        ("./lines.jsonl", 3, "not complete"),
        ("./list.json", second, "`resource`: missing"),
        ("./not-utf-8.json", 2, "invalid UTF-8 at byte 9 "),
    ];
    assert_eq!(errors.len(), expected.len(), "{rows:#?}");
    for (error, (file, line, problem)) in errors.iter().zip(expected) {
        assert_eq!(
            (&error["file"], &error["line"]),
            (&json!(file), &json!(line)),
            "{error}"
        );
        assert!(
            error["error"]
                .as_str()
                .is_some_and(|it| it.contains(problem)),
            "{error}"
        );
        assert_eq!(
            error.as_object().map(serde_json::Map::len),
            Some(3),
            "{error}"
        );
    }
    let ids: Vec<_> = rows
        .iter()
        .filter_map(|row| row["finding_id"].as_str())
        .collect();
    assert_eq!(ids.join(""), "abcde");
    assert_eq!(code, Some(1));
    Ok(())
}

#[test]
fn from_folders_come_visible_files_that_may_be_findings_by_name() -> Result {
    let folder = TempDir::new()?;
    fs::create_dir_all(folder.path().join("z/.hidden"))?;
    for name in [
        "b.json",
        "a.ndjson",
        "c.txt",
        ".d.json",
        "e.JSONL",
        "f",
        "z/g.json",
        "z/.hidden/h.json",
    ] {
        let id = name.rsplit('/').next().ok_or("no name")?.replace('.', "-");
        fs::write(folder.path().join(name), finding(&id).to_string())?;
    }
    let (rows, code) = json_rows(&folder, &["."])?;
    assert_eq!(
        gist(&rows),
        ["a-ndjson", "b-json", "e-JSONL", "f", "g-json"]
    );
    assert_eq!(code, Some(0));
    // What is named is read, whatever it is called.
    let (rows, _) = json_rows(&folder, &["c.txt", ".d.json"])?;
    assert_eq!(gist(&rows), ["c-txt", "-d-json"]);
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_in_a_circle_and_a_missing_file_are_errors_of_the_file() -> Result {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("b.json"), finding("b").to_string())?;
    std::os::unix::fs::symlink(".", folder.path().join("a"))?;
    let (rows, code) = json_rows(&folder, &["missing", "."])?;
    assert_eq!(gist(&rows), ["error in line 0", "error in line 0", "b"]);
    assert_eq!(
        (&rows[0]["file"], &rows[1]["file"]),
        (&json!("missing"), &json!("./a"))
    );
    assert!(
        rows[1]["error"]
            .as_str()
            .is_some_and(|it| it.contains("leads back")),
        "{rows:#?}"
    );
    assert_eq!(code, Some(1));
    Ok(())
}

#[test]
fn the_file_that_the_output_goes_to_is_not_read() -> Result {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("a.json"), finding("a").to_string())?;
    let path = folder.path().join("b.json");
    let status = command(folder.path(), &["--output", "json", "."])
        .stdout(File::create(&path)?)
        .status()?;
    let written = fs::read_to_string(path)?;
    let rows: Vec<Value> = written
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<_>>()?;
    assert_eq!(gist(&rows), ["a", "error in line 0"]);
    assert_eq!(status.code(), Some(1));
    Ok(())
}

#[test]
fn standard_input_is_answered_as_it_comes() -> Result {
    let folder = TempDir::new()?;
    let mut child = command(folder.path(), &["--output", "json", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    for id in ["a", "b"] {
        writeln!(input, "{}", finding(id))?;
        let row: Value = serde_json::from_str(&answers.next().ok_or("no answer")??)?;
        assert_eq!(
            (&row["file"], &row["finding_id"]),
            (&json!("-"), &json!(id))
        );
    }
    drop(input);
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn it_ends_quietly_when_nobody_reads_on() -> Result {
    let folder = TempDir::new()?;
    let line = format!("{}\n", finding("a"));
    fs::write(folder.path().join("many.jsonl"), line.repeat(50_000))?;
    for format in ["json", "table"] {
        let mut child = command(folder.path(), &["--output", format, "many.jsonl"]).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        output.read_line(&mut String::new())?;
        drop(output);
        let output = child.wait_with_output()?;
        assert_eq!(output.status.code(), Some(0));
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
fn the_table_has_rows_on_the_output_and_errors_beside_it() -> Result {
    let folder = TempDir::new()?;
    fs::write(
        folder.path().join("a.json"),
        format!("{}\nnonsense", finding("a")),
    )?;
    let output = explain(&folder, &["a.json"])?;
    let (table, errors) = (
        str::from_utf8(&output.stdout)?,
        str::from_utf8(&output.stderr)?,
    );
    let [headings, row] = table.lines().collect::<Vec<_>>()[..] else {
        return Err(table.into());
    };
    assert!(headings.starts_with("DECISION  FUNCTIONS"), "{table}");
    assert!(row.starts_with("contain   ec2 "), "{table}");
    assert!(errors.contains("gdr: a.json:2: not JSON"), "{errors}");
    assert!(
        errors.contains("findings: 1 (contain 1, notify 0, ignore 0), errors: 1"),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[test]
fn the_severity_from_which_on_is_contained_can_be_given() -> Result {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("a.json"), finding("a").to_string())?;
    for (severity, decision) in [("5", "contain"), ("5.1", "notify")] {
        let (rows, _) = json_rows(&folder, &["--minimum-severity", severity, "a.json"])?;
        assert_eq!(rows[0]["decision"], decision);
    }
    for nonsense in ["11", "-1", "NaN", "high"] {
        let argument = format!("--minimum-severity={nonsense}");
        assert_eq!(
            explain(&folder, &[&argument, "a.json"])?.status.code(),
            Some(2)
        );
    }
    Ok(())
}
