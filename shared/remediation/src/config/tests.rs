use serde_json::{Value, json};

use super::*;
use crate::settings::{Entity, protects};

/// In account 111122223333, if nothing else is said.
fn with(settings: &[(&str, &str)]) -> Config {
    let own = [("OWN_ACCOUNT_ID", "111122223333")];
    let settings = own.iter().chain(settings);
    let variables = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_variables(&variables.collect())
}

/// A variable, its value, the setting that it changes, the setting's default, and its value then.
fn switches() -> Vec<(&'static str, &'static str, &'static str, Value, Value)> {
    let on = |variable, setting| (variable, "true", setting, json!(false), json!(true));
    vec![
        on("S3_ACCOUNT_BLOCK", "/s3/account_block"),
        on("S3_POLICY_DENY", "/s3/policy_deny"),
        on("IAM_USER_SESSION_KEYS", "/iam/user_session_keys"),
        on("IAM_CREATED_KEYS", "/iam/created_keys"),
        on("IAM_ROLE_WIDE", "/iam/role_wide"),
        on("IAM_MARK_CONTAINED", "/iam/mark_contained"),
        on("EC2_SHORTEN_TIMEOUTS", "/ec2/shorten_timeouts"),
        on("EC2_REMOVE_PUBLIC_ADDRESS", "/ec2/remove_public_address"),
        on("EC2_DISABLE_METADATA", "/ec2/disable_metadata"),
        on("EC2_CONTAINER_NODES", "/ec2/isolate_container_nodes"),
        (
            "EC2_AUTO_SCALING",
            "standby",
            "/ec2/auto_scaling",
            json!("detach"),
            json!("standby"),
        ),
        (
            "EC2_AUTO_SCALING",
            "keep",
            "/ec2/auto_scaling",
            json!("detach"),
            json!("keep"),
        ),
        (
            "EC2_CUT_CONNECTIONS_SECONDS",
            "90",
            "/ec2/cut_connections_seconds",
            json!(0),
            json!(90),
        ),
    ]
}

#[test]
fn each_switch_of_a_playbook_is_read_from_its_own_variable_and_is_careful_by_default() {
    let told = |settings: &[(&str, &str)]| {
        let config = with(settings);
        (json!(config.settings), config.problems.join("; "))
    };
    let (careful, _) = told(&[]);
    let mut untried = careful.clone();
    for (variable, word, setting, before, after) in switches() {
        assert_eq!(careful.pointer(setting), Some(&before), "{setting}");
        let mut expected = careful.clone();
        *expected.pointer_mut(setting).expect("a setting") = after;
        let (settings, problems) = told(&[(variable, word)]);
        assert_eq!(settings, expected, "{variable}");
        assert!(!problems.contains(variable), "{problems}");
        for unclear in ["True", "yes", "1", " true", "91", "-1"] {
            let number = unclear == "1" && variable == "EC2_CUT_CONNECTIONS_SECONDS";
            if number {
                continue;
            }
            let (settings, problems) = told(&[(variable, unclear)]);
            assert_eq!(settings, careful, "{variable}={unclear}");
            let named = format!("{variable} is '{unclear}'");
            assert!(problems.contains(&named), "{problems}");
        }
        assert_eq!(told(&[(variable, "")]).0, careful, "{variable}");
        *untried.pointer_mut(setting).expect("a setting") = Value::Null;
    }
    for (word, on) in [
        ("true", true),
        ("false", false),
        ("yes", false),
        ("", false),
    ] {
        let config = with(&[("S3_QUARANTINE_OBJECTS", word)]);
        assert_eq!(config.policy.quarantine_objects, on, "'{word}'");
    }
    let rule = "from 192.0.2.7/32 tcp/22";
    let access = with(&[("EC2_FORENSICS_ACCESS", rule)]);
    assert_eq!(access.settings.ec2.forensics_access.len(), 1);
    // Every setting but the lists was tried.
    let lists = json!({
        "s3": { "account_block": null, "policy_deny": null },
        "iam": {
            "user_session_keys": null, "created_keys": null, "role_wide": null,
            "mark_contained": null, "never_contain": [],
        },
        "ec2": {
            "auto_scaling": null, "cut_connections_seconds": null, "shorten_timeouts": null,
            "remove_public_address": null, "disable_metadata": null,
            "isolate_container_nodes": null, "forensics_access": [], "never_contain": [],
        },
    });
    assert_eq!(untried, lists);
}

#[test]
fn each_name_of_the_stack_is_read_from_its_own_variable() {
    type Read = fn(&Config) -> Option<&String>;
    let names: [(&str, Read); 6] = [
        ("NOTIFICATION_TOPIC_ARN", |it| it.topic_arn.as_ref()),
        ("INCIDENT_TABLE", |it| it.incident_table.as_ref()),
        ("POLICY_PARAMETER", |it| it.policy_parameter.as_ref()),
        ("METRICS_NAMESPACE", |it| it.metrics_namespace.as_ref()),
        ("RECHECK_QUEUE_URL", |it| it.recheck_queue_url.as_ref()),
        ("OWN_ACCOUNT_ID", |it| it.policy.own_account.as_ref()),
    ];
    for (variable, _) in names {
        let config = with(&[(variable, "a-name")]);
        for (other, read) in names {
            let expected = if other == variable {
                Some("a-name")
            } else {
                (other == "OWN_ACCOUNT_ID").then_some("111122223333")
            };
            assert_eq!(
                read(&config).map(String::as_str),
                expected,
                "{variable}: {other}"
            );
        }
        let (_, read) = names
            .into_iter()
            .find(|(name, _)| *name == variable)
            .unwrap();
        assert_eq!(read(&with(&[(variable, "")])), None, "{variable}");
    }
}

#[test]
fn only_the_exact_word_false_enforces() {
    assert!(!with(&[("DRY_RUN", "false")]).policy.dry_run);
    for word in ["true", "False", "FALSE", "0", "no", "", " false", "false "] {
        assert!(with(&[("DRY_RUN", word)]).policy.dry_run, "{word:?}");
    }
    assert!(with(&[]).policy.dry_run);
}

#[test]
fn an_unknown_word_is_reported() {
    let topic = (
        "NOTIFICATION_TOPIC_ARN",
        "arn:aws:sns:us-east-1:111122223333:t",
    );
    assert!(with(&[topic, ("DRY_RUN", "true")]).problems.is_empty());
    assert!(with(&[topic, ("DRY_RUN", "False")]).problems[0].contains("DRY_RUN is 'False'"));
    assert!(with(&[topic, ("RESPONSE_MODE", "yes")]).problems[0].contains("RESPONSE_MODE"));
    assert!(with(&[topic, ("MINIMUM_SEVERITY", "9,5")]).problems[0].contains("MINIMUM_SEVERITY"));
}

#[test]
fn pages_are_kept_only_in_a_bucket_whose_owner_is_known() {
    let bucket = ("EVIDENCE_BUCKET", "gdr-evidence");
    let kept = with(&[bucket, ("OWN_ACCOUNT_ID", "111122223333"), ("MODE", "hub")]);
    let expected = Bucket {
        name: "gdr-evidence".to_owned(),
        owner: "111122223333".to_owned(),
    };
    assert_eq!(kept.evidence, Some(expected));
    assert_eq!(with(&[("EVIDENCE_BUCKET", "")]).evidence, None);
    let unowned = with(&[bucket, ("OWN_ACCOUNT_ID", "")]);
    assert_eq!(unowned.evidence, None);
    assert!(unowned.problems.join("; ").contains("EVIDENCE_BUCKET"));
}

#[test]
fn only_the_word_hub_reaches_into_other_accounts() {
    let own = ("OWN_ACCOUNT_ID", "111122223333");
    for word in ["local", "", "Hub", "yes"] {
        let config = with(&[own, ("MODE", word), ("EXTERNAL_ID", "secret")]);
        assert!(config.hub.is_none(), "{word}");
        assert_eq!(config.policy.own_account.as_deref(), Some("111122223333"));
        assert!(!config.verify_findings);
    }
    let config = with(&[own, ("MODE", "hub"), ("EXTERNAL_ID", "secret")]);
    let hub = config.hub.expect("a hub");
    assert_eq!(hub.account.as_deref(), Some("111122223333"));
    assert_eq!(hub.external_id.as_deref(), Some("secret"));
    assert_eq!(config.policy.own_account, None);
    let without = with(&[own, ("MODE", "hub")]);
    assert!(
        without
            .problems
            .iter()
            .any(|problem| problem.contains("EXTERNAL_ID"))
    );
}

#[test]
fn a_stack_of_one_account_that_does_not_know_which_only_notifies() {
    let unknown = ("OWN_ACCOUNT_ID", "");
    for (settings, mode, told) in [
        (&[unknown][..], ResponseMode::Notify, true),
        (
            &[unknown, ("RESPONSE_MODE", "approve")],
            ResponseMode::Notify,
            true,
        ),
        (
            &[unknown, ("RESPONSE_MODE", "off")],
            ResponseMode::Off,
            false,
        ),
        (
            &[unknown, ("MODE", "hub"), ("EXTERNAL_ID", "secret")],
            ResponseMode::Contain,
            false,
        ),
        (&[], ResponseMode::Contain, false),
    ] {
        let config = with(settings);
        assert_eq!(config.policy.mode, mode, "{settings:?}");
        let problems = config.problems.join("; ");
        assert_eq!(problems.contains("OWN_ACCOUNT_ID"), told, "{problems}");
    }
}

#[test]
fn an_entry_of_a_list_without_a_user_or_role_is_reported() {
    let config = with(&[
        ("NEVER_CONTAIN", "break-glass, deploy-*,ci/"),
        ("RESPONDER_ROLES", "gdr-Iam, arn:aws:iam::1:role/x"),
    ]);
    let told = config.problems.join("; ");
    for entry in [
        "NEVER_CONTAIN: 'deploy-*'",
        "NEVER_CONTAIN: 'ci/'",
        "RESPONDER_ROLES: 'arn:aws:iam::1:role/x'",
    ] {
        assert!(told.contains(entry), "{told}");
    }
    assert!(
        !told.contains("break-glass") && !told.contains("gdr-Iam"),
        "{told}"
    );
}

#[test]
fn findings_are_verified_in_a_hub_unless_the_setting_says_otherwise() {
    for (mode, word, verified) in [
        ("local", "auto", false),
        ("local", "true", true),
        ("local", "no", true),
        ("hub", "auto", true),
        ("hub", "", true),
        ("hub", "false", false),
    ] {
        let config = with(&[("MODE", mode), ("VERIFY_FINDINGS", word)]);
        assert_eq!(config.verify_findings, verified, "{mode} {word}");
    }
}

#[test]
fn the_responder_s_roles_are_spared_in_their_own_accounts_only() {
    let config = with(&[
        ("OWN_ACCOUNT_ID", "111122223333"),
        ("MODE", "hub"),
        ("RESPONDER_ROLES", "gdr-IamResponderRole-ABC"),
    ]);
    let spared = |account: &str, name: &str| {
        let spares = |list: &[String]| protects(list, Entity::Role, account, name);
        let by_policy = spares(&config.policy.responder_roles);
        let by_playbook = spares(&config.settings.iam.never_contain);
        assert_eq!(by_policy, by_playbook);
        by_policy
    };
    assert!(spared("111122223333", "gdr-IamResponderRole-ABC"));
    assert!(!spared("444455556666", "gdr-IamResponderRole-ABC"));
    assert!(spared("444455556666", "gdr-member-iam"));
}

#[test]
fn a_setting_that_cannot_be_understood_becomes_the_careful_choice() {
    assert_eq!(
        with(&[("RESPONSE_MODE", "yes")]).policy.mode,
        ResponseMode::Notify
    );
    assert_eq!(
        with(&[("RESPONSE_MODE", "off")]).policy.mode,
        ResponseMode::Off
    );
    assert_eq!(
        with(&[("RESPONSE_MODE", "approve")]).policy.mode,
        ResponseMode::Approve
    );
    assert_eq!(with(&[]).policy.mode, ResponseMode::Contain);
    assert_eq!(with(&[]).policy.minimum_severity, Some(4.0));
    assert_eq!(
        with(&[("MINIMUM_SEVERITY", "7.5")]).policy.minimum_severity,
        Some(7.5)
    );
    for text in ["high", "11", "-1", "NaN", ""] {
        assert_eq!(
            with(&[("MINIMUM_SEVERITY", text)]).policy.minimum_severity,
            None,
            "{text}"
        );
    }
}

#[test]
fn by_default_only_the_text_notice_is_sent() {
    assert_eq!(with(&[]).notices, notify::Settings::default());
    let none = with(&[
        ("CHAT_TOPIC_ARN", ""),
        ("RESPONSE_EVENTS", "yes"),
        ("SECURITY_HUB_QUEUE_URL", ""),
    ]);
    assert_eq!(none.notices, notify::Settings::default());
    assert!(
        none.problems
            .join("; ")
            .contains("RESPONSE_EVENTS is 'yes'")
    );
    let all = with(&[
        ("CHAT_TOPIC_ARN", "topic"),
        ("RESPONSE_EVENTS", "true"),
        ("SECURITY_HUB_QUEUE_URL", "queue"),
    ]);
    let told = notify::Settings {
        chat_topic_arn: Some("topic".to_owned()),
        events: true,
        security_hub_queue_url: Some("queue".to_owned()),
    };
    assert_eq!(all.notices, told);
}

#[test]
fn a_limit_that_cannot_be_read_is_the_default() {
    let config = with(&[
        ("MAX_CONTAINMENTS", "3"),
        ("LIMIT_WINDOW_MINUTES", "5"),
        ("MAX_SHARE_PERCENT", "10"),
    ]);
    let limits = Limits {
        containments: 3,
        window: SignedDuration::from_mins(5),
        share_percent: 10,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(with(&[]).limits, Limits::default());
    for name in [
        "MAX_CONTAINMENTS",
        "LIMIT_WINDOW_MINUTES",
        "MAX_SHARE_PERCENT",
    ] {
        for text in ["0", "-1", "many", "100000", "2.5"] {
            let config = with(&[(name, text)]);
            assert_eq!(config.limits, Limits::default(), "{name} {text}");
            assert!(config.problems[0].contains(name), "{:?}", config.problems);
        }
    }
}

#[test]
fn an_approval_that_cannot_be_understood_is_always_needed_and_lasts_as_by_default() {
    let from = |text| with(&[("APPROVAL_NOT_NEEDED_FROM", text)]);
    assert_eq!(from("8.5").policy.approval_not_needed_from, Some(8.5));
    assert_eq!(from("").policy.approval_not_needed_from, None);
    assert_eq!(with(&[]).policy.approval_not_needed_from, None);
    for text in ["high", "11", "-1", "NaN"] {
        let config = from(text);
        assert_eq!(config.policy.approval_not_needed_from, None, "{text}");
        let told = config.problems.join("; ");
        assert!(told.contains("APPROVAL_NOT_NEEDED_FROM"), "{told}");
    }
    let minutes = |text| with(&[("APPROVAL_MINUTES", text)]);
    assert_eq!(minutes("30").approval_lasts, SignedDuration::from_mins(30));
    assert_eq!(minutes("").approval_lasts, Config::APPROVAL_LASTS);
    for text in ["0", "-5", "10081", "1.5", "soon"] {
        let config = minutes(text);
        assert_eq!(config.approval_lasts, Config::APPROVAL_LASTS, "{text}");
        assert!(config.problems.join("; ").contains("APPROVAL_MINUTES"));
    }
}

#[test]
fn sequences_are_handed_over_only_if_the_setting_and_all_functions_are_there() {
    let names = [
        ("S3_RESPONDER_FUNCTION", "a"),
        ("IAM_RESPONDER_FUNCTION", "b"),
        ("EC2_RESPONDER_FUNCTION", "c"),
    ];
    let with_word = |word| {
        let mut settings = names.to_vec();
        settings.push(("HAND_OVER_SEQUENCES", word));
        with(&settings)
    };
    let on = with_word("true");
    assert!(on.hand_over.is_some_and(|functions| functions.ec2 == "c"));
    for word in ["false", "", "True", "yes"] {
        assert_eq!(with_word(word).hand_over, None, "{word}");
    }
    assert_eq!(with(&names).hand_over, None);
    let lacking = with(&[names[0], ("HAND_OVER_SEQUENCES", "true")]);
    assert_eq!(lacking.hand_over, None);
    let told = lacking.problems.join("; ");
    assert!(
        told.contains("IAM_RESPONDER_FUNCTION") && told.contains("EC2_RESPONDER_FUNCTION"),
        "{told}"
    );
}
