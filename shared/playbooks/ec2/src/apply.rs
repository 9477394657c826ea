//! The writes: the effect of each change, and its undo.

use std::time::Duration;

use tokio::time::Instant;

use super::action::Action;
use super::clients::Clients;
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
    // Only cutting connections looks at the time itself; see there.
    // In a box, as the other futures here that hold many calls: each takes kilobytes of the stack.
    let change = Box::pin(async {
        if let Action::IsolateInterface {
            region,
            interface,
            vpc,
            account,
            to: Some(_),
            ..
        } = action
        {
            let ec2 = clients.in_region(region).ec2;
            return isolation_group::attach(&ec2, account, vpc, interface, preceding).await;
        }
        preceding.await;
        change(clients, action, until).await
    });
    within(until, action.name(), change).await
}

async fn change(clients: &Clients, action: &Action, until: Instant) -> Result<()> {
    match action {
        Action::ProtectAttribute {
            region,
            instance,
            attribute,
            ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            attributes::set(&ec2, instance, *attribute, attribute.wanted()).await
        }
        Action::KeepVolume {
            region,
            instance,
            device,
            volume,
        } => {
            let ec2 = clients.in_region(region).ec2;
            attributes::set_delete_on_termination(&ec2, instance, device, volume, false).await
        }
        Action::LeaveAutoScalingGroup { group: None, .. } => Ok(()),
        Action::LeaveAutoScalingGroup {
            region,
            instance,
            group: Some(group),
            standby,
        } => {
            let autoscaling = clients.in_region(region).autoscaling;
            if *standby {
                membership::enter_standby(&autoscaling, group, instance).await
            } else {
                membership::detach(&autoscaling, group, instance).await
            }
        }
        Action::DeregisterTargets { region, from, .. } => {
            target_groups::deregister_targets(&clients.in_region(region).elbv2, from).await
        }
        Action::DeregisterFromBalancers {
            region,
            instance,
            from,
        } => membership::leave_balancers(&clients.in_region(region).elb, from, instance).await,
        Action::PrepareIsolationGroup {
            region,
            vpc,
            account,
            from,
        } => {
            let ec2 = clients.in_region(region).ec2;
            isolation_group::prepare(&ec2, account, vpc, from.as_ref()).await
        }
        Action::CloseIsolationGroup { region, from, keep } => {
            group_rules::strip(&clients.in_region(region).ec2, &from.id, keep).await
        }
        Action::IsolateInterface {
            region,
            interface,
            vpc,
            account,
            ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            let nothing = std::future::ready(());
            isolation_group::attach(&ec2, account, vpc, interface, nothing).await
        }
        Action::AdmitForensics {
            region,
            interface,
            vpc,
            account,
            rules,
            ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            Box::pin(forensics::admit(&ec2, account, vpc, interface, rules)).await
        }
        Action::DenyCredentials {
            role, instance, to, ..
        } => role::put(&clients.own.iam, role, instance, to).await,
        Action::RemovePublicAddress {
            region,
            interface,
            from,
        } => address::remove(&clients.in_region(region).ec2, interface, from).await,
        Action::DisableMetadata {
            region, instance, ..
        } => attributes::set_metadata(&clients.in_region(region).ec2, instance, "disabled").await,
        Action::ShortenTimeouts {
            region, interface, ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            timeouts::set(&ec2, interface, Timeouts::SHORTEST).await
        }
        Action::CutConnections {
            region,
            interface,
            vpc,
            account,
            seconds,
            finding,
            ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            let of = (account.as_str(), vpc.as_str());
            cut_connections::cut(&ec2, of, interface, *seconds, finding, until).await
        }
        Action::SnapshotVolumes {
            region,
            instance,
            finding,
            volumes,
            covered,
            root,
        } => {
            let ec2 = clients.in_region(region).ec2;
            let root = root.as_deref();
            preserve::snapshot(&ec2, instance, finding, volumes, covered, root).await
        }
        Action::Mark {
            region,
            resource,
            tags,
        } => mark::set(&clients.in_region(region).ec2, resource, tags).await,
    }
}

/// Puts back what a change found.
pub(super) async fn restore(clients: &Clients, action: &Action) -> Result<()> {
    match action {
        Action::LeaveAutoScalingGroup { standby: false, .. }
        | Action::LeaveAutoScalingGroup { group: None, .. }
        | Action::PrepareIsolationGroup { .. }
        | Action::CloseIsolationGroup { .. }
        | Action::AdmitForensics { .. }
        | Action::SnapshotVolumes { .. } => Ok(()),
        Action::ProtectAttribute {
            region,
            instance,
            attribute,
            from,
        } => attributes::set(&clients.in_region(region).ec2, instance, *attribute, from).await,
        Action::KeepVolume {
            region,
            instance,
            device,
            volume,
        } => {
            let ec2 = clients.in_region(region).ec2;
            attributes::set_delete_on_termination(&ec2, instance, device, volume, true).await
        }
        Action::LeaveAutoScalingGroup {
            region,
            instance,
            group: Some(group),
            ..
        } => {
            let autoscaling = clients.in_region(region).autoscaling;
            membership::exit_standby(&autoscaling, group, instance).await
        }
        Action::DeregisterTargets { region, from, .. } => {
            target_groups::register_targets(&clients.in_region(region).elbv2, from).await
        }
        Action::DeregisterFromBalancers {
            region,
            instance,
            from,
        } => membership::join_balancers(&clients.in_region(region).elb, from, instance).await,
        Action::IsolateInterface {
            interface, from, ..
        } if from.is_empty() => Err(Error::Refused(format!(
            "which groups {interface} was in is not known: give it groups by hand"
        ))),
        Action::IsolateInterface {
            region,
            interface,
            from,
            ..
        } => {
            let ec2 = clients.in_region(region).ec2;
            isolation_group::set_groups(&ec2, interface, from.clone()).await
        }
        Action::DenyCredentials {
            role,
            instance,
            from: None,
            ..
        } => role::take_off(&clients.own.iam, role, instance).await,
        Action::DenyCredentials {
            role,
            instance,
            from: Some(policy),
            ..
        } => role::put(&clients.own.iam, role, instance, policy).await,
        Action::RemovePublicAddress {
            region,
            interface,
            from,
        } => address::put_back(&clients.in_region(region).ec2, interface, from).await,
        Action::DisableMetadata {
            region,
            instance,
            from,
        } => attributes::set_metadata(&clients.in_region(region).ec2, instance, from).await,
        Action::ShortenTimeouts {
            region,
            interface,
            from,
        } => timeouts::set(&clients.in_region(region).ec2, interface, *from).await,
        Action::CutConnections {
            region, interface, ..
        } => {
            let tag = [(cut_connections::CUT_TAG.to_owned(), None)].into();
            mark::untag(&clients.in_region(region).ec2, interface, &tag).await
        }
        Action::Mark {
            region,
            resource,
            tags,
        } => {
            // A retry marks with its own time, and the record has that of the first attempt.
            let tags = tags.iter().map(|(key, value)| {
                let value = (key != mark::TIME_TAG).then(|| value.clone());
                (key.clone(), value)
            });
            let ec2 = clients.in_region(region).ec2;
            mark::untag(&ec2, resource, &tags.collect()).await
        }
    }
}

/// Names the resources of others that putting back would take from them.
pub(super) async fn release_blocker(clients: &Clients, action: &Action) -> Option<String> {
    match action {
        Action::RemovePublicAddress {
            region,
            interface,
            from,
        } => address::taken(&clients.in_region(region).ec2, interface, from).await,
        Action::LeaveAutoScalingGroup {
            region,
            instance,
            group: Some(group),
            standby: true,
        } => membership::replaced(&clients.in_region(region).autoscaling, group, instance).await,
        _ => None,
    }
}
