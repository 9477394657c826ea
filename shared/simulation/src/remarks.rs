//! The remarks on the report of a rehearsal.

use std::collections::BTreeSet;

use super::breaker::PeakDemand;
use super::entry::Entry;
use super::evaluation::Reason;
use super::rules::Rules;
use super::summary::{NotContained, Numbers};
use model::category::Category;
use model::resource::Kind;

pub(super) fn remarks(
    summary: &Numbers,
    entries: &[Entry],
    windows: &[PeakDemand],
    left_out: &[NotContained],
    rules: &Rules,
) -> Vec<String> {
    let mut remarks = vec![
        "Nothing was observed: a target that is gone, or already as it should be, counts as contained; a \
         step with an `if` is planned only if its condition holds."
            .to_owned(),
        "A target that is contained stays so: nobody releases it, approves anything, or resets the breaker."
            .to_owned(),
    ];
    if summary.uncertain > 0 {
        remarks.push(format!(
            "Targets that would be contained and depend on values that only observing would show (depends_on): \
             {}.",
            summary.uncertain
        ));
    }
    if entries
        .iter()
        .any(|entry| entry.kind == Kind::User.as_str() || entry.kind == Kind::Role.as_str())
    {
        remarks.push(
            "ARNs of users and roles are without a path, which findings do not have: a policy that names \
             one with a path does not apply here."
                .to_owned(),
        );
    }
    let unsized_crowds = windows.iter().filter(|window| window.places.is_none());
    let crowds: BTreeSet<_> = unsized_crowds
        .filter_map(|window| window.crowd.as_deref())
        .collect();
    if !crowds.is_empty() {
        let crowds: Vec<_> = crowds.into_iter().collect();
        remarks.push(format!(
            "MaxSharePercent ({}) was not applied to {}, whose size findings do not have.",
            rules.limits.share_percent,
            crowds.join(", "),
        ));
    }
    if entries.iter().any(|entry| entry.function == Category::Ec2) {
        remarks.push(
            "MaxSharePercent also limits the instances of one role in a window: findings do not have the \
             role, so the limit was not applied."
                .to_owned(),
        );
    }
    let archived = left_out
        .iter()
        .filter(|left| left.cause == Reason::Archived);
    let archived: usize = archived.map(|left| left.findings).sum();
    if archived > 0 {
        remarks.push(format!(
            "Findings that are left out, since they are archived: {archived}. A finding that a suppression rule \
             archived never comes as an event; one that an analyst archived did: --archived takes them in."
        ));
    }
    remarks
}
