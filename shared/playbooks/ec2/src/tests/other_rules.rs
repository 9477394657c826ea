//! What IAM, Auto Scaling and Elastic Load Balancing answer in [`super::world`].

use std::sync::{Arc, Mutex};

use aws_sdk_autoscaling as autoscaling;
use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput;
use aws_sdk_autoscaling::operation::describe_auto_scaling_instances::DescribeAutoScalingInstancesOutput;
use aws_sdk_autoscaling::operation::detach_instances::DetachInstancesOutput;
use aws_sdk_autoscaling::operation::enter_standby::EnterStandbyOutput;
use aws_sdk_autoscaling::operation::exit_standby::ExitStandbyOutput;
use aws_sdk_elasticloadbalancing as elb;
use aws_sdk_elasticloadbalancing::operation::deregister_instances_from_load_balancer::DeregisterInstancesFromLoadBalancerOutput;
use aws_sdk_elasticloadbalancing::operation::describe_load_balancers::DescribeLoadBalancersOutput;
use aws_sdk_elasticloadbalancing::operation::register_instances_with_load_balancer::RegisterInstancesWithLoadBalancerOutput;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_elasticloadbalancingv2::operation::deregister_targets::DeregisterTargetsOutput;
use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsOutput;
use aws_sdk_elasticloadbalancingv2::operation::describe_target_health::DescribeTargetHealthOutput;
use aws_sdk_elasticloadbalancingv2::operation::register_targets::RegisterTargetsOutput;
use aws_sdk_iam as iam;
use aws_sdk_iam::operation::delete_role_policy::DeleteRolePolicyOutput;
use aws_sdk_iam::operation::get_instance_profile::GetInstanceProfileOutput;
use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_iam::operation::put_role_policy::PutRolePolicyOutput;
use testkit::{Rule, mock};
use tokio::time::Instant;

use super::world::{Account, ID, profile};
use fixtures::Wire;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> [Vec<Rule>; 4] {
    [
        role(account, wire),
        scaling(account, wire),
        classic(account, wire),
        targets(account, wire),
    ]
}

fn role(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(iam::Client::get_instance_profile).answered_by(
            on,
            "iam:GetInstanceProfile",
            |a, request| {
                let named = request.instance_profile_name().unwrap();
                let (name, id) = match named {
                    "web-profile" => ("web", "AROAEXAMPLE"),
                    "same-profile" => ("web", "AROAEXAMPLE"),
                    "old-profile" => ("old", "AROAOLD"),
                    "empty-profile" => ("", ""),
                    _ => return Err("NoSuchEntity"),
                };
                let at = iam::primitives::DateTime::from_secs(0);
                let role = iam::types::Role::builder()
                    .role_name(name)
                    .role_id(id)
                    .arn(format!(
                        "arn:aws:iam::111122223333:role{}{name}",
                        a.role_path
                    ))
                    .path(a.role_path)
                    .create_date(at)
                    .build()
                    .unwrap();
                let roles = (!name.is_empty()).then_some(role);
                let profile = iam::types::InstanceProfile::builder()
                    .path("/apps/")
                    .instance_profile_name(named)
                    .instance_profile_id("AIPAEXAMPLE")
                    .arn(profile(named))
                    .create_date(at)
                    .set_roles(Some(roles.into_iter().collect()))
                    .build()
                    .unwrap();
                Ok(GetInstanceProfileOutput::builder()
                    .instance_profile(profile)
                    .build())
            },
        ),
        mock!(iam::Client::get_role_policy).answered_by(on, "iam:GetRolePolicy", |a, request| {
            let name = request.policy_name().unwrap();
            let of = policy_of(request.role_name(), name);
            let policy = a.policies.get(&of).ok_or("NoSuchEntity")?;
            let encoded =
                percent_encoding::utf8_percent_encode(policy, percent_encoding::NON_ALPHANUMERIC);
            Ok(GetRolePolicyOutput::builder()
                .role_name("web")
                .policy_name(name)
                .policy_document(encoded.to_string())
                .build()
                .unwrap())
        }),
        mock!(iam::Client::put_role_policy).answered_by(on, "iam:PutRolePolicy", |a, request| {
            let of = policy_of(request.role_name(), request.policy_name().unwrap());
            let policy = request.policy_document().unwrap();
            a.policies.insert(of, policy.to_owned());
            Ok(PutRolePolicyOutput::builder().build())
        }),
        mock!(iam::Client::delete_role_policy).answered_by(
            on,
            "iam:DeleteRolePolicy",
            |a, request| {
                let of = policy_of(request.role_name(), request.policy_name().unwrap());
                a.policies.remove(&of).ok_or("NoSuchEntity")?;
                Ok(DeleteRolePolicyOutput::builder().build())
            },
        ),
    ]
}

/// The policies of the role web are kept by their names alone.
fn policy_of(role: Option<&str>, name: &str) -> String {
    match role {
        Some("web") => name.to_owned(),
        role => format!("{}/{name}", role.unwrap()),
    }
}

fn scaling(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(autoscaling::Client::describe_auto_scaling_instances).answered_by(
            on,
            "autoscaling:DescribeAutoScalingInstances",
            |a, _request| {
                let member = a.scaling.as_ref().map(|(group, lifecycle)| {
                    autoscaling::types::AutoScalingInstanceDetails::builder()
                        .instance_id(ID)
                        .auto_scaling_group_name(group)
                        .lifecycle_state(*lifecycle)
                        .build()
                });
                Ok(DescribeAutoScalingInstancesOutput::builder()
                    .set_auto_scaling_instances(Some(member.into_iter().collect()))
                    .build())
            },
        ),
        mock!(autoscaling::Client::describe_auto_scaling_groups).answered_by(
            on,
            "autoscaling:DescribeAutoScalingGroups",
            |a, request| {
                let group = a.scaling.as_ref().map(|(group, _)| {
                    assert_eq!(request.auto_scaling_group_names(), [group.as_str()]);
                    let member = autoscaling::types::Instance::builder().instance_id(ID);
                    let others = (0..if a.replaced { 6 } else { 5 }).map(|other| {
                        autoscaling::types::Instance::builder()
                            .instance_id(format!("i-{other}"))
                            .lifecycle_state(autoscaling::types::LifecycleState::InService)
                            .build()
                    });
                    autoscaling::types::AutoScalingGroup::builder()
                        .auto_scaling_group_name(group)
                        .desired_capacity(6)
                        .set_instances(Some(others.chain([member.build()]).collect()))
                        .build()
                });
                Ok(DescribeAutoScalingGroupsOutput::builder()
                    .set_auto_scaling_groups(Some(group.into_iter().collect()))
                    .build())
            },
        ),
        mock!(autoscaling::Client::detach_instances).answered_by(
            on,
            "autoscaling:DetachInstances",
            |a, request| {
                assert_eq!(request.should_decrement_desired_capacity(), Some(false));
                assert_eq!(a.scaling.take().unwrap().1, "InService");
                Ok(DetachInstancesOutput::builder().build())
            },
        ),
        mock!(autoscaling::Client::enter_standby).answered_by(
            on,
            "autoscaling:EnterStandby",
            |a, request| {
                assert_eq!(request.should_decrement_desired_capacity(), Some(false));
                a.scaling.as_mut().unwrap().1 = "Standby";
                Ok(EnterStandbyOutput::builder().build())
            },
        ),
        mock!(autoscaling::Client::exit_standby).answered_by(
            on,
            "autoscaling:ExitStandby",
            |a, _request| {
                a.scaling.as_mut().unwrap().1 = "InService";
                Ok(ExitStandbyOutput::builder().build())
            },
        ),
    ]
}

fn targets(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(elbv2::Client::describe_target_groups).answered_by(
            on,
            "elasticloadbalancing:DescribeTargetGroups",
            |a, _request| {
                let first = a
                    .interfaces
                    .values()
                    .next()
                    .map_or("vpc-none", |own| own.vpc);
                let foreign = a.foreign.map(|(group, _)| group);
                let group = |arn: &str, kind, protocol| {
                    let vpc = if foreign == Some(arn) {
                        "vpc-foreign"
                    } else {
                        first
                    };
                    elbv2::types::TargetGroup::builder()
                        .target_group_arn(arn)
                        .vpc_id(vpc)
                        .target_type(kind)
                        .protocol(protocol)
                        .build()
                };
                use elbv2::types::{ProtocolEnum as P, TargetTypeEnum as T};
                let mut groups = vec![
                    group("tg-web", T::Instance, P::Https),
                    group("tg-net", T::Ip, P::Tcp),
                ];
                let more = (0..a.more_target_groups).map(|index| format!("tg-{index}"));
                groups.extend(more.map(|name| group(&name, T::Instance, P::Http)));
                Ok(DescribeTargetGroupsOutput::builder()
                    .set_target_groups(Some(groups))
                    .build())
            },
        ),
        mock!(elbv2::Client::describe_target_health).answered_by(
            on,
            "elasticloadbalancing:DescribeTargetHealth",
            |a, request| {
                a.asked_target_groups.push(Instant::now());
                let asked = request.target_group_arn().unwrap();
                if a.deleted_target_groups.contains(asked) {
                    return Err("TargetGroupNotFound");
                }
                let of = a
                    .targets
                    .iter()
                    .filter(|target| Some(target.0.as_str()) == request.target_group_arn());
                let foreign = a
                    .foreign
                    .filter(|(of, _)| Some(*of) == request.target_group_arn());
                let found = of.map(|(_, id, port, draining)| {
                    use elbv2::types::TargetHealthStateEnum as State;
                    let state = if *draining {
                        State::Draining
                    } else {
                        State::Healthy
                    };
                    let health = elbv2::types::TargetHealth::builder().state(state);
                    let target = elbv2::types::TargetDescription::builder()
                        .id(id)
                        .port(*port)
                        .set_availability_zone(foreign.map(|(_, zone)| zone.to_owned()))
                        .build();
                    elbv2::types::TargetHealthDescription::builder()
                        .target(target)
                        .target_health(health.build())
                        .build()
                });
                Ok(DescribeTargetHealthOutput::builder()
                    .set_target_health_descriptions(Some(found.collect()))
                    .build())
            },
        ),
        mock!(elbv2::Client::deregister_targets).answered_by(
            on,
            "elasticloadbalancing:DeregisterTargets",
            |a, request| {
                let target = &request.targets()[0];
                for found in &mut a.targets {
                    if Some(found.0.as_str()) == request.target_group_arn()
                        && target.id() == Some(&found.1)
                        && target.port() == Some(found.2)
                    {
                        found.3 = true;
                    }
                }
                Ok(DeregisterTargetsOutput::builder().build())
            },
        ),
        mock!(elbv2::Client::register_targets).answered_by(
            on,
            "elasticloadbalancing:RegisterTargets",
            |a, request| {
                let target = &request.targets()[0];
                for found in &mut a.targets {
                    if Some(found.0.as_str()) == request.target_group_arn()
                        && target.id() == Some(&found.1)
                        && target.port() == Some(found.2)
                    {
                        found.3 = false;
                    }
                }
                Ok(RegisterTargetsOutput::builder().build())
            },
        ),
    ]
}

fn classic(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    let deregister = mock!(elb::Client::deregister_instances_from_load_balancer);
    let register = mock!(elb::Client::register_instances_with_load_balancer);
    vec![
        mock!(elb::Client::describe_load_balancers).answered_by(
            on,
            "elasticloadbalancing:DescribeLoadBalancers",
            |a, _request| {
                let instance = elb::types::Instance::builder().instance_id(ID).build();
                let found = a.balancers.iter().map(|name| {
                    elb::types::LoadBalancerDescription::builder()
                        .load_balancer_name(name)
                        .instances(instance.clone())
                        .build()
                });
                Ok(DescribeLoadBalancersOutput::builder()
                    .set_load_balancer_descriptions(Some(found.collect()))
                    .build())
            },
        ),
        deregister.answered_by(
            on,
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            |a, request| {
                a.balancers.remove(request.load_balancer_name().unwrap());
                Ok(DeregisterInstancesFromLoadBalancerOutput::builder().build())
            },
        ),
        register.answered_by(
            on,
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            |a, request| {
                a.balancers
                    .insert(request.load_balancer_name().unwrap().to_owned());
                Ok(RegisterInstancesWithLoadBalancerOutput::builder().build())
            },
        ),
    ]
}
