//! `gdr policy`: checks policies, says what they would do about a finding, and stores them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::policy::{self, Authorization, DEFAULT, Explanation, LoadedPolicies, Policies, Problem};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use remediation::decision::{Decision, ResponseSettings};
use remediation::error::CallContext as _;
use remediation::policy_parameter::SIZE_LIMIT;
use serde_json::{Value, json};

use crate::access::{Access, Typed};
use crate::exit::{CommandResult, REFUSED, Usage};
use crate::output::{self, Format, Stream};
use crate::{finding_input, option_values};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check policies against the schema. Makes no call.
    #[command(after_help = "\
Examples:
  gdr policy check default.cedar mine.cedar")]
    Check {
        /// Files of Cedar policies, which together are what is stored; - is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say which steps the policies would permit for a finding. Makes no call.
    ///
    /// Nothing is observed, so that of the resource only what the finding tells is known; an attribute
    /// that the functions would read (a path, a group, a role) is absent here.
    Explain(Explain),
    /// Check policies and store them where the functions read them, within a minute.
    Push(Push),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr policy explain --finding finding.json --policy mine.cedar")]
pub(crate) struct Explain {
    /// A file with one finding, in any form that gdr explain reads; - is standard input.
    #[arg(
        value_name = "FILE",
        required_unless_present = "finding",
        conflicts_with = "finding"
    )]
    file: Option<PathBuf>,
    /// The same, by its name.
    #[arg(long, value_name = "FILE")]
    finding: Option<PathBuf>,
    /// Files of policies; the default policies where none is given.
    #[arg(long = "policy")]
    policies: Vec<PathBuf>,
    /// The setting MINIMUM_SEVERITY.
    #[arg(long, value_name = "NUMBER", default_value_t = ResponseSettings::DEFAULT_MINIMUM_SEVERITY, value_parser = option_values::severity)]
    minimum_severity: f64,
    /// Names or ARNs of users and roles that are never contained (the setting NEVER_CONTAIN), separated by
    /// commas. It can be given more than once.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = option_values::exempt_principal)]
    never_contain: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr policy push default.cedar mine.cedar")]
pub(crate) struct Push {
    /// Files of policies, which together are stored.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The parameter, in place of the stack's (its output PolicyParameter).
    #[arg(long, value_name = "NAME", env = "POLICY_PARAMETER")]
    parameter: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(
    command: Command,
    access: &Access,
    typed: &Typed,
    format: Format,
) -> CommandResult {
    match command {
        Command::Check { files } => {
            access.is_not_asked("policy check", typed)?;
            check(&files, format)
        }
        Command::Explain(options) => {
            access.is_not_asked("policy explain", typed)?;
            explain(&options, format)
        }
        Command::Push(options) => push(access, &options, format),
    }
}

fn check(files: &[PathBuf], format: Format) -> CommandResult {
    let checked = checked(files)?;
    if format == Format::Json {
        output::json(&checked.as_json())?;
    } else {
        checked.complain();
        if checked.text.is_some() {
            output::line("valid");
        }
    }
    Ok(match checked.text {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

/// Files that were checked, each by itself and all together.
struct Checked {
    /// All of them, if they are valid.
    text: Option<String>,
    errors: Vec<(String, Problem)>,
    warnings: Vec<(String, Problem)>,
}

impl Checked {
    fn as_json(&self) -> Value {
        let found = |problems: &[(String, Problem)]| -> Vec<Value> {
            let problems = problems.iter();
            problems
                .map(|(file, problem)| {
                    output::object(json!({
                        "file": file,
                        "line": problem.at.map(|(line, _)| line),
                        "column": problem.at.map(|(_, column)| column),
                        "message": problem.message,
                    }))
                })
                .collect()
        };
        json!({
            "valid": self.text.is_some(),
            "errors": found(&self.errors),
            "warnings": found(&self.warnings),
        })
    }

    fn complain(&self) {
        let place = |file: &str, at: Option<(usize, usize)>| match at {
            Some((line, column)) => format!("{file}:{line}:{column}"),
            None => file.to_owned(),
        };
        for (file, Problem { at, message }) in &self.errors {
            output::complain(&format!("{}: {message}", place(file, *at)));
        }
        for (file, Problem { at, message }) in &self.warnings {
            output::complain(&format!("{}: warning: {message}", place(file, *at)));
        }
    }
}

fn checked(files: &[PathBuf]) -> Result<Checked, Box<dyn std::error::Error>> {
    let mut checked = Checked {
        text: None,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let mut texts = Vec::new();
    for file in files {
        let text = read(file)?;
        let named = |problem| (file.display().to_string(), problem);
        match Policies::parse(&text) {
            Ok(policies) => checked
                .warnings
                .extend(policies.warnings.into_iter().map(named)),
            Err(problems) => checked.errors.extend(problems.into_iter().map(named)),
        }
        texts.push(text);
    }
    let text = texts.join("\n");
    let all = || "all files together".to_owned();
    if checked.errors.is_empty()
        && let Err(problems) = Policies::parse(&text)
    {
        checked
            .errors
            .extend(problems.into_iter().map(|problem| (all(), problem)));
    }
    if text.len() > SIZE_LIMIT {
        let message = format!(
            "{} bytes are more than the {SIZE_LIMIT} that the parameter holds",
            text.len()
        );
        checked.errors.push((all(), Problem { at: None, message }));
    }
    checked.text = checked.errors.is_empty().then_some(text);
    Ok(checked)
}

fn read(file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let read = if file == Path::new(output::STANDARD) {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| format!("{}: cannot be read: {error}", file.display()).into())
}

/// The policies of `files`, or the default ones if there are none. `None`: they are not valid, and the errors
/// are printed.
pub(crate) fn guard(
    files: &[PathBuf],
) -> Result<Option<LoadedPolicies>, Box<dyn std::error::Error>> {
    Ok(text(files)?.as_deref().map(LoadedPolicies::new))
}

/// The same as text.
pub(crate) fn text(files: &[PathBuf]) -> Result<Option<String>, Box<dyn std::error::Error>> {
    if files.is_empty() {
        return Ok(Some(DEFAULT.to_owned()));
    }
    let checked = checked(files)?;
    checked.complain();
    Ok(checked.text)
}

fn explain(options: &Explain, format: Format) -> CommandResult {
    let Some(guard) = guard(&options.policies)? else {
        return Ok(ExitCode::FAILURE);
    };
    let file = options.file.as_ref().or(options.finding.as_ref());
    let file =
        file.ok_or_else(|| Usage::new("which finding? Give a file, or - for standard input"))?;
    let finding = finding_input::read(file)?.finding;
    let settings = ResponseSettings {
        dry_run: false,
        minimum_severity: Some(options.minimum_severity),
        never_contain: options.never_contain.clone(),
        ..ResponseSettings::default()
    };
    let explained = policy::explain(&guard, &finding, &settings, Timestamp::now())?;
    if format == Format::Json {
        output::json(&explained.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for explanation in &explained {
            show(explanation);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn words(decision: &Decision) -> (&'static str, &str) {
    match decision {
        Decision::Ignore(why) => ("ignore", why),
        Decision::Notify(why) => ("notify", why),
        Decision::Contain(why) => ("contain", why),
    }
}

/// `permitted`, `withheld` or `awaits approval`, by what, and why.
fn answer(verdict: &Authorization) -> (&'static str, &[String], &str) {
    match verdict {
        Authorization::Permitted(by) => ("permitted", by, ""),
        Authorization::Withheld(why) if why.awaits_approval => {
            ("awaits approval", &why.by, &why.reason)
        }
        Authorization::Withheld(why) => ("withheld", &why.by, &why.reason),
    }
}

fn as_json(explanation: &Explanation) -> Value {
    let (decision, why) = words(&explanation.decision);
    let steps: Vec<_> = explanation
        .steps
        .iter()
        .map(|step| {
            let (verdict, by, reason) = answer(&step.verdict);
            json!({
                "action": step.action, "phase": step.phase, "resource": step.resource.1,
                "verdict": verdict, "by": by, "reason": reason,
            })
        })
        .collect();
    json!({
        "category": explanation.category, "decision": decision, "reason": why, "steps": steps,
    })
}

fn show(explanation: &Explanation) {
    let (decision, why) = words(&explanation.decision);
    output::line(&format!("{}: {decision}: {why}", explanation.category));
    let rows: Vec<_> = explanation
        .steps
        .iter()
        .map(|step| {
            let (kind, arn) = &step.resource;
            let (verdict, by, reason) = answer(&step.verdict);
            [
                verdict.to_owned(),
                by.join(", "),
                step.action.to_owned(),
                format!("{} {arn}", kind.as_str()),
                reason.to_owned(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::table(["VERDICT", "BY", "ACTION", "RESOURCE", "WHY"], &rows);
        output::line(
            "Not observed: only what the finding tells of the resource is known. Not planned: some of these steps \
             are taken only by a setting that is off by default.",
        );
    }
    output::line("");
}

#[tokio::main(flavor = "current_thread")]
async fn push(access: &Access, options: &Push, format: Format) -> CommandResult {
    let checked = checked(&options.files)?;
    checked.complain();
    let mut told = checked.as_json();
    told["stored"] = json!(false);
    let code = match checked.text {
        Some(text) => stored(access, options, &text, format, &mut told).await?,
        None => {
            output::complain("nothing was stored");
            ExitCode::FAILURE
        }
    };
    if format == Format::Json {
        output::json(&told)?;
    }
    Ok(code)
}

/// Asks, and stores policies that are valid. The outcome goes to `told`, for programs.
async fn stored(
    access: &Access,
    options: &Push,
    text: &str,
    format: Format,
    told: &mut Value,
) -> CommandResult {
    let sdk = access.sdk().await?;
    let given = options.parameter.as_deref();
    let name = access.policy_parameter(&sdk, given, "--parameter");
    let name = &name.await?;
    told["parameter"] = json!(name);
    let client = Client::new(&sdk);
    let stored = client.get_parameter().name(name).send().await;
    let stored = stored
        .during("ssm:GetParameter", name)?
        .parameter
        .and_then(|parameter| parameter.value);
    let done = if stored.as_deref() == Some(text) {
        format!("{name} has these policies already")
    } else {
        if !options.yes && !confirmed(name, &stored.unwrap_or_default(), text, format) {
            let why = "nothing was stored";
            told["refused"] = json!(why);
            output::complain(why);
            return Ok(ExitCode::from(REFUSED));
        }
        client
            .put_parameter()
            .name(name)
            .value(text)
            .r#type(ParameterType::String)
            .tier(ParameterTier::IntelligentTiering)
            .overwrite(true)
            .send()
            .await
            .during("ssm:PutParameter", name)?;
        format!("stored in {name}; the functions use it within a minute")
    };
    told["stored"] = json!(true);
    if format == Format::Table {
        output::line(&done);
    }
    Ok(ExitCode::SUCCESS)
}

fn confirmed(name: &str, old: &str, new: &str, format: Format) -> bool {
    let to = Stream::of_question(format);
    let only = |these: &str, those: &str, mark: &str| {
        let those: Vec<_> = those.lines().collect();
        for line in these.lines().filter(|line| !those.contains(line)) {
            to.line(&format!("{mark} {}", line.replace('\t', "    ")));
        }
    };
    only(old, new, "-");
    only(new, old, "+");
    output::confirmed(&format!(
        "These policies will decide what the responder may do (parameter {name}). Store it? [y/N] "
    ))
}
