//! Removing instances and all around them.

use aws_sdk_ec2::types::AttributeBooleanValue;
use remediation::error::{CallContext as _, Error, Result};

use crate::context::Context;
use crate::own::{Kind, Own};

pub(super) async fn remove(context: &Context<'_>, own: &Own) -> Result<()> {
    match own.kind() {
        Kind::Instance => terminate(context, own).await,
        Kind::Snapshot => delete_snapshot(context, own).await,
        Kind::Volume => delete_volume(context, own).await,
        Kind::Interface => delete_interface(context, own).await,
        Kind::SecurityGroup => delete_group(context, own).await,
        Kind::RouteTable => delete_route_table(context, own).await,
        Kind::Subnet => delete_subnet(context, own).await,
        Kind::InternetGateway => delete_internet_gateway(context, own).await,
        Kind::Vpc => delete_vpc(context, own).await,
        Kind::Function | Kind::User | Kind::Role | Kind::Bucket | Kind::Table => {
            Err(Error::Refused(format!("{own} is nothing of EC2")))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a route table that the proof made, in a VPC that the proof made"
)]
async fn delete_route_table(context: &Context<'_>, table: &Own) -> Result<()> {
    let (ec2, id) = (&context.ec2, table.id());
    for association in table.bonds() {
        let call = ec2.disassociate_route_table().association_id(association);
        let done = call.send().await;
        done.during("ec2:DisassociateRouteTable", id)?;
    }
    let done = ec2.delete_route_table().route_table_id(id).send().await;
    done.during("ec2:DeleteRouteTable", id).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a subnet that the proof made, with its tag read"
)]
async fn delete_subnet(context: &Context<'_>, subnet: &Own) -> Result<()> {
    let done = context
        .ec2
        .delete_subnet()
        .subnet_id(subnet.id())
        .send()
        .await;
    done.during("ec2:DeleteSubnet", subnet.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an internet gateway that the proof made: EC2 deletes none that is attached"
)]
async fn delete_internet_gateway(context: &Context<'_>, gateway: &Own) -> Result<()> {
    let (ec2, id) = (&context.ec2, gateway.id());
    for vpc in gateway.bonds() {
        let call = ec2.detach_internet_gateway().internet_gateway_id(id);
        let done = call.vpc_id(vpc).send().await;
        done.during("ec2:DetachInternetGateway", id)?;
    }
    let call = ec2.delete_internet_gateway().internet_gateway_id(id);
    let done = call.send().await;
    done.during("ec2:DeleteInternetGateway", id).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a VPC that the proof made, with its tag read"
)]
async fn delete_vpc(context: &Context<'_>, vpc: &Own) -> Result<()> {
    let done = context.ec2.delete_vpc().vpc_id(vpc.id()).send().await;
    done.during("ec2:DeleteVpc", vpc.id()).map(drop)
}

/// A containment protects its instance from termination. An instance that was not released still is.
async fn terminate(context: &Context<'_>, own: &Own) -> Result<()> {
    match terminate_instance(context, own).await {
        Err(error) if error.has_code("OperationNotPermitted") => {
            unprotect(context, own).await?;
            terminate_instance(context, own).await
        }
        done => done,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an instance that the proof made, with its tag read"
)]
async fn terminate_instance(context: &Context<'_>, instance: &Own) -> Result<()> {
    let call = context
        .ec2
        .terminate_instances()
        .instance_ids(instance.id());
    let done = call.send().await;
    done.during("ec2:TerminateInstances", instance.id())
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the termination protection that the containment gave to an instance that the proof made"
)]
async fn unprotect(context: &Context<'_>, instance: &Own) -> Result<()> {
    let off = AttributeBooleanValue::builder().value(false).build();
    let call = context.ec2.modify_instance_attribute();
    let call = call.instance_id(instance.id()).disable_api_termination(off);
    let done = call.send().await;
    done.during("ec2:ModifyInstanceAttribute", instance.id())
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a snapshot of a volume that the proof made, with its tag read"
)]
async fn delete_snapshot(context: &Context<'_>, snapshot: &Own) -> Result<()> {
    let call = context.ec2.delete_snapshot().snapshot_id(snapshot.id());
    let done = call.send().await;
    done.during("ec2:DeleteSnapshot", snapshot.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a volume that the proof made, with its tag read"
)]
async fn delete_volume(context: &Context<'_>, volume: &Own) -> Result<()> {
    let call = context.ec2.delete_volume().volume_id(volume.id());
    let done = call.send().await;
    done.during("ec2:DeleteVolume", volume.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a network interface that the proof made, with its tag read"
)]
async fn delete_interface(context: &Context<'_>, interface: &Own) -> Result<()> {
    let id = interface.id();
    let call = context.ec2.delete_network_interface();
    let done = call.network_interface_id(id).send().await;
    done.during("ec2:DeleteNetworkInterface", id).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a security group in the proof's VPC, with its tag read"
)]
async fn delete_group(context: &Context<'_>, group: &Own) -> Result<()> {
    let call = context.ec2.delete_security_group().group_id(group.id());
    let done = call.send().await;
    done.during("ec2:DeleteSecurityGroup", group.id()).map(drop)
}
