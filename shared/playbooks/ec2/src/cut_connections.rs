//! Cutting the connections that were open before an interface was isolated.
//!
//! A tracked connection outlives a change of groups. A connection becomes untracked when a packet of it meets rules
//! that let everything through in both directions. An untracked one is cut when those rules go,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>. So an isolated
//! interface is put into such a group for some seconds, for IPv4 and IPv6, and back. Until then everything gets
//! through: it is a setting, it is short, it is left out where the internet has an address to come by, and it always
//! ends isolated. Then the group's rules are taken away.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, Ipv6Range};
use tokio::time::{Instant, sleep, timeout};

use super::isolation_group::{self, IsolationGroup, Purpose};
use super::{describe, group_rules, mark};
use aws::deadline::within;
use aws::error::{CallContext, Error, Result};
use model::settings::Direction;

/// The tag of an interface whose connections were cut: the finding for which they were.
pub(super) const CUT_TAG: &str = "gdr:connections-cut";

/// The time reserved for isolating again.
const TO_ISOLATE_AGAIN: Duration = Duration::from_secs(20);
/// Opening for less time than this converts too little to be worth it.
const SHORTEST: Duration = Duration::from_secs(2);
/// The time for reading the open group's rules, while an interface is in it.
const LOOK: Duration = Duration::from_secs(2);
/// The time for removing the open group's rules, when the interface is isolated again.
const CLOSING: Duration = Duration::from_secs(5);
/// Pauses before it is looked again whether an interface is in the open group: reads may lag behind.
const STILL_SHOWN: [u64; 2] = [300, 1_000];
/// Isolating again is tried until it is done: half a minute of it, beyond the SDK's own retries.
const PAUSES: [u64; 8] = [200, 500, 1_000, 2_000, 4_000, 6_000, 8_000, 8_000];

/// Opens an interface that is isolated for at most `seconds`, and isolates it again.
pub(super) async fn cut(
    client: &Client,
    (account, vpc): (&str, &str),
    interface: &str,
    seconds: u8,
    finding: &str,
    until: Instant,
) -> Result<()> {
    let isolation = isolation_group::empty(client, account, vpc, interface).await?;
    let found = describe::one_interface(client, interface).await?;
    if !found.groups.iter().eq([&isolation.id]) {
        return Err(Error::Refused(format!(
            "{interface} is not isolated, so it was not opened to cut its connections"
        )));
    }
    if let Some(address) = found.internet_addresses().next() {
        return Err(Error::Refused(format!(
            "{interface} has the public address {address}, so it was not opened to cut its connections"
        )));
    }
    let open = prepare(client, account, vpc).await?;
    let left = until.saturating_duration_since(Instant::now());
    let wait = Duration::from_secs(seconds.into()).min(left.saturating_sub(TO_ISOLATE_AGAIN));
    if wait < SHORTEST {
        return Err(Error::Refused(format!(
            "too little of the function's time was left to open {interface} and be sure to isolate it again"
        )));
    }
    // A task of its own: whoever waits for it may be cut off by the deadline, and isolating again must
    // not be.
    let (opened, name) = (client.clone(), interface.to_owned());
    let of = (account.to_owned(), vpc.to_owned());
    let isolated = isolation.id.clone();
    let task = tokio::spawn(async move {
        // A call that fails may have taken effect all the same.
        let mut answer = isolation_group::set_groups(&opened, &name, [open.clone()].into()).await;
        if answer.is_ok() {
            sleep(wait).await;
            answer = look(&opened, &of.0, &of.1, &open).await;
        }
        isolate_again(&opened, (&of.0, &of.1), &name, &isolated).await?;
        match timeout(CLOSING, close(&opened, &open)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(group = open, %error, "the open group keeps its rules")
            }
            Err(_) => tracing::warn!(group = open, "the open group keeps its rules: no time"),
        }
        answer
    });
    match task.await {
        Ok(done) => done?,
        Err(_) => isolate_again(client, (account, vpc), interface, &isolation.id).await?,
    }
    mark::tag(
        client,
        interface,
        [(CUT_TAG.to_owned(), mark::tag_value(finding))],
    )
    .await
}

/// Looks whether the group did let everything through: another run may have taken its rules away.
async fn look(client: &Client, account: &str, vpc: &str, open: &str) -> Result<()> {
    let reading = isolation_group::of(client, account, vpc, Purpose::Conversion);
    let until = Instant::now() + LOOK;
    let found = within(until, "ec2:DescribeSecurityGroups", reading).await?;
    let is_open = |group: &IsolationGroup| {
        group.id == open && lets_all(&group.ingress) && lets_all(&group.egress)
    };
    if found.as_ref().is_some_and(is_open) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "{open} may not have let everything through to the end, so connections may not be cut"
    )))
}

fn lets_all(rules: &[String]) -> bool {
    ["0.0.0.0/0", "::/0"]
        .iter()
        .all(|peer| rules.contains(&format!("all traffic {peer}")))
}

/// Takes the rules of the open group away again, unless an interface is in it. The next opening adds them again.
async fn close(client: &Client, open: &str) -> Result<()> {
    for pause in STILL_SHOWN.map(Some).into_iter().chain([None]) {
        let in_it = Filter::builder().name("group-id").values(open).build();
        let answer = client
            .describe_network_interfaces()
            .filters(in_it)
            .send()
            .await
            .during("ec2:DescribeNetworkInterfaces", open)?;
        if answer.network_interfaces().is_empty() {
            return group_rules::strip(client, open, &[]).await;
        }
        if let Some(pause) = pause {
            sleep(Duration::from_millis(pause)).await;
        }
    }
    Ok(())
}

/// It tries until it is done, or the interface no longer exists. If the isolation group is gone, there is another one.
async fn isolate_again(
    client: &Client,
    (account, vpc): (&str, &str),
    interface: &str,
    isolation: &str,
) -> Result<()> {
    let mut isolation = isolation.to_owned();
    for pause in PAUSES {
        let groups = [isolation.clone()].into();
        let error = match isolation_group::set_groups(client, interface, groups).await {
            Err(error) if error.has_code("InvalidNetworkInterfaceID.NotFound") => {
                return Err(error);
            }
            Err(error) => error,
            Ok(()) => return Ok(()),
        };
        tracing::error!(interface, %error, "an interface that was opened is not isolated again yet");
        if group_rules::is_unknown(&error) {
            match made_anew(client, account, vpc, interface).await {
                Ok(id) => isolation = id,
                Err(error) => tracing::error!(vpc, %error, "there is no isolation group"),
            }
        }
        sleep(Duration::from_millis(pause)).await;
    }
    isolation_group::set_groups(client, interface, [isolation].into()).await
}

async fn made_anew(client: &Client, account: &str, vpc: &str, interface: &str) -> Result<String> {
    isolation_group::prepare(client, account, vpc, None).await?;
    let group = isolation_group::empty(client, account, vpc, interface).await?;
    Ok(group.id)
}

/// The VPC's group that lets everything through, made if there is none. A rule that is there already is
/// as good as one that is made.
async fn prepare(client: &Client, account: &str, vpc: &str) -> Result<String> {
    let id = match isolation_group::of(client, account, vpc, Purpose::Conversion).await? {
        Some(found) => found.id,
        None => isolation_group::create(client, account, vpc, Purpose::Conversion).await?,
    };
    // IPv4 and IPv6 are tracked separately. One rule a call: of several, one that exists fails all.
    for everything in [everything_v4(), everything_v6()] {
        for direction in [Direction::From, Direction::To] {
            group_rules::add(client, &id, direction, everything.clone()).await?;
        }
    }
    Ok(id)
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
