//! The page of `gdr rehearse` in a real browser.

use std::fs;
use std::process::{Command, Stdio};

use integration_tests::{Browser, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What an attacker may write where nothing is held against a grammar.
const HOSTILE: &str = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\
                       \u{202e}\"' onfocus=alert(1) autofocus x='{{7*7}}${7*7}<!--";

const ONE: &str = "i-00000000000000001";
const TWO: &str = "i-00000000000000002";
const THREE: &str = "i-00000000000000003";

fn finding(id: &str, kind: &str, updated: &str, resource: Value) -> Value {
    json!({
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": id,
        "type": kind, "severity": 8, "createdAt": "2026-03-04T05:00:00Z", "updatedAt": updated,
        "title": HOSTILE, "description": HOSTILE,
        "resource": resource, "service": { "count": 1, "archived": false },
    })
}

fn instance(id: &str, updated: &str) -> Value {
    let tags = json!([{ "key": HOSTILE, "value": HOSTILE }]);
    let details = json!({ "instanceId": id, "tags": tags });
    let resource = json!({ "resourceType": "Instance", "instanceDetails": details });
    finding(id, "Backdoor:EC2/C&CActivity.B!DNS", updated, resource)
}

/// Findings about three instances, a user, a bucket that somebody of another account made public, and one
/// that names an actor as hostile as can be.
fn findings() -> Vec<Value> {
    let user = json!({ "resourceType": "AccessKey", "accessKeyDetails": {
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "principalId": "AIDAEXAMPLEUSERID",
        "userName": "mallory", "userType": "IAMUser",
    } });
    let bucket = json!({
        "resourceType": "S3Bucket", "s3BucketDetails": [{ "name": "customer-data" }],
        "accessKeyDetails": { "userType": "AWSAccount", "userName": HOSTILE, "principalId": HOSTILE },
    });
    vec![
        instance(ONE, "2026-03-04T05:00:00Z"),
        instance(TWO, "2026-03-04T05:10:00Z"),
        instance(THREE, "2026-03-04T05:20:00Z"),
        finding(
            "u",
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            "2026-03-09T05:00:00Z",
            user,
        ),
        finding(
            "b",
            "UnauthorizedAccess:S3/TorIPCaller",
            "2026-03-10T05:00:00Z",
            bucket,
        ),
        finding(
            "k",
            "Behavior:EC2/TrafficVolumeUnusual",
            "2026-03-11T05:00:00Z",
            json!({}),
        ),
    ]
}

/// The page for `findings`, with a breaker of two places and a policy whose words are hostile.
fn page(folder: &TempDir, findings: &[Value]) -> Result {
    let lines: Vec<_> = findings.iter().map(|it| format!("{it}\n")).collect();
    fs::write(
        folder.path().join("export.jsonl"),
        lines.concat() + "<script>\n",
    )?;
    let policy = format!(
        "permit (principal, action, resource);\n@id({id})\n@reason({id})\n\
         forbid (principal, action, resource) when {{ resource.name == \"mallory\" }};",
        id = json!(HOSTILE.replace('\u{202e}', "")),
    );
    fs::write(folder.path().join("own.cedar"), policy)?;
    let output = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args([
            "rehearse",
            "export.jsonl",
            "--html",
            "page.html",
            "--max-containments",
            "2",
        ])
        .args(["--policy", "own.cedar", "--never-contain", "break-glass"])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    // One line of the input is no finding.
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    Ok(())
}

fn opened(findings: &[Value]) -> Result<Browser> {
    let folder = TempDir::new()?;
    page(&folder, findings)?;
    let mut browser = Browser::start()?;
    browser.open(&folder.path().join("page.html"))?;
    Ok(browser)
}

/// The targets that the list shows.
fn shown(browser: &mut Browser) -> Result<Vec<String>> {
    let names = browser.evaluate(
        "[...document.querySelectorAll('#entries > li')].filter(it => it.checkVisibility())
           .map(it => it.querySelector('strong').textContent)",
    )?;
    Ok(serde_json::from_value(names)?)
}

#[test]
fn the_page_opens_from_a_file_shows_all_there_is_and_has_no_fault() -> Result {
    let mut browser = opened(&findings())?;
    assert_eq!(browser.faults()?, [""; 0]);
    let all = [ONE, TWO, THREE, "mallory", "customer-data"];
    assert_eq!(shown(&mut browser)?, all);
    browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")?;
    assert_eq!(browser.faults()?, [""; 0]);
    let text = browser.text()?;
    for expected in [
        "withheld by the breaker",
        "withheld by policy",
        "ec2:IsolateInterface if it is no node of EKS or ECS",
        "user/mallory/AKIAIOSFODNN7EXAMPLE",
        "circuit breaker open for ec2 in account 111122223333",
        "it would have opened 1 time",
        "Behavior:EC2/TrafficVolumeUnusual",
        "MaxContainments",
        "export.jsonl:7: ",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    browser.stop()
}

#[test]
fn hostile_names_are_text() -> Result {
    let mut browser = opened(&findings())?;
    browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")?;
    assert_eq!(browser.evaluate("document.scripts.length")?, 2);
    assert_eq!(
        browser.evaluate("document.querySelectorAll('img').length")?,
        0
    );
    let title = browser.evaluate("document.title")?;
    assert_eq!(title, "Rehearsal: which targets would have been contained");
    let text = browser.text()?;
    // The reason of the policy, the actor, the setting.
    assert!(
        text.matches("<img src=x onerror=alert(1)>").count() >= 3,
        "{text}"
    );
    assert!(text.contains("\\u{202e}"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    assert_eq!(browser.problems()?, [""; 0]);
    browser.stop()
}

#[test]
fn the_filters_narrow_the_list_and_the_time_line() -> Result {
    let mut browser = opened(&findings())?;
    let bars = "document.querySelectorAll('#drawing rect').length";
    // Three instances within minutes are one bar of what was contained and one of what was not.
    assert_eq!(browser.evaluate(bars)?, 4);
    let mut choose = |id: &str, value: &str| {
        browser.evaluate(&format!(
            "(() => {{ const it = document.getElementById('{id}'); it.value = {}; \
             it.dispatchEvent(new Event('input')); }})()",
            json!(value)
        ))?;
        Ok::<_, integration_tests::Error>((shown(&mut browser)?, browser.evaluate(bars)?))
    };
    assert_eq!(
        choose("function", "ec2")?,
        (vec![ONE.into(), TWO.into(), THREE.into()], json!(2))
    );
    assert_eq!(
        choose("outcome", "breaker")?,
        (vec![THREE.to_owned()], json!(1))
    );
    assert_eq!(choose("function", "")?, (vec![THREE.to_owned()], json!(1)));
    assert_eq!(choose("outcome", "")?.0.len(), 5);
    assert_eq!(choose("name", "MALL")?.0, ["mallory"]);
    assert_eq!(choose("name", "")?.0.len(), 5);
    assert_eq!(choose("text", "toripcaller customer")?.0, ["customer-data"]);
    assert_eq!(choose("text", "no such text")?, (vec![], json!(0)));
    let count = browser.evaluate("document.getElementById('count').textContent")?;
    assert_eq!(count, "0 of 5 shown");
    // By keyboard: back to the button, and everything is there again.
    browser.evaluate("document.getElementById('text').focus()")?;
    browser.press("Tab")?;
    assert_eq!(browser.evaluate("document.activeElement.id")?, "reset");
    browser.press("Enter")?;
    assert_eq!(shown(&mut browser)?.len(), 5);
    assert_eq!(browser.problems()?, [""; 0]);
    browser.stop()
}

#[test]
fn a_page_without_anything_to_show_is_whole_too() -> Result {
    let mut browser = opened(&[])?;
    assert_eq!(browser.faults()?, [""; 0]);
    let text = browser.text()?;
    assert!(text.contains("Nothing would have been contained"), "{text}");
    browser.stop()
}

#[test]
fn the_page_of_a_long_rehearsal_stays_small_and_counts_omitted_entries() -> Result {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let many: Vec<_> = (0..2_100)
        .map(|number| {
            let time = start + SignedDuration::from_hours(2 * number);
            instance(&format!("i-{number:017x}"), &time.to_string())
        })
        .collect();
    let mut browser = opened(&many)?;
    let mut counted = |selector: &str| {
        browser.evaluate(&format!("document.querySelectorAll('{selector}').length"))
    };
    assert_eq!(counted("#entries > li")?, 2_000);
    assert_eq!(counted("#hit tbody > tr")?, 2_000);
    let text = browser.text()?;
    for expected in [
        "Only the first 2000 of 2100 are here and in the time line: gdr rehearse",
        "Only the first 2000 of 2100 are here: gdr rehearse",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    browser.stop()
}

#[test]
fn no_column_is_squeezed_by_many_types_or_long_names() -> Result {
    let mut findings: Vec<_> = (0..200)
        .map(|number| {
            let kind = format!("Behavior:EC2/ATypeOfWhichThereAreEighty{}", number % 80);
            finding(
                &format!("f{number}"),
                &kind,
                "2026-03-01T05:00:00Z",
                json!({}),
            )
        })
        .collect();
    findings.extend((0..40).map(|number| {
        let role = json!({ "resourceType": "AccessKey", "accessKeyDetails": {
            "accessKeyId": format!("ASIAIOSFODNN7EXAMP{number:02}"), "userType": "AssumedRole",
            "principalId": format!("AROAEXAMPLE:{}", "s".repeat(64)), "userName": format!("{}{number}", "r".repeat(60)),
        } });
        let kind = "UnauthorizedAccess:IAMUser/TorIPCaller";
        finding(&format!("r{number}"), kind, "2026-03-02T05:00:00Z", role)
    }));
    let mut browser = opened(&findings)?;
    let folded =
        "[...document.querySelectorAll('#left-out li')].filter(it => !it.checkVisibility()).length";
    assert_eq!(browser.evaluate(folded)?, 70);
    assert_eq!(browser.faults()?, [""; 0]);
    browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")?;
    assert_eq!(browser.faults()?, [""; 0]);
    browser.stop()
}
