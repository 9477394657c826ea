use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use model::breaker::Limits;
use model::category::Category;
use model::decision::{ResponseMode, ResponseSettings};
use model::finding::Finding;
use model::settings::Settings;
use policy::{DEFAULT, LoadedPolicies};
use sample_findings::{attack, event, user_detail};

fn rules() -> Rules {
    Rules {
        policy: ResponseSettings {
            dry_run: true,
            mode: ResponseMode::Contain,
            minimum_severity: Some(4.0),
            approval_not_needed_from: None,
            own_account: None,
            quarantine_objects: false,
            responder_roles: vec![],
            never_contain: vec![],
        },
        modes: Modes {
            s3: ResponseMode::Contain,
            iam: ResponseMode::Contain,
            ec2: ResponseMode::Contain,
            lambda: ResponseMode::Contain,
        },
        settings: Settings::default(),
        limits: Limits::default(),
        hand_over: false,
        archived: false,
        since: None,
        until: None,
        sizes: vec![],
    }
}

/// The events, rehearsed under `rules` and the default policies with `more`.
fn rehearsed_with(rules: Rules, more: &str, events: &[Value]) -> Report {
    let guard = LoadedPolicies::new(&format!("{DEFAULT}\n{more}"));
    assert_eq!(guard.problem(), None);
    let rehearser = Rehearser::new(rules, guard).unwrap();
    let mut evaluations = Vec::new();
    for event in events {
        let mut finding = Finding::read(event).unwrap();
        let document = || Some(event["detail"].clone());
        evaluations.extend(rehearser.look(&mut finding, false, document).unwrap());
    }
    rehearse(rehearser.rules(), evaluations)
}

fn rehearsed(events: &[Value]) -> Report {
    rehearsed_with(rules(), "", events)
}

/// An event of a finding about this instance, which came `minutes` after the first one.
fn instance(id: &str, minutes: i64) -> Value {
    at(
        minutes,
        event(json!({
            "id": format!("finding-{id}"),
            "type": "Backdoor:EC2/C&CActivity.B!DNS",
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": id } },
        })),
    )
}

fn at(minutes: i64, mut event: Value) -> Value {
    let first: Timestamp = "2026-03-04T10:00:00Z".parse().unwrap();
    event["time"] = json!((first + SignedDuration::from_mins(minutes)).to_string());
    event
}

fn user(name: &str, minutes: i64) -> Value {
    at(minutes, event(user_detail(name)))
}

/// The outcomes and the targets, in the order of time.
fn told(report: &Report) -> Vec<(Outcome, &str)> {
    let entries = report.entries.iter();
    entries
        .map(|entry| (entry.outcome, entry.name.as_str()))
        .collect()
}

const ONE: &str = "i-00000000000000001";
const TWO: &str = "i-00000000000000002";
const THREE: &str = "i-00000000000000003";

#[test]
fn a_target_is_contained_once_and_repetitions_are_counted() {
    let report = rehearsed(&[instance(ONE, 30), instance(ONE, 0), instance(TWO, 10)]);
    assert_eq!(
        told(&report),
        [(Outcome::Contained, ONE), (Outcome::Contained, TWO)]
    );
    let first = &report.entries[0];
    assert_eq!((first.events, first.findings), (2, 1));
    assert_eq!(first.at.to_string(), "2026-03-04T10:00:00Z");
    assert_eq!(first.last.to_string(), "2026-03-04T10:30:00Z");
    assert_eq!(first.by, ["playbooks"]);
    let Numbers {
        findings,
        events,
        contained,
        left_out,
        ..
    } = report.summary;
    assert_eq!((findings, events, contained, left_out), (2, 3, 2, 0));
    let hit: Vec<_> = report.hit.iter().map(|hit| hit.name.as_str()).collect();
    assert_eq!(hit, [ONE, TWO]);
}

#[test]
fn the_breaker_opens_and_a_withheld_finding_is_contained_at_its_next_delivery() {
    let limits = Limits {
        containments: 2,
        ..Limits::default()
    };
    let few = Rules { limits, ..rules() };
    let report = rehearsed_with(
        few,
        "",
        &[
            instance(ONE, 0),
            instance(TWO, 10),
            instance(THREE, 20),
            // Contained already, which needs no place.
            instance(ONE, 30),
            instance(THREE, 59),
            instance(THREE, 61),
        ],
    );
    assert_eq!(
        told(&report),
        [
            (Outcome::Contained, ONE),
            (Outcome::Contained, TWO),
            (Outcome::Breaker, THREE),
            (Outcome::Contained, THREE),
        ]
    );
    let [opening] = &report.openings[..] else {
        panic!("{:?}", report.openings)
    };
    assert_eq!(opening.at.to_string(), "2026-03-04T10:20:00Z");
    assert_eq!((opening.places, opening.withheld), (2, 2));
    let places = [ONE, TWO].map(|id| format!("us-east-1/{id}"));
    assert_eq!(opening.contained, places);
    assert_eq!(report.entries[2].events, 2);
    let window = &report.windows[0];
    assert_eq!((window.most, window.most_without_breaker), (2, 3));
    assert_eq!(report.summary.contained, 3);
    assert_eq!(report.summary.breaker, 1);
}

#[test]
fn a_breaker_that_stays_full_opens_once_in_the_time_of_a_window() {
    let limits = Limits {
        containments: 1,
        ..Limits::default()
    };
    // A new one every 20 minutes: places are free after an hour, and whoever is first has them.
    let ids: Vec<_> = (0..10).map(|n| format!("i-0000000000000000{n}")).collect();
    let events: Vec<_> = (0..10)
        .map(|n| instance(&ids[n as usize], n * 20))
        .collect();
    let few = Rules { limits, ..rules() };
    let report = rehearsed_with(few, "", &events);
    let opened: Vec<_> = report.openings.iter().map(|it| it.at.to_string()).collect();
    assert_eq!(
        opened,
        [
            "2026-03-04T10:20:00Z",
            "2026-03-04T11:20:00Z",
            "2026-03-04T12:20:00Z",
        ]
    );
    assert_eq!(report.summary.contained, 4);
}

#[test]
fn a_share_of_a_crowd_is_held_where_its_size_is_known() {
    let of = |name: &str, minutes| {
        let mut event = user(name, minutes);
        event["detail"]["id"] = json!(format!("finding-{name}"));
        event
    };
    let events = [of("alice", 0), of("bob", 1), of("carol", 2)];
    let unsized_crowd = rehearsed(&events);
    assert_eq!(unsized_crowd.summary.contained, 3);
    let users = |report: &Report| {
        let window = report.windows.iter().find(|window| window.crowd.is_some());
        window.map(|window| (window.places, window.most)).unwrap()
    };
    assert_eq!(users(&unsized_crowd), (None, 3));
    assert!(
        unsized_crowd
            .remarks
            .iter()
            .any(|it| it.contains("MaxSharePercent (50) was not applied to the users")),
        "{:?}",
        unsized_crowd.remarks
    );
    let of_size = |size| Rules {
        sizes: vec![GroupSize::Users(size)],
        limits: Limits {
            share_percent: 20,
            ..Limits::default()
        },
        ..rules()
    };
    // Of a handful a share would be nobody.
    let handful = rehearsed_with(of_size(9), "", &events);
    assert_eq!(users(&handful), (Some(20), 3));
    assert_eq!(handful.summary.contained, 3);
    let sized = rehearsed_with(of_size(10), "", &events);
    assert_eq!(users(&sized), (Some(2), 2));
    assert_eq!(sized.summary.contained, 2);
    assert_eq!(sized.openings[0].crowd.as_deref(), Some("the users"));
}

#[test]
fn the_buckets_of_a_finding_have_their_places_together_or_none() {
    let buckets = |id: &str, names: &[&str], minutes| {
        let buckets: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        at(
            minutes,
            event(json!({
                "id": id,
                "type": "Policy:S3/BucketAnonymousAccessGranted",
                "resource": { "resourceType": "AccessKey", "s3BucketDetails": buckets },
            })),
        )
    };
    let limits = Limits {
        containments: 2,
        ..Limits::default()
    };
    let few = Rules { limits, ..rules() };
    let report = rehearsed_with(
        few,
        "",
        &[
            buckets("a", &["bucket-a"], 0),
            buckets("b", &["bucket-b", "bucket-c"], 1),
            buckets("c", &["bucket-d"], 2),
            buckets("d", &["bucket-e", "bucket-f", "bucket-g"], 3),
        ],
    );
    assert_eq!(
        told(&report),
        [
            (Outcome::Contained, "bucket-a"),
            (Outcome::Breaker, "bucket-b"),
            (Outcome::Breaker, "bucket-c"),
            (Outcome::Contained, "bucket-d"),
            (Outcome::Breaker, "bucket-e"),
            (Outcome::Breaker, "bucket-f"),
            (Outcome::Breaker, "bucket-g"),
        ]
    );
    assert!(
        report.entries[4]
            .reason
            .contains("this finding alone needs 3")
    );
    assert_eq!(report.openings.len(), 1);
}

#[test]
fn a_principal_that_is_never_contained_counts_as_an_exemption() {
    let mut sparing = rules();
    sparing.policy.never_contain = vec!["deployer".to_owned()];
    let report = rehearsed_with(sparing, "", &[user("deployer", 0), user("mallory", 5)]);
    assert_eq!(
        told(&report),
        [
            (Outcome::Withheld, "deployer"),
            (Outcome::Contained, "mallory")
        ]
    );
    let [exemption] = &report.exemptions[..] else {
        panic!("{:?}", report.exemptions)
    };
    assert_eq!(exemption.by, "rail:never-contain");
    assert_eq!(exemption.findings, 1);
    assert!(
        exemption
            .targets
            .contains("user/deployer/AKIAIOSFODNN7EXAMPLE")
    );
}

#[test]
fn policies_are_asked_for_the_time_of_the_event() {
    let overnight =
        include_str!("../../../infra/policies/examples/only-high-severity-overnight.cedar");
    let medium = |minutes| {
        let mut event = instance(ONE, minutes);
        event["detail"]["severity"] = json!(5);
        event
    };
    // At 22 o'clock, and the next morning.
    let report = rehearsed_with(rules(), overnight, &[medium(12 * 60), medium(23 * 60)]);
    assert_eq!(
        told(&report),
        [(Outcome::Withheld, ONE), (Outcome::Contained, ONE)]
    );
    assert_eq!(report.entries[0].by, ["overnight"]);
    assert_eq!(report.exemptions[0].by, "overnight");
}

#[test]
fn steps_that_depend_on_observed_values_are_marked() {
    let ci = include_str!("../../../infra/policies/examples/ci-keys-above-severity-8.cedar");
    let report = rehearsed_with(rules(), ci, &[user("builder", 0)]);
    let entry = &report.entries[0];
    assert_eq!(entry.outcome, Outcome::Contained);
    assert_eq!(entry.depends_on, ["its path (policy ci-keys)"]);
    let step = |name: &str| entry.steps.iter().find(|step| step.action == name).unwrap();
    assert_eq!(step("iam:RevokeUserSessions").depends_on, [""; 0]);
    assert_eq!(step("iam:DeactivateAccessKey").depends_on.len(), 1);
    assert_eq!(report.summary.uncertain, 1);
}

#[test]
fn approval_is_awaited_in_that_mode() {
    let mut approve = rules();
    approve.modes.ec2 = ResponseMode::Approve;
    approve.policy.approval_not_needed_from = Some(8.5);
    let mut critical = instance(TWO, 5);
    critical["detail"]["severity"] = json!(9);
    let events = [instance(ONE, 0), critical, instance(ONE, 10)];
    let report = rehearsed_with(approve, "", &events);
    assert_eq!(
        told(&report),
        [(Outcome::AwaitsApproval, ONE), (Outcome::Contained, TWO)]
    );
    assert_eq!(report.entries[0].events, 2);
    assert_eq!(report.entries[0].by, ["approval"]);
    assert!(report.exemptions.is_empty(), "{:?}", report.exemptions);
}

#[test]
fn findings_not_contained_are_left_out_with_the_reason() {
    let with = |id: &str, changes: Value| {
        let mut event = instance(ONE, 0);
        event["detail"]["id"] = json!(id);
        for (pointer, value) in changes.as_object().unwrap() {
            *event.pointer_mut(pointer).unwrap() = value.clone();
        }
        event
    };
    let sample = with(
        "a",
        json!({ "/detail/service": { "additionalInfo": { "sample": true } } }),
    );
    let archived = with("b", json!({ "/detail/service/archived": true }));
    let victim = with(
        "c",
        json!({ "/detail/type": "UnauthorizedAccess:EC2/SSHBruteForce" }),
    );
    let low = with("d", json!({ "/detail/severity": 2 }));
    let kind = with(
        "e",
        json!({ "/detail/type": "Behavior:EC2/NetworkPortUnusual" }),
    );
    let nameless = with("f", json!({ "/detail/resource/instanceDetails": {} }));
    let root = at(
        0,
        event(json!({
            "id": "g", "type": "UnauthorizedAccess:IAMUser/TorIPCaller",
            "resource": { "resourceType": "AccessKey",
                "accessKeyDetails": { "userType": "Root", "userName": "Root" } },
        })),
    );
    let events = [sample, archived.clone(), victim, low, kind, nameless, root];
    let report = rehearsed(&events);
    assert!(report.entries.is_empty(), "{:?}", report.entries);
    let mut causes: Vec<_> = report.left_out.iter().map(|left| left.cause).collect();
    causes.sort_unstable();
    assert_eq!(
        causes,
        [
            Reason::Sample,
            Reason::Archived,
            Reason::Victim,
            Reason::Kind,
            Reason::Setting,
            Reason::Nothing,
            Reason::Malformed,
        ]
    );
    assert!(report.left_out.iter().all(|left| !left.reason.is_empty()));
    assert_eq!(report.summary.left_out, 7);
    assert!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("--archived")),
        "{:?}",
        report.remarks
    );
    let unarchived = Rules {
        archived: true,
        ..rules()
    };
    let report = rehearsed_with(unarchived, "", &[archived]);
    assert_eq!(told(&report), [(Outcome::Contained, ONE)]);
}

#[test]
fn of_a_bucket_that_was_read_with_credentials_only_the_credentials_are_contained() {
    let mut detail = user_detail("mallory");
    detail["type"] = json!("Exfiltration:S3/AnomalousBehavior");
    detail["resource"]["resourceType"] = json!("S3Bucket");
    detail["resource"]["s3BucketDetails"] = json!([{ "name": "customer-data" }]);
    let report = rehearsed(&[at(0, event(detail))]);
    assert_eq!(told(&report), [(Outcome::Contained, "mallory")]);
    assert_eq!(report.left_out[0].function, Category::S3);
    assert_eq!(report.left_out[0].cause, Reason::Nothing);
    // The finding itself is not left out.
    assert_eq!(report.summary.left_out, 0);
}

#[test]
fn sessions_are_cut_off_anew_and_a_key_stays_inactive() {
    let seen = |minutes| {
        let mut event = user("mallory", minutes);
        event["detail"]["service"]["eventLastSeen"] = event["time"].clone();
        event
    };
    let session = |minutes| {
        let mut event = seen(minutes);
        event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] =
            json!("ASIAIOSFODNN7EXAMPLE");
        event
    };
    // Delivered once more without newer activity, which cuts nothing off.
    let mut same = session(30);
    same["time"] = session(35)["time"].clone();
    let report = rehearsed(&[session(0), session(30), same, seen(40), seen(50)]);
    let again: Vec<_> = report
        .entries
        .iter()
        .map(|entry| (entry.target.as_str(), entry.again))
        .collect();
    assert_eq!(
        again,
        [
            ("user/mallory/sessions", false),
            ("user/mallory/sessions", true),
            ("user/mallory/AKIAIOSFODNN7EXAMPLE", false),
        ]
    );
    let [hit] = &report.hit[..] else {
        panic!("{:?}", report.hit)
    };
    assert_eq!(
        (hit.kind, hit.name.as_str(), hit.containments),
        ("User", "mallory", 3)
    );
}

#[test]
fn a_finding_of_the_api_came_when_it_was_made_and_when_it_was_updated() {
    let exported = instance(ONE, 0)["detail"].clone();
    let rehearser = |since: Option<&str>| {
        let since = since.map(|since| since.parse().unwrap());
        Rehearser::new(Rules { since, ..rules() }, LoadedPolicies::new(DEFAULT)).unwrap()
    };
    let times = |rehearser: &Rehearser, last_known_only| -> Vec<_> {
        let mut finding = Finding::read(&exported).unwrap();
        let looked = rehearser.look(&mut finding, last_known_only, || None);
        let looked = looked.unwrap();
        looked.iter().map(|it| it.at().to_string()).collect()
    };
    let both = ["2026-03-04T05:00:00Z", "2026-03-04T05:05:00Z"];
    assert_eq!(times(&rehearser(None), true), both);
    assert_eq!(times(&rehearser(None), false), both[1..]);
    assert_eq!(
        times(&rehearser(Some("2026-03-04T05:01:00Z")), true),
        both[1..]
    );
    assert_eq!(
        times(&rehearser(Some("2026-03-05T00:00:00Z")), true),
        [""; 0]
    );
}

#[test]
fn dispatched_parts_of_a_sequence_are_rehearsed() {
    let sequence = attack(json!({}));
    let report = rehearsed(std::slice::from_ref(&sequence));
    assert_eq!(report.left_out[0].cause, Reason::Kind);
    let handed_over = Rules {
        hand_over: true,
        ..rules()
    };
    let report = rehearsed_with(handed_over, "", &[sequence]);
    let mut functions: Vec<_> = report.entries.iter().map(|it| it.function).collect();
    functions.sort_unstable();
    assert_eq!(functions, [Category::S3, Category::Iam, Category::Ec2]);
}

#[test]
fn a_policy_that_is_not_valid_permits_nothing() {
    let rehearser = Rehearser::new(rules(), LoadedPolicies::new("nonsense")).unwrap();
    let mut finding = Finding::read(&instance(ONE, 0)).unwrap();
    let evaluations = rehearser.look(&mut finding, false, || None).unwrap();
    let report = rehearse(rehearser.rules(), evaluations);
    assert_eq!(told(&report), [(Outcome::Withheld, ONE)]);
    assert_eq!(report.entries[0].by, ["no-policy"]);
}
