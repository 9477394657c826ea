//! Undoing a containment: the operator starts it from the record, and it is refused if the state is no longer as the
//! responder left it.

mod beside;
mod shared;
mod world;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::sleep;

use self::beside::{Settled, tell};
use self::shared::{Heir, Others};
use self::world::{Found, look, unshown, verdict};
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::notify::Notices;
use crate::plan::{Action, StepKey};
use crate::planner;
use crate::record::{Incident, IncidentStore};
use crate::session::Session;
use aws::playbook::Playbook;

/// How long the operator waits for an invocation that is at work on the target.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long putting back and reading back may take.
const TIME: Duration = Duration::from_secs(180);
/// Pauses before the state is read back again because it does not show the values put back: IAM and EC2 answer reads
/// from copies that lag behind.
const READ_BACK_PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The effect that releasing would have on one action of the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "why")]
pub enum Verdict {
    /// The value that was found is put back.
    Restore,
    /// It is as it was found already.
    Already,
    /// It stays, for this reason.
    Left(String),
    /// It is neither as the responder left it nor as it was found, or something blocks it.
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
    /// The effect of releasing on it.
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
    /// The step as the operator agreed to it, in words that do not change by themselves.
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

/// The permissions that the operator gives for a release.
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
    pub record: &'a IncidentStore,
    /// By what the function tells. `None`: they are not known, so no notice is sent.
    pub notices: Option<&'a Notices>,
}

/// The result of releasing.
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
/// If the incident's event or actions, or the present state, cannot be read.
pub async fn plan<P: Playbook>(
    playbook: &P,
    record: &IncidentStore,
    incident: &Incident,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<Vec<ReleaseStep<P::Action>>> {
    let finding = Finding::parse(&incident.event)?;
    let recorded = recorded::<P>(incident)?;
    let world = look(playbook, &finding, incident, &recorded, now).await?;
    let others = Others::of::<P>(record, incident, &finding, &recorded).await?;
    let mut steps = Vec::new();
    for recorded in recorded {
        let found = world.of(&recorded);
        let mut verdict = verdict::<P>(&recorded, &found, allowance);
        if verdict == Verdict::Restore
            && let Some(why) = Box::pin(playbook.release_blocker(&recorded)).await
        {
            verdict = Verdict::Drifted(why);
        }
        let (mut counted_on, mut heir) = (false, None);
        if verdict.puts_back() && P::Action::is_shared(recorded.name()) {
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

/// Releases: it claims the targets, and checks again whether all is as the operator saw it. It marks the targets, so
/// that the same activity does not contain them again, puts the found values back, and reads them back. Then it closes
/// the incident if all of it is back, with the others that the same steps contained. It sends notices by the function's
/// channels.
///
/// # Errors
/// If something drifted and that was not allowed, or an invocation acts on a target. If it is not as it was `shown`, or
/// the record cannot be written. Nothing was changed then.
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
    let invocation = format!("release by {by} at {now}");
    let times = (PATIENCE, TIME);
    let delivery = Delivery::by_operator(&incident.event, &finding, &invocation, now, times);
    let mut session = Session::new(playbook, Some(record), &delivery);
    let targets = recorded::<P>(incident)
        .and_then(|recorded| planner::recorded_targets::<P>(&finding, &recorded));
    session.claim(targets).await;
    let done = match session.claims.all() {
        Ok(()) => {
            let releasing = Releasing {
                releaser,
                session: &session,
                allowance,
            };
            Box::pin(releasing.carry_out(incident, &shown)).await
        }
        Err(error) => Err(error),
    };
    let ending = session.claims.end(record, &delivery, false, |_| None);
    ending.await;
    done
}

struct Releasing<'a, 's, P> {
    releaser: &'a Releaser<'a>,
    session: &'a Session<'s, P>,
    allowance: &'a Allowance,
}

impl<P: Playbook> Releasing<'_, '_, P> {
    async fn carry_out(
        &self,
        incident: &Incident,
        shown: &[ReleaseStep<P::Action>],
    ) -> Result<Release> {
        let Releaser { by, record, .. } = *self.releaser;
        let (session, playbook) = (self.session, self.session.playbook);
        let deadline = session.delivery.deadline;
        // Newer activity may have been contained while the operator looked.
        let incident = &record.again(incident).await?;
        let recorded = recorded::<P>(incident)?;
        let planning = plan(playbook, record, incident, self.allowance, session.now());
        let steps = within(deadline, "observing", Box::pin(planning)).await?;
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
        for claim in &session.claims.held {
            record.mark_released(claim, by, session.now()).await?;
        }
        let mut put_back = Vec::new();
        for step in steps.iter().filter(|step| step.verdict.puts_back()) {
            let restoring = Box::pin(playbook.restore(&step.recorded));
            let problem = within(deadline, step.action, restoring).await.err();
            put_back.push((step, problem.map(|error| error.to_string())));
        }
        let mut release = Release {
            steps: self.read_back(incident, &recorded, put_back).await,
            ..Release::default()
        };
        if release.succeeded()
            && let Err(error) = record.close(incident, by, session.now()).await
        {
            release.next_steps.push(format!(
                "release it again: it was put back, and the table still shows it contained: {error}"
            ));
        }
        self.tell_others(incident, &steps, &mut release).await;
        Ok(release)
    }

    /// Releases the other incidents of the same target with this one, and tells of all of them.
    async fn tell_others(
        &self,
        incident: &Incident,
        steps: &[ReleaseStep<P::Action>],
        release: &mut Release,
    ) {
        let (releaser, session) = (self.releaser, self.session);
        let finding = session.finding();
        let settled = Settled::of(steps, release);
        let others = settled.others(session.playbook, releaser, incident, finding, session.now());
        let others = Box::pin(others).await;
        release.next_steps.extend(others.next_steps.iter().cloned());
        release.with = others.closed.iter().map(|it| it.id.clone()).collect();
        if let Some(notices) = releaser.notices {
            let by = releaser.by;
            tell::<P>(notices, by, incident, finding, steps, release, &others).await;
        }
    }

    /// Reads back until each step shows, or the pauses are used up. Answers the result of each.
    async fn read_back(
        &self,
        incident: &Incident,
        recorded: &[P::Action],
        put_back: Vec<(&ReleaseStep<P::Action>, Option<String>)>,
    ) -> Vec<Released> {
        let mut pauses = READ_BACK_PAUSES.into_iter();
        let session = self.session;
        let (playbook, finding) = (session.playbook, session.finding());
        loop {
            let looking = look(playbook, finding, incident, recorded, session.now());
            let deadline = session.delivery.deadline;
            let world = within(deadline, "reading back", Box::pin(looking)).await;
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
