//! A proof on local AWS, whole: what it shows, what it refuses, and that it leaves nothing behind.

mod account;
mod crash;
mod failures;

use std::sync::{LazyLock, Mutex};

use integration_tests::faults::{Fault, Strike};
use integration_tests::{FaultyAws, LocalAws, Result, proving};
use proof::record::{ContainedBy, Left, Scene, Tried};
use proof::{Id, Moment, Proof, Request, Silent, Victim, Watcher, Who, World};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use self::account::Account;

const ALL: [Victim; 5] = [
    Victim::PublicBucket,
    Victim::StolenKey,
    Victim::StolenRoleSession,
    Victim::InfectedInstance,
    Victim::HijackedFunction,
];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static AWS: LazyLock<LocalAws> = LazyLock::new(|| LocalAws::start_quick().expect("local AWS"));
/// Who writes turns on the account's Block Public Access.
static FLAGS: RwLock<()> = RwLock::const_new(());

fn on_aws(test: impl AsyncFnOnce(&'static LocalAws) -> Result) -> Result {
    RUNTIME.block_on(test(&AWS))
}

async fn world(aws: &LocalAws) -> World {
    proving::world(aws, &aws.endpoint, &aws.ec2_endpoint).await
}

fn request(aws: &LocalAws, victims: &[Victim]) -> Result<Request> {
    Ok(Request {
        account: aws.account_id.clone(),
        id: Id::random()?,
        victims: victims.to_vec(),
        by: ContainedBy::ThisProcess,
        reactivate_key: false,
        dry_run: false,
    })
}

async fn prove(world: &World, request: &Request) -> Result<Proof> {
    let never = std::future::pending();
    Ok(Box::pin(proof::prove(world, request, &Silent, never)).await?)
}

fn works(tried: &Tried, moment: Moment) -> Option<bool> {
    let answer = match moment {
        Moment::Before => &tried.before,
        Moment::Contained => &tried.contained,
        Moment::Released => &tried.released,
    };
    answer.as_ref().map(|answer| answer.works)
}

#[test]
fn each_attack_works_then_fails_and_is_released_and_nothing_is_left() -> Result {
    on_aws(async |aws| {
        let _flags = FLAGS.read().await;
        let world = world(aws).await;
        let mut request = request(aws, &ALL)?;
        request.reactivate_key = true;
        let proof = prove(&world, &request).await?;
        assert!(proof.holds(), "{proof:#?}");
        assert_eq!(proof.scenes.len(), ALL.len());
        for scene in &proof.scenes {
            for attack in &scene.attacks {
                assert_eq!(works(attack, Moment::Released), Some(true), "{attack:#?}");
                let seconds = attack.stopped_after_seconds.ok_or("no time")?;
                assert!(seconds >= 0.0, "{attack:#?}");
            }
            for bystander in &scene.bystanders {
                assert_eq!(
                    works(bystander, Moment::Released),
                    Some(true),
                    "{bystander:#?}"
                );
            }
            assert!(
                !scene.bystanders.is_empty() && !scene.released.is_empty(),
                "{scene:#?}"
            );
        }
        assert_eq!(Account::of(aws, &request.id).await?.resources, [""; 0]);
        for part in [
            "instance i-",
            "VPC vpc-",
            "snapshot snap-",
            "user gdr-proof-",
            "function gdr-proof-",
            "table ",
        ] {
            let has = |removed: &String| removed.starts_with(part);
            assert!(
                proof.removal.removed.iter().any(has),
                "{part}: {:#?}",
                proof.removal
            );
        }
        Ok(())
    })
}

#[test]
fn the_stolen_key_stays_inactive_unless_it_is_named() -> Result {
    on_aws(async |aws| {
        let world = world(aws).await;
        let request = request(aws, &[Victim::StolenKey])?;
        let proof = prove(&world, &request).await?;
        assert!(proof.holds(), "{proof:#?}");
        let attacks = &proof.scenes[0].attacks;
        let key = |it: &&Tried| it.request == "list a bucket with the stolen key";
        let released: Vec<_> = attacks
            .iter()
            .filter(key)
            .map(|it| works(it, Moment::Released))
            .collect();
        assert_eq!(released, [Some(false)], "{attacks:#?}");
        Ok(())
    })
}

/// Whether anything was written by way of the proxy.
fn writes(faulty: &FaultyAws) -> Vec<String> {
    let calls = faulty.calls().into_iter();
    calls
        .filter(|call| call.writes)
        .map(|call| call.operation)
        .collect()
}

#[test]
fn nothing_is_made_in_another_account_or_where_something_of_the_proof_is() -> Result {
    on_aws(async |aws| {
        let faulty = FaultyAws::start(aws).await?;
        let world = proving::world(aws, &faulty.endpoint, &faulty.ec2_endpoint).await;
        let mut other = request(aws, &ALL)?;
        other.account = "444455556666".to_owned();
        faulty.watch(None);
        let refused = prove(&world, &other)
            .await
            .expect_err("refused")
            .to_string();
        assert!(
            refused.contains("444455556666") && refused.contains(&aws.account_id),
            "{refused}"
        );
        assert_eq!(faulty.calls().len(), 1, "one question: who is the caller?");

        let request = request(aws, &ALL)?;
        for of_whom in ["tag", "name"] {
            let user = format!("gdr-proof-{}-{of_whom}", request.id);
            let tag = aws_sdk_iam::types::Tag::builder().key("gdr:proof");
            let tag = tag.value(request.id.as_str()).build()?;
            let create = aws
                .iam()
                .create_user()
                .user_name(&user)
                .path(request.id.path());
            let tags = (of_whom == "tag").then(|| vec![tag]);
            create.set_tags(tags).send().await?;
            faulty.watch(None);
            let refused = prove(&world, &request)
                .await
                .expect_err("refused")
                .to_string();
            assert!(refused.contains(&user), "{refused}");
            let questions = ["sts:GetCallerIdentity", "dynamodb:DescribeTable"];
            let written = writes(&faulty);
            assert!(
                written.iter().all(|it| questions.contains(&it.as_str())),
                "{written:?}"
            );
            aws.iam().delete_user().user_name(&user).send().await?;
        }
        Ok(())
    })
}

#[test]
fn where_no_bucket_can_be_public_that_is_said_and_the_rest_is_shown() -> Result {
    on_aws(async |aws| {
        let _flags = FLAGS.write().await;
        let world = world(aws).await;
        let flags = |on| {
            let flags = aws_sdk_s3control::types::PublicAccessBlockConfiguration::builder();
            flags
                .block_public_policy(on)
                .restrict_public_buckets(on)
                .build()
        };
        let put = |on| {
            let put = world.control.put_public_access_block();
            put.account_id(&aws.account_id)
                .public_access_block_configuration(flags(on))
                .send()
        };
        put(true).await?;
        let request = request(aws, &[Victim::PublicBucket, Victim::StolenRoleSession])?;
        let proof = prove(&world, &request).await?;
        put(false).await?;
        let why = proof.scenes[0].not_shown.as_deref().unwrap_or_default();
        assert!(
            why.contains("Block Public Access of account 111122223333"),
            "{proof:#?}"
        );
        assert!(proof.scenes[0].resources.is_empty());
        assert!(
            proof.scenes[1].holds() && proof.scenes[1].not_shown.is_none(),
            "{proof:#?}"
        );
        assert_eq!(Account::of(aws, &request.id).await?.resources, [""; 0]);
        Ok(())
    })
}

/// Tells when so many of the proof's steps were seen.
struct Counting {
    left: Mutex<usize>,
    reached: tokio::sync::Notify,
}

impl Counting {
    fn to(count: usize) -> Self {
        Self {
            left: Mutex::new(count),
            reached: tokio::sync::Notify::new(),
        }
    }

    fn count(&self) {
        let mut left = self.left.lock().expect("no panic before");
        *left = left.wrapping_sub(1);
        if *left == 0 {
            self.reached.notify_one();
        }
    }
}

impl Watcher for Counting {
    fn stage(&self, _title: &str) {}
    fn made(&self, _resource: &str) {
        self.count();
    }
    fn tried(&self, _victim: Victim, _who: Who, _moment: Moment, _tried: &Tried) {
        self.count();
    }
    fn reported(&self, _scene: &Scene) {
        self.count();
    }
    fn removed(&self, _resource: &str) {}
    fn left(&self, _left: &Left) {}
}

#[test]
fn after_an_interruption_at_any_step_all_is_removed() -> Result {
    on_aws(async |aws| {
        let _flags = FLAGS.read().await;
        let world = world(aws).await;
        for step in [1, 4, 9, 14, 19, 22, 29, 37, 45, 59] {
            let request = request(aws, &ALL)?;
            let counting = Counting::to(step);
            let stop = counting.reached.notified();
            let proof = Box::pin(proof::prove(&world, &request, &counting, stop)).await?;
            let stopped = proof.stopped.as_deref().unwrap_or_default();
            assert!(stopped.contains("interrupted"), "{step}: {proof:#?}");
            assert!(
                !proof.holds() && proof.removal.left.is_empty(),
                "{step}: {proof:#?}"
            );
            assert!(!proof.removal.removed.is_empty(), "{step}: {proof:#?}");
            assert_eq!(
                Account::of(aws, &request.id).await?.resources,
                [""; 0],
                "{step}"
            );
        }
        Ok(())
    })
}

#[test]
fn resources_that_aws_hides_for_a_moment_are_removed_too() -> Result {
    on_aws(async |aws| {
        let faulty = FaultyAws::start(aws).await?;
        let world = proving::world(aws, &faulty.endpoint, &faulty.ec2_endpoint).await;
        let request = request(aws, &[Victim::StolenRoleSession])?;
        // The first question is whether there is anything; that answer comes again when all is to be removed, and once
        // more when all but the role is.
        faulty.watch(Some(Strike {
            operation: "iam:ListRoles".to_owned(),
            nth: 2,
            times: 2,
            fault: Fault::Stale,
        }));
        // The table, the bucket and the role.
        let counting = Counting::to(3);
        let stop = counting.reached.notified();
        let proof = Box::pin(proof::prove(&world, &request, &counting, stop)).await?;
        let role = format!("role gdr-proof-{}-role", request.id);
        assert!(proof.removal.removed.contains(&role), "{proof:#?}");
        assert_eq!(Account::of(aws, &request.id).await?.resources, [""; 0]);
        Ok(())
    })
}
