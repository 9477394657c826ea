//! The writes: what each change does, and what puts it back.

use tokio::time::Instant;

use super::state::Timeouts;
use super::{
    Change, Ec2, address, attributes, conversion, forensics, group_rules, isolation_group,
    membership, preserve, role, target_groups, timeouts,
};
use crate::error::{Error, Result};

impl Ec2 {
    pub(super) async fn change(&self, action: &Change, until: Instant) -> Result<()> {
        match action {
            Change::ProtectAttribute {
                region,
                instance,
                attribute,
                ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                attributes::set(&ec2, instance, *attribute, attribute.wanted()).await
            }
            Change::KeepVolume {
                region,
                instance,
                device,
                volume,
            } => {
                let ec2 = self.clients_in(region).ec2;
                attributes::set_delete_on_termination(&ec2, instance, device, volume, false).await
            }
            Change::LeaveAutoScalingGroup { group: None, .. } => Ok(()),
            Change::LeaveAutoScalingGroup {
                region,
                instance,
                group: Some(group),
                standby,
            } => {
                let autoscaling = self.clients_in(region).autoscaling;
                if *standby {
                    membership::enter_standby(&autoscaling, group, instance).await
                } else {
                    membership::detach(&autoscaling, group, instance).await
                }
            }
            Change::DeregisterTargets { region, from, .. } => {
                target_groups::deregister_targets(&self.clients_in(region).elbv2, from).await
            }
            Change::DeregisterFromBalancers {
                region,
                instance,
                from,
            } => membership::leave_balancers(&self.clients_in(region).elb, from, instance).await,
            Change::PrepareIsolationGroup {
                region,
                vpc,
                account,
                from,
            } => {
                let ec2 = self.clients_in(region).ec2;
                isolation_group::prepare(&ec2, account, vpc, from.as_ref()).await
            }
            Change::CloseIsolationGroup { region, from, keep } => {
                group_rules::strip(&self.clients_in(region).ec2, &from.id, keep).await
            }
            Change::IsolateInterface {
                region,
                interface,
                vpc,
                account,
                ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                let nothing = std::future::ready(());
                isolation_group::attach(&ec2, account, vpc, interface, nothing).await
            }
            Change::AdmitForensics {
                region,
                interface,
                vpc,
                account,
                rules,
                ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                Box::pin(forensics::admit(&ec2, account, vpc, interface, rules)).await
            }
            Change::DenyCredentials {
                role, instance, to, ..
            } => role::put(&self.clients.iam, role, instance, to).await,
            Change::RemovePublicAddress {
                region,
                interface,
                from,
            } => address::remove(&self.clients_in(region).ec2, interface, from).await,
            Change::DisableMetadata {
                region, instance, ..
            } => attributes::set_metadata(&self.clients_in(region).ec2, instance, "disabled").await,
            Change::ShortenTimeouts {
                region, interface, ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                timeouts::set(&ec2, interface, Timeouts::SHORTEST).await
            }
            Change::CutConnections {
                region,
                interface,
                vpc,
                account,
                seconds,
                finding,
                ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                let of = (account.as_str(), vpc.as_str());
                conversion::cut(&ec2, of, interface, *seconds, finding, until).await
            }
            Change::SnapshotVolumes {
                region,
                instance,
                finding,
                volumes,
                covered,
                root,
            } => {
                let ec2 = self.clients_in(region).ec2;
                let root = root.as_deref();
                preserve::snapshot(&ec2, instance, finding, volumes, covered, root).await
            }
            Change::Mark {
                region,
                resource,
                tags,
            } => preserve::tag(&self.clients_in(region).ec2, resource, tags.clone()).await,
        }
    }

    pub(super) async fn put_back(&self, action: &Change) -> Result<()> {
        match action {
            Change::LeaveAutoScalingGroup { standby: false, .. }
            | Change::LeaveAutoScalingGroup { group: None, .. }
            | Change::PrepareIsolationGroup { .. }
            | Change::CloseIsolationGroup { .. }
            | Change::AdmitForensics { .. }
            | Change::SnapshotVolumes { .. } => Ok(()),
            Change::ProtectAttribute {
                region,
                instance,
                attribute,
                from,
            } => attributes::set(&self.clients_in(region).ec2, instance, *attribute, from).await,
            Change::KeepVolume {
                region,
                instance,
                device,
                volume,
            } => {
                let ec2 = self.clients_in(region).ec2;
                attributes::set_delete_on_termination(&ec2, instance, device, volume, true).await
            }
            Change::LeaveAutoScalingGroup {
                region,
                instance,
                group: Some(group),
                ..
            } => {
                let autoscaling = self.clients_in(region).autoscaling;
                membership::exit_standby(&autoscaling, group, instance).await
            }
            Change::DeregisterTargets { region, from, .. } => {
                target_groups::register_targets(&self.clients_in(region).elbv2, from).await
            }
            Change::DeregisterFromBalancers {
                region,
                instance,
                from,
            } => membership::join_balancers(&self.clients_in(region).elb, from, instance).await,
            Change::IsolateInterface {
                interface, from, ..
            } if from.is_empty() => Err(Error::Refused(format!(
                "which groups {interface} was in is not known: give it groups by hand"
            ))),
            Change::IsolateInterface {
                region,
                interface,
                from,
                ..
            } => {
                let ec2 = self.clients_in(region).ec2;
                isolation_group::set_groups(&ec2, interface, from.clone()).await
            }
            Change::DenyCredentials {
                role,
                instance,
                from: None,
                ..
            } => role::take_off(&self.clients.iam, role, instance).await,
            Change::DenyCredentials {
                role,
                instance,
                from: Some(policy),
                ..
            } => role::put(&self.clients.iam, role, instance, policy).await,
            Change::RemovePublicAddress {
                region,
                interface,
                from,
            } => address::put_back(&self.clients_in(region).ec2, interface, from).await,
            Change::DisableMetadata {
                region,
                instance,
                from,
            } => attributes::set_metadata(&self.clients_in(region).ec2, instance, from).await,
            Change::ShortenTimeouts {
                region,
                interface,
                from,
            } => timeouts::set(&self.clients_in(region).ec2, interface, *from).await,
            Change::CutConnections {
                region, interface, ..
            } => {
                let tag = [(conversion::CUT_TAG.to_owned(), None)].into();
                preserve::untag(&self.clients_in(region).ec2, interface, &tag).await
            }
            Change::Mark {
                region,
                resource,
                tags,
            } => {
                // A retry marks with its own time, and the record has that of the first attempt.
                let tags = tags.iter().map(|(key, value)| {
                    let value = (key != preserve::TIME_TAG).then(|| value.clone());
                    (key.clone(), value)
                });
                let ec2 = self.clients_in(region).ec2;
                preserve::untag(&ec2, resource, &tags.collect()).await
            }
        }
    }
}
