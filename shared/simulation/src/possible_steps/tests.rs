use super::*;
use model::actions;
use model::decision::ResponseSettings;
use sample_findings::event;
use serde_json::{Value, json};

fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

fn names() -> Vec<&'static str> {
    let functions = Category::CONTAINING.into_iter();
    let actions = functions.flat_map(actions::of);
    actions.map(|(name, _)| *name).collect()
}

#[test]
fn it_is_known_of_each_action_when_it_is_planned() {
    let finding = finding(json!({}));
    for action in names() {
        let planned = planned(action, &finding, &Settings::default());
        assert_ne!(planned, Planned::If("the playbook plans it"), "{action}");
    }
}

/// A role has no permission for what is never planned.
#[test]
fn possible_steps_match_the_permissions_of_the_role() {
    let finding = finding(json!({}));
    let mut settings = vec![Settings::default(); 9];
    settings[1].s3.policy_deny = true;
    settings[2].s3.account_block = true;
    settings[3].iam.mark_contained = true;
    settings[4].ec2.auto_scaling = AutoScaling::Standby;
    settings[5].ec2.remove_public_address = true;
    settings[6].ec2.disable_metadata = true;
    settings[7].ec2.cut_connections_seconds = 1;
    settings[8].ec2.shorten_timeouts = true;
    let all = names();
    for (settings, action) in settings
        .iter()
        .flat_map(|it| all.iter().map(move |a| (it, a)))
    {
        if !actions::is_planned(action, &ResponseSettings::default(), settings) {
            assert_eq!(
                planned(action, &finding, settings),
                Planned::Never,
                "{action}"
            );
        }
    }
}

#[test]
fn a_step_of_a_setting_is_planned_only_with_it() {
    let finding = finding(json!({}));
    let mut settings = Settings::default();
    let metadata = |settings: &Settings| planned("ec2:DisableInstanceMetadata", &finding, settings);
    assert_eq!(metadata(&settings), Planned::Never);
    settings.ec2.disable_metadata = true;
    assert_eq!(metadata(&settings), Planned::Surely);
}

/// A finding of this kind by the principal of these details.
fn by(kind: &str, details: &Value) -> Finding {
    finding(json!({ "type": kind, "resource": {
        "s3BucketDetails": [{ "name": "exposed" }], "accessKeyDetails": details } }))
}

fn user(key: &str) -> Finding {
    by(
        "Recon:IAMUser/TorIPCaller",
        &json!({ "userType": "IAMUser", "userName": "mallory", "accessKeyId": key }),
    )
}

fn role(principal_id: &str) -> Finding {
    by(
        "Recon:IAMUser/TorIPCaller",
        &json!({ "userType": "AssumedRole", "userName": "web", "principalId": principal_id }),
    )
}

const LONG_TERM: &str = "AKIAIOSFODNN7EXAMPLE";
const SESSION: &str = "ASIAIOSFODNN7EXAMPLE";
const OF_SERVICE: &str = "ACCAIOSFODNN7EXAMPLE";

#[test]
fn each_step_on_credentials_is_foreseen_by_who_acted_and_the_settings() {
    let off = Settings::default();
    let set = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    };
    let created = set(|it| it.iam.created_keys = true);
    let all_keys = set(|it| it.iam.user_session_keys = true);
    let (key, service) = (
        "iam:DeactivateAccessKey",
        "iam:DeactivateServiceSpecificCredential",
    );
    for (action, finding, settings, expected) in [
        (key, user(LONG_TERM), &off, "the key is active"),
        (key, user(SESSION), &off, "never"),
        (key, user(SESSION), &all_keys, "the user has active keys"),
        (key, user(SESSION), &created, "the principal created keys"),
        (key, role("AROAEXAMPLE:deploy"), &all_keys, "never"),
        (
            key,
            role("AROAEXAMPLE:deploy"),
            &created,
            "the principal created keys",
        ),
        (service, user(LONG_TERM), &off, "never"),
        (service, user(OF_SERVICE), &off, "IAM lists the credential"),
        (
            service,
            user(LONG_TERM),
            &created,
            "from after the first event",
        ),
        (service, role("AROAEXAMPLE:deploy"), &created, "never"),
        ("iam:RevokeUserSessions", user(LONG_TERM), &off, "surely"),
        (
            "iam:DenyRoleSession",
            role("AROAEXAMPLE:deploy"),
            &off,
            "surely",
        ),
        ("iam:DenyRoleSession", role(""), &off, "never"),
        ("iam:RevokeRoleSessions", role(""), &off, "never"),
        (
            "iam:RevokeRoleSessions",
            role(""),
            &set(|it| it.iam.role_wide = true),
            "surely",
        ),
        (
            "iam:MarkContained",
            user(SESSION),
            &set(|it| it.iam.mark_contained = true),
            "surely",
        ),
    ] {
        assert_foreseen(action, &finding, settings, expected);
    }
}

fn assert_foreseen(action: &str, finding: &Finding, settings: &Settings, expected: &str) {
    let said = match planned(action, finding, settings) {
        Planned::Surely => "surely",
        Planned::If(condition) => condition,
        Planned::Never => "never",
    };
    assert!(said.contains(expected), "{action}: {said}, not {expected}");
}

#[test]
fn each_step_on_a_bucket_is_foreseen_by_who_called_and_the_settings() {
    let (block, deny) = ("s3:BlockBucketPublicAccess", "s3:DenyInBucketPolicy");
    let mut settings = Settings::default();
    settings.s3.policy_deny = true;
    settings.s3.account_block = true;
    let anonymous = json!({ "principalId": "ANONYMOUS_PRINCIPAL" });
    let other = json!({ "userType": "AWSAccount", "userName": "x" });
    let own = json!({ "userType": "Root" });
    let (read, opened) = (
        "Exfiltration:S3/TorIPCaller",
        "Policy:S3/BucketPublicAccessGranted",
    );
    for (action, finding, expected) in [
        (
            block,
            by(read, &anonymous),
            "not public on purpose (gdr:public-ok, or a website",
        ),
        (block, by(read, &other), "it or its objects may be public"),
        (
            block,
            by(opened, &other),
            "not public on purpose (gdr:public-ok",
        ),
        (deny, by(read, &anonymous), "lets anybody in"),
        (deny, by(read, &other), "otherwise than by a public grant"),
        (deny, by(read, &own), "never"),
        (deny, by(opened, &other), "never"),
        ("s3:BlockAccountPublicAccess", by(opened, &own), "surely"),
    ] {
        assert_foreseen(action, &finding, &settings, expected);
    }
}

#[test]
fn possible_steps_on_an_instance_follow_finding_and_settings() {
    let plain = finding(json!({}));
    let grouped = finding(json!({ "resource": { "instanceDetails": {
        "instanceId": "i-0abc1234",
        "tags": [{ "key": "team", "value": "shop" },
            { "key": "aws:autoscaling:groupName", "value": "web" }],
        "iamInstanceProfile": {
            "arn": "arn:aws:iam::111122223333:instance-profile/web", "id": "AIPAEXAMPLE" },
    } } }));
    let mut on = Settings::default();
    on.ec2.remove_public_address = true;
    on.ec2.shorten_timeouts = true;
    on.ec2.cut_connections_seconds = 1;
    on.ec2.isolate_container_nodes = true;
    let rule = "from sg-0123456789abcdef0 tcp/22".parse();
    on.ec2.forensics_access.push(rule.expect("a rule"));
    let mut standby = Settings::default();
    standby.ec2.auto_scaling = AutoScaling::Standby;
    let off = Settings::default();
    for (action, finding, settings, expected) in [
        (
            "autoscaling:DetachInstance",
            &plain,
            &off,
            "it is in an Auto Scaling group",
        ),
        ("autoscaling:DetachInstance", &grouped, &off, "surely"),
        ("autoscaling:DetachInstance", &grouped, &standby, "never"),
        ("autoscaling:EnterStandby", &grouped, &standby, "surely"),
        ("autoscaling:EnterStandby", &grouped, &off, "never"),
        (
            "ec2:IsolateInterface",
            &plain,
            &off,
            "no node of EKS or ECS",
        ),
        ("iam:DenyInstanceCredentials", &plain, &off, "it has a role"),
        ("iam:DenyInstanceCredentials", &grouped, &off, "surely"),
        (
            "ec2:RemovePublicAddress",
            &plain,
            &on,
            "it has a public address",
        ),
        ("ec2:ShortenIdleTimeouts", &plain, &on, "has idle time-outs"),
        ("ec2:CutTrackedConnections", &plain, &on, "it runs"),
        ("ec2:CutTrackedConnections", &plain, &off, "never"),
        (
            "ec2:AdmitForensics",
            &plain,
            &on,
            "the groups that are listed",
        ),
        ("ec2:AdmitForensics", &plain, &off, "never"),
        ("ec2:MarkContained", &plain, &off, "surely"),
        ("ec2:SnapshotVolumes", &plain, &off, "surely"),
        ("ec2:StopOnShutdown", &plain, &off, "root volume"),
        ("ec2:ProtectFromStop", &plain, &off, "no Spot Instance"),
    ] {
        assert_foreseen(action, finding, settings, expected);
    }
    let isolates = planned("ec2:IsolateInterface", &plain, &on);
    assert_eq!(isolates, Planned::If("it forwards for nobody else"));
    let group = BlastRadiusGroup::AutoScalingGroup {
        region: "us-east-1".to_owned(),
        name: "web".to_owned(),
    };
    assert_eq!(crowds(&grouped, Kind::Instance), [group]);
    assert_eq!(crowds(&plain, Kind::Instance), []);
    assert_eq!(crowds(&plain, Kind::User), [BlastRadiusGroup::Users]);
    assert_eq!(crowds(&plain, Kind::Role), []);
}

#[test]
fn sessions_are_revoked_again_for_newer_activity() {
    let off = Settings::default();
    let mut all_keys = Settings::default();
    all_keys.iam.user_session_keys = true;
    for (finding, settings, expected) in [
        (user(LONG_TERM), &off, false),
        (user(SESSION), &off, true),
        (user(SESSION), &all_keys, false),
        (role(""), &off, true),
        (role("AROAEXAMPLE:deploy"), &off, false),
        (finding(json!({})), &off, false),
    ] {
        assert_eq!(renews(Category::Iam, &finding, settings), expected);
        assert!(!renews(Category::Ec2, &finding, settings));
    }
}

#[test]
fn a_role_that_only_aws_may_change_is_known_by_its_name() {
    let finding = role("");
    for (name, arn) in [
        ("web", "arn:aws:iam::111122223333:role/web"),
        (
            "AWSServiceRoleForX",
            "arn:aws:iam::111122223333:role/aws-service-role/AWSServiceRoleForX",
        ),
    ] {
        let resource = with_telling_path(&finding, Resource::role(&finding, name, None));
        assert_eq!(resource.arn(), arn);
    }
    let user = Resource::user(&finding, "AWSServiceRoleForX", None);
    let user = with_telling_path(&finding, user);
    assert_eq!(
        user.arn(),
        "arn:aws:iam::111122223333:user/AWSServiceRoleForX"
    );
}

#[test]
fn where_nothing_would_be_contained_it_says_why() {
    let off = Settings::default();
    let mut on = Settings::default();
    on.s3.account_block = true;
    on.s3.policy_deny = true;
    on.iam.role_wide = true;
    let account = finding(json!({ "type": "Policy:S3/AccountBlockPublicAccessDisabled" }));
    let federated = json!({ "userType": "FederatedUser", "userName": "bob" });
    let federated = by("Recon:IAMUser/TorIPCaller", &federated);
    let owner = json!({ "userType": "IAMUser", "accessKeyId": LONG_TERM });
    let owner = by("Recon:IAMUser/TorIPCaller", &owner);
    let root = by("Recon:IAMUser/TorIPCaller", &json!({ "userType": "Root" }));
    for (function, finding, settings, expected) in [
        (
            Category::S3,
            &account,
            &off,
            Some((Reason::Setting, "S3AccountBlock")),
        ),
        (Category::S3, &account, &on, None),
        (Category::Iam, &user(LONG_TERM), &off, None),
        (
            Category::Iam,
            &role(""),
            &off,
            Some((Reason::Nothing, "session of web")),
        ),
        (Category::Iam, &role(""), &on, None),
        (Category::Iam, &role("AROAEXAMPLE:deploy"), &off, None),
        (
            Category::Iam,
            &owner,
            &off,
            Some((Reason::Unknown, LONG_TERM)),
        ),
        (
            Category::Iam,
            &federated,
            &off,
            Some((Reason::Unknown, "federated session")),
        ),
        (Category::Iam, &root, &off, Some((Reason::Nothing, "root"))),
        (Category::Ec2, &account, &off, None),
    ] {
        match (nothing(function, finding, settings), expected) {
            (None, None) => {}
            (Some((cause, why)), Some((expected, part))) => {
                assert_eq!(cause, expected, "{why}");
                assert!(why.contains(part), "{why}");
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }
}
