//! What changes the instance, its interfaces, volumes and tags.

use super::*;
use aws_sdk_ec2::operation::associate_address::AssociateAddressOutput;
use aws_sdk_ec2::operation::create_snapshots::CreateSnapshotsOutput;
use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
use aws_sdk_ec2::operation::delete_tags::DeleteTagsOutput;
use aws_sdk_ec2::operation::disassociate_address::DisassociateAddressOutput;
use aws_sdk_ec2::operation::modify_instance_attribute::ModifyInstanceAttributeOutput;
use aws_sdk_ec2::operation::modify_instance_metadata_options::ModifyInstanceMetadataOptionsOutput;
use aws_sdk_ec2::operation::modify_network_interface_attribute::ModifyNetworkInterfaceAttributeOutput;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    let modify = mock!(Client::modify_network_interface_attribute);
    vec![
        modify.answered_by(on, "ec2:ModifyNetworkInterfaceAttribute", |a, request| {
            let id = request.network_interface_id().unwrap();
            let interface = a
                .interfaces
                .get_mut(id)
                .ok_or("InvalidNetworkInterfaceID.NotFound")?;
            if !request.groups().is_empty() {
                if let Some(code) = interface.refuses {
                    return Err(code);
                }
                // The groups that interfaces are in at first are no groups of the account's.
                let responders = |id: &&String| id.contains("gdr") || id.contains("isolation");
                let mut responders = request.groups().iter().filter(responders);
                if !responders.all(|id| a.groups.contains_key(id)) {
                    return Err("InvalidGroup.NotFound");
                }
                // Nobody can use what another account has in a shared VPC.
                let foreign = |id: &String| a.groups.get(id).is_some_and(|of| of.owner.is_some());
                if request.groups().iter().any(foreign) {
                    return Err("InvalidParameterValue");
                }
                let left = interface.groups.iter().filter_map(|id| a.groups.get(id));
                let left = left.filter(|group| group.name.starts_with("gdr-conversion"));
                a.left_open.extend(left.cloned());
                let groups = request.groups().iter().cloned().collect();
                interface.before = Some(std::mem::replace(&mut interface.groups, groups));
                a.history.push((id.to_owned(), interface.groups.clone()));
            }
            if let Some(public) = request.associate_public_ip_address() {
                interface
                    .public
                    .retain(|(_, _, allocation)| allocation.is_some());
                if public {
                    interface.public.push(("203.0.113.99", None, None));
                }
            }
            if let Some(spec) = request.connection_tracking_specification() {
                let all = (
                    spec.tcp_established_timeout(),
                    spec.udp_stream_timeout(),
                    spec.udp_timeout(),
                );
                interface.timeouts = Some((all.0.unwrap(), all.1.unwrap(), all.2.unwrap()));
            }
            Ok(ModifyNetworkInterfaceAttributeOutput::builder().build())
        }),
        mock!(Client::modify_instance_attribute).answered_by(
            on,
            "ec2:ModifyInstanceAttribute",
            |a, request| {
                assert!(request.groups().is_empty());
                let mut attributes = request.block_device_mappings().len();
                for mapping in request.block_device_mappings() {
                    let volume = a
                        .volumes
                        .values_mut()
                        .find(|volume| Some(volume.0) == mapping.device_name());
                    volume.unwrap().1 = mapping.ebs().unwrap().delete_on_termination().unwrap();
                }
                if let Some(value) = request.disable_api_termination() {
                    a.termination = value.value().unwrap();
                    attributes += 1;
                }
                if let Some(value) = request.disable_api_stop() {
                    a.stop = value.value().unwrap();
                    attributes += 1;
                }
                if let Some(value) = request.instance_initiated_shutdown_behavior() {
                    a.shutdown = value.value().unwrap().to_owned();
                    attributes += 1;
                }
                assert_eq!(attributes, 1, "EC2 takes one attribute in a call");
                Ok(ModifyInstanceAttributeOutput::builder().build())
            },
        ),
        mock!(Client::modify_instance_metadata_options).answered_by(
            on,
            "ec2:ModifyInstanceMetadataOptions",
            |a, request| {
                a.metadata = request.http_endpoint().unwrap().as_str().to_owned();
                Ok(ModifyInstanceMetadataOptionsOutput::builder().build())
            },
        ),
        mock!(Client::disassociate_address).answered_by(
            on,
            "ec2:DisassociateAddress",
            |a, request| {
                for interface in a.interfaces.values_mut() {
                    interface
                        .public
                        .retain(|(_, association, _)| *association != request.association_id());
                    if request.association_id() == Some("eipassoc-c") {
                        interface.carrier = None;
                    }
                }
                Ok(DisassociateAddressOutput::builder().build())
            },
        ),
        mock!(Client::associate_address).answered_by(on, "ec2:AssociateAddress", |a, request| {
            assert_eq!(request.allocation_id(), Some("eipalloc-1"));
            assert_eq!(request.private_ip_address(), Some("10.0.0.5"));
            assert_eq!(request.allow_reassociation(), Some(false));
            let given = |own: &Iface| own.public.iter().any(|address| address.2.is_some());
            if a.address_at.is_some() || a.interfaces.values().any(given) {
                return Err("Resource.AlreadyAssociated");
            }
            let interface = a
                .interfaces
                .get_mut(request.network_interface_id().unwrap())
                .unwrap();
            interface
                .public
                .push(("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1")));
            Ok(AssociateAddressOutput::builder().build())
        }),
        mock!(Client::create_snapshots).answered_by(on, "ec2:CreateSnapshots", |a, request| {
            let of = request.instance_specification().unwrap();
            assert_eq!(of.instance_id(), Some(ID));
            let tags = request.tag_specifications()[0].tags();
            let finding = tags
                .iter()
                .find(|tag| tag.key() == Some("gdr:finding"))
                .unwrap()
                .value()
                .unwrap();
            let wanted = a.volumes.iter().filter(|(volume, (device, ..))| {
                let root = *device == "/dev/xvda" && of.exclude_boot_volume() == Some(true);
                !root && !of.exclude_data_volume_ids().iter().any(|id| id == *volume)
            });
            let wanted: Vec<_> = wanted.map(|(volume, _)| (*volume).to_owned()).collect();
            if let Some(limits) = &mut a.snapshot_limits {
                limits.take(&wanted)?;
            }
            let taken = wanted
                .into_iter()
                .map(|volume| (volume, finding.to_owned()));
            a.snapshots.extend(taken);
            Ok(CreateSnapshotsOutput::builder().build())
        }),
        mock!(Client::create_tags).answered_by(on, "ec2:CreateTags", |a, request| {
            for resource in request.resources() {
                if let Some(group) = a.groups.get_mut(resource) {
                    // The role sets no other tag on a group that is there.
                    let [tag] = request.tags() else {
                        panic!("{request:?}")
                    };
                    assert_eq!(
                        (tag.key(), tag.value()),
                        (Some("gdr:role"), Some("isolation"))
                    );
                    group.role = tag.value().map(str::to_owned);
                    continue;
                }
                let on = tags_of(a, resource).ok_or("InvalidID")?;
                for tag in request.tags() {
                    assert!(tag.value().unwrap().len() <= 256);
                    on.insert(
                        tag.key().unwrap().to_owned(),
                        tag.value().unwrap().to_owned(),
                    );
                }
            }
            Ok(CreateTagsOutput::builder().build())
        }),
        mock!(Client::delete_tags).answered_by(on, "ec2:DeleteTags", |a, request| {
            for resource in request.resources() {
                let on = tags_of(a, resource).ok_or("InvalidID")?;
                for tag in request.tags() {
                    let key = tag.key().unwrap();
                    if tag.value().is_none() || on.get(key).map(String::as_str) == tag.value() {
                        on.remove(key);
                    }
                }
            }
            Ok(DeleteTagsOutput::builder().build())
        }),
    ]
}

fn tags_of<'a>(account: &'a mut Account, resource: &str) -> Option<&'a mut Tags> {
    if resource == ID {
        return Some(&mut account.tags);
    }
    if let Some(interface) = account.interfaces.get_mut(resource) {
        return Some(&mut interface.tags);
    }
    account
        .volumes
        .get_mut(resource)
        .map(|volume| &mut volume.2)
}
