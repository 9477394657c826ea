//! `gdr plan`: a function's plan for a finding now, and whether its role has the permissions.

mod simulation;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use playbooks::{of_category, permissions};
use remediation::accounts::member_role;
use remediation::category::Category;
use remediation::plan::Action;
use remediation::planner::Planner;
use remediation::report::{Outcome as StepOutcome, Report, StepReport};
use serde_json::{Value, json};

use self::simulation::{Place, Simulation, Verdict};
use crate::access::Access;
use crate::exit::CommandResult;
use crate::manual::{self, Extent, Function, ManualRun};
use crate::output::{self, Format, Stream};
use crate::report_view;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr plan finding.json --stack guardduty-responder
  gdr plan finding.json --stack guardduty-responder --policy mine.cedar
  gdr plan finding.json --set IAM_ROLE_WIDE=true
  aws guardduty get-findings --detector-id $ID --finding-ids $IDS | gdr plan -")]
pub(crate) struct Options {
    #[command(flatten)]
    manual: manual::Options,
    /// Do not ask IAM what the functions' roles may do.
    #[arg(long)]
    no_simulation: bool,
}

/// Why IAM is not asked of a permission that the role has no use for.
const NOT_YET: &str = "the role has it only when the stack is deployed with DryRun=false and a response that contains";

/// IAM's answers about the permissions of one function.
type Verdicts = BTreeMap<(String, String), Verdict>;

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    options: &Options,
    format: Format,
) -> CommandResult {
    options.manual.note_defaults(access)?;
    let manual = match ManualRun::new(sdk, access, &options.manual).await? {
        Ok(manual) => manual,
        Err(why) => return manual::refused(&why, format),
    };
    let mut plans = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for function in &manual.functions {
        let progress = output::waiting(&format!("planning for the {} function", function.category));
        let report = manual.respond(function, Extent::ReadOnly).await?;
        let role = role(&manual, function).filter(|_| !options.no_simulation);
        let verdicts = match &role {
            Some(role) => simulate(&manual, function, &report, role).await,
            None => Verdicts::new(),
        };
        // Where nothing is planned, nothing was asked.
        let role = role.filter(|_| !verdicts.is_empty());
        progress.finish_and_clear();
        if report_view::failed(&report) {
            code = ExitCode::FAILURE;
        }
        match format {
            Format::Json => plans.push(as_json(function, &report, role.as_deref(), &verdicts)?),
            Format::Table => show(function, &report, &verdicts),
        }
    }
    if format == Format::Json {
        output::json(&plans)?;
    }
    Ok(code)
}

/// The role that would contain: the function's, or in another account the one that a hub's function takes on.
fn role(manual: &ManualRun, function: &Function) -> Option<String> {
    let own = function.role.as_ref()?;
    let finding = &manual.finding.finding;
    let hub = function.config.hub.as_ref();
    if hub.is_none_or(|hub| hub.account.as_deref() == Some(&finding.account_id)) {
        return Some(own.clone());
    }
    let (partition, account) = (finding.partition(), &finding.account_id);
    let name = member_role(function.category);
    Some(format!("arn:{partition}:iam::{account}:role/{name}"))
}

async fn simulate(
    manual: &ManualRun,
    function: &Function,
    report: &Report,
    role: &str,
) -> Verdicts {
    let simulation = Simulation {
        client: aws_sdk_iam::Client::new(&manual.there),
        role: role.to_owned(),
        place: Place::of(&manual.finding.finding),
    };
    let granted = permissions::on_targets(function.category, &function.config);
    let mut verdicts = Verdicts::new();
    for step in report.steps() {
        for permission in needs(function.category, step) {
            let key = ((*permission).to_owned(), step.target().to_owned());
            if let Entry::Vacant(entry) = verdicts.entry(key) {
                let verdict = if granted.contains(permission) {
                    simulation
                        .ask(permission, step.action(), step.target())
                        .await
                } else {
                    Verdict::Unknown(NOT_YET.to_owned())
                };
                entry.insert(verdict);
            }
        }
    }
    verdicts
}

/// The permissions that a step takes, by the code that would run it. Steps that are not planned take none.
fn needs(category: Category, step: &StepReport) -> &'static [&'static str] {
    if step.outcome() != StepOutcome::Planned {
        return &[];
    }
    let declared = of_category!(category, P => <P as Planner>::Action::PERMISSIONS);
    let found = declared.iter().find(|(action, _)| *action == step.action());
    found.map_or(&[], |(_, permissions)| permissions)
}

fn show(function: &Function, report: &Report, verdicts: &Verdicts) {
    output::line(&report_view::heading(report));
    report_view::steps(report, Stream::Output);
    permissions(function, report, verdicts);
    report_view::left(report, Stream::Output);
    output::line("");
}

fn permissions(function: &Function, report: &Report, verdicts: &Verdicts) {
    let mut rows = Vec::new();
    for step in report.steps() {
        for permission in needs(function.category, step) {
            let key = ((*permission).to_owned(), step.target().to_owned());
            let verdict = verdicts.get(&key);
            let row = [
                verdict.map_or("-".to_owned(), ToString::to_string),
                (*permission).to_owned(),
                step.target().to_owned(),
                step.action().to_owned(),
            ];
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    if rows.is_empty() {
        return;
    }
    output::line("");
    output::table(["ROLE", "PERMISSION", "ON", "FOR"], &rows);
    if !verdicts.is_empty() {
        output::line(simulation::LIMITS);
    }
}

fn as_json(
    function: &Function,
    report: &Report,
    role: Option<&str>,
    verdicts: &Verdicts,
) -> serde_json::Result<Value> {
    let steps = report.steps().iter();
    let permissions: Vec<_> = steps
        .flat_map(|step| {
            let permissions = needs(function.category, step).iter();
            permissions.map(move |permission| {
                let key = ((*permission).to_owned(), step.target().to_owned());
                let verdict = verdicts.get(&key);
                output::object(json!({
                    "action": step.action(), "target": step.target(), "permission": permission,
                    "role": verdict.map(Verdict::word), "why": verdict.and_then(Verdict::why),
                }))
            })
        })
        .collect();
    let mut plan = serde_json::to_value(report)?;
    plan["permissions"] = json!(permissions);
    plan["simulated_role"] = json!(role);
    Ok(output::object(plan))
}
