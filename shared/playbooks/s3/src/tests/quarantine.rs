//! Malicious objects.

use std::collections::BTreeMap;

use super::cases::{EVERYBODY_READS, PARTNER_READS};
use super::world::objects::Stored;
use super::*;
use fixtures::looks::{Sent, at_look, delays, next, queue};
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{recorded, release};
use model::report::Status;
use remediation::execute::Execution;
use remediation::record::IncidentStore;
use remediation::release::{Allowance, Verdict};
use remediation::respond::Responder;
use testkit::Fault;

const DENY: &str = "s3:DenyTaggedObjects";
const TAG: &str = "s3:TagObjectVersion";

pub(super) fn of(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    let tags = tags.iter();
    tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Three versions of one key, its neighbour, and an object from before the bucket kept versions.
pub(super) fn uploads() -> Bucket {
    let version = |version, etag| Stored {
        key: "in/tool.exe",
        version: Some(version),
        etag,
        tags: of(&[("team", "data")]),
    };
    Bucket {
        objects: vec![
            version("v3", "33"),
            version("v2", "22"),
            version("v1", "11"),
            Stored {
                key: "in/tool.exe.txt",
                version: Some("n1"),
                etag: "44",
                ..Stored::default()
            },
            Stored {
                key: "old",
                version: None,
                etag: "55",
                ..Stored::default()
            },
        ],
        ..Bucket::default()
    }
}

fn event_of(id: &str, objects: Value) -> Value {
    event(json!({
        "id": id,
        "type": "Object:S3/MaliciousFile",
        "severity": 8,
        "resource": { "resourceType": "S3Object", "s3BucketDetails": [{ "name": "exposed", "s3ObjectDetails": objects }] },
    }))
}

fn second() -> Value {
    json!([{ "key": "in/tool.exe", "versionId": "v2", "eTag": "22", "hash": "abcd" }])
}

fn old() -> Value {
    json!([{ "key": "old", "eTag": "55" }])
}

async fn respond(world: &World, objects: Value) -> Execution<Action> {
    let finding = Finding::parse(&event_of("found", objects)).expect("a finding");
    run(&world.playbook, &finding).await
}

fn outcomes(done: &Execution<Action>) -> Vec<(&str, Outcome)> {
    done.steps
        .iter()
        .map(|step| (step.action(), step.outcome()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn exactly_the_version_of_the_finding_cannot_be_read_or_untagged_and_its_neighbours_can() {
    let world = world(uploads());
    let done = respond(&world, second()).await;
    assert_eq!(
        outcomes(&done),
        [(DENY, Outcome::Applied), (TAG, Outcome::Applied)],
        "{:?}",
        done.steps
    );
    assert_eq!(
        world.wire.writes(),
        ["s3:PutBucketPolicy", "s3:PutObjectTagging"]
    );
    let version = Some("v2");
    assert!(!world.reader_gets("in/tool.exe", version));
    assert!(!world.attacker_takes_tags_off("in/tool.exe", version));
    let tags = of(&[("team", "data"), ("gdr:quarantined", "found")]);
    assert_eq!(world.tags("in/tool.exe", version), tags);
    for (key, version) in [
        ("in/tool.exe", None),
        ("in/tool.exe", Some("v1")),
        ("in/tool.exe", Some("v3")),
        ("in/tool.exe.txt", None),
        ("old", None),
    ] {
        assert!(world.reader_gets(key, version), "{key} {version:?}");
        assert!(
            world.attacker_takes_tags_off(key, version),
            "{key} {version:?}"
        );
    }
    let risks = done.residual_risks.join("\n");
    for told in [
        "earlier copies of in/tool.exe",
        "presigned URLs",
        "GuardDuty cannot scan it again",
        "other versions",
    ] {
        assert!(risks.contains(told), "{told}: {risks}");
    }

    world.wire.clear();
    let again = respond(&world, second()).await;
    assert_eq!(
        outcomes(&again),
        [(DENY, Outcome::Already), (TAG, Outcome::Already)]
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_without_a_version_is_known_by_its_entity_tag_also_below_newer_versions() {
    for newer in [false, true] {
        let world = world(uploads());
        if newer {
            let newer = Stored {
                key: "old",
                version: Some("o2"),
                etag: "66",
                ..Stored::default()
            };
            world.now().objects.insert(4, newer);
        }
        for objects in [
            old(),
            json!([{ "key": "old", "eTag": "\"55\"", "versionId": "null" }]),
        ] {
            let done = respond(&world, objects).await;
            assert!(
                done.steps
                    .iter()
                    .all(|step| matches!(step.outcome(), Outcome::Applied | Outcome::Already)),
                "{:?}",
                done.steps
            );
            assert!(!world.reader_gets("old", Some("null")));
        }
        assert_eq!(world.reader_gets("old", None), newer);
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_object_is_tagged_in_the_place_of_one_that_is_gone_or_was_overwritten() {
    for (objects, told) in [
        (
            json!([{ "key": "in/tool.exe", "versionId": "v9", "eTag": "22" }]),
            "no such version",
        ),
        (
            json!([{ "key": "in/tool", "versionId": "v2", "eTag": "22" }]),
            "no such version",
        ),
        (
            json!([{ "key": "in/tool.exe", "eTag": "22" }]),
            "no such version",
        ),
        (json!([{ "key": "old", "eTag": "56" }]), "overwritten"),
        (
            json!([{ "key": "old" }]),
            "neither the version nor the entity tag",
        ),
    ] {
        let world = world(uploads());
        let done = respond(&world, objects).await;
        assert_eq!(
            outcomes(&done),
            [(TAG, Outcome::Skipped)],
            "{:?}",
            done.steps
        );
        assert!(done.steps[0].detail().contains(told), "{:?}", done.steps);
        assert_eq!(world.wire.writes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_has_ten_tags_or_a_policy_without_room_is_told_and_nothing_is_changed() {
    let mut full = uploads();
    for tag in 0..9 {
        full.objects[1].tags.insert(tag.to_string(), String::new());
    }
    let world = self::world::world(full);
    let done = respond(&world, second()).await;
    assert_eq!(outcomes(&done), [(TAG, Outcome::Skipped)]);
    assert!(
        done.steps[0].detail().contains("take one off"),
        "{:?}",
        done.steps
    );
    assert_eq!(world.wire.writes(), [""; 0]);

    let long = json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "x".repeat(20_000), "Effect": "Deny" }] });
    let public = Bucket {
        policy: Some(EVERYBODY_READS.to_owned()),
        policy_is_public: true,
        block: Some(BlockPublicAccess::ALL.into()),
        ..uploads()
    };
    for (bucket, told) in [
        (
            Bucket {
                policy: Some(long.to_string()),
                ..uploads()
            },
            "make room",
        ),
        (public, "take the public statement out first"),
    ] {
        let world = self::world::world(bucket);
        let done = respond(&world, second()).await;
        assert_eq!(
            outcomes(&done),
            [(DENY, Outcome::Skipped), (TAG, Outcome::Skipped)]
        );
        assert!(done.steps[0].detail().contains(told), "{:?}", done.steps);
        assert!(
            done.steps[1]
                .detail()
                .contains("the tag alone contains nothing"),
            "{:?}",
            done.steps
        );
        assert_eq!(world.wire.writes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_deny_the_object_is_not_tagged_and_nothing_counts_as_contained() {
    for (operation, expected) in [
        ("s3:PutBucketPolicy", [Outcome::Failed, Outcome::Failed]),
        ("s3:PutObjectTagging", [Outcome::Applied, Outcome::Failed]),
    ] {
        let world = world(uploads());
        world.wire.set(
            operation,
            Fault {
                code: "AccessDenied",
                status: 403,
                times: 99,
                takes_effect: false,
            },
        );
        let (_, record) = table();
        let report = recorded(
            &world.playbook,
            &record,
            &event_of("found", second()),
            &Settings::default(),
            now(),
        )
        .await;
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
        let outcomes: Vec<_> = report.steps().iter().map(|step| step.outcome()).collect();
        assert_eq!(outcomes, expected);
        assert!(world.reader_gets("in/tool.exe", Some("v2")));
        assert!(
            !world
                .tags("in/tool.exe", Some("v2"))
                .contains_key("gdr:quarantined")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deny_that_somebody_took_away_is_made_again_and_the_tag_alone_does_not_count() {
    let world = world(uploads());
    respond(&world, second()).await;
    world.now().policy = None;
    let finding = Finding::parse(&event_of("found", second())).expect("a finding");
    let state = world.playbook.observe(&finding).await.expect("a state");
    let plan = S3::plan(&finding, &state, &Settings::default(), now());
    assert!(
        plan.steps.iter().all(|step| matches!(step, Step::Do(_))),
        "{:?}",
        plan.steps
    );
    respond(&world, second()).await;
    assert!(!world.reader_gets("in/tool.exe", Some("v2")));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_gone_or_has_no_tags_on_its_objects_is_told() {
    let gone = world(Bucket {
        gone: true,
        ..uploads()
    });
    let done = respond(&gone, second()).await;
    assert_eq!(outcomes(&done), [(TAG, Outcome::Skipped)]);
    let other = world(Bucket {
        of_another_account: Some("exposed"),
        ..uploads()
    });
    let done = respond(&other, second()).await;
    assert!(
        done.steps[0].detail().contains("another account"),
        "{:?}",
        done.steps
    );
    let finding = finding(json!({
        "type": "Object:S3/MaliciousFile",
        "resource": { "s3BucketDetails": [{ "name": "fast--use1-az4--x-s3", "s3ObjectDetails": second() }] },
    }));
    let directory = world(uploads());
    let done = run(&directory.playbook, &finding).await;
    assert!(
        done.steps[0].detail().contains("have no tags"),
        "{:?}",
        done.steps
    );
    assert_eq!(directory.wire.calls(), [""; 0]);
}

async fn contain(world: &World, record: &IncidentStore, event: &Value) {
    let report = recorded(&world.playbook, record, event, &Settings::default(), now()).await;
    assert!(
        matches!(
            report.status(),
            Status::Contained | Status::AlreadyContained
        ),
        "{}",
        report.to_line()
    );
}

/// Releases, and answers the verdicts on the deny and on the tag.
async fn put_back(
    world: &World,
    record: &IncidentStore,
    event: &Value,
) -> (Option<Verdict>, Option<Verdict>) {
    let later = now() + jiff::SignedDuration::from_hours(1);
    let allowance = Allowance::default();
    let (verdicts, released) = release(&world.playbook, record, event, &allowance, later).await;
    let released = released.expect("released");
    assert!(
        released.iter().all(|step| step.problem.is_none()),
        "{released:?}"
    );
    let of = |name: &str| {
        let mut verdicts = verdicts.iter();
        let found = verdicts.find(|(action, _)| *action == name);
        found.map(|(_, verdict)| verdict.clone())
    };
    (of(DENY), of(TAG))
}

const RESTORED: (Option<Verdict>, Option<Verdict>) =
    (Some(Verdict::Restore), Some(Verdict::Restore));

#[tokio::test(start_paused = true)]
async fn a_release_puts_policy_and_tags_back_as_they_were() {
    for policy in [None, Some(PARTNER_READS.to_owned())] {
        let world = world(Bucket {
            policy: policy.clone(),
            ..uploads()
        });
        let before = world.now().objects.clone();
        for (id, objects) in [("found", second()), ("plain", old())] {
            let (_, record) = table();
            let event = event_of(id, objects);
            contain(&world, &record, &event).await;
            assert_eq!(put_back(&world, &record, &event).await, RESTORED);
            assert_eq!(world.now().policy, policy);
            assert_eq!(world.now().objects, before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_deny_stays_while_another_object_of_the_bucket_needs_it_in_either_order() {
    for swapped in [false, true] {
        let (_, record) = table();
        let world = world(uploads());
        let mut events = [event_of("first", second()), event_of("second", old())];
        for event in &events {
            contain(&world, &record, event).await;
        }
        if swapped {
            events.reverse();
        }
        let (deny, tag) = put_back(&world, &record, &events[0]).await;
        assert_eq!(tag, Some(Verdict::Restore));
        // The second found it, so that it has nothing to put back.
        assert_eq!(matches!(deny, Some(Verdict::Left(_))), !swapped, "{deny:?}");
        assert_eq!(deny.is_none(), swapped);
        let [released, kept] = if swapped {
            ["old", "in/tool.exe"]
        } else {
            ["in/tool.exe", "old"]
        };
        let of = |key| {
            if key == "old" {
                Some("null")
            } else {
                Some("v2")
            }
        };
        assert!(world.reader_gets(released, of(released)));
        assert!(!world.reader_gets(kept, of(kept)));
        assert!(
            !world.attacker_takes_tags_off(kept, of(kept)),
            "the tags are kept again"
        );
        assert_eq!(put_back(&world, &record, &events[1]).await, RESTORED);
        assert_eq!(world.now().policy, None);
        assert!(world.reader_gets(kept, of(kept)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_what_others_changed_since() {
    let (_, record) = table();
    let world = world(uploads());
    let event = event_of("found", second());
    contain(&world, &record, &event).await;
    {
        let mut bucket = world.now();
        let mut policy: Value =
            serde_json::from_str(bucket.policy.as_deref().expect("a policy")).expect("JSON");
        let statements = policy["Statement"].as_array_mut().expect("statements");
        statements.push(json!({ "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::exposed/*" }));
        bucket.policy = Some(policy.to_string());
        bucket.objects[1]
            .tags
            .insert("since".to_owned(), "yes".to_owned());
    }
    put_back(&world, &record, &event).await;
    let policy = world.policy();
    assert_eq!(
        policy["Statement"].as_array().map(Vec::len),
        Some(1),
        "{policy}"
    );
    assert_eq!(policy["Statement"][0]["Sid"], "Theirs");
    assert_eq!(
        world.tags("in/tool.exe", Some("v2")),
        of(&[("team", "data"), ("since", "yes")])
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_deleted_since_leaves_the_deny_to_be_put_back() {
    let (_, record) = table();
    let world = world(uploads());
    let event = event_of("found", second());
    contain(&world, &record, &event).await;
    world.now().objects.remove(1);
    let (deny, tag) = put_back(&world, &record, &event).await;
    assert_eq!(deny, Some(Verdict::Restore));
    assert!(matches!(tag, Some(Verdict::Left(_))), "{tag:?}");
    assert_eq!(world.now().policy, None);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_slow_to_take_effect_holds_a_release_up_and_does_not_fail_it() {
    let (_, record) = table();
    let world = world(uploads());
    let event = event_of("found", second());
    contain(&world, &record, &event).await;
    world.wire.set(
        "s3:PutObjectTagging",
        Fault {
            code: "AccessDenied",
            status: 403,
            times: 3,
            takes_effect: false,
        },
    );
    assert_eq!(put_back(&world, &record, &event).await, RESTORED);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_notified_has_its_bucket_looked_at_and_no_object() {
    let world = world(uploads());
    let finding = Finding::parse(&event_of("found", second())).expect("a finding");
    fixtures::investigate(&world.playbook, &finding).await;
    let calls = world.wire.calls();
    assert!(calls.contains(&"s3:GetBucketPolicy"), "{calls:?}");
    for call in ["s3:ListBucketVersions", "s3:GetObjectTagging"] {
        assert!(!calls.contains(&call), "{calls:?}");
    }
}

fn responder(world: &World, record: IncidentStore) -> (Sent, Responder<S3>) {
    let (sent, recheck) = queue();
    let mut config = fixtures::enforcing();
    config.policy.quarantine_objects = true;
    let clients = world.playbook.clients.clone();
    let responder = Windows::new().responder(S3 { clients }, config);
    (sent, responder.recording(record).rechecking(recheck))
}

#[tokio::test(start_paused = true)]
async fn a_deny_or_a_tag_that_somebody_takes_off_within_a_minute_is_put_on_again_and_notified() {
    for undo in [
        (|bucket: &mut Bucket| bucket.policy = None) as fn(&mut Bucket),
        |bucket| bucket.objects[1].tags.clear(),
    ] {
        let world = world(uploads());
        let (_, record) = table();
        let (sent, responder) = responder(&world, record);
        let event = event_of("found", second());
        let report = Box::pin(responder.respond(event, &invocation("request"))).await;
        assert_eq!(report.expect("a report").status(), Status::Contained);
        assert_eq!(delays(&sent), [10]);

        undo(&mut world.now());
        let (event, look) = next(&sent);
        let report = Box::pin(responder.respond(event, &at_look(look, 0))).await;
        let report = report.expect("a report");
        assert!(report.undone(), "{}", report.to_line());
        assert!(!world.reader_gets("in/tool.exe", Some("v2")));
        assert_eq!(delays(&sent), [50]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_holds_for_its_own_version_and_for_no_other_of_the_bucket() {
    let world = world(uploads());
    let (_, record) = table();
    let (_, responder) = responder(&world, record.clone());
    let first = event_of("first", second());
    let contained = Box::pin(responder.respond(first.clone(), &invocation("one"))).await;
    assert_eq!(contained.expect("a report").status(), Status::Contained);
    put_back(&world, &record, &first).await;
    let again = Box::pin(responder.respond(first, &invocation("two"))).await;
    assert_ne!(again.expect("a report").status(), Status::Contained);
    assert!(world.reader_gets("in/tool.exe", Some("v2")));
    // The activity is of before the release, and of another object.
    let other = event_of("second", old());
    let contained = Box::pin(responder.respond(other, &invocation("three"))).await;
    assert_eq!(contained.expect("a report").status(), Status::Contained);
    assert!(!world.reader_gets("old", Some("null")));
}

#[tokio::test(start_paused = true)]
async fn in_a_dry_run_both_steps_are_planned_and_nothing_is_changed() {
    let world = world(uploads());
    let mut config = fixtures::enforcing();
    config.policy.quarantine_objects = true;
    config.policy.dry_run = true;
    let clients = world.playbook.clients.clone();
    let responder = Windows::new().responder(S3 { clients }, config);
    let event = event_of("found", second());
    let report = Box::pin(responder.respond(event, &invocation("request"))).await;
    let report = report.expect("a report");
    assert_eq!(report.status(), Status::DryRun, "{}", report.to_line());
    assert_eq!(report.steps().len(), 2);
    assert_eq!(world.wire.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_told_and_no_object_is_tagged_on_a_guess() {
    for (operation, steps) in [
        ("s3:ListBucketVersions", 1),
        ("s3:GetObjectTagging", 1),
        ("s3:GetBucketPolicy", 2),
        ("s3:GetBucketPublicAccessBlock", 1),
    ] {
        let world = world(uploads());
        let fault = Fault {
            code: "AccessDenied",
            status: 403,
            times: 99,
            takes_effect: false,
        };
        world.wire.set(operation, fault);
        let done = respond(&world, second()).await;
        assert_eq!(done.steps.len(), steps, "{operation}: {:?}", done.steps);
        let failed = done.steps[0].outcome();
        assert_eq!(failed, Outcome::Failed, "{operation}: {:?}", done.steps);
        assert_eq!(world.wire.writes(), [""; 0], "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_put_into_a_key_or_a_tag_stays_in_the_call_and_is_made_printable_for_people()
{
    const KEY: &str = "a\u{202e}b\" } ] ?versionId=v9 <b>";
    let mut bucket = uploads();
    let tags = of(&[("odd\u{202e}", "\u{85}")]);
    bucket.objects.push(Stored {
        key: KEY,
        version: Some("k1"),
        etag: "77",
        tags: tags.clone(),
    });
    let world = world(bucket);
    let done = respond(&world, json!([{ "key": KEY, "versionId": "k1" }])).await;
    assert_eq!(
        done.steps[1].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
    assert!(!world.reader_gets(KEY, Some("k1")));
    assert_eq!(world.tags(KEY, Some("k1")).len(), 2);
    let told = format!("{:?}{:?}", done.steps, done.residual_risks);
    assert!(!told.contains(['\u{202e}', '\u{85}']), "{told}");
    let policy = world.policy().to_string();
    assert!(!policy.contains("versionId"), "{policy}");
}
