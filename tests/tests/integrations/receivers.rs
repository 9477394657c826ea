//! Receivers that hold each request against what the product's published interface asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use integration_tests::Result;
use serde_json::{Map, Value};

/// A request as it came in.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// An incident of the product.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ticket {
    pub(crate) open: bool,
    /// The severity in the product's own words.
    pub(crate) severity: String,
    pub(crate) title: String,
}

/// What the product has, and what it refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    /// By the key that the product keeps duplicates apart by.
    pub(crate) tickets: BTreeMap<String, Ticket>,
    pub(crate) requests: usize,
    pub(crate) refused: Vec<String>,
}

/// What a request asks for. `Err`: why the product refuses it.
pub(crate) type Taken = std::result::Result<Change, String>;

pub(crate) enum Change {
    Open(String, Ticket),
    Close(String),
}

impl Inbox {
    fn take(&mut self, taken: Taken) {
        self.requests += 1;
        match taken {
            Ok(Change::Open(key, ticket)) => {
                self.tickets.insert(key, ticket);
            }
            // None of the products makes an incident to close it.
            Ok(Change::Close(key)) => {
                if let Some(ticket) = self.tickets.get_mut(&key) {
                    ticket.open = false;
                }
            }
            Err(why) => self.refused.push(why),
        }
    }
}

/// A product, until the test's process ends.
pub(crate) struct Receiver {
    /// `http://127.0.0.1:…`
    pub(crate) address: String,
    inbox: Arc<Mutex<Inbox>>,
}

impl Receiver {
    pub(crate) fn start(product: fn(&Request) -> Taken) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let kept = Arc::clone(&inbox);
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let taken = read(&connection).and_then(|request| product(&request));
                let status = if taken.is_ok() {
                    "202 Accepted"
                } else {
                    "400 Bad Request"
                };
                kept.lock().expect("the inbox").take(taken);
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = connection.write_all(answer.as_bytes());
            }
        });
        Ok(Self { address, inbox })
    }

    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.lock().expect("the inbox").clone()
    }
}

fn line(reader: &mut impl BufRead) -> std::result::Result<String, String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line);
    read.map_err(|error| error.to_string())?;
    Ok(line.trim_end().to_owned())
}

fn read(connection: &TcpStream) -> std::result::Result<Request, String> {
    let mut reader = BufReader::new(connection);
    let first = line(&mut reader)?;
    let path = first
        .strip_prefix("POST ")
        .and_then(|rest| rest.split(' ').next());
    let path = path.ok_or(format!("no POST: {first}"))?.to_owned();
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line(&mut reader)?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok());
    let mut body = vec![0; length.ok_or("no length")?];
    let read = reader.read_exact(&mut body);
    read.map_err(|error| error.to_string())?;
    let body = serde_json::from_slice(&body)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&body)))?;
    let kind = headers.get("content-type").map_or("", String::as_str);
    if !kind.starts_with("application/json") {
        return Err(format!("the content type {kind}"));
    }
    Ok(Request {
        path,
        headers,
        body,
    })
}

impl Request {
    fn signed(&self, header: &str, value: &str) -> std::result::Result<(), String> {
        match self.headers.get(header) {
            Some(given) if given == value => Ok(()),
            given => Err(format!("{header} is {given:?}")),
        }
    }

    fn at(&self, path: &str) -> std::result::Result<(), String> {
        if self.path == path {
            Ok(())
        } else {
            Err(format!("no {}", self.path))
        }
    }
}

/// A text of 1 to `limit` characters.
fn text(of: &Value, member: &str, limit: usize) -> std::result::Result<String, String> {
    let text = of[member]
        .as_str()
        .ok_or(format!("{member} is {}", of[member]))?;
    if text.is_empty() || text.chars().count() > limit {
        return Err(format!("{member} has {} characters", text.chars().count()));
    }
    // A variable without a value, or one that was not put in.
    if text.contains(['<', '>']) {
        return Err(format!("{member}: {text}"));
    }
    Ok(text.to_owned())
}

fn one_of(of: &Value, member: &str, values: &[&str]) -> std::result::Result<String, String> {
    let text = text(of, member, 100)?;
    if values.contains(&text.as_str()) {
        Ok(text)
    } else {
        Err(format!("{member} is {text}"))
    }
}

fn known(of: &Value, members: &[&str]) -> std::result::Result<(), String> {
    let none = Map::new();
    let given = of.as_object().unwrap_or(&none).keys();
    let unknown: BTreeSet<_> = given.filter(|it| !members.contains(&it.as_str())).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("{unknown:?} is not known"))
    }
}

fn opened(key: String, severity: String, title: String) -> Taken {
    Ok(Change::Open(
        key,
        Ticket {
            open: true,
            severity,
            title,
        },
    ))
}

pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Events API v2, <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>.
pub(crate) fn pagerduty(request: &Request) -> Taken {
    request.at("/v2/enqueue")?;
    let body = &request.body;
    known(
        body,
        &[
            "routing_key",
            "event_action",
            "dedup_key",
            "payload",
            "client",
            "client_url",
            "links",
            "images",
        ],
    )?;
    one_of(body, "routing_key", &[ROUTING_KEY])?;
    let key = text(body, "dedup_key", 255)?;
    if one_of(body, "event_action", &["trigger", "acknowledge", "resolve"])? == "resolve" {
        return Ok(Change::Close(key));
    }
    let payload = &body["payload"];
    known(
        payload,
        &[
            "summary",
            "source",
            "severity",
            "timestamp",
            "component",
            "group",
            "class",
            "custom_details",
        ],
    )?;
    text(payload, "source", 255)?;
    for link in body["links"].as_array().ok_or("no links")? {
        text(link, "href", 2_000)?;
        text(link, "text", 255)?;
    }
    if !payload["custom_details"].is_object() {
        return Err(format!("custom_details: {payload}"));
    }
    let severity = one_of(
        payload,
        "severity",
        &["critical", "error", "warning", "info"],
    )?;
    opened(key, severity, text(payload, "summary", 1_024)?)
}

/// Alert API, <https://docs.opsgenie.com/docs/alert-api>.
pub(crate) fn opsgenie(request: &Request) -> Taken {
    request.signed("authorization", "GenieKey 0f3c")?;
    let body = &request.body;
    if let Some(rest) = request.path.strip_prefix("/v2/alerts/") {
        let key = rest
            .strip_suffix("/close?identifierType=alias")
            .ok_or(format!("no {rest}"))?;
        known(body, &["user", "source", "note"])?;
        text(body, "note", 25_000)?;
        text(body, "source", 100)?;
        return Ok(Change::Close(key.to_owned()));
    }
    request.at("/v2/alerts")?;
    known(
        body,
        &[
            "message",
            "alias",
            "description",
            "responders",
            "visibleTo",
            "actions",
            "tags",
            "details",
            "entity",
            "source",
            "priority",
            "user",
            "note",
        ],
    )?;
    text(body, "description", 15_000)?;
    text(body, "entity", 512)?;
    text(body, "source", 100)?;
    let tags = body["tags"].as_array().ok_or("no tags")?;
    if tags.len() > 20
        || tags
            .iter()
            .any(|tag| tag.as_str().is_none_or(|tag| tag.len() > 50))
    {
        return Err(format!("{tags:?}"));
    }
    let details = body["details"].as_object().ok_or("no details")?;
    if details.values().any(|value| !value.is_string()) {
        return Err(format!("{details:?}"));
    }
    let priority = one_of(body, "priority", &["P1", "P2", "P3", "P4", "P5"])?;
    opened(
        text(body, "alias", 512)?,
        priority,
        text(body, "message", 130)?,
    )
}

/// The trigger "Incoming webhook" of Automation, and a flow as docs/integrations.md has it, which keeps duplicates
/// apart by the label,
/// <https://support.atlassian.com/cloud-automation/docs/configure-the-incoming-webhook-trigger-in-atlassian-automation/>.
pub(crate) fn jira(request: &Request) -> Taken {
    request.at("/automation/webhooks/jira/a/0f3c")?;
    request.signed("x-automation-webhook-token", "a-token")?;
    let body = &request.body;
    let label = text(body, "label", 255)?;
    if label.contains(char::is_whitespace) {
        return Err(format!("the label {label}"));
    }
    if one_of(body, "action", &["trigger", "resolve"])? == "resolve" {
        return Ok(Change::Close(label.replace("guardduty-", "")));
    }
    let summary = text(body, "summary", 255)?;
    if summary.contains('\n') {
        return Err(format!("the summary {summary}"));
    }
    text(body, "description", 32_767)?;
    if !body["severity"].is_number() {
        return Err(format!("the severity {}", body["severity"]));
    }
    let priority = one_of(body, "priority", &["1", "2", "3", "4", "5"])?;
    opened(label.replace("guardduty-", ""), priority, summary)
}

/// Import Set API, and a transform map as docs/integrations.md has it, which coalesces on the correlation id and
/// ignores a resolved one that it does not know.
/// <https://www.servicenow.com/docs/r/api-reference/rest-apis/c_ImportSetAPI.html>.
pub(crate) fn servicenow(request: &Request) -> Taken {
    request.at("/api/now/import/u_guardduty_responder")?;
    // gdr:secret
    request.signed("authorization", "Basic Z2RyOnNlY3JldA==")?;
    let body = &request.body;
    for (column, value) in body.as_object().ok_or("no row")? {
        if !column.starts_with("u_") || !value.is_string() {
            return Err(format!("{column}: {value}"));
        }
    }
    let key = text(body, "u_correlation_id", 100)?;
    let title = text(body, "u_short_description", 160)?;
    text(body, "u_description", 4_000)?;
    let impact = one_of(body, "u_impact", &["1", "2", "3"])?;
    let urgency = one_of(body, "u_urgency", &["1", "2", "3"])?;
    if one_of(body, "u_action", &["trigger", "resolve"])? == "resolve" {
        return Ok(Change::Close(key));
    }
    opened(key, format!("{impact}{urgency}"), title)
}

/// The report with its alert, with the secret header.
pub(crate) fn webhook(request: &Request) -> Taken {
    request.at("/hook")?;
    request.signed("x-gdr-token", "a-token")?;
    let (body, alert) = (&request.body, &request.body["alert"]);
    text(body, "status", 20)?;
    let key = text(body, "finding_id", 100)?;
    if one_of(alert, "action", &["trigger", "resolve"])? == "resolve" {
        return Ok(Change::Close(key));
    }
    opened(
        key,
        text(alert, "severity", 10)?,
        text(alert, "title", 100)?,
    )
}
