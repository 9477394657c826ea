//! Reads an instance, its interfaces and the isolation groups of their VPCs, all at once.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Filter;

use super::isolation_group::{self, IsolationGroup};
use super::{Instance, Interface, State};
use crate::error::{CallContext, Result};

pub(super) async fn observe(client: &Client, id: &str) -> Result<State> {
    // The interfaces' VPCs are not known yet; the group's name finds it in all of them, so that
    // nothing has to wait for the interfaces.
    let (instance, interfaces, groups) = futures::try_join!(
        instance(client, id),
        interfaces(client, id),
        isolation_group::find(client, None),
    )?;
    let groups: BTreeMap<String, IsolationGroup> = groups
        .into_iter()
        .map(|group| (group.vpc.clone(), group))
        .collect();
    Ok(State {
        instance,
        interfaces,
        groups,
    })
}

async fn instance(client: &Client, id: &str) -> Result<Option<Instance>> {
    let answer = client.describe_instances().instance_ids(id).send().await;
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
    Ok(found.map(|instance| Instance {
        state: instance.state.and_then(|state| state.name).map_or_else(
            || "in an unknown state".to_owned(),
            |name| name.as_str().to_owned(),
        ),
        profile: instance
            .iam_instance_profile
            .and_then(|profile| profile.arn),
    }))
}

/// From `DescribeNetworkInterfaces`, not from the finding, which is a picture of the past.
async fn interfaces(client: &Client, id: &str) -> Result<Vec<Interface>> {
    let attached = Filter::builder()
        .name("attachment.instance-id")
        .values(id)
        .build();
    let mut pages = client
        .describe_network_interfaces()
        .filters(attached)
        .into_paginator()
        .send();
    let mut interfaces = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeNetworkInterfaces", id)?;
        for found in page.network_interfaces.unwrap_or_default() {
            let groups = found.groups.unwrap_or_default();
            let managed = found.requester_managed.unwrap_or_default();
            interfaces.push(Interface {
                id: found.network_interface_id.unwrap_or_default(),
                vpc: found.vpc_id.unwrap_or_default(),
                groups: groups
                    .into_iter()
                    .filter_map(|group| group.group_id)
                    .collect(),
                requester: managed.then(|| {
                    found
                        .requester_id
                        .unwrap_or_else(|| "an AWS service".to_owned())
                }),
            });
        }
    }
    Ok(interfaces)
}
