//! What EC2 answers in [`super::world`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types as t;
use testkit::{Rule, mock};

use super::world::{Account, Group, ID, Iface, group, lags, profile};
use fixtures::Wire;

type Tags = BTreeMap<String, String>;

fn tags(tags: &Tags) -> Option<Vec<t::Tag>> {
    let tag = |(key, value): (&String, &String)| t::Tag::builder().key(key).value(value).build();
    Some(tags.iter().map(tag).collect())
}

mod groups;
mod reads;
mod writes;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let mut rules = reads::rules(account, wire);
    rules.extend(groups::rules(account, wire));
    rules.extend(writes::rules(account, wire));
    rules
}
