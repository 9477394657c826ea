//! The grammar of IAM's policy documents, and what a document denies, after IAM's own rules and not
//! after the code that makes documents.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>. Of
//! both only what a document that denies needs.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

/// Asserts that `document` is a policy of at most `limit` characters, not counting white space, and
/// that each of its statements is of the grammar.
pub(crate) fn assert_is_policy(document: &Value, limit: usize) {
    let text = document.to_string();
    let counted = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .count();
    assert!(counted <= limit, "{counted} characters: {text}");
    assert_eq!(document["Version"], "2012-10-17", "{text}");
    let members = document.as_object().expect("an object");
    assert!(
        members
            .keys()
            .all(|name| ["Version", "Id", "Statement"].contains(&name.as_str())),
        "{text}"
    );
    let statements = document["Statement"].as_array().expect("a list");
    assert!(!statements.is_empty(), "{text}");
    statements.iter().for_each(assert_is_deny);
}

/// Asserts that `statement` is of the grammar and denies, under some condition.
pub(crate) fn assert_is_deny(statement: &Value) {
    for (name, value) in statement.as_object().expect("an object") {
        match name.as_str() {
            "Sid" => {
                let sid = value.as_str().expect("a text");
                assert!(
                    !sid.is_empty() && sid.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                    "{sid:?}"
                );
            }
            "Effect" => assert_eq!(value, "Deny"),
            "Principal" => assert_eq!(value, "*"),
            "Action" => assert!(
                value == "*" || value == "s3:*" || is_renewal(statement),
                "{value}"
            ),
            "Resource" => {
                for resource in listed(value) {
                    let arn = resource.split(':').count() == 6 && resource.starts_with("arn:aws");
                    let star = resource.trim_end_matches("/*");
                    assert!(
                        resource == "*" || (arn && !star.contains(['*', '?', '$'])),
                        "{resource:?}"
                    );
                }
            }
            "Condition" => assert_is_condition(value),
            other => panic!("no element of ours: {other:?}"),
        }
    }
    for needed in ["Sid", "Effect", "Action", "Resource", "Condition"] {
        let is_there = statement.get(needed).is_some();
        let may_lack = needed == "Condition" && is_renewal(statement);
        assert!(is_there || may_lack, "no {needed}: {statement}");
    }
}

/// The renewal of sign-in sessions is denied under no condition, and nothing else is.
fn is_renewal(statement: &Value) -> bool {
    let actions = statement["Action"].as_array();
    actions.is_some_and(|actions| {
        actions == &["signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"]
    })
}

fn assert_is_condition(condition: &Value) {
    let operators = condition.as_object().expect("an object");
    assert!(!operators.is_empty(), "it would deny everybody");
    for (operator, keys) in operators {
        let keys = keys.as_object().expect("an object");
        assert!(!keys.is_empty(), "it would deny everybody");
        for (key, values) in keys {
            let (space, name) = key.split_once(':').expect("a key");
            assert!(["aws", "ec2", "identitystore"].contains(&space), "{key}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{key}"
            );
            for value in listed(values) {
                assert!(!value.is_empty(), "{key}");
                assert!(!value.contains("${"), "a policy variable: {value}");
                match operator.as_str() {
                    "StringEquals" | "BoolIfExists" | "StringLike" => {}
                    "ArnEquals" => assert!(!value.contains(['*', '?']), "{value}"),
                    "IpAddress" => {
                        let (address, bits) = range(value);
                        let all = if address.is_ipv4() { 32 } else { 128 };
                        assert_eq!(bits, all, "more than one address: {value}");
                    }
                    "DateLessThan" | "DateEquals" => {
                        value.parse::<Timestamp>().expect("a time");
                    }
                    other => panic!("no operator of ours: {other}"),
                }
            }
        }
    }
}

/// One text, or each of a list.
fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(entries) => entries
            .iter()
            .map(|entry| entry.as_str().expect("a text"))
            .collect(),
        one => vec![one.as_str().expect("a text")],
    }
}

/// Whether one of `statements` denies a request with these keys, of which `action` is what it asks for. A key
/// that a request does not have matches only under an operator that ends in `IfExists`.
pub(crate) fn denies(statements: &[Value], request: &[(&str, &str)]) -> bool {
    statements.iter().any(|statement| {
        if let Some(actions) = statement["Action"].as_array() {
            let mut asked = request.iter().filter(|(name, _)| *name == "action");
            if !asked.any(|(_, action)| actions.iter().any(|denied| denied == action)) {
                return false;
            }
        }
        let operators = statement["Condition"].as_object().into_iter().flatten();
        operators.into_iter().all(|(operator, keys)| {
            keys.as_object().into_iter().flatten().all(|(key, values)| {
                match request
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(key))
                {
                    Some((_, has)) => listed(values)
                        .iter()
                        .any(|value| matches(operator, &filled_in(value, request), has)),
                    None => operator.ends_with("IfExists"),
                }
            })
        })
    })
}

/// IAM replaces policy variables by what the request has.
fn filled_in(value: &str, request: &[(&str, &str)]) -> String {
    request.iter().fold(value.to_owned(), |text, (key, has)| {
        text.replace(&format!("${{{key}}}"), has)
    })
}

fn matches(operator: &str, value: &str, has: &str) -> bool {
    match operator {
        "StringEquals" | "BoolIfExists" => value == has,
        "StringLike" | "ArnEquals" => like(value.as_bytes(), has.as_bytes()),
        "IpAddress" => match (range(value), has.parse()) {
            ((IpAddr::V4(first), bits), Ok(IpAddr::V4(has))) => {
                first.to_bits().checked_shr(32 - bits) == has.to_bits().checked_shr(32 - bits)
            }
            ((IpAddr::V6(first), bits), Ok(IpAddr::V6(has))) => {
                first.to_bits().checked_shr(128 - bits) == has.to_bits().checked_shr(128 - bits)
            }
            _ => false,
        },
        "DateLessThan" => {
            let (value, has): (Timestamp, Timestamp) =
                (value.parse().unwrap(), has.parse().unwrap());
            has < value
        }
        "DateEquals" => value.parse::<Timestamp>().unwrap() == has.parse::<Timestamp>().unwrap(),
        other => panic!("no operator of ours: {other}"),
    }
}

/// The first address of a range, and how many bits its addresses have in common. IAM takes 32 where it is
/// not said, of whichever kind.
fn range(value: &str) -> (IpAddr, u32) {
    let (address, bits) = value.split_once('/').unwrap_or((value, "32"));
    (
        address.parse().expect("an address"),
        bits.parse().expect("a prefix"),
    )
}

/// `*` is any text, `?` any one character.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|from| like(rest, &text[from..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => like(pattern, text),
        ([one, pattern @ ..], [other, text @ ..]) => one == other && like(pattern, text),
        _ => false,
    }
}

#[test]
fn the_judge_knows_a_wide_policy_when_it_sees_one() {
    let statement = |condition: Value| {
        serde_json::json!([{ "Condition": condition }])
            .as_array()
            .cloned()
            .unwrap()
    };
    let anybody = [("aws:userid", "AIDASOMEONE"), ("aws:username", "someone")];
    for (condition, denied) in [
        (
            serde_json::json!({ "StringLike": { "aws:userid": "*" } }),
            true,
        ),
        (
            serde_json::json!({ "StringLike": { "aws:userid": "AIDA????NE" } }),
            false,
        ),
        (
            serde_json::json!({ "StringEquals": { "aws:username": "${aws:username}" } }),
            true,
        ),
        (
            serde_json::json!({ "StringEquals": { "aws:userid": "*" } }),
            false,
        ),
        (
            serde_json::json!({ "StringEquals": { "aws:other": "x" } }),
            false,
        ),
        (
            serde_json::json!({ "BoolIfExists": { "aws:ViaAWSService": "false" } }),
            true,
        ),
    ] {
        assert_eq!(
            denies(&statement(condition.clone()), &anybody),
            denied,
            "{condition}"
        );
    }
}
