//! The tags of what an incident touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::action::{Action, Mark};
use super::super::isolation_group::{ISOLATION_ROLE, ROLE_TAG};
use super::super::mark::{GROUPS_TAG, INCIDENT_TAG, TIME_TAG, groups_value, tag_value};
use super::contain::prior_groups;
use super::planner::Planner;
use model::actions::ec2 as name;
use model::plan::Step;

impl Planner<'_> {
    pub(super) fn mark(&mut self, now: Timestamp) {
        let state = self.state;
        let marks = [
            (INCIDENT_TAG.to_owned(), tag_value(&self.finding.id)),
            (TIME_TAG.to_owned(), now.to_string()),
        ];
        let mut interfaces: Vec<_> = state.manageable().collect();
        if self.exempt_reason.is_some() {
            interfaces.clear();
        }
        let isolated = interfaces.iter().map(|found| found.id.clone()).collect();
        let mut resources = vec![(self.id(), &self.instance.tags, None, isolated)];
        resources.extend(interfaces.into_iter().map(|interface| {
            // Once isolated, what it was in before is known to the record only.
            let groups = match state.isolates(interface) {
                Some(_) => BTreeSet::new(),
                None => prior_groups(interface, state),
            };
            let id = interface.id.clone();
            let isolated = [id.clone()].into();
            (id, &interface.tags, Some(groups_value(&groups)), isolated)
        }));
        match state.rest.as_ref().map(|rest| &rest.volume_tags) {
            None => {}
            Some(Ok(volumes)) => {
                let volumes = volumes.iter();
                resources
                    .extend(volumes.map(|(id, tags)| (id.clone(), tags, None, BTreeSet::new())));
            }
            Some(Err(error)) => self.push(Step::unknown(
                name::MARK,
                format!("the volumes of {}", self.instance.id),
                error,
            )),
        }
        for (resource, found, groups, isolated) in resources {
            let mut tags: BTreeMap<_, _> = marks.clone().into();
            tags.extend(groups.map(|groups| (GROUPS_TAG.to_owned(), groups)));
            if found.contains_key(INCIDENT_TAG) {
                let keys = tags.into_keys();
                let read = |key: String| found.get(&key).cloned().map(|value| (key, value));
                tags = keys.filter_map(read).collect();
            }
            let change = Action::Mark(Mark {
                region: self.region(),
                resource,
                tags,
                isolated,
            });
            // The first incident's mark stays: it says what was there before.
            self.push(match found.get(INCIDENT_TAG) {
                Some(by) => Step::Already(change, format!("it is marked for finding {by}")),
                None => Step::Do(change),
            });
        }
        if self.exempt_reason.is_none() {
            self.mark_groups();
        }
    }

    /// A group of the right name that somebody else made gets our tag, by which a service control policy keeps it
    /// closed.
    fn mark_groups(&mut self) {
        let state = self.state;
        let vpcs: BTreeSet<_> = state.manageable().map(|found| &found.vpc).collect();
        for group in vpcs.into_iter().filter_map(|vpc| state.groups.get(vpc)) {
            let change = Action::Mark(Mark {
                region: self.region(),
                resource: group.id.clone(),
                tags: [(ROLE_TAG.to_owned(), ISOLATION_ROLE.to_owned())].into(),
                isolated: BTreeSet::new(),
            });
            self.push(if group.marked {
                Step::Already(change, format!("it has the tag {ROLE_TAG}"))
            } else {
                Step::Do(change)
            });
        }
    }
}
