use aws_sdk_cloudtrail::types::Event;
use serde_json::{Value, json};

use super::*;

const CONTAINED: &str = "2026-03-04T05:06:07Z";

fn record(value: Value) -> CloudTrailEvent {
    let event = Event::builder()
        .cloud_trail_event(value.to_string())
        .build();
    CloudTrailEvent::read(&event).expect("a record")
}

fn call(at: &str, error: Option<&str>, caller: Value) -> CloudTrailEvent {
    record(json!({
        "eventName": "ListUsers", "eventTime": at, "errorCode": error, "userIdentity": caller,
    }))
}

fn answered(credential: &Credential, records: Vec<CloudTrailEvent>, cut: bool) -> Afterwards {
    let contained_at: Timestamp = CONTAINED.parse().unwrap();
    let events = Events { records, cut };
    let asked_at = contained_at + SignedDuration::from_mins(16);
    summary(credential, contained_at, asked_at, &[Ok(events)])
}

#[test]
fn only_a_call_two_minutes_after_the_containment_shows_that_it_did_not_hold() {
    let key = Credential::key("AKIAIOSFODNN7EXAMPLE");
    for (at, shown) in [
        ("2026-03-04T05:08:06Z", Shown::Nothing),
        ("2026-03-04T05:08:07Z", Shown::NotHeld),
        ("2026-03-04T05:20:00Z", Shown::NotHeld),
    ] {
        let after = answered(&key, vec![call(at, None, json!({}))], false);
        assert_eq!(after.shown, shown, "{at}");
        assert_eq!(after.not_held().is_some(), shown == Shown::NotHeld);
    }
}

/// An error that is not for want of permission tells neither that a call was refused nor that it was not.
#[test]
fn calls_with_another_error_count_neither_as_refused_nor_as_working() {
    let key = Credential::session_key("ASIASESSION000000000");
    for (error, refused) in [
        ("AccessDenied", 1),
        ("AccessDeniedException", 1),
        ("Client.UnauthorizedOperation", 1),
        ("NoSuchEntityException", 0),
        ("ThrottlingException", 0),
    ] {
        let call = call("2026-03-04T05:20:00Z", Some(error), json!({}));
        let after = answered(&key, vec![call], false);
        assert_eq!(after.refused, refused, "{error}");
        assert_eq!(after.not_held(), None, "{error}");
    }
}

#[test]
fn unread_credentials_are_unknown_unless_a_call_shows_their_state() {
    let key = Credential::key("AKIAIOSFODNN7EXAMPLE");
    let refused = || call("2026-03-04T05:20:00Z", Some("AccessDenied"), json!({}));
    let before = || call("2026-03-04T04:00:00Z", None, json!({}));
    let works = || call("2026-03-04T05:20:01Z", None, json!({}));
    assert_eq!(answered(&key, vec![refused()], true).shown, Shown::Unknown);
    // What was read reaches back beyond the containment.
    assert_eq!(
        answered(&key, vec![refused(), before()], true).shown,
        Shown::Refused
    );
    assert_eq!(
        answered(&key, vec![works(), refused()], true).shown,
        Shown::NotHeld
    );
}

#[test]
fn other_credentials_of_the_same_name_do_not_count() {
    let session = |id: &str, issued: &str| {
        let caller = json!({
            "principalId": id, "sessionContext": { "attributes": { "creationDate": issued } },
        });
        call("2026-03-04T05:20:00Z", None, caller)
    };
    let before = "2026-03-04T04:00:00Z";
    let user = Credential::user("mallory", "AIDAEXAMPLEUSERID");
    let role = Credential::role_session(&RoleSession {
        role_id: "AROAPAYROLL".to_owned(),
        name: "build-42".to_owned(),
    });
    let instance = Credential::instance("i-0abc1234def567890");
    for (credential, id, issued, shown) in [
        (&user, "AIDAEXAMPLEUSERID", before, Shown::NotHeld),
        (
            &user,
            "AIDAEXAMPLEUSERID",
            "2026-03-04T05:10:00Z",
            Shown::Nothing,
        ),
        (&user, "AIDAANOTHER", before, Shown::Nothing),
        (&role, "AROAPAYROLL:build-42", before, Shown::NotHeld),
        (&role, "AROAANOTHER:build-42", before, Shown::Nothing),
        (
            &instance,
            "AROAANY:i-0abc1234def567890",
            before,
            Shown::NotHeld,
        ),
        (
            &instance,
            "AROAANY:i-0abc1234def567891",
            before,
            Shown::Nothing,
        ),
    ] {
        let after = answered(credential, vec![session(id, issued)], false);
        assert_eq!(after.shown, shown, "{credential:?} {id} {issued}");
    }
}

#[test]
fn all_that_gives_permissions_or_runs_with_them_is_listed() {
    let made = |name: &str, service: &str, parameters: Value, answer: Value| {
        record(json!({
            "eventName": name, "eventTime": "2026-03-04T05:00:00Z",
            "eventSource": format!("{service}.amazonaws.com"),
            "requestParameters": parameters, "responseElements": answer,
        }))
    };
    let key = Credential::key("AKIAIOSFODNN7EXAMPLE");
    for (name, service, parameters, answer, told) in [
        (
            "AttachUserPolicy",
            "iam",
            json!({ "userName": "eve", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" }),
            json!({}),
            "review user eve, to which the principal attached arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        (
            "PutRolePolicy",
            "iam",
            json!({ "roleName": "build", "policyName": "all" }),
            json!({}),
            "policy all of role build",
        ),
        (
            "AddUserToGroup",
            "iam",
            json!({ "userName": "eve", "groupName": "admins" }),
            json!({}),
            "user eve, whom the principal added to group admins",
        ),
        (
            "CreatePolicyVersion",
            "iam",
            json!({ "policyArn": "arn:aws:iam::111122223333:policy/p" }),
            json!({}),
            "policy/p",
        ),
        (
            "GetFederationToken",
            "sts",
            json!({ "name": "x" }),
            json!({ "credentials": { "accessKeyId": "ASIANEW" } }),
            "ASIANEW",
        ),
        (
            "CreateServiceSpecificCredential",
            "iam",
            json!({ "userName": "eve", "serviceName": "bedrock.amazonaws.com" }),
            json!({}),
            "bedrock.amazonaws.com",
        ),
        (
            "CreateSAMLProvider",
            "iam",
            json!({ "name": "idp" }),
            json!({}),
            "identity provider",
        ),
        (
            "CreateOpenIDConnectProvider",
            "iam",
            json!({ "url": "https://idp.example" }),
            json!({}),
            "https://idp.example",
        ),
        (
            "UpdateAssumeRolePolicy",
            "iam",
            json!({ "roleName": "build" }),
            json!({}),
            "who may assume role build",
        ),
        (
            "CreateFunction20150331",
            "lambda",
            json!({ "functionName": "f" }),
            json!({}),
            "function f",
        ),
        (
            "UpdateFunctionCode20150331v2",
            "lambda",
            json!({ "functionName": "f" }),
            json!({}),
            "function f",
        ),
        (
            "RunInstances",
            "ec2",
            json!({}),
            json!({ "instancesSet": { "items": [{ "instanceId": "i-0a" }] } }),
            "i-0a",
        ),
    ] {
        let after = answered(&key, vec![made(name, service, parameters, answer)], false);
        let [line] = after.made.as_slice() else {
            panic!("{name}: {:?}", after.made);
        };
        assert!(line.contains(told), "{name}: {line}");
    }
    let read = made("GetUser", "iam", json!({}), json!({}));
    assert!(answered(&key, vec![read], false).made.is_empty());
}

#[test]
fn activity_too_long_for_the_record_is_cut_at_its_list() {
    let key = Credential::key("AKIAIOSFODNN7EXAMPLE");
    let mut after = answered(&key, Vec::new(), false);
    after.made = vec!["x".repeat(1_000); 20];
    let text = after.within(8 * 1024);
    assert!(text.len() <= 8 * 1024);
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read["shown"], "nothing");
    assert!(!read["made"].as_array().expect("a list").is_empty());
}
