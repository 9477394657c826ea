//! What is attacked, contained, released, and attacked again, in one trial after another.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ec2::types::{Filter, InstanceAttributeName};
use integration_tests::faults::Call;
use integration_tests::finding::Finding as Event;
use integration_tests::scenario::{
    HijackedFunction, InfectedInstance, Observation, PublicBucket, Reader, StolenKey,
    StolenRoleSession, Uploads,
};
use integration_tests::{LocalAws, Result, Scenario, s3, unique};
use playbooks::ec2::{Ec2, ISOLATION_GROUP};
use playbooks::{Iam, Lambda, Playbook, S3};
use remediation::settings::Settings;

/// How the emulators are reached: directly, or through the proxy.
pub(crate) struct Route {
    pub(crate) sdk: SdkConfig,
    pub(crate) ec2_endpoint: String,
}

impl Route {
    pub(crate) fn ec2(&self) -> SdkConfig {
        let sdk = self.sdk.clone().into_builder();
        sdk.endpoint_url(&self.ec2_endpoint).build()
    }
}

/// A victim with its playbook. Each trial finds it as it was created.
pub(crate) trait Target: Sized {
    type Playbook: Playbook;

    async fn create(aws: &'static LocalAws) -> Result<Self>;

    fn playbook(route: &Route) -> Self::Playbook;

    fn settings() -> Settings {
        Settings::default()
    }

    /// How long a run may take. What AWS is given is as much shorter than in a function.
    fn time() -> Duration {
        Duration::from_secs(22)
    }

    fn finding(&self) -> Result<Event>;

    async fn attack(&self) -> Result<Vec<Observation>>;

    /// Whether a call is struck: not if another target's playbook makes it in the same way.
    fn concerns(_call: &Call) -> bool {
        true
    }

    /// What a release reactivates only if it is named.
    fn keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a release must bring back, in words that can be compared.
    async fn described(&self) -> Result<String>;

    /// Takes away what a release leaves behind by design.
    async fn tidy(&self) -> Result {
        Ok(())
    }

    /// The interfaces that nothing gets through.
    async fn isolated(&self) -> Result<BTreeSet<String>> {
        Ok(BTreeSet::new())
    }

    /// An interface that was isolated and then put into another group.
    fn reopened(_calls: &[Call]) -> Option<String> {
        None
    }
}

pub(crate) struct Bucket(PublicBucket);

impl Target for Bucket {
    type Playbook = S3;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        Ok(Self(PublicBucket::create(aws).await?))
    }

    fn playbook(route: &Route) -> S3 {
        s3::playbook(&route.sdk, &route.ec2_endpoint)
    }

    fn finding(&self) -> Result<Event> {
        self.0.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.0.attack().await
    }

    async fn described(&self) -> Result<String> {
        Ok(format!("{:?}", self.0.public_access_block().await?))
    }
}

/// An object in which malware was found, and somebody who reads it.
pub(crate) struct Object {
    uploads: Uploads,
    reader: Reader,
}

impl Target for Object {
    type Playbook = S3;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        let owner = s3::client(&aws.root());
        Ok(Self {
            uploads: Uploads::create(&owner, &unique("uploads"), true).await?,
            reader: Reader::create(aws).await?,
        })
    }

    fn playbook(route: &Route) -> S3 {
        s3::playbook(&route.sdk, &route.ec2_endpoint)
    }

    fn finding(&self) -> Result<Event> {
        self.uploads.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.uploads.reads(&self.reader).await
    }

    /// The others are those of an exposed bucket.
    fn concerns(call: &Call) -> bool {
        let mut of_its_own = ["tagging", "policy", "versions"].iter();
        of_its_own.any(|part| call.operation.contains(part))
    }

    async fn described(&self) -> Result<String> {
        let policy = self.uploads.policy().await?;
        Ok(format!("{policy:?} {:?}", self.uploads.tags().await?))
    }
}

pub(crate) struct Key(StolenKey<'static>);

impl Target for Key {
    type Playbook = Iam;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        Ok(Self(StolenKey::create(aws).await?))
    }

    fn playbook(route: &Route) -> Iam {
        Iam::new(&route.sdk)
    }

    fn finding(&self) -> Result<Event> {
        self.0.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.0.attack().await
    }

    fn keys(&self) -> Vec<String> {
        vec![self.0.key_id().to_owned()]
    }

    async fn described(&self) -> Result<String> {
        Ok(format!("{:?}", self.0.state().await?))
    }
}

pub(crate) struct Session {
    theft: StolenRoleSession<'static>,
    aws: &'static LocalAws,
}

impl Target for Session {
    type Playbook = Iam;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        let theft = StolenRoleSession::create(aws).await?;
        Ok(Self { theft, aws })
    }

    fn playbook(route: &Route) -> Iam {
        Iam::new(&route.sdk)
    }

    fn finding(&self) -> Result<Event> {
        self.theft.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.theft.attack().await
    }

    async fn described(&self) -> Result<String> {
        let role = self.theft.role_name();
        let policies = self.aws.iam().list_role_policies().role_name(role);
        Ok(format!("{:?}", policies.send().await?.policy_names))
    }
}

pub(crate) struct Function {
    hijacked: HijackedFunction<'static>,
    aws: &'static LocalAws,
}

impl Target for Function {
    type Playbook = Lambda;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        let hijacked = HijackedFunction::create(aws, Some(3)).await?;
        Ok(Self { hijacked, aws })
    }

    fn playbook(route: &Route) -> Lambda {
        Lambda::new(&route.sdk)
    }

    fn finding(&self) -> Result<Event> {
        self.hijacked.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.hijacked.attack().await
    }

    async fn described(&self) -> Result<String> {
        let concurrency = self.hijacked.concurrency().await?;
        let role = self.hijacked.role_name();
        let policies = self.aws.iam().list_role_policies().role_name(role);
        let policies = policies.send().await?.policy_names;
        Ok(format!("{concurrency:?} {policies:?}"))
    }
}

/// What sets trials of instances apart.
pub(crate) trait Kind {
    /// All but the calls about groups and interfaces are those of [`First`].
    const LIKE_FIRST: bool = true;
    /// The VPC has an isolation group already, which somebody opened.
    const HAS_GROUP: bool;
    /// Tracked connections are cut, for which the interface is opened for seconds.
    const CUTS: bool;
}

/// The first that is isolated in its VPC.
pub(crate) struct First;
impl Kind for First {
    const LIKE_FIRST: bool = false;
    const HAS_GROUP: bool = false;
    const CUTS: bool = false;
}

/// One more.
pub(crate) struct Next;
impl Kind for Next {
    const HAS_GROUP: bool = true;
    const CUTS: bool = false;
}

/// The first, with everything that the settings allow and the emulator knows.
pub(crate) struct Cut;
impl Kind for Cut {
    const HAS_GROUP: bool = false;
    const CUTS: bool = true;
}

/// An instance with two interfaces and a role.
pub(crate) struct Instance<K> {
    victim: InfectedInstance,
    role: String,
    route: Route,
    ec2: aws_sdk_ec2::Client,
    kind: PhantomData<K>,
}

impl<K: Kind> Instance<K> {
    async fn own_groups(&self) -> Result<Vec<String>> {
        let mut groups = self.victim.groups_named(ISOLATION_GROUP).await?;
        groups.extend(self.victim.groups_named("gdr-conversion").await?);
        Ok(groups)
    }

    /// Those of all trials together would make the emulator slow.
    async fn delete_snapshots(&self) -> Result {
        let is = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        let volumes = self.ec2.describe_volumes();
        let volumes = volumes.filters(is("attachment.instance-id", &self.victim.id));
        for volume in volumes.send().await?.volumes() {
            let snapshots = self.ec2.describe_snapshots();
            let snapshots =
                snapshots.filters(is("volume-id", volume.volume_id().unwrap_or_default()));
            for snapshot in snapshots.send().await?.snapshots() {
                let delete = self.ec2.delete_snapshot();
                let delete = delete.snapshot_id(snapshot.snapshot_id().unwrap_or_default());
                delete.send().await?;
            }
        }
        Ok(())
    }

    async fn prepare(&self) -> Result {
        if K::HAS_GROUP {
            self.victim.leave_open_group(ISOLATION_GROUP).await?;
        }
        Ok(())
    }
}

impl<K: Kind> Target for Instance<K> {
    type Playbook = Ec2;

    async fn create(aws: &'static LocalAws) -> Result<Self> {
        let victim = InfectedInstance::create(aws).await?;
        let route = Route {
            sdk: aws.root(),
            ec2_endpoint: aws.ec2_endpoint.clone(),
        };
        let made = Self {
            role: victim.give_role(&route.ec2()).await?,
            victim,
            route,
            ec2: aws.ec2(),
            kind: PhantomData,
        };
        made.prepare().await?;
        Ok(made)
    }

    fn playbook(route: &Route) -> Ec2 {
        Ec2::new(&route.ec2())
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        if K::CUTS {
            settings.ec2.cut_connections_seconds = 2;
        }
        settings
    }

    fn time() -> Duration {
        // Of which 20 seconds are kept for isolating again, and 10 for the record and the notice.
        Duration::from_secs(if K::CUTS { 45 } else { 22 })
    }

    fn finding(&self) -> Result<Event> {
        self.victim.finding()
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.victim.attack().await
    }

    fn concerns(call: &Call) -> bool {
        let mut of_its_own = ["SecurityGroup", "NetworkInterfaceAttribute"].iter();
        !K::LIKE_FIRST || of_its_own.any(|part| call.operation.contains(part))
    }

    async fn described(&self) -> Result<String> {
        let of_instance = Filter::builder()
            .name("resource-id")
            .values(&self.victim.id)
            .build();
        let tags = self.ec2.describe_tags().filters(of_instance);
        let tags = tags.send().await?;
        let tags: Vec<_> = tags.tags().iter().filter_map(|tag| tag.key()).collect();
        let protection = self
            .ec2
            .describe_instance_attribute()
            .instance_id(&self.victim.id)
            .attribute(InstanceAttributeName::DisableApiTermination);
        let protected = protection.send().await?.disable_api_termination;
        let iam = aws_sdk_iam::Client::new(&self.route.ec2());
        let policies = iam.list_role_policies().role_name(&self.role);
        let policies = policies.send().await?.policy_names;
        let untouched = self.victim.is_untouched().await?;
        let groups = self.victim.groups().await?;
        Ok(format!(
            "untouched: {untouched}, {groups:?}, {protected:?}, tags {tags:?}, policies {policies:?}"
        ))
    }

    async fn tidy(&self) -> Result {
        for group in self.own_groups().await? {
            let delete = self.ec2.delete_security_group().group_id(group);
            delete.send().await?;
        }
        self.delete_snapshots().await?;
        self.prepare().await
    }

    async fn isolated(&self) -> Result<BTreeSet<String>> {
        let isolation = self.victim.groups_named(ISOLATION_GROUP).await?;
        let interfaces = self.victim.groups().await?.into_iter();
        let isolated = interfaces.filter(|(_, groups)| *groups == isolation);
        Ok(isolated.map(|(interface, _)| interface).collect())
    }

    fn reopened(calls: &[Call]) -> Option<String> {
        if K::CUTS { None } else { reopened(calls) }
    }
}

/// The groups that each interface was put into, as far as that was passed on or asked for.
fn reopened(calls: &[Call]) -> Option<String> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        if let (Some(interface), Some(group)) = (
            call.parameter("NetworkInterfaceId"),
            call.parameter("SecurityGroupId.1"),
        ) {
            groups.entry(interface).or_default().insert(group);
        }
    }
    let several = groups.iter().find(|(_, groups)| groups.len() > 1);
    several.map(|(interface, groups)| format!("{interface} was put into {groups:?}"))
}
