//! `gdr rehearse`: the responder's decisions about past findings.

mod document;
mod options;
mod page;
mod rule_sources;
mod rules;
mod table;

pub(crate) use self::options::Options;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use simulation::{Evaluation, Rehearser, rehearse};

use self::document::{Document, Unreadable};
use self::rule_sources::RuleSources;
use crate::access::Access;
use crate::exit::{CommandResult, Usage};
use crate::findings::fetch::{self, Detector, Export, Fetch, Period};
use crate::findings::parallel;
use crate::findings::parse::{self, JsonText};
use crate::findings::source::{self, Files};
use crate::output::{self, Format};

/// Rehearses, and prints what would have happened.
pub(crate) fn run(options: &Options, access: &Access, format: Format) -> CommandResult {
    if let (Some(since), Some(until)) = (options.since, options.until)
        && since >= until
    {
        return Err(Usage::new(format!(
            "--since {since} is not before --until {until}: no event can have come then"
        ))
        .into());
    }
    let sources = sources(options)?;
    let Some(rule_sources) = RuleSources::new(options, access)? else {
        return Ok(ExitCode::FAILURE);
    };
    let rules = options
        .rules
        .rules(&rule_sources.functions, options.since, options.until);
    let rehearser = Arc::new(Rehearser::new(rules, rule_sources.guard()?)?);
    let (files, only_files) = (Arc::default(), sources.1.is_empty());
    let Judged {
        occasions,
        unreadable,
        findings,
    } = judge(options, access, &rehearser, sources, &files)?;
    // GuardDuty may well have found nothing in a time; files are named since findings are in them.
    if only_files && findings == 0 && unreadable.is_empty() {
        return Err(files.without_findings().into());
    }
    let report = rehearse(rehearser.rules(), occasions);
    let document = Document::new(report, rule_sources, unreadable, Timestamp::now());
    if let Some(file) = &options.html {
        output::page(file, &page::render(&document))?;
    }
    match format {
        Format::Json => {
            let mut text = serde_json::to_vec(&document)?;
            text.push(b'\n');
            output::printed(&text);
        }
        Format::Table => table::show(&document),
    }
    complain(&document);
    Ok(if document.unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells what could not be read.
fn complain(document: &Document) {
    const MOST: usize = 20;
    for unreadable in document.unreadable.iter().take(MOST) {
        output::complain(&unreadable.to_string());
    }
    if let more @ 1.. = document.unreadable.len().saturating_sub(MOST) {
        output::complain(&format!(
            "{more} more could not be read: --output json has them all"
        ));
    }
}

/// The decisions of the functions about each finding, in the order of the sources.
fn judge(
    options: &Options,
    access: &Access,
    rehearser: &Arc<Rehearser>,
    (files, fetches): Sources,
    counts: &Arc<Files>,
) -> Result<Judged, Box<dyn std::error::Error>> {
    let progress = progress(if fetches.is_empty() {
        source::size(&files)
    } else {
        None
    });
    let period = Period {
        since: options.since,
        until: options.until,
    };
    let sdk = (!fetches.is_empty()).then(|| sdk(access)).transpose()?;
    let shown = progress.clone();
    let fetched = fetches.into_iter().filter_map(move |fetch| {
        let sdk = sdk.clone()?;
        Some(fetch::documents(fetch, sdk, period, shown.clone()))
    });
    let documents = fetched.flatten().chain(source::documents(
        files,
        progress.clone(),
        Arc::clone(counts),
    ));
    let judge = Arc::clone(rehearser);
    let judged = parallel::ordered(source::values(documents), move |json| {
        in_value(&judge, &json)
    });
    let mut all = Judged::default();
    for some in judged {
        all.occasions.extend(some.occasions);
        all.unreadable.extend(some.unreadable);
        all.findings += some.findings;
    }
    progress.finish_and_clear();
    Ok(all)
}

/// The result of the sources, or of a value of them.
#[derive(Default)]
struct Judged {
    occasions: Vec<Evaluation>,
    unreadable: Vec<Unreadable>,
    /// How many findings could be read; not each is an occasion by the rules.
    findings: u64,
}

fn in_value(rehearser: &Rehearser, json: &JsonText) -> Judged {
    let mut judged = Judged::default();
    parse::each(json, |position, finding| {
        judged.findings += u64::from(finding.is_ok());
        let looked = finding.and_then(|mut finding| {
            rehearser
                .look(&mut finding, json.last_known_only, || position.detail())
                .map_err(|error| format!("{}{error}", position.which))
        });
        match looked {
            Ok(some) => judged.occasions.extend(some),
            Err(error) => judged.unreadable.push(Unreadable {
                file: Arc::clone(&json.file),
                line: position.line,
                error,
            }),
        }
    });
    judged
}

/// The files, and what is to be fetched.
type Sources = (Vec<PathBuf>, Vec<Fetch>);

fn sources(options: &Options) -> Result<Sources, Usage> {
    let mut fetches = Vec::new();
    if let Some(detector) = &options.detector {
        fetches.push(Fetch::Detector(Detector::of(detector)));
    }
    let mut files = Vec::new();
    for path in &options.paths {
        match path.to_str().filter(|text| text.starts_with("s3://")) {
            Some(text) => {
                let export = Export::of(text);
                let export = export.ok_or_else(|| Usage::new(format!("{text} names no bucket")))?;
                fetches.push(Fetch::Export(export));
            }
            None => files.push(path.clone()),
        }
    }
    Ok((files, fetches))
}

#[tokio::main(flavor = "current_thread")]
async fn sdk(access: &Access) -> Result<aws_config::SdkConfig, Box<dyn std::error::Error>> {
    access.sdk().await
}

/// A bar on standard error that counts the bytes read, if that is a terminal.
fn progress(size: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match size {
        Some(_) => "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
        None => "{spinner} {bytes} of findings  {bytes_per_sec}  {elapsed}",
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
