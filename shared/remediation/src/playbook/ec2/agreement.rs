//! What an approver agreed to, where the world is not to the letter as it was.

use super::change::{Change, is_group};

/// The groups of a VPC are made, closed and marked for all instances in it. So the approver of one isolation
/// agreed to that, however the groups are found.
pub(super) fn builds_on(isolating: &Change, other: &Change) -> bool {
    let Change::IsolateInterface { region, vpc, .. } = isolating else {
        return false;
    };
    let (in_region, in_vpc) = match other {
        Change::PrepareIsolationGroup { region, vpc, .. } => (region, vpc),
        Change::CloseIsolationGroup { region, from, .. } => (region, &from.vpc),
        Change::Mark {
            region, resource, ..
        } if is_group(resource) => (region, vpc),
        _ => return false,
    };
    (in_region, in_vpc) == (region, vpc)
}

/// The id of the group, which a step before makes or finds, is no difference.
pub(super) fn is_within(change: &Change, agreed: &Change) -> bool {
    let unspecific = unspecific(change);
    unspecific.is_some() && unspecific == self::unspecific(agreed)
}

/// The step as JSON, without the group's id and what earlier versions did not say. `None`: it names no group of
/// ours.
fn unspecific(change: &Change) -> Option<serde_json::Value> {
    let mut change = change.clone();
    match &mut change {
        Change::IsolateInterface { account, to, .. }
        | Change::AdmitForensics { account, to, .. } => {
            account.clear();
            *to = None;
        }
        Change::CutConnections { account, group, .. } => {
            account.clear();
            *group = None;
        }
        _ => return None,
    }
    serde_json::to_value(change).ok()
}
