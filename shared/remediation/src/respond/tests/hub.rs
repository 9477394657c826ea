//! Findings of member accounts, and findings that nobody but the event knows of.

use aws_config::{BehaviorVersion, Region, SdkConfig};

use super::*;
use crate::accounts::tests::{hub, sts};
use crate::fixtures::user_detail;
use crate::verify::tests::{guardduty, made_public, sequence};

fn in_a_hub() -> Config {
    let mut config = enforcing();
    config.policy.own_account = None;
    config.hub = hub();
    config
}

/// A responder of a hub, whose playbook in a member account contains `exposed`.
fn responder(config: Config, sts: &crate::accounts::tests::Sts, sns: Client) -> Responder<Fake> {
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .build();
    let build = |_: &SdkConfig| Fake::new([act("exposed")]);
    let accounts = Accounts::new(build, &sdk, sts.client.clone(), hub(), &config.settings);
    Responder::new(Fake::new([act("the hub's own")]), config, sns).across(accounts)
}

#[tokio::test(start_paused = true)]
async fn a_member_s_finding_is_contained_in_the_member_s_account() {
    let (sts, (_, notices, sns)) = (sts(), topic());
    let responder = responder(in_a_hub(), &sts, sns);
    let report = answer(&responder, made_public(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(report.steps()[0].target(), "exposed");
    assert!(
        responder.playbook.calls().is_empty(),
        "the hub's account was not touched"
    );
    assert_eq!(sts.asked.lock().unwrap().len(), 1);
    assert_eq!(notices.lock().unwrap().len(), 1, "told by the hub's topic");
}

#[tokio::test(start_paused = true)]
async fn the_hub_s_own_finding_is_contained_with_its_own_role() {
    let (sts, (_, _, sns)) = (sts(), topic());
    let responder = responder(in_a_hub(), &sts, sns);
    let event = made_public(json!({ "/detail/accountId": "999988887777" }));
    let report = answer(&responder, event).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(responder.playbook.applied(), ["the hub's own"]);
    assert!(sts.wire.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_account_without_the_role_is_notified_and_retried_if_transient() {
    for (status, code, retried) in [(403, "AccessDenied", false), (400, "Throttling", true)] {
        let (sts, (_, notices, sns)) = (sts(), topic());
        sts.wire.fail("sts:AssumeRole", status, code);
        let responder = responder(in_a_hub(), &sts, sns);
        match answer(&responder, made_public(json!({}))).await {
            Err(error) => assert!(retried && error.is_transient(), "{error}"),
            Ok(report) => {
                assert!(!retried);
                assert_eq!(report.status(), Status::Failed);
            }
        }
        let body = notices.lock().unwrap()[0].1.clone();
        assert!(
            body.contains("arn:aws:iam::111122223333:role/gdr-member-s3"),
            "{body}"
        );
        assert!(responder.playbook.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn notified_findings_are_investigated_with_the_member_role_and_ignored_ones_are_not() {
    let (sts, (_, _, sns)) = (sts(), topic());
    let mut config = in_a_hub();
    config.policy.mode = ResponseMode::Notify;
    let responder = responder(config, &sts, sns);
    let report = answer(&responder, event(user_detail("x"))).await.unwrap();
    assert_eq!(report.status(), Status::Ignored);
    assert!(sts.wire.calls().is_empty());
    let report = answer(&responder, made_public(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::Notified);
    assert_eq!(sts.asked.lock().unwrap().len(), 1);
    assert!(
        responder.playbook.calls().is_empty(),
        "the hub's account was not asked about the member's resource"
    );
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_guardduty_confirms_is_contained() {
    let (_, _, sns) = topic();
    let (_, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.verifying(verifier);
    let report = answer(&responder, made_public(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_sequence_that_guardduty_confirms_is_contained() {
    let sequence = sequence();
    let finding = Finding::parse(&sequence).unwrap();
    let config = enforcing();
    let parts = crate::sequence::parts(&sequence, &finding, &config.policy);
    let mut parts = parts.into_iter();
    let (_, part) = parts.find(|(to, _)| *to == Category::S3).expect("a bucket");
    let mut other = part.clone();
    other["detail"]["resource"]["s3BucketDetails"][0]["name"] = json!("website");
    for (event, status) in [(part, Status::Contained), (other, Status::Notified)] {
        let (_, _, sns) = topic();
        let (_, verifier) = guardduty(vec![sequence["detail"].clone()]);
        let responder = Responder::new(Fake::new([act("exposed")]), config.clone(), sns);
        let report = answer(&responder.verifying(verifier), event).await.unwrap();
        assert_eq!(report.status(), status, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_guardduty_does_not_confirm_changes_nothing_and_is_notified() {
    let mild = made_public(json!({ "/detail/severity": 2 }));
    let sample = made_public(json!({ "/detail/title": "[SAMPLE] A title" }));
    let archived = made_public(json!({ "/detail/service/archived": true }));
    let other = made_public(json!({ "/detail/resource/accessKeyDetails/userName": "other" }));
    for (known, why) in [
        (vec![], "GuardDuty has no finding"),
        (vec![other], "accessKeyDetails"),
        (vec![archived], "archived"),
        (vec![mild], "minimum-severity"),
        (vec![sample], "sample"),
    ] {
        let (_, notices, sns) = topic();
        let known = known.iter().map(|event| event["detail"].clone()).collect();
        let (_, verifier) = guardduty(known);
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        let responder = responder.verifying(verifier);
        let report = answer(&responder, made_public(json!({}))).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(report.reason().contains(why), "{why}: {}", report.reason());
        assert!(responder.playbook.applied().is_empty());
        assert_eq!(notices.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_guardduty_does_not_answer_nothing_is_enforced() {
    for (status, code, retried) in [
        (500, "InternalServerErrorException", true),
        (403, "AccessDeniedException", false),
    ] {
        let (_, notices, sns) = topic();
        let (wire, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
        wire.fail("guardduty:GetFindings", status, code);
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        let responder = responder.verifying(verifier);
        match answer(&responder, made_public(json!({}))).await {
            Err(error) => assert!(retried && error.is_transient(), "{error}"),
            Ok(report) => {
                assert!(!retried);
                assert_eq!(report.status(), Status::Failed);
            }
        }
        assert!(responder.playbook.applied().is_empty());
        let body = notices.lock().unwrap()[0].1.clone();
        assert!(body.contains("guardduty:GetFindings"), "{body}");

        wire.heal();
        let report = answer(&responder, made_public(json!({}))).await.unwrap();
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_guardduty_nothing() {
    let (_, _, sns) = topic();
    let (wire, verifier) = guardduty(vec![]);
    let responder = Responder::new(Fake::new([act("exposed")]), dry_run(), sns);
    let responder = responder.verifying(verifier);
    let report = answer(&responder, made_public(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::DryRun);
    assert!(wire.calls().is_empty());
}
