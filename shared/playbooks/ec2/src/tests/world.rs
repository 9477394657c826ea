//! A small account with one instance in it: two interfaces in two VPCs, two volumes, a role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testkit::mock_client;
use tokio::time::Instant;

use super::super::clients::{Clients, Services};
use super::super::{Ec2, ISOLATION_GROUP};
use super::{ec2_rules, other_rules};
use fixtures::{self, Protocol, Wire, declared, finding};
use model::finding::Finding;
use serde_json::json;

pub(super) const ID: &str = "i-0abc1234def567890";

#[derive(Clone, Default)]
pub(super) struct Iface {
    pub(super) vpc: &'static str,
    pub(super) groups: BTreeSet<String>,
    /// Public address, association, allocation.
    pub(super) public: Vec<(&'static str, Option<&'static str>, Option<&'static str>)>,
    pub(super) ipv6: Vec<&'static str>,
    /// `interface` if it is empty.
    pub(super) kind: &'static str,
    pub(super) device_index: i32,
    /// It is on an Outpost.
    pub(super) outpost: bool,
    /// A carrier's address, and its allocation.
    pub(super) carrier: Option<(&'static str, Option<&'static str>)>,
    pub(super) requester: bool,
    /// EC2 does not check its source and destination.
    pub(super) unchecked: bool,
    pub(super) timeouts: Option<(i32, i32, i32)>,
    pub(super) tags: BTreeMap<String, String>,
    /// The code with which a change of its groups is refused.
    pub(super) refuses: Option<&'static str>,
    /// How many reads are made before it is attached.
    pub(super) attached_after: usize,
    /// How many reads after a change still show the groups of before.
    pub(super) lags: usize,
    pub(super) before: Option<BTreeSet<String>>,
}

/// A route table that sends traffic to an interface.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) id: &'static str,
    pub(super) destination: &'static str,
    pub(super) to: &'static str,
    pub(super) subnets: &'static [&'static str],
    /// It is the main route table of its VPC.
    pub(super) main: bool,
}

/// How EC2 limits snapshots of a volume.
#[derive(Clone, Default)]
pub(super) struct SnapshotLimits {
    /// How many are taken at the same time; each takes hours. `None`: there is no limit.
    pub(super) at_once: BTreeMap<&'static str, usize>,
    /// When the last one of a volume was begun.
    pub(super) begun: BTreeMap<String, Instant>,
    /// The volumes and ids of those that are being taken.
    pub(super) pending: Vec<(String, String)>,
}

impl SnapshotLimits {
    /// EC2 takes all of these or none.
    pub(super) fn take(&mut self, volumes: &[String]) -> Result<(), &'static str> {
        let now = Instant::now();
        for volume in volumes {
            let begun = self.begun.get(volume);
            if begun.is_some_and(|begun| now.duration_since(*begun) < Duration::from_secs(15)) {
                return Err("SnapshotCreationPerVolumeRateExceeded");
            }
            let pending = self.pending.iter().filter(|(of, _)| of == volume).count();
            let at_once = self.at_once.get(volume.as_str());
            if at_once.is_some_and(|at_once| pending >= *at_once) {
                return Err("ConcurrentSnapshotLimitExceeded");
            }
        }
        for volume in volumes {
            self.begun.insert(volume.clone(), now);
            let id = format!("snap-{}", self.pending.len());
            self.pending.push((volume.clone(), id));
        }
        Ok(())
    }
}

/// A rule's id is whom it lets through.
#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) vpc: String,
    pub(super) name: String,
    /// Its tag `gdr:role`.
    pub(super) role: Option<String>,
    /// The account that owns it, if that is another than the finding's.
    pub(super) owner: Option<&'static str>,
    pub(super) ingress: BTreeSet<String>,
    pub(super) egress: BTreeSet<String>,
}

#[derive(Clone)]
pub(super) struct Account {
    /// There is no such instance in this Region.
    pub(super) missing: bool,
    /// The Regions that are enabled for the account.
    pub(super) regions: Vec<&'static str>,
    pub(super) state: &'static str,
    pub(super) spot: bool,
    pub(super) operator: bool,
    pub(super) kind: &'static str,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) interfaces: BTreeMap<&'static str, Iface>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) termination: bool,
    pub(super) stop: bool,
    pub(super) shutdown: String,
    pub(super) metadata: String,
    /// EC2 has not applied it yet.
    pub(super) metadata_pending: bool,
    /// Its instance profile.
    pub(super) profile: Option<&'static str>,
    /// Volume to device, delete on termination, tags.
    pub(super) volumes: BTreeMap<&'static str, (&'static str, bool, BTreeMap<String, String>)>,
    /// Volume and finding.
    pub(super) snapshots: Vec<(String, String)>,
    /// Group and lifecycle state.
    pub(super) scaling: Option<(String, &'static str)>,
    /// Its group has started another one for it.
    pub(super) replaced: bool,
    /// Target group, id, port, draining.
    pub(super) targets: Vec<(String, String, i32, bool)>,
    /// The target group of another VPC than the first interface's, and the zone of its targets.
    pub(super) foreign: Option<(&'static str, &'static str)>,
    pub(super) balancers: BTreeSet<String>,
    /// How many instances have the instance profile.
    pub(super) alike: usize,
    pub(super) role_path: &'static str,
    pub(super) policies: BTreeMap<String, String>,
    pub(super) nat: bool,
    pub(super) transit: bool,
    pub(super) carrier_gateway: bool,
    /// No route table is shown.
    pub(super) no_tables: bool,
    /// Where the subnets have local network interfaces.
    pub(super) local_at: Option<i32>,
    /// No subnet is shown.
    pub(super) no_subnets: bool,
    /// Secondary interfaces, and their networks.
    pub(super) secondary: Vec<(&'static str, &'static str)>,
    /// The entries of each prefix list.
    pub(super) lists: BTreeMap<&'static str, Vec<&'static str>>,
    /// Route tables that lead through the instance.
    pub(super) tables: Vec<Table>,
    pub(super) snapshot_limits: Option<SnapshotLimits>,
    /// Target groups without the instance.
    pub(super) more_target_groups: usize,
    /// Target groups that are listed and were deleted since.
    pub(super) deleted_target_groups: BTreeSet<&'static str>,
    /// When each target group was asked for its targets.
    pub(super) asked_target_groups: Vec<Instant>,
    /// Interface endpoints of its VPC.
    pub(super) endpoints: Vec<&'static str>,
    /// The interface of somebody else's that has its Elastic IP address by now.
    pub(super) address_at: Option<&'static str>,
    /// What the console shows.
    pub(super) console: String,
    /// The open group as it was when an interface left it.
    pub(super) left_open: Vec<Group>,
    /// Other interfaces in the open group.
    pub(super) others_open: usize,
    /// The groups of each interface after each change.
    pub(super) history: Vec<(String, BTreeSet<String>)>,
    /// Interfaces on a page of an answer.
    pub(super) page: usize,
    /// How many reads after its creation do not show a group yet.
    pub(super) new_group_hidden: usize,
    /// How many reads after its creation do not show a group's rules yet.
    pub(super) new_rules_hidden: usize,
    /// How many reads after rules were revoked still show them.
    pub(super) revoked_shown: usize,
    /// Groups as they were before rules were revoked.
    pub(super) revoked: BTreeMap<String, Group>,
    /// Another responder makes the group just before this one does.
    pub(super) raced: bool,
}

/// One of `counter` reads is used up, if any is left.
pub(super) fn lags(counter: &mut usize) -> bool {
    let lags = *counter > 0;
    *counter = counter.saturating_sub(1);
    lags
}

/// An isolation group with these rules.
pub(super) fn group<const I: usize, const E: usize>(
    vpc: &str,
    ingress: [&str; I],
    egress: [&str; E],
) -> Group {
    Group {
        vpc: vpc.to_owned(),
        name: ISOLATION_GROUP.to_owned(),
        role: Some("isolation".to_owned()),
        owner: None,
        ingress: names(ingress),
        egress: names(egress),
    }
}

/// An account whose instance has these interfaces, each in its VPC.
pub(super) fn account<const N: usize>(interfaces: [(&'static str, &'static str); N]) -> Account {
    let interface = |(id, vpc)| {
        let groups = names(["sg-app", "sg-ssh", "sg-db"]);
        let interface = Iface {
            vpc,
            groups,
            ..Iface::default()
        };
        (id, interface)
    };
    Account {
        interfaces: interfaces.map(interface).into(),
        ..Account::default()
    }
}

pub(super) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

impl Default for Account {
    fn default() -> Self {
        let interface = |vpc, groups| Iface {
            vpc,
            groups,
            ..Iface::default()
        };
        Self {
            missing: false,
            regions: vec!["us-east-1"],
            state: "running",
            spot: false,
            operator: false,
            kind: "m5.large",
            tags: BTreeMap::new(),
            interfaces: [
                ("eni-1", interface("vpc-1", names(["sg-web", "sg-admin"]))),
                ("eni-2", interface("vpc-2", names(["sg-data"]))),
            ]
            .into(),
            groups: BTreeMap::new(),
            termination: false,
            stop: false,
            shutdown: "terminate".to_owned(),
            metadata: "enabled".to_owned(),
            metadata_pending: false,
            profile: Some("web-profile"),
            volumes: [
                ("vol-root", ("/dev/xvda", true, BTreeMap::new())),
                ("vol-data", ("/dev/sdf", false, BTreeMap::new())),
            ]
            .into(),
            snapshots: Vec::new(),
            scaling: None,
            replaced: false,
            targets: Vec::new(),
            foreign: None,
            balancers: BTreeSet::new(),
            alike: 8,
            role_path: "/",
            policies: BTreeMap::new(),
            nat: false,
            transit: false,
            carrier_gateway: false,
            no_tables: false,
            local_at: None,
            no_subnets: false,
            secondary: Vec::new(),
            lists: BTreeMap::new(),
            tables: Vec::new(),
            snapshot_limits: None,
            more_target_groups: 0,
            deleted_target_groups: BTreeSet::new(),
            asked_target_groups: Vec::new(),
            endpoints: Vec::new(),
            address_at: None,
            console: "bG9naW46".to_owned(),
            left_open: Vec::new(),
            others_open: 0,
            history: Vec::new(),
            page: 100,
            new_group_hidden: 0,
            new_rules_hidden: 0,
            revoked_shown: 0,
            revoked: BTreeMap::new(),
            raced: false,
        }
    }
}

pub(super) struct World {
    account: Arc<Mutex<Account>>,
    pub(super) wire: Wire,
    pub(super) playbook: Ec2,
    /// Whether a release is tried, too.
    pub(super) releases: bool,
}

/// What only a release calls.
const RELEASING: [&str; 7] = [
    "autoscaling:ExitStandby",
    "ec2:AssociateAddress",
    "ec2:DeleteTags",
    "ec2:DescribeAddresses",
    "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
    "elasticloadbalancing:RegisterTargets",
    "iam:DeleteRolePolicy",
];

/// In no test may a call be made that the playbook declares no permission for.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let called: BTreeSet<_> = self.wire.calls().into_iter().collect();
            let mut permitted = declared::<Ec2>();
            if self.releases {
                permitted.extend(RELEASING);
            }
            assert!(called.is_subset(&permitted), "{called:?}");
        }
    }
}

impl fixtures::World for World {
    type Playbook = Ec2;
    fn playbook(&self) -> &Ec2 {
        &self.playbook
    }
    fn wire(&self) -> &Wire {
        &self.wire
    }
    /// Isolated, its credentials denied, and nothing of it lost.
    fn is_contained(&self) -> bool {
        let interfaces: Vec<_> = self.now().interfaces.keys().copied().collect();
        let isolated = interfaces.into_iter().all(|id| self.is_isolated(id));
        let account = self.now();
        let deny = account.policies.get(&format!("gdr-deny-{ID}"));
        let denied = deny.is_some_and(|deny| deny.contains(&format!("AROAEXAMPLE:{ID}")));
        let kept = account.termination
            && account.stop
            && account.shutdown == "stop"
            && account.volumes.values().all(|volume| !volume.1);
        let left = account.scaling.is_none()
            && account.targets.iter().all(|target| target.3)
            && account.balancers.is_empty();
        let covered: BTreeSet<_> = account.snapshots.iter().map(|taken| &*taken.0).collect();
        let preserved = account
            .volumes
            .keys()
            .all(|volume| covered.contains(volume));
        isolated && denied && kept && left && preserved
    }
    /// What does not decide whether an interface is isolated is read back again, as it is then, if it
    /// does not show what was done.
    fn need_not_tell(&self, operation: &str, always: bool) -> bool {
        // Reading the instance anew is told if it fails; counting others with its role is for the
        // breaker to tell.
        let core = [
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
        ];
        let only_informs = [
            "autoscaling:DescribeAutoScalingGroups",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeRouteTables",
        ];
        let reads = operation.contains(":Describe") || operation.contains(":Get");
        only_informs.contains(&operation) || (!always && reads && !core.contains(&operation))
    }
    /// The next look asks the target groups again, and the instance is isolated until then.
    fn is_left_to_the_next_look(&self, operation: &str) -> bool {
        operation.starts_with("elasticloadbalancing:DescribeTarget")
            || operation == "ec2:CreateTags"
    }
}

impl Ec2 {
    /// A playbook that calls through these clients.
    pub(super) fn over(services: Services) -> Self {
        Self {
            clients: Clients::of(services),
            trail: None,
            forensics_access: Vec::new(),
        }
    }
}

impl World {
    /// The same, reaching `there` in another Region of the account. IAM is that of this world.
    pub(super) fn reaching(self, region: &str, there: &Self) -> Self {
        let clients = Services {
            iam: self.playbook.clients.own.iam.clone(),
            ..there.playbook.clients.own.clone()
        };
        let elsewhere = self.playbook.clients.elsewhere.lock();
        let mut elsewhere = elsewhere.unwrap_or_else(PoisonError::into_inner);
        elsewhere.insert(region.to_owned(), clients);
        drop(elsewhere);
        self
    }

    /// Another playbook over the same clients.
    pub(super) fn another_playbook(&self) -> Ec2 {
        let another = Ec2::over(self.playbook.clients.own.clone());
        let elsewhere = self.playbook.clients.elsewhere.lock();
        let elsewhere = elsewhere.unwrap_or_else(PoisonError::into_inner).clone();
        *another.clients.elsewhere.lock().unwrap() = elsewhere;
        another
    }

    /// A world in which things are put back as well.
    pub(super) fn to_release(account: Account) -> Self {
        let mut world = Self::new(account);
        world.releases = true;
        world
    }

    pub(super) fn new(account: Account) -> Self {
        let account = Arc::new(Mutex::new(account));
        let wire = Wire::new(Protocol::Ec2);
        let query = wire.speaking(Protocol::Query);
        let ec2 = ec2_rules::rules(&account, &wire);
        let ec2: Vec<_> = ec2.iter().collect();
        let [iam, autoscaling, elb, elbv2] = other_rules::rules(&account, &query);
        let [iam, autoscaling, elb, elbv2] =
            [&iam, &autoscaling, &elb, &elbv2].map(|rules| rules.iter().collect::<Vec<_>>());
        macro_rules! client {
            ($service:ident, $rules:expr) => {
                mock_client!($service, $rules)
            };
        }
        let clients = Services {
            ec2: client!(aws_sdk_ec2, ec2),
            iam: client!(aws_sdk_iam, iam),
            autoscaling: client!(aws_sdk_autoscaling, autoscaling),
            elb: client!(aws_sdk_elasticloadbalancing, elb),
            elbv2: client!(aws_sdk_elasticloadbalancingv2, elbv2),
        };
        Self {
            account,
            wire,
            playbook: Ec2::over(clients),
            releases: false,
        }
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    /// The groups that an interface is in.
    pub(super) fn groups_of(&self, interface: &str) -> Vec<String> {
        let groups = &self.now().interfaces[interface].groups;
        groups.iter().cloned().collect()
    }

    /// Someone lets everything into a group.
    pub(super) fn open(&self, group: &str) {
        let mut account = self.now();
        let group = account.groups.get_mut(group).expect("the group");
        group.ingress = names(["0.0.0.0/0"]);
    }

    /// Whether an interface is in the isolation group of its VPC, which has no rules, and in no other.
    pub(super) fn is_isolated(&self, interface: &str) -> bool {
        let account = self.now();
        let found = &account.interfaces[interface];
        let [group] = found.groups.iter().collect::<Vec<_>>()[..] else {
            return false;
        };
        account.groups.get(group).is_some_and(|group| {
            group.name.starts_with("gdr-isolation")
                && group.vpc == found.vpc
                && group.ingress.is_empty()
                && group.egress.is_empty()
        })
    }
}

pub(super) fn infected() -> Finding {
    infected_with(&BTreeMap::new())
}

/// A finding that shows these tags of the instance.
pub(super) fn infected_with(tags: &BTreeMap<String, String>) -> Finding {
    let tags = tags.iter();
    let tags = tags.map(|(key, value)| json!({ "key": key, "value": value }));
    finding(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": ID, "tags": tags.collect::<Vec<_>>() },
        },
    }))
}

/// The ARN of an instance profile of this name.
pub(super) fn profile(name: &str) -> String {
    format!("arn:aws:iam::111122223333:instance-profile/apps/{name}")
}

/// [`infected`], in which the instance has this profile.
pub(super) fn infected_by(name: &str) -> Finding {
    finding(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": {
            "instanceId": ID, "iamInstanceProfile": { "arn": profile(name) },
        } },
    }))
}
