//! What is to be done about an instance in the state that was read. Pure.

mod contain;
mod leave;
mod narrow;
mod outlived;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use self::contain::prior_groups;
use super::change::{Attribute, Change};
use super::isolation_group::{ISOLATION_ROLE, ROLE_TAG};
use super::name;
use super::preserve::{GROUPS_TAG, INCIDENT_TAG, TIME_TAG, groups_value, tag_value};
use super::state::{Instance, State};
use super::{bystanders, risks};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::plan::{Plan, Step};
use crate::settings::Ec2Settings;

/// Plans for one instance.
struct Planner<'a> {
    finding: &'a Finding,
    state: &'a State,
    instance: &'a Instance,
    settings: &'a Ec2Settings,
    /// Why nothing is done to it that would keep it from working.
    hands_off: Option<String>,
    plan: Plan<Change>,
}

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &Ec2Settings,
    now: Timestamp,
) -> Plan<Change> {
    let id = finding.instance_id().unwrap_or_default();
    let gone = state.gone();
    let nobody = Instance {
        id,
        ..Instance::default()
    };
    let instance = state.instance.as_ref().unwrap_or(&nobody);
    let mut planner = Planner {
        finding,
        state,
        instance,
        settings,
        hands_off: hands_off(instance, settings).filter(|_| gone.is_none()),
        plan: Plan::default(),
    };
    if let Some(why) = gone {
        return planner.outlived(why);
    }
    if state.region != finding.region {
        planner.plan.next_steps.push(format!(
            "look for {} in {}: that is its Region, and not {}, which the finding names",
            instance.id, state.region, finding.region,
        ));
    }
    planner.protect();
    planner.leave();
    planner.isolate();
    planner.deny();
    planner.narrow();
    planner.preserve();
    planner.admit();
    planner.mark(now);
    let hands_off = planner.hands_off.is_some();
    if let (false, false, Some(cluster)) = (
        hands_off,
        settings.isolate_container_nodes,
        &instance.claimed_cluster,
    ) {
        planner.plan.next_steps.push(format!(
            "{} is said to be a node of {cluster}, which the finding does not show, so it was not left \
             alone for that: find out who set it; if it is a node, cordon it, for its containers are cut off",
            instance.id
        ));
    }
    let mut plan = planner.plan;
    risks::remaining(&mut plan, finding, state, instance, settings, hands_off);
    if !hands_off {
        bystanders::spare(&mut plan, finding, state, instance);
        bystanders::replaced_by_emr(&mut plan, instance);
    }
    plan
}

fn skipped(action: &'static str, target: &str, reason: String) -> Step<Change> {
    Step::Skipped {
        action,
        target: target.to_owned(),
        reason,
    }
}

/// Isolating a node cuts off every container on it, and its cluster replaces it; what an AWS service
/// operates nobody else may change,
/// <https://docs.aws.amazon.com/eks/latest/best-practices/incident-response-and-forensics.html>.
fn hands_off(instance: &Instance, settings: &Ec2Settings) -> Option<String> {
    if settings.isolate_container_nodes {
        return None;
    }
    if let Some(operator) = &instance.operator {
        return Some(format!(
            "{operator} operates this instance and restricts what others may change: contain it through \
             that service"
        ));
    }
    instance.cluster.as_ref().map(|cluster| {
        format!(
            "it is a node of {cluster}: isolating it would cut off every container on it. Isolate the pod \
             or task and cordon the node, or set EC2_CONTAINER_NODES. If it is no node, someone tagged it \
             as one"
        )
    })
}

impl Planner<'_> {
    fn push(&mut self, step: Step<Change>) {
        self.plan.steps.push(step);
    }

    fn region(&self) -> String {
        self.state.region.clone()
    }

    fn id(&self) -> String {
        self.instance.id.clone()
    }

    /// What was read, or the step that says that it was not.
    fn read<T: Clone>(
        &mut self,
        action: &'static str,
        target: &str,
        read: &Result<T>,
    ) -> Option<T> {
        read.clone()
            .map_err(|error: Error| {
                self.push(Step::Unknown {
                    action,
                    target: target.to_owned(),
                    error,
                });
            })
            .ok()
    }

    fn protect(&mut self) {
        let rest = self.state.rest.as_ref();
        let found = rest.map(|rest| &rest.protection);
        let attributes = found.map(|found| {
            [
                (Attribute::DisableApiTermination, &found.termination),
                (Attribute::DisableApiStop, &found.stop),
                (Attribute::ShutdownBehavior, &found.shutdown),
            ]
        });
        for (attribute, from) in attributes.into_iter().flatten() {
            let (action, id) = (attribute.action(), self.id());
            if let Some(why) = self.unprotectable(attribute) {
                self.push(skipped(action, &id, why));
                continue;
            }
            let Some(from) = self.read(action, &id, from) else {
                continue;
            };
            let protected = from == attribute.wanted();
            let change = Change::ProtectAttribute {
                region: self.region(),
                instance: id,
                attribute,
                from,
            };
            self.push(if protected {
                Step::Already(change, format!("it is {}", attribute.wanted()))
            } else {
                Step::Do(change)
            });
        }
        for volume in &self.instance.volumes {
            let change = Change::KeepVolume {
                region: self.region(),
                instance: self.id(),
                device: volume.device.clone(),
                volume: volume.id.clone(),
            };
            self.push(match self.operated() {
                _ if !volume.delete_on_termination => Step::Already(
                    change,
                    "it stays when the instance is terminated".to_owned(),
                ),
                Some(why) => skipped(name::KEEP_VOLUME, &volume.id, why),
                None => Step::Do(change),
            });
        }
    }

    /// Nobody but its operator may change a setting of an instance that an AWS service operates. Tags and snapshots
    /// are anybody's, <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html>.
    pub(super) fn operated(&self) -> Option<String> {
        let operator = self.instance.operator.as_ref()?;
        Some(format!(
            "{operator} operates this instance, and nobody else may change its settings: contain it through \
             that service"
        ))
    }

    /// What EC2 does not offer for this instance,
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-stop-protection.html>.
    fn unprotectable(&self, attribute: Attribute) -> Option<String> {
        if let Some(why) = self.operated() {
            return Some(why);
        }
        let why = match attribute {
            Attribute::DisableApiTermination if self.instance.spot => {
                "a Spot Instance cannot be protected from termination: EC2 may take it back at any time, so \
                 its snapshots are the evidence"
            }
            Attribute::DisableApiStop if self.instance.spot => {
                "a Spot Instance cannot be protected from being stopped"
            }
            Attribute::DisableApiStop | Attribute::ShutdownBehavior
                if !self.instance.root_is_ebs =>
            {
                "an instance whose root is an instance-store volume cannot be stopped at all"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn preserve(&mut self) {
        let attached: BTreeSet<_> = self.instance.volumes.iter().map(|v| v.id.clone()).collect();
        if attached.is_empty() {
            return;
        }
        let Some(rest) = &self.state.rest else {
            return;
        };
        let id = self.id();
        // Snapshots cost money: none are taken without knowing that there are none yet.
        let Some(taken) = self.read(name::SNAPSHOT, &id, &rest.snapshots) else {
            return;
        };
        let root = self
            .instance
            .volumes
            .iter()
            .find(|volume| Some(&volume.device) == self.instance.root_device.as_ref());
        let volumes: BTreeSet<_> = &attached - &taken;
        let complete = volumes.is_empty();
        let change = Change::SnapshotVolumes {
            region: self.region(),
            instance: id,
            finding: self.finding.id.clone(),
            volumes,
            covered: &attached & &taken,
            root: root.map(|volume| volume.id.clone()),
        };
        self.push(if complete {
            Step::Already(
                change,
                "each volume has a snapshot for this finding".to_owned(),
            )
        } else {
            Step::Do(change)
        });
    }

    fn mark(&mut self, now: Timestamp) {
        let state = self.state;
        let marks = [
            (INCIDENT_TAG.to_owned(), tag_value(&self.finding.id)),
            (TIME_TAG.to_owned(), now.to_string()),
        ];
        let mut resources = vec![(self.id(), &self.instance.tags, None)];
        if self.hands_off.is_none() {
            resources.extend(state.manageable().map(|interface| {
                // Once isolated, what it was in before is known to the record only.
                let groups = match state.isolates(interface) {
                    Some(_) => BTreeSet::new(),
                    None => prior_groups(interface, state),
                };
                (
                    interface.id.clone(),
                    &interface.tags,
                    Some(groups_value(&groups)),
                )
            }));
        }
        match state.rest.as_ref().map(|rest| &rest.volume_tags) {
            None => {}
            Some(Ok(volumes)) => {
                resources.extend(volumes.iter().map(|(id, tags)| (id.clone(), tags, None)));
            }
            Some(Err(error)) => self.push(Step::Unknown {
                action: name::TAG,
                target: format!("the volumes of {}", self.instance.id),
                error: error.clone(),
            }),
        }
        for (resource, found, groups) in resources {
            let mut tags: BTreeMap<_, _> = marks.clone().into();
            tags.extend(groups.map(|groups| (GROUPS_TAG.to_owned(), groups)));
            if found.contains_key(INCIDENT_TAG) {
                let keys = tags.into_keys();
                let read = |key: String| found.get(&key).cloned().map(|value| (key, value));
                tags = keys.filter_map(read).collect();
            }
            let change = Change::Mark {
                region: self.region(),
                resource,
                tags,
            };
            // The first incident's mark stays: it says what was there before.
            self.push(match found.get(INCIDENT_TAG) {
                Some(by) => Step::Already(change, format!("it is marked for finding {by}")),
                None => Step::Do(change),
            });
        }
        if self.hands_off.is_none() {
            self.mark_groups();
        }
    }

    /// A group of the right name that somebody else made gets our tag, by which a service control policy keeps it
    /// closed.
    fn mark_groups(&mut self) {
        let state = self.state;
        let vpcs: BTreeSet<_> = state.manageable().map(|found| &found.vpc).collect();
        for group in vpcs.into_iter().filter_map(|vpc| state.groups.get(vpc)) {
            let change = Change::Mark {
                region: self.region(),
                resource: group.id.clone(),
                tags: [(ROLE_TAG.to_owned(), ISOLATION_ROLE.to_owned())].into(),
            };
            self.push(if group.marked {
                Step::Already(change, format!("it has the tag {ROLE_TAG}"))
            } else {
                Step::Do(change)
            });
        }
    }
}
