//! The security group that isolates: one per VPC, found by its name, and never trusted without a
//! look at its rules.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, IpPermission, ResourceType, SecurityGroup, SecurityGroupRule, Tag, TagSpecification,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::error::{CallContext, Error, Result};

/// The group's name. Names are unique in a VPC, so that two responders that act at once end up
/// with one group.
pub const NAME: &str = "gdr-isolation";

/// The name of the group that lets everything through, for the seconds in which tracked connections are
/// cut, see [`super::conversion`].
const CONVERSION_NAME: &str = "gdr-conversion";

/// The tag that says what a group of ours is for. The function's role makes no group without it.
const ROLE_TAG: &str = "gdr:role";

/// A group that was just made may not be known yet to the part of EC2 that is asked next,
/// <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>.
const NOT_YET_KNOWN: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The isolation group of a VPC, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IsolationGroup {
    /// Its id.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its rules for traffic in, in words.
    pub ingress: Vec<String>,
    /// Its rules for traffic out, in words.
    pub egress: Vec<String>,
}

impl IsolationGroup {
    /// True if it lets nothing in or out.
    pub fn is_empty(&self) -> bool {
        self.ingress.is_empty() && self.egress.is_empty()
    }

    /// As a step shows it.
    pub fn to_json(&self) -> Value {
        json!({ "GroupId": self.id, "Ingress": self.ingress, "Egress": self.egress })
    }
}

/// What a group of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It isolates.
    Isolation,
    /// It lets everything through, for the seconds in which connections are cut.
    Conversion,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Isolation => NAME,
            Self::Conversion => CONVERSION_NAME,
        }
    }
    fn role(self) -> &'static str {
        match self {
            Self::Isolation => "isolation",
            Self::Conversion => "conversion",
        }
    }
    fn description(self) -> &'static str {
        match self {
            Self::Isolation => {
                "GuardDuty responder: isolates compromised instances. Must have no rules."
            }
            Self::Conversion => "GuardDuty responder: cuts tracked connections. For seconds only.",
        }
    }
}

/// A group that can be used.
pub(super) struct Found {
    pub(super) group: IsolationGroup,
    pub(super) purpose: Purpose,
    /// It has the name itself, and was not made because that was taken.
    exact: bool,
}

/// A group of ours. One that isolates is known by its name, whoever made it, since its rules are taken away
/// before each use. One that is to be opened, and one that was made since the name was taken, is known by
/// the mark too.
fn usable(group: SecurityGroup) -> Option<Found> {
    let name = group.group_name()?;
    let purpose = [Purpose::Isolation, Purpose::Conversion]
        .into_iter()
        .find(|purpose| name.starts_with(purpose.name()))?;
    let rest = &name[purpose.name().len()..];
    let exact = rest.is_empty();
    let mut tags = group.tags().iter();
    let marked = tags.any(|tag| tag.key() == Some(ROLE_TAG) && tag.value() == Some(purpose.role()));
    if !(marked && (exact || rest.starts_with('-')) || exact && purpose == Purpose::Isolation) {
        return None;
    }
    Some(Found {
        purpose,
        exact,
        group: IsolationGroup {
            id: group.group_id.unwrap_or_default(),
            vpc: group.vpc_id.unwrap_or_default(),
            ingress: rules(&group.ip_permissions.unwrap_or_default()),
            egress: rules(&group.ip_permissions_egress.unwrap_or_default()),
        },
    })
}

/// The responder's groups of `vpc`, or of all VPCs. Of several for the same in a VPC, the one that is used
/// comes first.
pub(super) async fn find(client: &Client, vpc: Option<&str>) -> Result<Vec<Found>> {
    let named = Filter::builder()
        .name("group-name")
        .values(NAME)
        .values(CONVERSION_NAME)
        .values(format!("{NAME}-*"))
        .values(format!("{CONVERSION_NAME}-*"))
        .build();
    let in_vpc = vpc.map(of_vpc);
    let filters = [Some(named), in_vpc].into_iter().flatten().collect();
    let groups = groups(client, filters, vpc.unwrap_or(NAME)).await?;
    let mut found: Vec<_> = groups.into_iter().filter_map(usable).collect();
    found.sort_by(|a, b| (b.exact, &a.group.id).cmp(&(a.exact, &b.group.id)));
    Ok(found)
}

/// The group of `vpc` that is used for this.
pub(super) async fn of(
    client: &Client,
    vpc: &str,
    purpose: Purpose,
) -> Result<Option<IsolationGroup>> {
    let mut found = find(client, Some(vpc)).await?.into_iter();
    let found = found.find(|found| found.purpose == purpose);
    Ok(found.map(|found| found.group))
}

fn of_vpc(vpc: &str) -> Filter {
    Filter::builder().name("vpc-id").values(vpc).build()
}

async fn groups(client: &Client, filters: Vec<Filter>, about: &str) -> Result<Vec<SecurityGroup>> {
    let mut pages = client
        .describe_security_groups()
        .set_filters(Some(filters))
        .into_paginator()
        .send();
    let mut groups = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSecurityGroups", about)?;
        groups.extend(page.security_groups.unwrap_or_default());
    }
    Ok(groups)
}

/// The one isolation group of `vpc`, without rules. What was just made, or just emptied, may not be
/// shown so yet, and someone may have opened it meanwhile: it is emptied and looked at again.
pub(super) async fn empty(client: &Client, vpc: &str, interface: &str) -> Result<IsolationGroup> {
    let mut found = of(client, vpc, Purpose::Isolation).await?;
    for pause in NOT_YET_KNOWN {
        match &found {
            None => {}
            Some(group) if !group.is_empty() => match strip(client, &group.id).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => break,
            },
            Some(_) => break,
        }
        sleep(pause).await;
        found = of(client, vpc, Purpose::Isolation).await?;
    }
    let Some(group) = found else {
        return Err(Error::Refused(format!(
            "{vpc} has no security group {NAME}, which is needed: {interface} was left as it is",
        )));
    };
    if !group.is_empty() {
        return Err(Error::Refused(format!(
            "{} ({NAME}) lets traffic through: in {}, out {}. {interface} was left as it is, since it \
             would not be isolated: take the rules away",
            group.id,
            list(&group.ingress),
            list(&group.egress),
        )));
    }
    Ok(group)
}

/// Makes sure that `vpc` has an isolation group, and takes every rule away from it.
///
/// A new group lets everything out, over IPv6 too if the VPC has it; and a group of this name may
/// have been made or opened by someone else. What is left of the rules is what counts, so
/// [`attach`] looks again.
pub(super) async fn prepare(
    client: &Client,
    vpc: &str,
    found: Option<&IsolationGroup>,
) -> Result<()> {
    let id = match found {
        Some(group) => group.id.clone(),
        None => create(client, vpc, Purpose::Isolation).await?,
    };
    strip(client, &id).await
}

/// Takes every rule away from the group `id`.
pub(super) async fn strip(client: &Client, id: &str) -> Result<()> {
    let rules = when_known(|| rules_of(client, id)).await?;
    let ids = |egress: bool| {
        let rules = rules
            .iter()
            .filter(|rule| rule.is_egress.unwrap_or_default() == egress);
        let ids: Vec<_> = rules
            .filter_map(|rule| rule.security_group_rule_id.clone())
            .collect();
        (!ids.is_empty()).then_some(ids)
    };
    let egress = async {
        let Some(rules) = ids(true) else {
            return Ok(());
        };
        let revoke = || async {
            let revoked = client.revoke_security_group_egress().group_id(id);
            revoked
                .set_security_group_rule_ids(Some(rules.clone()))
                .send()
                .await
                .during("ec2:RevokeSecurityGroupEgress", id)
                .map(drop)
        };
        when_known(revoke).await
    };
    let ingress = async {
        let Some(rules) = ids(false) else {
            return Ok(());
        };
        let revoke = || async {
            let revoked = client.revoke_security_group_ingress().group_id(id);
            revoked
                .set_security_group_rule_ids(Some(rules.clone()))
                .send()
                .await
                .during("ec2:RevokeSecurityGroupIngress", id)
                .map(drop)
        };
        when_known(revoke).await
    };
    // Another responder may have revoked a rule in between; the rules that are left decide.
    let (egress, ingress) = futures::join!(egress, ingress);
    for revoked in [egress, ingress] {
        match revoked {
            Err(error) if error.has_code("InvalidSecurityGroupRuleId.NotFound") => {}
            Err(error) if error.has_code("InvalidPermission.NotFound") => {}
            other => other?,
        }
    }
    Ok(())
}

/// Puts an interface into the isolation group of its VPC and into no other, after `preceding` and after a
/// look at the group's rules. A group that has none while `preceding` is done needs no other look.
pub(super) async fn attach(
    client: &Client,
    vpc: &str,
    interface: &str,
    preceding: impl Future<Output = ()>,
) -> Result<()> {
    let (seen, ()) = futures::join!(of(client, vpc, Purpose::Isolation), preceding);
    let group = match seen? {
        Some(group) if group.is_empty() => group,
        _ => empty(client, vpc, interface).await?,
    };
    set_groups(client, interface, [group.id].into()).await
}

/// Puts an interface into these groups and into no others.
pub(super) async fn set_groups(
    client: &Client,
    interface: &str,
    groups: BTreeSet<String>,
) -> Result<()> {
    let groups: Vec<_> = groups.into_iter().collect();
    let change = || async {
        client
            .modify_network_interface_attribute()
            .network_interface_id(interface)
            .set_groups(Some(groups.clone()))
            .send()
            .await
            .during("ec2:ModifyNetworkInterfaceAttribute", interface)
            .map(drop)
    };
    when_known(change).await
}

/// Makes a group, or finds the one that has the name. Names are unique in a VPC whatever their case, and
/// filters are not, <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>:
/// where the name is taken by a group that cannot be used, ours gets another one. That group, which may be
/// in use, is not touched.
pub(super) async fn create(client: &Client, vpc: &str, purpose: Purpose) -> Result<String> {
    let error = match make(client, vpc, purpose, purpose.name()).await {
        Err(error) if error.has_code("InvalidGroup.Duplicate") => error,
        made => return made,
    };
    // Another responder was faster; the answer does not say what the group's id is.
    if let Some(group) = of(client, vpc, purpose).await? {
        return Ok(group.id);
    }
    let all = groups(client, vec![of_vpc(vpc)], vpc).await?;
    let same = |group: &SecurityGroup| {
        let name = group.group_name().unwrap_or_default();
        name.eq_ignore_ascii_case(purpose.name())
    };
    let Some(taken) = all.into_iter().find(same) else {
        return Err(error);
    };
    let id = taken.group_id().unwrap_or_default().to_owned();
    if let Some(found) = usable(taken) {
        return Ok(found.group.id);
    }
    tracing::warn!(
        vpc,
        group = id,
        "a group has the name {} and cannot be used",
        purpose.name()
    );
    let suffix = RandomState::new().build_hasher().finish();
    let name = format!("{}-{suffix:016x}", purpose.name());
    make(client, vpc, purpose, &name).await
}

async fn make(client: &Client, vpc: &str, purpose: Purpose, name: &str) -> Result<String> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::SecurityGroup)
        .tags(tag(ROLE_TAG, purpose.role()))
        .tags(tag("Name", name))
        .build();
    let created = client
        .create_security_group()
        .group_name(name)
        .description(purpose.description())
        .vpc_id(vpc)
        .tag_specifications(tags)
        .send()
        .await
        .during("ec2:CreateSecurityGroup", vpc)?;
    created
        .group_id
        .ok_or_else(|| Error::Refused(format!("EC2 made a group in {vpc} and did not say which")))
}

async fn rules_of(client: &Client, group: &str) -> Result<Vec<SecurityGroupRule>> {
    let of_group = Filter::builder().name("group-id").values(group).build();
    let mut pages = client
        .describe_security_group_rules()
        .filters(of_group)
        .into_paginator()
        .send();
    let mut rules = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSecurityGroupRules", group)?;
        rules.extend(page.security_group_rules.unwrap_or_default());
    }
    Ok(rules)
}

pub(super) async fn when_known<T, W: Future<Output = Result<T>>>(
    work: impl Fn() -> W,
) -> Result<T> {
    for pause in NOT_YET_KNOWN {
        match work().await {
            Err(error) if is_unknown(&error) => sleep(pause).await,
            result => return result,
        }
    }
    work().await
}

/// A call does not know the group that it names, not yet or no more,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
pub(super) fn is_unknown(error: &Error) -> bool {
    ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"]
        .iter()
        .any(|code| error.has_code(code))
}

fn rules(permissions: &[IpPermission]) -> Vec<String> {
    permissions.iter().map(describe).collect()
}

fn describe(permission: &IpPermission) -> String {
    let protocol = match permission.ip_protocol() {
        Some("-1") | None => "all traffic",
        Some(protocol) => protocol,
    };
    let ports = match (permission.from_port(), permission.to_port()) {
        (Some(from), Some(to)) if from >= 0 => format!(" {from}-{to}"),
        _ => String::new(),
    };
    let v4 = permission
        .ip_ranges()
        .iter()
        .filter_map(|range| range.cidr_ip());
    let v6 = permission
        .ipv6_ranges()
        .iter()
        .filter_map(|range| range.cidr_ipv6());
    let lists = permission
        .prefix_list_ids()
        .iter()
        .filter_map(|list| list.prefix_list_id());
    let groups = permission
        .user_id_group_pairs()
        .iter()
        .filter_map(|pair| pair.group_id());
    let peers: Vec<_> = v4.chain(v6).chain(lists).chain(groups).collect();
    format!("{protocol}{ports} {}", peers.join(" "))
}

fn list(rules: &[String]) -> String {
    if rules.is_empty() {
        "nothing".to_owned()
    } else {
        rules.join("; ")
    }
}
