//! The policies' answer about a step with an unread attribute of its resource: it may be anything.

use std::collections::BTreeSet;

use cedar_policy::Effect;

use super::authorization::Authorization;
use super::policies::{Policies, is_rail};
use super::request_context::RequestContext;
use super::variants::{Applies, Tally, Unknown, Variants};
use model::plan::{StepKey, Withheld};
use model::resource::Resource;

/// An attribute that could not be read decides: the policies would permit the step in one case and withhold it in another.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The ids of the policies that may apply or not.
    by: Vec<String>,
    /// The unread attributes that they use, in words.
    looks_at: BTreeSet<&'static str>,
    /// One of them is a built-in rail, which nobody's approval lifts.
    rail: bool,
}

impl Doubt {
    /// The approver decides, and has decided if the step is `approved`.
    pub(super) fn verdict(self, approved: bool) -> Authorization {
        if approved && !self.rail {
            return Authorization::Permitted(self.by);
        }
        let looks_at: Vec<_> = self.looks_at.into_iter().collect();
        Authorization::Withheld(Withheld {
            by: self.by,
            reason: format!(
                "a policy decides by what could not be read: {}",
                looks_at.join(", ")
            ),
            awaits_approval: !self.rail,
        })
    }
}

/// `None`: all was read, or the policies say the same whatever was not.
pub(super) fn doubt(
    policies: &Policies,
    context: &RequestContext<'_>,
    step: &StepKey,
    resource: &Resource,
    approved: bool,
) -> Option<Doubt> {
    if resource.unread.is_empty() {
        return None;
    }
    let (mut forbids, mut permits) = (Variants::default(), Variants::default());
    let mut looks = false;
    for policy in policies.all() {
        let ways = match policy.effect() {
            Effect::Forbid => &mut forbids,
            Effect::Permit => &mut permits,
        };
        looks |= ways.add_any(policy, Unknown::Unread(resource));
    }
    if !looks {
        return None;
    }
    let (request, entities) = context.request(step, resource, approved).ok()?;
    let forbidding = forbids.tally(&request, &entities);
    let permitting = permits.tally(&request, &entities);
    let any = |tallied: &[Tally], is: fn(&Tally) -> bool| tallied.iter().any(is);
    let surely = |tally: &Tally| tally.applies() == Applies::Surely;
    let perhaps = |tally: &Tally| tally.applies() != Applies::Never;
    // A policy that cannot be evaluated might have forbidden.
    let errs = |tally: &Tally| tally.errs() == Applies::Surely;
    let may_err = |tally: &Tally| tally.errs() != Applies::Never;
    let all = [&forbidding, &permitting];
    let may_permit = !any(&forbidding, surely)
        && !all.iter().any(|tallied| any(tallied, errs))
        && any(&permitting, perhaps);
    let may_withhold = any(&forbidding, perhaps)
        || all.iter().any(|tallied| any(tallied, may_err))
        || !any(&permitting, surely);
    if !(may_permit && may_withhold) {
        return None;
    }
    let mut doubt = Doubt {
        by: Vec::new(),
        looks_at: BTreeSet::new(),
        rail: false,
    };
    let permitted = any(&permitting, surely);
    let permits = (&permits, if permitted { Vec::new() } else { permitting });
    for (ways, tallied) in [(&forbids, forbidding), permits] {
        for (index, tally) in tallied.iter().enumerate() {
            if tally.applies() == Applies::Perhaps || tally.errs() == Applies::Perhaps {
                let (id, looks_at) = ways.policy(index);
                doubt.by.push(id.to_owned());
                doubt.looks_at.extend(looks_at);
                doubt.rail |= is_rail(id);
            }
        }
    }
    doubt.by.sort_unstable();
    Some(doubt)
}
