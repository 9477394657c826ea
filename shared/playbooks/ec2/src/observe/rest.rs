//! Reads what does not decide how an instance is contained.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::clients::Services;
use super::super::describe::hardware;
use super::super::mark::tag_value;
use super::super::state::{Protection, Rest, Role, State};
use super::super::volumes::{pending_snapshots, snapshots, volume_tags};
use super::super::{attributes, membership, role, routes, target_groups};
use super::essential::in_time;
use aws::error::Result;
use model::finding::Finding;

/// The policy of the role that denies the instance everything, if it has one of its name.
pub(super) async fn deny(services: &Services, role: &Role, id: &str) -> Result<Option<Value>> {
    in_time(
        "iam:GetRolePolicy",
        role::deny(&services.iam, id, &role.name),
    )
    .await
}

/// The values that only protect, preserve and inform. `groups`: the only target groups to ask.
pub(super) async fn read(
    services: &Services,
    finding: &Finding,
    id: &str,
    glanced: &State,
    groups: Option<&BTreeSet<String>>,
) -> Rest {
    let ec2 = &services.ec2;
    let finding_tag = tag_value(&finding.id);
    let interfaces = &glanced.interfaces;
    let instance = glanced.instance.as_ref();
    let volumes = instance.iter().flat_map(|found| &found.volumes);
    let attached: BTreeSet<_> = volumes.map(|volume| volume.id.clone()).collect();
    // The target groups have a patience of their own, and keep what was found by then.
    let targets = Box::pin(target_groups::first(
        &services.elbv2,
        id,
        interfaces,
        groups,
    ));
    let balancers = membership::balancers(&services.elb, id);
    let (
        protection,
        targets,
        balancers,
        hardware,
        snapshots,
        pending_snapshots,
        volume_tags,
        routes,
        endpoints,
    ) = futures::join!(
        protection(ec2, id),
        targets,
        in_time("elasticloadbalancing:DescribeLoadBalancers", balancers),
        in_time("ec2:DescribeInstanceTypes", hardware(ec2, instance)),
        in_time("ec2:DescribeSnapshots", snapshots(ec2, &finding_tag)),
        in_time("ec2:DescribeSnapshots", pending_snapshots(ec2, &attached)),
        in_time("ec2:DescribeVolumes", volume_tags(ec2, id)),
        in_time("ec2:DescribeRouteTables", routes::routes(ec2, interfaces)),
        in_time(
            "ec2:DescribeNetworkInterfaces",
            routes::endpoints(ec2, interfaces)
        ),
    );
    Rest {
        protection,
        targets,
        balancers,
        hardware,
        snapshots,
        pending_snapshots,
        volume_tags,
        routes,
        endpoints,
    }
}

async fn protection(client: &aws_sdk_ec2::Client, id: &str) -> Protection {
    let operation = "ec2:DescribeInstanceAttribute";
    let (termination, stop, shutdown) = futures::join!(
        in_time(operation, attributes::termination(client, id)),
        in_time(operation, attributes::stop(client, id)),
        in_time(operation, attributes::shutdown(client, id)),
    );
    Protection {
        termination,
        stop,
        shutdown,
    }
}
