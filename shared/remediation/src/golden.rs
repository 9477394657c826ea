//! Ten incidents as everybody sees them: the report, the mail, what a chat shows, the event for other tools, the
//! page, and the record, from which `gdr` is shown by a test of its own. They are in `tests/golden`, a folder for
//! each, made by the real playbooks in worlds behind mocks. A change of a text shows there.
//!
//! Where a change is meant, `UPDATE_EXPECT=1 cargo test -p remediation --lib golden` writes them again.

mod kept;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use aws_sdk_sns::operation::publish::PublishOutput;
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{mock, mock_client};

use self::kept::Folder;
use crate::category::Category;
use crate::config::Config;
use crate::fixtures::looks::{self, queue};
use crate::fixtures::table::{Items, table};
use crate::fixtures::{enforcing, event, now};
use crate::notify::Notices;
use crate::page::{self, Place};
use crate::playbook::{Playbook, ec2::Ec2, iam::Iam, s3::S3, triage::Triage};
use crate::recheck::Recheck;
use crate::record::{Incident, Record};
use crate::release::{Allowance, Release, Releaser};
use crate::report::Report;
use crate::respond::{Invocation, Responder};
use crate::undo;

const CHAT: &str = "arn:aws:sns:us-east-1:111122223333:chat";
const TABLE: &str = "incidents";
const POLICIES: &str = "/guardduty-responder/guardduty-responder/policy";
/// The person who approves and releases.
pub(crate) const ON_CALL: &str = "arn:aws:sts::111122223333:assumed-role/on-call/ann";

/// All that was sent since the last look.
#[derive(Debug, Default)]
struct Sent {
    mails: Vec<String>,
    chats: Vec<Value>,
    events: Vec<Value>,
}

/// One incident, and what everybody is told of it.
pub(crate) struct Story {
    folder: Folder,
    event: Value,
    sent: Arc<Mutex<Sent>>,
    items: Items,
    record: Record,
    looks: looks::Sent,
    recheck: Option<Recheck>,
}

impl Story {
    /// The story of a finding. `number`: of the story, for its id.
    pub(crate) fn of(name: &'static str, number: u8, detail: Value) -> Self {
        let mut event = event(detail);
        event["detail"]["id"] = json!(format!("9c1f0a7e5b3d42868e1a0000000000{number:02}"));
        event["detail"]["arn"] = json!(format!(
            "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/{}",
            event["detail"]["id"].as_str().unwrap()
        ));
        let (items, record) = table();
        let (looks, recheck) = queue();
        let folder = Folder::new(name);
        folder.hold("finding.json", &indented(&event));
        Self {
            folder,
            event,
            sent: Arc::default(),
            items,
            record,
            looks,
            recheck: Some(recheck),
        }
    }

    /// A function with this playbook, which tells by every channel for people and tools.
    pub(crate) fn function<P: Playbook>(&mut self, playbook: P, config: Config) -> Responder<P> {
        let notices = self.notices(&config);
        let sns = mock_client!(aws_sdk_sns, [] as [&testkit::Rule; 0]);
        let responder = Responder::new(playbook, config, sns)
            .recording(self.record.clone())
            .telling(notices);
        match self.recheck.take() {
            Some(recheck) if P::CATEGORY != Category::Triage => responder.rechecking(recheck),
            _ => responder,
        }
    }

    fn notices(&self, config: &Config) -> Notices {
        let sent = Arc::clone(&self.sent);
        let publish = mock!(aws_sdk_sns::Client::publish).then_compute_output(move |request| {
            let message = request.message().unwrap();
            let mut sent = sent.lock().unwrap();
            if request.topic_arn() == Some(CHAT) {
                sent.chats.push(serde_json::from_str(message).unwrap());
            } else {
                let subject = request.subject().unwrap_or_default();
                sent.mails.push(format!("Subject: {subject}\n\n{message}"));
            }
            PublishOutput::builder().build()
        });
        let sns = mock_client!(aws_sdk_sns, [&publish]);
        let sent = Arc::clone(&self.sent);
        let put =
            mock!(aws_sdk_eventbridge::Client::put_events).then_compute_output(move |request| {
                let entry = &request.entries()[0];
                let detail: Value = serde_json::from_str(entry.detail().unwrap()).unwrap();
                sent.lock().unwrap().events.push(json!({
                    "source": entry.source(), "detail-type": entry.detail_type(),
                    "resources": entry.resources(), "detail": detail,
                }));
                let taken = PutEventsResultEntry::builder().event_id("taken").build();
                PutEventsOutput::builder()
                    .failed_entry_count(0)
                    .entries(taken)
                    .build()
            });
        let bus = mock_client!(aws_sdk_eventbridge, [&put]);
        Notices::new(sns, config.topic_arn.clone())
            .in_chat(CHAT.to_owned())
            .by_event(bus)
    }

    /// The finding comes in.
    pub(crate) async fn delivered<P: Playbook>(&self, responder: &Responder<P>) -> Report {
        self.respond(
            responder,
            self.event.clone(),
            crate::fixtures::windows::invocation("request"),
        )
        .await
    }

    /// The next look comes back, so many seconds after the finding came in.
    pub(crate) async fn looked<P: Playbook>(
        &self,
        responder: &Responder<P>,
        seconds: i64,
    ) -> Report {
        let (event, look) = looks::next(&self.looks);
        let invocation = Invocation {
            now: now() + jiff::SignedDuration::from_secs(seconds),
            ..looks::at_look(look, 0)
        };
        self.respond(responder, event, invocation).await
    }

    async fn respond<P: Playbook>(
        &self,
        responder: &Responder<P>,
        event: Value,
        invocation: Invocation,
    ) -> Report {
        let report = Box::pin(responder.respond(event, &invocation)).await;
        report.expect("an answer")
    }

    /// A person releases it.
    pub(crate) async fn released<P: Playbook>(
        &self,
        playbook: &P,
        allowance: &Allowance,
        at: Timestamp,
    ) -> Release {
        let incident = self.incident().await;
        let planned = crate::release::plan(playbook, &self.record, &incident, allowance, at);
        let steps = Box::pin(planned).await.expect("planned");
        let notices = self.notices(&enforcing());
        let releaser = Releaser {
            by: ON_CALL,
            record: &self.record,
            notices: Some(&notices),
        };
        let releasing =
            crate::release::release(playbook, &releaser, &incident, steps, allowance, at);
        Box::pin(releasing).await.expect("released")
    }

    async fn incident(&self) -> Incident {
        let id = self.event["detail"]["id"].as_str().unwrap();
        self.record.incidents_of(id).await.unwrap().remove(0)
    }

    /// Holds an answer, and what was told since the last time, as the chapter of this name.
    pub(crate) fn hold<T: serde::Serialize>(&self, chapter: &str, answer: &T) {
        let answer = serde_json::to_value(answer).unwrap();
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let file = |name: &str| match chapter {
            "" => name.to_owned(),
            chapter => format!("{chapter}-{name}"),
        };
        self.folder.hold(&file("report.json"), &indented(&answer));
        self.folder.hold(&file("mail.txt"), &sent.mails.join("\n"));
        self.folder
            .hold(&file("chat.json"), &indented(&json!(sent.chats)));
        let events = sent.events.into_iter().map(|mut event| {
            let detail = event["detail"].as_object_mut().expect("a detail");
            let alert = detail.remove("alert");
            if event["detail"] == answer {
                event["detail"] = json!(format!("<{}>", file("report.json")));
            }
            event["detail.alert"] = json!(alert);
            event
        });
        let events: Vec<_> = events.collect();
        self.folder
            .hold(&file("event.json"), &indented(&json!(events)));
    }

    /// Holds the page and the record as they are in the end.
    pub(crate) async fn ends(self) {
        let incident = self.incident().await;
        let place = Place {
            table: TABLE,
            policy_parameter: Some(POLICIES),
        };
        let made = "2026-03-04T05:30:00Z".parse().unwrap();
        let actions = match incident.known_category().unwrap() {
            Category::S3 => undo::recorded::<S3>(&incident),
            Category::Iam => undo::recorded::<Iam>(&incident),
            Category::Ec2 => undo::recorded::<Ec2>(&incident),
            Category::Triage => undo::recorded::<Triage>(&incident),
        };
        let page = page::incident(&incident, &actions, Some(place), made);
        self.folder.hold("page.html", &body(&page));
        let items = self.items.lock().unwrap();
        let items: BTreeMap<_, _> = items.iter().collect();
        let items: Vec<_> = items.values().map(|item| shown(item)).collect();
        self.folder.hold("record.json", &indented(&json!(items)));
        self.folder.ends();
    }
}

/// The words that begin a line of their own.
const BLOCKS: &[&str] = &[
    "dd", "details", "div", "dt", "figure", "footer", "h1", "h2", "h3", "li", "main", "nav", "p",
    "pre", "section", "svg", "table", "tr", "ul",
];

/// As it is compared and read.
fn indented(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

/// The body of a page, a line for each block, without what all pages have in common.
fn body(page: &str) -> String {
    let (_, body) = page.split_once("<body>").expect("a body");
    let (body, _) = body.split_once("</body>").expect("an end");
    let mut text = String::new();
    for (at, part) in body.split('<').enumerate() {
        let name = part.split([' ', '>']).next().unwrap_or_default();
        if BLOCKS.contains(&name) {
            text.push('\n');
        }
        if at > 0 {
            text.push('<');
        }
        text.push_str(part);
    }
    // These two are files of their own.
    for (whole, file) in [("The event", "finding.json"), ("The report", "report.json")] {
        let begins = format!("<details><summary>{whole}</summary>");
        let (before, rest) = text.split_once(&begins).expect("a part of the page");
        let (_, after) = rest.split_once("</details>").expect("an end");
        text = format!("{before}{begins}{file}</details>{after}");
    }
    text.trim().to_owned() + "\n"
}

/// An item as DynamoDB writes it in JSON.
fn shown(item: &std::collections::HashMap<String, AttributeValue>) -> Value {
    let attributes = item.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::M(inner) => json!({ "M": shown(inner) }),
            other => panic!("{name} is {other:?}"),
        };
        (name.clone(), value)
    });
    // A map of the SDK has no order.
    json!(attributes.collect::<BTreeMap<_, _>>())
}

/// Detail of a call that GuardDuty reports: whose, of what, from where.
pub(crate) fn called(api: &str, service: &str) -> Value {
    json!({
        "actionType": "AWS_API_CALL",
        "awsApiCallAction": {
            "api": api, "serviceName": service, "callerType": "Remote IP",
            "remoteIpDetails": {
                "ipAddressV4": "198.51.100.7",
                "organization": { "asn": "64500", "asnOrg": "Example Networks", "isp": "Example", "org": "Example" },
                "country": { "countryName": "Norway" }, "city": { "cityName": "Oslo" },
            },
        },
    })
}
