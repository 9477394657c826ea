//! Where a permission ends: each condition of a role's policies, tried inside and outside.

use integration_tests::Result;
use integration_tests::finding::Finding as Event;
use remediation::category::Category;
use remediation::decision::{Decision, decide};
use remediation::finding::Finding;
use serde_json::{Value, json};

use crate::privilege::authority::Role;
use crate::privilege::calls::{Check, Context, ORGANIZATION};
use crate::privilege::{ANY_SETTING, ON_STANDBY, WORLD, grants};
use integration_tests::stack::RESPONDERS;

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

fn quarantine(action: &'static str) -> Case {
    Case {
        inside: json!({ "s3:RequestObjectTag/gdr:quarantined": "a finding" }),
        ..of_account(action, OBJECT)
    }
}

const OBJECT: &str = "arn:aws:s3:::bucket/in/object";
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
        of_account("s3:GetBucketPolicy", "arn:aws:s3:::bucket"),
        of_account("s3:GetAccountPublicAccessBlock", "*"),
        of_account("s3:PutBucketPolicy", "arn:aws:s3:::bucket"),
        of_account("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::bucket"),
        of_account("s3:PutAccountPublicAccessBlock", "*"),
        of_account("s3:ListBucketVersions", "arn:aws:s3:::bucket"),
        of_account("s3:GetObjectTagging", OBJECT),
        of_account("s3:GetObjectVersionTagging", OBJECT),
        quarantine("s3:PutObjectTagging"),
        quarantine("s3:PutObjectVersionTagging"),
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
    for role in ["isolation", "conversion", "forensics"] {
        let others = vec![made_as("web"), json!({})];
        let create = "ec2:CreateSecurityGroup";
        cases.push(case("Ec2", create, GROUP, made_as(role), others));
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
        ("Lambda", "arn:aws:iam::444455556666:role/gdr-member-lambda"),
    ] {
        let within = |organization: &str, external_id: &str, name: &str, identity: &str| json!({ "sts:ExternalId": external_id, "sts:RoleSessionName": name, "sts:SourceIdentity": identity, "aws:PrincipalOrgID": ORGANIZATION, "aws:ResourceOrgID": organization });
        let session = |external_id: &str, name: &str, identity: &str| {
            within(ORGANIZATION, external_id, name, identity)
        };
        let mut anonymous = session("an-external-id", "gdr-1", "gdr-1");
        let mut of_nobody = anonymous.clone();
        for (session, key) in [
            (&mut anonymous, "sts:SourceIdentity"),
            (&mut of_nobody, "aws:ResourceOrgID"),
        ] {
            session.as_object_mut().map(|keys| keys.remove(key));
        }
        let others = vec![
            session("another", "gdr-1", "gdr-1"),
            session("an-external-id", "admin", "gdr-1"),
            session("an-external-id", "gdr-1", "admin"),
            within("o-0000000000", "an-external-id", "gdr-1", "gdr-1"),
            anonymous,
            of_nobody,
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
    cases.extend(of_the_table());
    for function in RESPONDERS {
        let source = |name: &str| json!({ "events:source": [name] });
        let others = vec![source("guardduty-responder.drill"), source("orders")];
        let inside = source("guardduty-responder");
        cases.push(case(function, "events:PutEvents", BUS, inside, others));
    }
    cases
}

/// Of the table a function writes what it records and what it holds itself: by the targets and windows of another it
/// could keep that one from containing.
fn of_the_table() -> Vec<Case> {
    const TABLE: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/gdr-IncidentTable-TEST";
    let keys = |keys: &[&str]| json!({ "dynamodb:LeadingKeys": keys });
    let functions = [
        ("S3", "s3"),
        ("Iam", "iam"),
        ("Ec2", "ec2"),
        ("Lambda", "lambda"),
        ("Triage", "triage"),
    ];
    let mut cases = Vec::new();
    for (function, own) in functions {
        let mut outside = vec![json!({}), keys(&["OTHER#1"])];
        let mut inside = vec![keys(&["INCIDENT#f1"]), keys(&["DRILL#f1"])];
        for (_, category) in functions.iter().filter(|(_, it)| *it != "triage") {
            let held = [
                keys(&[&format!("TARGET#{category}#111122223333#one")]),
                keys(&[&format!("BREAKER#{category}#111122223333")]),
                keys(&[&format!("BREAKER#{category}#111122223333#role/web")]),
            ];
            if *category == own {
                inside.extend(held);
            } else {
                outside.extend(held);
            }
            // All that a call writes counts.
            let both = format!("TARGET#{category}#1#2");
            if *category != own {
                outside.push(keys(&["INCIDENT#f1", &both]));
            }
        }
        let said = keys(&["SECURITYHUB#arn"]);
        let said_by = if own == "triage" {
            &mut inside
        } else {
            &mut outside
        };
        said_by.push(said);
        for inside in inside {
            let update = "dynamodb:UpdateItem";
            cases.push(case(function, update, TABLE, inside, outside.clone()));
        }
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
fn each_condition_allows_inside_and_refuses_outside() -> Result {
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
fn no_tags_are_set_on_an_object_but_those_with_the_mark_of_a_quarantine() -> Result {
    let own = WORLD.role("S3", ANY_SETTING)?;
    let member = WORLD.member_role("S3", ANY_SETTING)?;
    for case in ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"].map(quarantine) {
        for role in [&own, &member] {
            assert!(WORLD.judge.allows(role, &check(&case, &case.inside))?);
            for others in [json!({}), json!({ "s3:RequestObjectTag/team": "data" })] {
                assert!(!WORLD.judge.allows(role, &check(&case, &others))?);
            }
        }
    }
    Ok(())
}

#[test]
fn there_is_no_condition_that_is_not_tried() -> Result {
    for function in RESPONDERS {
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
        ("Lambda", &["iam:PutRolePolicy"]),
        ("S3", &[]),
        ("Triage", &[]),
    ] {
        let own = WORLD.role(function, ANY_SETTING)?;
        // CloudFormation cuts a long name of a stack in those of the roles.
        let cut = "arn:aws:iam::111122223333:role/guardduty-responder/gdr/s3/cut-off-S3ResponderRole-TEST";
        let own_roles = [WORLD.roles_of_functions()?, vec![cut.to_owned()]].concat();
        let mut roles = vec![(own, own_roles)];
        if function != "Triage" {
            let member = WORLD.member_role(function, ANY_SETTING)?;
            let kinds = ["s3", "iam", "ec2", "lambda"];
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
    assert_eq!(roles.len(), 5, "{roles:?}");
    let names: Vec<_> = roles
        .iter()
        .filter_map(|arn| arn.rsplit('/').next())
        .collect();
    for function in RESPONDERS {
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

/// A principal that passes a role to a function of its own gets nothing by it. Where Lambda polls a queue with the role,
/// the key is not there,
/// <https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html>.
#[test]
fn another_function_that_has_a_role_of_the_stack_may_do_nothing_with_it() -> Result {
    let region = "arn:aws:lambda:us-east-1:111122223333:function";
    for function in RESPONDERS {
        let role = WORLD.role(function, ANY_SETTING)?;
        let trace = |of: Option<String>| Check {
            action: "xray:PutTraceSegments".to_owned(),
            resource: "*".to_owned(),
            context: of
                .map(|name| ("lambda:SourceFunctionArn".to_owned(), json!(name)))
                .into_iter()
                .collect(),
        };
        let own = format!("{region}:gdr-{function}ResponderFunction-TEST");
        for (of, allowed) in [
            (Some(own.clone()), true),
            (None, true),
            (Some(format!("{own}2")), false),
            (Some(format!("{region}:mine")), false),
            (Some(own.replace("111122223333", ELSEWHERE)), false),
        ] {
            let found = WORLD.judge.allows(&role, &trace(of.clone()))?;
            assert_eq!(found, allowed, "{function} {of:?}");
        }
        let mut denials = role.policies.iter().flat_map(|document| {
            let statements = document["Statement"].as_array();
            statements.into_iter().flatten()
        });
        let whole = denials.find(|statement| {
            let condition = statement["Condition"].to_string();
            condition.contains("lambda:SourceFunctionArn")
        });
        let whole = whole.ok_or(function)?;
        let all = json!(["Deny", "*", "*"]);
        let said = json!([whole["Effect"], whole["Action"], whole["Resource"]]);
        assert_eq!(said, all, "{function}");
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: the inline policies of a
/// role together, without white space.
#[test]
fn the_policies_of_a_role_are_within_the_quota_of_iam() -> Result {
    let break_glass = format!("arn:aws:iam::111122223333:role/{}", "x".repeat(471));
    let settings = [
        ANY_SETTING,
        &[("BreakGlassPrincipals", break_glass.as_str())],
    ]
    .concat();
    let mut roles = Vec::new();
    for function in RESPONDERS {
        roles.push(WORLD.role(function, &settings)?);
        if function != "Triage" {
            roles.push(WORLD.member_role(function, &settings)?);
        }
    }
    for role in roles {
        let policies = role.policies.iter();
        let length: usize = policies.map(|policy| policy.to_string().len()).sum();
        // Names are longer where they are deployed, and so are partitions.
        assert!(length < 10_240 - 1_500, "{}: {length}", role.name);
    }
    Ok(())
}

/// A role that was granted all there is, by its bucket policies or by whoever can, beside what the template gives it.
fn with_all_granted(role: &Role) -> Role {
    let mut role = role.clone();
    let all = json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    role.policies.push(all);
    role
}

fn on(action: &str, resource: &str) -> Check {
    Check {
        action: action.to_owned(),
        resource: resource.to_owned(),
        context: Context::new(),
    }
}

/// A bucket's policy grants by itself within the account.
#[test]
fn by_no_policy_of_a_bucket_the_s3_role_gets_to_objects_or_to_the_evidence() -> Result {
    let judge = &WORLD.judge;
    let (own, member) = (
        WORLD.role("S3", ANY_SETTING)?,
        WORLD.member_role("S3", ANY_SETTING)?,
    );
    for role in [&own, &member] {
        let granted = with_all_granted(role);
        for action in [
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:BypassGovernanceRetention",
            "s3:PutObjectRetention",
            "s3:PutObjectLegalHold",
        ] {
            let object = on(action, "arn:aws:s3:::gdr-evidence-test/s3/page.html");
            assert!(!judge.allows(&granted, &object)?, "{}: {action}", role.name);
        }
    }
    let granted = with_all_granted(&own);
    for action in [
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketAcl",
        "s3:PutBucketOwnershipControls",
        "s3:PutBucketVersioning",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutLifecycleConfiguration",
        "s3:PutReplicationConfiguration",
        "s3:PutEncryptionConfiguration",
        "s3:DeleteBucket",
    ] {
        let evidence = on(action, "arn:aws:s3:::gdr-evidence-test");
        assert!(!judge.allows(&granted, &evidence)?, "{action}");
        let another = on(action, "arn:aws:s3:::another");
        assert!(judge.allows(&granted, &another)?, "{action}");
    }
    let page = on(
        "s3:PutObject",
        "arn:aws:s3:::gdr-evidence-test/s3/page.html",
    );
    assert!(judge.allows(&own, &page)?);
    Ok(())
}

/// `NeverContain` is kept by the code of the functions, and this by IAM.
#[test]
fn no_role_may_change_the_principals_of_break_glass() -> Result {
    let judge = &WORLD.judge;
    let own =
        "arn:aws:iam::111122223333:user/break-glass,arn:aws:iam::111122223333:role/ops/emergency";
    let theirs = "arn:aws:iam::*:user/break-glass,arn:aws:iam::444455556666:role/ops/emergency";
    for function in ["Iam", "Ec2", "Lambda"] {
        for (role, account) in [
            (
                WORLD.role(function, &[("BreakGlassPrincipals", own)])?,
                "111122223333",
            ),
            (
                WORLD.member_role(function, &[("BreakGlassPrincipals", theirs)])?,
                "444455556666",
            ),
        ] {
            let granted = with_all_granted(&role);
            for (kind, name, actions) in [
                (
                    "user",
                    "break-glass",
                    [
                        "PutUserPolicy",
                        "AttachUserPolicy",
                        "PutUserPermissionsBoundary",
                        "UpdateAccessKey",
                    ],
                ),
                (
                    "role",
                    "ops/emergency",
                    [
                        "PutRolePolicy",
                        "AttachRolePolicy",
                        "PutRolePermissionsBoundary",
                        "TagRole",
                    ],
                ),
            ] {
                for action in actions.map(|it| format!("iam:{it}")) {
                    let spared = format!("arn:aws:iam::{account}:{kind}/{name}");
                    assert!(
                        !judge.allows(&granted, &on(&action, &spared))?,
                        "{action} on {spared}"
                    );
                    let another = format!("arn:aws:iam::{account}:{kind}/another");
                    assert!(judge.allows(&granted, &on(&action, &another))?, "{action}");
                }
            }
        }
    }
    Ok(())
}

/// Each setting that turns a write on, and what it allows.
const WRITES: &[(&str, &str, &str, &str)] = &[
    ("S3", "S3PolicyDeny", "true", "s3:PutBucketPolicy"),
    ("S3", "S3QuarantineObjects", "true", "s3:PutObjectTagging"),
    (
        "S3",
        "S3AccountBlock",
        "true",
        "s3:PutAccountPublicAccessBlock",
    ),
    ("Iam", "IamMarkContained", "true", "iam:TagUser"),
    (
        "Ec2",
        ON_STANDBY.0,
        ON_STANDBY.1,
        "autoscaling:EnterStandby",
    ),
    (
        "Ec2",
        "Ec2CutConnectionsSeconds",
        "5",
        "ec2:AuthorizeSecurityGroupEgress",
    ),
    (
        "Ec2",
        "Ec2RemovePublicAddress",
        "true",
        "ec2:DisassociateAddress",
    ),
    (
        "Ec2",
        "Ec2DisableMetadata",
        "true",
        "ec2:ModifyInstanceMetadataOptions",
    ),
    (
        "Ec2",
        "Ec2ForensicsAccess",
        "from sg-0123456789abcdef0 tcp/22",
        "ec2:AuthorizeSecurityGroupIngress",
    ),
];

#[test]
fn a_role_has_a_write_with_its_setting_only_and_none_in_a_dry_run() -> Result {
    let has = |role: &Role, action: &str| {
        let statements = role.policies.iter();
        let mut statements = statements
            .filter_map(|policy| policy["Statement"].as_array())
            .flatten();
        statements.any(|statement| statement["Effect"] == "Allow" && concerns(statement, action))
    };
    for (function, setting, value, action) in WRITES {
        let on: &[_] = &[(*setting, *value)];
        let dry = [on, &[("DryRun", "true")]].concat();
        let response = format!("{function}Response");
        let notifying = [on, &[(response.as_str(), "notify")]].concat();
        for (settings, wanted) in [(on, true), (&[], false), (&dry, false), (&notifying, false)] {
            let own = WORLD.role(function, settings)?;
            let member = WORLD.member_role(function, settings)?;
            for role in [own, member] {
                assert_eq!(
                    has(&role, action),
                    wanted,
                    "{}: {action} {settings:?}",
                    role.name
                );
            }
        }
    }
    Ok(())
}
