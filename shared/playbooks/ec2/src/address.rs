//! The public addresses of an interface.

use aws_sdk_ec2::Client;

use super::describe;
use super::instance::Address;
use super::membership::all;
use aws::error::{CallContext, Result};

/// Takes the addresses away: Elastic IP addresses stay the account's and can be given back; one that
/// EC2 assigned automatically is gone,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html>.
#[expect(
    clippy::disallowed_methods,
    reason = "the setting that takes public addresses away; a release gives them back"
)]
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
        if found.iter().any(is_assigned) {
            assign(client, interface, false).await
        } else {
            Ok(())
        }
    };
    let (elastic, assigned) = futures::join!(elastic, assigned);
    elastic.and(assigned)
}

/// Associates the Elastic IP addresses again, and has EC2 assign another address where it had assigned one. An address
/// that somebody else has now is not taken away, as `AssociateAddress` does by default,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html>.
pub(super) async fn put_back(client: &Client, interface: &str, found: &[Address]) -> Result<()> {
    let elastic = found.iter().filter(|address| address.allocation.is_some());
    all(elastic.map(async |address| {
        let done = client
            .associate_address()
            .set_allocation_id(address.allocation.clone())
            .network_interface_id(interface)
            .private_ip_address(&address.private)
            .allow_reassociation(false)
            .send()
            .await
            .during("ec2:AssociateAddress", &address.public);
        match done {
            Err(error) if error.has_code("Resource.AlreadyAssociated") => {
                let back = has(client, interface, &address.public).await?;
                if back { Ok(()) } else { Err(error) }
            }
            other => other.map(drop),
        }
    }))
    .await?;
    if found.iter().any(is_assigned) {
        assign(client, interface, true).await?;
    }
    Ok(())
}

/// EC2 gave it from its own, and takes and gives it with one attribute.
fn is_assigned(address: &Address) -> bool {
    address.allocation.is_none() && !address.carrier
}

async fn has(client: &Client, interface: &str, public: &str) -> Result<bool> {
    let found = describe::one_interface(client, interface).await?;
    let mut addresses = found.public_addresses.iter();
    Ok(addresses.any(|address| address.public == public))
}

/// Why the Elastic IP addresses cannot be given back: who has them now. Nothing where that cannot be read,
/// since giving back takes nothing from anybody.
pub(super) async fn taken(client: &Client, interface: &str, found: &[Address]) -> Option<String> {
    let elastic = found.iter().filter(|address| address.allocation.is_some());
    let ids: Vec<_> = elastic
        .filter_map(|address| address.allocation.clone())
        .collect();
    if ids.is_empty() {
        return None;
    }
    let call = client.describe_addresses().set_allocation_ids(Some(ids));
    let answer = match call.send().await.during("ec2:DescribeAddresses", interface) {
        Ok(answer) => answer,
        Err(error) if error.is_gone() => {
            return Some("the account no longer has an address that was taken away".to_owned());
        }
        Err(_) => return None,
    };
    let taken = answer.addresses().iter().filter_map(|address| {
        address.association_id()?;
        let by = address.network_interface_id().or(address.instance_id());
        let by = by.filter(|by| *by != interface)?;
        Some(format!(
            "{} is associated with {by}",
            address.public_ip().unwrap_or_default()
        ))
    });
    let taken: Vec<_> = taken.collect();
    (!taken.is_empty()).then(|| format!("{} now, and is not taken from there", taken.join(", ")))
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
