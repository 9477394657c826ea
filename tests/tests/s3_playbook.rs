//! The S3 playbook against the emulators: what an attacker can no longer do, and what everybody else
//! still can.

use std::time::Duration;

use aws_sdk_iam::config::Credentials;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag, Tagging};
use aws_sdk_s3control::types::PublicAccessBlockConfiguration;
use integration_tests::finding::Finding as Event;
use integration_tests::s3::{self, client};
use integration_tests::scenario::{PublicBucket, Reader, Uploads, all_work, none_works};
use integration_tests::{ENFORCING, LocalAws, Result, Scenario, unique};
use jiff::{SignedDuration, Timestamp};
use playbooks::Playbook;
use playbooks::s3::{Action, S3};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::execute::{Execution, execute};
use remediation::finding::Finding;
use remediation::plan::{Plan, Step};
use remediation::planner::Planner as _;
use remediation::report::Outcome;
use remediation::settings::{S3Settings, Settings};
use serde_json::{Value, json};

use crate::shared_aws::on_aws;

const PARTNER: &str = "999988887777";

#[test]
fn buckets_are_contained_and_released_on_local_aws() -> Result {
    on_aws(async |aws| {
        an_exposed_bucket_is_shut_and_opened_again(aws).await?;
        a_bucket_of_another_region_is_shut(aws).await?;
        a_bucket_that_is_public_on_purpose_stays_public(aws).await?;
        one_principal_of_a_partner_is_shut_out(aws).await?;
        a_malicious_object_cannot_be_read_and_its_neighbours_can(aws, true).await?;
        a_malicious_object_cannot_be_read_and_its_neighbours_can(aws, false).await?;
        an_object_that_was_overwritten_stays_as_it_is(aws).await?;
        the_accounts_flags_are_turned_on(aws).await
    })
}

fn settings(account_block: bool, policy_deny: bool) -> Settings {
    Settings {
        s3: S3Settings {
            account_block,
            policy_deny,
        },
        ..Settings::default()
    }
}

/// What would be done now.
async fn plan(playbook: &S3, event: &Event, settings: &Settings) -> Result<Plan<Action>> {
    let finding = Finding::parse(&event.0)?;
    let state = playbook.observe(&finding).await?;
    Ok(S3::plan(&finding, &state, settings, Timestamp::now()))
}

/// Contains, and gives what a release would need.
async fn contain(
    playbook: &S3,
    event: &Event,
    settings: &Settings,
) -> Result<(Execution<Action>, Vec<Action>)> {
    let finding = Finding::parse(&event.0)?;
    let state = playbook.observe(&finding).await?;
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, Timestamp::now());
    let plan = gate.plan::<S3>(&state, settings);
    let actions = plan.steps.iter().filter_map(|step| match step {
        Step::Do(action) => Some(action.clone()),
        _ => None,
    });
    let actions = actions.collect();
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    let done = execute(playbook, &gate, plan, settings, until).await;
    Ok((done, actions))
}

fn outcomes(done: &Execution<Action>) -> Vec<(&str, Outcome)> {
    let steps = done.steps.iter();
    steps.map(|step| (step.action(), step.outcome())).collect()
}

async fn an_exposed_bucket_is_shut_and_opened_again(aws: &LocalAws) -> Result {
    let bucket = PublicBucket::create(aws).await?;
    assert!(all_work(&bucket.attack().await?));

    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, actions) = contain(&playbook, &bucket.finding()?, &settings(false, false)).await?;
    let blocked = ("s3:BlockBucketPublicAccess", Outcome::Applied);
    assert_eq!(outcomes(&done), [blocked], "{:?}", done.steps);
    assert!(none_works(&bucket.attack().await?));
    assert!(all_work(&bucket.bystanders().await?));

    let again = plan(&playbook, &bucket.finding()?, &settings(false, false)).await?;
    assert!(again.is_empty(), "{again:?}");

    for action in &actions {
        playbook.restore(action).await?;
    }
    assert!(all_work(&bucket.attack().await?));
    assert_eq!(bucket.public_access_block().await?, [false; 4]);
    Ok(())
}

async fn a_bucket_of_another_region_is_shut(aws: &LocalAws) -> Result {
    let there = aws
        .root()
        .into_builder()
        .region(aws_config::Region::new("eu-west-1"));
    let owner = client(&there.build());
    let name = unique("abroad");
    let location = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::EuWest1)
        .build();
    let create = owner.create_bucket().bucket(&name);
    create.create_bucket_configuration(location).send().await?;
    owner
        .delete_public_access_block()
        .bucket(&name)
        .send()
        .await?;
    let event =
        Event::bucket_made_public()?.with("/resource/s3BucketDetails/0/name", name.as_str());

    let (done, _) = contain(
        &s3::playbook(&aws.root(), &aws.ec2_endpoint),
        &event,
        &settings(false, false),
    )
    .await?;
    assert_eq!(
        outcomes(&done),
        [("s3:BlockBucketPublicAccess", Outcome::Applied)],
        "{:?}",
        done.steps
    );
    let block = owner.get_public_access_block().bucket(&name).send().await?;
    let flags = block.public_access_block_configuration.ok_or("no flags")?;
    assert_eq!(flags.restrict_public_buckets, Some(true));
    Ok(())
}

async fn a_bucket_that_is_public_on_purpose_stays_public(aws: &LocalAws) -> Result {
    let bucket = PublicBucket::create(aws).await?;
    let tag = Tag::builder()
        .key("gdr:public-ok")
        .value("downloads")
        .build()?;
    let tags = Tagging::builder().tag_set(tag).build()?;
    let root = client(&aws.root());
    let mark = || {
        root.put_bucket_tagging()
            .bucket(&bucket.name)
            .tagging(tags.clone())
    };
    mark().send().await?;
    // All that the emulator records is of today. An activity that begins in two days began a day after the mark.
    let in_two_days = Timestamp::now() + SignedDuration::from_hours(48);
    let event = bucket
        .read_by_anyone()?
        .with("/service/eventFirstSeen", in_two_days.to_string())
        .with(
            "/resource/s3BucketDetails/0/tags",
            json!([{ "key": "gdr:public-ok", "value": "downloads" }]),
        );

    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, _) = contain(&playbook, &event, &settings(false, false)).await?;
    let left = ("s3:BlockBucketPublicAccess", Outcome::Skipped);
    assert_eq!(outcomes(&done), [left], "{:?}", done.steps);
    assert!(all_work(&bucket.attack().await?));

    // Of an activity that began before that, the mark is not old enough.
    let event = event.with("/service/eventFirstSeen", Timestamp::now().to_string());
    let (done, _) = contain(&playbook, &event, &settings(false, false)).await?;
    let blocked = ("s3:BlockBucketPublicAccess", Outcome::Applied);
    assert_eq!(outcomes(&done), [blocked], "{:?}", done.steps);
    assert!(none_works(&bucket.attack().await?));
    Ok(())
}

/// A user that stands for one of the partner's. It is of the bucket's own account, since the emulator
/// judges a call from another account without `aws:userid`, by which the statement knows it.
async fn partner_user(aws: &LocalAws) -> Result<(String, aws_sdk_s3::Client)> {
    let iam = aws.iam();
    let name = unique("partner");
    let user = iam.create_user().user_name(&name).send().await?;
    let id = user.user.ok_or("no user")?.user_id;
    let read = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "s3:*", "Resource": "*" },
    ] });
    let put = iam.put_user_policy().user_name(&name).policy_name("read");
    put.policy_document(read.to_string()).send().await?;
    let key = iam.create_access_key().user_name(&name).send().await?;
    let key = key.access_key.ok_or("no key")?;
    let key = Credentials::new(
        key.access_key_id,
        key.secret_access_key,
        None,
        None,
        "partner",
    );
    Ok((id, client(&aws.signed_in(&key))))
}

async fn reads(client: &aws_sdk_s3::Client, bucket: &str) -> Result<bool> {
    let answer = client.list_objects_v2().bucket(bucket).send().await;
    Ok(integration_tests::local_aws::allowed(answer)?.0)
}

async fn one_principal_of_a_partner_is_shut_out(aws: &LocalAws) -> Result {
    let owner = client(&aws.root());
    let name = unique("shared");
    owner.create_bucket().bucket(&name).send().await?;
    let arn = format!("arn:aws:s3:::{name}");
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::{PARTNER}:root"}}, "Action": "s3:ListBucket", "Resource": "{arn}"}}}}"#
    );
    let put = owner.put_bucket_policy().bucket(&name);
    put.policy(&policy).send().await?;
    let (id, attacker) = partner_user(aws).await?;
    let (_, colleague) = partner_user(aws).await?;
    assert!(reads(&attacker, &name).await?);
    assert!(reads(&colleague, &name).await?);
    let event = Event::bucket_made_public()?
        .of_type("Discovery:S3/MaliciousIPCaller.Custom")
        .with("/resource/s3BucketDetails/0/name", name.as_str())
        .by("", &id, "AWSAccount", "someone");

    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, actions) = contain(&playbook, &event, &settings(false, true)).await?;
    // A new bucket has all flags on, which do not stop who is let in by name.
    let blocked = ("s3:BlockBucketPublicAccess", Outcome::Already);
    let denied = ("s3:DenyInBucketPolicy", Outcome::Applied);
    assert_eq!(outcomes(&done), [blocked, denied], "{:?}", done.steps);
    assert!(!reads(&attacker, &name).await?);
    assert!(reads(&colleague, &name).await?);
    assert!(reads(&owner, &name).await?);
    let again = plan(&playbook, &event, &settings(false, true)).await?;
    assert!(again.is_empty(), "{again:?}");

    for action in &actions {
        playbook.restore(action).await?;
    }
    assert!(reads(&attacker, &name).await?);
    let left = owner.get_bucket_policy().bucket(&name).send().await?;
    let left: Value = serde_json::from_str(left.policy().unwrap_or_default())?;
    assert_eq!(left, serde_json::from_str::<Value>(&policy)?);
    Ok(())
}

async fn a_malicious_object_cannot_be_read_and_its_neighbours_can(
    aws: &LocalAws,
    versioned: bool,
) -> Result {
    let owner = client(&aws.root());
    let uploads = Uploads::create(&owner, &unique("uploads"), versioned).await?;
    let reader = Reader::create(aws).await?;
    assert!(all_work(&uploads.bystanders(&reader).await?));
    assert!(uploads.attack(&reader).await?[0].works);
    let event = uploads.finding()?;

    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, actions) = contain(&playbook, &event, &settings(false, false)).await?;
    let denied = ("s3:DenyTaggedObjects", Outcome::Applied);
    let tagged = ("s3:TagObjectVersion", Outcome::Applied);
    assert_eq!(outcomes(&done), [denied, tagged], "{:?}", done.steps);
    let attack = uploads.attack(&reader).await?;
    assert!(none_works(&attack), "{attack:?}");
    let bystanders = uploads.bystanders(&reader).await?;
    assert!(all_work(&bystanders), "{bystanders:?}");
    let tag = format!("gdr:quarantined={}", event.id());
    assert!(uploads.tags().await?.contains(&tag));
    let again = plan(&playbook, &event, &settings(false, false)).await?;
    assert!(again.is_empty(), "{again:?}");

    // What was done last is undone first.
    for action in actions.iter().rev() {
        playbook.restore(action).await?;
    }
    assert!(!uploads.tags().await?.contains(&tag));
    let policy = owner
        .get_bucket_policy()
        .bucket(&uploads.bucket)
        .send()
        .await;
    assert!(policy.is_err(), "{policy:?}");
    let attack = uploads.attack(&reader).await?;
    assert!(all_work(&attack), "{attack:?}");
    Ok(())
}

async fn an_object_that_was_overwritten_stays_as_it_is(aws: &LocalAws) -> Result {
    let owner = client(&aws.root());
    let uploads = Uploads::create(&owner, &unique("uploads"), false).await?;
    let event = uploads.finding()?;
    uploads.overwrite().await?;
    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, _) = contain(&playbook, &event, &settings(false, false)).await?;
    let left = ("s3:TagObjectVersion", Outcome::Skipped);
    assert_eq!(outcomes(&done), [left], "{:?}", done.steps);
    let tags = uploads.tags().await?;
    assert!(!tags.iter().any(|tag| tag.starts_with("gdr:")), "{tags:?}");
    Ok(())
}

async fn the_accounts_flags_are_turned_on(aws: &LocalAws) -> Result {
    let off = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(false)
        .block_public_policy(false)
        .restrict_public_buckets(false)
        .build();
    let control = s3::control(&aws.root(), &aws.ec2_endpoint);
    let put = control
        .put_public_access_block()
        .account_id(&aws.account_id);
    put.public_access_block_configuration(off.clone())
        .send()
        .await?;
    let event = Event::bucket_made_public()?
        .of_type("Policy:S3/AccountBlockPublicAccessDisabled")
        .with("/resource/s3BucketDetails", json!([]));
    let flags = async || {
        let get = control
            .get_public_access_block()
            .account_id(&aws.account_id);
        Ok::<_, integration_tests::Error>(get.send().await?.public_access_block_configuration)
    };

    let playbook = s3::playbook(&aws.root(), &aws.ec2_endpoint);
    let (done, actions) = contain(&playbook, &event, &settings(true, false)).await?;
    let blocked = ("s3:BlockAccountPublicAccess", Outcome::Applied);
    assert_eq!(outcomes(&done), [blocked], "{:?}", done.steps);
    let on = flags().await?.ok_or("no flags")?;
    assert_eq!(on.restrict_public_buckets, Some(true));
    for action in &actions {
        playbook.restore(action).await?;
    }
    assert_eq!(flags().await?, Some(off));
    Ok(())
}
