//! Forensics get into an instance that is isolated, where a setting asks for it: by the listed rules of a group of
//! another name, and by nothing else.
//!
//! An interface is isolated first, in the group without rules. Only then is it put into this one, whose rules are
//! read before and after. If anything is amiss, it stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};
use tokio::time::{Instant, sleep};

use super::isolation_group::{self, IsolationGroup, Purpose};
use super::state::{Access, Unread};
use super::{describe, group_rules};
use aws::deadline::within;
use aws::error::{CallContext, Error, Result};
use model::settings::{ForensicsRule, too_wide};

/// The peers that the rules name, as they were read.
#[derive(Debug)]
pub(super) struct Peers {
    /// The VPC of each security group that there is.
    groups: Result<BTreeMap<String, String>>,
    /// The entries of each prefix list.
    lists: BTreeMap<String, Result<Vec<String>>>,
}

/// Why a rule is used nowhere.
enum Unused {
    For(String),
    Unread(Error),
}

/// Takes those of `rules` that are used in `vpcs`. `ours`: the groups of ours, none of which is let in, since the
/// instances in it are isolated too.
pub(super) fn access(
    rules: &[ForensicsRule],
    peers: &Peers,
    vpcs: &BTreeSet<String>,
    ours: &BTreeSet<String>,
) -> Access {
    let mut access = Access::default();
    for rule in rules {
        match peers.vpcs_of(rule, vpcs, ours) {
            Ok(usable) => {
                for vpc in usable {
                    access.by_vpc.entry(vpc).or_default().push(rule.clone());
                }
            }
            Err(Unused::For(why)) => access.left_out.push(format!("{rule}: {why}")),
            Err(Unused::Unread(error)) => {
                access.unread.insert(rule.peer.clone(), Unread(error));
            }
        }
    }
    access
}

impl Peers {
    /// In which of the VPCs a rule is used.
    fn vpcs_of(
        &self,
        rule: &ForensicsRule,
        vpcs: &BTreeSet<String>,
        ours: &BTreeSet<String>,
    ) -> std::result::Result<BTreeSet<String>, Unused> {
        let peer = &rule.peer;
        if rule.names_prefix_list() {
            let entries = match self.lists.get(peer) {
                Some(Ok(entries)) => entries,
                Some(Err(error)) => return Err(Unused::Unread(error.clone())),
                None => return Err(Unused::For("its entries were not read".to_owned())),
            };
            return match entries.iter().find_map(|entry| too_wide(entry)) {
                Some(why) => Err(Unused::For(format!("its entries: {why}"))),
                None => Ok(vpcs.clone()),
            };
        }
        if !rule.names_group() {
            return Ok(vpcs.clone());
        }
        if ours.contains(peer) {
            let why = "the instances in that group are isolated themselves";
            return Err(Unused::For(why.to_owned()));
        }
        let groups = self.groups.as_ref();
        let groups = groups.map_err(|error| Unused::Unread(error.clone()))?;
        match groups.get(peer).filter(|vpc| vpcs.contains(*vpc)) {
            Some(vpc) => Ok([vpc.clone()].into()),
            None => Err(Unused::For(
                "no VPC of the instance has that group".to_owned(),
            )),
        }
    }
}

/// Reads the peers that `rules` name, at the same time. Asks nothing where they name none.
pub(super) async fn peers(client: &Client, rules: &[ForensicsRule], until: Instant) -> Peers {
    let named = |wanted: fn(&ForensicsRule) -> bool| -> BTreeSet<String> {
        let rules = rules.iter().filter(|rule| wanted(rule));
        rules.map(|rule| rule.peer.clone()).collect()
    };
    let (groups, lists) = (
        named(ForensicsRule::names_group),
        named(ForensicsRule::names_prefix_list),
    );
    let lists = lists.into_iter().map(async |list| {
        let reading = Box::pin(entries(client, &list));
        let entries = within(until, "ec2:GetManagedPrefixListEntries", reading).await;
        (list, entries)
    });
    let groups = Box::pin(vpcs(client, groups));
    let (groups, lists) = futures::join!(
        within(until, "ec2:DescribeSecurityGroups", groups),
        futures::future::join_all(lists),
    );
    Peers {
        groups,
        lists: lists.into_iter().collect(),
    }
}

async fn vpcs(client: &Client, groups: BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let mut vpcs = BTreeMap::new();
    if groups.is_empty() {
        return Ok(vpcs);
    }
    // As a filter: a group that is gone is missing in the answer, and fails nothing.
    let these = Filter::builder().name("group-id");
    let these = these.set_values(Some(groups.into_iter().collect()));
    let mut pages = client
        .describe_security_groups()
        .filters(these.build())
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSecurityGroups", "EC2_FORENSICS_ACCESS")?;
        let found = page.security_groups.unwrap_or_default().into_iter();
        vpcs.extend(found.filter_map(|group| group.group_id.zip(group.vpc_id)));
    }
    Ok(vpcs)
}

async fn entries(client: &Client, list: &str) -> Result<Vec<String>> {
    let mut pages = client
        .get_managed_prefix_list_entries()
        .prefix_list_id(list)
        .into_paginator()
        .send();
    let mut entries = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:GetManagedPrefixListEntries", list)?;
        let found = page.entries.unwrap_or_default().into_iter();
        entries.extend(found.map(|entry| entry.cidr.unwrap_or_default()));
    }
    Ok(entries)
}

/// Puts an interface that is isolated into the group that lets exactly these rules through.
pub(super) async fn admit(
    client: &Client,
    account: &str,
    vpc: &str,
    interface: &str,
    rules: &[ForensicsRule],
) -> Result<()> {
    let group = Box::pin(prepare(client, account, vpc, interface, rules)).await?;
    let isolation = isolation_group::of(client, account, vpc, Purpose::Isolation);
    let found = describe::one_interface(client, interface);
    let (isolation, found) = futures::join!(Box::pin(isolation), Box::pin(found));
    let groups = found?.groups;
    let is_isolated = isolation?
        .is_some_and(|isolation| isolation.is_empty() && groups.iter().eq([&isolation.id]));
    if !is_isolated && !groups.iter().eq([&group]) {
        return Err(Error::Refused(format!(
            "{interface} is not isolated, so forensics were not let in"
        )));
    }
    isolation_group::set_groups(client, interface, [group].into()).await
}

/// The VPC's group for forensics, made if there is none, with exactly these rules.
async fn prepare(
    client: &Client,
    account: &str,
    vpc: &str,
    interface: &str,
    rules: &[ForensicsRule],
) -> Result<String> {
    let look = || isolation_group::of(client, account, vpc, Purpose::Forensics);
    let fits = |found: &IsolationGroup| found.lets_exactly(rules);
    let mut found = look().await?;
    if let Some(group) = found.as_ref().filter(|found| fits(found)) {
        return Ok(group.id.clone());
    }
    let id = match found.take() {
        Some(group) => group.id,
        None => isolation_group::create(client, account, vpc, Purpose::Forensics).await?,
    };
    group_rules::strip(client, &id, rules).await?;
    for rule in rules {
        group_rules::add(client, &id, rule.direction, permission(rule)).await?;
    }
    // What was just changed may not be shown so yet.
    for pause in group_rules::NOT_YET_KNOWN {
        found = look().await?;
        if let Some(group) = found.as_ref().filter(|found| fits(found)) {
            return Ok(group.id.clone());
        }
        sleep(pause).await;
    }
    let shown = found.map_or_else(|| "it is not shown".to_owned(), |group| group.shown());
    Err(Error::Refused(format!(
        "{id} does not have the rules of EC2_FORENSICS_ACCESS and no others: {shown}. {interface} stays isolated"
    )))
}

fn permission(rule: &ForensicsRule) -> IpPermission {
    let peer = &rule.peer;
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .from_port(rule.port.into())
        .to_port(rule.port.into());
    let permission = if rule.names_group() {
        permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(peer).build())
    } else if rule.names_prefix_list() {
        permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(peer).build())
    } else if peer.contains(':') {
        permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(peer).build())
    } else {
        permission.ip_ranges(IpRange::builder().cidr_ip(peer).build())
    };
    permission.build()
}
