//! The responder's security groups and their rules.

use std::collections::BTreeSet;

use super::*;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    vec![
        rule!(
            account,
            wire,
            describe_security_groups,
            describe_security_groups,
            DescribeSecurityGroupsOutput,
            "ec2:DescribeSecurityGroups",
            |a, request, out| {
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
                let found = groups.iter().filter(|_| !none).filter(|(_, group)| {
                    has("vpc-id", &group.vpc) && has("group-name", &group.name)
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
                        .set_ip_permissions(permissions(&group.ingress))
                        .set_ip_permissions_egress(permissions(&group.egress))
                        .build()
                });
                Ok(out.set_security_groups(Some(found.collect())).build())
            }
        ),
        rule!(
            account,
            wire,
            describe_security_group_rules,
            describe_security_group_rules,
            DescribeSecurityGroupRulesOutput,
            "ec2:DescribeSecurityGroupRules",
            |a, request, out| {
                let none = lags(&mut a.new_rules_hidden);
                let group = a.groups.get(&request.filters()[0].values()[0]);
                let Some(group) = group.filter(|_| !none) else {
                    return Ok(out.build());
                };
                let rule = |cidr: &String, egress| {
                    t::SecurityGroupRule::builder()
                        .security_group_rule_id(cidr)
                        .is_egress(egress)
                        .build()
                };
                let ingress = group.ingress.iter().map(|cidr| rule(cidr, false));
                let found = ingress.chain(group.egress.iter().map(|cidr| rule(cidr, true)));
                Ok(out.set_security_group_rules(Some(found.collect())).build())
            }
        ),
        rule!(
            account,
            wire,
            create_security_group,
            create_security_group,
            CreateSecurityGroupOutput,
            "ec2:CreateSecurityGroup",
            |a, request, out| {
                let (vpc, name) = (request.vpc_id().unwrap(), request.group_name().unwrap());
                let tags = request.tag_specifications()[0].tags();
                let role = tags.iter().find(|tag| tag.key() == Some("gdr:role"));
                let new = Group {
                    name: name.to_owned(),
                    role: role.and_then(|tag| tag.value()).map(str::to_owned),
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
                Ok(out.group_id(id).build())
            }
        ),
        rule!(
            account,
            wire,
            revoke_security_group_egress,
            revoke_security_group_egress,
            RevokeSecurityGroupEgressOutput,
            "ec2:RevokeSecurityGroupEgress",
            |a, request, out| {
                let rules = request.security_group_rule_ids();
                revoke(a, request.group_id(), rules, |group| &mut group.egress)?;
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            revoke_security_group_ingress,
            revoke_security_group_ingress,
            RevokeSecurityGroupIngressOutput,
            "ec2:RevokeSecurityGroupIngress",
            |a, request, out| {
                let rules = request.security_group_rule_ids();
                revoke(a, request.group_id(), rules, |group| &mut group.ingress)?;
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            authorize_security_group_egress,
            authorize_security_group_egress,
            AuthorizeSecurityGroupEgressOutput,
            "ec2:AuthorizeSecurityGroupEgress",
            |a, request, out| {
                let group = a.groups.get_mut(request.group_id().unwrap()).unwrap();
                // The role gives rules to no other group.
                assert_eq!(group.role.as_deref(), Some("conversion"));
                for cidr in cidrs(request.ip_permissions()) {
                    if !group.egress.insert(cidr) {
                        return Err("InvalidPermission.Duplicate");
                    }
                }
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            authorize_security_group_ingress,
            authorize_security_group_ingress,
            AuthorizeSecurityGroupIngressOutput,
            "ec2:AuthorizeSecurityGroupIngress",
            |a, request, out| {
                let group = a.groups.get_mut(request.group_id().unwrap()).unwrap();
                // The role gives rules to no other group.
                assert_eq!(group.role.as_deref(), Some("conversion"));
                for cidr in cidrs(request.ip_permissions()) {
                    if !group.ingress.insert(cidr) {
                        return Err("InvalidPermission.Duplicate");
                    }
                }
                Ok(out.build())
            }
        ),
    ]
}

fn permissions(cidrs: &BTreeSet<String>) -> Option<Vec<t::IpPermission>> {
    let rule = |cidr: &String| {
        let permission = t::IpPermission::builder().ip_protocol("-1");
        if cidr.contains(':') {
            let range = t::Ipv6Range::builder().cidr_ipv6(cidr).build();
            permission.ipv6_ranges(range).build()
        } else {
            let range = t::IpRange::builder().cidr_ip(cidr).build();
            permission.ip_ranges(range).build()
        }
    };
    Some(cidrs.iter().map(rule).collect())
}

fn cidrs(permissions: &[t::IpPermission]) -> Vec<String> {
    let v4 = permissions.iter().flat_map(t::IpPermission::ip_ranges);
    let v6 = permissions.iter().flat_map(t::IpPermission::ipv6_ranges);
    let v4 = v4.filter_map(|range| range.cidr_ip());
    let v6 = v6.filter_map(|range| range.cidr_ipv6());
    v4.chain(v6).map(str::to_owned).collect()
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
