use aws_sdk_guardduty::config::http::HttpResponse;
use aws_sdk_guardduty::operation::list_detectors::ListDetectorsOutput;
use aws_sdk_s3::primitives::SdkBody;
use serde_json::json;
use testkit::{MockResponse, mock, mock_client};

use super::*;
use crate::fixtures::{ENFORCING, Protocol, Wire, attack, event};

/// A GuardDuty that has these findings, given as the details of events.
pub(crate) fn guardduty(findings: Vec<Value>) -> (Wire, Verifier) {
    let wire = Wire::new(Protocol::Json);
    let (on, ask) = (wire.clone(), wire.clone());
    let detectors = mock!(Client::list_detectors).then_compute_response(move |_| {
        on.answer("guardduty:ListDetectors", || {
            Ok(ListDetectorsOutput::builder().detector_ids("d1").build())
        })
    });
    let get = mock!(Client::get_findings).then_compute_response(move |request| {
        assert_eq!(request.detector_id(), Some("d1"));
        let mut found = findings.clone();
        found.retain(|finding| request.finding_ids().iter().any(|id| finding["id"] == **id));
        let answered = ask.answer::<(), _>("guardduty:GetFindings", || Ok(()));
        match answered {
            MockResponse::Output(()) => {
                let body = json!({ "findings": found }).to_string();
                MockResponse::Http(HttpResponse::new(
                    200.try_into().unwrap(),
                    SdkBody::from(body),
                ))
            }
            MockResponse::Http(error) => MockResponse::Http(error),
            MockResponse::Error(error) => MockResponse::Error(error),
        }
    });
    let client = mock_client!(aws_sdk_guardduty, [&detectors, &get]);
    (wire, Verifier::with_client(client))
}

pub(crate) fn made_public(changes: Value) -> Value {
    let mut event = event(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": {
            "resourceType": "AccessKey",
            "s3BucketDetails": [{ "name": "exposed" }],
            "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "principalId": "AIDAEXAMPLEUSERID",
                "userName": "someone", "userType": "IAMUser",
            },
        },
    }));
    for (pointer, value) in changes.as_object().expect("changes") {
        *event.pointer_mut(pointer).expect(pointer) = value.clone();
    }
    event
}

/// An attack sequence, with times as GuardDuty's API has them.
pub(crate) fn sequence() -> Value {
    let mut sequence = attack(json!({ "signals": [] }));
    sequence["detail"]["service"]["detection"]["sequence"]["actors"][0]["session"]["createdTime"] =
        json!(1_772_597_000);
    sequence
}

async fn verdict(verifier: &Verifier, event: &Value) -> Result<Verdict> {
    let finding = Finding::parse(event)?;
    verifier.verify(event, &finding, &ENFORCING).await
}

#[tokio::test]
async fn the_finding_that_guardduty_has_is_the_one_that_counts() {
    let current = made_public(json!({ "/detail/severity": 5.5, "/detail/service/count": 7 }));
    let (_, verifier) = guardduty(vec![current["detail"].clone()]);
    let verdict = verdict(&verifier, &made_public(json!({}))).await.unwrap();
    let Verdict::Genuine(finding) = verdict else {
        panic!("{verdict:?}")
    };
    assert!((finding.severity.value() - 5.5).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_finding_that_guardduty_does_not_have_is_missing() {
    let (_, verifier) = guardduty(vec![]);
    let verdict = verdict(&verifier, &made_public(json!({}))).await.unwrap();
    let Verdict::Missing(why) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(
        why.contains("GuardDuty has no finding 16afba5c5c43e07c9e3e5e2e544e95df"),
        "{why}"
    );
}

#[tokio::test]
async fn an_event_that_names_another_target_than_guardduty_s_finding_is_withheld_by_the_member() {
    for (pointer, value, member) in [
        (
            "/detail/type",
            json!("Policy:S3/BucketPublicAccessGranted"),
            "type",
        ),
        ("/detail/accountId", json!("444455556666"), "accountId"),
        ("/detail/region", json!("eu-west-1"), "region"),
        (
            "/detail/resource/resourceType",
            json!("S3Bucket"),
            "resource.resourceType",
        ),
        (
            "/detail/resource/accessKeyDetails/principalId",
            json!("AIDAEXAMPLEOTHERID"),
            "resource.accessKeyDetails",
        ),
        (
            "/detail/resource/accessKeyDetails/userName",
            json!("admin"),
            "resource.accessKeyDetails",
        ),
        (
            "/detail/service/eventFirstSeen",
            json!("2020-01-01T00:00:00Z"),
            "service.eventFirstSeen",
        ),
    ] {
        let (_, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
        let altered = made_public(json!({ pointer: value }));
        let verdict = verdict(&verifier, &altered).await.unwrap();
        let Verdict::Withheld(why) = verdict else {
            panic!("{pointer}: {verdict:?}")
        };
        assert!(why.contains(&format!("`{member}`")), "{pointer}: {why}");
    }
}

#[tokio::test]
async fn verification_names_the_target_that_guardduty_has_instead() {
    for (pointer, value, member) in [
        (
            "/detail/resource/s3BucketDetails/0/name",
            json!("website"),
            "resource.s3BucketDetails",
        ),
        (
            "/detail/resource/s3BucketDetails",
            json!([{ "name": "exposed" }, { "name": "website" }]),
            "resource.s3BucketDetails",
        ),
        (
            "/detail/resource/s3BucketDetails",
            json!([]),
            "resource.s3BucketDetails",
        ),
        (
            "/detail/resource/accessKeyDetails/accessKeyId",
            json!("AKIAI44QH8DHBEXAMPLE"),
            "resource.accessKeyDetails",
        ),
        (
            "/detail/resource/accessKeyDetails/principalId",
            json!("AIDAEXAMPLEUSERID:another-session"),
            "resource.accessKeyDetails",
        ),
    ] {
        let known = made_public(json!({}))["detail"].clone();
        let (_, verifier) = guardduty(vec![known.clone()]);
        let earlier = made_public(json!({ pointer: value }));
        let verdict = verdict(&verifier, &earlier).await.unwrap();
        let Verdict::Later(why, detail) = verdict else {
            panic!("{pointer}: {verdict:?}")
        };
        assert!(why.contains(&format!("`{member}`")), "{pointer}: {why}");
        assert_eq!(*detail, known, "{pointer}");
    }
}

#[tokio::test]
async fn of_the_buckets_that_guardduty_has_those_are_enforced_that_the_event_names() {
    let buckets = json!({ "/detail/resource/s3BucketDetails": [
        { "name": "website" }, { "name": "exposed" }, { "name": "third" },
    ] });
    let (_, verifier) = guardduty(vec![made_public(buckets)["detail"].clone()]);
    let verdict = verdict(&verifier, &made_public(json!({}))).await.unwrap();
    let Verdict::Genuine(current) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(current.buckets().unwrap(), ["exposed"]);
}

#[tokio::test]
async fn a_detector_that_is_gone_is_looked_up_again() {
    let (wire, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
    let event = made_public(json!({}));
    verdict(&verifier, &event).await.unwrap();
    wire.clear();
    wire.fail_once("guardduty:GetFindings", 400, "BadRequestException");
    let again = verdict(&verifier, &event).await.unwrap();
    assert!(matches!(again, Verdict::Genuine(_)), "{again:?}");
    let asked = [
        "guardduty:GetFindings",
        "guardduty:ListDetectors",
        "guardduty:GetFindings",
    ];
    assert_eq!(wire.calls(), asked);
}

#[tokio::test]
async fn an_instance_that_guardduty_s_finding_is_not_about_is_withheld() {
    let of = |id: &str| {
        event(json!({ "resource": {
            "resourceType": "Instance", "instanceDetails": { "instanceId": id } } }))
    };
    let (_, verifier) = guardduty(vec![of("i-0abc1234def567890")["detail"].clone()]);
    let verdict = verdict(&verifier, &of("i-0fff1234def567890"))
        .await
        .unwrap();
    assert!(matches!(verdict, Verdict::Withheld(_)), "{verdict:?}");
}

/// The parts of a sequence, as triage hands them over.
fn handed_over(sequence: &Value) -> Vec<Value> {
    let finding = Finding::parse(sequence).expect("a sequence");
    let parts = crate::sequence::parts(sequence, &finding, &ENFORCING).into_iter();
    parts.map(|(_, part)| part).collect()
}

#[tokio::test]
async fn a_part_of_a_sequence_is_genuine_if_guardduty_s_sequence_has_its_target() {
    // What is told of the credential since then makes it no other.
    let known = sequence();
    let mut before = known.clone();
    before["detail"]["service"]["detection"]["sequence"]["actors"] = json!([]);
    let parts = [handed_over(&known), handed_over(&before)].concat();
    assert_eq!(parts.len(), 6);
    for part in parts {
        let (_, verifier) = guardduty(vec![known["detail"].clone()]);
        let verdict = verdict(&verifier, &part).await.unwrap();
        let Verdict::Genuine(current) = verdict else {
            panic!("{verdict:?} of {part}")
        };
        let finding = Finding::parse(&part).unwrap();
        assert_eq!(current.handed_over_to(), finding.handed_over_to());
        let target = |finding: &Finding| {
            let function = finding.handed_over_to().unwrap();
            crate::decision::targets(function, finding).unwrap()
        };
        assert_eq!(target(&current), target(&finding));
    }
}

#[tokio::test]
async fn a_part_whose_target_or_occasion_guardduty_s_sequence_does_not_have_is_withheld() {
    let known = sequence();
    let parts = handed_over(&known);
    for (member, pointer, value) in [
        (
            "s3BucketDetails",
            "/detail/resource/s3BucketDetails/0/name",
            json!("website"),
        ),
        (
            "accessKeyDetails",
            "/detail/resource/accessKeyDetails/accessKeyId",
            json!("AKIAI44QH8DHBEXAMPLE"),
        ),
        (
            "accessKeyDetails",
            "/detail/resource/accessKeyDetails/userName",
            json!("admin"),
        ),
        (
            "instanceDetails",
            "/detail/resource/instanceDetails/instanceId",
            json!("i-0fff1234def567890"),
        ),
        ("instanceDetails", "/detail/region", json!("us-west-1")),
        (
            "instanceDetails",
            "/detail/accountId",
            json!("444455556666"),
        ),
        (
            "instanceDetails",
            "/detail/service/eventFirstSeen",
            json!("2020-01-01T00:00:00Z"),
        ),
        (
            "instanceDetails",
            "/detail/type",
            json!("AttackSequence:IAM/CompromisedCredentials"),
        ),
    ] {
        let mut parts = parts.iter();
        let part = parts.find(|part| part["detail"]["resource"].get(member).is_some());
        let mut part = part.expect(member).clone();
        *part.pointer_mut(pointer).expect(pointer) = value;
        let (_, verifier) = guardduty(vec![known["detail"].clone()]);
        let verdict = verdict(&verifier, &part).await.unwrap();
        assert!(
            matches!(verdict, Verdict::Withheld(_)),
            "{pointer}: {verdict:?}"
        );
    }
    // What GuardDuty has under the id is no sequence.
    let (_, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
    let verdict = verdict(&verifier, &parts[0]).await.unwrap();
    assert!(matches!(verdict, Verdict::Withheld(_)), "{verdict:?}");
}

#[tokio::test]
async fn a_finding_that_was_archived_since_is_withheld() {
    let archived = made_public(json!({ "/detail/service/archived": true }));
    let (_, verifier) = guardduty(vec![archived["detail"].clone()]);
    let verdict = verdict(&verifier, &made_public(json!({}))).await.unwrap();
    assert!(matches!(verdict, Verdict::Withheld(_)), "{verdict:?}");
}

#[tokio::test]
async fn a_denied_verification_is_an_error_with_the_permission() {
    for (operation, status, code, transient) in [
        (
            "guardduty:ListDetectors",
            403,
            "AccessDeniedException",
            false,
        ),
        ("guardduty:GetFindings", 403, "AccessDeniedException", false),
        (
            "guardduty:GetFindings",
            500,
            "InternalServerErrorException",
            true,
        ),
    ] {
        let (wire, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
        wire.fail_once(operation, status, code);
        let error = verdict(&verifier, &made_public(json!({})))
            .await
            .unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(error.to_string().contains(operation), "{error}");
        let again = verdict(&verifier, &made_public(json!({}))).await.unwrap();
        assert!(matches!(again, Verdict::Genuine(_)), "{again:?}");
    }
}

#[tokio::test]
async fn the_account_s_detector_is_asked_for_once_in_each_region() {
    let (wire, verifier) = guardduty(vec![made_public(json!({}))["detail"].clone()]);
    for (region, calls) in [
        ("us-east-1", 2),
        ("us-east-1", 1),
        ("eu-west-1", 2),
        ("eu-west-1", 1),
    ] {
        wire.clear();
        let event = made_public(json!({ "/region": region }));
        verdict(&verifier, &event).await.unwrap();
        assert_eq!(wire.calls().len(), calls, "{region}");
    }
}

#[test]
fn guardduty_is_asked_in_the_region_of_the_detector() {
    let (elsewhere, hostile) = (
        json!({ "/region": "eu-west-1" }),
        json!({ "/region": "x/../y" }),
    );
    for (event, region) in [
        (made_public(elsewhere), "eu-west-1"),
        (made_public(hostile), "us-east-1"),
        (made_public(json!({}))["detail"].clone(), "us-east-1"),
    ] {
        let finding = Finding::parse(&event).unwrap();
        assert_eq!(detector_region(&event, &finding), region);
    }
}
