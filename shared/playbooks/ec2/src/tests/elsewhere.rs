//! Instances in another Region than their finding, and such as nobody finds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{ID, infected_by, profile};
use super::*;
use crate::role;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use fixtures::table::table;
use fixtures::windows::invocation;
use fixtures::{answered, enforcing, event, finding, investigate, recorded, release};
use model::finding::Finding;
use model::investigation::Question;
use model::plan::{Action as _, Step};
use remediation::record::{Incident, IncidentStore};
use remediation::release::{self as releases, Allowance, Verdict};
use remediation::respond::Responder;
use testkit::{MockResponse, mock, mock_client};

const DENY: &str = "iam:DenyInstanceCredentials";
const WEB: &str = "arn:aws:iam::111122223333:role/web";
const REGIONS: [&str; 3] = ["us-east-1", "ap-south-1", "eu-west-1"];

/// The event that the credentials of the instance were used in an API call, recorded in us-east-1.
fn stolen(details: Value) -> Value {
    by_principal("AROAEXAMPLE:i-0abc1234def567890", "web", details)
}

/// The finding that [`stolen`] gives without the section about the instance.
pub(super) fn undescribed() -> Finding {
    parsed(&stolen(Value::Null))
}

fn by_principal(id: &str, name: &str, details: Value) -> Value {
    event(json!({
        "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE", "principalId": id,
                "userName": name, "userType": "AssumedRole",
            },
            "instanceDetails": details,
        },
        "service": { "action": {
            "actionType": "AWS_API_CALL", "awsApiCallAction": { "api": "ListUsers" },
        } },
    }))
}

fn in_zone(zone: &str) -> Value {
    json!({
        "instanceId": ID, "availabilityZone": zone,
        "iamInstanceProfile": { "arn": profile("web-profile") },
    })
}

fn parsed(event: &Value) -> Finding {
    Finding::parse(event).expect("a finding")
}

/// A Region without the instance.
fn empty() -> Account {
    Account {
        missing: true,
        regions: REGIONS.into(),
        interfaces: BTreeMap::new(),
        ..one()
    }
}

/// The Region of the finding without the instance, and eu-west-1 with it.
fn two() -> (World, World) {
    let there = World::new(one());
    let here = World::to_release(empty()).reaching("eu-west-1", &there);
    (here, there)
}

/// The Region in the ARN of the instance that the role denies everything.
fn denied_in(here: &World) -> String {
    let account = here.now();
    let policy = account.policies.get(&format!("gdr-deny-{ID}"));
    let policy: Value = serde_json::from_str(policy.expect("a deny")).unwrap();
    let arn = &policy["Statement"][0]["Condition"]["ArnEquals"]["ec2:SourceInstanceARN"];
    let parts: Vec<_> = arn.as_str().unwrap().split(':').collect();
    parts[3].to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_isolated_in_the_region_of_its_zone() {
    for zone in ["eu-west-1b", "eu-west-1-lon-1a", "eu-west-1-wl1-man-wlz-1"] {
        let (here, there) = two();
        let finding = parsed(&stolen(in_zone(zone)));
        let (report, transient) = answer(&here.playbook, &finding).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(transient.is_none() && there.is_isolated("eni-1"), "{zone}");
        assert_eq!(there.now().snapshots.len(), 2);
        assert_eq!(denied_in(&here), "eu-west-1");
        let calls = here.wire.calls();
        assert!(
            calls.iter().all(|call| call.starts_with("iam:")),
            "{calls:?}"
        );
        let next = report.next_steps().join("; ");
        assert!(next.contains("in eu-west-1: this is its Region"), "{next}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_the_finding_does_not_describe_is_found_and_isolated_where_it_is() {
    let identity = "111122223333:aws:ec2-instance:i-0abc1234def567890";
    for event in [
        stolen(Value::Null),
        stolen(json!({ "instanceId": ID })),
        by_principal(identity, "aws:ec2-instance", Value::Null),
    ] {
        let between = World::new(empty());
        let (here, there) = two();
        let here = here.reaching("ap-south-1", &between);
        let (report, _) = answer(&here.playbook, &parsed(&event)).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(there.is_isolated("eni-1"));
        assert_eq!(denied_in(&here), "eu-west-1");
        let writes: Vec<_> = [&here, &between]
            .iter()
            .flat_map(|world| world.wire.writes())
            .collect();
        assert_eq!(writes, ["iam:PutRolePolicy"]);
        let (again, _) = answer(&here.playbook, &parsed(&event)).await;
        let line = again.to_line();
        assert_eq!(again.status(), Status::AlreadyContained, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_denied_as_a_whole_does_not_hide_the_instance_in_another() {
    let between = World::new(empty());
    let (here, there) = two();
    let here = here.reaching("ap-south-1", &between);
    here.wire
        .fail("ec2:DescribeInstances", 403, "UnauthorizedOperation");
    between
        .wire
        .fail("ec2:DescribeInstances", 403, "UnauthorizedOperation");
    let (report, _) = answer(&here.playbook, &parsed(&stolen(Value::Null))).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(there.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_nobody_finds_is_never_contained() {
    let empty_there = World::new(empty());
    for (finding, region, looked_for) in [
        (
            parsed(&stolen(in_zone("us-east-1a"))),
            "*",
            "ap-south-1, eu-west-1",
        ),
        (infected_by("web-profile"), "us-east-1", "us-east-1"),
    ] {
        let here = World::new(empty())
            .reaching("eu-west-1", &empty_there)
            .reaching("ap-south-1", &empty_there);
        for _ in 0..2 {
            let (report, transient) = answer(&here.playbook, &finding).await;
            assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
            assert!(transient.is_none());
            let (outcome, detail) = step(&report, ISOLATE, ID);
            assert_eq!(outcome, Outcome::Skipped);
            assert!(detail.contains(looked_for), "{detail}");
            let risks = report.residual_risks().join("; ");
            assert!(risks.contains("if it runs"), "{risks}");
        }
        assert_eq!(denied_in(&here), region);
        assert_eq!(here.wire.writes(), ["iam:PutRolePolicy"]);
        let searched = here.wire.calls().contains(&"ec2:DescribeRegions");
        assert_eq!(searched, region == "*");
        let glanced = here.playbook.glance(&finding).await.unwrap();
        let part = Ec2::plan(&finding, &glanced, &Settings::default(), now());
        assert_eq!(part.steps.len(), 1, "what is told at a glance stays true");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_found_nowhere_and_without_a_role_is_notified() {
    let there = World::new(empty());
    let here = World::new(Account {
        regions: vec!["us-east-1", "eu-west-1"],
        ..empty()
    });
    let here = here.reaching("eu-west-1", &there);
    let finding = parsed(&stolen(Value::Null));
    let (report, _) = answer(&here.playbook, &finding).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(here.wire.writes().is_empty() && there.wire.writes().is_empty());
    let told = investigate(&here.playbook, &finding).await;
    let told = answered(&told, Question::Instance);
    assert!(
        !told.is_known() && told.answer().contains("eu-west-1"),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_region_without_an_answer_is_named_and_transient_failures_are_retried() {
    for (status, code, passes) in [
        (403, "UnauthorizedOperation", false),
        (503, "RequestLimitExceeded", true),
    ] {
        for (details, expected) in [
            (Value::Null, Status::Failed),
            (in_zone("us-east-1a"), Status::Partial),
        ] {
            let between = World::new(empty());
            let (here, there) = two();
            let here = here.reaching("ap-south-1", &between);
            there.wire.fail("ec2:DescribeInstances", status, code);
            let finding = parsed(&stolen(details));
            let (report, transient) = answer(&here.playbook, &finding).await;
            assert_eq!(report.status(), expected, "{}", report.to_line());
            let (outcome, detail) = step(&report, ISOLATE, ID);
            assert_eq!(outcome, Outcome::Failed);
            assert!(
                detail.contains("eu-west-1") && detail.contains(code),
                "{detail}"
            );
            assert!(!detail.contains("ap-south-1"), "{detail}");
            assert_eq!(transient.is_some(), passes, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn regions_that_cannot_be_listed_are_a_failure_by_name() {
    let (here, there) = two();
    here.wire
        .fail("ec2:DescribeRegions", 403, "UnauthorizedOperation");
    let (report, _) = answer(&here.playbook, &parsed(&stolen(Value::Null))).await;
    assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    let (_, detail) = step(&report, ISOLATE, ID);
    assert!(detail.contains("ec2:DescribeRegions"), "{detail}");
    assert!(there.wire.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deny_stands_when_the_instance_is_found_later_and_when_it_is_found_no_longer() {
    let there = World::new(Account {
        missing: true,
        ..one()
    });
    let here = World::new(empty()).reaching("eu-west-1", &there);
    let finding = parsed(&stolen(in_zone("us-east-1a")));
    for (missing, status) in [
        (true, Status::Partial),
        (false, Status::Contained),
        (true, Status::Partial),
    ] {
        there.now().missing = missing;
        let (report, _) = answer(&here.playbook, &finding).await;
        assert_eq!(report.status(), status, "{}", report.to_line());
        assert_eq!(denied_in(&here), "*");
    }
    assert!(there.is_isolated("eni-1"));
    assert_eq!(here.wire.writes(), ["iam:PutRolePolicy"]);
    let (here, there) = two();
    answer(&here.playbook, &finding).await;
    there.now().missing = true;
    let (report, _) = answer(&here.playbook, &finding).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(denied_in(&here), "eu-west-1");
    assert_eq!(here.wire.writes(), ["iam:PutRolePolicy"]);
}

/// Earlier versions named the instance in the Region of the finding.
#[tokio::test(start_paused = true)]
async fn a_deny_that_names_another_region_is_put_right_is_no_ones_undoing_and_is_released() {
    let (here, _there) = two();
    let event = stolen(in_zone("eu-west-1b"));
    let finding = parsed(&event);
    let name = format!("gdr-deny-{ID}");
    let earlier = role::policy(&finding, "us-east-1", ID, "AROAEXAMPLE");
    let deny = Action::DenyCredentials(DenyCredentials {
        role: "web".to_owned(),
        role_arn: WEB.to_owned(),
        instance: ID.to_owned(),
        from: None,
        to: earlier.clone(),
    });
    here.now().policies.insert(name, earlier.to_string());
    let incident = Incident {
        event,
        actions: [(format!("{DENY} {WEB}"), json!(deny))].into(),
        ..Incident::default()
    };
    let (allowance, (_, record)) = (Allowance::default(), table());
    let releasing = releases::plan(&here.playbook, &record, &incident, &allowance, now());
    let steps = Box::pin(releasing).await.expect("planned");
    assert_eq!(steps[0].verdict, Verdict::Restore);
    let state = here.playbook.observe(&finding).await.unwrap();
    let plan = Ec2::plan(&finding, &state, &Settings::default(), now());
    let again = plan.steps.iter().find_map(|step| match step {
        Step::Do(change) if change.name() == DENY => Some(change),
        _ => None,
    });
    assert!(again.expect("it is put right").continues_own_change());
    answer(&here.playbook, &finding).await;
    assert_eq!(denied_in(&here), "eu-west-1");
}

#[tokio::test(start_paused = true)]
async fn policies_and_the_breaker_see_the_region_in_which_the_instance_is() {
    let (here, _there) = two();
    let finding = parsed(&stolen(Value::Null));
    let state = here.playbook.observe(&finding).await.unwrap();
    let deny = Action::DenyCredentials(DenyCredentials {
        role: "web".to_owned(),
        role_arn: WEB.to_owned(),
        instance: ID.to_owned(),
        from: None,
        to: json!({}),
    });
    let seen = format!("{:?}", Ec2::resource(&finding, &state, &deny));
    let arn = format!("arn:aws:ec2:eu-west-1:111122223333:instance/{ID}");
    assert!(seen.contains(&arn), "{seen}");
    let crowds = format!("{:?}", Ec2::blast_radius_groups(&finding, &state, &deny));
    assert!(
        crowds.contains("eu-west-1") && !crowds.contains("us-east-1"),
        "{crowds}"
    );
    assert_eq!(Ec2::evidence(&state)["region"], "eu-west-1");
    let collected = here.playbook.collect(&finding, &state).await.unwrap();
    assert_eq!(collected["ConsoleOutput"]["OutputBase64"], "bG9naW46");
}

#[tokio::test(start_paused = true)]
async fn a_release_restores_values_in_the_region_of_the_instance() {
    let (_, record) = table();
    let (here, mut there) = two();
    there.releases = true;
    let before = there.groups_of("eni-1");
    let event = stolen(Value::Null);
    let settings = Settings::default();
    let report = recorded(&here.playbook, &record, &event, &settings, now()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    // The operator who releases need not be allowed to look in all Regions.
    here.wire
        .fail("ec2:DescribeRegions", 403, "UnauthorizedOperation");
    let allowance = Allowance::default();
    let (verdicts, released) = release(&here.playbook, &record, &event, &allowance, now()).await;
    assert!(
        verdicts.contains(&(ISOLATE, Verdict::Restore)),
        "{verdicts:?}"
    );
    assert!(verdicts.contains(&(DENY, Verdict::Restore)), "{verdicts:?}");
    for step in released.expect("released") {
        assert_eq!(step.problem, None, "{step:?}");
    }
    assert_eq!(there.groups_of("eni-1"), before);
    assert!(here.now().policies.is_empty());
}

async fn respond(world: &World, record: &IncidentStore, event: Value, request: &str) -> Report {
    let publish = mock!(aws_sdk_sns::Client::publish).then_compute_response(|_| {
        MockResponse::Output::<_, PublishError>(PublishOutput::builder().build())
    });
    let sns = mock_client!(aws_sdk_sns, [&publish]);
    let responder = Responder::new(world.another_playbook(), enforcing(), sns);
    let responder = responder.recording(record.clone());
    let report = Box::pin(responder.respond(event, &invocation(request))).await;
    report.expect("an answer")
}

#[tokio::test(start_paused = true)]
async fn a_release_in_the_region_of_the_instance_counts_for_each_finding() {
    let (items, record) = table();
    let (here, mut there) = two();
    there.releases = true;
    let between = World::new(empty());
    let here = here.reaching("ap-south-1", &between);
    let undescribed = stolen(Value::Null);
    let report = respond(&here, &record, undescribed.clone(), "first").await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    for region in ["us-east-1", "eu-west-1"] {
        let key = format!("TARGET#ec2#111122223333#{region}/{ID}");
        let items = items.lock().unwrap();
        assert!(items.contains_key(&(key, "state".to_owned())), "{region}");
    }
    let allowance = Allowance::default();
    let (_, released) = release(&here.playbook, &record, &undescribed, &allowance, now()).await;
    released.expect("released");
    let mut described = stolen(in_zone("eu-west-1b"));
    described["detail"]["id"] = json!("another");
    // Of another incident about it the on-call engineer is told once.
    for (event, request, status) in [
        (undescribed, "second", Status::Ignored),
        (described, "third", Status::Notified),
    ] {
        let report = respond(&here, &record, event, request).await;
        assert_eq!(report.status(), status, "{}", report.to_line());
        assert!(!there.is_isolated("eni-1"));
    }
}

#[test]
fn the_instance_of_a_finding_without_details_is_that_of_the_session_or_identity() {
    let by = |id: &str, name: &str| parsed(&by_principal(id, name, Value::Null)).instance_id();
    assert_eq!(by("AROAEXAMPLE:i-0abc1234def567890", "web").unwrap(), ID);
    let identity = "111122223333:aws:ec2-instance:i-0abc1234def567890";
    assert_eq!(by(identity, "aws:ec2-instance").unwrap(), ID);
    for (id, name) in [("AROAEXAMPLE:deploy", "web"), ("AROAEXAMPLE", "web")] {
        let refused = by(id, name).unwrap_err().to_string();
        assert!(refused.contains("instanceDetails.instanceId"), "{refused}");
    }
    // The description in the finding counts first.
    let described = json!({ "instanceId": "i-0fedcba9876543210" });
    let described = parsed(&stolen(described)).instance_id().unwrap();
    assert_eq!(described, "i-0fedcba9876543210");
}

#[test]
fn a_finding_that_is_cut_keeps_where_the_instance_is_and_its_profile() {
    let mut long = stolen(in_zone("eu-west-1b"));
    long["detail"]["description"] = json!("long ".repeat(1_000));
    let cut = model::finding::abridged(&long, 3_000);
    assert!(cut.get("abridged").is_some());
    let cut = parsed(&cut);
    assert_eq!(cut.instance_region(), "eu-west-1");
    assert!(cut.instance_profile_arn().is_some() && cut.instance_may_be_elsewhere());
}

#[test]
fn an_event_with_another_zone_than_guardduty_has_contradicts_it() {
    let [of_event, same, other, none] = [
        in_zone("eu-west-1b"),
        in_zone("eu-west-1b"),
        in_zone("us-east-1a"),
        json!({ "instanceId": ID }),
    ]
    .map(|details| parsed(&stolen(details)));
    assert_eq!(of_event.contradicts(&same), None);
    assert_eq!(
        of_event.contradicts(&other),
        Some("resource.instanceDetails")
    );
    assert_eq!(none.contradicts(&of_event), None);
}

#[test]
fn the_zone_tells_the_region_unless_it_is_of_another_partition() {
    let region = |zone: &str| finding(json!({ "resource": { "instanceDetails": in_zone(zone) } }));
    for (zone, of) in [
        ("eu-west-1b", "eu-west-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
        ("cn-north-1a", "us-east-1"),
        ("", "us-east-1"),
        ("use1-az1", "us-east-1"),
    ] {
        assert_eq!(region(zone).instance_region(), of, "{zone}");
    }
}
