//! The containment of one finding: prepare, authorize, admit, execute, conclude.

use std::collections::HashSet;
use std::rc::Rc;

use crate::admit::{Admission, Part, admit, note_reversal};
use crate::authorize::Authorizer;
use crate::cloudtrail::afterwards::{self, Afterwards};
use crate::conclude::{Executed, conclude};
use crate::containment::Containment;
use crate::execute::{Executor, LateSteps};
use crate::inquiry::Inquiry;
use crate::observe::Observations;
use crate::plan::{Step, StepKey};
use crate::prepare::prepare;
use crate::report::Obstacle;
use crate::session::{Services, Session};
use aws::playbook::Playbook;
use policy::Authorized;

/// Contains `what`. The playbook's futures are boxed: together they are larger than a thread's stack likes.
pub(crate) async fn contain<P: Playbook>(
    services: &Services<'_>,
    session: &mut Session<'_, P>,
    what: String,
) -> Containment {
    let prepared = match Box::pin(prepare(services, session)).await {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    let afterwards = Box::pin(look_back(session)).await;
    // Newer activity moves a cut-off forward.
    if let Some(seen) = afterwards.as_ref().and_then(Afterwards::not_held) {
        session.extend_activity(seen);
    }
    let session = &*session;
    let (playbook, finding) = (session.playbook, session.finding());
    let authorizer = Authorizer::new(session, &prepared.guard, services.rules(false));
    let mut observations = Observations::after(playbook, finding, prepared.state);
    let mut plan = match authorizer.authorize(&mut observations).await {
        Ok(plan) => plan,
        Err(error) => return Containment::failed::<P>(finding, Obstacle::Target, &error, false),
    };
    let planned_at = session.now();
    let state = observations.latest();
    let admitting = Box::pin(admit(services, session, &state, &mut plan, Part::First));
    let admission = observations.during(admitting).await;
    let executor = Executor {
        playbook,
        gate: &authorizer.gate,
        settings: authorizer.rules.settings,
        until: session.delivery.deadline,
    };
    let mut late = LateParts {
        services,
        session,
        authorizer: &authorizer,
        observations,
        known: plan.steps.iter().map(Step::key).collect(),
        admission: &admission,
        later: Vec::new(),
    };
    let (execution, ()) = futures::join!(
        Box::pin(executor.execute(plan, &mut late)),
        Box::pin(note_reversal(session, &admission)),
    );
    let (state, later) = late.finish();
    let mut admission = admission;
    for later in later {
        admission.merge(later);
    }
    let executed = Executed {
        what,
        state: &*state,
        execution,
        admission,
        afterwards,
        planned_at,
        unread_policies: prepared.guard.transient().cloned(),
    };
    Box::pin(conclude(services, session, executed)).await
}

/// The steps that are found while a plan is executed: by fuller observations, and when reading back.
struct LateParts<'a, 's, P: Playbook> {
    services: &'a Services<'a>,
    session: &'a Session<'s, P>,
    authorizer: &'a Authorizer<'a>,
    observations: Observations<'a, P>,
    /// The steps that are planned already.
    known: HashSet<StepKey>,
    admission: &'a Admission,
    /// The admissions of the late parts.
    later: Vec<Admission>,
}

impl<P: Playbook> LateParts<'_, '_, P> {
    /// The fullest observation, and the admissions of the late parts.
    fn finish(self) -> (Rc<P::State>, Vec<Admission>) {
        (self.observations.latest(), self.later)
    }

    async fn admit_part(
        &mut self,
        state: &P::State,
        mut plan: Authorized<P::Action>,
        part: Part<'_>,
    ) -> Authorized<P::Action> {
        let admitting = admit(self.services, self.session, state, &mut plan, part);
        self.later.push(Box::pin(admitting).await);
        plan
    }
}

impl<P: Playbook> LateSteps<P> for LateParts<'_, '_, P> {
    async fn next_part(&mut self) -> Option<Authorized<P::Action>> {
        let state = self.observations.next().await?;
        let plan = self.authorizer.plan::<P>(&state).await;
        let mut plan = plan.without(&self.known);
        self.known.extend(plan.steps.iter().map(Step::key));
        let admission = self.admission;
        if let Some(refusal) = &admission.refusal {
            plan.withhold(&refusal.withheld);
            return Some(plan);
        }
        Some(self.admit_part(&state, plan, Part::Fuller(admission)).await)
    }

    async fn admit(
        &mut self,
        state: &P::State,
        came_up: Authorized<P::Action>,
    ) -> Authorized<P::Action> {
        self.admit_part(state, came_up, Part::CameUp(self.admission))
            .await
    }
}

/// Reads what CloudTrail shows of the credential that was contained, if this is the recheck for that.
async fn look_back<P: Playbook>(session: &Session<'_, P>) -> Option<Afterwards> {
    let (playbook, finding, delivery) = (session.playbook, session.finding(), session.delivery);
    let recheck = delivery.recheck.filter(|recheck| recheck.is_by_trail())?;
    let credential = P::kept_out(finding, recheck.in_effect.as_ref()?)?;
    let inquiry = Inquiry::new(finding, delivery.now(), delivery.deadline);
    let (trail, contained_at) = (playbook.trail()?, recheck.contained_at?);
    Some(afterwards::read(trail, &inquiry, &credential, contained_at).await)
}
