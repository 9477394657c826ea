//! [`Cloud`] behind rule-mocked clients.

use std::sync::{Arc, Mutex};

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::operation::create_security_group::CreateSecurityGroupOutput;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesOutput;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
use aws_sdk_ec2::operation::modify_network_interface_attribute::ModifyNetworkInterfaceAttributeOutput;
use aws_sdk_ec2::operation::revoke_security_group_egress::RevokeSecurityGroupEgressOutput;
use aws_sdk_ec2::operation::revoke_security_group_ingress::RevokeSecurityGroupIngressOutput;
use aws_sdk_ec2::types::{
    Filter, GroupIdentifier, IamInstanceProfile, Instance as Ec2Instance, InstanceState,
    InstanceStateName, IpPermission, IpRange, Ipv6Range, NetworkInterface, Reservation,
    SecurityGroup, SecurityGroupRule,
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use super::super::*;
use super::cloud::{Cloud, Group, INSTANCE, Nic, lags};
use crate::fixtures::{self, Protocol, Wire};

pub(super) const MODIFY: &str = "ec2:ModifyNetworkInterfaceAttribute";

fn filtered<'a>(filters: &'a [Filter], name: &str) -> Option<&'a str> {
    let filter = filters.iter().find(|filter| filter.name() == Some(name))?;
    Some(filter.values()[0].as_str())
}

fn as_interface(nic: &mut Nic) -> NetworkInterface {
    let stale = nic.before.clone().filter(|_| lags(&mut nic.lags));
    let groups = stale.unwrap_or_else(|| nic.groups.clone());
    let groups = groups
        .iter()
        .map(|id| GroupIdentifier::builder().group_id(id).build());
    NetworkInterface::builder()
        .network_interface_id(nic.id)
        .vpc_id(nic.vpc)
        .set_groups(Some(groups.collect()))
        .requester_managed(nic.requester.is_some())
        .set_requester_id(nic.requester.map(ToOwned::to_owned))
        .build()
}

fn as_group(group: &Group) -> SecurityGroup {
    let rules = |egress: bool| {
        let rules = group.rules.iter().filter(move |rule| rule.egress == egress);
        let permissions = rules.map(|rule| {
            let permission = IpPermission::builder().ip_protocol("-1");
            if rule.peer.contains(':') {
                let range = Ipv6Range::builder().cidr_ipv6(rule.peer).build();
                permission.ipv6_ranges(range).build()
            } else {
                let range = IpRange::builder().cidr_ip(rule.peer).build();
                permission.ip_ranges(range).build()
            }
        });
        Some(permissions.collect())
    };
    SecurityGroup::builder()
        .group_id(&group.id)
        .group_name(group.name)
        .vpc_id(&group.vpc)
        .set_ip_permissions(rules(false))
        .set_ip_permissions_egress(rules(true))
        .build()
}

pub(super) struct World {
    pub(super) cloud: Arc<Mutex<Cloud>>,
    pub(super) wire: Wire,
    pub(super) playbook: Ec2,
}

/// In no scenario may a call be made that the playbook declares no permission for.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let called: BTreeSet<_> = self.wire.calls().into_iter().collect();
            let declared = fixtures::declared::<Ec2>();
            assert!(called.is_subset(&declared), "{called:?}");
        }
    }
}

impl fixtures::World for World {
    type Playbook = Ec2;
    fn playbook(&self) -> &Ec2 {
        &self.playbook
    }
    fn wire(&self) -> &Wire {
        &self.wire
    }
    fn is_contained(&self) -> bool {
        let cloud = self.cloud.lock().unwrap();
        cloud.nics.iter().all(|nic| {
            let group = cloud.isolation(nic.vpc);
            group.is_some_and(|group| group.rules.is_empty() && nic.groups == [group.id.clone()])
        })
    }
}

impl World {
    pub(super) fn new(cloud: Cloud) -> Self {
        let cloud = Arc::new(Mutex::new(cloud));
        let wire = Wire::new(Protocol::Ec2);
        let rule_of = || (Arc::clone(&cloud), wire.clone());

        let (state, on) = rule_of();
        let instances = mock!(Client::describe_instances).then_compute_response(move |request| {
            on.answer("ec2:DescribeInstances", || {
                assert_eq!(request.instance_ids(), [INSTANCE]);
                let state = state.lock().unwrap().state;
                let name = InstanceStateName::from(state.ok_or("InvalidInstanceID.NotFound")?);
                let profile = "arn:aws:iam::111122223333:instance-profile/web";
                let instance = Ec2Instance::builder()
                    .instance_id(INSTANCE)
                    .state(InstanceState::builder().name(name).build())
                    .iam_instance_profile(IamInstanceProfile::builder().arn(profile).build())
                    .build();
                let reservation = Reservation::builder().instances(instance).build();
                Ok(DescribeInstancesOutput::builder()
                    .reservations(reservation)
                    .build())
            })
        });
        let (state, on) = rule_of();
        let nics =
            mock!(Client::describe_network_interfaces).then_compute_response(move |request| {
                on.answer("ec2:DescribeNetworkInterfaces", || {
                    let of = filtered(request.filters(), "attachment.instance-id");
                    assert_eq!(of, Some(INSTANCE));
                    let mut cloud = state.lock().unwrap();
                    let (from, page) = (request.next_token().map_or(0, number), cloud.page);
                    let mut attached: Vec<_> = Vec::new();
                    for nic in &mut cloud.nics {
                        if !lags(&mut nic.attached_after) {
                            attached.push(as_interface(nic));
                        }
                    }
                    let rest = (from + page < attached.len()).then(|| (from + page).to_string());
                    let shown = attached.into_iter().skip(from).take(page).collect();
                    Ok(DescribeNetworkInterfacesOutput::builder()
                        .set_network_interfaces(Some(shown))
                        .set_next_token(rest)
                        .build())
                })
            });
        let (state, on) = rule_of();
        let groups =
            mock!(Client::describe_security_groups).then_compute_response(move |request| {
                on.answer("ec2:DescribeSecurityGroups", || {
                    let name = filtered(request.filters(), "group-name").expect("a name");
                    let vpc = filtered(request.filters(), "vpc-id");
                    let mut cloud = state.lock().unwrap();
                    let none = !cloud.groups.is_empty() && lags(&mut cloud.new_group_hidden);
                    let stale = !cloud.revoked.is_empty() && lags(&mut cloud.revoked_shown);
                    let groups = if stale { &cloud.revoked } else { &cloud.groups };
                    let shown = groups.iter().filter(|group| {
                        group.name == name && vpc.is_none_or(|vpc| group.vpc == vpc) && !none
                    });
                    Ok(DescribeSecurityGroupsOutput::builder()
                        .set_security_groups(Some(shown.map(as_group).collect()))
                        .build())
                })
            });
        let (state, on) = rule_of();
        let rules =
            mock!(Client::describe_security_group_rules).then_compute_response(move |request| {
                on.answer("ec2:DescribeSecurityGroupRules", || {
                    let of = filtered(request.filters(), "group-id").expect("a group");
                    let mut cloud = state.lock().unwrap();
                    let none = lags(&mut cloud.new_rules_hidden);
                    let group = cloud.groups.iter().find(|group| group.id == of && !none);
                    let rules = group
                        .into_iter()
                        .flat_map(|group| &group.rules)
                        .map(|rule| {
                            SecurityGroupRule::builder()
                                .security_group_rule_id(&rule.id)
                                .is_egress(rule.egress)
                                .build()
                        });
                    Ok(DescribeSecurityGroupRulesOutput::builder()
                        .set_security_group_rules(Some(rules.collect()))
                        .build())
                })
            });
        let (state, on) = rule_of();
        let create = mock!(Client::create_security_group).then_compute_response(move |request| {
            on.answer("ec2:CreateSecurityGroup", || {
                assert_eq!(request.group_name(), Some(ISOLATION_GROUP));
                let vpc = request.vpc_id().expect("a VPC");
                let id = state.lock().unwrap().create(vpc)?;
                Ok(CreateSecurityGroupOutput::builder().group_id(id).build())
            })
        });
        let (state, on) = rule_of();
        let revoke_out =
            mock!(Client::revoke_security_group_egress).then_compute_response(move |request| {
                on.answer("ec2:RevokeSecurityGroupEgress", || {
                    let (group, rules) = (request.group_id(), request.security_group_rule_ids());
                    state.lock().unwrap().revoke(group, rules, true)?;
                    Ok(RevokeSecurityGroupEgressOutput::builder().build())
                })
            });
        let (state, on) = rule_of();
        let revoke_in =
            mock!(Client::revoke_security_group_ingress).then_compute_response(move |request| {
                on.answer("ec2:RevokeSecurityGroupIngress", || {
                    let (group, rules) = (request.group_id(), request.security_group_rule_ids());
                    state.lock().unwrap().revoke(group, rules, false)?;
                    Ok(RevokeSecurityGroupIngressOutput::builder().build())
                })
            });
        let (state, on) = rule_of();
        let modify = mock!(Client::modify_network_interface_attribute).then_compute_response(
            move |request| {
                on.answer(MODIFY, || {
                    let mut cloud = state.lock().unwrap();
                    cloud.modify(request.network_interface_id(), request.groups())?;
                    Ok(ModifyNetworkInterfaceAttributeOutput::builder().build())
                })
            },
        );
        let client = mock_client!(
            aws_sdk_ec2,
            RuleMode::MatchAny,
            [
                &instances,
                &nics,
                &groups,
                &rules,
                &create,
                &revoke_out,
                &revoke_in,
                &modify,
            ],
            |config| config.retry_config(RetryConfig::disabled())
        );
        Self {
            cloud,
            wire,
            playbook: Ec2 { client },
        }
    }

    /// Changes the cloud behind the responder's back.
    pub(super) fn change(&self, change: impl FnOnce(&mut Cloud)) {
        change(&mut self.cloud.lock().unwrap());
    }

    pub(super) fn groups_of(&self, nic: &str) -> Vec<String> {
        self.cloud.lock().unwrap().groups_of(nic)
    }
}

fn number(token: &str) -> usize {
    token.parse().expect("a number")
}
