//! The responder's security groups and their rules.

use std::collections::BTreeSet;

use super::*;
use aws_sdk_ec2::operation::authorize_security_group_egress::AuthorizeSecurityGroupEgressOutput;
use aws_sdk_ec2::operation::authorize_security_group_ingress::AuthorizeSecurityGroupIngressOutput;
use aws_sdk_ec2::operation::create_security_group::CreateSecurityGroupOutput;
use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesOutput;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
use aws_sdk_ec2::operation::revoke_security_group_egress::RevokeSecurityGroupEgressOutput;
use aws_sdk_ec2::operation::revoke_security_group_ingress::RevokeSecurityGroupIngressOutput;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(Client::describe_security_groups).answered_by(
            on,
            "ec2:DescribeSecurityGroups",
            |a, request| {
                let has = |name: &str, value: &str| {
                    let filter = request
                        .filters()
                        .iter()
                        .find(|filter| filter.name() == Some(name));
                    filter.is_none_or(|filter| {
                        filter
                            .values()
                            .iter()
                            .any(|wanted| match wanted.strip_suffix('*') {
                                Some(prefix) => value.starts_with(prefix),
                                None => wanted == value,
                            })
                    })
                };
                let none = !a.groups.is_empty() && lags(&mut a.new_group_hidden);
                let stale = !a.revoked.is_empty() && lags(&mut a.revoked_shown);
                let groups = if stale { &a.revoked } else { &a.groups };
                let found = groups.iter().filter(|_| !none).filter(|(id, group)| {
                    has("vpc-id", &group.vpc)
                        && has("group-name", &group.name)
                        && has("owner-id", owner(group))
                        && has("group-id", id)
                });
                let found = found.map(|(id, group)| {
                    let role = group.role.as_ref();
                    let role =
                        role.map(|role| t::Tag::builder().key("gdr:role").value(role).build());
                    t::SecurityGroup::builder()
                        .group_id(id)
                        .set_tags(Some(role.into_iter().collect()))
                        .group_name(&group.name)
                        .vpc_id(&group.vpc)
                        .owner_id(owner(group))
                        .set_ip_permissions(permissions(&group.ingress))
                        .set_ip_permissions_egress(permissions(&group.egress))
                        .build()
                });
                Ok(DescribeSecurityGroupsOutput::builder()
                    .set_security_groups(Some(found.collect()))
                    .build())
            },
        ),
        mock!(Client::describe_security_group_rules).answered_by(
            on,
            "ec2:DescribeSecurityGroupRules",
            |a, request| {
                let none = lags(&mut a.new_rules_hidden);
                let group = a.groups.get(&request.filters()[0].values()[0]);
                let Some(group) = group.filter(|_| !none) else {
                    return Ok(DescribeSecurityGroupRulesOutput::builder().build());
                };
                let rule = |rule: &String, egress| {
                    let (protocol, port, peer) = parts(rule);
                    let group = t::ReferencedSecurityGroup::builder().group_id(peer).build();
                    let of_group = peer.starts_with("sg-").then_some(group);
                    let peer = |is: bool| is.then(|| peer.to_owned());
                    t::SecurityGroupRule::builder()
                        .security_group_rule_id(rule)
                        .is_egress(egress)
                        .ip_protocol(protocol)
                        .from_port(port)
                        .to_port(port)
                        .set_referenced_group_info(of_group)
                        .set_prefix_list_id(peer(rule.contains("pl-")))
                        .set_cidr_ipv6(peer(rule.contains(':')))
                        .set_cidr_ipv4(peer(rule.contains('.')))
                        .build()
                };
                let ingress = group.ingress.iter().map(|cidr| rule(cidr, false));
                let found = ingress.chain(group.egress.iter().map(|cidr| rule(cidr, true)));
                Ok(DescribeSecurityGroupRulesOutput::builder()
                    .set_security_group_rules(Some(found.collect()))
                    .build())
            },
        ),
        mock!(Client::create_security_group).answered_by(
            on,
            "ec2:CreateSecurityGroup",
            |a, request| {
                let (vpc, name) = (request.vpc_id().unwrap(), request.group_name().unwrap());
                let tags = request.tag_specifications()[0].tags();
                let role = tags.iter().find(|tag| tag.key() == Some("gdr:role"));
                let new = Group {
                    name: name.to_owned(),
                    role: role.and_then(|tag| tag.value()).map(str::to_owned),
                    owner: None,
                    ..group(vpc, [], ["0.0.0.0/0", "::/0"])
                };
                let same =
                    |found: &Group| found.vpc == vpc && found.name.eq_ignore_ascii_case(name);
                let exists = a.groups.values().any(same);
                if a.raced && !exists {
                    a.groups.insert("sg-faster".to_owned(), new.clone());
                }
                if a.raced || exists {
                    return Err("InvalidGroup.Duplicate");
                }
                let id = format!("sg-{name}-{vpc}");
                a.groups.insert(id.clone(), new);
                Ok(CreateSecurityGroupOutput::builder().group_id(id).build())
            },
        ),
        mock!(Client::revoke_security_group_egress).answered_by(
            on,
            "ec2:RevokeSecurityGroupEgress",
            |a, request| {
                let rules = request.security_group_rule_ids();
                revoke(a, request.group_id(), rules, |group| &mut group.egress)?;
                Ok(RevokeSecurityGroupEgressOutput::builder().build())
            },
        ),
        mock!(Client::revoke_security_group_ingress).answered_by(
            on,
            "ec2:RevokeSecurityGroupIngress",
            |a, request| {
                let rules = request.security_group_rule_ids();
                revoke(a, request.group_id(), rules, |group| &mut group.ingress)?;
                Ok(RevokeSecurityGroupIngressOutput::builder().build())
            },
        ),
        mock!(Client::authorize_security_group_egress).answered_by(
            on,
            "ec2:AuthorizeSecurityGroupEgress",
            |a, request| {
                let group = a.groups.get_mut(request.group_id().unwrap()).unwrap();
                // The role gives rules to no other group.
                let role = group.role.as_deref();
                assert!(matches!(role, Some("conversion" | "forensics")), "{role:?}");
                for rule in ruled(request.ip_permissions()) {
                    if !group.egress.insert(rule) {
                        return Err("InvalidPermission.Duplicate");
                    }
                }
                Ok(AuthorizeSecurityGroupEgressOutput::builder().build())
            },
        ),
        mock!(Client::authorize_security_group_ingress).answered_by(
            on,
            "ec2:AuthorizeSecurityGroupIngress",
            |a, request| {
                let group = a.groups.get_mut(request.group_id().unwrap()).unwrap();
                // The role gives rules to no other group.
                let role = group.role.as_deref();
                assert!(matches!(role, Some("conversion" | "forensics")), "{role:?}");
                for rule in ruled(request.ip_permissions()) {
                    if !group.ingress.insert(rule) {
                        return Err("InvalidPermission.Duplicate");
                    }
                }
                Ok(AuthorizeSecurityGroupIngressOutput::builder().build())
            },
        ),
    ]
}

fn owner(group: &Group) -> &str {
    group.owner.unwrap_or("111122223333")
}

/// Protocol, port and peer of a rule: a peer alone is let everything through.
fn parts(rule: &str) -> (&str, i32, &str) {
    match rule.split(' ').collect::<Vec<_>>()[..] {
        [protocol, port, peer] => (protocol, port.parse().expect("a port"), peer),
        _ => ("-1", -1, rule),
    }
}

fn permissions(rules: &BTreeSet<String>) -> Option<Vec<t::IpPermission>> {
    let permission = |rule: &String| {
        let (protocol, port, peer) = parts(rule);
        let permission = t::IpPermission::builder()
            .ip_protocol(protocol)
            .from_port(port)
            .to_port(port);
        if peer.starts_with("sg-") {
            let pair = t::UserIdGroupPair::builder().group_id(peer).build();
            permission.user_id_group_pairs(pair).build()
        } else if peer.starts_with("pl-") {
            let list = t::PrefixListId::builder().prefix_list_id(peer).build();
            permission.prefix_list_ids(list).build()
        } else if peer.contains(':') {
            let range = t::Ipv6Range::builder().cidr_ipv6(peer).build();
            permission.ipv6_ranges(range).build()
        } else {
            let range = t::IpRange::builder().cidr_ip(peer).build();
            permission.ip_ranges(range).build()
        }
    };
    Some(rules.iter().map(permission).collect())
}

/// The rules that permissions come to.
fn ruled(permissions: &[t::IpPermission]) -> Vec<String> {
    let of = |permission: &t::IpPermission| -> Vec<String> {
        let v4 = permission
            .ip_ranges()
            .iter()
            .filter_map(|range| range.cidr_ip());
        let v6 = permission
            .ipv6_ranges()
            .iter()
            .filter_map(|range| range.cidr_ipv6());
        let lists = permission.prefix_list_ids().iter();
        let lists = lists.filter_map(|list| list.prefix_list_id());
        let groups = permission.user_id_group_pairs().iter();
        let groups = groups.filter_map(|pair| pair.group_id());
        let peers = v4.chain(v6).chain(lists).chain(groups);
        let rule = |peer: &str| match (permission.ip_protocol(), permission.from_port()) {
            (Some("-1"), _) => peer.to_owned(),
            (protocol, port) => format!("{} {} {peer}", protocol.unwrap(), port.unwrap()),
        };
        peers.map(rule).collect()
    };
    permissions.iter().flat_map(of).collect()
}

fn revoke(
    a: &mut Account,
    id: Option<&str>,
    rules: &[String],
    of: fn(&mut Group) -> &mut BTreeSet<String>,
) -> Result<(), &'static str> {
    let id = id.unwrap_or_default();
    let group = a.groups.get_mut(id).ok_or("InvalidGroup.NotFound")?;
    let before = group.clone();
    for rule in rules {
        if !of(group).remove(rule) {
            return Err("InvalidSecurityGroupRuleId.NotFound");
        }
    }
    a.revoked.entry(id.to_owned()).or_insert(before);
    Ok(())
}
