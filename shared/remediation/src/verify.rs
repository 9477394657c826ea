//! Asking GuardDuty for a finding before anything is changed on account of it.
//!
//! Anybody who may invoke a function can write an event. It therefore enforces the finding that GuardDuty has under
//! that id, not the one in the event. The questions are asked while the target is being read, so that a containment
//! does not wait for them.
//!
//! A part of an attack sequence names one of its targets where GuardDuty's finding names none. So GuardDuty's sequence
//! is taken apart again, and the part has to be one of its parts; the function enforces that one.
//!
//! GuardDuty puts what goes on together in one finding, which shows the latest key, session and buckets. So the event's
//! targets need only be among those that GuardDuty names. If they are not, the function enforces GuardDuty's finding of
//! that time by an event of its own. A notice names the targets of the event.
//!
//! A finding that GuardDuty does not confirm is not enforced: a responder that contains on a word that it could not
//! check would do so whenever an attacker keeps GuardDuty busy. The failure is retried instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_guardduty::Client;
use aws_sdk_guardduty::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_guardduty::config::{ConfigBag, Intercept, Region, RuntimeComponents};
use aws_sdk_guardduty::error::BoxError;
use serde_json::Value;

use crate::decision::ResponseSettings;
use crate::error::{CallContext, Error, Result};
use crate::finding::Finding;
use crate::sequence;

/// The IAM permissions that verifying needs.
pub const PERMISSIONS: &[&str] = &["guardduty:GetFindings", "guardduty:ListDetectors"];

/// GuardDuty, as the function's own account sees it.
#[derive(Debug)]
pub struct Verifier {
    client: Client,
    /// The account's one detector in a Region.
    detectors: Mutex<HashMap<String, String>>,
}

/// GuardDuty's verdict on an event.
#[derive(Debug)]
pub enum Verdict {
    /// The finding as GuardDuty has it.
    Genuine(Box<Finding>),
    /// GuardDuty has no such finding, which may come.
    Missing(String),
    /// GuardDuty has it about another key, session or bucket of the same principal: why the event is not
    /// enforced, and the finding as GuardDuty has it.
    Later(String, Box<Value>),
    /// GuardDuty has it otherwise.
    Withheld(String),
    /// GuardDuty was not asked.
    Unasked,
}

impl Verifier {
    /// A verifier that asks with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self::with_client(Client::new(sdk))
    }

    /// A verifier that asks through this client.
    pub fn with_client(client: Client) -> Self {
        Self {
            client,
            detectors: Mutex::default(),
        }
    }

    /// Fetches the finding that `event` is about, and compares. Which parts a sequence has depends on the
    /// `policy`.
    ///
    /// # Errors
    /// If GuardDuty refused to answer, could not be reached, or answered with what is not a finding.
    pub async fn verify(
        &self,
        event: &Value,
        finding: &Finding,
        policy: &ResponseSettings,
    ) -> Result<Verdict> {
        let region = detector_region(event, finding);
        let Some(answer) = self.found(region, &finding.id).await? else {
            return Ok(Verdict::Withheld(format!(
                "GuardDuty is not on in {region} in the responder's account, so the finding cannot be \
                 verified (VERIFY_FINDINGS)"
            )));
        };
        let Some(detail) = answer["findings"].get(0) else {
            return Ok(Verdict::Missing(format!(
                "GuardDuty has no finding {} in {region}: somebody invoked the function with an event \
                 that GuardDuty did not send, or the finding is older than 90 days",
                finding.id,
            )));
        };
        let mut current = Finding::parse(detail)?;
        if finding.handed_over_to().is_some() {
            let Some(part) = sequence::part_like(finding, detail, &current, policy) else {
                return Ok(Verdict::Withheld(format!(
                    "the event's target is not among those that GuardDuty has for the sequence {}: \
                     somebody invoked the function with an altered event, or the sequence has changed \
                     since",
                    finding.id,
                )));
            };
            current = part;
        }
        if let Some(member) = finding.contradicts(&current) {
            return Ok(Verdict::Withheld(format!(
                "the event's `{member}` is not what GuardDuty has for finding {}: somebody invoked the \
                 function with an altered event",
                finding.id,
            )));
        }
        if current.is_archived() {
            return Ok(Verdict::Withheld(
                "the finding has been archived in GuardDuty since the event".to_owned(),
            ));
        }
        if let Some(member) = finding.is_about_others(&current) {
            let why = format!(
                "the event's `{member}` is not what GuardDuty has for finding {}: GuardDuty shows the latest \
                 activity only, or somebody invoked the function with an altered event",
                finding.id,
            );
            return Ok(Verdict::Later(why, Box::new(detail.clone())));
        }
        current.keep_buckets_of(finding);
        Ok(Verdict::Genuine(Box::new(current)))
    }

    /// GuardDuty's answer about the finding. `None`: it is not on.
    async fn found(&self, region: &str, id: &str) -> Result<Option<Value>> {
        let client = self.client_in(region);
        if let Some(known) = self.known(region) {
            match get(&client, &known, id).await {
                // The detector that was known is gone: GuardDuty was turned off, and perhaps on again.
                Err(error) if !error.is_transient() && !error.is_denied() => self.forget(region),
                answer => return answer.map(Some),
            }
        }
        let Some(detector) = self.detector(&client, region).await? else {
            return Ok(None);
        };
        get(&client, &detector, id).await.map(Some)
    }

    fn client_in(&self, region: &str) -> Client {
        let region = Region::new(region.to_owned());
        Client::from_conf(self.client.config().to_builder().region(region).build())
    }

    fn known(&self, region: &str) -> Option<String> {
        self.detectors().get(region).cloned()
    }

    fn forget(&self, region: &str) {
        self.detectors().remove(region);
    }

    fn detectors(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.detectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Not the one that the event names: it may be the member's.
    async fn detector(&self, client: &Client, region: &str) -> Result<Option<String>> {
        let answer = client.list_detectors().send().await;
        let answer = answer.during("guardduty:ListDetectors", region)?;
        let detector = answer.detector_ids.unwrap_or_default().into_iter().next();
        if let Some(detector) = &detector {
            self.detectors().insert(region.to_owned(), detector.clone());
        }
        Ok(detector)
    }
}

/// GuardDuty's answer, as it writes it.
async fn get(client: &Client, detector: &str, id: &str) -> Result<Value> {
    let body = Body::default();
    client
        .get_findings()
        .detector_id(detector)
        .finding_ids(id)
        .customize()
        .interceptor(body.clone())
        .send()
        .await
        .during("guardduty:GetFindings", id)?;
    serde_json::from_slice(&body.take())
        .map_err(|error| Error::Refused(format!("guardduty:GetFindings: {error}")))
}

/// The Region of the detector that made the finding. For activity that is recorded in one Region for
/// all, the finding's own may be another.
fn detector_region<'a>(event: &'a Value, finding: &'a Finding) -> &'a str {
    let envelope = event.get("detail").and(event["region"].as_str());
    // It becomes part of a host's name.
    let region = envelope.filter(|region| {
        (1..=32).contains(&region.len())
            && region
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    });
    region.unwrap_or(&finding.region)
}

/// Keeps the body of an answer: the finding as GuardDuty writes it is the finding as an event has it,
/// and is read by the same parser.
#[derive(Clone, Debug, Default)]
pub struct Body(Arc<Mutex<Vec<u8>>>);

impl Body {
    /// Takes the last request.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
