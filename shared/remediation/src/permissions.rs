//! What the role of each function has to allow: what the code beside each call declares, put together.
//!
//! The template's roles are held against this by a test, and a deployed stack's by `gdr doctor`.

use std::collections::BTreeSet;

use crate::catalogue::Category;
use crate::config::Config;
use crate::guard::{self, EventHistory};
use crate::notify::security_hub;
use crate::plan::Action;
use crate::playbook::{Playbook, ec2::Ec2, iam::Iam, s3::S3, triage::Triage};
use crate::{accounts, evidence, hand_over, recheck, record, trace, verify};

/// Of every function: its log, and the queue for what it fails on.
const ALWAYS: &[&str] = &[
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
];

/// What a queue's events take of the role of the function that receives them.
const FROM_QUEUE: &[&str] = &[
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];

/// The IAM actions that the function of `category` takes with these settings.
pub fn of(category: Category, config: &Config) -> BTreeSet<&'static str> {
    let mut actions: BTreeSet<_> = [ALWAYS, record::PERMISSIONS, trace::PERMISSIONS]
        .concat()
        .into_iter()
        .collect();
    actions.extend(config.notices.permissions());
    if config.evidence.is_some() {
        actions.extend(evidence::PERMISSIONS);
    }
    match category {
        Category::S3 => actions.extend(declared::<S3>()),
        Category::Iam => actions.extend(declared::<Iam>()),
        Category::Ec2 => actions.extend(declared::<Ec2>()),
        Category::Triage => {
            actions.extend(declared::<Triage>());
            if config.hand_over.is_some() {
                actions.extend(hand_over::PERMISSIONS);
            }
            if config.notices.security_hub_queue_url.is_some() {
                actions.extend(security_hub::PERMISSIONS);
            }
            return actions;
        }
    }
    actions.extend(recheck::PERMISSIONS.iter().chain(FROM_QUEUE));
    actions.extend(guard::PERMISSIONS.iter().chain(EventHistory::PERMISSIONS));
    if config.hub.is_some() {
        actions.extend(accounts::PERMISSIONS);
    }
    if config.verify_findings {
        actions.extend(verify::PERMISSIONS);
    }
    actions
}

/// What a playbook and its actions declare.
pub fn declared<P: Playbook>() -> BTreeSet<&'static str> {
    let actions = P::Action::PERMISSIONS.iter();
    let actions = actions.flat_map(|(_, permissions)| *permissions);
    let reads = P::READS.iter().chain(P::INVESTIGATES);
    reads.chain(actions).copied().collect()
}
