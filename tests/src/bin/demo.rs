//! `make demo`: three attacks, three findings, and what is left of the attacks.
//!
//! With `DRY_RUN=true` in the environment the stack plans and reports but must change nothing.

use std::process::ExitCode;

use aws_sdk_s3::error::DisplayErrorContext;
use integration_tests::console::{Busy, Console, Mark};
use integration_tests::scenario::{InfectedInstance, PublicBucket, StolenKey};
use integration_tests::stack::{RESPONDERS, Responder};
use integration_tests::{LocalAws, Result, Scenario, Stack, trail};

#[tokio::main]
async fn main() -> ExitCode {
    let word = std::env::var("DRY_RUN").unwrap_or_default();
    let dry_run = !["", "false"].contains(&word.as_str());
    let mut console = Console::default();
    if let Err(error) = demo(&mut console, dry_run).await {
        console.line(
            Mark::Bad,
            "the demo could not go on",
            &DisplayErrorContext(&*error).to_string(),
        );
    }
    match (console.failures(), dry_run) {
        (0, false) => console.heading("All three attacks were stopped and no bystander was hurt."),
        (0, true) => console.heading("Everything was planned and nothing was changed."),
        (failures, _) => {
            console.heading(&format!(
                "{failures} things were not as they must be: see the ✗ above."
            ));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn demo(console: &mut Console, dry_run: bool) -> Result {
    console.stage("Start AWS on this machine");
    let aws = {
        let _busy = Busy::with("two emulators, with IAM enforced");
        LocalAws::start()?
    };
    console.line(Mark::Good, "AWS answers", &aws.endpoint);
    console.line(Mark::Good, "EC2 answers", &aws.ec2_endpoint);
    let shown = show(console, &aws, dry_run).await;

    console.stage("Stop AWS on this machine");
    aws.stop()?;
    console.line(
        Mark::Good,
        "nothing is left running",
        "two emulators stopped",
    );
    shown
}

async fn show(console: &mut Console, aws: &LocalAws, dry_run: bool) -> Result {
    console.stage(&format!("Deploy with sam deploy, DryRun={dry_run}"));
    let stack = {
        let _busy = Busy::with("four functions, their rules and their roles");
        let dry_run = if dry_run { "true" } else { "false" };
        Stack::deploy(aws, "guardduty-responder", &[("DryRun", dry_run)]).await?
    };
    for responder in RESPONDERS {
        console.line(Mark::Good, stack.function(responder)?, "deployed");
    }

    console.stage("Three victims: a bucket, a user and an instance");
    let bucket = PublicBucket::create(aws).await?;
    let theft = StolenKey::create(aws).await?;
    let infection = InfectedInstance::create(aws).await?;
    before(console, &bucket).await?;
    before(console, &theft).await?;
    before(console, &infection).await?;
    let state =
        async || -> Result<_> { Ok((bucket.public_access_block().await?, theft.state().await?)) };
    let state_before = state().await?;

    console.stage("GuardDuty reports three findings");
    respond(console, &stack, &bucket, "S3", dry_run).await?;
    respond(console, &stack, &theft, "Iam", dry_run).await?;
    respond(console, &stack, &infection, "Ec2", dry_run).await?;

    console.stage("The same attacks again");
    after(console, &bucket, dry_run).await?;
    after(console, &theft, dry_run).await?;
    after(console, &infection, dry_run).await?;

    if dry_run {
        console.stage("The trail of calls: a dry run writes nothing");
        nothing_was_sent(console, &stack).await?;
        let same = state().await? == state_before;
        console.check(
            same,
            "the bucket and the user are as they were",
            "read back",
        );
        let same = infection.is_untouched().await?;
        console.check(same, "both instances have their groups", "read back");
        let none = infection.groups_named("gdr-isolation").await?.is_empty();
        console.check(none, "no isolation group was made", "read back");
    }
    Ok(())
}

/// The attack has to work first, or its failing later proves nothing.
async fn before(console: &mut Console, scenario: &impl Scenario) -> Result {
    for seen in scenario.attack().await? {
        let mark = if seen.works { Mark::Danger } else { Mark::Bad };
        console.line(mark, &format!("attack: {}", seen.what), &seen.evidence);
    }
    bystanders(console, scenario).await
}

async fn bystanders(console: &mut Console, scenario: &impl Scenario) -> Result {
    for seen in scenario.bystanders().await? {
        console.check(
            seen.works,
            &format!("unharmed: {}", seen.what),
            &seen.evidence,
        );
    }
    Ok(())
}

async fn respond(
    console: &mut Console,
    stack: &Stack<'_>,
    scenario: &impl Scenario,
    responsible: Responder,
    dry_run: bool,
) -> Result {
    let finding = scenario.finding()?;
    console.heading(finding.finding_type());
    let reports = {
        let _busy = Busy::with("delivered by the deployed rules");
        stack.respond(&finding).await?
    };
    for (responder, report) in &reports {
        console.report(responder, report);
    }
    let expected = if dry_run { "dry_run" } else { "contained" };
    let status = reports
        .get(responsible)
        .and_then(|report| report["status"].as_str());
    let text = format!(
        "the {} function reports {expected}",
        responsible.to_lowercase()
    );
    console.check(
        status == Some(expected),
        &text,
        status.unwrap_or("no report"),
    );
    Ok(())
}

async fn after(console: &mut Console, scenario: &impl Scenario, dry_run: bool) -> Result {
    for seen in scenario.attack().await? {
        let text = match (seen.works, dry_run) {
            (false, false) => format!("stopped: {}", seen.what),
            (true, true) => format!("as before: {}", seen.what),
            (true, false) => format!("STILL WORKS: {}", seen.what),
            (false, true) => format!("CHANGED: {}", seen.what),
        };
        console.check(seen.works == dry_run, &text, &seen.evidence);
    }
    bystanders(console, scenario).await
}

async fn nothing_was_sent(console: &mut Console, stack: &Stack<'_>) -> Result {
    for responder in RESPONDERS {
        let function = stack.function(responder)?;
        let all = trail::calls(stack.aws, function).await?;
        let mutating = trail::mutating_calls(stack.aws, function).await?;
        let text = format!("the {} function changed nothing", responder.to_lowercase());
        let evidence = format!("{} calls in the trail, mutating: {mutating:?}", all.len());
        console.check(mutating.is_empty(), &text, &evidence);
    }
    Ok(())
}
