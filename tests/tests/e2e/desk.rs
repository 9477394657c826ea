//! The commands of the documents, typed as they stand there.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use integration_tests::documents::{self, blocks};
use integration_tests::{LocalAws, Result, unique};

use crate::operator::{program, said};

/// Someone's terminal, in a folder of its own.
pub(crate) struct Desk<'a> {
    aws: &'a LocalAws,
    pub(crate) folder: PathBuf,
    guardduty: String,
    documented: BTreeSet<String>,
    typed: RefCell<BTreeSet<String>>,
}

/// Each command line of a block of shell that calls `gdr`, without remarks and without what formats its
/// output.
fn commands(document: &str) -> Vec<String> {
    let lines = blocks(document, "sh").into_iter().flat_map(str::lines);
    let lines = lines.filter_map(|line| {
        let line = line.split(" #").next().unwrap_or_default();
        let line = line.split(" | jq ").next().unwrap_or_default().trim();
        (line.starts_with("gdr ") || line.contains("| gdr ")).then(|| line.to_owned())
    });
    lines.collect()
}

impl<'a> Desk<'a> {
    pub(crate) fn new(aws: &'a LocalAws, guardduty: &str) -> Result<Self> {
        let documents = documents::all().into_iter();
        let documented = documents.flat_map(|path| commands(&documents::read(&path)));
        let folder = std::env::temp_dir().join(unique("desk"));
        std::fs::create_dir_all(folder.join(".aws"))?;
        std::fs::write(
            folder.join(".aws/config"),
            "[profile payments-responder]\naws_access_key_id = test\naws_secret_access_key = test\n",
        )?;
        Ok(Self {
            aws,
            folder,
            guardduty: guardduty.to_owned(),
            documented: documented.collect(),
            typed: RefCell::default(),
        })
    }

    /// Puts a file into the folder.
    pub(crate) fn put(&self, name: &str, text: &str) -> Result {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        Ok(std::fs::write(path, text)?)
    }

    /// Types a documented command, with what stands for something replaced by it, and answers its question
    /// with yes. It must succeed. Returns what it printed.
    pub(crate) fn types(&self, command: &str, replaced: &[(&str, &str)]) -> Result<String> {
        let output = self.tries(command, replaced)?;
        if output.status.success() {
            Ok(said(&output))
        } else {
            Err(format!("{command} ended with {}: {}", output.status, said(&output)).into())
        }
    }

    fn tries(&self, command: &str, replaced: &[(&str, &str)]) -> Result<Output> {
        assert!(
            self.documented.contains(command),
            "the documents have no `{command}`"
        );
        self.typed.borrow_mut().insert(command.to_owned());
        let mut line = command.to_owned();
        for (placeholder, value) in replaced {
            assert!(line.contains(placeholder), "{line} has no {placeholder}");
            line = line.replace(placeholder, value);
        }
        let program = program()?;
        let tools = program.parent().ok_or("no folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &line])
            .current_dir(&self.folder)
            .envs(self.aws.environment())
            .env("AWS_ENDPOINT_URL_EC2", &self.aws.ec2_endpoint)
            .env("AWS_ENDPOINT_URL_GUARDDUTY", &self.guardduty)
            .env("AWS_CONFIG_FILE", self.folder.join(".aws/config"))
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("HOME", &self.folder)
            .env("GDR_STACK", crate::path::STACK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        // A command that asks nothing has ended by then.
        let _ = input.write_all(b"yes\n");
        drop(input);
        Ok(child.wait_with_output()?)
    }

    /// The documented commands that were not typed.
    pub(crate) fn untried(&self) -> Vec<String> {
        let typed = self.typed.borrow();
        self.documented.difference(&typed).cloned().collect()
    }
}
