//! The security group that isolates: one per VPC, found by its name, and never trusted without a
//! look at its rules.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, ResourceType, SecurityGroup, Tag, TagSpecification};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::group_rules::{NOT_YET_KNOWN, in_words, list, listed, strip, when_known};
use aws::error::{CallContext, Error, Result};
use model::settings::{Direction, ForensicsRule};

/// The group's name. Names are unique in a VPC, so two responders that act at the same time end up with one group.
pub const NAME: &str = "gdr-isolation";

/// The name of the group that lets everything through, for the seconds in which tracked connections are
/// cut, see [`super::conversion`].
const CONVERSION_NAME: &str = "gdr-conversion";

/// The name of the group that lets through what forensics need, see [`super::forensics`]. Another name than
/// [`NAME`]: a group that must have no rules is never taken for one that has some.
pub(super) const FORENSICS_NAME: &str = "gdr-forensics";

/// The tag that says what a group of ours is for. The function's role makes no group without it.
pub(super) const ROLE_TAG: &str = "gdr:role";

/// Its value on a group that isolates.
pub(super) const ISOLATION_ROLE: &str = "isolation";

/// A group of ours, as it was found.
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
    /// It has the tag that says what it is for.
    #[serde(default)]
    pub marked: bool,
    /// It may let through what forensics need. Else it is to have no rules.
    #[serde(default)]
    pub forensics: bool,
}

impl IsolationGroup {
    /// True if it lets nothing in or out.
    pub fn is_empty(&self) -> bool {
        self.ingress.is_empty() && self.egress.is_empty()
    }

    /// True if it lets nothing through but by these rules.
    pub(super) fn lets_only(&self, rules: &[ForensicsRule]) -> bool {
        let among = |own: &[String], direction| {
            let listed = listed(rules, direction);
            own.iter().all(|rule| listed.contains(rule))
        };
        among(&self.ingress, Direction::From) && among(&self.egress, Direction::To)
    }

    /// True if it has these rules and no others.
    pub(super) fn lets_exactly(&self, rules: &[ForensicsRule]) -> bool {
        let has = |rule: &ForensicsRule| {
            let own = match rule.direction {
                Direction::From => &self.ingress,
                Direction::To => &self.egress,
            };
            own.contains(&rule.in_group())
        };
        self.lets_only(rules) && rules.iter().all(has)
    }

    /// The traffic that it lets through, in a sentence.
    pub(super) fn shown(&self) -> String {
        format!("in {}, out {}", list(&self.ingress), list(&self.egress))
    }

    /// As a step shows it.
    pub fn to_json(&self) -> Value {
        json!({ "GroupId": self.id, "Ingress": self.ingress, "Egress": self.egress })
    }
}

/// The purpose of a group of the responder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It isolates.
    Isolation,
    /// It isolates, but for what forensics need.
    Forensics,
    /// It lets everything through, for the seconds in which connections are cut.
    Conversion,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Isolation => NAME,
            Self::Forensics => FORENSICS_NAME,
            Self::Conversion => CONVERSION_NAME,
        }
    }
    fn role(self) -> &'static str {
        match self {
            Self::Isolation => ISOLATION_ROLE,
            Self::Forensics => "forensics",
            Self::Conversion => "conversion",
        }
    }
    fn description(self) -> &'static str {
        match self {
            Self::Isolation => {
                "GuardDuty responder: isolates compromised instances. Must have no rules."
            }
            Self::Forensics => {
                "GuardDuty responder: isolates, but for the rules of Ec2ForensicsAccess."
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
/// before each use. One that is to have rules, and one that was made since the name was taken, is known by
/// the mark too.
fn usable(group: SecurityGroup) -> Option<Found> {
    let name = group.group_name()?;
    let purpose = [Purpose::Isolation, Purpose::Forensics, Purpose::Conversion]
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
            ingress: in_words(&group.ip_permissions.unwrap_or_default()),
            egress: in_words(&group.ip_permissions_egress.unwrap_or_default()),
            marked,
            forensics: purpose == Purpose::Forensics,
        },
    })
}

/// The responder's groups of `vpc`, or of all VPCs, in `account`. The owner of a shared VPC is shown the groups of the
/// other accounts too, and can use none of them,
/// <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-share-limitations.html>. If a VPC has several for the same
/// purpose, the one in use comes first.
pub(super) async fn find(client: &Client, account: &str, vpc: Option<&str>) -> Result<Vec<Found>> {
    let names = [NAME, FORENSICS_NAME, CONVERSION_NAME];
    let names = names.map(|name| [name.to_owned(), format!("{name}-*")]);
    let named = Filter::builder()
        .name("group-name")
        .set_values(Some(names.concat()))
        .build();
    let owned = Filter::builder().name("owner-id").values(account).build();
    let in_vpc = vpc.map(of_vpc);
    let filters = [Some(named), Some(owned), in_vpc];
    let filters = filters.into_iter().flatten().collect();
    let groups = groups(client, filters, vpc.unwrap_or(NAME)).await?;
    let mut found: Vec<_> = groups.into_iter().filter_map(usable).collect();
    found.sort_by(|a, b| (b.exact, &a.group.id).cmp(&(a.exact, &b.group.id)));
    Ok(found)
}

/// The account's group of `vpc` that is used for this.
pub(super) async fn of(
    client: &Client,
    account: &str,
    vpc: &str,
    purpose: Purpose,
) -> Result<Option<IsolationGroup>> {
    let mut found = find(client, account, Some(vpc)).await?.into_iter();
    let found = found.find(|found| found.purpose == purpose);
    Ok(found.map(|found| found.group))
}

/// Whether this group is one of ours that isolates, and lets nothing through but what forensics may be let through.
pub(super) async fn isolates(client: &Client, group: &str) -> Result<bool> {
    let this = Filter::builder().name("group-id").values(group).build();
    let found = groups(client, vec![this], group).await?;
    let mut found = found.into_iter().filter_map(usable);
    Ok(found.any(|found| match found.purpose {
        Purpose::Isolation => found.group.is_empty(),
        Purpose::Forensics => true,
        Purpose::Conversion => false,
    }))
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

/// The one isolation group of `vpc`, without rules. A group that was just made or emptied may not be shown so yet, and
/// someone may have opened it since: it is emptied and looked at again.
pub(super) async fn empty(
    client: &Client,
    account: &str,
    vpc: &str,
    interface: &str,
) -> Result<IsolationGroup> {
    let mut found = of(client, account, vpc, Purpose::Isolation).await?;
    for pause in NOT_YET_KNOWN {
        match &found {
            None => {}
            Some(group) if !group.is_empty() => match strip(client, &group.id, &[]).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => break,
            },
            Some(_) => break,
        }
        sleep(pause).await;
        found = of(client, account, vpc, Purpose::Isolation).await?;
    }
    let Some(group) = found else {
        return Err(Error::Refused(format!(
            "{vpc} has no security group {NAME}, which is needed: {interface} was left as it is",
        )));
    };
    if !group.is_empty() {
        return Err(Error::Refused(format!(
            "{} ({NAME}) lets traffic through: {}. {interface} was left as it is, since it would not be \
             isolated: take the rules away",
            group.id,
            group.shown(),
        )));
    }
    Ok(group)
}

/// Makes sure that `vpc` has an isolation group, and takes every rule away from it.
///
/// A new group lets everything out, over IPv6 too if the VPC has it; and a group of this name may have been made or
/// opened by someone else. The remaining rules count, so [`attach`] reads them again.
pub(super) async fn prepare(
    client: &Client,
    account: &str,
    vpc: &str,
    found: Option<&IsolationGroup>,
) -> Result<()> {
    let id = match found {
        Some(group) => group.id.clone(),
        None => create(client, account, vpc, Purpose::Isolation).await?,
    };
    strip(client, &id, &[]).await
}

/// Puts an interface into the isolation group of its VPC and into no other, after `preceding` and after a
/// look at the group's rules. A group that has none while `preceding` is done needs no other look.
pub(super) async fn attach(
    client: &Client,
    account: &str,
    vpc: &str,
    interface: &str,
    preceding: impl Future<Output = ()>,
) -> Result<()> {
    let looking = of(client, account, vpc, Purpose::Isolation);
    let (seen, ()) = futures::join!(looking, preceding);
    let group = match seen? {
        Some(group) if group.is_empty() => group,
        _ => empty(client, account, vpc, interface).await?,
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

/// Makes a group, or finds the one that has the name. Names are unique in a VPC whatever their case, and filters are
/// not, <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>: if an unusable group or
/// another account's has the name, ours gets another one. The other group, which may be in use, is not touched.
pub(super) async fn create(
    client: &Client,
    account: &str,
    vpc: &str,
    purpose: Purpose,
) -> Result<String> {
    let error = match make(client, vpc, purpose, purpose.name()).await {
        Err(error) if error.has_code("InvalidGroup.Duplicate") => error,
        made => return made,
    };
    // Another responder was faster; the answer does not say what the group's id is.
    if let Some(group) = of(client, account, vpc, purpose).await? {
        return Ok(group.id);
    }
    let all = groups(client, vec![of_vpc(vpc)], vpc).await?;
    let same = |group: &SecurityGroup| {
        let name = group.group_name().unwrap_or_default();
        name.eq_ignore_ascii_case(purpose.name())
    };
    let (own, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .filter(same)
        .partition(|group| group.owner_id() == Some(account));
    let Some(taken) = own.into_iter().chain(others).next() else {
        return Err(error);
    };
    let id = taken.group_id().unwrap_or_default().to_owned();
    if taken.owner_id() == Some(account)
        && let Some(found) = usable(taken).filter(|found| found.purpose == purpose)
    {
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
