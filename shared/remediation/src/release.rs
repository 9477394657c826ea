//! Undoing a containment: started by a person, from what was recorded, and refused where the world
//! is no longer as the responder left it.

mod beside;
mod shared;
mod world;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use self::beside::{Settled, tell};
use self::shared::{Heir, Others};
use self::world::{Found, look, unshown, verdict};
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::notify::Notices;
use crate::plan::{Action, StepKey};
use crate::planner;
use crate::playbook::Playbook;
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
    /// Another incident counts on it.
    #[serde(skip)]
    counted_on: bool,
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

/// Who releases, and with what.
#[derive(Debug)]
pub struct Releaser<'a> {
    /// The operator, for the record.
    pub by: &'a str,
    /// The table.
    pub record: &'a Record,
    /// By what the function tells. `None`: that is not known, so that nobody is told.
    pub notices: Option<&'a Notices>,
}

/// What came of releasing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Release {
    /// The result of each step that was to be put back.
    pub steps: Vec<Released>,
    /// The incidents of the same target that are released with this one, since it contained them too.
    pub with: Vec<String>,
    /// The next steps of the operator.
    pub next_steps: Vec<String>,
}

impl Release {
    /// True if all that was to be put back was.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.steps.iter().all(|step| step.problem.is_none())
    }
}

/// The result of one step of a release.
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
    let world = look(playbook, &finding, incident, &recorded, now).await?;
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
        let (mut counted_on, mut heir) = (false, None);
        if verdict.puts_back() {
            let wide = matches!(&found, Found::InEffect(how) if how.starts_with(shared::WIDE));
            if let Some(left) = others.rely_on(&StepKey::of(&recorded), wide) {
                verdict = Verdict::Left(left.why);
                counted_on = true;
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
            counted_on,
            heir,
        });
    }
    // What was done last is undone first.
    steps.sort_by_key(|step| std::cmp::Reverse((step.recorded.phase(), step.recorded.order())));
    Ok(steps)
}

/// Releases: claims the targets, looks again whether what the person was shown still is so, marks the targets,
/// so that the same activity does not contain them again, puts back what is to be restored, reads it back, closes
/// the incident if all of it is, with the others that the same steps contained, and tells so by all that the
/// function tells by.
///
/// # Errors
/// If something drifted and that was not allowed, if an invocation is at work on a target, if it is not as it
/// was `shown`, or if the record cannot be written. Nothing was changed then.
pub async fn release<P: Playbook>(
    playbook: &P,
    releaser: &Releaser<'_>,
    incident: &Incident,
    shown: Vec<ReleaseStep<P::Action>>,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<Release> {
    let Releaser { by, record, .. } = *releaser;
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
    let claimed = claim::<P>(record, &finding, incident, &lease, &mut claims).await;
    let done = match claimed {
        Ok(()) => {
            let releasing = Releasing {
                playbook,
                releaser,
                finding: &finding,
                claims: &claims,
                allowance,
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
    incident: &Incident,
    lease: &Lease<'_>,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    for target in planner::recorded_targets::<P>(finding, &recorded::<P>(incident)?)? {
        claims.push(record.claim(P::CATEGORY, finding, &target, lease).await?);
    }
    Ok(())
}

struct Releasing<'a, P> {
    playbook: &'a P,
    releaser: &'a Releaser<'a>,
    finding: &'a Finding,
    claims: &'a [Claim],
    allowance: &'a Allowance,
    until: Instant,
}

impl<P: Playbook> Releasing<'_, P> {
    async fn carry_out(
        &self,
        incident: &Incident,
        shown: &[ReleaseStep<P::Action>],
        clock: impl Fn() -> Timestamp,
    ) -> Result<Release> {
        let Self {
            playbook,
            releaser,
            until,
            ..
        } = *self;
        let Releaser { by, record, .. } = *releaser;
        // Newer activity may have been contained while the person looked.
        let incident = &record.again(incident).await?;
        let recorded = recorded::<P>(incident)?;
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
        for step in steps.iter().filter(|step| step.verdict.puts_back()) {
            let restoring = Box::pin(playbook.restore(&step.recorded));
            let problem = within(until, step.action, restoring).await.err();
            put_back.push((step, problem.map(|error| error.to_string())));
        }
        let mut release = Release {
            steps: self.read_back(incident, &recorded, put_back, &clock).await,
            ..Release::default()
        };
        if release.succeeded()
            && let Err(error) = record.close(incident, by, clock()).await
        {
            release.next_steps.push(format!(
                "release it again: it was put back, and the table still shows it contained: {error}"
            ));
        }
        let settled = Settled::of(&steps, &release);
        let others = settled.others(playbook, releaser, incident, self.finding, clock());
        let others = Box::pin(others).await;
        release.next_steps.extend(others.next_steps.iter().cloned());
        release.with = others.closed.iter().map(|it| it.id.clone()).collect();
        if let Some(notices) = releaser.notices {
            let finding = self.finding;
            tell::<P>(
                notices,
                by,
                incident,
                finding,
                &steps,
                &mut release,
                &others,
            )
            .await;
        }
        Ok(release)
    }

    /// What came of each step, by what is read until all of it shows, or the pauses are used up.
    async fn read_back(
        &self,
        incident: &Incident,
        recorded: &[P::Action],
        put_back: Vec<(&ReleaseStep<P::Action>, Option<String>)>,
        clock: impl Fn() -> Timestamp,
    ) -> Vec<Released> {
        let mut pauses = READ_BACK_PAUSES.into_iter();
        loop {
            let looking = look(self.playbook, self.finding, incident, recorded, clock());
            let world = within(self.until, "reading back", Box::pin(looking)).await;
            let mut lags = false;
            let released = put_back.iter().map(|(step, problem)| {
                let unshown = || match &world {
                    Ok(world) => {
                        unshown::<P>(&step.recorded, world.of(&step.recorded), self.allowance)
                    }
                    Err(error) => Some(format!("it could not be read back: {error}")),
                };
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
                _ => return released,
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
