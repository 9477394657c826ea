//! Findings and documents from hands that mean harm.

use std::cell::Cell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::action::{ROLE_POLICY, session_policy};
use super::super::policy_document::{
    Deny, deny_identity_center_user, deny_session, deny_sessions_before, deny_user_sessions_before,
};
use super::role::{acted, acted_detail};
use super::*;
use fixtures::event;
use fixtures::hostile::grammar::{assert_is_policy, denies};
use fixtures::hostile::mutation::{self, TEXTS};
use fixtures::hostile::rendering::assert_fit_to_send;
use fixtures::hostile::{block_on, event_of, hold};
use model::finding::Principal;

/// IAM takes this many characters of inline policies on a user and on a role,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
const USER: usize = 2_048;
const ROLE: usize = 10_240;

pub(super) fn statements(document: &Value) -> &[Value] {
    document["Statement"].as_array().expect("a list")
}

/// Ids of others, near and far.
fn others(user_id: &str) -> Vec<String> {
    let mut others = vec![
        format!("{user_id}x"),
        format!("x{user_id}"),
        user_id[1..].to_owned(),
    ];
    others.push(user_id.replace(':', "x:"));
    others.push(user_id.to_ascii_lowercase() + "-");
    others.push("AIDASOMEONEELSE".to_owned());
    others.extend(TEXTS.iter().map(|text| (*text).to_owned()));
    others.retain(|other| other != user_id);
    others
}

#[test]
fn the_deny_of_a_session_hits_that_session_and_no_other() {
    let role_id = prop_oneof![1 => mutation::text(), 4 => "[A-Z0-9]{4,30}"];
    let name = prop_oneof![2 => mutation::text(), 3 => "[A-Z0-9a-z_+=,.@-]{1,66}[*?:]?"];
    let denied = Cell::new(0);
    hold(4, (role_id, name), |(role_id, name)| {
        let finding = acted(&format!("{role_id}:{name}"), "2026-03-04T05:00:00Z");
        let Ok(Principal::RoleSession {
            session: Some(session),
            ..
        }) = finding.principal()
        else {
            return;
        };
        denied.set(denied.get() + 1);
        let user_id = format!("{}:{}", session.role_id, session.name);
        let document = deny_session(&session);
        assert_is_policy(&document, ROLE);
        let denied = |user_id: &str| denies(statements(&document), &[("aws:userid", user_id)]);
        assert!(denied(&user_id), "{document}");
        for other in others(&user_id) {
            assert!(!denied(&other), "{other} too: {document}");
        }
        for name in [
            session_policy(&session),
            USER_POLICY.to_owned(),
            ROLE_POLICY.to_owned(),
        ] {
            let of_grammar = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            assert!(name.len() <= 128 && name.bytes().all(of_grammar), "{name}");
        }

        // What a person is to put into a permission set: by the name of the user, in every account.
        let document = deny_identity_center_user(&session, now());
        assert_is_policy(&document, ROLE);
        let denied = |user_id: &str, issued: &str| {
            denies(
                statements(&document),
                &[("aws:userid", user_id), ("aws:TokenIssueTime", issued)],
            )
        };
        let elsewhere = format!("AROAELSEWHERE:{}", session.name);
        assert!(
            denied(&elsewhere, "2026-03-04T05:00:00Z")
                && !denied(&elsewhere, "2026-03-04T06:00:00Z")
        );
        for other in [
            "AROAELSEWHERE:someone",
            "AROAELSEWHERE",
            &format!("{user_id}x"),
        ] {
            assert!(
                !denied(other, "2026-03-04T05:00:00Z"),
                "{other} too: {document}"
            );
        }
    });
    assert!(
        denied.get() > 100,
        "only {} names were of the grammar",
        denied.get()
    );
}

#[test]
fn the_deny_of_older_sessions_hits_those_that_are_older() {
    hold(1, -62_000_000_000_i64..253_402_200_000, |second| {
        let cut_off = Timestamp::from_second(second).expect("a time");
        for document in [
            deny_sessions_before(cut_off),
            deny_user_sessions_before(cut_off),
        ] {
            if second > 0 {
                assert_is_policy(&document, USER);
                assert_eq!(Deny::Document(document.clone()).cut_off(), Some(cut_off));
            }
            let denied = |seconds: i64| {
                let issued = Timestamp::from_second(second + seconds)
                    .expect("a time")
                    .to_string();
                denies(statements(&document), &[("aws:TokenIssueTime", &issued)])
            };
            assert!(denied(-1) && !denied(0) && !denied(1), "{document}");
            // Long-term keys have no such time.
            assert!(!denies(
                statements(&document),
                &[("aws:userid", "AIDAEXAMPLEUSERID")]
            ));
        }
    });
}

#[test]
fn whatever_stands_under_the_name_of_our_policy_it_is_read_and_never_taken_for_ours() {
    let document = prop_oneof![
        mutation::value().prop_map(|value| value.to_string()),
        mutation::text()
    ];
    hold(
        2,
        (document, mutation::value(), 0..5_usize),
        |(text, other, member)| {
            let read = Deny::from_encoded(&text);
            assert!(
                !read.is(&deny_sessions_before(now())) && read.cut_off().is_none(),
                "{text}"
            );
            read.to_json();

            let mut weakened = deny_sessions_before(now());
            let cut_off = Deny::Document(weakened.clone()).cut_off();
            let member = ["Sid", "Effect", "Action", "Resource", "Condition"][member];
            if weakened["Statement"][0][member] == other {
                return;
            }
            weakened["Statement"][0][member] = other;
            assert!(
                cut_off.is_some() && Deny::Document(weakened.clone()).cut_off().is_none(),
                "{weakened}"
            );
        },
    );
}

#[test]
fn whatever_a_finding_says_only_its_own_principal_is_changed() {
    let seeds = vec![
        event(user_detail("mallory")),
        event(acted_detail("AROAPAYROLL:build-42", "2026-03-04T05:00:00Z")),
    ];
    let changed = Cell::new(0);
    hold(1, event_of(seeds), |event| {
        let Ok(finding) = Finding::parse(&event) else {
            return;
        };
        let account = Account {
            roles: payroll(own_account()).roles,
            ..mallory()
        };
        let world = world(account);
        let (report, _) = block_on(answer(&world.iam, &finding));
        assert_fit_to_send(&report);
        let (user, role) = (world.user("mallory"), world.role("payroll"));
        let principal = finding.principal().ok();
        let acted = principal.as_ref().and_then(Principal::entity_name);
        let is_user = matches!(principal, Some(Principal::User { .. }));
        // Whose the key is, IAM says, also where the name leads to nobody.
        let by_key = matches!(
            &principal,
            Some(
                Principal::KeyOwner { key, .. }
                | Principal::User { long_term_key: Some(key), .. }
            ) if key == KEY
        );
        if !by_key && (acted != Some("mallory") || !is_user) {
            assert!(
                user.inline.is_empty() && user.keys.iter().all(|key| key.1 == StatusType::Active)
            );
        }
        if acted != Some("payroll") || is_user {
            assert!(role.inline.is_empty(), "{:?}", role.inline);
        }
        assert_eq!(world.key("mallory", SECOND), StatusType::Active);
        for (document, limit) in user
            .inline
            .values()
            .map(|text| (text, USER))
            .chain(role.inline.values().map(|text| (text, ROLE)))
        {
            changed.set(changed.get() + 1);
            assert_is_policy(&serde_json::from_str(document).expect("JSON"), limit);
        }
    });
    assert!(
        changed.get() > 10,
        "only {} policies were made",
        changed.get()
    );
}

#[test]
fn a_federated_name_cannot_forge_a_notice() {
    hold(1, mutation::text(), |name| {
        let mut event = event(user_detail("x"));
        event["detail"]["resource"]["accessKeyDetails"] = json!({ "userType": "FederatedUser", "userName": name, "accessKeyId": "ASIAGUEST00000000000" });
        let finding = Finding::parse(&event).expect("a finding");
        let world = world(issued_by(by_mallory()));
        let (report, _) = block_on(answer(&world.iam, &finding));
        assert_fit_to_send(&report);
    });
}
