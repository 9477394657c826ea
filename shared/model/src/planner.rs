//! The pure half of a playbook: its steps about a finding, and their targets.

use jiff::Timestamp;

use crate::blast_radius::Member;
use crate::category::Category;
use crate::decision::targets;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action, Plan};
use crate::resource::Resource;
use crate::settings::Settings;

/// A planner of steps from an observed state. It has no client to call with.
pub trait Planner {
    /// The function that runs it.
    const CATEGORY: Category;
    /// The state that is read before planning.
    type State;
    /// The actions of the playbook.
    type Action: Action;

    /// Plans what is to be done about `finding` in this state.
    fn plan(
        finding: &Finding,
        state: &Self::State,
        settings: &Settings,
        now: Timestamp,
    ) -> Plan<Self::Action>;

    /// Describes what `action` would contain, for the policies.
    fn resource(finding: &Finding, state: &Self::State, action: &Self::Action) -> Resource;

    /// Lists the groups of which what `action` would contain is a member.
    fn blast_radius_groups(
        _finding: &Finding,
        _state: &Self::State,
        _action: &Self::Action,
    ) -> Vec<Member> {
        Vec::new()
    }

    /// Names what `action` changed elsewhere than the finding says, as the record has it.
    fn recorded_target(_finding: &Finding, _action: &Self::Action) -> Option<String> {
        None
    }
}

/// Names the targets of `finding`, and those that these actions of the record changed elsewhere than it says.
///
/// # Errors
/// As [`targets`].
pub fn recorded_targets<P: Planner>(
    finding: &Finding,
    actions: &[P::Action],
) -> Result<Vec<String>> {
    let mut targets = targets(P::CATEGORY, finding)?;
    for target in actions
        .iter()
        .filter_map(|action| P::recorded_target(finding, action))
    {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{Act, act, finding};

    /// A playbook whose steps may change something else than the finding names.
    struct Elsewhere;

    impl Planner for Elsewhere {
        const CATEGORY: Category = Category::S3;
        type State = ();
        type Action = Act;

        fn plan(_: &Finding, _: &(), _: &Settings, _: Timestamp) -> Plan<Act> {
            Plan::default()
        }

        fn resource(finding: &Finding, _: &(), act: &Act) -> Resource {
            Resource::bucket(finding, &finding.region, act.target)
        }

        fn recorded_target(_: &Finding, act: &Act) -> Option<String> {
            Some(act.target.to_owned()).filter(|target| target != "nowhere")
        }
    }

    fn of_bucket() -> Finding {
        finding(json!({
            "type": "Policy:S3/BucketAnonymousAccessGranted",
            "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
        }))
    }

    #[test]
    fn the_targets_are_those_of_the_finding_and_each_other_once_that_was_changed() {
        let finding = of_bucket();
        let targets = |acts: &[&'static str]| {
            let acts: Vec<_> = acts.iter().map(|target| act(target)).collect();
            recorded_targets::<Elsewhere>(&finding, &acts).expect("targets")
        };
        assert_eq!(targets(&[]), ["exposed"]);
        assert_eq!(targets(&["nowhere"]), ["exposed"]);
        let all = targets(&["other", "exposed", "other"]);
        assert_eq!(all, ["exposed", "other"]);
    }

    #[test]
    fn by_default_a_playbook_changes_the_targets_of_the_finding_and_has_no_blast_radius_group() {
        let finding = of_bucket();
        let acts = [act("other")];
        let fake = recorded_targets::<crate::fixtures::Fake>(&finding, &acts);
        assert_eq!(fake.expect("targets"), ["exposed"]);
        assert!(Elsewhere::blast_radius_groups(&finding, &(), &acts[0]).is_empty());
    }
}
