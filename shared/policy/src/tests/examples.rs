//! The worked examples: each is valid, and does what it says.

use super::*;

fn example(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/policies/examples");
    let text = std::fs::read_to_string(format!("{folder}/{name}.cedar")).expect("an example");
    format!("{DEFAULT}\n{text}")
}

fn severe(severity: f64) -> Finding {
    let mut detail = user_detail("mallory");
    detail["severity"] = json!(severity);
    finding(detail)
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

const DAY: &str = "2026-03-04T12:00:00Z";

#[test]
fn every_example_has_its_test_and_is_valid_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/policies/examples");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("examples") {
        let name = entry
            .expect("a file")
            .file_name()
            .into_string()
            .expect("a name");
        let name = name.strip_suffix(".cedar").expect("a policy").to_owned();
        let policies = Policies::parse(&example(&name)).expect(&name);
        assert_eq!(policies.warnings, [], "{name}");
        names.insert(name);
    }
    let tested = [
        "ci-keys-above-severity-8",
        "exemption-with-an-end",
        "known-callers-need-approval",
        "never-isolate-by-tag",
        "only-high-severity-overnight",
        "production-needs-approval",
    ];
    assert!(names.iter().map(String::as_str).eq(tested), "{names:?}");
}

#[test]
fn production_needs_approval_but_for_its_evidence() {
    let text = example("production-needs-approval");
    let finding = instance_finding(json!({}));
    let tagged = |value| {
        let tags = [("environment", value)];
        Resource::instance(&finding, "i-0abc1234").tags(tags, Some(&tags))
    };
    for (value, action, by) in [
        ("production", "ec2:IsolateInterface", &["production"][..]),
        ("production", "autoscaling:DetachInstance", &["production"]),
        ("production", "ec2:SnapshotVolumes", &[]),
        ("production", "ec2:MarkContained", &[]),
        ("test", "ec2:IsolateInterface", &[]),
    ] {
        let found = withheld_by::<Ec2>(&text, &settings(), &finding, action, &tagged(value));
        assert_eq!(found, by, "{value} {action}");
    }
    for (approved, permitted) in [(false, false), (true, true)] {
        let guard = loaded(&text);
        let step = StepKey {
            action: "ec2:IsolateInterface",
            target: "eni-1".to_owned(),
        };
        let settings = settings();
        let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
        let gate = gate.approving(approved.then(|| step.clone()).into_iter().collect());
        match gate.judge(&step, &tagged("production")) {
            Authorization::Permitted(_) => assert!(permitted),
            Authorization::Withheld(why) => assert!(!permitted && why.awaits_approval, "{why:?}"),
        }
    }
}

#[test]
fn only_high_severity_is_contained_overnight_and_at_weekends() {
    let text = example("only-high-severity-overnight");
    for (time, severity, contained) in [
        (DAY, 5.0, true),
        ("2026-03-04T05:59:59Z", 6.9, false),
        ("2026-03-04T05:59:59Z", 7.0, true),
        ("2026-03-04T06:00:00Z", 5.0, true),
        ("2026-03-04T20:00:00Z", 5.0, false),
        ("2026-03-07T12:00:00Z", 5.0, false),
        ("2026-03-06T12:00:00Z", 5.0, true),
    ] {
        let finding = severe(severity);
        let user = Resource::user(&finding, "mallory", None);
        let action = "iam:RevokeUserSessions";
        let by = judged::<Iam>(&text, &settings(), &finding, action, &user, at(time));
        let expected: &[&str] = if contained { &[] } else { &["overnight"] };
        assert_eq!(by, expected, "{time} {severity}");
    }
}

#[test]
fn an_instance_with_the_exempting_tag_is_not_isolated() {
    let text = example("never-isolate-by-tag");
    let finding = instance_finding(json!({}));
    let tags = [("isolation", "never")];
    let tagged = Resource::instance(&finding, "i-0abc1234").tags(tags, Some(&tags));
    let plain = Resource::instance(&finding, "i-0abc1234");
    for (action, resource, by) in [
        ("ec2:IsolateInterface", &tagged, &["never-isolate"][..]),
        ("iam:DenyInstanceCredentials", &tagged, &["never-isolate"]),
        (
            "elasticloadbalancing:DeregisterTarget",
            &tagged,
            &["never-isolate"],
        ),
        ("ec2:SnapshotVolumes", &tagged, &[]),
        ("ec2:IsolateInterface", &plain, &[]),
    ] {
        let found = withheld_by::<Ec2>(&text, &settings(), &finding, action, resource);
        assert_eq!(found, by, "{action}");
    }
}

#[test]
fn keys_of_ci_users_are_deactivated_only_above_severity_8() {
    let text = example("ci-keys-above-severity-8");
    let (ci, other) = (
        "arn:aws:iam::111122223333:user/ci/mallory",
        "arn:aws:iam::111122223333:user/mallory",
    );
    for (action, arn, severity, by) in [
        ("iam:DeactivateAccessKey", ci, 8.0, &["ci-keys"][..]),
        ("iam:DeactivateAccessKey", ci, 8.1, &[]),
        ("iam:RevokeUserSessions", ci, 8.0, &[]),
        ("iam:DeactivateAccessKey", other, 5.0, &[]),
    ] {
        let finding = severe(severity);
        let user = Resource::user(&finding, "mallory", Some(arn));
        let found = withheld_by::<Iam>(&text, &settings(), &finding, action, &user);
        assert_eq!(found, by, "{action} {arn} {severity}");
    }
}

#[test]
fn an_exemption_by_tag_arn_path_or_account_ends_by_itself() {
    let text = example("exemption-with-an-end");
    let instance = instance_finding(json!({}));
    let user = user_finding("mallory");
    let sandbox = instance_finding(json!({ "accountId": "444455556666" }));
    let tags = [("project", "pentest")];
    let by = |time: &str| {
        [
            judged::<Ec2>(
                &text,
                &settings(),
                &instance,
                "ec2:IsolateInterface",
                &Resource::instance(&instance, "i-0abc1234").tags(tags, Some(&tags)),
                at(time),
            ),
            judged::<Iam>(
                &text,
                &settings(),
                &user,
                "iam:DenyRoleSession",
                &Resource::role(
                    &user,
                    "pentest-1",
                    Some("arn:aws:iam::111122223333:role/pentest-1"),
                ),
                at(time),
            ),
            judged::<Iam>(
                &text,
                &settings(),
                &user,
                "iam:DeactivateAccessKey",
                &Resource::user(
                    &user,
                    "mallory",
                    Some("arn:aws:iam::111122223333:user/migration/mallory"),
                ),
                at(time),
            ),
            judged::<Ec2>(
                &text,
                &settings(),
                &sandbox,
                "ec2:IsolateInterface",
                &Resource::instance(&sandbox, "i-0abc1234"),
                at(time),
            ),
        ]
    };
    assert_eq!(
        by("2026-03-31T23:59:59.999Z"),
        [
            ["pentest-instances"],
            ["pentest-roles"],
            ["migration-users"],
            ["sandbox-account"],
        ]
    );
    assert!(by("2026-04-01T00:00:00Z").iter().all(Vec::is_empty));
}

#[test]
fn who_made_the_call_from_there_before_waits_for_a_person_below_severity_7() {
    let guard = LoadedPolicies::new(&example("known-callers-need-approval"));
    let settings = settings();
    for (past, severity, waits) in [
        (PriorActivity::UNKNOWN, 5.0, false),
        (PriorActivity::known(true, true, false), 5.0, false),
        (PriorActivity::known(true, true, true), 6.9, true),
        (PriorActivity::known(true, true, true), 7.0, false),
    ] {
        let finding = severe(severity);
        let user = Resource::user(&finding, "mallory", None);
        let step = StepKey {
            action: "iam:DeactivateAccessKey",
            target: "AKIAEXAMPLE".to_owned(),
        };
        let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
        gate.learn(HistoryAnswer::PriorActivity(past, None));
        match gate.judge(&step, &user) {
            Authorization::Permitted(_) => assert!(!waits, "{past:?} {severity}"),
            Authorization::Withheld(why) => {
                assert_eq!(why.by, ["known-caller"]);
                assert!(waits && why.awaits_approval, "{past:?} {severity}");
            }
        }
    }
}
