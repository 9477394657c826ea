//! The stacks of `infra/integrations`, deployed on local AWS: its EventBridge matches the reports, builds each
//! product's request, and sends it to a receiver that holds it against the product's published interface.

pub(crate) mod receivers;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, Parameter};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use integration_tests::{LocalAws, Result, checkout, unique};
use remediation::category::Category;
use remediation::finding::Finding;
use remediation::notify;
use remediation::report::Report;
use render::alert::alert;
use serde_json::{Value, json};

use self::receivers::{Inbox, Receiver, Request, Taken};
use crate::shared_aws;

/// How long a request may take to arrive, and for how long none may arrive that should not.
const ARRIVES: Duration = Duration::from_secs(20);
const SETTLES: Duration = Duration::from_millis(700);
const PAUSE: Duration = Duration::from_millis(50);

/// The tests share the default bus, and count what comes.
static BUS: Mutex<()> = Mutex::new(());

fn on_aws(test: impl AsyncFnOnce(&'static LocalAws) -> Result) -> Result {
    let _alone = BUS.lock().unwrap_or_else(PoisonError::into_inner);
    shared_aws::on_aws(test)
}

/// A product, with the parameters that its stack is deployed with.
struct Product {
    name: &'static str,
    receives: fn(&Request) -> Taken,
    /// The path of the endpoint.
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    /// Its words for critical, high, medium and low.
    severities: [&'static str; 4],
}

const PRODUCTS: [Product; 5] = [
    Product {
        name: "pagerduty",
        receives: receivers::pagerduty,
        path: "/v2/enqueue",
        parameters: &[("RoutingKey", receivers::ROUTING_KEY)],
        severities: ["critical", "error", "warning", "info"],
    },
    Product {
        name: "opsgenie",
        receives: receivers::opsgenie,
        path: "/v2/alerts",
        parameters: &[("ApiKey", "GenieKey 0f3c")],
        severities: ["P1", "P2", "P3", "P4"],
    },
    Product {
        name: "jira",
        receives: receivers::jira,
        path: "/automation/webhooks/jira/a/0f3c",
        parameters: &[("WebhookToken", "a-token")],
        severities: ["1", "2", "3", "4"],
    },
    Product {
        name: "servicenow",
        receives: receivers::servicenow,
        path: "",
        parameters: &[
            ("Instance", "example"),
            ("UserName", "gdr"),
            ("Password", "secret"),
        ],
        severities: ["11", "21", "22", "32"],
    },
    Product {
        name: "webhook",
        receives: receivers::webhook,
        path: "/hook",
        parameters: &[("Token", "a-token")],
        severities: ["critical", "error", "warning", "info"],
    },
];

/// A product's stack, and the product.
struct Deployed<'a> {
    aws: &'a LocalAws,
    stack: String,
    receiver: Receiver,
}

impl Product {
    /// Deploys the template. It takes https only: here the receiver listens.
    async fn deploy<'a>(&self, aws: &'a LocalAws, more: &[(&str, &str)]) -> Result<Deployed<'a>> {
        let receiver = Receiver::start(self.receives)?;
        let path = checkout().join(format!("infra/integrations/{}.yaml", self.name));
        let template = std::fs::read_to_string(path)?
            .replace("'^https://.+", "'^http://.+")
            .replace("https://${Instance}.service-now.com", &receiver.address);
        let endpoint = format!("{}{}", receiver.address, self.path);
        let mut given = self.parameters.to_vec();
        given.push((
            "NotificationTopic",
            "arn:aws:sns:us-east-1:111122223333:notices",
        ));
        if !self.path.is_empty() {
            given.push(("Endpoint", &endpoint));
        }
        given.extend(more);
        let parameters = given.into_iter().map(|(key, value)| {
            Parameter::builder()
                .parameter_key(key)
                .parameter_value(value)
                .build()
        });
        let stack = unique(self.name);
        let client = aws_sdk_cloudformation::Client::new(&aws.root());
        let making = client
            .create_stack()
            .stack_name(&stack)
            .template_body(template)
            .set_parameters(Some(parameters.collect()))
            .capabilities(Capability::CapabilityIam);
        making.send().await?;
        let deployed = Deployed {
            aws,
            stack,
            receiver,
        };
        loop {
            let found = client.describe_stacks().stack_name(&deployed.stack);
            let found = found.send().await?;
            let found = found.stacks().first().ok_or("no stack")?;
            match found.stack_status().map(|it| it.as_str()) {
                Some("CREATE_COMPLETE") => return Ok(deployed),
                Some("CREATE_IN_PROGRESS") => tokio::time::sleep(PAUSE).await,
                _ => return Err(format!("{found:?}").into()),
            }
        }
    }
}

impl Deployed<'_> {
    async fn put(&self, events: &[Value]) -> Result {
        let text = |event: &Value, member: &str| event[member].as_str().map(str::to_owned);
        for event in events {
            let entry = PutEventsRequestEntry::builder()
                .set_source(text(event, "source"))
                .set_detail_type(text(event, "detail-type"))
                .detail(event["detail"].to_string())
                .build();
            let client = aws_sdk_eventbridge::Client::new(&self.aws.root());
            let answer = client.put_events().entries(entry).send().await?;
            assert_eq!(answer.failed_entry_count(), 0, "{answer:?}");
        }
        Ok(())
    }

    /// The product after so many requests in all. No more may come.
    async fn after(&self, requests: usize) -> Result<Inbox> {
        let waiting = tokio::time::Instant::now();
        while self.receiver.inbox().requests < requests {
            if waiting.elapsed() > ARRIVES {
                return Err(
                    format!("{requests} were expected: {:?}", self.receiver.inbox()).into(),
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(SETTLES).await;
        let inbox = self.receiver.inbox();
        assert_eq!(inbox.refused, [""; 0]);
        assert_eq!(inbox.requests, requests, "{:?}", inbox.tickets.keys());
        Ok(inbox)
    }

    /// The rules of the stack go, so that no other test's events come here.
    async fn remove(self) -> Result {
        let client = aws_sdk_cloudformation::Client::new(&self.aws.root());
        client.delete_stack().stack_name(self.stack).send().await?;
        Ok(())
    }
}

/// The events of the golden incidents as the functions and `gdr` put them, by folder and chapter. The ids are of this
/// test.
fn golden(run: &str) -> Result<BTreeMap<String, Value>> {
    let mut events = BTreeMap::new();
    for folder in std::fs::read_dir(checkout().join("tests/golden"))? {
        let folder = folder?.path();
        for chapter in ["", "look-", "release-"] {
            let read =
                |name: &str| std::fs::read_to_string(folder.join(format!("{chapter}{name}")));
            let Ok(told) = read("event.json") else {
                continue;
            };
            let told: Vec<Value> = serde_json::from_str(&told)?;
            for mut event in told {
                if event["detail"].is_string() {
                    event["detail"] = serde_json::from_str(&read("report.json")?)?;
                }
                let alert = event["detail.alert"].take();
                if alert.is_object() {
                    event["detail"]["alert"] = alert;
                }
                let text = event.to_string().replace("9c1f0a7e5b3d42868e1a", run);
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                events.insert(format!("{chapter}{name}"), serde_json::from_str(&text)?);
            }
        }
    }
    Ok(events)
}

/// 20 of the 32 digits of the ids of a test.
fn run_id() -> String {
    integration_tests::random_hex()[..20].to_owned()
}

fn finding(id: &str, severity: f64) -> Finding {
    let event = json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "detail": {
            "schemaVersion": "2.0", "id": id, "accountId": "111122223333", "region": "us-east-1",
            "type": "Backdoor:EC2/C&CActivity.B!\"DNS\\", "severity": severity,
            "title": "a \"title\"", "createdAt": "2026-03-04T05:00:00Z", "updatedAt": "2026-03-04T05:06:00Z",
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
            "service": { "archived": false },
        },
    });
    Finding::parse(&event).expect("a finding")
}

fn event(report: &Report) -> Value {
    let mut detail = serde_json::to_value(report).expect("a report");
    detail["alert"] = alert(report);
    json!({ "source": notify::SOURCE, "detail-type": notify::DETAIL_TYPE, "detail": detail })
}

fn keys(inbox: &Inbox) -> BTreeSet<&str> {
    inbox.tickets.keys().map(String::as_str).collect()
}

#[test]
fn each_product_gets_one_alert_for_a_finding_and_its_release() -> Result {
    on_aws(async |aws| {
        for product in PRODUCTS {
            let name = product.name;
            let deployed = product.deploy(aws, &[]).await?;
            let run = run_id();
            let golden = golden(&run)?;
            let asking = [
                "attack-sequence",
                "bucket-awaits-approval",
                "instance-partial",
                "root-user",
                "look-role-session-undone",
            ];
            let quiet = golden.iter().filter(|(name, _)| {
                !asking.contains(&name.as_str()) && !name.starts_with("release-")
            });
            let quiet: Vec<_> = quiet.map(|(_, event)| event.clone()).collect();
            assert!(quiet.len() >= 6, "{name}: {}", quiet.len());
            deployed.put(&quiet).await?;
            let asking = asking.map(|name| golden[name].clone());
            deployed.put(&asking).await?;
            let inbox = deployed.after(asking.len()).await?;
            let ids = asking
                .each_ref()
                .map(|event| event["detail"]["finding_id"].as_str());
            let expected: BTreeSet<_> = ids.into_iter().flatten().collect();
            assert_eq!(keys(&inbox), expected, "{name}");
            let titles = golden["instance-partial"]["detail"]["finding_id"].as_str();
            let ticket = &inbox.tickets[titles.ok_or("no id")?];
            assert!(
                ticket.title.starts_with("[PARTLY CONTAINED, ACT NOW]"),
                "{name}: {ticket:?}"
            );

            // A repeat is the same incident, and a release of what was not opened opens none.
            let mut failed = golden["instance-partial"].clone();
            failed["detail"]["status"] = json!("failed");
            deployed.put(&[failed]).await?;
            deployed.put(&[golden["release-released"].clone()]).await?;
            let inbox = deployed.after(asking.len() + 2).await?;
            assert_eq!(keys(&inbox), expected, "{name}");
            assert!(inbox.tickets.values().all(|ticket| ticket.open), "{name}");

            let id = titles.ok_or("no id")?;
            let by = "arn:aws:iam::111122223333:user/ann";
            let (finding, why) = (finding(id, 8.0), format!("released by {by}"));
            let released = Report::released(Category::Ec2, &finding, by, why, Vec::new(), false);
            deployed.put(&[event(&released)]).await?;
            let inbox = deployed.after(asking.len() + 3).await?;
            let closed = inbox.tickets.iter().filter(|(_, ticket)| !ticket.open);
            assert_eq!(
                closed.map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
                [id],
                "{name}"
            );
            deployed.remove().await?;
        }
        Ok(())
    })
}

#[test]
fn each_product_gets_its_own_severity_and_valid_json_whatever_the_finding_says() -> Result {
    let hostile = "a \"quote\", a \\, {code}, {{smart}}, <key>, <alert>,\r\n\t\u{0} [a|https://evil.example] é 💣 \u{202e}";
    on_aws(async |aws| {
        for product in PRODUCTS {
            let deployed = product.deploy(aws, &[]).await?;
            let run = run_id();
            let mut expected = BTreeMap::new();
            let mut events = Vec::new();
            for (number, severity) in [9.5, 8.0, 5.0, 2.0].into_iter().enumerate() {
                let id = format!("{run}{number:012}");
                let finding = finding(&id, severity);
                let reason = hostile.repeat(200);
                let mut report = Report::notified(Category::Ec2, &finding, reason, false);
                report.next_steps = vec![hostile.to_owned(); 20];
                report.residual_risks = vec![hostile.to_owned(); 20];
                events.push(event(&report));
                expected.insert(id, product.severities[number].to_owned());
            }
            deployed.put(&events).await?;
            let inbox = deployed.after(4).await?;
            let severities = inbox
                .tickets
                .into_iter()
                .map(|(key, it)| (key, it.severity));
            assert_eq!(
                severities.collect::<BTreeMap<_, _>>(),
                expected,
                "{}",
                product.name
            );
            deployed.remove().await?;
        }
        Ok(())
    })
}

/// A drill of the functions has no alert: only the notices' own test reaches a product.
#[test]
fn a_drill_opens_nothing_and_the_test_of_the_notices_is_the_least_severe() -> Result {
    on_aws(async |aws| {
        for product in PRODUCTS {
            let deployed = product.deploy(aws, &[("Statuses", "failed")]).await?;
            let id = integration_tests::random_hex();
            let mut drill = event(&Report::notified(
                Category::Ec2,
                &finding(&id, 8.0),
                "why".to_owned(),
                true,
            ));
            // Statuses that were not chosen open nothing.
            deployed.put(&[drill.clone()]).await?;
            drill["detail-type"] = json!(notify::DRILL_DETAIL_TYPE);
            drill["detail"]["drill"] = json!(true);
            let mut of_gdr_drill = drill.clone();
            let detail = of_gdr_drill["detail"].as_object_mut();
            detail.ok_or("no detail")?.remove("alert");
            deployed.put(&[of_gdr_drill, drill]).await?;
            let inbox = deployed.after(1).await?;
            assert_eq!(keys(&inbox), [id.as_str()].into(), "{}", product.name);
            deployed.remove().await?;
        }
        Ok(())
    })
}
