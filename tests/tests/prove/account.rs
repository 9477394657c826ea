//! The resources of a proof in an account, looked for by other ways than the proof's own: everything is listed, and what
//! has its id in its name, its path, its tags, or is in its VPC, counts.

use aws_sdk_ec2::types::{InstanceStateName, Tag};
use integration_tests::{LocalAws, Result};
use proof::Id;

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) resources: Vec<String>,
    pub(super) vpc: Option<String>,
}

impl Account {
    pub(super) async fn of(aws: &LocalAws, id: &Id) -> Result<Self> {
        let mut resources = named(aws, id).await?;
        let (network, vpc) = network(aws, id).await?;
        resources.extend(network);
        resources.sort();
        Ok(Self { resources, vpc })
    }
}

async fn named(aws: &LocalAws, id: &Id) -> Result<Vec<String>> {
    let part = format!("gdr-proof-{id}-");
    let mut names = Vec::new();
    let users = aws.iam().list_users().send().await?.users;
    names.extend(users.into_iter().map(|it| ("user", it.user_name)));
    let roles = aws.iam().list_roles().send().await?.roles;
    names.extend(roles.into_iter().map(|it| ("role", it.role_name)));
    let s3 = integration_tests::s3::client(&aws.root());
    let buckets = s3.list_buckets().send().await?.buckets.unwrap_or_default();
    names.extend(
        buckets
            .into_iter()
            .filter_map(|it| Some(("bucket", it.name?))),
    );
    let functions = aws_sdk_lambda::Client::new(&aws.root()).list_functions();
    let functions = functions.send().await?.functions.unwrap_or_default();
    names.extend(
        functions
            .into_iter()
            .filter_map(|it| Some(("function", it.function_name?))),
    );
    let tables = aws_sdk_dynamodb::Client::new(&aws.root()).list_tables();
    let tables = tables.send().await?.table_names.unwrap_or_default();
    names.extend(tables.into_iter().map(|it| ("table", it)));
    let of_proof = names
        .into_iter()
        .filter(|(_, name)| name.starts_with(&part));
    Ok(of_proof
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect())
}

async fn network(aws: &LocalAws, id: &Id) -> Result<(Vec<String>, Option<String>)> {
    let ec2 = aws.ec2();
    let mut found = Vec::new();
    let tagged = |tags: Option<&[Tag]>| {
        let mut tags = tags.unwrap_or_default().iter();
        tags.any(|tag| tag.key() == Some("gdr:proof") && tag.value() == Some(id.as_str()))
    };
    let vpcs = ec2.describe_vpcs().send().await?.vpcs.unwrap_or_default();
    let vpc = vpcs.into_iter().find(|it| tagged(it.tags.as_deref()));
    let vpc = vpc.and_then(|it| it.vpc_id);
    let inside = |of: &Option<String>| of.is_some() && *of == vpc;
    found.extend(vpc.iter().map(|id| format!("VPC {id}")));
    let reservations = ec2.describe_instances().send().await?.reservations;
    let instances = reservations.unwrap_or_default().into_iter();
    let mut volumes_of = Vec::new();
    for it in instances.flat_map(|it| it.instances.unwrap_or_default()) {
        let state = it.state.and_then(|state| state.name);
        if tagged(it.tags.as_deref()) {
            volumes_of.extend(it.instance_id.clone());
        }
        if state != Some(InstanceStateName::Terminated) && tagged(it.tags.as_deref()) {
            found.extend(it.instance_id.map(|id| format!("instance {id}")));
        }
    }
    let snapshots = ec2
        .describe_snapshots()
        .owner_ids("self")
        .send()
        .await?
        .snapshots;
    for it in snapshots.unwrap_or_default() {
        let tags = it.tags.unwrap_or_default();
        let of_ours = tags.iter().any(|tag| {
            tag.key() == Some("gdr:instance") && volumes_of.iter().any(|id| tag.value() == Some(id))
        });
        if of_ours || tagged(Some(&tags)) {
            found.extend(it.snapshot_id.map(|id| format!("snapshot {id}")));
        }
    }
    for it in ec2
        .describe_volumes()
        .send()
        .await?
        .volumes
        .unwrap_or_default()
    {
        if tagged(it.tags.as_deref()) {
            found.extend(it.volume_id.map(|id| format!("volume {id}")));
        }
    }
    for it in ec2
        .describe_network_interfaces()
        .send()
        .await?
        .network_interfaces
        .unwrap_or_default()
    {
        // Interfaces and volumes made with an instance go with it.
        let goes = it
            .attachment
            .is_some_and(|it| it.delete_on_termination == Some(true));
        if !goes && (inside(&it.vpc_id) || tagged(it.tag_set.as_deref())) {
            found.extend(
                it.network_interface_id
                    .map(|id| format!("network interface {id}")),
            );
        }
    }
    for it in ec2
        .describe_security_groups()
        .send()
        .await?
        .security_groups
        .unwrap_or_default()
    {
        let own = it.group_name.as_deref() != Some("default") && inside(&it.vpc_id);
        if own || tagged(it.tags.as_deref()) {
            found.extend(it.group_id.map(|id| format!("security group {id}")));
        }
    }
    for it in ec2
        .describe_subnets()
        .send()
        .await?
        .subnets
        .unwrap_or_default()
    {
        if inside(&it.vpc_id) || tagged(it.tags.as_deref()) {
            found.extend(it.subnet_id.map(|id| format!("subnet {id}")));
        }
    }
    for it in ec2
        .describe_internet_gateways()
        .send()
        .await?
        .internet_gateways
        .unwrap_or_default()
    {
        if tagged(it.tags.as_deref()) {
            found.extend(
                it.internet_gateway_id
                    .map(|id| format!("internet gateway {id}")),
            );
        }
    }
    for it in ec2
        .describe_route_tables()
        .send()
        .await?
        .route_tables
        .unwrap_or_default()
    {
        if tagged(it.tags.as_deref()) {
            found.extend(it.route_table_id.map(|id| format!("route table {id}")));
        }
    }
    Ok((found, vpc))
}
