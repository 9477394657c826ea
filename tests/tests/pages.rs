//! Pages in a real browser.

use integration_tests::{Browser, Result};
use jiff::Timestamp;
use maud::html;
use proof::record::{AttemptResult, ContainedBy, Left, Proof, Removal, Scene, Tried, Victim};
use remediation::page::{Json, Outside, Page, Script, Section};
use serde_json::json;

const HOSTILE: &str = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\
                       \u{202e}\"' onfocus=alert(1) autofocus x='{{7*7}}${7*7}<!--";

fn shown(browser: &mut Browser, page: &str) -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.html");
    std::fs::write(&file, page)?;
    browser.open(&file)
}

#[test]
fn a_page_opens_from_a_file_shows_hostile_text_as_text_and_has_no_fault() -> Result {
    let data = json!({ "name": HOSTILE, HOSTILE: [HOSTILE] });
    let code = "const data = JSON.parse(document.getElementById('data').textContent);
                const name = document.createElement('p');
                name.id = 'name';
                name.textContent = data.name;
                document.querySelector('main').append(name);
                document.querySelector('input').addEventListener('input', event => {
                  name.hidden = !data.name.includes(event.target.value);
                });";
    let page = Page {
        title: HOSTILE,
        lead: html! { p { (Outside(HOSTILE)) } },
        sections: vec![
            Section {
                id: "values",
                heading: "Values",
                content: html! { h3 { (Outside(HOSTILE)) } (Json(&data)) },
            },
            Section {
                id: "filter",
                heading: HOSTILE,
                content: html! { label { "Only " input type="search" name="only"; } },
            },
        ],
        script: Some(Script { code, data: &data }),
    };
    let mut browser = Browser::start()?;
    shown(&mut browser, &page.render())?;
    assert_eq!(browser.faults()?, [""; 0]);
    assert_eq!(
        browser.evaluate("document.querySelectorAll('img').length")?,
        0
    );
    assert_eq!(browser.evaluate("document.scripts.length")?, 2);
    assert_eq!(
        browser.evaluate("document.getElementById('name').textContent")?,
        HOSTILE
    );
    let text = browser.text()?;
    let visible = HOSTILE.replace('\u{202e}', "\\u{202e}");
    // The first heading, the link to the section, the lead, the heading of the section, and the third.
    assert_eq!(text.matches(&visible).count(), 5, "{text}");
    let in_json = visible.replace('"', "\\\"");
    assert_eq!(text.matches(&in_json).count(), 3, "{text}");

    browser.evaluate("document.querySelector('input').focus()")?;
    browser.write("no such name")?;
    assert_eq!(
        browser.evaluate("document.getElementById('name').hidden")?,
        true
    );
    browser.stop()
}

/// The checks find what they are for: each of these pages has the fault that is named.
#[test]
fn the_browser_finds_faults_of_a_page() -> Result {
    let whole = |head: &str, body: &str| {
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8>\
             <meta name=viewport content='width=device-width'><title>x</title>{head}\
             <main><h1>x</h1>{body}</main></html>"
        )
    };
    let csp = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">";
    let mut browser = Browser::start()?;
    shown(
        &mut browser,
        &whole(
            "",
            "<p>Nothing is wrong.</p><a href='#a' id=a>a</a><button>b</button>",
        ),
    )?;
    assert_eq!(browser.faults()?, [""; 0]);
    for (head, body, fault) in [
        ("", "<button></button>", "a button has no name"),
        ("", "<input>", "a textbox has no name"),
        (
            "",
            "<svg role=img><rect width=1 height=1 /></svg>",
            "has no name",
        ),
        ("", "<h3>x</h3>", "a level is left out"),
        (
            "",
            "<p style='color:#999;background:#fff'>x</p>",
            "a contrast of 2.85",
        ),
        (
            "",
            "<svg role=img aria-label=x><text y=9 fill='#bbb'>x</text></svg>",
            "a contrast of",
        ),
        (
            "",
            "<div style='width:1000px'>x</div>",
            "Phone: 1008 wide, on 360",
        ),
        ("", "<p id=a>x</p><p id=a>x</p>", "several are called a"),
        ("", "<a href='#b'>x</a>", "nothing is called b"),
        (
            "",
            "<button style='outline:none'>x</button>",
            "does not show that",
        ),
        (
            "",
            "<button onkeydown='event.preventDefault()'>x</button><button>y</button>",
            "the Tab key comes to",
        ),
        (
            "",
            "<button>x</button><button tabindex=1>y</button>",
            "an order of its own",
        ),
        (
            "",
            "<img alt=x src='http://127.0.0.1:9/x.png'>",
            "asked for http://127.0.0.1:9/x.png",
        ),
        (
            csp,
            "<img alt=x src='http://127.0.0.1:9/x.png'>",
            "Content Security Policy",
        ),
        (
            csp,
            "<script>document.title = 'y'</script>",
            "Content Security Policy",
        ),
        ("", "<script>throw new Error('broken')</script>", "broken"),
        (
            "",
            "<script>console.error('complaint')</script>",
            "complaint",
        ),
    ] {
        shown(&mut browser, &whole(head, body))?;
        let faults = browser.faults()?;
        assert!(
            faults.iter().any(|it| it.contains(fault)),
            "{body}: {faults:#?}"
        );
    }
    browser.stop()
}

/// The record of a proof in which all that AWS or an attacker says is as hostile as can be.
fn proof(shown: bool) -> Proof {
    let at = Timestamp::UNIX_EPOCH;
    let answer = |works| {
        let evidence = HOSTILE.to_owned();
        Some(AttemptResult {
            works,
            evidence,
            at,
        })
    };
    let tried = |contained| Tried {
        request: HOSTILE.to_owned(),
        before: answer(true),
        contained: answer(contained),
        stopped_after_seconds: Some(2.5),
        released: None,
    };
    let text = || Some(HOSTILE.to_owned());
    let scene = |victim| Scene {
        victim,
        resources: vec![HOSTILE.to_owned()],
        finding_type: text(),
        finding_id: text(),
        found_at: Some(at),
        status: Some("contained".to_owned()),
        reason: text(),
        steps: vec![HOSTILE.to_owned()],
        attacks: vec![tried(false)],
        bystanders: vec![tried(true)],
        released: vec![HOSTILE.to_owned()],
        not_released: text().filter(|_| !shown),
        not_shown: text().filter(|_| !shown),
    };
    Proof {
        id: "0a1b2c3d".to_owned(),
        account_id: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        caller: HOSTILE.to_owned(),
        contained_by: ContainedBy::Stack(HOSTILE.to_owned()),
        began_at: at,
        ended_at: Some(at).filter(|_| shown),
        scenes: [
            Victim::PublicBucket,
            Victim::StolenKey,
            Victim::StolenRoleSession,
            Victim::InfectedInstance,
            Victim::HijackedFunction,
        ]
        .map(scene)
        .to_vec(),
        stopped: text().filter(|_| !shown),
        removal: Removal {
            removed: vec![HOSTILE.to_owned()],
            left: vec![Left {
                resource: HOSTILE.to_owned(),
                why: HOSTILE.to_owned(),
            }],
        },
    }
}

#[test]
fn the_page_of_a_proof_opens_from_a_file_and_has_no_fault() -> Result {
    let mut browser = Browser::start()?;
    for is_shown in [true, false] {
        shown(&mut browser, &proof::page::render(&proof(is_shown)))?;
        assert_eq!(browser.faults()?, [""; 0]);
        let scripts = "document.scripts.length + document.querySelectorAll('img').length";
        assert_eq!(browser.evaluate(scripts)?, 0);
        let text = browser.text()?;
        let heading = "Proof 0a1b2c3d in account 111122223333";
        assert!(
            text.contains(heading) && text.contains("What was made and removed"),
            "{text}"
        );
        assert_eq!(
            text.contains("This attack could not be shown here"),
            !is_shown,
            "{text}"
        );
    }
    browser.stop()
}
