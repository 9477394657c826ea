//! The public addresses of an interface.

use aws_sdk_ec2::Client;

use super::membership::all;
use super::state::Address;
use crate::error::{CallContext, Result};

/// Takes the addresses away: Elastic IP addresses stay the account's and can be given back; one that
/// EC2 assigned automatically is gone,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html>.
pub(super) async fn remove(client: &Client, interface: &str, found: &[Address]) -> Result<()> {
    let elastic = found.iter().filter(|address| address.allocation.is_some());
    let elastic = all(elastic.map(async |address| {
        let gone = client
            .disassociate_address()
            .set_association_id(address.association.clone())
            .send()
            .await
            .during("ec2:DisassociateAddress", &address.public);
        match gone {
            Err(error) if error.has_code("InvalidAssociationID.NotFound") => Ok(()),
            other => other.map(drop),
        }
    }));
    let assigned = async {
        if found.iter().any(|address| address.allocation.is_none()) {
            assign(client, interface, false).await
        } else {
            Ok(())
        }
    };
    let (elastic, assigned) = futures::join!(elastic, assigned);
    elastic.and(assigned)
}

/// Associates the Elastic IP addresses again, and has EC2 assign another address where it had assigned
/// one.
pub(super) async fn put_back(client: &Client, interface: &str, found: &[Address]) -> Result<()> {
    let elastic = found.iter().filter(|address| address.allocation.is_some());
    all(elastic.map(async |address| {
        client
            .associate_address()
            .set_allocation_id(address.allocation.clone())
            .network_interface_id(interface)
            .private_ip_address(&address.private)
            .send()
            .await
            .during("ec2:AssociateAddress", &address.public)
            .map(drop)
    }))
    .await?;
    if found.iter().any(|address| address.allocation.is_none()) {
        assign(client, interface, true).await?;
    }
    Ok(())
}

async fn assign(client: &Client, interface: &str, public: bool) -> Result<()> {
    client
        .modify_network_interface_attribute()
        .network_interface_id(interface)
        .associate_public_ip_address(public)
        .send()
        .await
        .during("ec2:ModifyNetworkInterfaceAttribute", interface)
        .map(drop)
}
