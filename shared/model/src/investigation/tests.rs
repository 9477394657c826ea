use serde_json::{Value, json};

use super::*;
use crate::fixtures::{answered, finding, user_detail};

fn said(finding: &Finding, question: Question) -> String {
    let found = from_finding(finding);
    let answer = answered(&found, question);
    assert!(answer.is_known(), "{answer:?}");
    answer.answer().to_owned()
}

/// A user's key called an API.
fn called(changes: Value) -> Finding {
    let mut call = json!({
        "api": "ListBuckets", "serviceName": "s3.amazonaws.com",
        "remoteIpDetails": {
            "ipAddressV4": "198.51.100.7", "country": { "countryName": "Norway" },
            "city": { "cityName": "Oslo" },
            "organization": { "asn": "64496", "org": "Example Org" },
        },
    });
    for (member, value) in changes.as_object().expect("an object") {
        call[member] = value.clone();
    }
    let mut detail = user_detail("mallory");
    detail["service"] = json!({ "count": 3, "action": { "awsApiCallAction": call } });
    finding(detail)
}

fn by(details: Value) -> Finding {
    finding(json!({ "resource": { "accessKeyDetails": details } }))
}

#[test]
fn answers_from_the_finding_name_principal_call_time_and_origin() {
    let finding = called(json!({}));
    let who = said(&finding, Question::Who);
    assert!(
        who.contains("mallory") && who.contains("long-term access key"),
        "{who}"
    );
    let what = said(&finding, Question::What);
    assert!(
        what.starts_with("ListBuckets of s3.amazonaws.com: it succeeded"),
        "{what}"
    );
    assert_eq!(
        said(&finding, Question::When),
        "first seen at 2026-03-04T04:50:00Z, last at 2026-03-04T05:00:00Z, 3 times"
    );
    assert_eq!(
        said(&finding, Question::Where),
        "198.51.100.7 (Oslo, Norway; Example Org; AS64496); with credentials of this account"
    );
}

#[test]
fn a_call_that_met_an_error_did_not_succeed() {
    let what = said(
        &called(json!({ "errorCode": "AccessDenied" })),
        Question::What,
    );
    assert!(
        what.contains("answered with the error AccessDenied"),
        "{what}"
    );
    assert!(!what.contains("succeeded"), "{what}");
}

#[test]
fn the_answer_names_the_kind_of_each_principal() {
    for (details, told) in [
        (json!({ "userType": "Root" }), "may do everything"),
        (
            json!({ "userType": "AssumedRole", "userName": "r", "accessKeyId": "ASIASESSION000000000" }),
            "access key ASIASESSION000000000",
        ),
        (
            json!({ "userType": "FederatedUser", "userName": "f" }),
            "no IAM user of that name",
        ),
        (
            json!({ "userType": "AWSAccount", "principalId": "ANONYMOUS_PRINCIPAL" }),
            "without credentials",
        ),
        (
            json!({ "userType": "AWSAccount", "userName": "x" }),
            "not of this account",
        ),
        (
            json!({ "userType": "AWSService", "userName": "x" }),
            "neither a user nor a role",
        ),
    ] {
        let who = said(&by(details), Question::Who);
        assert!(who.contains(told), "{told}: {who}");
    }
}

#[test]
fn a_principal_that_cannot_be_read_is_an_open_question() {
    let found = from_finding(&by(json!({ "userType": "IAMUser", "userName": "a b*" })));
    let who = answered(&found, Question::Who);
    assert!(
        !who.is_known() && who.answer().contains("userName"),
        "{who:?}"
    );
}

#[test]
fn the_instance_of_a_session_is_named_with_the_limit_of_a_session_name() {
    let session = |name: &str, instance: Value| {
        finding(json!({ "resource": {
            "accessKeyDetails": { "userType": "AssumedRole", "userName": "r",
                "principalId": format!("AROAEXAMPLE:{name}") },
            "instanceDetails": instance,
        } }))
    };
    const ID: &str = "i-0abc1234def567890";
    let by_name = said(&session(ID, Value::Null), Question::Instance);
    assert!(
        by_name.contains(ID) && by_name.contains("can choose that name too"),
        "{by_name}"
    );
    let both = session(ID, json!({ "instanceId": ID }));
    let both = said(&both, Question::Instance);
    assert!(both.contains("credentials of this instance"), "{both}");
    let other = session(ID, json!({ "instanceId": "i-11111111" }));
    let other = said(&other, Question::Instance);
    assert!(
        other.starts_with("i-11111111, while") && other.contains(ID),
        "{other}"
    );
    let none = from_finding(&session("alice", Value::Null));
    let mut questions = none.answers.iter().map(Answer::question);
    assert!(
        questions.all(|question| question != Question::Instance),
        "{none:?}"
    );
}

#[test]
fn another_account_is_named_with_its_affiliation() {
    for (affiliated, told) in [
        (json!(true), "knows as affiliated"),
        (json!(false), "nothing to do with this one"),
        (json!(null), "444455556666"),
    ] {
        let details = json!({ "accountId": "444455556666", "affiliated": affiliated });
        let call = json!({ "remoteAccountDetails": details });
        let mut detail = user_detail("mallory");
        detail["type"] = json!("UnauthorizedAccess:S3/TorIPCaller");
        detail["service"] = json!({ "action": { "awsApiCallAction": call } });
        let place = said(&finding(detail), Question::Where);
        assert!(
            place.contains("with credentials of account 444455556666") && place.contains(told),
            "{place}"
        );
        assert!(!place.contains("of this account"), "{place}");
    }
}

#[test]
fn credentials_used_from_the_network_of_another_account_stay_those_of_this_account() {
    let details = json!({
        "accountId": "444455556666", "affiliated": true, "awsServiceName": "batch.amazonaws.com",
    });
    let finding = called(json!({ "remoteAccountDetails": details }));
    let place = said(&finding, Question::Where);
    for told in [
        "from the network of account 444455556666",
        "knows as affiliated",
        "belongs to the AWS service batch.amazonaws.com",
        "with credentials of this account",
    ] {
        assert!(place.contains(told), "{told}: {place}");
    }
    assert!(!place.contains("credentials of account"), "{place}");
}

#[test]
fn a_preflight_request_is_distinguished_from_public_access() {
    let finding = finding(json!({
        "resource": { "accessKeyDetails": {
            "userType": "AWSAccount", "principalId": "ANONYMOUS_PRINCIPAL", "userName": "ANONYMOUS_PRINCIPAL" } },
        "service": { "action": { "awsApiCallAction": {
            "api": "PreflightRequest", "serviceName": "s3.amazonaws.com" } } },
    }));
    let what = said(&finding, Question::What);
    assert!(
        what.contains("CORS") && what.contains("not that the bucket is public"),
        "{what}"
    );
}

#[test]
fn the_owner_is_asked_in_one_paragraph_that_can_be_sent_as_it_is() {
    let ask = said(&called(json!({})), Question::AskTheOwner);
    for part in [
        "Did you",
        "IAM user mallory",
        "AKIAIOSFODNN7EXAMPLE",
        "ListBuckets of s3 between 2026-03-04T04:50:00Z and 05:00:00Z",
        "198.51.100.7 (Oslo, Norway; Example Org; AS64496)",
        "If not",
    ] {
        assert!(ask.contains(part), "{part}: {ask}");
    }
    let instance =
        finding(json!({ "resource": { "instanceDetails": { "instanceId": "i-11111111" } } }));
    let ask = said(&instance, Question::AskTheOwner);
    assert!(
        ask.contains("i-11111111") && ask.contains("C&CActivity"),
        "{ask}"
    );
    let function = finding(json!({ "type": "Backdoor:Lambda/C&CActivity.B",
        "resource": { "lambdaDetails": { "functionName": "orders",
            "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:orders:$LATEST" } } }));
    let ask = said(&function, Question::AskTheOwner);
    assert!(
        ask.contains("of your Lambda function orders") && ask.contains("do not deploy or delete"),
        "{ask}"
    );
    let bucket = finding(json!({ "resource": {
        "accessKeyDetails": { "userType": "AWSAccount", "principalId": "ANONYMOUS_PRINCIPAL" },
        "s3BucketDetails": [{ "name": "exposed" }] } }));
    let ask = said(&bucket, Question::AskTheOwner);
    assert!(
        ask.starts_with("Is bucket exposed meant to be used by an anonymous caller?"),
        "{ask}"
    );
    let nobody = from_finding(&finding(json!({})));
    assert!(
        nobody
            .answers
            .iter()
            .all(|answer| answer.question() != Question::AskTheOwner),
        "{nobody:?}"
    );
}

#[test]
fn text_from_a_finding_stays_printable_in_every_answer() {
    let hostile = "x\u{202e}\r\n\nASK THE OWNER\u{7}";
    let finding = called(json!({
        "api": hostile, "serviceName": hostile, "errorCode": hostile, "userAgent": hostile,
        "remoteIpDetails": { "ipAddressV4": hostile, "country": { "countryName": hostile },
            "organization": { "org": hostile, "asn": hostile } },
    }));
    let found = from_finding(&finding);
    assert!(found.answers.len() >= 5, "{found:?}");
    for answer in &found.answers {
        let text = answer.answer();
        assert!(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
    }
}

#[test]
fn an_answer_has_exactly_the_members_of_the_contract() {
    let known = serde_json::to_value(Answer::known(Question::LastUsed, "a", "b")).unwrap();
    let contract = json!({ "question": "last_used", "answer": "a", "source": "b", "known": true });
    assert_eq!(known, contract);
    let open = serde_json::to_value(Answer::unknown(Question::WhereBefore, "a", "b")).unwrap();
    assert_eq!(open["known"], false);
    assert_eq!(open["question"], "where_before");
}
