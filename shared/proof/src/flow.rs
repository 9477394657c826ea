//! The course of a proof: make, attack, contain, attack, release, attack.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use remediation::error::Result;
use remediation::release::Allowance;
use serde_json::Value;
use tokio::time::timeout;

use crate::attempt::{Asked, Attempt, ask_once, ask_until};
use crate::context::Context;
use crate::finding::{About, Finding, finding};
use crate::means::{Means, TIME};
use crate::record::{AttemptResult, Proof, Scene, Tried, Victim};
use crate::request::Request;
use crate::victim::{self, Made};
use crate::watcher::{Moment, Who};

/// A victim that can be shown here, with the finding on it once it was handed over.
struct Shown {
    /// The place of its scene.
    scene: usize,
    made: Made,
    finding: Option<Finding>,
}

pub(crate) async fn run(
    context: &Context<'_>,
    request: &Request,
    means: &Means,
    proof: &mut Proof,
) -> Result<()> {
    let watcher = context.watcher;
    watcher.stage("Make the victims");
    means.prepare(context).await?;
    let mut shown = Box::pin(make(context, request, proof)).await?;

    watcher.stage("Attack them");
    let mut attacked = Vec::new();
    for victim in shown {
        let scene = &mut proof.scenes[victim.scene];
        if Box::pin(attack(context, &victim, scene)).await? {
            attacked.push(victim);
        }
    }
    shown = attacked;

    watcher.stage("Contain them, and attack them again");
    for victim in &mut shown {
        let scene = &mut proof.scenes[victim.scene];
        Box::pin(contain(context, request, means, victim, scene)).await?;
    }
    if request.dry_run {
        return Ok(());
    }

    watcher.stage("Release them");
    for victim in &shown {
        let scene = &mut proof.scenes[victim.scene];
        Box::pin(release(context, request, means, victim, scene)).await?;
    }
    Ok(())
}

async fn make(context: &Context<'_>, request: &Request, proof: &mut Proof) -> Result<Vec<Shown>> {
    let data = Box::pin(victim::make_bucket(context, "data")).await?;
    let mut shown = Vec::new();
    for victim in &request.victims {
        let mut scene = Scene::of(*victim);
        match Box::pin(victim::make(context, *victim, &data)).await? {
            Ok(made) => {
                scene.resources.clone_from(&made.resources);
                for attempt in &made.attempts {
                    tried_by(&mut scene, attempt.who).push(Tried::new(&attempt.request));
                }
                shown.push(Shown {
                    scene: proof.scenes.len(),
                    made,
                    finding: None,
                });
            }
            Err(why) => {
                scene.not_shown = Some(why);
                context.watcher.reported(&scene);
            }
        }
        proof.scenes.push(scene);
    }
    Ok(shown)
}

fn tried_by(scene: &mut Scene, who: Who) -> &mut Vec<Tried> {
    match who {
        Who::Attacker => &mut scene.attacks,
        Who::Bystander => &mut scene.bystanders,
    }
}

/// Writes the answers down, in the order of the attempts.
fn note<'a>(
    context: &Context<'_>,
    scene: &mut Scene,
    moment: Moment,
    asked: impl IntoIterator<Item = (&'a Attempt, Asked)>,
) {
    for (attempt, asked) in asked {
        let victim = scene.victim;
        let found_at = scene.found_at;
        let mut tried = tried_by(scene, attempt.who).iter_mut();
        let Some(tried) = tried.find(|tried| tried.request == attempt.request) else {
            continue;
        };
        if let (Moment::Contained, Who::Attacker, Some(since), Some(found)) =
            (moment, attempt.who, asked.since, found_at)
            && !asked.answer.works
        {
            tried.stopped_after_seconds = Some(since.duration_since(found).as_secs_f64());
        }
        *tried.answer(moment) = Some(asked.answer);
        context.watcher.tried(victim, attempt.who, moment, tried);
    }
}

fn those(made: &Made, which: impl Fn(&Attempt) -> bool) -> Vec<&Attempt> {
    made.attempts.iter().filter(|it| which(it)).collect()
}

async fn ask<'a>(
    context: &Context<'_>,
    attempts: Vec<&'a Attempt>,
    works: bool,
    patience: Duration,
) -> Result<Vec<(&'a Attempt, Asked)>> {
    let wanted: Vec<_> = attempts.iter().map(|attempt| (*attempt, works)).collect();
    let asked = Box::pin(ask_until(context, &wanted, patience)).await?;
    Ok(attempts.into_iter().zip(asked).collect())
}

/// Contains while the attacks go on, so that it is seen when they fail first: before the report is there, since what
/// follows the containment takes a while, or after it, since IAM does. `None`: they do not fail in time, or the
/// responder did not contain.
async fn while_attacked(
    context: &Context<'_>,
    attacks: &[&Attempt],
    containing: impl Future<Output = Result<Value>>,
) -> (Result<Value>, Option<Vec<Asked>>) {
    let patience = context.world.patience.change;
    let fails: Vec<_> = attacks.iter().map(|attempt| (*attempt, false)).collect();
    let attacking = pin!(ask_until(context, &fails, TIME + patience));
    match select(pin!(containing), attacking).await {
        Either::Left((Ok(report), attacking)) => {
            // Nothing is to be waited for where nothing was contained.
            let patience = match report["status"] == "contained" {
                true => patience,
                false => Duration::ZERO,
            };
            let asked = timeout(patience, attacking).await;
            (Ok(report), asked.ok().and_then(Result::ok))
        }
        Either::Left((Err(error), _)) => (Err(error), None),
        Either::Right((asked, containing)) => (containing.await, asked.ok()),
    }
}

/// Each attack has to work first, or its failing later proves nothing. False if one does not.
async fn attack(context: &Context<'_>, victim: &Shown, scene: &mut Scene) -> Result<bool> {
    let patience = context.world.patience.new;
    let all = those(&victim.made, |_| true);
    let asked = ask(context, all, true, patience).await?;
    let never: Vec<_> = asked
        .iter()
        .filter(|(_, asked)| asked.since.is_none())
        .map(|(attempt, asked)| format!("{} ({})", attempt.request, asked.answer.evidence))
        .collect();
    note(context, scene, Moment::Before, asked);
    if never.is_empty() {
        return Ok(true);
    }
    scene.not_shown = Some(format!(
        "it did not work in the first place, within {} s: {}. A policy of the account or the organization \
         may forbid it, or a firewall on the way",
        patience.as_secs(),
        never.join("; "),
    ));
    context.watcher.reported(scene);
    Ok(false)
}

async fn contain(
    context: &Context<'_>,
    request: &Request,
    means: &Means,
    victim: &mut Shown,
    scene: &mut Scene,
) -> Result<()> {
    let finding = finding(context, &victim.made.about)?;
    scene.finding_type = Some(finding.finding_type.to_owned());
    scene.finding_id = Some(finding.id.clone());
    scene.found_at = Some(context.now());
    context
        .watcher
        .waiting("the responder contains, and the attacks go on");
    let attacks = those(&victim.made, |it| it.who == Who::Attacker);
    let containing = means.contain(context, scene.victim, &finding);
    let (report, watched) = if request.dry_run {
        (Box::pin(containing).await, None)
    } else {
        Box::pin(while_attacked(context, &attacks, containing)).await
    };
    victim.finding = Some(finding);
    scene.read(&report?);
    context.watcher.reported(scene);
    // The answers that count are those after the report.
    let answers = ask_once(context, &attacks).await?;
    let since = watched.into_iter().flatten().map(|asked| asked.since);
    let since = since.chain(std::iter::repeat(None));
    let asked = answers.into_iter().zip(since);
    let asked = asked.map(|(answer, since)| Asked { answer, since });
    note(
        context,
        scene,
        Moment::Contained,
        attacks.into_iter().zip(asked),
    );
    let bystanders = those(&victim.made, |it| it.who == Who::Bystander);
    once(context, scene, Moment::Contained, bystanders).await
}

/// Tries each once, and writes the answers down.
async fn once(
    context: &Context<'_>,
    scene: &mut Scene,
    moment: Moment,
    attempts: Vec<&Attempt>,
) -> Result<()> {
    let answers = ask_once(context, &attempts).await?;
    let asked = answers.into_iter().map(|answer| Asked {
        answer,
        since: None,
    });
    note(context, scene, moment, attempts.into_iter().zip(asked));
    Ok(())
}

async fn release(
    context: &Context<'_>,
    request: &Request,
    means: &Means,
    victim: &Shown,
    scene: &mut Scene,
) -> Result<()> {
    let Some(finding) = &victim.finding else {
        return Ok(());
    };
    let reactivate = match request.reactivate_key {
        true => victim.made.keys.clone(),
        false => Vec::new(),
    };
    let allowance = Allowance {
        force_drift: false,
        reactivate,
    };
    let released = means.release(context, scene.victim, finding, &allowance);
    match Box::pin(released).await {
        Ok(put_back) => scene.released = put_back,
        Err(error) => scene.not_released = Some(error.to_string()),
    }
    let is_key = matches!(victim.made.about, About::Key { .. });
    let stays = |it: &Attempt| is_key && !request.reactivate_key && it.who == Who::Attacker;
    context.watcher.waiting("access comes back");
    let patience = match scene.not_released {
        None => context.world.patience.change,
        Some(_) => Duration::ZERO,
    };
    let back = those(&victim.made, |it| !stays(it));
    let asked = ask(context, back, true, patience).await?;
    note(context, scene, Moment::Released, asked);
    // The stolen key is inactive still. Its sessions are tried too.
    let away = those(&victim.made, stays);
    once(context, scene, Moment::Released, away).await
}

impl Scene {
    fn of(victim: Victim) -> Self {
        Self {
            victim,
            resources: Vec::new(),
            finding_type: None,
            finding_id: None,
            found_at: None,
            status: None,
            reason: None,
            steps: Vec::new(),
            attacks: Vec::new(),
            bystanders: Vec::new(),
            released: Vec::new(),
            not_released: None,
            not_shown: None,
        }
    }

    /// Takes over what the report says.
    fn read(&mut self, report: &Value) {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        self.status = text(&report["status"]);
        self.reason = text(&report["reason"]);
        let steps = report["steps"].as_array().into_iter().flatten();
        let steps = steps.map(|step| {
            let part = |name: &str| step[name].as_str().unwrap_or_default();
            format!("{} {}: {}", part("action"), part("target"), part("outcome"))
        });
        self.steps = steps.collect();
    }
}

impl Tried {
    fn new(request: &str) -> Self {
        Self {
            request: request.to_owned(),
            before: None,
            contained: None,
            stopped_after_seconds: None,
            released: None,
        }
    }

    fn answer(&mut self, moment: Moment) -> &mut Option<AttemptResult> {
        match moment {
            Moment::Before => &mut self.before,
            Moment::Contained => &mut self.contained,
            Moment::Released => &mut self.released,
        }
    }
}
