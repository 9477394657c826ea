//! An instance and what belongs to it, as EC2 describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::timeouts::Timeouts;

/// An instance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Instance {
    pub(super) id: String,
    pub(super) state: String,
    /// The ARN of its instance profile.
    pub(super) profile: Option<String>,
    pub(super) spot: bool,
    /// An AWS service operates it (EKS Auto Mode, ECS Managed Instances, …).
    pub(super) operator: Option<String>,
    /// The EKS or ECS cluster that it is a node of, and how that is known.
    pub(super) cluster: Option<String>,
    /// The cluster that it claims by values that may have been set since the activity began.
    pub(super) claimed_cluster: Option<String>,
    pub(super) root_is_ebs: bool,
    pub(super) root_device: Option<String>,
    pub(super) volumes: Vec<Volume>,
    /// `enabled` or `disabled`; `None` if EC2 does not say.
    pub(super) metadata_endpoint: Option<String>,
    /// EC2 has not applied that yet.
    pub(super) metadata_pending: bool,
    pub(super) tags: BTreeMap<String, String>,
    /// It is on an Outpost.
    pub(super) on_outpost: bool,
    /// Its interfaces on networks of another kind, which have no security groups.
    pub(super) secondary_interfaces: Vec<SecondaryInterface>,
    /// EC2's other description of it, for the record.
    pub(super) described: Value,
}

/// A secondary interface: it belongs to a network for remote direct memory access (RDMA), outside of every VPC,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceSecondaryInterface.html>.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SecondaryInterface {
    pub(super) id: String,
    pub(super) network: Option<String>,
}

/// An EBS volume that is attached.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) device: String,
    pub(super) delete_on_termination: bool,
}

/// A network interface of an instance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Interface {
    pub(super) id: String,
    pub(super) vpc: String,
    pub(super) subnet: String,
    pub(super) groups: BTreeSet<String>,
    /// An AWS service manages it and allows no one else to change its groups.
    pub(super) requester: Option<String>,
    /// `interface`, `efa`, `efa-only`, `trunk`, `branch`, …
    pub(super) kind: String,
    /// 0 is the primary one.
    pub(super) device_index: Option<i32>,
    pub(super) on_outpost: bool,
    pub(super) private_addresses: BTreeSet<String>,
    pub(super) public_addresses: Vec<Address>,
    /// IPv6 addresses and prefixes.
    pub(super) ipv6_addresses: BTreeSet<String>,
    pub(super) timeouts: Timeouts,
    pub(super) tags: BTreeMap<String, String>,
    /// Whether EC2 lets it send and receive only what is from or for itself. `None`: EC2 does not say.
    pub(super) source_dest_check: Option<bool>,
}

impl Interface {
    /// The IPv6 addresses that are routed in the internet: all but those of private use (`fd00::/8`),
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html>.
    pub(super) fn global_ipv6(&self) -> impl Iterator<Item = &str> {
        let addresses = self.ipv6_addresses.iter().map(String::as_str);
        addresses.filter(|address| {
            let network = address.split('/').next().unwrap_or_default();
            let parsed: std::result::Result<Ipv6Addr, _> = network.parse();
            parsed.map_or(true, |ip| ip.segments()[0] & 0xfe00 != 0xfc00)
        })
    }

    /// The addresses by which the internet can reach it where a group and a route let it.
    pub(super) fn internet_addresses(&self) -> impl Iterator<Item = &str> {
        let v4 = self.public_addresses.iter();
        v4.map(|address| address.public.as_str())
            .chain(self.global_ipv6())
    }

    /// Whether it has this address in its VPC, however that is spelt.
    pub(super) fn has_address(&self, address: &str) -> bool {
        let wanted: std::result::Result<IpAddr, _> = address.parse();
        let mut own = self.private_addresses.iter().chain(&self.ipv6_addresses);
        own.any(|own| own == address || wanted.as_ref().is_ok_and(|ip| own.parse() == Ok(*ip)))
    }
}

/// A public address of an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// The public IPv4 address.
    pub public: String,
    /// It is of a carrier's network, by which devices of that network and the internet reach it,
    /// <https://docs.aws.amazon.com/wavelength/latest/developerguide/how-wavelengths-work.html>.
    #[serde(default)]
    pub carrier: bool,
    /// The private address that it is mapped to.
    pub private: String,
    /// The allocation of an Elastic IP address. `None`: it was assigned automatically and cannot be had again.
    pub allocation: Option<String>,
    /// The association of [`Address::allocation`].
    pub association: Option<String>,
}

impl Address {
    /// EC2 takes a carrier's address away only where it was allocated.
    pub(super) fn is_removable(&self) -> bool {
        self.allocation.is_some() || !self.carrier
    }
}

/// The private addresses that have a public one, each with its Elastic IP address, if it is one.
pub(super) fn mapped(addresses: &[Address]) -> BTreeSet<(&str, Option<&str>)> {
    let addresses = addresses.iter();
    addresses
        .map(|address| (address.private.as_str(), address.allocation.as_deref()))
        .collect()
}
