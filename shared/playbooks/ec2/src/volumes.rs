//! EC2's description of the volumes of an instance and of their snapshots.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Snapshot, SnapshotState};

use super::describe::tags;
use aws::error::{CallContext, Result};

/// The tag that says which finding a snapshot was taken for.
pub(super) const FINDING_TAG: &str = "gdr:finding";

/// The tags of the attached volumes.
pub(super) async fn volume_tags(
    client: &Client,
    id: &str,
) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let attached = Filter::builder()
        .name("attachment.instance-id")
        .values(id)
        .build();
    let mut pages = client
        .describe_volumes()
        .filters(attached)
        .into_paginator()
        .send();
    let mut volumes = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeVolumes", id)?;
        for volume in page.volumes.unwrap_or_default() {
            let tags = tags(&volume.tags.unwrap_or_default());
            volumes.extend(volume.volume_id.map(|id| (id, tags)));
        }
    }
    Ok(volumes)
}

/// The volumes of the snapshots that were taken for a finding.
pub(super) async fn snapshots(client: &Client, finding: &str) -> Result<BTreeSet<String>> {
    let taken = Filter::builder()
        .name(format!("tag:{FINDING_TAG}"))
        .values(finding)
        .build();
    let found = described_snapshots(client, vec![taken], finding).await?;
    let usable = found
        .into_iter()
        .filter(|snapshot| snapshot.state != Some(SnapshotState::Error));
    Ok(usable.filter_map(|snapshot| snapshot.volume_id).collect())
}

/// The snapshots of these volumes that are being taken, whoever began them.
pub(super) async fn pending_snapshots(
    client: &Client,
    volumes: &BTreeSet<String>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut pending: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    if volumes.is_empty() {
        return Ok(pending);
    }
    let filter = |name: &str| Filter::builder().name(name);
    let volumes = volumes.iter().cloned().collect();
    let filters = vec![
        filter("status").values("pending").build(),
        filter("volume-id").set_values(Some(volumes)).build(),
    ];
    for found in described_snapshots(client, filters, "the instance's volumes").await? {
        if let (Some(volume), Some(id)) = (found.volume_id, found.snapshot_id) {
            pending.entry(volume).or_default().insert(id);
        }
    }
    Ok(pending)
}

async fn described_snapshots(
    client: &Client,
    filters: Vec<Filter>,
    about: &str,
) -> Result<Vec<Snapshot>> {
    let mut pages = client
        .describe_snapshots()
        .owner_ids("self")
        .set_filters(Some(filters))
        .into_paginator()
        .send();
    let mut snapshots = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSnapshots", about)?;
        snapshots.extend(page.snapshots.unwrap_or_default());
    }
    Ok(snapshots)
}
