use aws_sdk_s3control::types::PublicAccessBlockConfiguration as Flags;

use super::*;
use fixtures::run_with;
use model::settings::S3Settings;

fn turned_off() -> Finding {
    finding(json!({
        "type": "Policy:S3/AccountBlockPublicAccessDisabled",
        "severity": 2,
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": { "userType": "IAMUser", "userName": "admin", "principalId": "AIDAX" },
        },
    }))
}

fn on() -> Settings {
    Settings {
        s3: S3Settings {
            account_block: true,
            ..S3Settings::default()
        },
        ..Settings::default()
    }
}

fn all() -> Flags {
    BlockPublicAccess::ALL.into()
}

#[tokio::test(start_paused = true)]
async fn the_accounts_flags_are_left_to_a_person_unless_a_setting_says_otherwise() {
    let world = world(Bucket::default());
    let done = run(&world.playbook, &turned_off()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(done.steps[0].detail().contains("S3_ACCOUNT_BLOCK"));
    assert!(world.control.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_accounts_flags_are_turned_on_once_and_read_back() {
    let world = world(Bucket::default());
    let done = run_with(&world.playbook, &turned_off(), &on()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{done:?}");
    assert_eq!(done.steps[0].target(), "111122223333");
    assert_eq!(world.now().account, Some(all()));
    let again = run_with(&world.playbook, &turned_off(), &on()).await;
    assert_eq!(again.steps[0].outcome(), Outcome::Already);
    assert_eq!(world.control.writes(), ["s3:PutAccountPublicAccessBlock"]);
}

#[tokio::test(start_paused = true)]
async fn release_puts_the_accounts_flags_back() {
    let some = Flags::builder().ignore_public_acls(true).build();
    let world = world(Bucket {
        account: Some(some),
        ..Bucket::default()
    });
    let state = world.playbook.observe(&turned_off()).await.unwrap();
    let plan = S3::plan(&turned_off(), &state, &on(), now());
    let [Step::Do(action)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    world.playbook.apply(action).await.unwrap();
    world.playbook.restore(action).await.unwrap();
    let flags = BlockPublicAccess::from(world.now().account.clone().unwrap());
    let found = BlockPublicAccess {
        ignore_public_acls: true,
        ..BlockPublicAccess::default()
    };
    assert_eq!(flags, found);
}

#[tokio::test(start_paused = true)]
async fn flags_that_the_organization_governs_count_as_they_are_in_effect() {
    // Turned on by the organization, between the observation and the call that it refuses.
    let world = world(Bucket::default());
    let state = world.playbook.observe(&turned_off()).await.unwrap();
    let plan = S3::plan(&turned_off(), &state, &on(), now());
    let [Step::Do(action)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    world
        .control
        .fail("s3:PutAccountPublicAccessBlock", 403, "AccessDenied");
    world.now().account = Some(all());
    world.playbook.apply(action).await.unwrap();
    let done = run_with(&world.playbook, &turned_off(), &on()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Already);
    assert!(done.steps[0].detail().contains("organization"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_leaves_the_account_open_is_a_failure_that_names_both_causes() {
    let world = world(Bucket::default());
    world
        .control
        .fail("s3:PutAccountPublicAccessBlock", 403, "AccessDenied");
    let done = run_with(&world.playbook, &turned_off(), &on()).await;
    let step = &done.steps[0];
    assert_eq!(step.outcome(), Outcome::Failed);
    for cause in ["role allows s3:PutAccountPublicAccessBlock", "S3_POLICY"] {
        assert!(step.detail().contains(cause), "{}", step.detail());
    }
}

#[tokio::test(start_paused = true)]
async fn flags_of_the_account_that_cannot_be_read_are_a_failure() {
    for (status, code, transient) in [(403, "AccessDenied", false), (503, "SlowDown", true)] {
        let world = world(Bucket::default());
        world
            .control
            .fail("s3:GetAccountPublicAccessBlock", status, code);
        let done = run_with(&world.playbook, &turned_off(), &on()).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Failed);
        assert_eq!(done.transient.is_some(), transient);
        assert!(world.control.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_not_called_public_where_the_account_blocks_it() {
    let user = json!({ "userType": "IAMUser", "userName": "mallory", "principalId": "AIDAX" });
    let world = world(Bucket {
        account: Some(all()),
        ..public()
    });
    let done = run(&world.playbook, &data_access(user)).await;
    assert!(done.residual_risks.is_empty(), "{:?}", done.residual_risks);
    assert!(done.steps[0].detail().contains("not public at present"));
}
