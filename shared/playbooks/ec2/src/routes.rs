//! The devices on the way of an instance's traffic that track its connections under all security groups,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, RouteTable};

use super::instance::Interface;
use aws::error::{CallContext, Result};

/// The VPCs of the interfaces, if there are any.
fn of_vpcs(interfaces: &[Interface]) -> Option<Filter> {
    let vpcs: BTreeSet<_> = interfaces.iter().map(|found| found.vpc.clone()).collect();
    let vpcs: Vec<_> = vpcs.into_iter().collect();
    let filter = || Filter::builder().name("vpc-id");
    (!vpcs.is_empty()).then(|| filter().set_values(Some(vpcs)).build())
}

/// True if a way out of a subnet is a carrier gateway: it does not track flows, and has addresses of its own by
/// which they come.
pub(super) fn is_carrier_gateway(id: &str) -> bool {
    id.starts_with("cagw-")
}

/// The route tables of the interfaces' VPCs.
pub(super) async fn tables(client: &Client, interfaces: &[Interface]) -> Result<Vec<RouteTable>> {
    let mut tables = Vec::new();
    let Some(of_vpcs) = of_vpcs(interfaces) else {
        return Ok(tables);
    };
    let mut pages = client
        .describe_route_tables()
        .filters(of_vpcs)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeRouteTables", "the instance's VPCs")?;
        tables.extend(page.route_tables.unwrap_or_default());
    }
    Ok(tables)
}

/// The next hops of each interface's subnet whose flows are tracked under all security groups: the ids of NAT gateways,
/// egress-only internet gateways, transit gateways, core networks and endpoints, also those of firewalls; and of
/// carrier gateways. An interface of which no table is shown is missing.
pub(super) async fn routes(
    client: &Client,
    interfaces: &[Interface],
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut routes = BTreeMap::new();
    let tables = tables(client, interfaces).await?;
    for interface in interfaces {
        let own = tables.iter().find(|table| {
            let mut associations = table.associations().iter();
            associations.any(|found| found.subnet_id() == Some(&interface.subnet))
        });
        let main = || {
            tables.iter().find(|table| {
                let mut associations = table.associations().iter();
                table.vpc_id() == Some(&interface.vpc)
                    && associations.any(|found| found.main() == Some(true))
            })
        };
        let Some(table) = own.or_else(main) else {
            continue;
        };
        let tracked: BTreeSet<_> = table
            .routes()
            .iter()
            .filter_map(|route| {
                let gateway = route.gateway_id().filter(|id| id.starts_with("vpce-"));
                route
                    .nat_gateway_id()
                    .or(route.egress_only_internet_gateway_id())
                    .or(route.transit_gateway_id())
                    .or(route.core_network_arn())
                    .or(route.carrier_gateway_id())
                    .or(gateway)
            })
            .map(ToOwned::to_owned)
            .collect();
        routes.insert(interface.id.clone(), tracked);
    }
    Ok(routes)
}

/// The interface endpoints of the interfaces' VPCs, by what EC2 writes on the network interfaces that they
/// consist of.
pub(super) async fn endpoints(
    client: &Client,
    interfaces: &[Interface],
) -> Result<BTreeSet<String>> {
    const DESCRIPTION: &str = "VPC Endpoint Interface ";
    let mut endpoints = BTreeSet::new();
    let Some(of_vpcs) = of_vpcs(interfaces) else {
        return Ok(endpoints);
    };
    let of_endpoints = Filter::builder()
        .name("description")
        .values(format!("{DESCRIPTION}*"))
        .build();
    let mut pages = client
        .describe_network_interfaces()
        .filters(of_vpcs)
        .filters(of_endpoints)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeNetworkInterfaces", "the instance's VPCs")?;
        let found = page.network_interfaces().iter();
        let ids = found.filter_map(|found| found.description()?.strip_prefix(DESCRIPTION));
        endpoints.extend(ids.map(ToOwned::to_owned));
    }
    Ok(endpoints)
}
