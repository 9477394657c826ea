//! The table of actions against the playbooks that have them.

use model::actions::of;
use model::plan::{Action, Phase};

use crate::{Category, Ec2, Iam, Lambda, Playbook, S3, Triage};

fn declared<P: Playbook>() -> Vec<(&'static str, Phase)> {
    let names = P::Action::PERMISSIONS.iter().map(|(name, _)| *name);
    names
        .map(|name| (name, P::Action::phase_of(name)))
        .collect()
}

#[test]
fn the_table_has_the_actions_of_each_playbook_in_their_order() {
    assert_eq!(of(Category::S3), declared::<S3>());
    assert_eq!(of(Category::Iam), declared::<Iam>());
    assert_eq!(of(Category::Ec2), declared::<Ec2>());
    assert_eq!(of(Category::Lambda), declared::<Lambda>());
    assert_eq!(of(Category::Triage), declared::<Triage>());
}
