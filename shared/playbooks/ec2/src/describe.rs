//! EC2's description of an instance and its interfaces: one question each.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, InstanceBlockDeviceMapping, InstanceLifecycleType, InstanceMetadataOptionsState,
    InstanceSecondaryInterface, NetworkInterface, OperatorResponse, Tag,
};
use serde_json::{Value, json};

use super::instance::{Address, Instance, Interface, SecondaryInterface, Volume};
use super::state::Hardware;
use super::timeouts::Timeouts;
use aws::error::{CallContext, Result};
use model::finding::Finding;

/// How many instances have the same instance profile, and with it the same role.
pub(super) async fn alike(client: &Client, profile: Option<&str>) -> Result<usize> {
    let Some(profile) = profile else {
        return Ok(0);
    };
    let filter = |name: &str, values: &[&str]| {
        let values = values.iter().map(ToString::to_string).collect();
        Filter::builder()
            .name(name)
            .set_values(Some(values))
            .build()
    };
    let mut pages = client
        .describe_instances()
        .filters(filter("iam-instance-profile.arn", &[profile]))
        .filters(filter("instance-state-name", &["pending", "running"]))
        .include_managed_resources(true)
        .into_paginator()
        .send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeInstances", profile)?;
        let reservations = page.reservations().iter();
        count += reservations
            .map(|reservation| reservation.instances().len())
            .sum::<usize>();
    }
    Ok(count)
}

pub(super) async fn instance(
    client: &Client,
    finding: &Finding,
    id: &str,
) -> Result<Option<Instance>> {
    let answer = client
        .describe_instances()
        .instance_ids(id)
        // Without it EC2 leaves out what an AWS service operates.
        .include_managed_resources(true)
        .send()
        .await;
    let answer = match answer.during("ec2:DescribeInstances", id) {
        Ok(answer) => answer,
        Err(error) if error.is_gone() => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = answer
        .reservations
        .unwrap_or_default()
        .into_iter()
        .flat_map(|reservation| reservation.instances.unwrap_or_default())
        .find(|instance| instance.instance_id() == Some(id));
    Ok(found.map(|found| described(finding, found)))
}

/// Whether this Region has the instance.
pub(super) async fn is_there(client: &Client, id: &str) -> Result<bool> {
    let answer = client
        .describe_instances()
        .instance_ids(id)
        .include_managed_resources(true)
        .send()
        .await;
    match answer.during("ec2:DescribeInstances", id) {
        Ok(answer) => Ok(!answer.reservations().is_empty()),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

fn described(finding: &Finding, found: aws_sdk_ec2::types::Instance) -> Instance {
    let described = shown(&found);
    let tags = tags(found.tags());
    let profile = found.iam_instance_profile.and_then(|profile| profile.arn);
    let volumes = found.block_device_mappings.unwrap_or_default();
    let volumes = volumes.into_iter().filter_map(volume).collect();
    let (cluster, claimed_cluster) = cluster(finding, &tags, profile.as_deref());
    let secondary_interfaces = found.secondary_interfaces.unwrap_or_default().into_iter();
    Instance {
        on_outpost: found.outpost_arn.is_some(),
        secondary_interfaces: secondary_interfaces.map(secondary_interface).collect(),
        id: found.instance_id.unwrap_or_default(),
        state: found.state.and_then(|state| state.name).map_or_else(
            || "in an unknown state".to_owned(),
            |name| name.as_str().to_owned(),
        ),
        cluster,
        claimed_cluster,
        profile,
        spot: found.instance_lifecycle == Some(InstanceLifecycleType::Spot),
        operator: found.operator.and_then(operator),
        root_is_ebs: found
            .root_device_type
            .is_none_or(|kind| kind.as_str() == "ebs"),
        root_device: found.root_device_name,
        volumes,
        metadata_pending: found
            .metadata_options
            .as_ref()
            .is_some_and(|options| options.state() == Some(&InstanceMetadataOptionsState::Pending)),
        metadata_endpoint: found
            .metadata_options
            .and_then(|options| options.http_endpoint)
            .map(|endpoint| endpoint.as_str().to_owned()),
        tags,
        described,
    }
}

/// The parts of the instance that the record and the notice show.
fn shown(found: &aws_sdk_ec2::types::Instance) -> Value {
    let text = |time: Option<&aws_sdk_ec2::primitives::DateTime>| time.map(ToString::to_string);
    json!({
        "ImageId": found.image_id(),
        "InstanceType": found.instance_type().map(|kind| kind.as_str()),
        "KeyName": found.key_name(),
        "LaunchTime": text(found.launch_time()),
        "Platform": found.platform_details(),
        "PrivateIpAddress": found.private_ip_address(),
        "PublicIpAddress": found.public_ip_address(),
        "RootDeviceName": found.root_device_name(),
        "SpotInstanceRequestId": found.spot_instance_request_id(),
        "StateTransitionReason": found.state_transition_reason(),
        "SubnetId": found.subnet_id(),
        "VpcId": found.vpc_id(),
        "MetadataTokens": found
            .metadata_options()
            .and_then(|options| options.http_tokens())
            .map(|tokens| tokens.as_str()),
    })
}

fn volume(mapping: InstanceBlockDeviceMapping) -> Option<Volume> {
    let ebs = mapping.ebs?;
    Some(Volume {
        id: ebs.volume_id?,
        device: mapping.device_name.unwrap_or_default(),
        delete_on_termination: ebs.delete_on_termination.unwrap_or_default(),
    })
}

fn secondary_interface(found: InstanceSecondaryInterface) -> SecondaryInterface {
    let id = found.secondary_interface_id;
    SecondaryInterface {
        id: id.unwrap_or_else(|| "a secondary interface".to_owned()),
        network: found.secondary_network_id,
    }
}

fn operator(found: OperatorResponse) -> Option<String> {
    let by = || {
        found
            .principal
            .unwrap_or_else(|| "an AWS service".to_owned())
    };
    found.managed.unwrap_or_default().then(by)
}

/// The EKS or ECS cluster that an instance is a node of, and the one that it only claims. Its tags are all that EC2
/// knows of it, and whoever has broken in may set tags. So only those count that nobody but AWS sets (`aws:`), and
/// those that GuardDuty saw, as with policies ([`model::resource::Resource::tags`]).
fn cluster(
    finding: &Finding,
    tags: &BTreeMap<String, String>,
    profile: Option<&str>,
) -> (Option<String>, Option<String>) {
    const MARKS: [(&str, &str); 6] = [
        ("kubernetes.io/cluster/", "EKS"),
        ("eks:", "EKS"),
        ("aws:eks:", "EKS"),
        ("karpenter.sh/", "EKS"),
        ("AmazonECSManaged", "ECS"),
        ("aws:ecs:", "ECS"),
    ];
    let shown = finding.instance_tags().unwrap_or_default();
    let marks = tags.iter().filter_map(|(key, value)| {
        let (_, service) = MARKS.iter().find(|(mark, _)| key.starts_with(mark))?;
        let counts = key.starts_with("aws:") || shown.contains(&(key.as_str(), value.as_str()));
        Some((counts, format!("{service} (tag {key})")))
    });
    let profile = profile.filter(|arn| arn.ends_with("/ecsInstanceRole"));
    let profile = profile.map(|arn| {
        let shown = finding.instance_profile_arn();
        let counts = shown.is_none_or(|shown| shown == arn);
        (counts, format!("ECS (instance profile {arn})"))
    });
    let (known, claimed): (Vec<_>, Vec<_>) = marks.chain(profile).partition(|(counts, _)| *counts);
    let first = |marks: Vec<(bool, String)>| marks.into_iter().next().map(|(_, mark)| mark);
    (first(known), first(claimed))
}

/// From `DescribeNetworkInterfaces`, not from the finding, which is a picture of the past.
pub(super) async fn interfaces(client: &Client, id: &str) -> Result<Vec<Interface>> {
    let attached = Filter::builder()
        .name("attachment.instance-id")
        .values(id)
        .build();
    let mut pages = client
        .describe_network_interfaces()
        .filters(attached)
        .include_managed_resources(true)
        .into_paginator()
        .send();
    let mut interfaces = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeNetworkInterfaces", id)?;
        let found = page.network_interfaces.unwrap_or_default();
        interfaces.extend(found.into_iter().map(interface));
    }
    Ok(interfaces)
}

/// One interface, as it is now. The default: EC2 does not show it.
pub(super) async fn one_interface(client: &Client, id: &str) -> Result<Interface> {
    let answer = client
        .describe_network_interfaces()
        .network_interface_ids(id)
        .send()
        .await
        .during("ec2:DescribeNetworkInterfaces", id)?;
    let mut found = answer.network_interfaces.unwrap_or_default().into_iter();
    Ok(found.next().map(interface).unwrap_or_default())
}

/// An interface as EC2 describes it.
pub(super) fn interface(found: NetworkInterface) -> Interface {
    let requester = if found.requester_managed.unwrap_or_default() {
        Some(found.requester_id)
    } else {
        let operator = found.operator.filter(|by| by.managed == Some(true));
        operator.map(|by| by.principal)
    };
    let mut private_addresses: BTreeSet<_> = found.private_ip_address.into_iter().collect();
    let mut public_addresses = Vec::new();
    for address in found.private_ip_addresses.unwrap_or_default() {
        let private = address.private_ip_address.unwrap_or_default();
        if let Some(association) = address.association {
            let of_internet = association.public_ip.map(|public| (public, false));
            let of_carrier = association.carrier_ip.map(|public| (public, true));
            let found = of_internet.or(of_carrier);
            public_addresses.extend(found.map(|(public, carrier)| Address {
                public,
                carrier,
                private: private.clone(),
                allocation: association.allocation_id,
                association: association.association_id,
            }));
        }
        private_addresses.insert(private);
    }
    let ipv6 = found.ipv6_addresses.unwrap_or_default().into_iter();
    let ipv6 = ipv6.filter_map(|address| address.ipv6_address);
    let prefixes = found.ipv6_prefixes.unwrap_or_default().into_iter();
    let prefixes = prefixes.filter_map(|prefix| prefix.ipv6_prefix);
    let tracking = found.connection_tracking_configuration;
    let attachment = found.attachment;
    Interface {
        device_index: attachment.and_then(|attachment| attachment.device_index),
        on_outpost: found.outpost_arn.is_some(),
        id: found.network_interface_id.unwrap_or_default(),
        vpc: found.vpc_id.unwrap_or_default(),
        subnet: found.subnet_id.unwrap_or_default(),
        groups: found
            .groups
            .unwrap_or_default()
            .into_iter()
            .filter_map(|group| group.group_id)
            .collect(),
        requester: requester.map(|by| by.unwrap_or_else(|| "an AWS service".to_owned())),
        kind: found
            .interface_type
            .map_or_else(|| "interface".to_owned(), |kind| kind.as_str().to_owned()),
        private_addresses,
        public_addresses,
        ipv6_addresses: ipv6.chain(prefixes).collect(),
        timeouts: tracking.map_or_else(Timeouts::default, |tracking| Timeouts {
            tcp_established: tracking.tcp_established_timeout,
            udp_stream: tracking.udp_stream_timeout,
            udp: tracking.udp_timeout,
        }),
        tags: tags(&found.tag_set.unwrap_or_default()),
        source_dest_check: found.source_dest_check,
    }
}

pub(super) fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    tags.iter().filter_map(pair).collect()
}

pub(super) async fn hardware(client: &Client, instance: Option<&Instance>) -> Result<Hardware> {
    let kind = instance.and_then(|found| found.described["InstanceType"].as_str());
    let Some(kind) = kind else {
        return Ok(Hardware::default());
    };
    let answer = client
        .describe_instance_types()
        .instance_types(kind.into())
        .send()
        .await
        .during("ec2:DescribeInstanceTypes", kind)?;
    let found = answer.instance_types().first();
    Ok(Hardware {
        nitro: found
            .and_then(|found| found.hypervisor())
            .is_some_and(|hypervisor| hypervisor.as_str() == "nitro")
            || found.is_some_and(|found| found.bare_metal() == Some(true)),
        instance_store_gb: found
            .and_then(|found| found.instance_storage_info())
            .and_then(|storage| storage.total_size_in_gb())
            .unwrap_or_default(),
    })
}
