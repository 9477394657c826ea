//! What IAM, Auto Scaling and Elastic Load Balancing answer in [`super::world`].

use std::sync::{Arc, Mutex};

use aws_sdk_autoscaling as autoscaling;
use aws_sdk_elasticloadbalancing as elb;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_iam as iam;
use testkit::{Rule, mock};
use tokio::time::Instant;

use super::world::{Account, ID, profile};
use fixtures::Wire;

macro_rules! rule {
    ($account:expr, $wire:expr, $service:ident, $operation:ident, $output:ident, $name:literal, |$a:ident, $request:ident, $out:ident| $body:expr) => {{
        let (account, wire): (Arc<Mutex<Account>>, Wire) = ($account.clone(), $wire.clone());
        mock!($service::Client::$operation).then_compute_response(move |$request| {
            wire.answer($name, || {
                let mut guard = account.lock().unwrap();
                let $a = &mut *guard;
                let $out = $service::operation::$operation::$output::builder();
                $body
            })
        })
    }};
}

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> [Vec<Rule>; 4] {
    [
        role(account, wire),
        scaling(account, wire),
        classic(account, wire),
        targets(account, wire),
    ]
}

fn role(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    vec![
        rule!(
            account,
            wire,
            iam,
            get_instance_profile,
            GetInstanceProfileOutput,
            "iam:GetInstanceProfile",
            |a, request, out| {
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
                Ok(out.instance_profile(profile).build())
            }
        ),
        rule!(
            account,
            wire,
            iam,
            get_role_policy,
            GetRolePolicyOutput,
            "iam:GetRolePolicy",
            |a, request, out| {
                let name = request.policy_name().unwrap();
                let of = policy_of(request.role_name(), name);
                let policy = a.policies.get(&of).ok_or("NoSuchEntity")?;
                let encoded = percent_encoding::utf8_percent_encode(
                    policy,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                Ok(out
                    .role_name("web")
                    .policy_name(name)
                    .policy_document(encoded.to_string())
                    .build()
                    .unwrap())
            }
        ),
        rule!(
            account,
            wire,
            iam,
            put_role_policy,
            PutRolePolicyOutput,
            "iam:PutRolePolicy",
            |a, request, out| {
                let of = policy_of(request.role_name(), request.policy_name().unwrap());
                let policy = request.policy_document().unwrap();
                a.policies.insert(of, policy.to_owned());
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            iam,
            delete_role_policy,
            DeleteRolePolicyOutput,
            "iam:DeleteRolePolicy",
            |a, request, out| {
                let of = policy_of(request.role_name(), request.policy_name().unwrap());
                a.policies.remove(&of).ok_or("NoSuchEntity")?;
                Ok(out.build())
            }
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
    vec![
        rule!(
            account,
            wire,
            autoscaling,
            describe_auto_scaling_instances,
            DescribeAutoScalingInstancesOutput,
            "autoscaling:DescribeAutoScalingInstances",
            |a, _request, out| {
                let member = a.scaling.as_ref().map(|(group, lifecycle)| {
                    autoscaling::types::AutoScalingInstanceDetails::builder()
                        .instance_id(ID)
                        .auto_scaling_group_name(group)
                        .lifecycle_state(*lifecycle)
                        .build()
                });
                Ok(out
                    .set_auto_scaling_instances(Some(member.into_iter().collect()))
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            autoscaling,
            describe_auto_scaling_groups,
            DescribeAutoScalingGroupsOutput,
            "autoscaling:DescribeAutoScalingGroups",
            |a, request, out| {
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
                Ok(out
                    .set_auto_scaling_groups(Some(group.into_iter().collect()))
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            autoscaling,
            detach_instances,
            DetachInstancesOutput,
            "autoscaling:DetachInstances",
            |a, request, out| {
                assert_eq!(request.should_decrement_desired_capacity(), Some(false));
                assert_eq!(a.scaling.take().unwrap().1, "InService");
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            autoscaling,
            enter_standby,
            EnterStandbyOutput,
            "autoscaling:EnterStandby",
            |a, request, out| {
                assert_eq!(request.should_decrement_desired_capacity(), Some(false));
                a.scaling.as_mut().unwrap().1 = "Standby";
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            autoscaling,
            exit_standby,
            ExitStandbyOutput,
            "autoscaling:ExitStandby",
            |a, _request, out| {
                a.scaling.as_mut().unwrap().1 = "InService";
                Ok(out.build())
            }
        ),
    ]
}

fn targets(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    vec![
        rule!(
            account,
            wire,
            elbv2,
            describe_target_groups,
            DescribeTargetGroupsOutput,
            "elasticloadbalancing:DescribeTargetGroups",
            |a, _request, out| {
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
                Ok(out.set_target_groups(Some(groups)).build())
            }
        ),
        rule!(
            account,
            wire,
            elbv2,
            describe_target_health,
            DescribeTargetHealthOutput,
            "elasticloadbalancing:DescribeTargetHealth",
            |a, request, out| {
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
                Ok(out
                    .set_target_health_descriptions(Some(found.collect()))
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            elbv2,
            deregister_targets,
            DeregisterTargetsOutput,
            "elasticloadbalancing:DeregisterTargets",
            |a, request, out| {
                let target = &request.targets()[0];
                for found in &mut a.targets {
                    if Some(found.0.as_str()) == request.target_group_arn()
                        && target.id() == Some(&found.1)
                        && target.port() == Some(found.2)
                    {
                        found.3 = true;
                    }
                }
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            elbv2,
            register_targets,
            RegisterTargetsOutput,
            "elasticloadbalancing:RegisterTargets",
            |a, request, out| {
                let target = &request.targets()[0];
                for found in &mut a.targets {
                    if Some(found.0.as_str()) == request.target_group_arn()
                        && target.id() == Some(&found.1)
                        && target.port() == Some(found.2)
                    {
                        found.3 = false;
                    }
                }
                Ok(out.build())
            }
        ),
    ]
}

fn classic(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    vec![
        rule!(
            account,
            wire,
            elb,
            describe_load_balancers,
            DescribeLoadBalancersOutput,
            "elasticloadbalancing:DescribeLoadBalancers",
            |a, _request, out| {
                let instance = elb::types::Instance::builder().instance_id(ID).build();
                let found = a.balancers.iter().map(|name| {
                    elb::types::LoadBalancerDescription::builder()
                        .load_balancer_name(name)
                        .instances(instance.clone())
                        .build()
                });
                Ok(out
                    .set_load_balancer_descriptions(Some(found.collect()))
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            elb,
            deregister_instances_from_load_balancer,
            DeregisterInstancesFromLoadBalancerOutput,
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            |a, request, out| {
                a.balancers.remove(request.load_balancer_name().unwrap());
                Ok(out.build())
            }
        ),
        rule!(
            account,
            wire,
            elb,
            register_instances_with_load_balancer,
            RegisterInstancesWithLoadBalancerOutput,
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            |a, request, out| {
                a.balancers
                    .insert(request.load_balancer_name().unwrap().to_owned());
                Ok(out.build())
            }
        ),
    ]
}
