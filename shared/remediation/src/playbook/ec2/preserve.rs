//! Evidence and marks: snapshots, the console's output, tags.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    CopyTagsFromSource, InstanceSpecification, ResourceType, Tag, TagSpecification,
};
use serde_json::{Value, json};

use super::describe::{FINDING_TAG, snapshots};
use crate::error::{CallContext, Result};

/// The tags of what an incident touched. Other keys than the snapshots', onto which the tags of a
/// volume are copied.
pub(super) const INCIDENT_TAG: &str = "gdr:incident";
pub(super) const TIME_TAG: &str = "gdr:incident-time";
pub(super) const GROUPS_TAG: &str = "gdr:prior-groups";

/// A tag's value is at most 256 characters long,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>.
const LONGEST: usize = 256;

pub(super) fn tag_value(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The groups an interface was in, if they fit into a tag.
pub(super) fn groups_value(groups: &BTreeSet<String>) -> String {
    let listed: Vec<_> = groups.iter().map(String::as_str).collect();
    let listed = listed.join(" ");
    if listed.is_empty() || listed.len() > LONGEST {
        "see the incident record".to_owned()
    } else {
        listed
    }
}

/// Takes snapshots of all volumes in one call, so that they are of one moment,
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshots.html>. Volumes that the
/// finding has a snapshot of are left out, also those that another invocation took meanwhile.
pub(super) async fn snapshot(
    client: &Client,
    instance: &str,
    finding: &str,
    volumes: &BTreeSet<String>,
    covered: &BTreeSet<String>,
    root: Option<&str>,
) -> Result<()> {
    let finding = tag_value(finding);
    let attached: BTreeSet<_> = volumes.union(covered).cloned().collect();
    let taken = snapshots(client, &finding).await?;
    let covered: BTreeSet<_> = covered | &(&taken & &attached);
    if volumes.is_subset(&covered) {
        return Ok(());
    }
    let without_root = root.is_some_and(|root| covered.contains(root));
    let left_out: Vec<_> = covered
        .into_iter()
        .filter(|volume| Some(volume.as_str()) != root)
        .collect();
    let of = InstanceSpecification::builder()
        .instance_id(instance)
        .set_exclude_boot_volume(without_root.then_some(true))
        .set_exclude_data_volume_ids((!left_out.is_empty()).then_some(left_out))
        .build();
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::Snapshot)
        .tags(tag(FINDING_TAG, &finding))
        .tags(tag("gdr:instance", instance))
        .build();
    let call = client
        .create_snapshots()
        .instance_specification(of)
        .description(format!("GuardDuty responder: evidence of {instance}"))
        .tag_specifications(tags);
    let copying = call
        .clone()
        .copy_tags_from_source(CopyTagsFromSource::Volume);
    match copying.send().await.during("ec2:CreateSnapshots", instance) {
        // A volume's own tags may leave no room for ours, which find the snapshots again.
        Err(error) if error.has_code("TagLimitExceeded") => {
            let done = call.send().await;
            done.during("ec2:CreateSnapshots", instance).map(drop)
        }
        done => done.map(drop),
    }
}

pub(super) async fn tag(
    client: &Client,
    resource: &str,
    tags: impl IntoIterator<Item = (String, String)>,
) -> Result<()> {
    let tags = tags
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    client
        .create_tags()
        .resources(resource)
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .during("ec2:CreateTags", resource)
        .map(drop)
}

/// Takes tags away again. With a value, only the tag that has it still.
pub(super) async fn untag(
    client: &Client,
    resource: &str,
    tags: &BTreeMap<String, Option<String>>,
) -> Result<()> {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).set_value(value.clone()).build());
    client
        .delete_tags()
        .resources(resource)
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .during("ec2:DeleteTags", resource)
        .map(drop)
}

/// What is kept of the console's output, which is at most 64 KB and a third more as base64. The record drops
/// evidence of more than 64 KB.
const MOST_CONSOLE: usize = 63 * 1024;

/// The console's output, base64 as EC2 hands it out, or the end of it that the record takes. The latest
/// there is, which only Nitro instances give; else what EC2 kept of the last start or stop.
pub(super) async fn console(client: &Client, instance: &str) -> Result<Value> {
    let call = client.get_console_output().instance_id(instance);
    let latest = call.clone().latest(true).send().await;
    let output = match latest.during("ec2:GetConsoleOutput", instance) {
        Err(error) if !error.is_transient() && !error.is_gone() => {
            call.send().await.during("ec2:GetConsoleOutput", instance)?
        }
        output => output?,
    };
    let base64 = output.output().unwrap_or_default().chars();
    let base64: String = base64.filter(char::is_ascii_graphic).collect();
    let (omitted, kept) =
        base64.split_at(base64.len().saturating_sub(MOST_CONSOLE).div_ceil(4) * 4);
    Ok(json!({
        "ConsoleOutput": {
            "InstanceId": instance,
            "Timestamp": output.timestamp().map(ToString::to_string),
            "OmittedBytes": omitted.len() / 4 * 3,
            "OutputBase64": output.output().map(|_| kept),
        },
    }))
}
