//! `make demo`: five attacks, five findings, and what is left of the attacks. It is a proof, as `gdr prove` runs it
//! on AWS, by the functions of a stack that is deployed on this machine.
//!
//! With `DRY_RUN=true` in the environment the stack plans and reports but must change nothing.

use std::process::ExitCode;

use aws_sdk_s3::error::DisplayErrorContext;
use integration_tests::console::{Busy, Console, Mark};
use integration_tests::stack::RESPONDERS;
use integration_tests::{LocalAws, Result, Stack, demo, proving, trail};
use proof::record::ContainedBy;
use proof::{Id, Request, Victim};

const STACK: &str = "guardduty-responder";

/// What a reader must know who has never seen the product.
const STORY: [&str; 4] = [
    "Five victims are attacked: a public bucket, a stolen key, a stolen session, an infected instance, a hijacked function.",
    "GuardDuty's finding of each attack goes to the responder, which contains the resource.",
    "Then the same attacks run again and must fail. Whoever uses the resources rightfully must go on unharmed.",
    "! an attack works    \u{2713} as it must be    \u{2717} not as it must be",
];

#[tokio::main]
async fn main() -> ExitCode {
    let word = std::env::var("DRY_RUN").unwrap_or_default();
    let dry_run = !["", "false"].contains(&word.as_str());
    let mut console = Console::default();
    if let Err(error) = run(&mut console, dry_run).await {
        console.line(
            Mark::Bad,
            "the demo could not go on",
            &DisplayErrorContext(&*error).to_string(),
        );
    }
    match (console.failures(), dry_run) {
        (0, false) => console.heading("All five attacks were stopped and no bystander was hurt."),
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

async fn run(console: &mut Console, dry_run: bool) -> Result {
    for sentence in STORY {
        console.say(sentence);
    }
    console.stage("Start AWS on this machine");
    let aws = {
        let _busy = Busy::with("two emulators, with IAM enforced");
        LocalAws::start()?
    };
    console.line(Mark::Good, "AWS answers", &aws.endpoint);
    console.line(Mark::Good, "EC2 answers", &aws.ec2_endpoint);
    let shown = Box::pin(show(console, &aws, dry_run)).await;

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
        let _busy = Busy::with("five functions, their rules and their roles");
        let dry_run = if dry_run { "true" } else { "false" };
        Stack::deploy(aws, STACK, &[("DryRun", dry_run)]).await?
    };
    for responder in RESPONDERS {
        console.line(Mark::Good, stack.function(responder)?, "deployed");
    }

    let world = proving::world(aws, &aws.endpoint, &aws.ec2_endpoint).await;
    let request = Request {
        account: aws.account_id.clone(),
        id: Id::random()?,
        victims: vec![
            Victim::PublicBucket,
            Victim::StolenKey,
            Victim::StolenRoleSession,
            Victim::InfectedInstance,
            Victim::HijackedFunction,
        ],
        by: ContainedBy::Stack(STACK.to_owned()),
        reactivate_key: true,
        dry_run,
    };
    let shown = demo::Shown::on(console, dry_run);
    let never = std::future::pending();
    let proof = Box::pin(proof::prove(&world, &request, &shown, never)).await;
    drop(shown);
    let proof = proof?;
    if let Some(why) = &proof.stopped {
        console.line(Mark::Bad, "the proof could not go on", why);
    }
    if !dry_run {
        let evidence = format!("{} scenes", proof.scenes.len());
        console.check(proof.holds(), "the proof holds", &evidence);
        return Ok(());
    }
    console.stage("The trail of calls: a dry run writes nothing");
    nothing_was_sent(console, &stack).await
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
