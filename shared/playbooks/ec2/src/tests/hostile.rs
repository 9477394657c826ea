//! Findings and tags from hands that mean harm.

use std::cell::Cell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::mark::{groups_value, tag_value};
use super::super::role::{policy, policy_name};
use super::world::ID;
use super::*;
use fixtures::event;
use fixtures::hostile::grammar::{assert_is_policy, denies};
use fixtures::hostile::rendering::assert_fit_to_send;
use fixtures::hostile::{block_on, event_of, hold, mutation};
use model::finding::Finding;

fn infected_event() -> Value {
    event(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
    }))
}

/// IAM takes this many characters of inline policies on a role.
const ROLE: usize = 10_240;

#[test]
fn the_deny_of_an_instance_hits_that_instance_and_no_other() {
    let denied = Cell::new(0);
    hold(
        4,
        (event_of(vec![infected_event()]), "AROA[A-Z0-9]{5,17}"),
        |(event, role)| {
            let Ok(finding) = Finding::parse(&event) else {
                return;
            };
            let Ok(instance) = finding.instance_id() else {
                return;
            };
            denied.set(denied.get() + 1);
            let document = policy(&finding, &finding.instance_region(), &instance, &role);
            assert_is_policy(&document, ROLE);
            let name = policy_name(&instance);
            let of_grammar = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            assert!(name.len() <= 128 && name.bytes().all(of_grammar), "{name}");
            let statements = document["Statement"].as_array().expect("a list");
            let arn = |instance: &str| {
                let (partition, region, account) = (
                    finding.partition(),
                    finding.instance_region(),
                    &finding.account_id,
                );
                format!("arn:{partition}:ec2:{region}:{account}:instance/{instance}")
            };
            let is_denied = |key: &str, value: &str| denies(statements, &[(key, value)]);
            assert!(is_denied("ec2:SourceInstanceARN", &arn(&instance)));
            assert!(is_denied("aws:userid", &format!("{role}:{instance}")));
            for other in [
                "i-0fedcba9876543210",
                "i-12345678",
                "",
                &format!("{instance}0"),
            ] {
                assert!(
                    !is_denied("ec2:SourceInstanceARN", &arn(other)),
                    "{document}"
                );
                assert!(
                    !is_denied("aws:userid", &format!("{role}:{other}")),
                    "{document}"
                );
            }
            assert!(
                !is_denied("aws:userid", &format!("AROAOTHER:{instance}")),
                "{document}"
            );
            assert!(!is_denied("aws:userid", &role), "{document}");
        },
    );
    assert!(
        denied.get() > 100,
        "only {} instances were named",
        denied.get()
    );
}

#[test]
fn a_tag_has_at_most_256_characters_of_what_ec2_takes() {
    hold(
        1,
        (
            mutation::text(),
            prop::collection::btree_set("sg-[0-9a-f]{8,17}", 0..40),
        ),
        |(text, groups)| {
            assert!(tag_value(&text).chars().count() <= 256);
            let value = groups_value(&groups);
            assert!(
                !value.is_empty() && value.len() <= 256 && value.is_ascii(),
                "{value}"
            );
            let in_full = groups.iter().all(|group| value.contains(group));
            assert!(in_full || value == "see the incident record", "{value}");
        },
    );
}

#[test]
fn whatever_a_finding_and_the_tags_of_an_instance_say_the_answer_can_be_sent() {
    let tags = prop::collection::btree_map(mutation::text(), mutation::text(), 0..4);
    hold(
        1,
        (event_of(vec![infected_event()]), tags, mutation::text()),
        |(event, mut tags, mark)| {
            let Ok(finding) = Finding::parse(&event) else {
                return;
            };
            if !mark.is_empty() {
                tags.insert("gdr:incident".to_owned(), mark.clone());
                tags.insert(format!("eks:{mark}"), "owned".to_owned());
            }
            let world = World::new(Account { tags, ..one() });
            let (report, _) = block_on(answer(&world.playbook, &finding));
            assert_fit_to_send(&report);
            for written in world.now().policies.values() {
                assert_is_policy(&serde_json::from_str(written).expect("JSON"), ROLE);
            }
        },
    );
}
