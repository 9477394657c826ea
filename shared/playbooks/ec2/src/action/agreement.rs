//! The extent of an approval, if the state has changed in details.

use super::Action;

impl Action {
    /// The groups of a VPC are made, closed and marked for all instances in it. So the approver of one isolation
    /// agreed to that, however the groups are found.
    pub(super) fn isolates_by(&self, other: &Self) -> bool {
        let Self::IsolateInterface { region, vpc, .. } = self else {
            return false;
        };
        let (in_region, in_vpc) = match other {
            Self::PrepareIsolationGroup { region, vpc, .. } => (region, vpc),
            Self::CloseIsolationGroup { region, from, .. } => (region, &from.vpc),
            Self::Mark { region, .. } if other.marks_group() => (region, vpc),
            _ => return false,
        };
        (in_region, in_vpc) == (region, vpc)
    }

    /// The id of the group, which a step before makes or finds, is no difference.
    pub(super) fn differs_in_group_only(&self, agreed: &Self) -> bool {
        let unspecific = unspecific(self);
        unspecific.is_some() && unspecific == self::unspecific(agreed)
    }
}

/// The step as JSON, without the group's id and what earlier versions did not say. `None`: it names no group of
/// ours.
fn unspecific(change: &Action) -> Option<serde_json::Value> {
    let mut change = change.clone();
    match &mut change {
        Action::IsolateInterface { account, to, .. }
        | Action::AdmitForensics { account, to, .. } => {
            account.clear();
            *to = None;
        }
        Action::CutConnections { account, group, .. } => {
            account.clear();
            *group = None;
        }
        _ => return None,
    }
    serde_json::to_value(change).ok()
}
