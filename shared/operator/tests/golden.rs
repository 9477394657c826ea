//! What `gdr` shows of the incidents in `tests/golden`, whose records the tests of the library keep there.
//!
//! Where a change is meant, `UPDATE_EXPECT=1 cargo test -p operator --test gdr golden` writes it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{LocalAws, Result, checkout};
use serde_json::Value;

use crate::common::{on_aws, table};
use crate::upgrade::item;

/// The incidents, by the name of their folder.
fn folders() -> Result<Vec<PathBuf>> {
    let folders = fs::read_dir(checkout().join("tests/golden"))?;
    let mut folders: Vec<_> = folders
        .map(|folder| Ok(folder?.path()))
        .collect::<Result<_>>()?;
    folders.sort_unstable();
    Ok(folders)
}

/// Puts the items of a record into a table. Returns the id of the incident.
async fn recorded(aws: &LocalAws, table: &str, folder: &Path) -> Result<String> {
    let items: Value = serde_json::from_str(&fs::read_to_string(folder.join("record.json"))?)?;
    let client = aws_sdk_dynamodb::Client::new(&aws.root());
    let mut id = None;
    for shown in items.as_array().ok_or("no items")? {
        let put = client.put_item().table_name(table);
        put.set_item(Some(item(shown))).send().await?;
        let key = shown["pk"]["S"].as_str().unwrap_or_default();
        id = id.or(key.strip_prefix("INCIDENT#").map(str::to_owned));
    }
    Ok(id.ok_or("no incident")?)
}

fn shown(aws: &LocalAws, table: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args(["--table", table])
        .args(arguments)
        .envs(aws.environment())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.is_empty(), "{told}");
    // The lines of a table end in blanks.
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(|line| line.trim_end().to_owned() + "\n");
    Ok(lines.collect())
}

#[test]
fn the_incidents_are_shown_as_before() -> Result {
    on_aws(async |aws| {
        let table = table().await?;
        let folders = folders()?;
        assert!(folders.len() >= 10, "{folders:?}");
        let mut differ = Vec::new();
        for folder in &folders {
            let id = recorded(aws, &table, folder).await?;
            let made = format!(
                "$ gdr incident {id}\n{}",
                shown(aws, &table, &["incident", &id])?
            );
            let path = folder.join("gdr.txt");
            if std::env::var("UPDATE_EXPECT").is_ok() {
                fs::write(&path, made)?;
            } else if fs::read_to_string(&path).unwrap_or_default() != made {
                differ.push(format!("{}:\n{made}", path.display()));
            }
        }
        assert!(
            differ.is_empty(),
            "not as it was; if that is meant, run it with UPDATE_EXPECT=1 and read the difference:\n{}",
            differ.join("\n")
        );
        let listed = shown(aws, &table, &["incidents"])?;
        // Beside the names of the columns.
        assert_eq!(listed.lines().count(), folders.len() + 1, "{listed}");
        Ok(())
    })
}
