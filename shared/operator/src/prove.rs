//! `gdr prove`: in a sandbox account, attacks on victims of its own, contained, released and removed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::{Args, ValueEnum};
use proof::record::ContainedBy;
use proof::{Id, Proof, Refused, Removal, Request, Victim, World};
use serde::Serialize;
use serde_json::json;

use crate::access::{Access, Caller, caller};
use crate::clock;
use crate::exit::{CommandResult, REFUSED, Usage};
use crate::option_values;
use crate::output::{self, Format, Stream};

mod interrupt;
mod progress;

use interrupt::Interrupt;
use progress::Progress;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 proved (or cleaned), 1 not, 3 refused.

Examples:
  gdr prove --account 111122223333 --html proof.html
  gdr prove --account 111122223333 --only bucket,key --yes
  gdr prove --account 111122223333 --stack guardduty-responder
  gdr prove --account 111122223333 --clean 0a1b2c3d")]
pub(crate) struct Options {
    /// The account to prove it in, as 12 digits. The credentials must be of it; give a sandbox account.
    #[arg(long, value_name = "ACCOUNT", value_parser = option_values::account)]
    account: String,
    /// The id of the proof: the value of the tag gdr:proof, and a part of each name. 4 to 20 lower-case letters
    /// and digits; random without it.
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<Id>,
    /// Only these victims, with commas between them.
    #[arg(long, value_name = "VICTIMS", value_enum, value_delimiter = ',')]
    only: Vec<Only>,
    /// Activate the stolen key again when it is released. Without it the key stays inactive.
    #[arg(long)]
    reactivate_key: bool,
    /// Remove what the proof with this id left behind, and prove nothing.
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with_all = ["id", "only", "reactivate_key", "html"])]
    clean: Option<Id>,
    /// Write the record as a page that opens in a browser, into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// A victim, as the option names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// A bucket with an object that anybody can read.
    Bucket,
    /// A user with two access keys, of which one is stolen, and a session made with it.
    Key,
    /// A role with two sessions, of which one is stolen.
    Role,
    /// An instance and its neighbour, in a VPC of their own.
    Instance,
    /// Two functions with one role, of which one is hijacked.
    Function,
}

const EVERY: [Only; 5] = [
    Only::Bucket,
    Only::Key,
    Only::Role,
    Only::Instance,
    Only::Function,
];

impl Only {
    const fn victim(self) -> Victim {
        match self {
            Self::Bucket => Victim::PublicBucket,
            Self::Key => Victim::StolenKey,
            Self::Role => Victim::StolenRoleSession,
            Self::Instance => Victim::InfectedInstance,
            Self::Function => Victim::HijackedFunction,
        }
    }

    /// The resources that are made for it.
    const fn makes(self) -> &'static str {
        match self {
            Self::Bucket => "a bucket with an object that anybody can read",
            Self::Key => {
                "a user with two access keys and a session, of which one key and the session are stolen, and a \
                 colleague"
            }
            Self::Role => "a role with two sessions, of which one is stolen",
            Self::Instance => {
                "an instance of the smallest kind with two network interfaces and a public address, and its \
                 neighbour, in a VPC of their own"
            }
            Self::Function => {
                "two functions with one role and a session of each, of which one function and its session are \
                 the attacker's"
            }
        }
    }
}

fn id(text: &str) -> Result<Id, String> {
    Id::parse(text).map_err(|refused| refused.to_string())
}

impl Options {
    fn only(&self) -> Vec<Only> {
        let named = |it: &Only| self.only.is_empty() || self.only.contains(it);
        EVERY.into_iter().filter(named).collect()
    }
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    options: &Options,
    format: Format,
) -> CommandResult {
    if sdk.region().is_none() {
        return Err(Usage::new("which Region? Give --region, or set AWS_REGION").into());
    }
    if let Some(file) = &options.html {
        can_be_written(file)?;
    }
    let caller = caller(sdk).await?;
    if caller.account != options.account {
        let why = format!(
            "--account is {}, and these credentials are of account {} ({}): nothing was made",
            options.account, caller.account, caller.arn
        );
        return refused(&Refused(why), format);
    }
    let world = World::of(sdk.clone(), clock::now);
    match &options.clean {
        Some(id) => clean(&world, id, options, &caller, format).await,
        None => prove(&world, access, options, &caller, format).await,
    }
}

async fn prove(
    world: &World,
    access: &Access,
    options: &Options,
    caller: &Caller,
    format: Format,
) -> CommandResult {
    let region = world.sdk.region().map_or("", |region| region.as_ref());
    let id = match &options.id {
        Some(id) => id.clone(),
        None => Id::random()?,
    };
    let request = Request {
        account: options.account.clone(),
        id,
        victims: options.only().into_iter().map(Only::victim).collect(),
        by: match &access.stack {
            Some(stack) => ContainedBy::Stack(stack.clone()),
            None => ContainedBy::ThisProcess,
        },
        reactivate_key: options.reactivate_key,
        dry_run: false,
    };
    if !options.yes {
        announce(
            options,
            &request,
            caller,
            region,
            Stream::of_question(format),
        );
        if !output::confirmed("Make them, attack them, contain them and remove them? [y/N] ") {
            return refused(&Refused("nothing was made".to_owned()), format);
        }
    }
    let to_clean = how_to_clean(&request, region);
    // A user whose process was killed needs the id.
    output::note(&format!(
        "proof {}; if gdr is killed, remove what is left: {to_clean}",
        request.id
    ))?;
    let interrupt = Interrupt::caught(to_clean)?;
    let progress = Progress::new();
    let proved = Box::pin(proof::prove(world, &request, &progress, interrupt.first())).await;
    progress.finish();
    match proved {
        Ok(proof) => conclude(&proof, &request, options, format),
        Err(why) => refused(&why, format),
    }
}

/// The resources to make, by whom they are contained, what it costs and how it is removed.
fn announce(options: &Options, request: &Request, caller: &Caller, region: &str, to: Stream) {
    to.line(&format!(
        "Proof {} makes in account {}, {region}, as {}:",
        request.id, request.account, caller.arn
    ));
    for only in options.only() {
        to.line(&format!("  {}", only.makes()));
    }
    let by = match &request.by {
        ContainedBy::ThisProcess => {
            "gdr contains them in its own process, with these credentials.".to_owned()
        }
        ContainedBy::Stack(name) => {
            format!("The functions of the stack {name} contain them; they must enforce.")
        }
    };
    to.line(&by);
    to.line(
        "It takes about ten minutes and costs a few cents (docs/prove.md). All of it is tagged gdr:proof and \
         removed at the end, also after Ctrl-C.",
    );
    to.line(&format!(
        "To remove what is left if gdr is killed: {}",
        how_to_clean(request, region)
    ));
}

/// The command that removes what a proof left behind.
fn how_to_clean(request: &Request, region: &str) -> String {
    let Request { account, id, .. } = request;
    format!("gdr prove --account {account} --region {region} --clean {id}")
}

async fn clean(
    world: &World,
    id: &Id,
    options: &Options,
    caller: &Caller,
    format: Format,
) -> CommandResult {
    let account = &options.account;
    if !options.yes {
        Stream::of_question(format).line(&format!(
            "This removes everything in account {account} that is named and tagged as of proof {id}, as {}.",
            caller.arn
        ));
        if !output::confirmed("Remove it? [y/N] ") {
            return refused(&Refused("nothing was removed".to_owned()), format);
        }
    }
    let progress = Progress::new();
    let removal = Box::pin(proof::clean(world, account, id, &progress)).await;
    progress.finish();
    match removal {
        Ok(removal) => cleaned(&removal, format),
        Err(why) => refused(&why, format),
    }
}

fn cleaned(removal: &Removal, format: Format) -> CommandResult {
    match format {
        Format::Json => output::json(removal)?,
        Format::Table => {
            let removed = removal.removed.iter();
            let removed = removed.map(|it| ["ok".to_owned(), it.clone(), "removed".to_owned()]);
            let left = removal.left.iter();
            let left = left.map(|it| {
                [
                    "failed".to_owned(),
                    it.resource.clone(),
                    format!("still there: {}", it.why),
                ]
            });
            let rows: Vec<_> = removed.chain(left).collect();
            if rows.is_empty() {
                output::line("nothing was left of it");
            } else {
                output::table(["CHECK", "RESOURCE", "WHAT BECAME OF IT"], &rows);
            }
        }
    }
    Ok(if removal.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The record for programs.
#[derive(Serialize)]
struct Document<'a> {
    /// Whether each attack that this account allows worked and was stopped, no bystander was hurt, and nothing
    /// is left.
    proved: bool,
    #[serde(flatten)]
    proof: &'a Proof,
}

fn conclude(proof: &Proof, request: &Request, options: &Options, format: Format) -> CommandResult {
    let proved = proof.holds();
    match format {
        Format::Json => output::json(&Document { proved, proof })?,
        Format::Table => output::table(proof::table::HEADINGS, &proof::table::rows(proof)),
    }
    for remark in proof::table::remarks(proof) {
        output::complain(&remark);
    }
    if !proof.removal.left.is_empty() {
        output::complain(&format!(
            "remove what is left: {}",
            how_to_clean(request, &proof.region)
        ));
    }
    // The record is printed by then, whatever becomes of the page.
    if let Some(file) = &options.html {
        output::page(file, &proof::page::render(proof))?;
        output::note(&format!("wrote {}", file.display()))?;
    }
    Ok(if proved {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn refused(why: &Refused, format: Format) -> CommandResult {
    if format == Format::Json {
        output::json(&json!({ "refused": why.0 }))?;
    }
    output::complain(&why.0);
    Ok(ExitCode::from(REFUSED))
}

/// Says that a page cannot be written before ten minutes have passed.
fn can_be_written(file: &Path) -> Result<(), Usage> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if file.is_dir() {
        return Err(Usage::new(format!("{} is a folder", file.display())));
    }
    if folder.is_dir() {
        output::may_be_page(file).map_err(Usage::new)
    } else {
        let why = format!("there is no folder {}", folder.display());
        Err(Usage::new(why))
    }
}
