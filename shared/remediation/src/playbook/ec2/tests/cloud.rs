//! What a test keeps of EC2: an instance, its interfaces, security groups with rules.

use super::super::ISOLATION_GROUP;

pub(super) const INSTANCE: &str = "i-0abc1234def567890";

/// A network interface of the instance.
#[derive(Clone)]
pub(super) struct Nic {
    pub(super) id: &'static str,
    pub(super) vpc: &'static str,
    pub(super) groups: Vec<String>,
    pub(super) requester: Option<&'static str>,
    /// The code with which a change of its groups is refused.
    pub(super) refuses: Option<&'static str>,
    /// How many reads are made before it is attached.
    pub(super) attached_after: usize,
    /// How many reads after a change still show the groups of before.
    pub(super) lags: usize,
    pub(super) before: Option<Vec<String>>,
}

pub(super) fn nic(id: &'static str, vpc: &'static str) -> Nic {
    Nic {
        id,
        vpc,
        groups: vec!["sg-app".to_owned(), "sg-ssh".to_owned(), "sg-db".to_owned()],
        requester: None,
        refuses: None,
        attached_after: 0,
        lags: 0,
        before: None,
    }
}

/// A rule: its direction and whom it lets through.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) egress: bool,
    pub(super) peer: &'static str,
}

#[derive(Clone)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) vpc: String,
    pub(super) rules: Vec<Rule>,
}

pub(super) fn group(id: &str, vpc: &str, rules: &[(bool, &'static str)]) -> Group {
    let rules = rules
        .iter()
        .enumerate()
        .map(|(number, (egress, peer))| Rule {
            id: format!("sgr-{id}-{number}"),
            egress: *egress,
            peer,
        });
    Group {
        id: id.to_owned(),
        name: ISOLATION_GROUP,
        vpc: vpc.to_owned(),
        rules: rules.collect(),
    }
}

/// What a new group lets out.
const DEFAULT: [(bool, &str); 2] = [(true, "0.0.0.0/0"), (true, "::/0")];

#[derive(Clone)]
pub(super) struct Cloud {
    /// The instance's state. `None`: it does not exist.
    pub(super) state: Option<&'static str>,
    pub(super) nics: Vec<Nic>,
    pub(super) groups: Vec<Group>,
    /// Interfaces on a page of an answer.
    pub(super) page: usize,
    /// How many reads after its creation do not show a group yet.
    pub(super) new_group_hidden: usize,
    /// How many reads after its creation do not show a group's rules yet.
    pub(super) new_rules_hidden: usize,
    /// How many reads after rules were revoked still show them.
    pub(super) revoked_shown: usize,
    /// Another responder makes the group just before this one does.
    pub(super) raced: bool,
    /// Groups as they were before rules were revoked.
    pub(super) revoked: Vec<Group>,
}

pub(super) fn cloud(nics: impl IntoIterator<Item = Nic>) -> Cloud {
    Cloud {
        state: Some("running"),
        nics: nics.into_iter().collect(),
        groups: Vec::new(),
        page: 100,
        new_group_hidden: 0,
        new_rules_hidden: 0,
        revoked_shown: 0,
        raced: false,
        revoked: Vec::new(),
    }
}

/// One of `counter` reads is used up, if any is left.
pub(super) fn lags(counter: &mut usize) -> bool {
    let lags = *counter > 0;
    *counter = counter.saturating_sub(1);
    lags
}

impl Cloud {
    /// The isolation group of `vpc`.
    pub(super) fn isolation(&self, vpc: &str) -> Option<&Group> {
        let named = |group: &&Group| group.vpc == vpc && group.name == ISOLATION_GROUP;
        self.groups.iter().find(named)
    }

    /// The ids of the groups of an interface.
    pub(super) fn groups_of(&self, nic: &str) -> Vec<String> {
        let nic = self.nics.iter().find(|found| found.id == nic);
        nic.expect("the interface").groups.clone()
    }

    pub(super) fn create(&mut self, vpc: &str) -> Result<String, &'static str> {
        let exists = self.isolation(vpc).is_some();
        if self.raced && !exists {
            self.groups.push(group("sg-faster", vpc, &DEFAULT));
        }
        if exists || self.raced {
            return Err("InvalidGroup.Duplicate");
        }
        let id = format!("sg-{}", vpc.trim_start_matches("vpc-"));
        self.groups.push(group(&id, vpc, &DEFAULT));
        Ok(id)
    }

    pub(super) fn revoke(
        &mut self,
        id: Option<&str>,
        rules: &[String],
        out: bool,
    ) -> Result<(), &'static str> {
        let group = self
            .groups
            .iter_mut()
            .find(|group| Some(group.id.as_str()) == id);
        let group = group.ok_or("InvalidGroup.NotFound")?;
        let before = group.clone();
        for rule in rules {
            let is = |found: &Rule| found.id == *rule && found.egress == out;
            let found = group.rules.iter().position(is);
            group
                .rules
                .remove(found.ok_or("InvalidSecurityGroupRuleId.NotFound")?);
        }
        if !self.revoked.iter().any(|group| group.id == before.id) {
            self.revoked.push(before);
        }
        Ok(())
    }

    pub(super) fn modify(
        &mut self,
        nic: Option<&str>,
        groups: &[String],
    ) -> Result<(), &'static str> {
        let exists = |id: &String| self.groups.iter().any(|group| group.id == *id);
        if !groups.iter().all(exists) {
            return Err("InvalidGroup.NotFound");
        }
        let nic = self.nics.iter_mut().find(|found| Some(found.id) == nic);
        let nic = nic.ok_or("InvalidNetworkInterfaceID.NotFound")?;
        if let Some(code) = nic.refuses {
            return Err(code);
        }
        nic.before = Some(std::mem::replace(&mut nic.groups, groups.to_vec()));
        Ok(())
    }
}
