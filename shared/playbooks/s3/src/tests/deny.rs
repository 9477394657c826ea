use super::cases::PARTNER_READS;
use super::*;
use fixtures::run_with;
use model::settings::S3Settings;
use remediation::execute::Execution;

pub(super) fn on() -> Settings {
    Settings {
        s3: S3Settings {
            policy_deny: true,
            ..S3Settings::default()
        },
        ..Settings::default()
    }
}

pub(super) fn marked() -> Bucket {
    Bucket {
        tag: Some("yes"),
        ..public()
    }
}

pub(super) async fn respond(world: &World, who: Value) -> Execution<Action> {
    run_with(&world.playbook, &data_access(who), &on()).await
}

pub(super) fn step<'a>(
    done: &'a Execution<Action>,
    action: &str,
) -> Option<&'a model::report::StepReport> {
    done.steps.iter().find(|step| step.action() == action)
}

pub(super) async fn planned(world: &World, who: Value) -> Action {
    let finding = data_access(who);
    let state = world.playbook.observe(&finding).await.unwrap();
    let plan = S3::plan(&finding, &state, &on(), now());
    let deny = plan.steps.into_iter().find_map(|step| match step {
        Step::Do(action @ Action::DenyInPolicy(_)) => Some(action),
        _ => None,
    });
    deny.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_principal_of_another_account_that_is_let_in_by_name_is_denied_by_its_id() {
    let world = world(shared());
    let done = respond(&world, partner()).await;
    assert_eq!(done.steps.len(), 1, "{:?}", done.steps);
    assert_eq!(
        step(&done, "s3:DenyInBucketPolicy").unwrap().outcome(),
        Outcome::Applied
    );
    let policy = world.policy();
    let found: Value = serde_json::from_str(PARTNER_READS).unwrap();
    assert_eq!(policy["Statement"][0], found["Statement"]);
    let ours = &policy["Statement"][1];
    assert_eq!(ours["Sid"], "GuardDutyResponderDenyAROAPARTNER");
    assert_eq!(ours["Effect"], "Deny");
    assert_eq!(
        ours["Condition"],
        json!({ "StringLike": { "aws:userid": "AROAPARTNER:*" } })
    );
    assert!(
        done.residual_risks
            .join(" ")
            .contains("other principals of its account")
    );

    world.wire.clear();
    let again = respond(&world, partner()).await;
    assert_eq!(
        step(&again, "s3:DenyInBucketPolicy").unwrap().outcome(),
        Outcome::Already
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_the_policy_stays_and_the_report_names_the_options() {
    let world = world(shared());
    let done = run(&world.playbook, &data_access(partner())).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(done.next_steps.join(" ").contains("S3_POLICY_DENY"));
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn flags_that_are_on_do_not_pass_for_the_containment_of_a_caller_who_is_let_in_by_name() {
    let blocked = Bucket {
        block: Some(BlockPublicAccess::ALL.into()),
        ..shared()
    };
    let world = world(blocked);
    let done = run(&world.playbook, &data_access(partner())).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Skipped);
    assert!(deny.detail().contains("S3_POLICY_DENY"));
    let done = respond(&world, partner()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Applied);
}

#[tokio::test(start_paused = true)]
async fn an_account_is_denied_where_its_principal_has_no_id() {
    let world = world(shared());
    let finding = finding(json!({
        "type": "Exfiltration:S3/MaliciousIPCaller",
        "resource": {
            "accessKeyDetails": { "userType": "AWSAccount", "userName": "x", "principalId": "*" },
            "s3BucketDetails": [{ "name": "exposed" }],
        },
        "service": { "action": { "awsApiCallAction": { "remoteAccountDetails": { "accountId": "999988887777" } } } },
    }));
    let done = run_with(&world.playbook, &finding, &on()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    assert_eq!(
        world.policy()["Statement"][1]["Condition"],
        json!({ "StringEquals": { "aws:PrincipalAccount": "999988887777" } })
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_the_finding_does_not_identify_is_not_guessed() {
    for hostile in ["*", "AIDA*", "AROA", "999988887777", "AIDA\"}"] {
        let who = json!({ "userType": "AWSAccount", "userName": "x", "principalId": hostile });
        let world = world(shared());
        let done = respond(&world, who).await;
        let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
        assert_eq!(deny.outcome(), Outcome::Skipped, "{hostile}");
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_address_of_an_anonymous_caller_is_denied_where_the_bucket_stays_public() {
    let world = world(marked());
    let done = respond(&world, anonymous()).await;
    assert_eq!(
        step(&done, "s3:BlockBucketPublicAccess").unwrap().outcome(),
        Outcome::Skipped
    );
    assert_eq!(
        step(&done, "s3:DenyInBucketPolicy").unwrap().outcome(),
        Outcome::Applied
    );
    let ours = world.policy()["Statement"][1].clone();
    assert_eq!(ours["Sid"], "GuardDutyResponderDeny198x51x100x7");
    assert_eq!(
        ours["Condition"],
        json!({
            "IpAddress": { "aws:SourceIp": "198.51.100.7/32" },
            "BoolIfExists": { "aws:ViaAWSService": "false" },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_private_address_which_is_the_same_everywhere_is_not_denied() {
    let detail = json!({
        "type": "Exfiltration:S3/MaliciousIPCaller",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
        "service": { "action": { "awsApiCallAction": {
            "api": "GetObject", "remoteIpDetails": { "ipAddressV4": "10.0.0.7" } } } },
    });
    let world = world(marked());
    let done = run_with(&world.playbook, &finding(detail), &on()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Skipped);
    assert!(deny.detail().contains("aws:SourceVpce"));
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_the_block_shuts_the_caller_out_the_policy_stays_as_it_is() {
    for who in [anonymous(), partner()] {
        let world = world(public());
        let done = respond(&world, who).await;
        assert_eq!(done.steps.len(), 1, "{:?}", done.steps);
        assert_eq!(done.steps[0].outcome(), Outcome::Applied);
        assert_eq!(world.wire.writes(), ["s3:PutBucketPublicAccessBlock"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_flags_come_before_the_policy() {
    let world = world(Bucket {
        acl_is_public: true,
        ..shared()
    });
    let done = respond(&world, partner()).await;
    assert!(
        done.steps
            .iter()
            .all(|step| step.outcome() == Outcome::Applied),
        "{done:?}"
    );
    assert_eq!(
        world.wire.writes(),
        ["s3:PutBucketPublicAccessBlock", "s3:PutBucketPolicy"]
    );
}

#[tokio::test(start_paused = true)]
async fn release_puts_the_policy_back_to_the_letter() {
    let world = world(shared());
    let action = planned(&world, partner()).await;
    world.playbook.apply(&action).await.unwrap();
    for _ in 0..2 {
        world.playbook.restore(&action).await.unwrap();
        assert_eq!(world.now().policy.as_deref(), Some(PARTNER_READS));
    }
}

#[tokio::test(start_paused = true)]
async fn release_takes_away_a_policy_that_only_we_made() {
    let world = world(Bucket {
        acl_is_public: true,
        tag: Some("yes"),
        ..Bucket::default()
    });
    let action = planned(&world, anonymous()).await;
    world.playbook.apply(&action).await.unwrap();
    assert!(world.now().policy.is_some());
    for _ in 0..2 {
        world.playbook.restore(&action).await.unwrap();
        assert!(world.now().policy.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn release_keeps_later_statements_of_others() {
    let world = world(shared());
    let action = planned(&world, partner()).await;
    world.playbook.apply(&action).await.unwrap();
    let mut drifted = world.policy();
    let theirs = json!({ "Sid": "New", "Effect": "Allow", "Principal": { "AWS": "444455556666" } });
    drifted["Statement"]
        .as_array_mut()
        .unwrap()
        .insert(0, theirs);
    world.now().policy = Some(drifted.to_string());
    world.playbook.restore(&action).await.unwrap();
    let left = world.policy();
    assert_eq!(left["Statement"].as_array().unwrap().len(), 2, "{left}");
    assert_eq!(left["Statement"][0]["Sid"], "New");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changed_after_it_was_observed_is_merged_with_as_it_stands() {
    let world = world(shared());
    let action = planned(&world, partner()).await;
    let theirs = r#"{"Statement":[{"Sid":"New","Effect":"Deny","Principal":"*"}]}"#;
    world.now().policy = Some(theirs.to_owned());
    world.playbook.apply(&action).await.unwrap();
    assert_eq!(world.policy()["Statement"][0]["Sid"], "New");
    assert_eq!(world.policy()["Statement"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_statement_of_ours_that_someone_weakened_is_written_again_in_its_place() {
    let world = world(shared());
    respond(&world, partner()).await;
    let mut weakened = world.policy();
    weakened["Statement"][1]["Action"] = json!("s3:DeleteBucket");
    world.now().policy = Some(weakened.to_string());
    let done = respond(&world, partner()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    assert_eq!(world.policy()["Statement"].as_array().unwrap().len(), 2);
    assert_eq!(world.policy()["Statement"][1]["Action"], "s3:*");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_would_grow_too_large_is_left_and_the_report_says_so() {
    let mut large: Value = serde_json::from_str(PARTNER_READS).unwrap();
    large["Id"] = json!("x".repeat(20_200));
    let world = world(Bucket {
        policy: Some(large.to_string()),
        ..Bucket::default()
    });
    let done = respond(&world, partner()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Skipped);
    assert!(
        deny.detail().contains("S3 allows 20480"),
        "{}",
        deny.detail()
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_public_policy_that_s3_would_not_take_back_is_left() {
    let flags = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
        .block_public_policy(true)
        .build();
    let world = world(Bucket {
        block: Some(flags),
        ..marked()
    });
    let done = respond(&world, anonymous()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Skipped);
    assert!(deny.detail().contains("BlockPublicPolicy"));
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_public_policy_that_s3_would_not_take_back_by_the_accounts_flags_is_left() {
    let flags = aws_sdk_s3control::types::PublicAccessBlockConfiguration::builder()
        .block_public_policy(true)
        .build();
    let world = world(Bucket {
        account: Some(flags),
        ..marked()
    });
    let done = respond(&world, anonymous()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Skipped, "{done:?}");
    assert!(deny.detail().contains("BlockPublicPolicy"));
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_call_of_the_deny_that_fails_makes_the_step_a_failure_and_nothing_else() {
    for call in ["s3:GetBucketPolicy", "s3:PutBucketPolicy"] {
        for (status, code, transient) in [
            (403, "AccessDenied", false),
            (503, "SlowDown", true),
            (409, "OperationAborted", true),
            (400, "MalformedPolicy", false),
        ] {
            let world = world(Bucket {
                acl_is_public: true,
                ..shared()
            });
            world.wire.fail(call, status, code);
            let done = respond(&world, partner()).await;
            let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
            assert_eq!(deny.outcome(), Outcome::Failed, "{call} {code}");
            assert_eq!(done.transient.is_some(), transient, "{call} {code}");
            assert_eq!(world.flags(), [true; 4], "{call} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_known_again_however_s3_writes_it() {
    let world = world(shared());
    respond(&world, partner()).await;
    let mut rewritten = world.policy();
    let ours = &mut rewritten["Statement"][1];
    ours["Principal"] = json!({ "AWS": "*" });
    ours["Action"] = json!(["s3:*"]);
    ours["Resource"].as_array_mut().unwrap().reverse();
    world.now().policy = Some(rewritten.to_string());
    let again = respond(&world, partner()).await;
    assert_eq!(again.steps[0].outcome(), Outcome::Already);
}
