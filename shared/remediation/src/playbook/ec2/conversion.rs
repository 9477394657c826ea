//! Cutting the connections that were open before an interface was isolated.
//!
//! A tracked connection outlives a change of groups. A connection becomes untracked when a packet of it
//! meets rules that let everything through in both directions, and an untracked one is cut when those
//! rules go, <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
//! So an isolated interface is put into such a group for some seconds, for IPv4 and IPv6, and back.
//! Meanwhile everything gets through: it is a setting, it is short, and it always ends isolated.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range};
use tokio::time::{Instant, sleep};

use super::isolation_group::{self, CONVERSION_NAME};
use super::{observe, preserve};
use crate::error::{CallContext, Error, Result};

/// The tag of an interface whose connections were cut: the finding for which they were.
pub(super) const CUT_TAG: &str = "gdr:connections-cut";

/// What is kept of the time for isolating again.
const TO_ISOLATE_AGAIN: Duration = Duration::from_secs(20);
/// Opening for less time than this converts too little to be worth it.
const SHORTEST: Duration = Duration::from_secs(2);
/// Isolating again is tried until it is done: half a minute of it, beyond the SDK's own retries.
const PAUSES: [u64; 8] = [200, 500, 1_000, 2_000, 4_000, 6_000, 8_000, 8_000];

/// Opens an interface that is isolated for at most `seconds`, and isolates it again.
pub(super) async fn cut(
    client: &Client,
    vpc: &str,
    interface: &str,
    seconds: u8,
    finding: &str,
    until: Instant,
) -> Result<()> {
    let isolation = isolation_group::empty(client, vpc, interface).await?;
    let found = client
        .describe_network_interfaces()
        .network_interface_ids(interface)
        .send()
        .await
        .during("ec2:DescribeNetworkInterfaces", interface)?;
    let found = found
        .network_interfaces
        .unwrap_or_default()
        .into_iter()
        .next();
    let found = found.map(observe::interface).unwrap_or_default();
    if !found.groups.iter().eq([&isolation.id]) {
        return Err(Error::Refused(format!(
            "{interface} is not isolated, so it was not opened to cut its connections"
        )));
    }
    if let Some(address) = found.public_addresses.first() {
        return Err(Error::Refused(format!(
            "{interface} still has the public address {}, so it was not opened to cut its connections",
            address.public,
        )));
    }
    let open = prepare(client, vpc).await?;
    let left = until.saturating_duration_since(Instant::now());
    let wait = Duration::from_secs(seconds.into()).min(left.saturating_sub(TO_ISOLATE_AGAIN));
    if wait < SHORTEST {
        return Err(Error::Refused(format!(
            "too little of the function's time was left to open {interface} and be sure to isolate it again"
        )));
    }
    // A task of its own: whoever waits for it may be cut off by the deadline, and isolating again must
    // not be.
    let (opened, name, isolated) = (client.clone(), interface.to_owned(), isolation.id.clone());
    let task = tokio::spawn(async move {
        // A call that fails may have taken effect all the same.
        let answer = isolation_group::set_groups(&opened, &name, [open].into()).await;
        if answer.is_ok() {
            sleep(wait).await;
        }
        isolate_again(&opened, &name, &isolated).await?;
        answer
    });
    match task.await {
        Ok(done) => done?,
        Err(_) => isolate_again(client, interface, &isolation.id).await?,
    }
    preserve::tag(
        client,
        interface,
        [(CUT_TAG.to_owned(), preserve::tag_value(finding))],
    )
    .await
}

async fn isolate_again(client: &Client, interface: &str, isolation: &str) -> Result<()> {
    for pause in PAUSES {
        match isolation_group::set_groups(client, interface, [isolation.to_owned()].into()).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_gone() => return Err(error),
            Err(error) => {
                tracing::error!(interface, %error, "an interface that was opened is not isolated again yet");
                sleep(Duration::from_millis(pause)).await;
            }
        }
    }
    isolation_group::set_groups(client, interface, [isolation.to_owned()].into()).await
}

/// The VPC's group that lets everything through, made if there is none. A rule that is there already is
/// as good as one that is made.
async fn prepare(client: &Client, vpc: &str) -> Result<String> {
    let description = "GuardDuty responder: cuts tracked connections. For seconds only.";
    let found = isolation_group::find(client, Some(vpc)).await?;
    let id = match found.into_iter().find(|found| found.conversion) {
        Some(found) => found.group.id,
        None => {
            isolation_group::create(client, vpc, CONVERSION_NAME, "conversion", description).await?
        }
    };
    // IPv4 and IPv6 are tracked separately. One rule a call: of several, one that exists fails all.
    for everything in [everything_v4(), everything_v6()] {
        let rule = || async {
            let call = client.authorize_security_group_ingress().group_id(&id);
            let added = call.ip_permissions(everything.clone()).send().await;
            added
                .during("ec2:AuthorizeSecurityGroupIngress", &id)
                .map(drop)
        };
        unless_there(isolation_group::when_known(rule).await)?;
        let rule = || async {
            let call = client.authorize_security_group_egress().group_id(&id);
            let added = call.ip_permissions(everything.clone()).send().await;
            added
                .during("ec2:AuthorizeSecurityGroupEgress", &id)
                .map(drop)
        };
        unless_there(isolation_group::when_known(rule).await)?;
    }
    Ok(id)
}

fn unless_there(added: Result<()>) -> Result<()> {
    match added {
        Err(error) if error.has_code("InvalidPermission.Duplicate") => Ok(()),
        other => other,
    }
}

fn everything_v4() -> IpPermission {
    IpPermission::builder()
        .ip_protocol("-1")
        .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
        .build()
}

fn everything_v6() -> IpPermission {
    IpPermission::builder()
        .ip_protocol("-1")
        .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
        .build()
}
