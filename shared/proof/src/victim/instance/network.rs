//! A VPC of its own, with a way to the internet.

use aws_sdk_ec2::types::{
    Filter, InstanceType, IpPermission, IpRange, LocationType, ResourceType, Tag, TagSpecification,
};
use remediation::error::{CallContext as _, Result};

use crate::context::{Context, lacking};
use crate::reach::PORT;

/// The smallest kind that every Region has.
pub(super) const KIND: InstanceType = InstanceType::T3Nano;
const VPC_RANGE: &str = "10.0.0.0/24";
const SUBNET_RANGE: &str = "10.0.0.0/26";
const EVERYWHERE: &str = "0.0.0.0/0";

#[derive(Debug)]
pub(super) struct Network {
    pub(super) vpc: String,
    pub(super) subnet: String,
    pub(super) group: String,
}

pub(super) async fn network(context: &Context<'_>) -> Result<Network> {
    let vpc = Box::pin(vpc(context)).await?;
    let subnet = Box::pin(subnet(context, &vpc)).await?;
    Box::pin(way_out(context, &vpc, &subnet)).await?;
    let group = Box::pin(group(context, &vpc)).await?;
    Ok(Network { vpc, subnet, group })
}

async fn vpc(context: &Context<'_>) -> Result<String> {
    let call = context.ec2.create_vpc().cidr_block(VPC_RANGE);
    let call = call.tag_specifications(tags(context, ResourceType::Vpc, "vpc"));
    let made = call
        .send()
        .await
        .during("ec2:CreateVpc", "the proof's VPC")?;
    let id = made.vpc.and_then(|vpc| vpc.vpc_id);
    let id = id.ok_or_else(|| lacking("ec2:CreateVpc", "the proof's VPC", "id"))?;
    context.made(format!("VPC {id}"));
    Ok(id)
}

async fn subnet(context: &Context<'_>, vpc: &str) -> Result<String> {
    let zone = Box::pin(zone(context)).await?;
    let id = context
        .once_there(async || {
            let call = context.ec2.create_subnet().vpc_id(vpc);
            let call = call
                .cidr_block(SUBNET_RANGE)
                .set_availability_zone(zone.clone())
                .tag_specifications(tags(context, ResourceType::Subnet, "subnet"));
            let made = call.send().await.during("ec2:CreateSubnet", vpc)?;
            Ok(made.subnet.and_then(|subnet| subnet.subnet_id))
        })
        .await?;
    let id = id.ok_or_else(|| lacking("ec2:CreateSubnet", vpc, "subnet"))?;
    context.made(format!("subnet {id}"));
    Ok(id)
}

/// An Availability Zone that has the kind of instance: not all have.
async fn zone(context: &Context<'_>) -> Result<Option<String>> {
    let kind = Filter::builder().name("instance-type");
    let call = context
        .ec2
        .describe_instance_type_offerings()
        .location_type(LocationType::AvailabilityZone)
        .filters(kind.values(KIND.as_str()).build());
    let offered = call.send().await;
    let offered = offered.during("ec2:DescribeInstanceTypeOfferings", KIND.as_str())?;
    let zones = offered.instance_type_offerings().iter();
    Ok(zones.filter_map(|offer| offer.location.clone()).min())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the way out of a VPC that the proof made"
)]
async fn way_out(context: &Context<'_>, vpc: &str, subnet: &str) -> Result<()> {
    let ec2 = &context.ec2;
    let call = ec2.create_internet_gateway();
    let call = call.tag_specifications(tags(context, ResourceType::InternetGateway, "gateway"));
    let made = call.send().await.during("ec2:CreateInternetGateway", vpc)?;
    let gateway = made.internet_gateway.and_then(|it| it.internet_gateway_id);
    let gateway = gateway.ok_or_else(|| lacking("ec2:CreateInternetGateway", vpc, "id"))?;
    context.made(format!("internet gateway {gateway}"));
    context
        .once_there(async || {
            let call = ec2.attach_internet_gateway().vpc_id(vpc);
            let done = call.internet_gateway_id(&gateway).send().await;
            done.during("ec2:AttachInternetGateway", &gateway).map(drop)
        })
        .await?;
    let call = ec2.create_route_table().vpc_id(vpc);
    let call = call.tag_specifications(tags(context, ResourceType::RouteTable, "routes"));
    let made = call.send().await.during("ec2:CreateRouteTable", vpc)?;
    let table = made.route_table.and_then(|it| it.route_table_id);
    let table = table.ok_or_else(|| lacking("ec2:CreateRouteTable", vpc, "id"))?;
    context.made(format!("route table {table}"));
    context
        .once_there(async || {
            let call = ec2.create_route().route_table_id(&table);
            let call = call.destination_cidr_block(EVERYWHERE).gateway_id(&gateway);
            let done = call.send().await;
            done.during("ec2:CreateRoute", &table).map(drop)
        })
        .await?;
    context
        .once_there(async || {
            let call = ec2.associate_route_table().route_table_id(&table);
            let done = call.subnet_id(subnet).send().await;
            done.during("ec2:AssociateRouteTable", &table).map(drop)
        })
        .await
}

/// A group that lets everybody in to the one port, and everything out, as new groups do.
#[expect(
    clippy::disallowed_methods,
    reason = "the group of the instance that the proof attacks, in a VPC that the proof made"
)]
async fn group(context: &Context<'_>, vpc: &str) -> Result<String> {
    let ec2 = &context.ec2;
    let call = ec2.create_security_group().vpc_id(vpc);
    let call = call
        .group_name(context.id.name("web"))
        .description("Of the instances of a proof")
        .tag_specifications(tags(context, ResourceType::SecurityGroup, "web"));
    let made = call.send().await.during("ec2:CreateSecurityGroup", vpc)?;
    let id = made.group_id;
    let id = id.ok_or_else(|| lacking("ec2:CreateSecurityGroup", vpc, "id"))?;
    context.made(format!("security group {id}"));
    let port = i32::from(PORT);
    let rule = IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(port)
        .to_port(port)
        .ip_ranges(IpRange::builder().cidr_ip(EVERYWHERE).build())
        .build();
    context
        .once_there(async || {
            let call = ec2.authorize_security_group_ingress().group_id(&id);
            let done = call.ip_permissions(rule.clone()).send().await;
            done.during("ec2:AuthorizeSecurityGroupIngress", &id)
                .map(drop)
        })
        .await?;
    Ok(id)
}

pub(super) async fn interface(
    context: &Context<'_>,
    network: &Network,
    name: &str,
) -> Result<String> {
    let call = context
        .ec2
        .create_network_interface()
        .subnet_id(&network.subnet)
        .groups(&network.group)
        .tag_specifications(tags(context, ResourceType::NetworkInterface, name));
    let made = call.send().await;
    let made = made.during("ec2:CreateNetworkInterface", &network.subnet)?;
    let id = made
        .network_interface
        .and_then(|it| it.network_interface_id);
    let id = id.ok_or_else(|| lacking("ec2:CreateNetworkInterface", &network.subnet, "id"))?;
    context.made(format!("network interface {id}"));
    Ok(id)
}

/// The tags of what is made for a resource of EC2.
pub(super) fn tags(context: &Context<'_>, kind: ResourceType, name: &str) -> TagSpecification {
    let tags = context
        .tags(name)
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.collect()))
        .build()
}
