//! Whether traffic gets to an instance and from it, as its security groups' rules say.
//!
//! No packet flows on an emulator, so the rules are evaluated. Routes and network ACLs are not: they
//! only forbid more, and the response does not rest on them.

use std::net::IpAddr;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, IpPermission, SecurityGroup};

use crate::Result;

/// A way between a peer on the internet and one network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub interface: String,
    pub direction: &'static str,
    pub group: String,
}

/// Every way that the groups leave open between `peer` and the instance's interfaces.
pub async fn reachable(ec2: &Client, instance_id: &str, peer: IpAddr) -> Result<Vec<Path>> {
    let mut paths = Vec::new();
    for (interface, group_ids) in interfaces(ec2, instance_id).await? {
        let groups = ec2
            .describe_security_groups()
            .set_group_ids(Some(group_ids))
            .send()
            .await?;
        for group in groups.security_groups() {
            for (direction, rules) in directions(group) {
                if rules.iter().any(|rule| admits(rule, peer)) {
                    paths.push(Path {
                        interface: interface.clone(),
                        direction,
                        group: group.group_name().unwrap_or_default().to_owned(),
                    });
                }
            }
        }
    }
    Ok(paths)
}

/// The instance's interfaces with their groups, as each interface has them now.
pub(super) async fn interfaces(
    ec2: &Client,
    instance_id: &str,
) -> Result<Vec<(String, Vec<String>)>> {
    let attached = Filter::builder()
        .name("attachment.instance-id")
        .values(instance_id)
        .build();
    let found = ec2
        .describe_network_interfaces()
        .filters(attached)
        .send()
        .await?;
    let mut interfaces: Vec<_> = found
        .network_interfaces()
        .iter()
        .map(|interface| {
            let id = interface
                .network_interface_id()
                .unwrap_or_default()
                .to_owned();
            let mut groups: Vec<String> = interface
                .groups()
                .iter()
                .filter_map(|group| group.group_id().map(str::to_owned))
                .collect();
            groups.sort();
            (id, groups)
        })
        .collect();
    interfaces.sort();
    if interfaces.is_empty() {
        return Err(format!("{instance_id} has no network interface").into());
    }
    Ok(interfaces)
}

fn directions(group: &SecurityGroup) -> [(&'static str, &[IpPermission]); 2] {
    [
        ("in", group.ip_permissions()),
        ("out", group.ip_permissions_egress()),
    ]
}

/// Whether a rule names an address range that holds `peer`. A rule for a prefix list counts as open,
/// since the list is not looked into. A rule for another group cannot admit a peer on the internet.
fn admits(rule: &IpPermission, peer: IpAddr) -> bool {
    let v4 = rule.ip_ranges().iter().filter_map(|range| range.cidr_ip());
    let v6 = rule
        .ipv6_ranges()
        .iter()
        .filter_map(|range| range.cidr_ipv6());
    !rule.prefix_list_ids().is_empty() || v4.chain(v6).any(|cidr| contains(cidr, peer))
}

fn contains(cidr: &str, address: IpAddr) -> bool {
    let Some((network, length)) = cidr.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let host_bits = 32_u32.saturating_sub(length);
            (network.to_bits() ^ address.to_bits())
                .checked_shr(host_bits)
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let host_bits = 128_u32.saturating_sub(length);
            (network.to_bits() ^ address.to_bits())
                .checked_shr(host_bits)
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_range_holds_its_own_addresses_and_no_others() {
        for (cidr, address, expected) in [
            ("0.0.0.0/0", "198.51.100.7", true),
            ("198.51.100.0/24", "198.51.100.7", true),
            ("198.51.100.7/32", "198.51.100.7", true),
            ("198.51.100.8/32", "198.51.100.7", false),
            ("10.0.0.0/8", "198.51.100.7", false),
            ("::/0", "2001:db8::7", true),
            ("2001:db8::/32", "2001:db8::7", true),
            ("2001:db9::/32", "2001:db8::7", false),
            ("::/0", "198.51.100.7", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(contains(cidr, address), expected, "{cidr} {address}");
        }
    }
}
