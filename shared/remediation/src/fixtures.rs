//! Findings for unit tests: a whole event, varied where a test says so. And the wire between a
//! playbook and a small world that a test keeps, on which calls are counted and fail at will.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_smithy_mocks::MockResponse;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::execute::{Execution, execute};
use crate::finding::Finding;
use crate::playbook::Playbook;
use crate::settings::Settings;

/// An event with `changes` merged into its detail.
pub(crate) fn event(changes: Value) -> Value {
    let mut event = json!({
        "version": "0",
        "id": "cd2d702e-ab31-411b-9344-793ce56b1bc7",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "111122223333",
        "time": "2026-03-04T05:06:07Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": "111122223333",
            "region": "us-east-1",
            "id": "16afba5c5c43e07c9e3e5e2e544e95df",
            "arn": "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df",
            "type": "Backdoor:EC2/Spambot",
            "severity": 8,
            "title": "A title",
            "description": "A description",
            "createdAt": "2026-03-04T05:00:00Z",
            "updatedAt": "2026-03-04T05:05:00Z",
            "resource": {},
            "service": {
                "serviceName": "guardduty",
                "detectorId": "12abc",
                "archived": false,
                "count": 1,
                "eventFirstSeen": "2026-03-04T04:50:00Z",
                "eventLastSeen": "2026-03-04T05:00:00Z",
            },
        },
    });
    merge(&mut event["detail"], changes);
    event
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes,
    }
}

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}

/// The detail of [`user_finding`].
pub(crate) fn user_detail(name: &str) -> Value {
    json!({
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "principalId": "AIDAEXAMPLEUSERID",
                "userName": name,
                "userType": "IAMUser",
            },
        },
    })
}

/// When the findings of these tests come in.
pub(crate) const NOW: &str = "2026-03-04T05:06:07.5Z";

/// [`NOW`].
pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// Observes, plans and executes, as the flow does.
pub(crate) async fn run<P: Playbook>(playbook: &P, finding: &Finding) -> Execution {
    run_with(playbook, finding, &Settings::default()).await
}

/// [`run`] with settings.
pub(crate) async fn run_with<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    settings: &Settings,
) -> Execution {
    let state = playbook
        .observe(finding)
        .await
        .expect("the world can be read");
    let plan = P::plan(finding, &state, settings, now());
    execute(
        playbook,
        finding,
        plan,
        settings,
        now(),
        Instant::now() + Duration::from_secs(60),
    )
    .await
}

/// How a service spells an error.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    S3,
    Query,
    Ec2,
}

/// The wire between a playbook and a test's world.
#[derive(Clone)]
pub(crate) struct Wire {
    protocol: Protocol,
    calls: Arc<Mutex<Vec<&'static str>>>,
    faults: Arc<Mutex<HashMap<&'static str, Fault>>>,
}

#[derive(Clone, Copy)]
struct Fault {
    code: &'static str,
    status: u16,
    /// How many more calls fail.
    times: usize,
    /// Whether the call takes effect although it fails.
    takes_effect: bool,
}

impl Wire {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            calls: Arc::default(),
            faults: Arc::default(),
        }
    }

    /// From now on calls of `operation` fail, without effect.
    pub(crate) fn fail(&self, operation: &'static str, status: u16, code: &'static str) {
        let fault = Fault {
            code,
            status,
            times: usize::MAX,
            takes_effect: false,
        };
        self.faults.lock().unwrap().insert(operation, fault);
    }

    /// The next call of `operation` fails, without effect.
    pub(crate) fn fail_once(&self, operation: &'static str, status: u16, code: &'static str) {
        let fault = Fault {
            code,
            status,
            times: 1,
            takes_effect: false,
        };
        self.faults.lock().unwrap().insert(operation, fault);
    }

    /// From now on calls of `operation` take effect and seem to fail.
    pub(crate) fn fail_after_effect(
        &self,
        operation: &'static str,
        status: u16,
        code: &'static str,
    ) {
        let fault = Fault {
            code,
            status,
            times: usize::MAX,
            takes_effect: true,
        };
        self.faults.lock().unwrap().insert(operation, fault);
    }

    /// Every call until now.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    /// The calls until now that change something.
    pub(crate) fn writes(&self) -> Vec<&'static str> {
        let reads = |call: &&str| {
            let name = call.split(':').nth(1).unwrap_or_default();
            ["Get", "List", "Describe"]
                .iter()
                .any(|verb| name.starts_with(verb))
        };
        self.calls()
            .into_iter()
            .filter(|call| !reads(call))
            .collect()
    }

    /// Forgets the calls until now.
    pub(crate) fn clear(&self) {
        self.calls.lock().unwrap().clear();
    }

    /// Answers a call with what the world says, or with the fault that is set. `Err` is a code.
    pub(crate) fn answer<O, E>(
        &self,
        operation: &'static str,
        world: impl FnOnce() -> Result<O, &'static str>,
    ) -> MockResponse<O, E> {
        self.calls.lock().unwrap().push(operation);
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let fault = faults.get_mut(operation).filter(|fault| fault.times > 0);
            fault.map(|fault| {
                fault.times -= 1;
                *fault
            })
        };
        match fault {
            Some(fault) => {
                if fault.takes_effect {
                    drop(world());
                }
                MockResponse::Http(self.error(fault.status, fault.code))
            }
            None => match world() {
                Ok(output) => MockResponse::Output(output),
                Err(code) => MockResponse::Http(self.error(404, code)),
            },
        }
    }

    fn error(&self, status: u16, code: &str) -> HttpResponse {
        let error = format!("<Code>{code}</Code><Message>as the test asked</Message>");
        let body = match self.protocol {
            Protocol::S3 => format!("<Error>{error}</Error>"),
            Protocol::Query => format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"),
            Protocol::Ec2 => {
                format!("<Response><Errors><Error>{error}</Error></Errors></Response>")
            }
        };
        let status = status.try_into().expect("a status");
        HttpResponse::new(status, aws_sdk_s3::primitives::SdkBody::from(body))
    }
}
