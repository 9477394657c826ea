//! What is read of the instance and of what belongs to it.

use std::collections::BTreeSet;

use super::*;
use aws_sdk_ec2::operation::describe_addresses::DescribeAddressesOutput;
use aws_sdk_ec2::operation::describe_instance_attribute::DescribeInstanceAttributeOutput;
use aws_sdk_ec2::operation::describe_instance_types::DescribeInstanceTypesOutput;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
use aws_sdk_ec2::operation::describe_regions::DescribeRegionsOutput;
use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
use aws_sdk_ec2::operation::describe_snapshots::DescribeSnapshotsOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::operation::describe_volumes::DescribeVolumesOutput;
use aws_sdk_ec2::operation::get_console_output::GetConsoleOutputOutput;
use aws_sdk_ec2::operation::get_managed_prefix_list_entries::GetManagedPrefixListEntriesOutput;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(Client::describe_instances).answered_by(on, "ec2:DescribeInstances", |a, request| {
            if let [wanted, _] = request.filters() {
                let alike = if wanted.values() == [profile("web-profile")] {
                    a.alike
                } else {
                    0
                };
                let alike = (0..alike).map(|_| t::Instance::builder().build());
                let alike = t::Reservation::builder().set_instances(Some(alike.collect()));
                return Ok(DescribeInstancesOutput::builder()
                    .reservations(alike.build())
                    .build());
            }
            assert_eq!(request.instance_ids(), [ID]);
            if a.missing {
                return Err("InvalidInstanceID.NotFound");
            }
            let volumes = a.volumes.iter().map(|(id, (device, delete, _))| {
                let ebs = t::EbsInstanceBlockDevice::builder()
                    .volume_id(*id)
                    .delete_on_termination(*delete);
                t::InstanceBlockDeviceMapping::builder()
                    .device_name(*device)
                    .ebs(ebs.build())
                    .build()
            });
            let profile = a
                .profile
                .map(|name| t::IamInstanceProfile::builder().arn(profile(name)).build());
            let state = if a.metadata_pending {
                t::InstanceMetadataOptionsState::Pending
            } else {
                t::InstanceMetadataOptionsState::Applied
            };
            let metadata = t::InstanceMetadataOptionsResponse::builder()
                .http_endpoint(a.metadata.as_str().into())
                .state(state);
            let operator = t::OperatorResponse::builder()
                .managed(a.operator)
                .principal("eks.amazonaws.com");
            let mut instance = t::Instance::builder()
                .instance_id(ID)
                .instance_type(a.kind.into())
                .state(t::InstanceState::builder().name(a.state.into()).build())
                .root_device_type(t::DeviceType::Ebs)
                .root_device_name("/dev/xvda")
                .set_block_device_mappings(Some(volumes.collect()))
                .set_iam_instance_profile(profile)
                .metadata_options(metadata.build())
                .operator(operator.build())
                .set_secondary_interfaces(Some(a.secondary.iter().map(secondary).collect()))
                .set_tags(tags(&a.tags));
            if a.spot {
                instance = instance.instance_lifecycle(t::InstanceLifecycleType::Spot);
            }
            Ok(DescribeInstancesOutput::builder()
                .reservations(
                    t::Reservation::builder()
                        .instances(instance.build())
                        .build(),
                )
                .build())
        }),
        mock!(Client::describe_regions).answered_by(on, "ec2:DescribeRegions", |a, request| {
            assert_ne!(request.all_regions(), Some(true), "also those not enabled");
            let regions = a.regions.iter();
            let regions = regions.map(|name| t::Region::builder().region_name(*name).build());
            Ok(DescribeRegionsOutput::builder()
                .set_regions(Some(regions.collect()))
                .build())
        }),
        mock!(Client::describe_network_interfaces).answered_by(
            on,
            "ec2:DescribeNetworkInterfaces",
            |a, request| {
                if let [of_vpc, description] = request.filters() {
                    assert_eq!(of_vpc.name(), Some("vpc-id"));
                    assert_eq!(description.values(), ["VPC Endpoint Interface *"]);
                    let found = a.endpoints.iter().map(|id| {
                        let description = format!("VPC Endpoint Interface {id}");
                        t::NetworkInterface::builder()
                            .description(description)
                            .build()
                    });
                    return Ok(DescribeNetworkInterfacesOutput::builder()
                        .set_network_interfaces(Some(found.collect()))
                        .build());
                }
                if let [in_group] = request.filters()
                    && in_group.name() == Some("group-id")
                {
                    let group = &in_group.values()[0];
                    let own = a
                        .interfaces
                        .values()
                        .filter(|own| own.groups.contains(group));
                    let count = own.count() + a.others_open;
                    let found = (0..count).map(|_| t::NetworkInterface::builder().build());
                    return Ok(DescribeNetworkInterfacesOutput::builder()
                        .set_network_interfaces(Some(found.collect()))
                        .build());
                }
                let filter = request.filters().iter();
                assert!(filter.clone().all(|filter| filter.values() == [ID]));
                let wanted = |id: &str| {
                    request.network_interface_ids().is_empty()
                        || request.network_interface_ids().iter().any(|i| i == id)
                };
                let mut found = Vec::new();
                for (id, interface) in a.interfaces.iter_mut().filter(|(id, _)| wanted(id)) {
                    if !lags(&mut interface.attached_after) {
                        found.push(described(id, interface));
                    }
                }
                let (from, page) = (request.next_token().map_or(0, number), a.page);
                let rest = (from + page < found.len()).then(|| (from + page).to_string());
                let shown = found.into_iter().skip(from).take(page).collect();
                Ok(DescribeNetworkInterfacesOutput::builder()
                    .set_network_interfaces(Some(shown))
                    .set_next_token(rest)
                    .build())
            },
        ),
        mock!(Client::describe_instance_attribute).answered_by(
            on,
            "ec2:DescribeInstanceAttribute",
            |a, _request| {
                let behavior = t::AttributeValue::builder().value(&a.shutdown).build();
                Ok(DescribeInstanceAttributeOutput::builder()
                    .disable_api_termination(flag(a.termination))
                    .disable_api_stop(flag(a.stop))
                    .instance_initiated_shutdown_behavior(behavior)
                    .build())
            },
        ),
        mock!(Client::describe_instance_types).answered_by(
            on,
            "ec2:DescribeInstanceTypes",
            |a, _request| {
                let nitro = a.kind.starts_with("m5");
                let hypervisor = if nitro {
                    t::InstanceTypeHypervisor::Nitro
                } else {
                    t::InstanceTypeHypervisor::Xen
                };
                let storage = t::InstanceStorageInfo::builder()
                    .total_size_in_gb(if a.kind.contains('d') { 75 } else { 0 });
                let kind = t::InstanceTypeInfo::builder()
                    .hypervisor(hypervisor)
                    .instance_storage_info(storage.build());
                Ok(DescribeInstanceTypesOutput::builder()
                    .instance_types(kind.build())
                    .build())
            },
        ),
        mock!(Client::describe_snapshots).answered_by(on, "ec2:DescribeSnapshots", |a, request| {
            if let [status, of_volumes] = request.filters() {
                assert_eq!(status.values(), ["pending"]);
                let pending = a.snapshot_limits.iter().flat_map(|limits| &limits.pending);
                let found = pending
                    .filter(|(volume, _)| of_volumes.values().contains(volume))
                    .map(|(volume, id)| {
                        t::Snapshot::builder()
                            .volume_id(volume)
                            .snapshot_id(id)
                            .build()
                    });
                return Ok(DescribeSnapshotsOutput::builder()
                    .set_snapshots(Some(found.collect()))
                    .build());
            }
            let finding = request.filters()[0].values()[0].clone();
            let of = a
                .snapshots
                .iter()
                .filter(|(_, taken_for)| *taken_for == finding);
            let found = of.map(|(volume, _)| t::Snapshot::builder().volume_id(volume).build());
            Ok(DescribeSnapshotsOutput::builder()
                .set_snapshots(Some(found.collect()))
                .build())
        }),
        mock!(Client::describe_volumes).answered_by(on, "ec2:DescribeVolumes", |a, _request| {
            let found = a.volumes.iter().map(|(id, (_, _, marks))| {
                t::Volume::builder()
                    .volume_id(*id)
                    .set_tags(tags(marks))
                    .build()
            });
            Ok(DescribeVolumesOutput::builder()
                .set_volumes(Some(found.collect()))
                .build())
        }),
        mock!(Client::describe_route_tables).answered_by(
            on,
            "ec2:DescribeRouteTables",
            |a, _request| {
                let route = a
                    .nat
                    .then(|| t::Route::builder().nat_gateway_id("nat-1").build());
                let transit = a
                    .transit
                    .then(|| t::Route::builder().transit_gateway_id("tgw-1").build());
                let carrier = a
                    .carrier_gateway
                    .then(|| t::Route::builder().carrier_gateway_id("cagw-1").build());
                let of = t::RouteTableAssociation::builder()
                    .subnet_id("subnet-of-eni-1")
                    .build();
                let routes = route.into_iter().chain(transit).chain(carrier).collect();
                let table = t::RouteTable::builder()
                    .vpc_id("vpc-1")
                    .associations(of)
                    .set_routes(Some(routes));
                let through = a.tables.iter().map(|table| {
                    let route = t::Route::builder()
                        .destination_cidr_block(table.destination)
                        .network_interface_id(table.to);
                    let of = table.subnets.iter().map(|subnet| {
                        t::RouteTableAssociation::builder()
                            .subnet_id(*subnet)
                            .build()
                    });
                    let main = table
                        .main
                        .then(|| t::RouteTableAssociation::builder().main(true).build());
                    t::RouteTable::builder()
                        .route_table_id(table.id)
                        .vpc_id("vpc-a")
                        .set_associations(Some(of.chain(main).collect()))
                        .routes(route.build())
                        .build()
                });
                let main = t::RouteTableAssociation::builder().main(true).build();
                let vpcs: BTreeSet<_> = a.interfaces.values().map(|own| own.vpc).collect();
                let mains = vpcs.into_iter().map(|vpc| {
                    let table = t::RouteTable::builder().vpc_id(vpc);
                    table.associations(main.clone()).build()
                });
                let tables = through.chain([table.build()]).chain(mains);
                let tables = tables.filter(|_| !a.no_tables).collect();
                Ok(DescribeRouteTablesOutput::builder()
                    .set_route_tables(Some(tables))
                    .build())
            },
        ),
        mock!(Client::describe_subnets).answered_by(on, "ec2:DescribeSubnets", |a, request| {
            let wanted = request.filters()[0].values().iter();
            let subnet = |id| {
                t::Subnet::builder()
                    .subnet_id(id)
                    .set_enable_lni_at_device_index(a.local_at)
                    .build()
            };
            let found = wanted.filter(|_| !a.no_subnets).map(subnet).collect();
            Ok(DescribeSubnetsOutput::builder()
                .set_subnets(Some(found))
                .build())
        }),
        mock!(Client::get_managed_prefix_list_entries).answered_by(
            on,
            "ec2:GetManagedPrefixListEntries",
            |a, request| {
                let list = request.prefix_list_id().unwrap();
                let entries = a.lists.get(list).ok_or("InvalidPrefixListID.NotFound")?;
                let entry = |cidr: &&str| t::PrefixListEntry::builder().cidr(*cidr).build();
                let entries = entries.iter().map(entry).collect();
                Ok(GetManagedPrefixListEntriesOutput::builder()
                    .set_entries(Some(entries))
                    .build())
            },
        ),
        mock!(Client::get_console_output).answered_by(on, "ec2:GetConsoleOutput", |a, _request| {
            Ok(GetConsoleOutputOutput::builder().output(&a.console).build())
        }),
        mock!(Client::describe_addresses).answered_by(on, "ec2:DescribeAddresses", |a, request| {
            assert_eq!(request.allocation_ids(), ["eipalloc-1"]);
            let own = a.interfaces.iter().find(|(_, own)| {
                own.public
                    .iter()
                    .any(|address| address.2 == Some("eipalloc-1"))
            });
            let at = a.address_at.or(own.map(|(id, _)| *id));
            let address = t::Address::builder()
                .public_ip("203.0.113.7")
                .set_association_id(at.map(|_| "eipassoc-2".to_owned()))
                .set_network_interface_id(at.map(str::to_owned));
            Ok(DescribeAddressesOutput::builder()
                .addresses(address.build())
                .build())
        }),
    ]
}

fn secondary((id, network): &(&'static str, &'static str)) -> t::InstanceSecondaryInterface {
    t::InstanceSecondaryInterface::builder()
        .secondary_interface_id(*id)
        .secondary_network_id(*network)
        .build()
}

fn flag(value: bool) -> t::AttributeBooleanValue {
    t::AttributeBooleanValue::builder().value(value).build()
}

/// As a read shows it: perhaps as it was before it changed.
fn described(id: &str, interface: &mut Iface) -> t::NetworkInterface {
    let stale = interface
        .before
        .clone()
        .filter(|_| lags(&mut interface.lags));
    let groups = stale.unwrap_or_else(|| interface.groups.clone());
    let groups = groups
        .iter()
        .map(|group| t::GroupIdentifier::builder().group_id(group).build());
    let addresses = interface
        .public
        .iter()
        .map(|(address, association, allocation)| {
            let association = t::NetworkInterfaceAssociation::builder()
                .public_ip(*address)
                .set_association_id(association.map(str::to_owned))
                .set_allocation_id(allocation.map(str::to_owned));
            t::NetworkInterfacePrivateIpAddress::builder()
                .private_ip_address("10.0.0.5")
                .association(association.build())
                .build()
        });
    let carrier = interface.carrier.map(|(address, allocation)| {
        let association = t::NetworkInterfaceAssociation::builder()
            .carrier_ip(address)
            .set_association_id(allocation.map(|_| "eipassoc-c".to_owned()))
            .set_allocation_id(allocation.map(str::to_owned));
        t::NetworkInterfacePrivateIpAddress::builder()
            .private_ip_address("10.0.0.5")
            .association(association.build())
            .build()
    });
    let addresses = addresses.chain(carrier);
    let attachment = t::NetworkInterfaceAttachment::builder().device_index(interface.device_index);
    let outpost = interface
        .outpost
        .then(|| "arn:aws:outposts:us-east-1:111122223333:outpost/op-0a1b2c3d4e5f60001".to_owned());
    let tracking = interface.timeouts.map(|(tcp, stream, udp)| {
        t::ConnectionTrackingConfiguration::builder()
            .tcp_established_timeout(tcp)
            .udp_stream_timeout(stream)
            .udp_timeout(udp)
            .build()
    });
    let ipv6 = interface.ipv6.iter().map(|address| {
        t::NetworkInterfaceIpv6Address::builder()
            .ipv6_address(*address)
            .build()
    });
    let kind = Some(interface.kind).filter(|kind| !kind.is_empty());
    t::NetworkInterface::builder()
        .network_interface_id(id)
        .set_interface_type(kind.map(Into::into))
        .set_ipv6_addresses(Some(ipv6.collect()))
        .vpc_id(interface.vpc)
        .subnet_id(format!("subnet-of-{id}"))
        .attachment(attachment.build())
        .set_outpost_arn(outpost)
        .private_ip_address("10.0.0.5")
        .requester_managed(interface.requester)
        .source_dest_check(!interface.unchecked)
        .requester_id("amazon-elb")
        .set_groups(Some(groups.collect()))
        .set_private_ip_addresses(Some(addresses.collect()))
        .set_connection_tracking_configuration(tracking)
        .set_tag_set(tags(&interface.tags))
        .build()
}

fn number(token: &str) -> usize {
    token.parse().expect("a number")
}
