//! `gdr release`: an operator restores the values that a containment found, with the operator's own credentials.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use playbooks::{Playbook, of_category};
use remediation::category::Category;
use remediation::error::Error;
use remediation::record::{Incident, IncidentStore};
use remediation::release::{self, Allowance, Release, ReleaseStep, Releaser, Verdict};
use serde_json::{Value, json};

use crate::access::{Access, Caller, caller, signed_in};
use crate::clock;
use crate::exit::{CommandResult, REFUSED};
use crate::output::{self, Format, Stream};
use crate::report_view::{self, StepView, Values};
use crate::{incidents, notices, option_values};

const QUESTION: &str =
    "This undoes the containment: access that it blocked is possible again. Release? [y/N] ";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr release 16afba5c
  gdr release 16afba5c --reactivate-key AKIAIOSFODNN7EXAMPLE")]
pub(crate) struct Options {
    /// The finding's id, or the beginning of it.
    incident: String,
    /// Only what this function did.
    #[arg(long, value_name = "FUNCTION", value_parser = option_values::containing())]
    category: Option<Category>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Restore also resources that somebody changed after the responder.
    #[arg(long)]
    force_drift: bool,
    /// Activate this access key, or this service-specific credential, again. It can be given more than once.
    #[arg(long = "reactivate-key", value_name = "KEYID")]
    reactivate: Vec<String>,
    /// The AWS profile for the target's account. Needed only if the table is in another account (a hub's
    /// incident of a member account).
    #[arg(long, value_name = "PROFILE")]
    member_profile: Option<String>,
    /// Who releases, for the record; the caller's ARN where it is not given.
    #[arg(long)]
    by: Option<String>,
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    record: &IncidentStore,
    options: &Options,
    format: Format,
) -> CommandResult {
    let stack = sdk;
    let member = match &options.member_profile {
        Some(profile) => Some(signed_in(sdk, profile).await?),
        None => None,
    };
    let sdk = member.as_ref().unwrap_or(sdk);
    let caller = caller(sdk).await?;
    let found = incidents::of(record, &options.incident, options.category).await?;
    let open: Vec<_> = found
        .iter()
        .filter(|incident| !incident.actions.is_empty())
        .collect();
    if open.is_empty() {
        let released = found.iter().find_map(|it| it.released.as_deref());
        let why = match released {
            Some(released) => {
                format!("there is nothing to release: the incident was released {released}")
            }
            None => "there is nothing to release: the response changed nothing".to_owned(),
        };
        if format == Format::Json {
            let refused = found.iter().map(|it| report_view::refused(it, &why));
            output::json(&refused.collect::<Vec<_>>())?;
        }
        output::complain(&why);
        return Ok(ExitCode::from(REFUSED));
    }
    let mut answers = Vec::new();
    let at = At { sdk, stack, access };
    let code = each(&at, record, &caller, &open, options, format, &mut answers).await;
    // What was done is told also if a later one fails.
    if format == Format::Json && (code.is_ok() || !answers.is_empty()) {
        output::json(&answers)?;
    }
    code
}

/// The credentials of the target's account, and those of the stack's.
struct At<'a> {
    sdk: &'a SdkConfig,
    stack: &'a SdkConfig,
    access: &'a Access,
}

async fn each(
    at: &At<'_>,
    record: &IncidentStore,
    caller: &Caller,
    open: &[&Incident],
    options: &Options,
    format: Format,
    answers: &mut Vec<Value>,
) -> CommandResult {
    let At { sdk, stack, access } = *at;
    let by = options.by.as_ref().unwrap_or(&caller.arn);
    let mut worst = ExitCode::SUCCESS;
    for incident in open {
        // A user or role of the same name in another account must not be given back anything.
        if caller.account != incident.account_id {
            let why = format!(
                "nothing was released: the incident is about account {}, and these credentials are of \
                 account {}: give --member-profile",
                incident.account_id, caller.account,
            );
            output::complain(&why);
            answers.push(report_view::refused(incident, &why));
            worst = ExitCode::from(REFUSED);
            continue;
        }
        // An incident that was released with one before has nothing left to be put back.
        let again = record.incidents_of(&incident.id).await?;
        let mut again = again.iter().filter(|it| it.scope() == incident.scope());
        let Some(incident) = again.find(|it| !it.actions.is_empty()) else {
            continue;
        };
        let category = incident.known_category()?;
        let notices = notices::deployed(stack, access, category).await?;
        let releaser = &Releaser {
            by,
            record,
            notices: notices.as_ref(),
        };
        let (code, answer) = of_category!(category, P => {
            one(P::new(sdk), releaser, incident, options, format).await?
        });
        answers.push(answer);
        if code != ExitCode::SUCCESS {
            worst = code;
        }
    }
    Ok(worst)
}

/// Releases an incident. Answers the exit status, and the JSON for programs.
async fn one<P: Playbook>(
    mut playbook: P,
    releaser: &Releaser<'_>,
    incident: &Incident,
    options: &Options,
    format: Format,
) -> Result<(ExitCode, Value), Box<dyn std::error::Error>> {
    let allowance = Allowance {
        force_drift: options.force_drift,
        reactivate: options.reactivate.clone(),
    };
    playbook.configure(&incident.settings);
    let now = clock::now();
    let progress = output::waiting("observing the targets");
    let steps = release::plan(&playbook, releaser.record, incident, &allowance, now).await?;
    progress.finish_and_clear();
    let shown = serde_json::to_value(&steps)?;
    let answer = |release: &Release| {
        output::object(json!({
            "incident": incident.id, "category": incident.category, "part": incident.part,
            "plan": &shown, "released": release.steps, "with": release.with,
            "next_steps": release.next_steps,
        }))
    };
    let refused = |why: &str| {
        output::complain(why);
        let mut answer = answer(&Release::default());
        answer["refused"] = json!(why);
        Ok((ExitCode::from(REFUSED), answer))
    };
    let drifted = steps
        .iter()
        .any(|step| matches!(step.verdict, Verdict::Drifted(_)));
    let asks = !options.yes && steps.iter().any(|step| step.verdict.puts_back());
    if format == Format::Table || asks {
        show(incident, &steps, Stream::of_question(format));
    }
    if drifted && !options.force_drift {
        return refused(
            "nothing was released: check the steps that DRIFTED, and give --force-drift to restore them anyway",
        );
    }
    if asks && !output::confirmed(QUESTION) {
        return refused("nothing was released");
    }
    // The operator may have taken a while.
    let now = clock::now();
    let progress = output::waiting("releasing, and reading it back");
    let releasing = release::release(&playbook, releaser, incident, steps, &allowance, now);
    let released = match Box::pin(releasing).await {
        Ok(released) => released,
        Err(error @ (Error::Refused(_) | Error::Busy { .. })) => {
            return refused(&error.to_string());
        }
        Err(error) => return Err(error.into()),
    };
    progress.finish_and_clear();
    if format == Format::Table {
        for step in &released.steps {
            let what = step
                .problem
                .as_deref()
                .map_or("restored".to_owned(), |why| format!("FAILED: {why}"));
            output::line(&format!("{} on {}: {what}", step.action, step.target));
        }
        for other in &released.with {
            output::line(&format!(
                "incident {other} is released too: it had the same target"
            ));
        }
    }
    for next in &released.next_steps {
        output::complain(next);
    }
    let mut code = ExitCode::SUCCESS;
    if !released.succeeded() {
        output::complain(
            "some steps were not restored: the incident stays open; mend their cause, and release it again",
        );
        code = ExitCode::FAILURE;
    }
    Ok((code, answer(&released)))
}

fn show<A>(incident: &Incident, steps: &[ReleaseStep<A>], to: Stream) {
    to.line(&format!(
        "{} ({}), {}",
        incident.id,
        incident.scope(),
        incident.finding_type
    ));
    let words: Vec<_> = steps
        .iter()
        .map(|step| match &step.verdict {
            Verdict::Restore => ("restore", ""),
            Verdict::Already => ("is as it was", ""),
            Verdict::Left(why) => ("leave", why.as_str()),
            Verdict::Drifted(why) => ("DRIFTED", why.as_str()),
        })
        .collect();
    let views: Vec<_> = steps
        .iter()
        .zip(&words)
        .map(|(step, (word, detail))| StepView {
            word,
            action: step.action,
            target: &step.target,
            detail,
            from: &step.from,
            to: &step.to,
        })
        .collect();
    report_view::show_steps(to, &views, Values::Whole);
}
