//! A proof's resources in EC2: instances and all around them.

use aws_sdk_ec2::types::{Filter, InstanceStateName, Tag};
use futures::join;
use remediation::error::{CallContext as _, Result};

use crate::context::Context;
use crate::own::{Kind, Own, Seen};
use crate::request::TAG;

type Looked = (Kind, Result<Vec<Seen>>);

/// EC2's filter for what has the proof's tag.
fn tagged(context: &Context<'_>) -> Filter {
    Filter::builder()
        .name(format!("tag:{TAG}"))
        .values(context.id.as_str())
        .build()
}

fn own(context: &Context<'_>, kind: Kind, id: Option<&str>, tags: &[Tag]) -> Option<Own> {
    let tags = tags.iter().map(|tag| {
        (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        )
    });
    Own::of(context.id, kind, id?, tags)
}

/// Finds one kind of resource by the proof's tag.
macro_rules! found {
    ($context:ident, $kind:ident, $operation:literal, $describe:ident, $id:ident) => {{
        let call = $context.ec2.$describe().filters(tagged($context));
        let mut items = call.into_paginator().items().send();
        let mut seen = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.during($operation, "the proof's tag")?;
            seen.extend(own($context, Kind::$kind, item.$id(), item.tags()).map(Seen::Own));
        }
        Ok(seen)
    }};
}

pub(super) async fn find(context: &Context<'_>) -> Vec<Looked> {
    let (instances, snapshots, volumes, interfaces, groups) = join!(
        Box::pin(instances(context)),
        Box::pin(snapshots(context)),
        Box::pin(volumes(context)),
        Box::pin(interfaces(context)),
        Box::pin(groups(context)),
    );
    let (tables, subnets, gateways, vpcs) = join!(
        Box::pin(route_tables(context)),
        Box::pin(subnets(context)),
        Box::pin(gateways(context)),
        Box::pin(vpcs(context)),
    );
    vec![
        (Kind::Instance, instances),
        (Kind::Snapshot, snapshots),
        (Kind::Volume, volumes),
        (Kind::Interface, interfaces),
        (Kind::SecurityGroup, groups),
        (Kind::RouteTable, tables),
        (Kind::Subnet, subnets),
        (Kind::InternetGateway, gateways),
        (Kind::Vpc, vpcs),
    ]
}

/// EC2 shows an instance for about an hour after it was terminated.
async fn instances(context: &Context<'_>) -> Result<Vec<Seen>> {
    let call = context.ec2.describe_instances().filters(tagged(context));
    let mut pages = call.into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeInstances", "the proof's tag")?;
        for instance in page.reservations().iter().flat_map(|it| it.instances()) {
            let own = own(
                context,
                Kind::Instance,
                instance.instance_id(),
                instance.tags(),
            );
            let state = instance.state().and_then(|state| state.name());
            match state {
                Some(InstanceStateName::Terminated) => {}
                Some(InstanceStateName::ShuttingDown) => seen.extend(own.map(Seen::Going)),
                _ => seen.extend(own.map(Seen::Own)),
            }
        }
    }
    Ok(seen)
}

async fn snapshots(context: &Context<'_>) -> Result<Vec<Seen>> {
    let call = context.ec2.describe_snapshots().owner_ids("self");
    let mut items = call
        .filters(tagged(context))
        .into_paginator()
        .items()
        .send();
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        let item = item.during("ec2:DescribeSnapshots", "the proof's tag")?;
        seen.extend(own(context, Kind::Snapshot, item.snapshot_id(), item.tags()).map(Seen::Own));
    }
    Ok(seen)
}

async fn volumes(context: &Context<'_>) -> Result<Vec<Seen>> {
    found!(
        context,
        Volume,
        "ec2:DescribeVolumes",
        describe_volumes,
        volume_id
    )
}

async fn interfaces(context: &Context<'_>) -> Result<Vec<Seen>> {
    let call = context
        .ec2
        .describe_network_interfaces()
        .filters(tagged(context));
    let mut items = call.into_paginator().items().send();
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        let item = item.during("ec2:DescribeNetworkInterfaces", "the proof's tag")?;
        let id = item.network_interface_id();
        // It goes with the instance that it was made with.
        let attachment = item.attachment();
        let goes = attachment.is_some_and(|it| it.delete_on_termination() == Some(true));
        if !goes {
            seen.extend(own(context, Kind::Interface, id, item.tag_set()).map(Seen::Own));
        }
    }
    Ok(seen)
}

async fn groups(context: &Context<'_>) -> Result<Vec<Seen>> {
    found!(
        context,
        SecurityGroup,
        "ec2:DescribeSecurityGroups",
        describe_security_groups,
        group_id
    )
}

async fn route_tables(context: &Context<'_>) -> Result<Vec<Seen>> {
    let call = context.ec2.describe_route_tables().filters(tagged(context));
    let mut items = call.into_paginator().items().send();
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        let item = item.during("ec2:DescribeRouteTables", "the proof's tag")?;
        let bonds = item.associations().iter();
        let bonds = bonds.filter_map(|it| it.route_table_association_id.clone());
        let bonds = bonds.collect();
        let own = own(
            context,
            Kind::RouteTable,
            item.route_table_id(),
            item.tags(),
        );
        seen.extend(own.map(|own| Seen::Own(own.bound_to(bonds))));
    }
    Ok(seen)
}

async fn subnets(context: &Context<'_>) -> Result<Vec<Seen>> {
    found!(
        context,
        Subnet,
        "ec2:DescribeSubnets",
        describe_subnets,
        subnet_id
    )
}

async fn gateways(context: &Context<'_>) -> Result<Vec<Seen>> {
    let call = context
        .ec2
        .describe_internet_gateways()
        .filters(tagged(context));
    let mut items = call.into_paginator().items().send();
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        let item = item.during("ec2:DescribeInternetGateways", "the proof's tag")?;
        let bonds = item.attachments().iter();
        let bonds = bonds.filter_map(|it| it.vpc_id.clone()).collect();
        let id = item.internet_gateway_id();
        let own = own(context, Kind::InternetGateway, id, item.tags());
        seen.extend(own.map(|own| Seen::Own(own.bound_to(bonds))));
    }
    Ok(seen)
}

async fn vpcs(context: &Context<'_>) -> Result<Vec<Seen>> {
    found!(context, Vpc, "ec2:DescribeVpcs", describe_vpcs, vpc_id)
}
