use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::DEFAULT;
use crate::fixtures::{ENFORCING, finding, now, user_finding};
use model::decision::ResponseSettings;

fn settings() -> ResponseSettings {
    ResponseSettings {
        minimum_severity: Some(4.0),
        ..ENFORCING.clone()
    }
}

/// What the default policies and `more` say of an action on the finding's target.
fn forecast(more: &str, finding: &Finding, action: &'static str) -> Forecast {
    let forecaster = Forecaster::new(LoadedPolicies::new(&format!("{DEFAULT}\n{more}"))).unwrap();
    assert_eq!(forecaster.guard.problem(), None);
    let category = model::catalogue::routes(finding)[0];
    let (settings, now): (_, Timestamp) = (settings(), now());
    let context = RequestContext::new(finding, &settings, category, false, now);
    let resource = Forecaster::resources(category, finding).unwrap().remove(0);
    forecaster.forecast(&context, action, &resource)
}

const REVOKE: &str = "iam:RevokeUserSessions";
const BY_PATH: &str = r#"@id("ci") @reason("r") forbid (principal, action, resource)
    when { resource has path && resource.path like "/ci/*" }"#;

#[test]
fn a_policy_that_looks_at_a_path_leaves_a_doubt() {
    let told = forecast(&format!("{BY_PATH};"), &user_finding("mallory"), REVOKE);
    assert!(
        matches!(told.verdict, Authorization::Permitted(_)),
        "{told:?}"
    );
    assert_eq!(told.depends_on, ["its path (policy ci)"]);
}

#[test]
fn a_policy_that_cannot_apply_whatever_the_path_is_leaves_none() {
    let never =
        format!("{BY_PATH} unless {{ context.finding.severity.greaterThan(decimal(\"5.0\")) }};");
    let told = forecast(&never, &user_finding("mallory"), REVOKE);
    assert!(
        matches!(told.verdict, Authorization::Permitted(_)),
        "{told:?}"
    );
    assert_eq!(told.depends_on, [""; 0]);
    // Nor does one about another action.
    let other = BY_PATH.replace("action,", "action == Action::\"iam:DeactivateAccessKey\",");
    let told = forecast(&format!("{other};"), &user_finding("mallory"), REVOKE);
    assert_eq!(told.depends_on, [""; 0]);
}

#[test]
fn a_policy_that_applies_whatever_is_observed_leaves_none() {
    let surely = r#"@id("sure") @reason("r") forbid (principal, action, resource)
        when { context.finding.severity.greaterThan(decimal("1.0")) || resource has path };"#;
    let told = forecast(surely, &user_finding("mallory"), REVOKE);
    assert!(
        matches!(told.verdict, Authorization::Withheld(_)),
        "{told:?}"
    );
    assert_eq!(told.depends_on, [""; 0]);
    // One that applies only since nothing was observed does.
    let perhaps = r#"@id("pathless") @reason("r") forbid (principal, action, resource)
        unless { resource has path };"#;
    let told = forecast(perhaps, &user_finding("mallory"), REVOKE);
    assert!(
        matches!(told.verdict, Authorization::Withheld(_)),
        "{told:?}"
    );
    assert_eq!(told.depends_on, ["its path (policy pathless)"]);
}

#[test]
fn a_step_withheld_by_a_tag_depends_on_the_tag_still_being_set() {
    let tagged = finding(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": {
            "instanceId": "i-0abc1234def567890",
            "tags": [{ "key": "isolation", "value": "never" }],
        } },
    }));
    let never = include_str!("../../../../infra/policies/examples/never-isolate-by-tag.cedar");
    let told = forecast(never, &tagged, "ec2:IsolateInterface");
    let Authorization::Withheld(why) = &told.verdict else {
        panic!("{told:?}")
    };
    assert_eq!(why.by, ["never-isolate"]);
    assert!(told.depends_on[0].contains("are still set"), "{told:?}");
    // Without the policy nothing rests on them.
    let told = forecast("", &tagged, "ec2:IsolateInterface");
    assert_eq!(told.depends_on, [""; 0]);
}

#[test]
fn actions_are_asked_about_together_unless_a_policy_tells_them_apart() {
    let class = |more: &str| -> HashMap<&'static str, usize> {
        let forecaster =
            Forecaster::new(LoadedPolicies::new(&format!("{DEFAULT}\n{more}"))).unwrap();
        let actions = forecaster.actions(Category::Ec2, Kind::Instance).iter();
        actions.map(|action| (action.name, action.class)).collect()
    };
    let default = class("");
    assert_eq!(
        default["ec2:IsolateInterface"],
        default["ec2:SnapshotVolumes"]
    );
    // A rail is about it.
    assert_ne!(
        default["ec2:IsolateInterface"],
        default["iam:DenyInstanceCredentials"]
    );
    let never = class(include_str!(
        "../../../../infra/policies/examples/never-isolate-by-tag.cedar"
    ));
    assert_ne!(never["ec2:IsolateInterface"], never["ec2:SnapshotVolumes"]);
    assert_eq!(
        never["ec2:IsolateInterface"],
        never["ec2:PrepareIsolationGroup"]
    );
    let one = class(
        r#"@id("x") forbid (principal, action, resource) when { action == Action::"ec2:KeepVolume" };"#,
    );
    assert_ne!(one["ec2:KeepVolume"], one["ec2:ProtectFromStop"]);
}

#[test]
fn a_policy_of_more_conditions_than_can_be_tried_is_a_doubt() {
    let many: Vec<_> = (0..9)
        .map(|n| format!("resource has path && resource.path like \"/{n}/*\""))
        .collect();
    let many = format!(
        "@id(\"many\") @reason(\"r\") forbid (principal, action, resource is User) when {{ {} }};",
        many.join(" || ")
    );
    let told = forecast(&many, &user_finding("mallory"), REVOKE);
    assert_eq!(told.depends_on, ["its path (policy many)"]);
}

/// What the default policies and `more` say of denying a session of the role of this ARN.
fn of_role(more: &str) -> Forecast {
    let session = finding(json!({
        "type": "Recon:IAMUser/TorIPCaller",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
            "userType": "AssumedRole", "userName": "web" } },
    }));
    forecast(more, &session, "iam:DenyRoleSession")
}

#[test]
fn the_built_in_rails_leave_no_doubt_by_themselves() {
    let told = of_role("");
    assert!(
        matches!(told.verdict, Authorization::Permitted(_)),
        "{told:?}"
    );
    assert_eq!(told.depends_on, [""; 0]);
}

/// Policies that permit the deactivation of keys only where these do.
fn permitted_by(permits: &str, finding: &Finding) -> Forecast {
    let forecaster = Forecaster::new(LoadedPolicies::new(permits)).unwrap();
    assert_eq!(forecaster.guard().problem(), None);
    let (settings, now) = (settings(), now());
    let context = RequestContext::new(finding, &settings, Category::Iam, false, now);
    let resource = Forecaster::resources(Category::Iam, finding)
        .unwrap()
        .remove(0);
    forecaster.forecast(&context, REVOKE, &resource)
}

#[test]
fn a_permit_that_looks_at_a_path_is_a_doubt_unless_another_permits_for_sure() {
    let by_path = r#"@id("ci") permit (principal, action, resource)
        when { resource has path && resource.path like "/ci/*" };"#;
    let not_by_path = by_path
        .replace("when", "unless")
        .replace("\"ci\"", "\"other\"");
    let all = "@id(\"all\") permit (principal, action, resource);";
    let never = "@id(\"never\") forbid (principal, action, resource);";
    let doubt = "its path (policy ci)";
    for (permits, permitted, depends_on) in [
        (by_path.to_owned(), false, &[doubt][..]),
        (not_by_path.clone(), true, &["its path (policy other)"]),
        (format!("{all} {by_path}"), true, &[]),
        (format!("{all} {by_path} {never}"), false, &[]),
        (
            format!("{by_path} {not_by_path}"),
            true,
            &[doubt, "its path (policy other)"],
        ),
    ] {
        let told = permitted_by(&permits, &user_finding("mallory"));
        let permits_it = matches!(told.verdict, Authorization::Permitted(_));
        assert_eq!(permits_it, permitted, "{permits}");
        assert_eq!(told.depends_on, depends_on, "{permits}");
    }
}

#[test]
fn each_attribute_that_only_observing_shows_is_named_in_words() {
    let instance = finding(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance",
            "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
    }));
    let bucket = finding(json!({
        "type": "UnauthorizedAccess:S3/TorIPCaller",
        "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
    }));
    let user = user_finding("mallory");
    for (finding, action, condition, words) in [
        (
            &bucket,
            "s3:BlockBucketPublicAccess",
            "resource has public",
            "whether it is public",
        ),
        (&user, REVOKE, "resource has path", "its path"),
        (
            &user,
            REVOKE,
            "context.target == \"x\"",
            "the exact change of the step",
        ),
        (
            &bucket,
            "s3:BlockBucketPublicAccess",
            "context.target == \"x\"",
            "",
        ),
        (
            &bucket,
            "s3:BlockBucketPublicAccess",
            "resource.hasTag(\"aws:x\")",
            "",
        ),
        (
            &user,
            REVOKE,
            "resource.hasTag(\"aws:x\")",
            "its tags of AWS's own",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource has autoScalingGroup",
            "its Auto Scaling group",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource has cluster",
            "the cluster that it is a node of",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource has operator",
            "the AWS service that operates it",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource has internetFacing",
            "whether it has a public address",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource has role",
            "its role",
        ),
        (
            &instance,
            "ec2:IsolateInterface",
            "resource.unread.contains(\"role\")",
            "its attributes that could not be read",
        ),
        (&user, REVOKE, "resource.hasTag(\"team\")", ""),
    ] {
        let told = forecast(
            &format!("@id(\"it\") forbid (principal, action, resource) when {{ {condition} }};"),
            finding,
            action,
        );
        let expected: Vec<_> = [words]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|it| format!("{it} (policy it)"))
            .collect();
        assert_eq!(told.depends_on, expected, "{condition}");
    }
}
