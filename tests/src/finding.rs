//! Findings in the envelope in which EventBridge delivers them, made from the fixtures.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};

use crate::{Result, random_hex};

/// A finding as an EventBridge event.
#[derive(Clone, Debug)]
pub struct Finding(pub Value);

impl Finding {
    pub fn bucket_made_public() -> Result<Self> {
        Self::fresh(include_str!("../fixtures/bucket-made-public.json"))
    }

    /// Seen first after all that a scenario has made so far: what is younger counts as the thief's.
    pub fn stolen_key() -> Result<Self> {
        let rounded = TimestampRound::new()
            .smallest(Unit::Second)
            .mode(RoundMode::Ceil);
        let first = Timestamp::now().round(rounded)?.to_string();
        let finding = Self::fresh(include_str!("../fixtures/stolen-key.json"))?;
        Ok(finding
            .with("/service/eventFirstSeen", first.clone())
            .with("/service/eventLastSeen", first))
    }

    pub fn instance_calls_home() -> Result<Self> {
        Self::fresh(include_str!("../fixtures/instance-calls-home.json"))
    }

    pub fn function_calls_home() -> Result<Self> {
        Self::fresh(include_str!("../fixtures/function-calls-home.json"))
    }

    /// A new finding, seen just now.
    fn fresh(fixture: &str) -> Result<Self> {
        let id = random_hex();
        let now = Timestamp::now().round(Unit::Second)?.to_string();
        let mut event: Value = serde_json::from_str(fixture)?;
        let region = event["region"].as_str().unwrap_or_default();
        let account = event["account"].as_str().unwrap_or_default();
        let detector = event["detail"]["service"]["detectorId"]
            .as_str()
            .unwrap_or_default();
        let arn = format!("arn:aws:guardduty:{region}:{account}:detector/{detector}/finding/{id}");
        event["time"] = json!(now);
        let detail = &mut event["detail"];
        detail["arn"] = json!(arn);
        detail["id"] = json!(id);
        detail["updatedAt"] = json!(now);
        detail["service"]["eventLastSeen"] = json!(now);
        Ok(Self(event))
    }

    #[must_use]
    pub fn id(&self) -> &str {
        self.0["detail"]["id"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn finding_type(&self) -> &str {
        self.0["detail"]["type"].as_str().unwrap_or_default()
    }

    /// Sets a member of `detail`, named by its JSON pointer.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0["detail"];
        for key in pointer.trim_start_matches('/').split('/') {
            place = match key.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[key],
            };
        }
        *place = value.into();
        self
    }

    #[must_use]
    pub fn of_type(self, finding_type: &str) -> Self {
        self.with("/type", finding_type)
    }

    /// As GuardDuty's console makes them on request: the ids are invented.
    #[must_use]
    pub fn sample(self) -> Self {
        self.with("/service/additionalInfo/sample", true)
    }

    /// The principal that made the calls.
    #[must_use]
    pub fn by(self, key: &str, principal_id: &str, user_type: &str, name: &str) -> Self {
        let details = json!({
            "accessKeyId": key,
            "principalId": principal_id,
            "userType": user_type,
            "userName": name,
        });
        self.with("/resource/accessKeyDetails", details)
    }
}
