//! The writes: makes each change, and puts back what it found.

use std::time::Duration;

use aws_sdk_ec2::Client;
use tokio::time::Instant;

use super::action::{
    Action, AdmitForensics, CutConnections, DenyCredentials, IsolateInterface, KeepVolume,
    LeaveAutoScalingGroup, Mark, SnapshotVolumes,
};
use super::clients::{Clients, Services};
use super::timeouts::{self, Timeouts};
use super::{
    address, attributes, cut_connections, forensics, group_rules, isolation_group, mark,
    membership, preserve, role, target_groups,
};
use aws::deadline::within;
use aws::error::{Error, Result};
use model::plan::{Action as _, Phase};

/// How long a step may take that only protects: the interfaces wait for it.
const PROTECT_PATIENCE: Duration = Duration::from_secs(10);

/// Makes one change after `preceding`, and is cut off at `until`.
pub(super) async fn apply_by(
    clients: &Clients,
    action: &Action,
    until: Instant,
    preceding: impl Future<Output = ()>,
) -> Result<()> {
    let until = if action.phase() == Phase::Protect {
        until.min(Instant::now() + PROTECT_PATIENCE)
    } else {
        until
    };
    let services = services(clients, action);
    // Only cutting connections looks at the time itself; see there.
    // In a box, as the other futures here that hold many calls: each takes kilobytes of the stack.
    let change = Box::pin(async {
        if let Action::IsolateInterface(action) = action
            && action.to.is_some()
        {
            return isolate(&services.ec2, action, preceding).await;
        }
        preceding.await;
        change(&services, action, until).await
    });
    within(until, action.name(), change).await
}

/// The services in the Region in which an action is made.
fn services(clients: &Clients, action: &Action) -> Services {
    match action.region() {
        Some(region) => clients.in_region(region),
        None => clients.own.clone(),
    }
}

async fn change(services: &Services, action: &Action, until: Instant) -> Result<()> {
    let ec2 = &services.ec2;
    match action {
        Action::ProtectAttribute(action) => {
            let attribute = action.attribute;
            attributes::set(ec2, &action.instance, attribute, attribute.wanted()).await
        }
        Action::KeepVolume(action) => delete_on_termination(ec2, action, false).await,
        Action::LeaveAutoScalingGroup(action) => leave_group(&services.autoscaling, action).await,
        Action::DeregisterTargets(action) => {
            target_groups::deregister_targets(&services.elbv2, &action.from).await
        }
        Action::DeregisterFromBalancers(action) => {
            membership::leave_balancers(&services.elb, &action.from, &action.instance).await
        }
        Action::PrepareIsolationGroup(action) => {
            let found = action.from.as_ref();
            isolation_group::prepare(ec2, &action.account, &action.vpc, found).await
        }
        Action::CloseIsolationGroup(action) => {
            group_rules::strip(ec2, &action.from.id, &action.keep).await
        }
        Action::IsolateInterface(action) => isolate(ec2, action, std::future::ready(())).await,
        Action::AdmitForensics(action) => Box::pin(admit_forensics(ec2, action)).await,
        Action::DenyCredentials(action) => {
            role::put(&services.iam, &action.role, &action.instance, &action.to).await
        }
        Action::RemovePublicAddress(action) => {
            address::remove(ec2, &action.interface, &action.from).await
        }
        Action::DisableMetadata(action) => {
            attributes::set_metadata(ec2, &action.instance, "disabled").await
        }
        Action::ShortenTimeouts(action) => {
            timeouts::set(ec2, &action.interface, Timeouts::SHORTEST).await
        }
        Action::CutConnections(action) => cut(ec2, action, until).await,
        Action::SnapshotVolumes(action) => snapshot(ec2, action).await,
        Action::Mark(action) => {
            mark::set(ec2, &action.resource, &action.isolated, &action.tags).await
        }
    }
}

async fn delete_on_termination(client: &Client, action: &KeepVolume, delete: bool) -> Result<()> {
    let KeepVolume {
        instance,
        device,
        volume,
        ..
    } = action;
    attributes::set_delete_on_termination(client, instance, device, volume, delete).await
}

async fn leave_group(
    client: &aws_sdk_autoscaling::Client,
    action: &LeaveAutoScalingGroup,
) -> Result<()> {
    match &action.group {
        None => Ok(()),
        Some(group) if action.standby => {
            membership::enter_standby(client, group, &action.instance).await
        }
        Some(group) => membership::detach(client, group, &action.instance).await,
    }
}

async fn isolate(
    client: &Client,
    action: &IsolateInterface,
    preceding: impl Future<Output = ()>,
) -> Result<()> {
    let IsolateInterface {
        account,
        vpc,
        interface,
        ..
    } = action;
    isolation_group::attach(client, account, vpc, interface, preceding).await
}

async fn admit_forensics(client: &Client, action: &AdmitForensics) -> Result<()> {
    let AdmitForensics {
        account,
        vpc,
        interface,
        rules,
        ..
    } = action;
    forensics::admit(client, account, vpc, interface, rules).await
}

async fn cut(client: &Client, action: &CutConnections, until: Instant) -> Result<()> {
    let CutConnections {
        account,
        vpc,
        interface,
        seconds,
        finding,
        ..
    } = action;
    let of = (account.as_str(), vpc.as_str());
    cut_connections::cut(client, of, interface, *seconds, finding, until).await
}

async fn snapshot(client: &Client, action: &SnapshotVolumes) -> Result<()> {
    let SnapshotVolumes {
        instance,
        finding,
        volumes,
        covered,
        root,
        ..
    } = action;
    preserve::snapshot(client, instance, finding, volumes, covered, root.as_deref()).await
}

/// Puts back what a change found.
pub(super) async fn restore(clients: &Clients, action: &Action) -> Result<()> {
    let services = services(clients, action);
    let ec2 = &services.ec2;
    match action {
        Action::PrepareIsolationGroup(_)
        | Action::CloseIsolationGroup(_)
        | Action::AdmitForensics(_)
        | Action::SnapshotVolumes(_) => Ok(()),
        Action::ProtectAttribute(action) => {
            attributes::set(ec2, &action.instance, action.attribute, &action.from).await
        }
        Action::KeepVolume(action) => delete_on_termination(ec2, action, true).await,
        Action::LeaveAutoScalingGroup(action) => exit_standby(&services.autoscaling, action).await,
        Action::DeregisterTargets(action) => {
            target_groups::register_targets(&services.elbv2, &action.from).await
        }
        Action::DeregisterFromBalancers(action) => {
            membership::join_balancers(&services.elb, &action.from, &action.instance).await
        }
        Action::IsolateInterface(action) => give_groups_back(ec2, action).await,
        Action::DenyCredentials(action) => lift_deny(&services.iam, action).await,
        Action::RemovePublicAddress(action) => {
            address::put_back(ec2, &action.interface, &action.from).await
        }
        Action::DisableMetadata(action) => {
            attributes::set_metadata(ec2, &action.instance, &action.from).await
        }
        Action::ShortenTimeouts(action) => timeouts::set(ec2, &action.interface, action.from).await,
        Action::CutConnections(action) => {
            let tag = [(cut_connections::CUT_TAG.to_owned(), None)].into();
            mark::untag(ec2, &action.interface, &tag).await
        }
        Action::Mark(action) => unmark(ec2, action).await,
    }
}

/// An Auto Scaling group has replaced an instance that was detached.
async fn exit_standby(
    client: &aws_sdk_autoscaling::Client,
    action: &LeaveAutoScalingGroup,
) -> Result<()> {
    match &action.group {
        Some(group) if action.standby => {
            membership::exit_standby(client, group, &action.instance).await
        }
        _ => Ok(()),
    }
}

async fn give_groups_back(client: &Client, action: &IsolateInterface) -> Result<()> {
    let IsolateInterface {
        interface, from, ..
    } = action;
    if from.is_empty() {
        return Err(Error::Refused(format!(
            "which groups {interface} was in is not known: give it groups by hand"
        )));
    }
    isolation_group::set_groups(client, interface, from.clone()).await
}

async fn lift_deny(client: &aws_sdk_iam::Client, action: &DenyCredentials) -> Result<()> {
    let DenyCredentials { role, instance, .. } = action;
    match &action.from {
        None => role::take_off(client, role, instance).await,
        Some(policy) => role::put(client, role, instance, policy).await,
    }
}

/// A retry marks with its own time, and the record has that of the first attempt.
async fn unmark(client: &Client, action: &Mark) -> Result<()> {
    let tags = action.tags.iter().map(|(key, value)| {
        let value = (key != mark::TIME_TAG).then(|| value.clone());
        (key.clone(), value)
    });
    mark::untag(client, &action.resource, &tags.collect()).await
}

/// Names the resources of others that putting back would take from them.
pub(super) async fn release_blocker(clients: &Clients, action: &Action) -> Option<String> {
    let services = services(clients, action);
    match action {
        Action::RemovePublicAddress(action) => {
            address::taken(&services.ec2, &action.interface, &action.from).await
        }
        Action::LeaveAutoScalingGroup(LeaveAutoScalingGroup {
            instance,
            group: Some(group),
            standby: true,
            ..
        }) => membership::replaced(&services.autoscaling, group, instance).await,
        _ => None,
    }
}
