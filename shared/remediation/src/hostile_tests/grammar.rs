//! The judge of policies, judged.

use serde_json::Value;

use crate::fixtures::hostile::grammar::*;

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
