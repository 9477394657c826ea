//! The page of an incident in a real browser.

use integration_tests::browser::Medium;
use integration_tests::{Browser, Result};
use jiff::Timestamp;
use playbooks::{Ec2, Iam, Lambda, S3};
use remediation::category::Category;
use remediation::page::{self, Place};
use remediation::record::Incident;
use remediation::undo;
use serde_json::{Value, json};

const HOSTILE: &str = "</pre></script><script>document.title='owned'</script><img src=x onerror=alert(1)>\
                       \u{202e}\"' autofocus onfocus=alert(1) '; rm -rf ~ #";

fn now() -> Timestamp {
    "2026-03-04T05:30:00Z".parse().expect("a time")
}

/// An instance with two interfaces, one of which was isolated.
fn instance() -> Incident {
    let step = |action: &str, target: &str, outcome: &str, from: Value, to: Value| {
        json!({
            "phase": "contain", "action": action, "target": target, "outcome": outcome,
            "detail": format!("what there is to say of {target}"), "from": from, "to": to,
        })
    };
    let isolate = json!({ "IsolateInterface": {
        "region": "us-east-1", "interface": "eni-0aaaaaaaaaaaaaaa1", "vpc": "vpc-1",
        "from": ["sg-0bbbbbbbbbbbbbbb1", "sg-0bbbbbbbbbbbbbbb2"], "to": "sg-0ccccccccccccccc1",
    }});
    Incident {
        id: "16afba5c5c43e07c9e3e5e2e544e95df".to_owned(),
        category: "ec2".to_owned(),
        finding_type: "Backdoor:EC2/C&CActivity.B!DNS".to_owned(),
        account_id: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        received_at: "2026-03-04T05:06:07.5Z".to_owned(),
        decided_at: Some("2026-03-04T05:06:08.1Z".to_owned()),
        intended_at: Some("2026-03-04T05:06:08.2Z".to_owned()),
        contained_at: Some("2026-03-04T05:06:10Z".to_owned()),
        concluded_at: Some("2026-03-04T05:06:12Z".to_owned()),
        notified_at: Some("2026-03-04T05:06:12.4Z".to_owned()),
        looked_at: Some("2026-03-04T05:07:12Z".to_owned()),
        updated_at: "2026-03-04T05:07:12Z".to_owned(),
        status: "partial".to_owned(),
        report: json!({
            "title": "The instance queries a domain of a botnet", "severity": 8.0,
            "reason": "one interface could not be changed",
            "steps": [
                step("ec2:IsolateInterface", "eni-0aaaaaaaaaaaaaaa1", "applied",
                    json!({ "Groups": ["sg-0bbbbbbbbbbbbbbb1", "sg-0bbbbbbbbbbbbbbb2"] }),
                    json!({ "Groups": ["sg-0ccccccccccccccc1"] })),
                step("ec2:IsolateInterface", "eni-0aaaaaaaaaaaaaaa2", "failed",
                    json!({ "Groups": ["sg-0bbbbbbbbbbbbbbb1"] }),
                    json!({ "Groups": ["sg-0ccccccccccccccc1"] })),
            ],
            "residual_risks": ["connections that are tracked stay open"],
            "next_steps": ["look at the second interface"],
            "investigation": [
                { "question": "who", "answer": "i-0abc1234def567890", "source": "the finding", "known": true },
                { "question": "history", "answer": "CloudTrail throttled", "source": "CloudTrail", "known": false },
                { "question": "ask_the_owner", "answer": "Does it have to ask for evil.example?",
                  "source": "the finding", "known": true },
            ],
        }),
        event: json!({
            "id": "x", "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
            "account": "111122223333", "region": "us-east-1", "time": "2026-03-04T05:06:05Z",
            "detail": {
                "id": "16afba5c5c43e07c9e3e5e2e544e95df", "type": "Backdoor:EC2/C&CActivity.B!DNS",
                "accountId": "111122223333", "region": "us-east-1", "severity": 8,
                "title": "The instance queries a domain of a botnet",
                "description": "It asked for evil.example 20 times.",
                "createdAt": "2026-03-04T05:05:00Z", "updatedAt": "2026-03-04T05:06:00Z",
                "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
                "service": {
                    "eventFirstSeen": "2026-03-01T00:00:00Z", "eventLastSeen": "2026-03-04T05:04:00Z", "count": 20,
                },
            },
        }),
        evidence: json!({
            "before": { "interfaces": [
                { "id": "eni-0aaaaaaaaaaaaaaa1", "public_addresses": [{ "public": "203.0.113.7" }],
                  "groups": ["sg-0bbbbbbbbbbbbbbb1", "sg-0bbbbbbbbbbbbbbb2"] },
                { "id": "eni-0aaaaaaaaaaaaaaa2", "public_addresses": [], "groups": ["sg-0bbbbbbbbbbbbbbb1"] },
            ]},
            "after": { "console": "login:" },
        }),
        actions: [(
            "ec2:IsolateInterface eni-0aaaaaaaaaaaaaaa1".to_owned(),
            isolate,
        )]
        .into(),
        afterwards: json!({
            "asked_at": "2026-03-04T05:22:00Z", "shown": "not_held",
            "summary": "the session called s3:ListBuckets from 198.51.100.7 after it was denied",
            "made": ["created access key AKIAIOSFODNN7EXAMPLE of mallory"],
        }),
        ..Incident::default()
    }
}

/// A user whose key was deactivated.
fn key() -> Incident {
    let deactivate = json!({ "DeactivateAccessKey": {
        "user": "mallory", "key": "AKIAIOSFODNN7EXAMPLE", "from": "Active",
    }});
    Incident {
        category: "iam".to_owned(),
        status: "contained".to_owned(),
        actions: [(
            "iam:DeactivateAccessKey AKIAIOSFODNN7EXAMPLE".to_owned(),
            deactivate,
        )]
        .into(),
        ..instance()
    }
}

/// A plan that waits for a person, of hostile names.
fn awaiting() -> Value {
    json!({
        "planned_at": "2026-03-04T05:06:12Z", "expires_at": "2026-03-04T09:06:12Z", "what": HOSTILE,
        "policy": {
            "dry_run": false, "mode": "approve", "minimum_severity": 4.0,
            "approval_not_needed_from": null, "own_account": null, "responder_roles": [],
            "never_contain": [HOSTILE],
        },
        "settings": {},
        "steps": [{
            "action": HOSTILE, "target": HOSTILE, "from": { HOSTILE: HOSTILE }, "to": [HOSTILE],
            "recorded": {},
        }],
    })
}

/// Every text in a value, also the names of members, is `HOSTILE`.
fn hostile(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(_) => value.clone(),
            Err(_) => HOSTILE.into(),
        },
        Value::Array(items) => items.iter().map(hostile).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), hostile(value)))
            .chain([(HOSTILE.to_owned(), HOSTILE.into())])
            .collect(),
        other => other.clone(),
    }
}

fn shown(browser: &mut Browser, incident: &Incident, table: Option<&str>) -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("incident.html");
    let place = table.map(|table| Place {
        table,
        policy_parameter: Some(HOSTILE),
    });
    let actions = match incident.known_category() {
        Ok(Category::S3) => undo::recorded::<S3>(incident),
        Ok(Category::Iam) => undo::recorded::<Iam>(incident),
        Ok(Category::Ec2) => undo::recorded::<Ec2>(incident),
        Ok(Category::Lambda) => undo::recorded::<Lambda>(incident),
        Ok(Category::Triage) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    };
    std::fs::write(&file, page::incident(incident, &actions, place, now()))?;
    browser.open(&file)
}

/// Every text of a value that is not the name of a member.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_page_of_an_incident_opens_from_a_file_with_nothing_missing_and_without_a_fault() -> Result {
    let mut browser = Browser::start()?;
    let incident = instance();
    shown(&mut browser, &incident, Some("incidents"))?;
    assert_eq!(browser.faults()?, [""; 0]);
    let text = browser.text()?;
    let mut parts = texts(&incident.report);
    // They are said in other words.
    parts.retain(|part| !["ask_the_owner", "applied", "failed"].contains(part));
    parts.extend([
        "What CloudTrail showed later",
        "did not hold",
        "the session called s3:ListBuckets from 198.51.100.7 after it was denied",
        "created access key AKIAIOSFODNN7EXAMPLE of mallory",
        "partly contained",
        "Not known: CloudTrail throttled",
        "What remains at risk",
        "What to ask the owner",
        "gdr release 16afba5c5c43e07c9e3e5e2e544e95df --table incidents --category ec2",
        "8 (High)",
        "It asked for evil.example 20 times.",
        "Was to become",
    ]);
    for part in parts {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")?;
    let evidence = browser.text()?;
    for part in texts(&incident.event)
        .into_iter()
        .chain(texts(&incident.evidence))
    {
        assert!(evidence.contains(part), "no {part} in:\n{evidence}");
    }
    // What happened first is first, and people were told after it was contained.
    let at = |what: &str| text.find(what).ok_or_else(|| format!("no {what}"));
    let moments = [
        "first seen",
        "last seen",
        "GuardDuty made the finding",
        "GuardDuty last updated",
        "GuardDuty sent the event",
        "the responder received it",
        "the responder decided what to do",
        "written down, and the first change began",
        "a part was contained, as read back",
        "reported",
        "the notice was sent",
        "last rechecked",
    ];
    let places: Vec<_> = moments
        .iter()
        .map(|moment| at(&format!("\n{moment}")))
        .collect::<std::result::Result<_, _>>()?;
    assert!(places.is_sorted(), "{places:?}");
    browser.stop()
}

#[test]
fn the_pictures_tell_which_groups_each_interface_was_in_and_is_in() -> Result {
    let mut browser = Browser::start()?;
    shown(&mut browser, &instance(), Some("incidents"))?;
    let pictures = browser.accessible()?;
    let picture = |name: &str| {
        let mut named = pictures.iter().filter(|(_, told)| told.starts_with(name));
        let picture = named.find(|(role, _)| role.contains("image") || role.contains("Svg"));
        picture
            .map(|(_, told)| told.clone())
            .ok_or_else(|| format!("no {name}: {pictures:#?}"))
    };
    assert_eq!(
        picture("Before: ")?,
        "Before: eni-0aaaaaaaaaaaaaaa1, public address 203.0.113.7, group sg-0bbbbbbbbbbbbbbb1, \
         group sg-0bbbbbbbbbbbbbbb2, lets through what its groups allow; eni-0aaaaaaaaaaaaaaa2, \
         group sg-0bbbbbbbbbbbbbbb1, lets through what its groups allow"
    );
    assert_eq!(
        picture("After: ")?,
        "After: eni-0aaaaaaaaaaaaaaa1, public address 203.0.113.7, group sg-0ccccccccccccccc1, \
         lets nothing through; eni-0aaaaaaaaaaaaaaa2, group sg-0bbbbbbbbbbbbbbb1, lets through what \
         its groups allow"
    );
    assert!(picture("Time line: ")?.starts_with("Time line: first seen, then last seen"));
    // Nothing of a picture lies outside of it, and the marks of the time line do not overlap.
    let outside = browser.evaluate(
        "[...document.querySelectorAll('svg')].flatMap(svg => {
           const box = svg.getBoundingClientRect();
           return [...svg.querySelectorAll('rect, circle, text')].filter(it => {
             const inner = it.getBoundingClientRect();
             return inner.left < box.left - 1 || inner.right > box.right + 1
               || inner.top < box.top - 1 || inner.bottom > box.bottom + 1;
           }).map(it => it.outerHTML);
         })",
    )?;
    assert_eq!(outside, json!([]));
    let overlapping = browser.evaluate(
        "[...document.querySelectorAll('circle')].map(it => it.getBoundingClientRect())
           .filter((it, at, all) => at > 0 && it.left < all[at - 1].right).length",
    )?;
    assert_eq!(overlapping, 0);
    browser.stop()
}

#[test]
fn hostile_names_change_nothing_but_the_text() -> Result {
    let mut browser = Browser::start()?;
    let incident = instance();
    let mut event = hostile(&incident.event);
    event["detail"]["severity"] = json!(8);
    let incident = Incident {
        id: HOSTILE.to_owned(),
        part: Some(HOSTILE.to_owned()),
        finding_type: HOSTILE.to_owned(),
        account_id: HOSTILE.to_owned(),
        region: HOSTILE.to_owned(),
        status: HOSTILE.to_owned(),
        awaiting: awaiting(),
        approved: Some(format!("by {HOSTILE} at {}", now())),
        rejected: Some(format!("by x at {}: {HOSTILE}", now())),
        report: hostile(&incident.report),
        evidence: hostile(&incident.evidence),
        afterwards: hostile(&incident.afterwards),
        event,
        actions: [(HOSTILE.to_owned(), HOSTILE.into())].into(),
        ..incident
    };
    for category in ["ec2", "iam", "lambda", "s3", "triage", HOSTILE] {
        let incident = Incident {
            category: category.to_owned(),
            ..incident.clone()
        };
        for table in [Some(HOSTILE), None] {
            shown(&mut browser, &incident, table)?;
            assert_eq!(browser.faults()?, [""; 0], "{category}");
            assert_eq!(browser.evaluate("document.scripts.length")?, 0);
            assert_eq!(browser.evaluate("document.images.length")?, 0);
            let title = browser.evaluate("document.title")?;
            assert!(
                title
                    .as_str()
                    .is_some_and(|title| title.starts_with("Incident: </pre>"))
            );
            assert!(!browser.text()?.contains('\u{202e}'));
        }
    }
    // What is copied into a shell is one word of it, whatever the id is.
    shown(
        &mut browser,
        &Incident {
            category: "s3".to_owned(),
            ..incident
        },
        Some("t"),
    )?;
    let id = HOSTILE.replace('\u{202e}', "\\u{202e}");
    let of_incident = [&id, "--table", "t", "--category", "s3"];
    for (word, more) in [
        ("release", &[][..]),
        ("approve", &["--policy-parameter", &id]),
        ("reject", &["--reason", "why"]),
    ] {
        let command = browser.evaluate(&format!(
            "[...document.querySelectorAll('pre')].map(it => it.textContent)
               .find(it => it.startsWith('gdr {word} '))"
        ))?;
        let command = command
            .as_str()
            .ok_or_else(|| format!("no {word}"))?
            .replacen("gdr", "printf %s\\\\n", 1);
        let output = std::process::Command::new("sh")
            .args(["-c", &command])
            .output()?;
        let words = String::from_utf8(output.stdout)?;
        let words: Vec<_> = words.lines().collect();
        assert_eq!(words, [&[word], &of_incident[..], more].concat());
    }
    browser.stop()
}

#[test]
fn an_incident_of_which_little_is_known_has_a_page_too() -> Result {
    let mut browser = Browser::start()?;
    let nothing = Incident::default();
    let begun = Incident {
        status: "containing".to_owned(),
        report: Value::Null,
        ..instance()
    };
    let released = Incident {
        status: "released".to_owned(),
        released: Some("by arn:aws:iam::111122223333:user/olga at 2026-03-04T06:00:00Z".to_owned()),
        ..instance()
    };
    for (incident, table, told) in [
        (
            &nothing,
            Some("t"),
            "Nothing was changed, so there is nothing to release.",
        ),
        (&nothing, None, "Put back by hand"),
        (&begun, Some("t"), "being contained"),
        (
            &released,
            Some("t"),
            "It was released by arn:aws:iam::111122223333:user/olga at",
        ),
    ] {
        shown(&mut browser, incident, table)?;
        assert_eq!(browser.faults()?, [""; 0]);
        let text = browser.text()?;
        assert!(text.contains(told), "no {told} in:\n{text}");
    }
    browser.stop()
}

#[test]
fn a_key_is_activated_again_only_by_a_command_that_names_it() -> Result {
    let mut browser = Browser::start()?;
    shown(&mut browser, &key(), Some("incidents"))?;
    assert_eq!(browser.faults()?, [""; 0]);
    let commands = browser
        .evaluate("[...document.querySelectorAll('#release pre')].map(it => it.textContent)")?;
    let plain = "gdr release 16afba5c5c43e07c9e3e5e2e544e95df --table incidents --category iam";
    assert_eq!(
        commands,
        json!([
            plain,
            format!("{plain} --reactivate-key AKIAIOSFODNN7EXAMPLE")
        ])
    );
    browser.stop()
}

#[test]
fn on_paper_nothing_stays_folded() -> Result {
    let mut browser = Browser::start()?;
    shown(&mut browser, &instance(), Some("incidents"))?;
    let folded = "[...document.querySelectorAll('details')].filter(it =>
        !it.querySelector('summary').nextElementSibling.checkVisibility()).length";
    assert_ne!(browser.evaluate(folded)?, 0, "on a screen they are folded");
    browser.show_on(Medium::Paper)?;
    assert_eq!(browser.evaluate(folded)?, 0);
    browser.stop()
}

/// An incident of `count` steps of each outcome, with names as long as AWS allows.
fn large(count: usize) -> Incident {
    let mut incident = instance();
    let steps = ["already", "applied", "failed"].into_iter().flat_map(|outcome| {
        (0..count).map(move |number| {
            let phase = if outcome == "applied" { "preserve" } else { "contain" };
            let role = "r".repeat(64);
            let targets: Vec<_> = (0..12).map(|it| format!("sg-{it:017x}")).collect();
            json!({
                "phase": phase, "action": "elasticloadbalancing:DeregisterTarget", "outcome": outcome,
                "target": format!("arn:aws:iam::111122223333:role/{role}{number}"), "detail": "done",
                "from": { "TargetGroupsOfTheInstance": targets }, "to": { "TargetGroupsOfTheInstance": [] },
            })
        })
    });
    incident.report["steps"] = steps.collect();
    incident
}

#[test]
fn many_steps_with_long_names_fold_and_fit_every_medium() -> Result {
    let mut browser = Browser::start()?;
    shown(&mut browser, &large(700), Some("incidents"))?;
    assert_eq!(browser.faults()?, [""; 0]);
    browser.show_on(Medium::Desktop)?;
    let shown = "[...document.querySelectorAll('article h3')].filter(it => it.checkVisibility())
        .map(it => it.textContent)";
    let shown: Vec<String> = serde_json::from_value(browser.evaluate(shown)?)?;
    assert!(
        shown.len() == 20 && shown.iter().all(|it| it.ends_with("failed")),
        "{shown:?}"
    );
    let text = browser.text()?;
    assert!(text.contains("700 steps were in place already"), "{text}");
    assert!(text.contains("and 1380 more"), "{text}");
    browser.stop()
}

#[test]
fn the_first_screen_has_status_facts_and_next_action() -> Result {
    let mut browser = Browser::start()?;
    for medium in [Medium::Desktop, Medium::Phone] {
        shown(&mut browser, &instance(), Some("incidents"))?;
        browser.show_on(medium)?;
        let first = browser.evaluate(
            "[...document.querySelectorAll('main > .panel *')]
               .filter(it => it.getBoundingClientRect().bottom <= 800).map(it => it.textContent).join(' ')",
        )?;
        let first = first.as_str().unwrap_or_default();
        for part in [
            "partly contained",
            "i-0abc1234def567890",
            "Backdoor:EC2/C&CActivity.B!DNS, severity 8 (High)",
            "first seen 2026-03-01T00:00:00Z, a part contained 2026-03-04T05:06:10Z",
            "What to do now",
            "look at the second interface",
        ] {
            assert!(first.contains(part), "{medium:?}: no {part} in: {first}");
        }
    }
    browser.stop()
}
