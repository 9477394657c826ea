//! Evidence: snapshots, and the console's output.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    CopyTagsFromSource, InstanceSpecification, ResourceType, Tag, TagSpecification,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::describe::{FINDING_TAG, pending_snapshots, snapshots};
use super::mark::tag_value;
use super::state::Rest;
use aws::error::{CallContext, Error, Result};
use model::investigation::listed;

/// EC2 took a snapshot of the volume less than [`INTERVAL`] ago.
const TOO_SOON: &str = "SnapshotCreationPerVolumeRateExceeded";
const INTERVAL: Duration = Duration::from_secs(15);
/// How often that is waited for: others take snapshots too.
const RETRIES: usize = 2;
/// EC2 is taking as many snapshots of the volume as it takes at the same time.
const TOO_MANY: &str = "ConcurrentSnapshotLimitExceeded";

/// Snapshots in a sentence.
const MOST_SHOWN: usize = 12;

/// Takes snapshots of all volumes. They are of one moment if EC2 takes them together.
///
/// EC2 takes one snapshot of a volume in 15 seconds, which are waited for: a second finding on an instance comes
/// within seconds. And it takes five at the same time, one of an `st1` or `sc1` volume, which may take hours. A volume
/// that has so many is left out, and the error says so after the others have theirs.
pub(super) async fn snapshot(
    client: &Client,
    instance: &str,
    finding: &str,
    volumes: &BTreeSet<String>,
    covered: &BTreeSet<String>,
    root: Option<&str>,
) -> Result<()> {
    let take = |covered: BTreeSet<String>| async move {
        let mut taken = take(client, instance, finding, volumes, &covered, root).await;
        for _ in 0..RETRIES {
            match &taken {
                Err(error) if error.has_code(TOO_SOON) => sleep(INTERVAL).await,
                _ => break,
            }
            taken = take(client, instance, finding, volumes, &covered, root).await;
        }
        taken
    };
    let error = match Box::pin(take(covered.clone())).await {
        Err(error) if error.has_code(TOO_MANY) => error,
        taken => return taken,
    };
    let pending = pending_snapshots(client, volumes).await?;
    let full: BTreeSet<_> = pending.into_keys().collect();
    if !full.is_empty() && !volumes.is_subset(&full) {
        Box::pin(take(covered | &full)).await?;
    }
    Err(error)
}

/// Takes snapshots of all volumes in one call, so that they are of one moment,
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshots.html>. Volumes with a snapshot for this
/// finding are left out, also those that another invocation took since.
async fn take(
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

/// True if a volume has been snapshotted too often: seconds ago, or by several snapshots that are still being taken,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
pub(super) fn is_too_often(error: &Error) -> bool {
    error.has_code(TOO_SOON) || error.has_code(TOO_MANY)
}

/// The snapshots of each of these volumes that are no older than a moment: those of the finding, and those that are
/// being taken. `None`: a volume has none.
pub(super) fn covered(volumes: &BTreeSet<String>, rest: &Rest) -> Option<String> {
    let (Ok(taken), Ok(pending)) = (&rest.snapshots, &rest.pending_snapshots) else {
        return None;
    };
    let missing: Vec<_> = volumes.difference(taken).collect();
    let covering: Option<Vec<_>> = missing.iter().map(|volume| pending.get(*volume)).collect();
    let covering: BTreeSet<_> = covering?.into_iter().flatten().cloned().collect();
    let covering: Vec<_> = covering.into_iter().collect();
    Some(format!(
        "each volume is covered by a snapshot that is being taken ({}): EC2 takes no more of them now",
        listed(&covering, MOST_SHOWN)
    ))
}

/// The kept part of the console's output, which is at most 64 KB and a third more as base64. The record drops evidence
/// of more than 64 KB.
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
