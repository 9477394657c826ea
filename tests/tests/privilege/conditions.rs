//! Where a permission ends: each condition of a role's policies, tried inside and outside.

use integration_tests::Result;
use integration_tests::finding::Finding as Event;
use remediation::catalogue::Category;
use remediation::finding::Finding;
use remediation::policy::{Decision, decide};
use serde_json::{Value, json};

use crate::privilege::authority::Role;
use crate::privilege::calls::{Check, Context};
use crate::privilege::{ANY_SETTING, WORLD, grants};

const ELSEWHERE: &str = "999988887777";

/// What is allowed, and what is not although it differs in a condition key only.
struct Case {
    function: &'static str,
    action: &'static str,
    resource: &'static str,
    inside: Value,
    outside: Vec<Value>,
    /// The same in an account that is not the role's is outside too.
    own_account_only: bool,
}

fn case(
    function: &'static str,
    action: &'static str,
    resource: &'static str,
    inside: Value,
    outside: Vec<Value>,
) -> Case {
    Case {
        function,
        action,
        resource,
        inside,
        outside,
        own_account_only: false,
    }
}

fn of_account(action: &'static str, resource: &'static str) -> Case {
    Case {
        own_account_only: true,
        ..case("S3", action, resource, json!({}), Vec::new())
    }
}

const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ROLE: &str = "arn:aws:iam::111122223333:role/payroll";
const GROUP: &str = "arn:aws:ec2:us-east-1:111122223333:security-group/sg-1";
const INSTANCE: &str = "arn:aws:ec2:us-east-1:111122223333:instance/i-1";
const SNAPSHOT: &str = "arn:aws:ec2:us-east-1::snapshot/snap-1";
const BUS: &str = "arn:aws:events:us-east-1:111122223333:event-bus/default";
const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

fn cases() -> Vec<Case> {
    let policy = |arn: &str| json!({ "iam:PolicyARN": arn });
    let boundary = |arn: &str| json!({ "iam:PermissionsBoundary": arn });
    let mark = |key: &str, value: &str, keys: &[&str]| json!({ format!("aws:RequestTag/{key}"): value, "aws:TagKeys": keys });
    let contained = |value: &str, keys: &[&str]| mark("gdr:contained", value, keys);
    let made_as = |role: &str| mark("gdr:role", role, &["gdr:role", "Name"]);
    let made_by = |call: &str| json!({ "ec2:CreateAction": call });
    let is = |role: &str| json!({ "aws:ResourceTag/gdr:role": role });
    let mut cases = vec![
        of_account("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::bucket"),
        of_account("s3:PutAccountPublicAccessBlock", "*"),
        case(
            "Ec2",
            "ec2:CreateSecurityGroup",
            GROUP,
            made_as("isolation"),
            vec![made_as("web"), json!({})],
        ),
        // A group that is there already gets no tag but that of one without rules.
        case(
            "Ec2",
            "ec2:CreateTags",
            GROUP,
            made_by("CreateSecurityGroup"),
            vec![json!({}), made_by("CreateSnapshots")],
        ),
        case(
            "Ec2",
            "ec2:CreateTags",
            GROUP,
            mark("gdr:role", "isolation", &["gdr:role"]),
            vec![
                mark("gdr:role", "forensics", &["gdr:role"]),
                mark("gdr:role", "conversion", &["gdr:role"]),
                mark("gdr:role", "isolation", &["gdr:role", "team"]),
            ],
        ),
        case(
            "Ec2",
            "ec2:CreateTags",
            SNAPSHOT,
            made_by("CreateSnapshots"),
            vec![json!({}), made_by("CreateSnapshot")],
        ),
        case(
            "Ec2",
            "ec2:CreateTags",
            INSTANCE,
            json!({ "aws:TagKeys": ["gdr:incident", "gdr:incident-time"] }),
            vec![json!({ "aws:TagKeys": ["gdr:incident", "environment"] })],
        ),
    ];
    for (user, attach, bound, tag) in [
        (
            USER,
            "iam:AttachUserPolicy",
            "iam:PutUserPermissionsBoundary",
            "iam:TagUser",
        ),
        (
            ROLE,
            "iam:AttachRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:TagRole",
        ),
    ] {
        let others = vec![policy(ADMINISTRATOR), json!({})];
        cases.push(case("Iam", attach, user, policy(DENY_ALL), others));
        let others = vec![boundary(ADMINISTRATOR), json!({})];
        cases.push(case("Iam", bound, user, boundary(DENY_ALL), others));
        let others = vec![
            contained("false", &["gdr:contained"]),
            contained("true", &["gdr:contained", "team"]),
            mark("team", "admins", &["team"]),
        ];
        let inside = contained("true", &["gdr:contained"]);
        cases.push(case("Iam", tag, user, inside, others));
    }
    for authorize in [
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
    ] {
        for role in ["conversion", "forensics"] {
            let others = vec![is("isolation"), json!({})];
            cases.push(case("Ec2", authorize, GROUP, is(role), others));
        }
    }
    for (function, member) in [
        ("S3", "arn:aws:iam::444455556666:role/gdr-member-s3"),
        ("Iam", "arn:aws:iam::444455556666:role/gdr-member-iam"),
        ("Ec2", "arn:aws:iam::444455556666:role/gdr-member-ec2"),
    ] {
        let session = |external_id: &str, name: &str, identity: &str| json!({ "sts:ExternalId": external_id, "sts:RoleSessionName": name, "sts:SourceIdentity": identity });
        let others = vec![
            session("another", "gdr-1", "gdr-1"),
            session("an-external-id", "admin", "gdr-1"),
            session("an-external-id", "gdr-1", "admin"),
            json!({ "sts:ExternalId": "an-external-id", "sts:RoleSessionName": "gdr-1" }),
        ];
        let inside = session("an-external-id", "gdr-1", "gdr-1");
        cases.push(case(function, "sts:AssumeRole", member, inside, others));
        let identity = |name: &str| json!({ "sts:SourceIdentity": name });
        let others = vec![identity("admin"), json!({})];
        let inside = identity("gdr-1");
        cases.push(case(
            function,
            "sts:SetSourceIdentity",
            member,
            inside,
            others,
        ));
    }
    for function in ["S3", "Iam", "Ec2", "Triage"] {
        let source = |name: &str| json!({ "events:source": [name] });
        let others = vec![source("guardduty-responder.drill"), source("orders")];
        let inside = source("guardduty-responder");
        cases.push(case(function, "events:PutEvents", BUS, inside, others));
    }
    cases
}

fn check(case: &Case, context: &Value) -> Check {
    let context = context.as_object().cloned().unwrap_or_default();
    Check {
        action: case.action.to_owned(),
        resource: case.resource.to_owned(),
        context: Context::from_iter(context),
    }
}

/// The statements that allow something under a condition.
fn conditional(role: &mut Role) -> impl Iterator<Item = &mut Value> {
    let documents = role.policies.iter_mut();
    documents
        .filter_map(|document| document["Statement"].as_array_mut())
        .flatten()
        .filter(|statement| statement["Effect"] == "Allow" && !statement["Condition"].is_null())
}

fn concerns(statement: &Value, action: &str) -> bool {
    let actions = &statement["Action"];
    actions == action
        || actions
            .as_array()
            .is_some_and(|actions| actions.iter().any(|one| one == action))
}

#[test]
fn each_condition_allows_what_is_inside_and_refuses_what_is_outside() -> Result {
    let judge = &WORLD.judge;
    for case in cases() {
        let role = WORLD.role(case.function, ANY_SETTING)?;
        let mut unconditional = role.clone();
        for statement in conditional(&mut unconditional) {
            if let Some(members) = statement.as_object_mut() {
                members.remove("Condition");
            }
        }
        let (action, inside) = (case.action, check(&case, &case.inside));
        assert!(judge.allows(&role, &inside)?, "{action}: {inside:?}");
        for outside in &case.outside {
            let outside = check(&case, outside);
            assert!(!judge.allows(&role, &outside)?, "{action}: {outside:?}");
            // It is the condition that refuses it.
            assert!(judge.allows(&unconditional, &outside)?, "{action}");
        }
        if case.own_account_only {
            assert!(!judge.allows_in(&role, &inside, ELSEWHERE)?, "{action}");
            assert!(
                judge.allows_in(&unconditional, &inside, ELSEWHERE)?,
                "{action}"
            );
        }
    }
    Ok(())
}

#[test]
fn there_is_no_condition_that_is_not_tried() -> Result {
    for function in ["S3", "Iam", "Ec2", "Triage"] {
        let mut role = WORLD.role(function, ANY_SETTING)?;
        let name = role.clone();
        for statement in conditional(&mut role) {
            let alone = Role {
                policies: vec![json!({ "Statement": [statement.clone()] })],
                ..name.clone()
            };
            let mut tried = Vec::new();
            for case in cases() {
                let inside = check(&case, &case.inside);
                if case.function == function
                    && concerns(statement, case.action)
                    && WORLD.judge.allows(&alone, &inside)?
                {
                    tried.push(case.action);
                }
            }
            assert!(!tried.is_empty(), "{function}: {statement}");
        }
    }
    Ok(())
}

/// A tag changes nothing of what the role may do.
const MARKS: &str = "iam:TagRole";

/// The contexts in which a role's policies may allow an action on a role.
fn contexts(action: &str) -> Vec<Context> {
    let of_cases = cases()
        .into_iter()
        .filter(|case| case.action == action && case.resource == ROLE);
    let mut contexts: Vec<_> = of_cases
        .map(|case| check(&case, &case.inside).context)
        .collect();
    contexts.push(Context::new());
    contexts
}

#[test]
fn no_role_may_change_the_responders_own_roles() -> Result {
    let judge = &WORLD.judge;
    for (function, changes) in [
        (
            "Iam",
            &[
                "iam:AttachRolePolicy",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
            ][..],
        ),
        ("Ec2", &["iam:PutRolePolicy"]),
        ("S3", &[]),
        ("Triage", &[]),
    ] {
        let own = WORLD.role(function, ANY_SETTING)?;
        let mut roles = vec![(own, WORLD.roles_of_functions()?)];
        if function != "Triage" {
            let member = WORLD.member_role(function)?;
            let kinds = ["s3", "iam", "ec2"];
            let arn = |kind| format!("arn:aws:iam::{}:role/gdr-member-{kind}", member.account);
            let members = kinds.map(arn).to_vec();
            roles.push((member, members));
        }
        for (role, responders) in &roles {
            assert!(responders.len() >= 3, "{responders:?}");
            let other = format!("arn:aws:iam::{}:role/payroll", role.account);
            let mut tried = Vec::new();
            for grant in grants::of(function, role) {
                let action = grant.action.as_str();
                let reads = ["iam:Get", "iam:List", "iam:Generate", "iam:Simulate"];
                if !action.starts_with("iam:") || reads.iter().any(|it| action.starts_with(it)) {
                    continue;
                }
                for context in contexts(action) {
                    let on = |role: &str| Check {
                        action: action.to_owned(),
                        resource: role.to_owned(),
                        context: context.clone(),
                    };
                    if action == MARKS || !judge.allows(role, &on(&other))? {
                        continue;
                    }
                    tried.push(action.to_owned());
                    for responder in responders {
                        let check = on(responder);
                        assert!(!judge.allows(role, &check)?, "{}: {check:?}", role.name);
                    }
                }
            }
            tried.sort();
            tried.dedup();
            assert_eq!(
                tried, changes,
                "what {} may change of other roles",
                role.name
            );
        }
    }
    Ok(())
}

/// Else a function would plan to contain itself, and only the deny above would keep it from that.
#[test]
fn each_function_takes_each_role_of_the_stack_for_the_responders_own() -> Result {
    let roles = WORLD.roles_of_functions()?;
    assert_eq!(roles.len(), 4, "{roles:?}");
    let names: Vec<_> = roles
        .iter()
        .filter_map(|arn| arn.rsplit('/').next())
        .collect();
    for function in ["S3", "Iam", "Ec2", "Triage"] {
        let policy = WORLD.config(function, &[])?.policy;
        for role in &names {
            let session = format!("AROARESPONDER:{role}");
            let accused = Event::stolen_key()?
                .by("ASIAQQQQQQQQQQQQQQQQ", &session, "AssumedRole", role)
                .with("/accountId", WORLD.aws.account_id.as_str());
            let decision = decide(Category::Iam, &Finding::parse(&accused.0)?, &policy);
            let Decision::Notify(why) = decision else {
                return Err(format!("{function} contains {role}: {decision:?}").into());
            };
            assert!(
                why.contains("is the responder's own role"),
                "{function}, {role}: {why}"
            );
        }
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: the inline policies of a
/// role together, without white space.
#[test]
fn the_policies_of_a_role_are_within_the_quota_of_iam() -> Result {
    for function in ["S3", "Iam", "Ec2", "Triage"] {
        let role = WORLD.role(function, ANY_SETTING)?;
        let length: usize = role
            .policies
            .iter()
            .map(|policy| policy.to_string().len())
            .sum();
        assert!(length < 10_240, "{function}: {length}");
    }
    Ok(())
}
