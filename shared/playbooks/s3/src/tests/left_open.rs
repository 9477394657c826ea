//! What all four flags leave open: grants that S3 does not call public, ACLs of objects, access points.

use super::deny::on;
use super::*;
use fixtures::{answer, run_with};
use model::report::Status;

/// With all four flags on, and a policy that S3 does not call public.
fn blocked(policy: &Value) -> Bucket {
    Bucket {
        block: Some(BlockPublicAccess::ALL.into()),
        policy: Some(policy.to_string()),
        ..Bucket::default()
    }
}

fn allowed(condition: Value) -> Value {
    let mut statement = json!({ "Sid": "Narrow", "Effect": "Allow", "Principal": { "AWS": "*" },
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::exposed/*" });
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    json!({ "Statement": statement })
}

/// AWS's recommendation, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-policies.html>.
fn delegated() -> Value {
    allowed(json!({ "StringEquals": { "s3:DataAccessPointAccount": "111122223333" } }))
}

/// A policy that lets in nobody from elsewhere.
fn tls_only() -> Value {
    json!({ "Statement": [
        { "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
          "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
          "Action": "s3:*", "Resource": "*" },
        { "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*",
          "Condition": { "StringEquals": { "aws:PrincipalAccount": "111122223333" } } },
    ] })
}

/// The status without `S3_POLICY_DENY`, which is the default.
async fn status(bucket: Bucket, who: Value) -> (Status, String) {
    let world = world(bucket);
    let (report, _) = answer(&world.playbook, &data_access(who)).await;
    (report.status(), report.to_line())
}

fn denied(done: &remediation::execute::Execution<Action>) -> Option<Outcome> {
    let mut steps = done.steps.iter();
    steps
        .find(|step| step.action() == "s3:DenyInBucketPolicy")
        .map(model::report::StepReport::outcome)
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_caller_admitted_by_a_nonpublic_policy_is_not_reported_as_contained() {
    for condition in [
        json!({ "IpAddress": { "aws:SourceIp": "52.0.0.0/8" } }),
        json!({ "StringEquals": { "aws:SourceVpce": "vpce-1" } }),
        json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } }),
        json!({ "ArnLike": { "aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:topic" } }),
        json!({ "ArnLike": { "s3:DataAccessPointArn": "arn:aws:s3:us-east-1:111122223333:accesspoint/a" } }),
    ] {
        for flags in [None, Some(BlockPublicAccess::ALL.into())] {
            let bucket = Bucket {
                block: flags,
                ..blocked(&allowed(condition.clone()))
            };
            let (status, line) = status(bucket, anonymous()).await;
            assert_eq!(status, Status::Partial, "{line}");
            assert!(line.contains("statement Narrow"), "{line}");
            assert!(line.contains("S3_POLICY_DENY"), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn its_address_is_denied_if_the_setting_says_so() {
    let policy = allowed(json!({ "IpAddress": { "aws:SourceIp": "198.0.0.0/8" } }));
    let world = world(blocked(&policy));
    let done = run_with(&world.playbook, &data_access(anonymous()), &on()).await;
    assert_eq!(denied(&done), Some(Outcome::Applied), "{done:?}");
    assert_eq!(
        world.policy()["Statement"][1]["Sid"],
        "GuardDutyResponderDeny198x51x100x7"
    );
    let again = run_with(&world.playbook, &data_access(anonymous()), &on()).await;
    assert_eq!(denied(&again), Some(Outcome::Already), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_statement_for_everybody_is_a_risk_for_any_caller() {
    let policy = allowed(json!({ "StringEquals": { "aws:SourceVpce": "vpce-1" } }));
    let open = world(Bucket {
        acl_is_public: true,
        block: None,
        ..blocked(&policy)
    });
    let done = run(&open.playbook, &made_public()).await;
    let risks = done.residual_risks.join("\n");
    for told in [
        r#"statement Narrow (condition {"StringEquals":{"aws:SourceVpce":"vpce-1"}})"#,
        "which S3 does not call public",
    ] {
        assert!(risks.contains(told), "{told} in {risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_whose_policy_lets_in_nobody_from_elsewhere_is_contained() {
    let quiet = [
        Bucket {
            policy: None,
            ..blocked(&Value::Null)
        },
        blocked(&tls_only()),
        // RestrictPublicBuckets holds for all of a policy that is public.
        Bucket {
            policy_is_public: true,
            acls_enabled: true,
            ..blocked(&allowed(Value::Null))
        },
        Bucket {
            policy_is_public: true,
            ..blocked(&allowed(
                json!({ "IpAddress": { "aws:SourceIp": "0.0.0.0/1" } }),
            ))
        },
    ];
    for bucket in quiet {
        for who in [anonymous(), partner()] {
            for flags in [None, Some(BlockPublicAccess::ALL.into())] {
                // Whoever came in had to come in by something.
                let bucket = Bucket {
                    acl_is_public: flags.is_none() && who == anonymous(),
                    block: flags.clone(),
                    ..bucket.clone()
                };
                if bucket.block.is_none() && !bucket.policy_is_public && !bucket.acl_is_public {
                    continue;
                }
                let (status, line) = status(bucket, who.clone()).await;
                let expected = match flags {
                    None => Status::Contained,
                    Some(_) => Status::AlreadyContained,
                };
                assert_eq!(status, expected, "{line}");
                assert!(
                    !line.contains("everybody who meets the condition"),
                    "{line}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_which_the_status_is_not_known_counts_as_public_only_if_it_must_be() {
    for (condition, expected) in [
        (Value::Null, Status::AlreadyContained),
        (
            json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } }),
            Status::Partial,
        ),
    ] {
        let world = world(blocked(&allowed(condition)));
        world
            .wire
            .fail("s3:GetBucketPolicyStatus", 403, "AccessDenied");
        let (report, _) = answer(&world.playbook, &data_access(anonymous())).await;
        assert_eq!(report.status(), expected, "{}", report.to_line());
        assert!(report.to_line().contains("unless S3 calls it public"));
    }
}

#[tokio::test(start_paused = true)]
async fn another_account_may_come_in_by_delegation_an_access_point_or_the_acl_of_an_object() {
    let none = blocked(&tls_only());
    let ways = [
        (
            blocked(&delegated()),
            "by name or by a condition in the policy",
        ),
        (
            Bucket {
                access_points: vec!["analytics"],
                ..none.clone()
            },
            "by the policy of an access point",
        ),
        (
            Bucket {
                acls_enabled: true,
                ..none.clone()
            },
            "by the ACL of an object",
        ),
        (
            Bucket {
                acl_names: Some("f00d"),
                ..none
            },
            "by the bucket's ACL",
        ),
    ];
    for (bucket, way) in ways {
        let (status, line) = status(bucket.clone(), partner()).await;
        assert_eq!(status, Status::Partial, "{line}");
        assert!(line.contains(way), "{way}: {line}");
        let world = world(bucket);
        let done = run_with(&world.playbook, &data_access(partner()), &on()).await;
        assert_eq!(denied(&done), Some(Outcome::Applied), "{way}: {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn object_ownership_that_is_not_set_or_cannot_be_read_leaves_acls_in_effect() {
    for (status, code, told) in [
        (404, "OwnershipControlsNotFoundError", "ACLs are in effect"),
        (403, "AccessDenied", "s3:GetBucketOwnershipControls"),
    ] {
        let world = world(blocked(&tls_only()));
        world
            .wire
            .fail("s3:GetBucketOwnershipControls", status, code);
        let (report, _) = answer(&world.playbook, &data_access(partner())).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        assert!(report.to_line().contains(told), "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deny_for_the_sake_of_an_access_point_comes_with_the_list_of_them() {
    let world = world(Bucket {
        acl_is_public: false,
        access_points: vec!["analytics"],
        ..blocked(&tls_only())
    });
    let finding = data_access(partner());
    let planned = |state: &State| S3::plan(&finding, state, &on(), now());
    let glanced = world.playbook.glance(&finding).await.unwrap();
    let [Step::Already(..)] = planned(&glanced).steps.as_slice() else {
        panic!("{:?}", planned(&glanced))
    };
    let whole = world.playbook.complete(&finding, &glanced).await.unwrap();
    let plan = planned(&whole);
    let [Step::Already(..), Step::Do(_)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_the_flags_do_not_stop_is_not_reported_as_contained() {
    for (who, told) in [
        (
            json!({ "userType": "IAMUser", "userName": "mallory", "principalId": "AIDAX" }),
            "the iam function and its settings decide whether to contain them",
        ),
        (
            json!({ "userType": "Root", "userName": "Root" }),
            "no function contains it",
        ),
        (
            json!({ "userType": "AWSService", "userName": "ec2.amazonaws.com" }),
            "no function contains it",
        ),
        (
            json!({ "userType": "Directory", "userName": "corp" }),
            "no function contains it",
        ),
    ] {
        let world = world(public());
        let done = run(&world.playbook, &data_access(who)).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
        assert!(done.steps[0].detail().contains(told), "{:?}", done.steps);
    }
}

#[tokio::test(start_paused = true)]
async fn letting_partners_in_again_is_said_to_let_in_the_account_that_the_finding_names() {
    let both = json!({ "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject" },
        { "Effect": "Allow", "Principal": { "AWS": "999988887777" }, "Action": "s3:PutObject" },
    ] });
    for (account, told) in [
        (
            json!({ "accountId": "999988887777" }),
            "lets in account 999988887777 too, which this finding names",
        ),
        (Value::Null, "The caller of this finding may be one of them"),
    ] {
        let finding = finding(json!({
            "type": "Discovery:S3/MaliciousIPCaller.Custom",
            "resource": {
                "accessKeyDetails": partner(),
                "s3BucketDetails": [{ "name": "exposed" }],
            },
            "service": { "action": { "awsApiCallAction": { "remoteAccountDetails": account } } },
        }));
        let world = world(Bucket {
            policy: Some(both.to_string()),
            ..public()
        });
        let done = run(&world.playbook, &finding).await;
        assert_eq!(done.steps.len(), 1, "{:?}", done.steps);
        let next = done.next_steps.join("\n");
        assert!(next.contains(told), "{next}");
    }
}
