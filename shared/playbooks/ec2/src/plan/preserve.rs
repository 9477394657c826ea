//! Evidence that takes time.

use std::collections::BTreeSet;

use super::super::action::{Action, SnapshotVolumes};
use super::planner::Planner;
use model::actions::ec2 as name;
use model::plan::Step;

impl Planner<'_> {
    pub(super) fn preserve(&mut self) {
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
        let change = Action::SnapshotVolumes(SnapshotVolumes {
            region: self.region(),
            instance: id,
            finding: self.finding.id.clone(),
            volumes,
            covered: &attached & &taken,
            root: root.map(|volume| volume.id.clone()),
        });
        self.push(if complete {
            Step::Already(
                change,
                "each volume has a snapshot for this finding".to_owned(),
            )
        } else {
            Step::Do(change)
        });
    }
}
