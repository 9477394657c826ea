//! Attributes and tags that could not be read: each may be anything.

use super::*;
use crate::fixtures::act;
use model::plan::Step;
use model::settings::Settings;

fn of_a_bucket(policies: &str, resource: &Resource, approved: bool) -> Authorization {
    let guard = loaded(&format!("{ALL} {policies}"));
    assert_eq!(guard.problem(), None);
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    let step = StepKey {
        action: "s3:BlockBucketPublicAccess",
        target: resource.arn().to_owned(),
    };
    let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, now());
    let gate = gate.approving(approved.then(|| step.clone()).into_iter().collect());
    gate.judge(&step, resource)
}

fn bucket() -> Resource {
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    Resource::bucket(&finding, "us-east-1", "exposed")
}

#[test]
fn a_step_whose_answer_depends_on_an_unread_attribute_waits_for_the_approver() {
    for policy in [
        // It spares the bucket if the attribute is so, if it is not, or unless it is.
        r#"@id("by-it") forbid (principal, action, resource)
            when { resource has public && resource.public };"#,
        r#"@id("by-it") forbid (principal, action, resource)
            when { resource has public && !resource.public };"#,
        r#"@id("by-it") forbid (principal, action, resource)
            unless { resource has public && resource.public };"#,
    ] {
        let said = of_a_bucket(policy, &bucket().unread("public"), false);
        let Authorization::Withheld(why) = said else {
            panic!("{policy}: {said:?}")
        };
        assert!(why.awaits_approval, "{why}");
        assert_eq!(why.by, ["by-it"]);
        assert!(why.reason.contains("whether it is public"), "{why}");
        let approved = of_a_bucket(policy, &bucket().unread("public"), true);
        assert!(
            matches!(approved, Authorization::Permitted(_)),
            "{approved:?}"
        );
        // What was read decides by itself.
        let read = [true, false].map(|public| {
            let said = of_a_bucket(policy, &bucket().flag("public", public), false);
            matches!(said, Authorization::Permitted(_))
        });
        assert_ne!(read[0], read[1], "{policy}");
    }
}

#[test]
fn an_unread_attribute_changes_nothing_if_the_answer_is_the_same() {
    let unread = bucket().unread("public");
    for (policy, withheld_by) in [
        ("", &[][..]),
        (
            r#"forbid (principal, action, resource is User) when { resource has path };"#,
            &[],
        ),
        (
            r#"@id("by-it") forbid (principal, action, resource)
                when { resource has public && resource.public && resource.name == "other" };"#,
            &[],
        ),
        (
            r#"@id("never") forbid (principal, action, resource);
            @id("by-it") forbid (principal, action, resource)
                when { resource has public && resource.public };"#,
            &["never"],
        ),
    ] {
        let by = match of_a_bucket(policy, &unread, false) {
            Authorization::Permitted(_) => Vec::new(),
            Authorization::Withheld(why) => {
                assert!(!why.awaits_approval, "{why}");
                why.by
            }
        };
        assert_eq!(by, withheld_by, "{policy}");
    }
}

#[test]
fn a_permit_that_depends_on_an_unread_attribute_waits_for_the_approver() {
    let guard = LoadedPolicies::new(
        r#"@id("public-only") permit (principal, action, resource is Bucket)
            when { resource has public && resource.public };"#,
    );
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    let step = StepKey {
        action: "s3:BlockBucketPublicAccess",
        target: "exposed".to_owned(),
    };
    let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, now());
    let said = gate.judge(&step, &bucket().unread("public"));
    let Authorization::Withheld(why) = said else {
        panic!("{said:?}")
    };
    assert!(why.awaits_approval, "{why}");
    assert_eq!(why.by, ["public-only"]);
}

#[test]
fn steps_that_a_rail_may_forbid_by_unread_values_cannot_be_approved() {
    let guard = LoadedPolicies::new(ALL);
    let finding = instance_finding(json!({}));
    let step = StepKey {
        action: "iam:DenyInstanceCredentials",
        target: "i-0abc1234".to_owned(),
    };
    for approved in [false, true] {
        let gate = Gate::new::<Ec2>(&guard, &finding, &ENFORCING, false, now());
        let gate = gate.approving(approved.then(|| step.clone()).into_iter().collect());
        let resource = Resource::instance(&finding, "i-0abc1234").unread("role");
        let said = gate.judge(&step, &resource);
        let Authorization::Withheld(why) = said else {
            panic!("{said:?}")
        };
        assert!(!why.awaits_approval, "{why}");
        assert_eq!(why.by, ["rail:role-of-instance"]);
    }
}

/// What becomes of a step about a bucket whose tags could not be read, although the finding shows one.
fn untold(policy: &str, approved: bool) -> Option<Withheld> {
    let finding = finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{
            "name": "exposed", "tags": [{ "key": "environment", "value": "production" }],
        }] },
    }));
    let guard = loaded(policy);
    assert_eq!(guard.problem(), None);
    let shown = finding.bucket_tags("exposed");
    let bucket = Resource::bucket(&finding, "us-east-1", "exposed");
    let act = act(bucket.unread_tags(shown.as_deref()));
    let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, now());
    let approved = approved.then(|| StepKey::of(&act));
    let gate = gate.approving(approved.into_iter().collect());
    let plan = gate.plan::<S3>(&vec![act], &Settings::default());
    let questions = gate.open_questions(&plan);
    assert!(
        questions.is_empty(),
        "CloudTrail cannot help: {questions:?}"
    );
    match &plan.steps[0] {
        Step::Withheld(_, why) => Some(why.clone()),
        _ => None,
    }
}

#[test]
fn tags_that_could_not_be_read_may_stand_as_the_finding_shows_them() {
    let tagged =
        r#"resource.hasTag("environment") && resource.getTag("environment") == "production""#;
    for (policy, decides) in [
        (
            format!("{ALL} @id(\"it\") forbid (principal, action, resource) when {{ {tagged} }};"),
            true,
        ),
        (
            format!(
                "{ALL} @id(\"it\") forbid (principal, action, resource) unless {{ {tagged} }};"
            ),
            true,
        ),
        (
            format!("@id(\"it\") permit (principal, action, resource) when {{ {tagged} }};"),
            true,
        ),
        // The finding does not show it so.
        (
            format!(
                "{ALL} forbid (principal, action, resource) when {{ {} }};",
                tagged.replace("production", "test")
            ),
            false,
        ),
        (ALL.to_owned(), false),
    ] {
        let why = untold(&policy, false);
        assert_eq!(why.is_some(), decides, "{policy}: {why:?}");
        if let Some(why) = why {
            assert!(why.awaits_approval, "{why}");
            assert!(why.reason.contains("could not be read"), "{why}");
            assert_eq!(untold(&policy, true), None, "{policy}");
        }
    }
}
