//! What is asked of the policies, how they are read, and what they answer without a target.

use super::*;
use model::error::{CallError, CallFailure, Error};

/// True if the policies forbid by `condition` what is done about `finding` to a role.
fn holds(condition: &str, finding: &Finding, settings: &ResponseSettings) -> bool {
    let text =
        format!("{ALL} @id(\"it\") forbid (principal, action, resource) when {{ {condition} }};");
    let role = Resource::role(finding, "web", None);
    let by = withheld_by::<Iam>(&text, settings, finding, "iam:DenyRoleSession", &role);
    assert!(by.is_empty() || by == ["it"], "{by:?}");
    !by.is_empty()
}

#[test]
fn policies_see_who_acted_by_the_words_of_cloudtrail() {
    let by = |details: Value| {
        finding(json!({ "type": "Recon:IAMUser/TorIPCaller", "resource": {
            "resourceType": "AccessKey", "accessKeyDetails": details } }))
    };
    let root = json!({ "userType": "Root", "principalId": "111122223333" });
    for (details, actor) in [
        (
            json!({ "userType": "IAMUser", "userName": "mallory" }),
            "IAMUser",
        ),
        (
            json!({ "userType": "AssumedRole", "userName": "web" }),
            "AssumedRole",
        ),
        (
            json!({ "userType": "FederatedUser", "userName": "bob" }),
            "FederatedUser",
        ),
        (root, "Root"),
        (json!({ "principalId": "ANONYMOUS_PRINCIPAL" }), "Anonymous"),
        (
            json!({ "userType": "AWSAccount", "userName": "x" }),
            "AWSAccount",
        ),
        (
            json!({ "userType": "SAMLUser", "userName": "x" }),
            "SAMLUser",
        ),
    ] {
        let condition =
            format!("context.finding has actor && context.finding.actor == \"{actor}\"");
        assert!(holds(&condition, &by(details), &settings()), "{actor}");
    }
    assert!(!holds(
        "context.finding has actor",
        &by(json!({})),
        &settings()
    ));
}

#[test]
fn policies_see_the_settings_and_the_time() {
    let finding = user_finding("mallory");
    for (mode, word) in [
        (ResponseMode::Contain, "contain"),
        (ResponseMode::Approve, "approve"),
        (ResponseMode::Notify, "notify"),
        (ResponseMode::Off, "off"),
    ] {
        let settings = ResponseSettings { mode, ..settings() };
        assert!(holds(
            &format!("context.mode == \"{word}\""),
            &finding,
            &settings
        ));
    }
    // It is Wednesday, the 4th of March 2026, 05:06:07.5.
    for condition in [
        "context.hour == 5 && context.weekday == 3",
        r#"context.now == datetime("2026-03-04T05:06:07.500Z")"#,
        "context has minimumSeverity && !(context has approvalNotNeededFrom)",
        "!context.dryRun && !context.approved",
        r#"context.finding has firstSeen &&
            context.finding.firstSeen == datetime("2026-03-04T04:50:00Z")"#,
        r#"context.finding has lastSeen &&
            context.finding.lastSeen == datetime("2026-03-04T05:00:00Z")"#,
        r#"context.target == "web""#,
        "!context.finding.victim",
    ] {
        assert!(holds(condition, &finding, &settings()), "{condition}");
    }
}

#[test]
fn credentials_that_were_taken_from_an_instance_make_it_no_victim() {
    let stolen = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS";
    for (kind, role, victim) in [
        (stolen, "TARGET", false),
        ("UnauthorizedAccess:EC2/SSHBruteForce", "TARGET", true),
        ("UnauthorizedAccess:EC2/SSHBruteForce", "ACTOR", false),
    ] {
        let finding = instance_finding(json!({
            "type": kind, "service": { "resourceRole": role,
                "action": { "actionType": "NETWORK_CONNECTION" } },
        }));
        let found = holds("context.finding.victim", &finding, &settings());
        assert_eq!(found, victim, "{kind} {role}");
    }
}

#[test]
fn a_policy_without_a_name_is_called_by_its_place() {
    let policies = Policies::parse(
        "@id(\"\") permit (principal, action, resource);
         forbid (principal, action, resource is User);",
    )
    .expect("valid");
    let ids: Vec<_> = policies.effects().into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&"policy0".to_owned()), "{ids:?}");
    assert!(ids.contains(&"policy1".to_owned()), "{ids:?}");
}

/// Why the policies withhold the deactivation of a key of mallory's.
fn reason(policies: &str) -> Withheld {
    let (finding, settings, guard) = (user_finding("mallory"), settings(), loaded(policies));
    assert_eq!(guard.problem(), None);
    let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
    let step = StepKey {
        action: "iam:DeactivateAccessKey",
        target: "AKIA".to_owned(),
    };
    match gate.judge(&step, &Resource::user(&finding, "mallory", None)) {
        Authorization::Withheld(why) => why,
        permitted => panic!("{permitted:?}"),
    }
}

#[test]
fn the_reason_is_in_the_words_of_the_policies_that_forbid() {
    let forbid = "forbid (principal, action, resource);";
    let one = reason(&format!(
        "{ALL} @id(\"a\") @reason(\"it is spared\") {forbid}"
    ));
    assert_eq!(
        (one.reason.as_str(), &one.by[..]),
        ("it is spared", &["a".to_owned()][..])
    );
    let two = reason(&format!(
        "{ALL} @id(\"b\") @reason(\"second\") {forbid} @id(\"a\") @reason(\"first\") {forbid}"
    ));
    assert_eq!(two.reason, "first; second");
    assert_eq!(two.by, ["a", "b"]);
    let none = reason(&format!("{ALL} @id(\"a\") {forbid}"));
    assert_eq!(none.reason, "policy forbids it");
    let unpermitted = reason("permit (principal, action, resource is Bucket);");
    assert_eq!(unpermitted.reason, "no policy permits it");
}

#[test]
fn a_policy_that_cannot_be_evaluated_withholds_although_none_forbids_or_permits() {
    let sum = "when { context.hour + 9223372036854775807 == 0 };";
    let permit = reason(&format!(
        "@id(\"sum\") permit (principal, action, resource) {sum}"
    ));
    assert_eq!(permit.by, ["sum"]);
    assert!(permit.reason.contains("could not be evaluated"), "{permit}");
    // What forbids outweighs it.
    let forbid = reason(&format!(
        "@id(\"sum\") permit (principal, action, resource) {sum}
         @id(\"no\") forbid (principal, action, resource);"
    ));
    assert_eq!(forbid.by, ["no"]);
}

#[test]
fn a_policy_problem_is_reported_once_with_its_place_and_remedy() {
    let problems = |text: &str| Policies::parse(text).expect_err(text);
    let misspelt =
        "permit (principal, action, resource)\nwhen { \"ä\" == \"ä\" && resource.nmae == \"x\" };";
    let told = problems(misspelt);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].at, Some((2, 22)));
    let text = told[0].to_string();
    assert!(text.starts_with("2:22: "), "{text}");
    assert!(
        text.contains("did you mean") && text.ends_with(')'),
        "{text}"
    );
    assert!(!text.contains("()"), "{text}");
    let two = problems(
        "permit (principal, action, resource) when { resource.nmae == \"x\" };
         permit (principal, action, resource) when { resource.anr == \"x\" };",
    );
    assert_eq!(two.len(), 2, "{two:?}");
    let plain = problems("");
    assert!(
        plain[0].to_string().starts_with("there is no policy"),
        "{plain:?}"
    );
}

#[test]
fn where_there_are_no_policies_all_is_withheld_for_that_reason() {
    let (finding, settings) = (user_finding("mallory"), settings());
    let of = |kind| {
        Error::from(CallError {
            operation: "ssm:GetParameter",
            target: "policy".to_owned(),
            code: "it".to_owned(),
            message: "failed".to_owned(),
            kind,
        })
    };
    for (guard, transient) in [
        (
            LoadedPolicies::unusable("ssm:GetParameter was not asked".to_owned()),
            false,
        ),
        (LoadedPolicies::unread(of(CallFailure::Transient)), true),
        (LoadedPolicies::unread(of(CallFailure::Denied)), false),
    ] {
        assert_eq!(guard.transient().is_some(), transient);
        let problem = guard.problem().expect("a problem");
        assert!(problem.contains("ssm:GetParameter"), "{problem}");
        let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
        assert_eq!(gate.forbids_outright(), None);
        let step = StepKey {
            action: "iam:DeactivateAccessKey",
            target: "AKIA".to_owned(),
        };
        let said = gate.judge(&step, &Resource::user(&finding, "mallory", None));
        let Authorization::Withheld(why) = said else {
            panic!("{said:?}")
        };
        assert_eq!(why.by, [NO_POLICY]);
        assert!(
            why.reason.contains(problem) && !why.awaits_approval,
            "{why}"
        );
    }
}

#[test]
fn a_step_forbidden_outright_names_its_policies_and_reasons() {
    let guard = loaded(&format!(
        "{ALL} @id(\"a\") @reason(\"it is night\") forbid (principal, action, resource);"
    ));
    let (finding, settings) = (user_finding("mallory"), settings());
    let why = guard.forbids(Category::Iam, &finding, &settings, now());
    let why = why.expect("it is forbidden");
    assert_eq!(
        (why.by, why.reason),
        (vec!["a".to_owned()], "it is night".to_owned())
    );
    assert_eq!(
        guard.forbids(Category::Triage, &finding, &settings, now()),
        None
    );
    // A rail forbids what enforces a sample: in the dry run that it is, nothing is forbidden.
    let sample = instance_finding(json!({ "service": { "additionalInfo": { "sample": true } } }));
    assert_eq!(
        loaded(ALL).forbids(Category::Ec2, &sample, &settings, now()),
        None
    );
}

#[test]
fn a_step_that_history_may_permit_is_not_forbidden_outright() {
    let (finding, settings) = (user_finding("mallory"), settings());
    let outright = |condition: &str| {
        let guard = loaded(&format!(
            "{ALL} forbid (principal, action, resource) {condition};"
        ));
        guard
            .forbids(Category::Iam, &finding, &settings, now())
            .is_some()
    };
    let known = "{ context.history has called && context.history.called }";
    assert!(!outright(&format!("when {known}")));
    assert!(!outright(&format!("unless {known}")));
    assert!(outright(""));
}

#[test]
fn each_target_is_explained_by_its_members_in_the_finding() {
    let settings = settings();
    let explained = |finding: &Finding| {
        let guard = loaded(ALL);
        let of = explain(&guard, finding, &settings, now()).expect("explained");
        of.into_iter()
            .map(|of| {
                let resources = of.steps.into_iter().map(|step| step.resource);
                (of.category, resources.collect::<BTreeSet<_>>())
            })
            .collect::<Vec<_>>()
    };
    let set = |of: &[(Kind, &str)]| -> BTreeSet<(Kind, String)> {
        of.iter()
            .map(|(kind, arn)| (*kind, (*arn).to_owned()))
            .collect()
    };
    let buckets = finding(
        json!({ "type": "UnauthorizedAccess:S3/TorIPCaller", "resource": {
        "resourceType": "S3Bucket",
        "s3BucketDetails": [{ "name": "first" }, { "name": "second" }],
        "accessKeyDetails": { "userType": "AssumedRole", "userName": "web" } } }),
    );
    assert_eq!(
        explained(&buckets),
        [
            (
                Category::S3,
                set(&[
                    (Kind::Bucket, "arn:aws:s3:::first"),
                    (Kind::Bucket, "arn:aws:s3:::second"),
                ])
            ),
            (
                Category::Iam,
                set(&[(Kind::Role, "arn:aws:iam::111122223333:role/web")])
            ),
        ]
    );
    let account = finding(json!({ "type": "Policy:S3/AccountBlockPublicAccessDisabled" }));
    let root = "arn:aws:iam::111122223333:root";
    assert_eq!(
        explained(&account),
        [(Category::S3, set(&[(Kind::Account, root)]))]
    );
    // The owner of a key is not known before IAM is asked.
    let owner = finding(json!({ "type": "Recon:IAMUser/TorIPCaller", "resource": {
        "resourceType": "AccessKey", "accessKeyDetails": {
            "userType": "IAMUser", "accessKeyId": "AKIAIOSFODNN7EXAMPLE" } } }));
    assert_eq!(explained(&owner), [(Category::Iam, set(&[]))]);
    let triage = finding(json!({ "type": "Discovery:RDS/TorIPCaller" }));
    assert_eq!(explained(&triage), [(Category::Triage, set(&[]))]);
}

#[test]
fn activity_new_to_the_anomaly_model_is_known_and_seen_activity_is_not() {
    let of = |api: &str, asn: &str| {
        let finding = finding(json!({ "service": {
            "action": { "awsApiCallAction": { "api": api,
                "remoteIpDetails": { "organization": { "asn": asn } } } },
            "additionalInfo": {
                "profiledBehavior": {
                    "frequentProfiledAPIsUserIdentityProfiling": "PutObject",
                    "frequentProfiledASNsUserIdentityProfiling": "asnNumber: 64500 asnOrg: Home",
                },
                "unusualBehavior": {
                    "unusualAPIsUserIdentityProfiling": "GetObject",
                    "unusualASNsUserIdentityProfiling": "asnNumber: 64496 asnOrg: Elsewhere",
                },
            },
        } }));
        PriorActivity::of_model(&finding)
            .members()
            .collect::<Vec<_>>()
    };
    assert_eq!(of("PutObject", "64500"), []);
    assert_eq!(
        of("GetObject", "64500"),
        [("called", false), ("calledFromThere", false)]
    );
    assert_eq!(
        of("PutObject", "64496"),
        [("seenThere", false), ("calledFromThere", false)]
    );
}

#[test]
fn known_prior_activity_is_kept_and_the_rest_filled_in() {
    let known = |called, seen_there, called_from_there| PriorActivity {
        called,
        seen_there,
        called_from_there,
    };
    let yes = PriorActivity::known(true, true, true);
    let no = PriorActivity::known(false, false, false);
    assert_eq!(yes.or(no), yes);
    // A model knows the calls and the networks, and not which call came from which.
    let filled = PriorActivity::UNKNOWN.or(yes);
    assert_eq!(filled, known(Some(true), Some(true), None));
    // Who never called has not called from there.
    for of in [
        known(Some(false), None, None),
        known(None, Some(false), None),
    ] {
        assert_eq!(
            of.or(PriorActivity::UNKNOWN).called_from_there,
            Some(false),
            "{of:?}"
        );
    }
    let both = known(Some(true), Some(true), None);
    assert_eq!(both.or(PriorActivity::UNKNOWN).called_from_there, None);
    let members: Vec<_> = PriorActivity::known(true, false, false).members().collect();
    assert_eq!(
        members,
        [
            ("called", true),
            ("seenThere", false),
            ("calledFromThere", false)
        ]
    );
    assert_eq!(PriorActivity::UNKNOWN.members().count(), 0);
}

#[test]
fn ignored_tags_and_tags_of_unknown_age_are_reported() {
    assert_eq!(TagAge::Older.remark("i-1"), None);
    let since = TagAge::SetSince("mallory, by CreateTags".to_owned());
    let told = since.remark("i-1").expect("told");
    assert_eq!(
        told,
        "the tags of i-1 did not count: mallory, by CreateTags"
    );
    let unknown = TagAge::Unknown("no answer".to_owned())
        .remark("i-1")
        .expect("told");
    assert!(
        unknown.contains("the tags of i-1 are older") && unknown.ends_with("no answer"),
        "{unknown}"
    );
}
