//! Writing down what is about to be done, and asking the breaker whether it may be.

use futures::future::try_join_all;
use serde_json::Value;

use super::ready::Ready;
use super::{Incoming, Means, actions_of, recorded};
use crate::breaker::{self, Asker, Needs, Refusal};
use crate::error::Error;
use crate::guard::Authorized;
use crate::plan::Phase;
use crate::playbook::Playbook;
use crate::record::Intent;

/// What came of beginning.
pub(super) struct Begun {
    /// The breaker's, after which nothing of the plan is to be done.
    pub(super) refusal: Option<Box<Refusal>>,
    /// What a person should know of limits that were not held.
    pub(super) remarks: Vec<String>,
    /// The places that were asked for.
    needs: Needs,
    /// Nothing was intended before.
    first: bool,
}

/// Begins a plan that was made of `state`, or what it lacked `after` a part of it was begun. What the breaker refuses is withheld; without the record, what must not be done twice
/// waits.
pub(super) async fn begin<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    ready: &Ready<P::State>,
    state: &P::State,
    plan: &mut Authorized<P::Action>,
    after: Option<&Begun>,
) -> Begun {
    let Means {
        config,
        record,
        alone,
        ..
    } = *means;
    let Incoming {
        event, now, until, ..
    } = *incoming;
    let Ready {
        claims, unrecorded, ..
    } = ready;
    let finding = ready.finding(incoming);
    let mut needs = breaker::needs::<P>(&config.limits, finding, state, plan);
    if let Some(after) = after {
        needs.leave_out(&after.needs);
    }
    let at = incoming.clock();
    let asker = Asker {
        invocation: incoming.invocation,
        finding_id: &finding.id,
        alone,
        now: at,
        until,
    };
    let asked = async {
        match record {
            Some(record) => breaker::ask(record, &config.limits, &needs, &asker).await,
            None => breaker::Answer::Room,
        }
    };
    let intending = async {
        let (Some(record), None, false) = (record, unrecorded, plan.is_empty()) else {
            return (Ok(None), Ok(()));
        };
        let intent = Intent {
            received_at: now,
            evidence: P::evidence(state),
            settings: config.settings.clone(),
            actions: actions_of(plan),
            // A retry keeps what the first attempt found.
            completes: after.is_some_and(|after| after.first),
            approved: None,
        };
        let unbegun = if after.is_none() { claims } else { &[][..] };
        let targets = unbegun.iter().map(|claim| record.begin(claim, finding, at));
        let (intended, begun) = futures::join!(
            Box::pin(record.intend(P::CATEGORY, finding, event, &intent, at)),
            Box::pin(try_join_all(targets)),
        );
        (intended.map(Some), begun.map(drop))
    };
    let (answer, (intended, begun)) = futures::join!(Box::pin(asked), Box::pin(intending));
    let (refusal, let_through_alone) = match answer {
        breaker::Answer::Room => (None, None),
        breaker::Answer::Alone(remark) => (None, Some(remark)),
        breaker::Answer::Refused(refusal) => (Some(refusal), None),
    };
    if let Some(refusal) = &refusal {
        plan.withhold(&refusal.withheld);
        if let (Some(record), Ok(Some(intended))) = (record, &intended)
            && let Err(error) = Box::pin(record.withdraw(P::CATEGORY, finding, intended)).await
        {
            tracing::error!(%error, "the record says that something was intended, and nothing was done");
        }
    }
    let first = matches!(&intended, Ok(Some(intended)) if intended.is_first());
    let unrecorded = unrecorded.clone().or(intended.map(drop).and(begun).err());
    let unrecorded = unrecorded.filter(|_| record.is_some() && refusal.is_none());
    if let Some(error) = &unrecorded {
        keep_in_log(error, &actions_of(plan));
        // Without the record nothing says whether this incident has its snapshots already, and they cost.
        let until_then = format!("waits until the incident can be recorded: {error}");
        plan.hold_back(Phase::Preserve, &until_then);
    }
    let remarks = needs.remarks().filter(|_| record.is_some());
    Begun {
        refusal,
        remarks: remarks.chain(let_through_alone).collect(),
        needs,
        first,
    }
}

/// Writes down what came up while a plan was being executed, before that is done too.
pub(super) async fn keep<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    ready: &Ready<P::State>,
    came_up: &[P::Action],
) {
    let Some(record) = means.record else {
        return;
    };
    let intent = Intent {
        received_at: incoming.now,
        evidence: P::evidence(&ready.state),
        settings: means.config.settings.clone(),
        actions: came_up.iter().map(recorded).collect(),
        completes: false,
        approved: None,
    };
    let (finding, at) = (ready.finding(incoming), incoming.clock());
    let intended = record.intend(P::CATEGORY, finding, incoming.event, &intent, at);
    if let Err(error) = Box::pin(intended).await {
        keep_in_log(&error, &intent.actions);
    }
}

/// The log is the record of last resort.
pub(crate) fn keep_in_log(error: &Error, actions: &[(String, Value)]) {
    tracing::error!(%error, "not recorded: containing without the record");
    for (key, action) in actions {
        tracing::warn!(key, %action, "about to act; keep this to undo it");
    }
}
