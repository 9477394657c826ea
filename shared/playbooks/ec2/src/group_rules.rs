//! The rules of a security group: read, put into words, taken away.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, IpPermission, SecurityGroupRule};
use tokio::time::sleep;

use aws::error::{CallContext, Error, Result};
use model::settings::{Direction, ForensicsRule};

/// A group that was just made may not be known yet to the part of EC2 that is asked next,
/// <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>.
pub(super) const NOT_YET_KNOWN: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The rules of this direction in words, as [`in_words`] writes those of a group.
pub(super) fn listed(rules: &[ForensicsRule], direction: Direction) -> Vec<String> {
    let of_direction = rules.iter().filter(|rule| rule.direction == direction);
    of_direction.map(ForensicsRule::in_group).collect()
}

/// Takes every rule away from the group `id` that is not among those to `keep`.
#[expect(
    clippy::disallowed_methods,
    reason = "a group isolates only without rules; the name of a stripped one is one of the responder's"
)]
pub(super) async fn strip(client: &Client, id: &str, keep: &[ForensicsRule]) -> Result<()> {
    let rules = when_known(|| rules_of(client, id)).await?;
    let ids = |egress: bool| {
        let direction = if egress {
            Direction::To
        } else {
            Direction::From
        };
        let kept = listed(keep, direction);
        let rules = rules
            .iter()
            .filter(|rule| rule.is_egress.unwrap_or_default() == egress)
            .filter(|rule| !kept.contains(&one_in_words(rule)));
        let ids: Vec<_> = rules
            .filter_map(|rule| rule.security_group_rule_id.clone())
            .collect();
        (!ids.is_empty()).then_some(ids)
    };
    let egress = async {
        let Some(rules) = ids(true) else {
            return Ok(());
        };
        let revoke = || async {
            let revoked = client.revoke_security_group_egress().group_id(id);
            revoked
                .set_security_group_rule_ids(Some(rules.clone()))
                .send()
                .await
                .during("ec2:RevokeSecurityGroupEgress", id)
                .map(drop)
        };
        when_known(revoke).await
    };
    let ingress = async {
        let Some(rules) = ids(false) else {
            return Ok(());
        };
        let revoke = || async {
            let revoked = client.revoke_security_group_ingress().group_id(id);
            revoked
                .set_security_group_rule_ids(Some(rules.clone()))
                .send()
                .await
                .during("ec2:RevokeSecurityGroupIngress", id)
                .map(drop)
        };
        when_known(revoke).await
    };
    // Another responder may have revoked a rule in between; the rules that are left decide.
    let (egress, ingress) = futures::join!(egress, ingress);
    for revoked in [egress, ingress] {
        match revoked {
            Err(error) if error.has_code("InvalidSecurityGroupRuleId.NotFound") => {}
            Err(error) if error.has_code("InvalidPermission.NotFound") => {}
            other => other?,
        }
    }
    Ok(())
}

/// Gives the group `id` a permission. One that it has already is no error.
#[expect(
    clippy::disallowed_methods,
    reason = "rules of the groups that cut connections or let forensics in, and of no other"
)]
pub(super) async fn add(
    client: &Client,
    id: &str,
    direction: Direction,
    permission: IpPermission,
) -> Result<()> {
    let rule = || async {
        let permission = permission.clone();
        match direction {
            Direction::From => {
                let call = client.authorize_security_group_ingress().group_id(id);
                let added = call.ip_permissions(permission).send().await;
                added
                    .during("ec2:AuthorizeSecurityGroupIngress", id)
                    .map(drop)
            }
            Direction::To => {
                let call = client.authorize_security_group_egress().group_id(id);
                let added = call.ip_permissions(permission).send().await;
                added
                    .during("ec2:AuthorizeSecurityGroupEgress", id)
                    .map(drop)
            }
        }
    };
    match when_known(rule).await {
        Err(error) if error.has_code("InvalidPermission.Duplicate") => Ok(()),
        other => other,
    }
}

async fn rules_of(client: &Client, group: &str) -> Result<Vec<SecurityGroupRule>> {
    let of_group = Filter::builder().name("group-id").values(group).build();
    let mut pages = client
        .describe_security_group_rules()
        .filters(of_group)
        .into_paginator()
        .send();
    let mut rules = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSecurityGroupRules", group)?;
        rules.extend(page.security_group_rules.unwrap_or_default());
    }
    Ok(rules)
}

/// Does the work, again while EC2 does not know the group that it names.
pub(super) async fn when_known<T, W: Future<Output = Result<T>>>(
    work: impl Fn() -> W,
) -> Result<T> {
    for pause in NOT_YET_KNOWN {
        match work().await {
            Err(error) if is_unknown(&error) => sleep(pause).await,
            result => return result,
        }
    }
    work().await
}

/// A call does not know the group that it names, not yet or no more,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
pub(super) fn is_unknown(error: &Error) -> bool {
    ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"]
        .iter()
        .any(|code| error.has_code(code))
}

/// The rules of a group, each with one peer. EC2 puts the peers of the same ports together.
pub(super) fn in_words(permissions: &[IpPermission]) -> Vec<String> {
    permissions.iter().flat_map(each_in_words).collect()
}

fn each_in_words(permission: &IpPermission) -> Vec<String> {
    let v4 = permission
        .ip_ranges()
        .iter()
        .filter_map(|range| range.cidr_ip());
    let v6 = permission
        .ipv6_ranges()
        .iter()
        .filter_map(|range| range.cidr_ipv6());
    let lists = permission
        .prefix_list_ids()
        .iter()
        .filter_map(|list| list.prefix_list_id());
    let groups = permission
        .user_id_group_pairs()
        .iter()
        .filter_map(|pair| pair.group_id());
    let mut peers: Vec<_> = v4.chain(v6).chain(lists).chain(groups).collect();
    let known = permission.ip_ranges().len()
        + permission.ipv6_ranges().len()
        + permission.prefix_list_ids().len()
        + permission.user_id_group_pairs().len();
    // A rule is never left out for having a peer of a kind that is not known here.
    if peers.is_empty() || peers.len() < known {
        peers.push("a peer that EC2 does not name");
    }
    let ports = (permission.from_port(), permission.to_port());
    let shown = |peer| words(permission.ip_protocol(), ports, peer);
    peers.into_iter().map(shown).collect()
}

fn one_in_words(rule: &SecurityGroupRule) -> String {
    let group = rule.referenced_group_info();
    let peer = rule
        .cidr_ipv4()
        .or(rule.cidr_ipv6())
        .or(rule.prefix_list_id())
        .or(group.and_then(|group| group.group_id()))
        .unwrap_or_default();
    words(rule.ip_protocol(), (rule.from_port(), rule.to_port()), peer)
}

fn words(protocol: Option<&str>, ports: (Option<i32>, Option<i32>), peer: &str) -> String {
    let protocol = match protocol {
        Some("-1") | None => "all traffic",
        Some(protocol) => protocol,
    };
    let ports = match ports {
        (Some(from), Some(to)) if from >= 0 => format!(" {from}-{to}"),
        _ => String::new(),
    };
    format!("{protocol}{ports} {peer}")
}

/// Rules in a sentence.
pub(super) fn list(rules: &[String]) -> String {
    if rules.is_empty() {
        "nothing".to_owned()
    } else {
        rules.join("; ")
    }
}
