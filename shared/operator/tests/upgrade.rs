//! After an update the records of the version before serve as they did: they are listed, shown and released,
//! and the functions respect them.
//!
//! `tests/fixtures/records/` has items as each version wrote them, with the names of a test's own resources
//! taken out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::finding::Finding;
use integration_tests::scenario::{StolenKey, all_work, none_works};
use integration_tests::{LocalAws, Result, Scenario, checkout, unique};
use jiff::{SignedDuration, Timestamp};
use policy::DEFAULT;
use remediation::VERSION;
use remediation::report::Status;
use serde_json::{Value, json};

use crate::common::{
    TABLE, answer, approving, expect, expect_exit, gdr, iam, json, on_aws, parameter, respond_in,
    responder_with, seen_again, table,
};

/// The version before. Until there is one, the first as it was before it told, kept evidence and measured.
const BEFORE: &str = "0.1.0";

/// What stands in the fixture for when the approval expires.
const EXPIRES: &str = "<expires>";

fn fixture() -> PathBuf {
    checkout().join(format!("tests/fixtures/records/{BEFORE}.json"))
}

/// What a test's own resources are called, and what stands for it in the fixture.
fn names(theft: &StolenKey<'_>, finding: &Finding) -> [(String, &'static str); 5] {
    [
        (theft.user_name().to_owned(), "<user>"),
        (theft.key_id().to_owned(), "<key>"),
        (theft.user_id().to_owned(), "<user id>"),
        (finding.id().to_owned(), "<finding>"),
        (waiting(finding), "<waiting>"),
    ]
}

/// The id of another finding about the same theft, whose plan waits for a person.
fn waiting(finding: &Finding) -> String {
    finding.id().chars().rev().collect()
}

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Texts, numbers and maps of them, which is all that the table has.
fn shown(item: &Item) -> Value {
    let attributes = item.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::M(inner) => json!({ "M": shown(inner) }),
            other => panic!("{name} is {other:?}"),
        };
        (name.clone(), value)
    });
    attributes.collect::<serde_json::Map<_, _>>().into()
}

pub(crate) fn item(shown: &Value) -> Item {
    let attributes = shown.as_object().expect("an item").iter();
    attributes
        .map(|(name, value)| {
            let text = |kind: &str| value[kind].as_str().map(ToOwned::to_owned);
            let value = if value["M"].is_object() {
                AttributeValue::M(item(&value["M"]))
            } else {
                let number = || text("N").map(AttributeValue::N);
                let value = text("S").map(AttributeValue::S).or_else(number);
                value.expect("a text or a number")
            };
            (name.clone(), value)
        })
        .collect()
}

/// Puts the items of the version before into the table of this test, as if they were about this theft.
async fn written_before(aws: &LocalAws, theft: &StolenKey<'_>, finding: &Finding) -> Result {
    let mut text = std::fs::read_to_string(fixture())?;
    for (own, placeholder) in names(theft, finding) {
        text = text.replace(placeholder, &own);
    }
    let expires = Timestamp::now() + SignedDuration::from_hours(1);
    text = text.replace(EXPIRES, &expires.to_string());
    let items: Value = serde_json::from_str(&text)?;
    let client = aws_sdk_dynamodb::Client::new(&aws.root());
    for shown in items.as_array().ok_or("no items")? {
        let put = client.put_item().table_name(&*TABLE);
        put.set_item(Some(item(shown))).send().await?;
    }
    Ok(())
}

/// A theft that is contained, of which the record is the version before's.
async fn contained<'a>(aws: &'a LocalAws) -> Result<(StolenKey<'a>, Finding)> {
    let theft = StolenKey::create(aws).await?;
    let finding = theft.finding()?;
    let elsewhere = table().await?;
    let done = respond_in(iam(aws), aws, &finding, &elsewhere, &unique("request")).await?;
    expect(&done, Status::Contained);
    assert!(none_works(&theft.attack().await?));
    written_before(aws, &theft, &finding).await?;
    Ok((theft, finding))
}

#[test]
fn an_incident_of_the_version_before_is_listed_shown_and_released() -> Result {
    on_aws(async |aws| {
        let (theft, finding) = contained(aws).await?;
        let listed = json(&gdr(aws, &["incidents", "--output", "json"], "")?)?;
        let mut listed = listed.as_array().into_iter().flatten();
        let listed = listed.find(|incident| incident["id"] == finding.id());
        assert_eq!(listed.ok_or("not listed")?["status"], "contained");
        let shown = gdr(aws, &["incident", finding.id()], "")?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("iam:DeactivateAccessKey") && shown.contains(theft.key_id()),
            "{shown}"
        );
        let release = [
            "release",
            finding.id(),
            "--yes",
            "--reactivate-key",
            theft.key_id(),
        ];
        expect_exit(&gdr(aws, &release, "")?, 0);
        assert!(all_work(&theft.attack().await?), "everything is as it was");
        Ok(())
    })
}

#[test]
fn the_functions_respect_the_records_of_the_version_before() -> Result {
    on_aws(async |aws| {
        let (theft, finding) = contained(aws).await?;
        let again = async |finding: &Finding| {
            respond_in(iam(aws), aws, finding, &TABLE, &unique("request")).await
        };
        expect(&again(&finding).await?, Status::AlreadyContained);
        let kept = gdr(aws, &["incident", finding.id(), "--output", "json"], "")?;
        let kept = &json(&kept)?[0];
        assert_eq!(kept["status"], "contained");
        let actions = kept["actions"].as_object().ok_or("no actions")?;
        assert!(!actions.is_empty(), "what is put back is still known");
        expect_exit(&gdr(aws, &["release", finding.id(), "--yes"], "")?, 0);
        let old = seen_again(&finding, SignedDuration::from_secs(-5));
        expect(&again(&old).await?, Status::Ignored);
        let new = seen_again(&finding, SignedDuration::from_secs(5));
        expect(&again(&new).await?, Status::Contained);
        assert!(none_works(&theft.attack().await?));
        Ok(())
    })
}

/// This version cuts sessions off a minute later than the one that wrote the fixture.
#[test]
fn a_plan_that_this_version_makes_otherwise_is_refused_until_it_is_planned_anew() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        written_before(aws, &theft, &finding).await?;
        let policies = parameter(aws, DEFAULT).await?;
        let waiting = finding.clone().with("/id", waiting(&finding));
        let approve = [
            "approve",
            waiting.id(),
            "--policy-parameter",
            &policies,
            "--yes",
        ];
        let refused = gdr(aws, &approve, "")?;
        expect_exit(&refused, 3);
        let why = String::from_utf8_lossy(&refused.stderr);
        for told in [
            "aws:TokenIssueTime",
            "nothing was changed",
            "makes a new plan",
        ] {
            assert!(why.contains(told), "{why}");
        }
        assert!(all_work(&theft.attack().await?), "nothing was changed");

        let waits = responder_with(approving(), iam(aws), aws, &TABLE);
        let again = seen_again(&waiting, SignedDuration::from_secs(5));
        let planned = answer(&waits, &again, &unique("request")).await?;
        assert!(planned.approval().is_some(), "{}", planned.to_line());
        expect_exit(&gdr(aws, &approve, "")?, 0);
        assert!(none_works(&theft.attack().await?));
        assert!(all_work(&theft.bystanders().await?));
        Ok(())
    })
}

#[test]
fn a_plan_of_the_version_before_can_still_be_rejected() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        written_before(aws, &theft, &finding).await?;
        let waiting = waiting(&finding);
        let shown = gdr(aws, &["incident", &waiting], "")?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("iam:DeactivateAccessKey"), "{shown}");
        expect_exit(
            &gdr(aws, &["reject", &waiting, "--reason", "a test"], "")?,
            0,
        );
        Ok(())
    })
}

#[test]
fn gdr_has_the_version_of_the_functions() -> Result {
    let told = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .arg("--version")
        .output()?;
    assert_eq!(String::from_utf8(told.stdout)?, format!("gdr {VERSION}\n"));
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let elsewhere = table().await?;
        let request = unique("request");
        let report = respond_in(iam(aws), aws, &theft.finding()?, &elsewhere, &request).await?;
        let line: Value = serde_json::from_str(&report.to_line())?;
        assert_eq!(line["responder_version"], VERSION);
        Ok(())
    })
}

/// Writes the fixture that the next version is tested with.
#[test]
#[ignore = "part of a release: cargo test -p operator --test gdr upgrade -- --ignored"]
fn the_records_of_this_version_are_kept_for_the_next() -> Result {
    on_aws(async |aws| {
        let (theft, elsewhere) = (StolenKey::create(aws).await?, table().await?);
        let finding = theft.finding()?;
        let waiting = finding.clone().with("/id", waiting(&finding));
        let waits = responder_with(approving(), iam(aws), aws, &elsewhere);
        let planned = answer(&waits, &waiting, "request").await?;
        let expires = planned.approval().ok_or("nothing waits")?.expires_at;
        respond_in(iam(aws), aws, &finding, &elsewhere, "request").await?;
        let client = aws_sdk_dynamodb::Client::new(&aws.root());
        let items = client.scan().table_name(&elsewhere).send().await?;
        let items: Vec<_> = items.items().iter().map(shown).collect();
        let mut text = serde_json::to_string_pretty(&items)?;
        for (own, placeholder) in names(&theft, &finding) {
            text = text.replace(&own, placeholder);
        }
        text = text.replace(&expires.to_string(), EXPIRES);
        std::fs::write(fixture(), text + "\n")?;
        Ok(())
    })
}
