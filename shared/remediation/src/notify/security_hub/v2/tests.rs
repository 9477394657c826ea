use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_securityhub::Client;
use aws_sdk_securityhub::operation::batch_update_findings::BatchUpdateFindingsOutput;
use aws_sdk_securityhub::operation::batch_update_findings_v2::BatchUpdateFindingsV2Output;
use aws_sdk_securityhub::operation::describe_security_hub_v2::DescribeSecurityHubV2Output;
use aws_sdk_securityhub::operation::get_findings::GetFindingsOutput;
use aws_sdk_securityhub::operation::get_findings_v2::GetFindingsV2Output;
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, BatchUpdateFindingsV2UnprocessedFinding as Unprocessed,
};
use serde_json::{Value, json};
use testkit::{Rule, mock, mock_client};

use super::super::tests::{ARN, refusal, update_of, v2_is_off};
use super::*;

/// The finding as Security Hub tells it in OCSF, with a comment and a status.
#[derive(Clone, Debug)]
struct Has {
    comment: Option<String>,
    status: Option<i32>,
}

type Shared<T> = Arc<Mutex<T>>;

fn object<const N: usize>(members: [(&str, Document); N]) -> Document {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Document::Object(HashMap::from(members))
}

fn ocsf(has: &Has) -> Document {
    let text = |text: &str| Document::String(text.to_owned());
    let comment = has.comment.as_deref().map_or(Document::Null, text);
    let status = has.status.map_or(Document::Null, |status| {
        Document::Number(Number::PosInt(u64::try_from(status).unwrap()))
    });
    let product = object([(
        "uid",
        text("arn:aws:securityhub:us-east-1::productv2/aws/guardduty"),
    )]);
    object([
        (
            "cloud",
            object([("account", object([("uid", text("111122223333"))]))]),
        ),
        ("finding_info", object([("uid", text(ARN))])),
        ("metadata", object([("product", product)])),
        ("comment", comment),
        ("status_id", status),
    ])
}

/// What Security Hub answers, and what becomes of its finding.
struct Hub {
    has: Shared<Option<Has>>,
    sent: Shared<Vec<Value>>,
    rules: Vec<Rule>,
}

/// It is on; it refuses updates as `unprocessed`.
fn on(has: Option<Has>, unprocessed: Option<&'static str>) -> Hub {
    let (has, sent) = (Arc::new(Mutex::new(has)), Shared::<Vec<Value>>::default());
    let describe = mock!(Client::describe_security_hub_v2).then_output(|| {
        DescribeSecurityHubV2Output::builder()
            .hub_v2_arn("arn")
            .build()
    });
    let keeps = Arc::clone(&has);
    let get = mock!(Client::get_findings_v2).then_compute_output(move |request| {
        let filters = request.filters().expect("filters").composite_filters();
        let filter = &filters[0].string_filters()[0];
        assert_eq!(filter.field_name(), Some(&OcsfStringField::FindingInfoUid));
        assert_eq!(filter.filter().and_then(|it| it.value()), Some(ARN));
        let found = keeps.lock().unwrap().as_ref().map(ocsf);
        GetFindingsV2Output::builder()
            .set_findings(Some(found.into_iter().collect()))
            .build()
    });
    let (keeps, to) = (Arc::clone(&has), Arc::clone(&sent));
    let update = mock!(Client::batch_update_findings_v2).then_compute_output(move |request| {
        let finding = &request.finding_identifiers()[0];
        to.lock().unwrap().push(json!({
            "account": finding.cloud_account_uid(), "finding": finding.finding_info_uid(),
            "product": finding.metadata_product_uid(),
            "comment": request.comment(), "status": request.status_id(),
        }));
        if unprocessed.is_none() {
            let mut has = keeps.lock().unwrap();
            let has = has.as_mut().expect("a finding");
            has.comment = request
                .comment()
                .map(ToOwned::to_owned)
                .or(has.comment.clone());
            has.status = request.status_id().or(has.status);
        }
        let refused = unprocessed.map(|code| {
            Unprocessed::builder()
                .error_code(Code::from(code))
                .error_message("as the test asked")
                .build()
        });
        BatchUpdateFindingsV2Output::builder()
            .set_unprocessed_findings(Some(refused.into_iter().collect()))
            .build()
    });
    let rules = vec![describe, get, update];
    Hub { has, sent, rules }
}

/// CSPM is off, in AWS's words.
fn cspm_is_off() -> Vec<Rule> {
    let get = mock!(Client::get_findings).then_http_response(|| {
        let told = "Account 111122223333 is not subscribed to AWS Security Hub";
        refusal(401, "InvalidAccessException", told)
    });
    vec![get]
}

/// CSPM is on; how often it was updated.
fn cspm_is_on() -> (Shared<usize>, Vec<Rule>) {
    let updates = Shared::<usize>::default();
    let get = mock!(Client::get_findings).then_output(|| {
        let finding = AwsSecurityFinding::builder().build();
        GetFindingsOutput::builder().findings(finding).build()
    });
    let counts = Arc::clone(&updates);
    let update = mock!(Client::batch_update_findings).then_compute_output(move |_| {
        *counts.lock().unwrap() += 1;
        BatchUpdateFindingsOutput::builder().build()
    });
    (updates, vec![get, update])
}

fn client(rules: impl IntoIterator<Item = Vec<Rule>>) -> SecurityHub {
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    SecurityHub::new(mock_client!(aws_sdk_securityhub, &rules))
}

fn untouched() -> Option<Has> {
    let has = Has {
        comment: None,
        status: Some(1),
    };
    Some(has)
}

#[tokio::test(start_paused = true)]
async fn each_enabled_security_hub_is_updated_by_its_own_ids() {
    for cspm in [false, true] {
        let hub = on(untouched(), None);
        let (updates, rules) = cspm_is_on();
        let rules = if cspm { rules } else { cspm_is_off() };
        let to = client([hub.rules, rules]);
        to.update(&update_of("it was left"), None)
            .await
            .expect("updated");
        let told = json!({
            "account": "111122223333", "finding": ARN,
            "product": "arn:aws:securityhub:us-east-1::productv2/aws/guardduty",
            "comment": "guardduty-responder: ec2: notified: it was left", "status": 2,
        });
        assert_eq!(*hub.sent.lock().unwrap(), [told]);
        assert_eq!(*updates.lock().unwrap(), usize::from(cspm));
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_are_off_it_is_an_error_that_does_not_come_again() {
    let to = client([vec![v2_is_off()], cspm_is_off()]);
    let error = to
        .update(&update_of("why"), None)
        .await
        .expect_err("both off");
    assert!(!error.is_transient(), "{error}");
    assert!(
        error
            .to_string()
            .contains("not subscribed to AWS Security Hub"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_analyst_has_the_last_word_there_too() {
    let ours = "guardduty-responder: ec2: dry_run: before";
    for (status, set) in [
        (None, true),
        (Some(0), true),
        (Some(1), true),
        (Some(2), false),
        (Some(3), false),
        (Some(4), false),
    ] {
        for (comment, analysts) in [
            (None, false),
            (Some(ours), false),
            (Some("ann: a test"), true),
        ] {
            let comment = comment.map(ToOwned::to_owned);
            let hub = on(
                Some(Has {
                    comment: comment.clone(),
                    status,
                }),
                None,
            );
            let to = client([hub.rules, cspm_is_off()]);
            to.update(&update_of("why"), None).await.expect("updated");
            let has = hub.has.lock().unwrap().clone().expect("a finding");
            assert_eq!(has.status, if set { Some(2) } else { status }, "{status:?}");
            assert_eq!(has.comment == comment, analysts, "{comment:?}");
            let silent = hub.sent.lock().unwrap().is_empty();
            assert_eq!(silent, analysts && !set, "{status:?} {comment:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_missing_findings_and_conflicts_are_retried() {
    let to = client([on(None, None).rules, cspm_is_on().1]);
    let error = to
        .update(&update_of("why"), None)
        .await
        .expect_err("not there");
    assert!(
        error.is_transient() && error.to_string().contains(ARN),
        "{error}"
    );
    for (code, transient) in [
        ("ResourceNotFoundException", true),
        ("ConflictException", true),
        ("InternalServerException", true),
        ("ValidationException", false),
    ] {
        let to = client([on(untouched(), Some(code)).rules, cspm_is_on().1]);
        let error = to.update(&update_of("why"), None).await.expect_err(code);
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_description_of_security_hub_does_not_stop_the_update_of_cspm() {
    let describe = |passes: bool| {
        mock!(Client::describe_security_hub_v2).then_http_response(move || {
            if passes {
                refusal(500, "InternalServerException", "as the test asked")
            } else {
                refusal(403, "AccessDeniedException", "as the test asked")
            }
        })
    };
    for passes in [false, true] {
        let (updates, rules) = cspm_is_on();
        let to = client([vec![describe(passes)], rules]);
        let updated = to.update(&update_of("why"), None).await;
        assert_eq!(updated.is_err(), passes, "{updated:?}");
        assert_eq!(*updates.lock().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_does_not_say_its_names_is_refused_by_the_name_of_the_member() {
    let whole = ocsf(&untouched().expect("a finding"));
    for path in [
        &["cloud", "account", "uid"][..],
        &["finding_info", "uid"],
        &["metadata", "product", "uid"],
    ] {
        let mut finding = whole.clone();
        let mut at = &mut finding;
        for name in &path[..path.len() - 1] {
            at = at
                .as_object_mut()
                .and_then(|it| it.get_mut(*name))
                .expect("a member");
        }
        at.as_object_mut()
            .expect("an object")
            .remove(path[path.len() - 1]);
        let Err(error) = Current::read(&finding, ARN) else {
            panic!("{path:?} is not needed");
        };
        assert!(error.to_string().contains(&path.join(".")), "{error}");
    }
    assert!(Current::read(&whole, ARN).is_ok());
}
