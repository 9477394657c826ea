//! Undoing a containment: started by a person, from what was recorded, and refused where the world
//! is no longer as the responder left it.

mod shared;

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use self::shared::{Heir, Others};
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::plan::{Action, Step, StepKey, Undo};
use crate::playbook::{Playbook, Remains};
use crate::policy;
use crate::record::{Claim, Incident, Lease, Record};

/// How long a person waits for an invocation that is at work on the target.
const PATIENCE: Duration = Duration::from_secs(15);
/// What putting back and reading back may take.
const TIME: Duration = Duration::from_secs(180);
/// Pauses before the world is read back again because it does not show what was put back: IAM and EC2 answer
/// reads from copies that lag behind.
const READ_BACK_PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What releasing would do about one action of the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "why")]
pub enum Verdict {
    /// What was found is put back.
    Restore,
    /// It is as it was found already.
    Already,
    /// It stays, for this reason.
    Left(String),
    /// It is neither as the responder left it nor as it was found, or something stands in the way.
    Drifted(String),
}

impl Verdict {
    /// True if releasing changes something, where drift is allowed.
    #[must_use]
    pub fn puts_back(&self) -> bool {
        matches!(self, Self::Restore | Self::Drifted(_))
    }
}

/// One action of an incident, and what releasing would do about it.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseStep<A> {
    /// The action's name.
    pub action: &'static str,
    /// The resource.
    pub target: String,
    /// The value that the responder left.
    pub from: Value,
    /// The value that it found, which is put back.
    pub to: Value,
    /// What is done about it.
    pub verdict: Verdict,
    #[serde(skip)]
    recorded: A,
    /// The incident that it is left for, which has to put it back one day.
    #[serde(skip)]
    heir: Option<Heir>,
}

impl<A: Action> ReleaseStep<A> {
    /// What a person agreed to, in words that do not change by themselves.
    fn gist(&self) -> String {
        let Self {
            action,
            target,
            from,
            to,
            verdict,
            ..
        } = self;
        format!("{action} on {target}: {verdict:?}, from {from} to {to}")
    }
}

/// What the person who releases allows.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// Restore also what drifted.
    pub force_drift: bool,
    /// The access keys to activate again.
    pub reactivate: Vec<String>,
}

/// What came of releasing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// The action's name.
    pub action: &'static str,
    /// The resource.
    pub target: String,
    /// `None`: put back, and read back. Else what went wrong.
    pub problem: Option<String>,
}

/// Shows what releasing `incident` would do. Reads only.
///
/// # Errors
/// If the incident's event or actions cannot be read, or the world cannot.
pub async fn plan<P: Playbook>(
    playbook: &P,
    record: &Record,
    incident: &Incident,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<Vec<ReleaseStep<P::Action>>> {
    let finding = Finding::parse(&incident.event)?;
    let recorded = recorded::<P>(incident)?;
    let world = look(playbook, &finding, incident, now).await?;
    let others = Others::of::<P>(record, incident, &finding).await?;
    let mut steps = Vec::new();
    for recorded in recorded {
        let found = world.of(&recorded);
        let mut verdict = verdict::<P>(&recorded, &found, allowance);
        if verdict == Verdict::Restore
            && let Some(why) = Box::pin(playbook.obstacle(&recorded)).await
        {
            verdict = Verdict::Drifted(why);
        }
        let mut heir = None;
        if verdict.puts_back() {
            let wide = matches!(&found, Found::InEffect(how) if how.starts_with(shared::WIDE));
            if let Some(left) = others.rely_on(&StepKey::of(&recorded), wide) {
                verdict = Verdict::Left(left.why);
                heir = left.heir;
            }
        }
        steps.push(ReleaseStep {
            action: recorded.name(),
            target: recorded.target(),
            from: recorded.to(),
            to: recorded.from(),
            verdict,
            recorded,
            heir,
        });
    }
    // What was done last is undone first.
    steps.sort_by_key(|step| std::cmp::Reverse((step.recorded.phase(), step.recorded.order())));
    Ok(steps)
}

/// Releases: claims the targets, looks again whether what the person was shown still is so, marks the targets,
/// so that the same activity does not contain them again, puts back what is to be restored, reads it back, and
/// closes the incident if all of it is.
///
/// # Errors
/// If something drifted and that was not allowed, if an invocation is at work on a target, if it is not as it
/// was `shown`, or if the record cannot be written. Nothing was changed then.
pub async fn release<P: Playbook>(
    playbook: &P,
    record: &Record,
    incident: &Incident,
    shown: Vec<ReleaseStep<P::Action>>,
    allowance: &Allowance,
    by: &str,
    now: Timestamp,
) -> Result<Vec<Released>> {
    let drifted: Vec<_> = shown
        .iter()
        .filter_map(|step| match &step.verdict {
            Verdict::Drifted(why) => Some(format!("{} on {}: {why}", step.action, step.target)),
            _ => None,
        })
        .collect();
    if !drifted.is_empty() && !allowance.force_drift {
        return Err(Error::Refused(format!(
            "not as the responder left it, so nothing was released: {}",
            drifted.join("; "),
        )));
    }
    let finding = Finding::parse(&incident.event)?;
    let started = Instant::now();
    let clock = move || {
        let passed = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
        now.saturating_add(passed).unwrap_or(now)
    };
    let owner = format!("release by {by} at {now}");
    let lease = Lease {
        owner: &owner,
        now,
        lasts: PATIENCE + TIME + Duration::from_secs(10),
        until: started + PATIENCE,
    };
    let mut claims = Vec::new();
    let claimed = claim::<P>(record, &finding, &lease, &mut claims).await;
    let done = match claimed {
        Ok(()) => {
            let releasing = Releasing {
                playbook,
                record,
                finding: &finding,
                claims: &claims,
                allowance,
                by,
                until: started + PATIENCE + TIME,
            };
            Box::pin(releasing.carry_out(incident, &shown, clock)).await
        }
        Err(error) => Err(error),
    };
    for claim in &claims {
        if let Err(error) = record.give_back(claim, None, clock()).await {
            tracing::error!(%error, "the claim on a target was not given back and ends by its time");
        }
    }
    done
}

async fn claim<P: Playbook>(
    record: &Record,
    finding: &Finding,
    lease: &Lease<'_>,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    for target in policy::targets(P::CATEGORY, finding)? {
        claims.push(record.claim(P::CATEGORY, finding, &target, lease).await?);
    }
    Ok(())
}

struct Releasing<'a, P> {
    playbook: &'a P,
    record: &'a Record,
    finding: &'a Finding,
    claims: &'a [Claim],
    allowance: &'a Allowance,
    by: &'a str,
    until: Instant,
}

impl<P: Playbook> Releasing<'_, P> {
    async fn carry_out(
        &self,
        incident: &Incident,
        shown: &[ReleaseStep<P::Action>],
        clock: impl Fn() -> Timestamp,
    ) -> Result<Vec<Released>> {
        let Self {
            playbook,
            record,
            by,
            until,
            ..
        } = *self;
        // Newer activity may have been contained while the person looked.
        let incident = &record.again(incident).await?;
        let planning = plan(playbook, record, incident, self.allowance, clock());
        let steps = within(until, "observing", Box::pin(planning)).await?;
        let gists = |steps: &[ReleaseStep<P::Action>]| {
            let mut gists: Vec<_> = steps.iter().map(ReleaseStep::gist).collect();
            gists.sort_unstable();
            gists
        };
        if gists(&steps) != gists(shown) {
            return Err(Error::Refused(
                "it is not as it was a moment ago, so nothing was released: look at it again"
                    .to_owned(),
            ));
        }
        for step in &steps {
            if let Some(heir) = &step.heir {
                record
                    .leave_to(heir.incident(), incident, &StepKey::of(&step.recorded))
                    .await?;
            }
        }
        for claim in self.claims {
            record.mark_released(claim, by, clock()).await?;
        }
        let mut put_back = Vec::new();
        for step in steps.into_iter().filter(|step| step.verdict.puts_back()) {
            let restoring = Box::pin(playbook.restore(&step.recorded));
            let problem = within(until, step.action, restoring).await.err();
            put_back.push((step, problem.map(|error| error.to_string())));
        }
        let released = self.read_back(incident, put_back, &clock).await?;
        if released.iter().all(|step| step.problem.is_none()) {
            record.close(incident, by, clock()).await?;
        }
        Ok(released)
    }

    /// What came of each step, by what is read until all of it shows, or the pauses are used up.
    async fn read_back(
        &self,
        incident: &Incident,
        put_back: Vec<(ReleaseStep<P::Action>, Option<String>)>,
        clock: impl Fn() -> Timestamp,
    ) -> Result<Vec<Released>> {
        let mut pauses = READ_BACK_PAUSES.into_iter();
        loop {
            let looking = look(self.playbook, self.finding, incident, clock());
            let world = within(self.until, "reading back", Box::pin(looking)).await?;
            let mut lags = false;
            let released = put_back.iter().map(|(step, problem)| {
                let unshown =
                    || unshown::<P>(&step.recorded, world.of(&step.recorded), self.allowance);
                let problem = problem.clone().or_else(|| {
                    let unshown = unshown();
                    lags |= unshown.is_some();
                    unshown
                });
                Released {
                    action: step.action,
                    target: step.target.clone(),
                    problem,
                }
            });
            let released = released.collect();
            match pauses.next() {
                Some(pause) if lags => sleep(pause).await,
                _ => return Ok(released),
            }
        }
    }
}

fn recorded<P: Playbook>(incident: &Incident) -> Result<Vec<P::Action>> {
    let read = incident.actions.iter().map(|(key, recorded)| {
        serde_json::from_value(recorded.clone()).map_err(|error| {
            Error::Refused(format!("the recorded action {key} cannot be read: {error}"))
        })
    });
    read.collect()
}

/// What the world shows of an action.
enum Found<A> {
    /// As the responder left it, as this shows.
    InEffect(String),
    /// With another value, that an action would start from.
    Other(A),
    /// It could not be read, or the resource is not what it was.
    Unclear(String),
    /// There is nothing left that could be put back.
    Gone,
    /// Its target is gone, and it stays without it.
    Outlives,
    /// Nothing shows it.
    Missing,
}

/// What was read of a finding's target, by what would be done about it.
struct World<P: Playbook> {
    state: P::State,
    steps: HashMap<StepKey, Step<P::Action>>,
}

impl<P: Playbook> World<P> {
    fn of(&self, recorded: &P::Action) -> Found<P::Action> {
        match self.steps.get(&StepKey::of(recorded)) {
            Some(Step::Already(_, how)) => return Found::InEffect(how.clone()),
            Some(Step::Do(action) | Step::Withheld(action, _)) => {
                return Found::Other(action.clone());
            }
            Some(Step::Unknown { error, .. }) => return Found::Unclear(error.to_string()),
            Some(Step::Skipped { .. }) | None => {}
        }
        match (
            P::remains(&self.state, recorded),
            self.steps.get(&StepKey::of(recorded)),
        ) {
            (Remains::Nothing, _) => Found::Gone,
            (Remains::Itself, _) => Found::Outlives,
            (Remains::Unknown, Some(Step::Skipped { reason, .. })) => {
                Found::Unclear(reason.clone())
            }
            (Remains::Unknown, _) => Found::Missing,
        }
    }
}

async fn look<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    incident: &Incident,
    now: Timestamp,
) -> Result<World<P>> {
    let recorded = recorded::<P>(incident)?;
    let recorded: Vec<_> = recorded.iter().collect();
    let state = Box::pin(playbook.read_back(finding, &recorded)).await?;
    let plan = P::plan(finding, &state, &incident.settings, now);
    let steps = plan.steps.into_iter().map(|step| (step.key(), step));
    let steps = steps.collect();
    Ok(World { state, steps })
}

fn verdict<P: Playbook>(
    recorded: &P::Action,
    found: &Found<P::Action>,
    allowance: &Allowance,
) -> Verdict {
    match recorded.undo() {
        Undo::Nothing(why) => return Verdict::Left(why.to_owned()),
        Undo::OnlyIfNamed if !allowance.reactivate.contains(&recorded.target()) => {
            return Verdict::Left("stays as it is unless it is named".to_owned());
        }
        Undo::Restore | Undo::OnlyIfNamed => {}
    }
    match found {
        Found::InEffect(_) | Found::Outlives => Verdict::Restore,
        Found::Other(other) if recorded.is_back(other) => Verdict::Already,
        Found::Other(other) if recorded.left(other) => Verdict::Restore,
        Found::Other(other) => Verdict::Drifted(format!("it is {} now", other.from())),
        Found::Unclear(why) => Verdict::Drifted(why.clone()),
        Found::Gone => {
            Verdict::Left("what it changed is gone, so there is nothing to put back".to_owned())
        }
        Found::Missing => Verdict::Drifted("it is no longer there".to_owned()),
    }
}

/// Why what was put back does not count as being back.
fn unshown<P: Playbook>(
    recorded: &P::Action,
    found: Found<P::Action>,
    allowance: &Allowance,
) -> Option<String> {
    match found {
        Found::InEffect(_) => Some("reading back shows it still in effect".to_owned()),
        Found::Other(other) if recorded.is_back(&other) => None,
        Found::Other(other) => Some(format!("reading back shows {} instead", other.from())),
        // A person said that it is to be so whatever it is now.
        Found::Unclear(_) if allowance.force_drift => None,
        Found::Unclear(why) => Some(format!("reading back does not show it: {why}")),
        Found::Missing => Some("reading back does not show it any more".to_owned()),
        // The call that took it away is all that tells.
        Found::Gone | Found::Outlives => None,
    }
}
