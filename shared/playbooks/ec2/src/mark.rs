//! The tags of what an incident touched.
//!
//! With the tag of an incident a service control policy, `infra/scp-keep-contained.yaml`, protects an instance and its
//! interfaces. Only the responder and the operators who release may change them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Tag;
use tokio::time::sleep;

use super::{describe, isolation_group};
use aws::error::{CallContext, Error, Result};

/// The tags of what an incident touched. Other keys than the snapshots', onto which the tags of a
/// volume are copied.
pub(super) const INCIDENT_TAG: &str = "gdr:incident";
pub(super) const TIME_TAG: &str = "gdr:incident-time";
pub(super) const GROUPS_TAG: &str = "gdr:prior-groups";

/// A tag's value is at most 256 characters long,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>.
const LONGEST: usize = 256;

/// Pauses before it is looked again whether an interface is isolated: EC2 answers reads from copies that lag
/// behind.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

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

/// Tags a resource if these interfaces are isolated. If the isolation of one was refused, the tag would only keep
/// others from isolating it: the policy denies changes of a tagged interface, and of the groups of a tagged
/// instance.
pub(super) async fn set(
    client: &Client,
    resource: &str,
    isolated: &BTreeSet<String>,
    tags: &BTreeMap<String, String>,
) -> Result<()> {
    for interface in isolated {
        if !is_isolated_in_the_end(client, interface).await? {
            return Err(Error::Refused(format!(
                "not tagged, because {interface} is not isolated"
            )));
        }
    }
    tag(client, resource, tags.clone()).await
}

async fn is_isolated_in_the_end(client: &Client, interface: &str) -> Result<bool> {
    for pause in PAUSES {
        if is_isolated(client, interface).await? {
            return Ok(true);
        }
        sleep(pause).await;
    }
    is_isolated(client, interface).await
}

async fn is_isolated(client: &Client, interface: &str) -> Result<bool> {
    let found = describe::one_interface(client, interface).await?;
    let mut groups = found.groups.iter();
    match (groups.next(), groups.next()) {
        (Some(only), None) => isolation_group::isolates(client, only).await,
        _ => Ok(false),
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
#[expect(
    clippy::disallowed_methods,
    reason = "release takes away the responder's own tags"
)]
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
