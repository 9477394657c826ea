//! Planning through the gate: a step that the policies do not permit is withheld.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::category::Category;
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::history::plan_by_history;
use crate::observe::Observations;
use crate::plan::{StepKey, Withheld};
use crate::policy_parameter::PolicyParameter;
use crate::session::{Rules, Session};
use aws::playbook::Playbook;
use policy::{Authorized, Gate, LoadedPolicies, UNUSABLE};

/// The gate of a session, and what it takes to plan through it.
pub(crate) struct Authorizer<'a> {
    pub(crate) gate: Gate<'a>,
    pub(crate) rules: Rules<'a>,
    deadline: Instant,
}

impl<'a> Authorizer<'a> {
    /// The gate of `session` by the policies of `guard`.
    pub(crate) fn new<P: Playbook>(
        session: &'a Session<'_, P>,
        guard: &'a LoadedPolicies,
        rules: Rules<'a>,
    ) -> Self {
        let Rules {
            policy, dry_run, ..
        } = rules;
        let received_at = session.delivery.received_at();
        let gate = Gate::new::<P>(guard, session.finding(), policy, dry_run, received_at);
        Self {
            gate: gate.about(&session.claims.held),
            rules,
            deadline: session.delivery.deadline,
        }
    }

    /// The same, for an approver of these steps and no others. Containments for other findings were not approved.
    pub(crate) fn approving(self, approved: HashSet<StepKey>) -> Self {
        Self {
            gate: self.gate.approving(approved).about(&[]),
            ..self
        }
    }

    /// Plans, and withholds what the policies do not permit.
    pub(crate) async fn plan<P: Playbook>(&self, state: &P::State) -> Authorized<P::Action> {
        let Rules {
            settings, history, ..
        } = self.rules;
        let planning = plan_by_history::<P>(&self.gate, state, settings, history, self.deadline);
        Box::pin(planning).await
    }

    /// Plans from what was read first if that contains something, so that containing does not wait for the rest; else
    /// from all that can be read.
    ///
    /// # Errors
    /// If the rest was not read in time.
    pub(crate) async fn authorize<P: Playbook>(
        &self,
        observations: &mut Observations<'_, P>,
    ) -> Result<Authorized<P::Action>> {
        let plan = self.plan::<P>(&observations.latest()).await;
        if plan.contains() {
            return Ok(plan);
        }
        let reading = async {
            let mut whole = None;
            while let Some(fuller) = observations.next().await {
                whole = Some(fuller);
            }
            Ok(whole)
        };
        match within(self.deadline, "observing", Box::pin(reading)).await? {
            Some(whole) => Ok(self.plan::<P>(&whole).await),
            None => Ok(plan),
        }
    }
}

/// Does `work`, and reads the policies beside it. The stack has an alarm on the line that says that they are unusable.
pub(crate) async fn with_policies<T>(
    policies: &PolicyParameter,
    delivery: &Delivery<'_>,
    work: impl Future<Output = T>,
) -> (T, Arc<LoadedPolicies>) {
    let (received_at, deadline) = (delivery.received_at(), delivery.deadline);
    let (done, guard) = policies.during(received_at, deadline, work).await;
    if let Some(problem) = guard.problem() {
        tracing::error!(problem, "{UNUSABLE}: everything is withheld");
    }
    (done, guard)
}

/// Answers why nothing is permitted, whatever the target is, by policies that need not be read again. Then the
/// target need not be observed.
pub(crate) fn forbidden_outright<P: Playbook>(
    session: &Session<'_, P>,
    policies: &PolicyParameter,
    rules: Rules<'_>,
) -> Option<Withheld> {
    let guard = policies.fresh(session.delivery.received_at())?;
    let gate = Authorizer::new(session, &guard, rules).gate;
    let why = gate.forbids_outright()?;
    // A bucket that is contained and was opened again is closed again whatever the finding's severity, and
    // what is contained only the record knows.
    let reopened = P::CATEGORY == Category::S3 && session.record.is_some() && !rules.dry_run;
    (!reopened || !gate.may_restore()).then_some(why)
}
