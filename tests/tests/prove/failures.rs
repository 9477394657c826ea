//! Each call of a proof fails in turn: whatever is left is listed, `clean` removes it, and nothing is touched that
//! is not the proof's.

#![expect(clippy::print_stdout, reason = "the counts are what the tests are for")]

use std::collections::HashMap;
use std::time::Duration;

use integration_tests::faults::{Fault, Strike};
use integration_tests::{FaultyAws, LocalAws, Result, proving};
use proof::record::Left;
use proof::{Patience, Proof, Refused, Silent, TAG, Victim, World};

use super::account::Account;
use super::{AWS, FLAGS, RUNTIME, request};

/// Of the trials, every so-manieth is run unless FAULTS=all, of an instance fewer, which takes longest. Neither has a
/// factor in common with the numbers of faults of a call.
const SOME: usize = 29;
const SOME_OF_INSTANCE: usize = 61;

/// How a call fails: once, from then on, with its answer lost, with an old answer, and with the process.
const OF_READS: [(Fault, usize); 3] = [
    (Fault::Failed, usize::MAX),
    (Fault::Denied, 1),
    (Fault::Stale, 1),
];
const OF_WRITES: [(Fault, usize); 5] = [
    (Fault::Denied, 1),
    (Fault::Denied, usize::MAX),
    (Fault::AnswerLost, 1),
    (Fault::KilledBefore, 1),
    (Fault::KilledAfter, 1),
];

/// The result of a proof, unless it was killed.
type Ended = Option<std::result::Result<Proof, Refused>>;

struct Sweep {
    aws: &'static LocalAws,
    faulty: FaultyAws,
    world: World,
    victim: Victim,
}

impl Sweep {
    async fn new(aws: &'static LocalAws, victim: Victim) -> Result<Self> {
        let faulty = FaultyAws::start(aws).await?;
        let world = proving::world(aws, &faulty.endpoint, &faulty.ec2_endpoint).await;
        // A failure that lasts is not waited for.
        let patience = Patience {
            pause: Duration::from_millis(10),
            new: Duration::from_secs(2),
            change: Duration::from_secs(1),
        };
        let world = World { patience, ..world };
        Ok(Self {
            aws,
            faulty,
            world,
            victim,
        })
    }

    /// The trials: what each call of a proof is struck by.
    async fn trials(&self) -> Result<Vec<Strike>> {
        self.faulty.watch(None);
        let request = request(self.aws, &[self.victim])?;
        let never = std::future::pending();
        let proof = Box::pin(proof::prove(&self.world, &request, &Silent, never)).await?;
        assert!(proof.holds(), "{proof:#?}");
        let mut trials = Vec::new();
        for call in self.faulty.calls() {
            let faults: &[_] = if call.writes { &OF_WRITES } else { &OF_READS };
            trials.extend(faults.iter().map(|(fault, times)| Strike {
                operation: call.operation.clone(),
                nth: call.nth,
                times: *times,
                fault: *fault,
            }));
        }
        Ok(trials)
    }

    async fn strike(&self, strike: &Strike) -> Result {
        let request = request(self.aws, &[self.victim])?;
        self.faulty.watch(Some(strike.clone()));
        let ended: Ended = {
            let never = std::future::pending();
            let proving = Box::pin(proof::prove(&self.world, &request, &Silent, never));
            tokio::select! {
                ended = proving => Some(ended),
                () = self.faulty.killed() => None,
            }
        };
        self.faulty.heal();
        let there = Account::of(self.aws, &request.id).await?.resources;
        match &ended {
            None => {}
            Some(Err(refused)) => assert!(there.is_empty(), "{strike}: {refused}: {there:?}"),
            Some(Ok(proof)) => {
                for resource in &there {
                    let listed = |left: &Left| is_about(left, resource);
                    let all = &proof.removal.left;
                    assert!(
                        all.iter().any(listed),
                        "{strike}: {resource} is not listed: {proof:#?}"
                    );
                }
                let untold = proof.holds() && !there.is_empty();
                assert!(!untold, "{strike}: {there:?}");
            }
        }
        let account = &self.aws.account_id;
        let cleaned = proof::clean(&self.world, account, &request.id, &Silent);
        let cleaned = Box::pin(cleaned).await?;
        assert_eq!(cleaned.left, [], "{strike}");
        let there = Account::of(self.aws, &request.id).await?.resources;
        assert!(there.is_empty(), "{strike}: {there:?}");
        Ok(())
    }
}

/// Whether an entry tells of the resource: by itself, or that it is not known which of its kind there are.
fn is_about(left: &Left, resource: &str) -> bool {
    let kind = resource.rsplit_once(' ').map_or("", |(kind, _)| kind);
    let unknown = left.why.starts_with("it is not known") && left.resource.contains(kind);
    left.resource == resource || unknown
}

/// Somebody else's, of each kind that a proof makes.
struct Strangers {
    names: HashMap<&'static str, String>,
}

impl Strangers {
    async fn make(aws: &LocalAws) -> Result<Self> {
        let name = integration_tests::unique("gdr-proof-of-others");
        let iam = aws.iam();
        iam.create_user().user_name(&name).send().await?;
        iam.create_access_key().user_name(&name).send().await?;
        let s3 = integration_tests::s3::client(&aws.root());
        s3.create_bucket().bucket(&name).send().await?;
        let ec2 = aws.ec2();
        let vpc = ec2.create_vpc().cidr_block("10.0.0.0/24").send().await?.vpc;
        let vpc = vpc.and_then(|vpc| vpc.vpc_id).ok_or("no VPC")?;
        let group = ec2.create_security_group().vpc_id(&vpc);
        let group = group
            .group_name("gdr-isolation")
            .description("Theirs")
            .send()
            .await?;
        let group = group.group_id.ok_or("no group")?;
        for (key, value) in [(TAG, "another"), ("gdr:role", "isolation")] {
            let tag = aws_sdk_ec2::types::Tag::builder().key(key).value(value);
            let call = ec2.create_tags().resources(&group).resources(&vpc);
            call.tags(tag.build()).send().await?;
        }
        let names = HashMap::from([("name", name), ("vpc", vpc), ("group", group)]);
        Ok(Self { names })
    }

    async fn expect_there(&self, aws: &LocalAws) -> Result {
        let name = &self.names["name"];
        let keys = aws.iam().list_access_keys().user_name(name).send().await?;
        assert_eq!(keys.access_key_metadata().len(), 1);
        let s3 = integration_tests::s3::client(&aws.root());
        s3.head_bucket().bucket(name).send().await?;
        let groups = aws.ec2().describe_security_groups();
        let groups = groups.group_ids(&self.names["group"]).send().await?;
        let tags = groups.security_groups().iter().flat_map(|it| it.tags());
        let tags: Vec<_> = tags.filter(|it| it.key() == Some(TAG)).collect();
        assert_eq!(tags.len(), 1);
        assert_eq!(tags[0].value(), Some("another"));
        Ok(())
    }
}

fn sweep(victim: Victim) -> Result {
    RUNTIME.block_on(Box::pin(async {
        let aws = &*AWS;
        let _flags = FLAGS.read().await;
        let strangers = Strangers::make(aws).await?;
        let sweep = Sweep::new(aws, victim).await?;
        let trials = sweep.trials().await?;
        let all = trials.len();
        let every = match std::env::var("FAULTS").as_deref() {
            Ok("all") => 1,
            _ if victim == Victim::InfectedInstance => SOME_OF_INSTANCE,
            _ => SOME,
        };
        let mut run = 0;
        for strike in trials.iter().step_by(every) {
            sweep.strike(strike).await?;
            run += 1;
        }
        println!("{victim:?}: {run} of {all} trials");
        assert!(run > 5, "{run}");
        strangers.expect_there(aws).await
    }))
}

#[test]
fn whatever_call_fails_nothing_is_left_of_a_public_bucket_that_is_not_listed() -> Result {
    sweep(Victim::PublicBucket)
}

#[test]
fn whatever_call_fails_nothing_is_left_of_a_stolen_key_that_is_not_listed() -> Result {
    sweep(Victim::StolenKey)
}

#[test]
fn whatever_call_fails_nothing_is_left_of_a_stolen_session_that_is_not_listed() -> Result {
    sweep(Victim::StolenRoleSession)
}

#[test]
fn whatever_call_fails_nothing_is_left_of_an_infected_instance_that_is_not_listed() -> Result {
    sweep(Victim::InfectedInstance)
}

#[test]
fn whatever_call_fails_nothing_is_left_of_a_hijacked_function_that_is_not_listed() -> Result {
    sweep(Victim::HijackedFunction)
}
