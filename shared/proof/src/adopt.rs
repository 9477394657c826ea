//! The resources that the responder made around the proof's victims: each gets the proof's tag and is removed with
//! them. These are the isolation group in the proof's VPC, and the snapshots of the proof's volumes.

use aws_sdk_ec2::types::{Filter, Tag};
use remediation::error::{CallContext as _, Result};

use crate::context::Context;
use crate::own::{Kind, Own};
use crate::record::Left;
use crate::request::TAG;

/// The tag by which the responder knows its own security groups.
const GROUP_ROLE: &str = "gdr:role";
/// The tag of the responder's snapshots.
const SNAPSHOT_OF: &str = "gdr:instance";

/// Tags what the responder made in `own`'s VPCs and of its volumes. Answers what could not be tagged, or looked for:
/// the means to find it must not be removed then.
pub(crate) async fn adopt(context: &Context<'_>, own: &[Own]) -> Vec<Left> {
    let ids = |kind| {
        let ids = own.iter().filter(|own| own.kind() == kind);
        ids.map(|own| own.id().to_owned()).collect::<Vec<_>>()
    };
    let groups = groups(context, ids(Kind::Vpc)).await;
    let snapshots = snapshots(context, ids(Kind::Volume)).await;
    let mut left = Vec::new();
    for (kind, found) in [(Kind::SecurityGroup, groups), (Kind::Snapshot, snapshots)] {
        let found = found.unwrap_or_else(|error| {
            left.push(Left::unknown(
                &format!("{}s of the responder", kind.word()),
                &error,
            ));
            Vec::new()
        });
        for id in found {
            if let Err(error) = tag(context, &id).await {
                left.push(Left {
                    resource: kind.show(&id),
                    why: error.to_string(),
                });
            }
        }
    }
    left
}

async fn tag(context: &Context<'_>, id: &str) -> Result<()> {
    let tag = Tag::builder().key(TAG).value(context.id.as_str()).build();
    let call = context.ec2.create_tags().resources(id).tags(tag);
    match call.send().await.during("ec2:CreateTags", id) {
        Err(error) if error.is_gone() => Ok(()),
        done => done.map(drop),
    }
}

async fn groups(context: &Context<'_>, vpcs: Vec<String>) -> Result<Vec<String>> {
    if vpcs.is_empty() {
        return Ok(Vec::new());
    }
    let of = |name: &str, values| {
        let filter = Filter::builder().name(name);
        filter.set_values(Some(values)).build()
    };
    let call = context
        .ec2
        .describe_security_groups()
        .filters(of("vpc-id", vpcs))
        .filters(of("tag-key", vec![GROUP_ROLE.to_owned()]));
    let mut groups = call.into_paginator().items().send();
    let mut untagged = Vec::new();
    while let Some(group) = groups.next().await {
        let group = group.during("ec2:DescribeSecurityGroups", "the proof's VPC")?;
        if !has_tag(group.tags()) {
            untagged.extend(group.group_id);
        }
    }
    Ok(untagged)
}

async fn snapshots(context: &Context<'_>, volumes: Vec<String>) -> Result<Vec<String>> {
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let of = Filter::builder().name("volume-id");
    let made_by = Filter::builder().name("tag-key").values(SNAPSHOT_OF);
    let call = context
        .ec2
        .describe_snapshots()
        .owner_ids("self")
        .filters(of.set_values(Some(volumes)).build())
        .filters(made_by.build());
    let mut snapshots = call.into_paginator().items().send();
    let mut untagged = Vec::new();
    while let Some(snapshot) = snapshots.next().await {
        let snapshot = snapshot.during("ec2:DescribeSnapshots", "the proof's volumes")?;
        if !has_tag(snapshot.tags()) {
            untagged.extend(snapshot.snapshot_id);
        }
    }
    Ok(untagged)
}

fn has_tag(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.key() == Some(TAG))
}
