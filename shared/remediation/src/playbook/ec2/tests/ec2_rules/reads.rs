//! What is read of the instance and of what belongs to it.

use super::*;

pub(super) fn rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    vec![
        rule!(
            account,
            wire,
            describe_instances,
            describe_instances,
            DescribeInstancesOutput,
            "ec2:DescribeInstances",
            |a, request, out| {
                if let [profile, _] = request.filters() {
                    let arn = "arn:aws:iam::111122223333:instance-profile/apps/web-profile";
                    let alike = if profile.values() == [arn] {
                        a.alike
                    } else {
                        0
                    };
                    let alike = (0..alike).map(|_| t::Instance::builder().build());
                    let alike = t::Reservation::builder().set_instances(Some(alike.collect()));
                    return Ok(out.reservations(alike.build()).build());
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
                let profile = t::IamInstanceProfile::builder()
                    .arn("arn:aws:iam::111122223333:instance-profile/apps/web-profile");
                let metadata = t::InstanceMetadataOptionsResponse::builder()
                    .http_endpoint(a.metadata.as_str().into());
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
                    .iam_instance_profile(profile.build())
                    .metadata_options(metadata.build())
                    .operator(operator.build())
                    .set_tags(tags(&a.tags));
                if a.spot {
                    instance = instance.instance_lifecycle(t::InstanceLifecycleType::Spot);
                }
                Ok(out
                    .reservations(
                        t::Reservation::builder()
                            .instances(instance.build())
                            .build(),
                    )
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            describe_network_interfaces,
            describe_network_interfaces,
            DescribeNetworkInterfacesOutput,
            "ec2:DescribeNetworkInterfaces",
            |a, request, out| {
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
                Ok(out
                    .set_network_interfaces(Some(shown))
                    .set_next_token(rest)
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            describe_instance_attribute,
            describe_instance_attribute,
            DescribeInstanceAttributeOutput,
            "ec2:DescribeInstanceAttribute",
            |a, _request, out| {
                let behavior = t::AttributeValue::builder().value(&a.shutdown).build();
                Ok(out
                    .disable_api_termination(flag(a.termination))
                    .disable_api_stop(flag(a.stop))
                    .instance_initiated_shutdown_behavior(behavior)
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            describe_instance_types,
            describe_instance_types,
            DescribeInstanceTypesOutput,
            "ec2:DescribeInstanceTypes",
            |a, _request, out| {
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
                Ok(out.instance_types(kind.build()).build())
            }
        ),
        rule!(
            account,
            wire,
            describe_snapshots,
            describe_snapshots,
            DescribeSnapshotsOutput,
            "ec2:DescribeSnapshots",
            |a, request, out| {
                let finding = request.filters()[0].values()[0].clone();
                let of = a
                    .snapshots
                    .iter()
                    .filter(|(_, taken_for)| *taken_for == finding);
                let found = of.map(|(volume, _)| t::Snapshot::builder().volume_id(volume).build());
                Ok(out.set_snapshots(Some(found.collect())).build())
            }
        ),
        rule!(
            account,
            wire,
            describe_volumes,
            describe_volumes,
            DescribeVolumesOutput,
            "ec2:DescribeVolumes",
            |a, _request, out| {
                let found = a.volumes.iter().map(|(id, (_, _, marks))| {
                    t::Volume::builder()
                        .volume_id(*id)
                        .set_tags(tags(marks))
                        .build()
                });
                Ok(out.set_volumes(Some(found.collect())).build())
            }
        ),
        rule!(
            account,
            wire,
            describe_route_tables,
            describe_route_tables,
            DescribeRouteTablesOutput,
            "ec2:DescribeRouteTables",
            |a, _request, out| {
                let route = a
                    .nat
                    .then(|| t::Route::builder().nat_gateway_id("nat-1").build());
                let of = t::RouteTableAssociation::builder()
                    .subnet_id("subnet-of-eni-1")
                    .build();
                let table = t::RouteTable::builder()
                    .vpc_id("vpc-1")
                    .associations(of)
                    .set_routes(Some(route.into_iter().collect()));
                Ok(out.route_tables(table.build()).build())
            }
        ),
        rule!(
            account,
            wire,
            get_console_output,
            get_console_output,
            GetConsoleOutputOutput,
            "ec2:GetConsoleOutput",
            |_a, _request, out| Ok(out.output("bG9naW46").build())
        ),
    ]
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
    let tracking = interface.timeouts.map(|(tcp, stream, udp)| {
        t::ConnectionTrackingConfiguration::builder()
            .tcp_established_timeout(tcp)
            .udp_stream_timeout(stream)
            .udp_timeout(udp)
            .build()
    });
    t::NetworkInterface::builder()
        .network_interface_id(id)
        .vpc_id(interface.vpc)
        .subnet_id(format!("subnet-of-{id}"))
        .private_ip_address("10.0.0.5")
        .requester_managed(interface.requester)
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
