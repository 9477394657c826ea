//! The commands of the documents, typed as they stand there.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use integration_tests::documents::{self, blocks};
use integration_tests::stack::{BUILD_FOLDER, architecture};
use integration_tests::{LocalAws, Result, checkout, files};

use crate::e2e::operator::{program, said};

/// Someone's terminal, in a folder of its own.
pub(crate) struct Desk<'a> {
    aws: &'a LocalAws,
    pub(crate) folder: PathBuf,
    guardduty: String,
    documented: BTreeSet<String>,
    typed: RefCell<BTreeSet<String>>,
}

/// The command lines of a document's blocks of shell, each in one line, without remarks and without what
/// formats its output.
fn commands(document: &str) -> Vec<String> {
    let text = blocks(document, "sh").join("\n").replace("\\\n", " ");
    let lines = text.lines().map(|line| {
        let line = line.split(" #").next().unwrap_or_default();
        let line = line.split(" | jq ").next().unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let programs = ["gdr ", "sam ", "aws "];
    let lines = lines.filter(|line| programs.iter().any(|it| line.starts_with(it)));
    lines.collect()
}

impl<'a> Desk<'a> {
    pub(crate) fn new(aws: &'a LocalAws, guardduty: &str) -> Result<Self> {
        let documents = documents::all().into_iter();
        let documented = documents.flat_map(|path| commands(&documents::read(&path)));
        let folder = files::path("desk")?;
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

    /// Puts what `sam deploy` needs into the folder, as who has built it in a checkout has it: with this
    /// machine's processor for the default one, and the functions of `make stack`.
    pub(crate) fn has_built(&self) -> Result {
        let (built, mine) = (checkout().join(BUILD_FOLDER), ".aws-sam/build/");
        let template = std::fs::read_to_string(built.join("template.yaml"))?;
        let default = format!("Default: {}", architecture());
        self.put(
            &format!("{mine}template.yaml"),
            &template.replace("Default: arm64", &default),
        )?;
        for entry in std::fs::read_dir(built)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                let link = self.folder.join(mine).join(entry.file_name());
                std::os::unix::fs::symlink(entry.path(), link)?;
            }
        }
        for name in [
            "samconfig.toml",
            "README.md",
            "LICENSE",
            "infra/member-roles.yaml",
        ] {
            self.put(name, &documents::read(name))?;
        }
        Ok(())
    }

    /// The one documented command that begins like this.
    pub(crate) fn documented(&self, beginning: &str) -> Result<String> {
        let mut all = self
            .documented
            .iter()
            .filter(|it| it.starts_with(beginning));
        match (all.next(), all.next()) {
            (Some(command), None) => Ok(command.clone()),
            (found, _) => Err(format!("{beginning}: {found:?} and others?").into()),
        }
    }

    /// Types a documented command, with what stands for something replaced by it, and answers its questions
    /// with yes, or with what it proposes. It must succeed. Returns what it printed.
    pub(crate) fn types(&self, command: &str, replaced: &[(&str, &str)]) -> Result<String> {
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
        self.runs(&line)
    }

    /// Runs a line of shell, in the same way.
    pub(crate) fn runs(&self, line: &str) -> Result<String> {
        let output = self.ends(line)?;
        if output.status.success() {
            Ok(said(&output))
        } else {
            Err(format!("{line} ended with {}: {}", output.status, said(&output)).into())
        }
    }

    fn ends(&self, line: &str) -> Result<Output> {
        let program = program()?;
        let tools = program.parent().ok_or("no folder")?;
        let mut bash = Command::new("bash");
        if line.starts_with("aws cloudformation ") {
            // The other emulator has no stack sets.
            bash.env("AWS_ENDPOINT_URL_CLOUDFORMATION", &self.aws.ec2_endpoint);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let deploying = checkout().join(".local/sam/bin");
        let path = format!("{}:{}:{path}", tools.display(), deploying.display());
        let mut child = bash
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(&self.folder)
            .envs(self.aws.environment())
            .env("AWS_ENDPOINT_URL_EC2", &self.aws.ec2_endpoint)
            .env("AWS_ENDPOINT_URL_GUARDDUTY", &self.guardduty)
            .env("AWS_CONFIG_FILE", self.folder.join(".aws/config"))
            .env("PATH", path)
            .env("HOME", &self.folder)
            .env("SAM_CLI_TELEMETRY", "0")
            .env("__SAM_CLI_APP_DIR", self.folder.join(".aws-sam"))
            .env("GDR_STACK", crate::e2e::path::STACK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        let answer = if line.ends_with(" --guided") {
            "\n"
        } else {
            "yes\n"
        };
        // A command that asks nothing has ended by then.
        let _ = input.write_all(answer.repeat(100).as_bytes());
        drop(input);
        Ok(child.wait_with_output()?)
    }

    /// The documented commands that were not typed.
    pub(crate) fn untried(&self) -> Vec<String> {
        let mut typed = self.typed.borrow().clone();
        // The first optimises for another processor, for many minutes; `make stack` runs it for a debug
        // build. The second reads the address of a nested template, which it takes from AWS's hosts only.
        typed.extend(["sam build".to_owned(), "sam delete".to_owned()]);
        self.documented.difference(&typed).cloned().collect()
    }
}
