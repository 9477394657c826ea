//! When it happened, in every form in which GuardDuty has written times.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Finding;
use crate::error::{Error, Result};

impl Finding {
    /// When the activity was last seen; else when the finding was last updated.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.detail.service.event_last_seen.or(self.updated_at())
    }

    /// When the activity was first seen.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.detail.service.event_first_seen
    }

    /// When GuardDuty made the finding.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.detail.created_at
    }

    /// When GuardDuty last updated the finding.
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.detail.updated_at
    }

    /// When GuardDuty sent the event, where there is one.
    pub fn event_time(&self) -> Option<Timestamp> {
        self.detector.time
    }

    /// When events of the finding came, in order: an event when it was sent; the time of the export, since each update
    /// is exported. `last_known_only`: the finding is as GuardDuty has it now, so that of its events only the first and
    /// the last are known, by their times.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the finding has no time.
    pub fn delivered_at(&self, last_known_only: bool) -> Result<Vec<Timestamp>> {
        if let Some(time) = self.detector.time {
            return Ok(vec![time]);
        }
        let last = self.updated_at().or(self.created_at()).or(self.last_seen());
        let last = last.ok_or_else(|| {
            Error::malformed(
                self.path("updatedAt"),
                "missing or not a time, so it is not known when the event came",
            )
        })?;
        let first = self.created_at().filter(|created| *created < last);
        let first = first.filter(|_| last_known_only || self.detector.of_api);
        Ok(first.into_iter().chain([last]).collect())
    }

    /// When a function saw the marks of the buckets first, about whose age CloudTrail could not tell yet.
    pub fn marks_seen_at(&self) -> Option<Timestamp> {
        self.marks_seen_at
    }

    /// The marks of the buckets were seen at this time already.
    pub fn see_marks(&mut self, at: Option<Timestamp>) {
        self.marks_seen_at = at;
    }

    /// The activity goes on until this time at least, by what CloudTrail shows.
    pub fn go_on_until(&mut self, seen: Timestamp) {
        let last = self.last_seen().map_or(seen, |last| last.max(seen));
        self.detail.service.event_last_seen = Some(last);
    }

    /// How often the activity was seen.
    pub fn count(&self) -> Option<u64> {
        self.detail.service.count
    }
}

/// A time as GuardDuty writes it: RFC 3339; `2025-02-25 20:40:06.721`, which is UTC; or seconds
/// since the epoch in decimal digits.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let with_offset = text.parse::<Timestamp>().ok();
    with_offset
        .or_else(|| {
            TimeZone::UTC
                .to_timestamp(text.parse::<DateTime>().ok()?)
                .ok()
        })
        .or_else(|| since_epoch(text.parse().ok()?))
}

/// A time as a number: seconds since the epoch, with or without a fraction; a number of more than
/// eleven digits counts milliseconds, as `launchTime` has been sent.
pub(super) fn since_epoch(number: f64) -> Option<Timestamp> {
    /// In seconds the year 5138, in milliseconds the year 1973.
    const MOST_SECONDS: f64 = 1e11;
    if number.is_nan() {
        return None;
    }
    let milliseconds = if number.abs() < MOST_SECONDS {
        number * 1000.0
    } else {
        number
    };
    // A cast saturates, and what is out of range is no time.
    Timestamp::from_millisecond(milliseconds.round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use crate::fixtures::{event, finding};
    use serde_json::{Value, json};

    fn seen(time: Value) -> Option<String> {
        let finding = finding(json!({
            "updatedAt": null,
            "service": { "eventLastSeen": time, "eventFirstSeen": time },
        }));
        assert_eq!(finding.first_seen(), finding.last_seen());
        finding.last_seen().map(|time| time.to_string())
    }

    #[test]
    fn a_time_is_read_in_every_form_that_guardduty_has_sent() {
        for (sent, meant) in [
            (
                json!("2025-02-25T20:40:06.721Z"),
                "2025-02-25T20:40:06.721Z",
            ),
            (json!("2025-02-25T21:40:06+01:00"), "2025-02-25T20:40:06Z"),
            (json!("2025-02-25 20:40:06.721"), "2025-02-25T20:40:06.721Z"),
            (
                json!("2025-02-25 20:40:06.000000000"),
                "2025-02-25T20:40:06Z",
            ),
            (json!("2025-02-25T20:40:06"), "2025-02-25T20:40:06Z"),
            (json!(1_740_516_006), "2025-02-25T20:40:06Z"),
            (json!(1_740_516_006.721), "2025-02-25T20:40:06.721Z"),
            (json!("1740516006.721"), "2025-02-25T20:40:06.721Z"),
            (json!(1_740_516_006_721_u64), "2025-02-25T20:40:06.721Z"),
            (json!("1740516006721"), "2025-02-25T20:40:06.721Z"),
        ] {
            assert_eq!(seen(sent.clone()).as_deref(), Some(meant), "{sent}");
        }
    }

    #[test]
    fn an_unreadable_time_is_none_and_the_update_time_replaces_it() {
        for sent in [
            json!(null),
            json!(""),
            json!("foo"),
            json!("2025-02-30T00:00:00Z"),
            json!("nan"),
            json!("1e300"),
            json!(1e300),
            json!(-1e300),
            json!(true),
            json!([1]),
            json!({}),
        ] {
            assert_eq!(seen(sent.clone()), None, "{sent}");
        }
        let updated = finding(json!({ "service": { "eventLastSeen": "foo" } }));
        assert_eq!(updated.last_seen(), updated.updated_at());
        assert!(updated.last_seen().is_some());
    }

    #[test]
    fn the_arrival_of_an_event_is_its_sending_or_the_update_of_its_finding() {
        let sent = finding(json!({}));
        let times = |finding: &Finding, last_known_only| -> Vec<_> {
            let times = finding.delivered_at(last_known_only).unwrap();
            times.iter().map(ToString::to_string).collect()
        };
        assert_eq!(times(&sent, true), ["2026-03-04T05:06:07Z"]);
        let exported = Finding::parse(&event(json!({}))["detail"]).unwrap();
        assert_eq!(times(&exported, false), ["2026-03-04T05:05:00Z"]);
        let both = ["2026-03-04T05:00:00Z", "2026-03-04T05:05:00Z"];
        assert_eq!(times(&exported, true), both);
        let of_api = json!({
            "SchemaVersion": "2.0", "Id": "a", "AccountId": "111122223333", "Region": "us-east-1",
            "Type": "Backdoor:EC2/Spambot", "Severity": 8, "Resource": {}, "Service": {},
            "CreatedAt": both[0], "UpdatedAt": both[1],
        });
        assert_eq!(times(&Finding::read(&of_api).unwrap(), false), both);
    }

    #[test]
    fn the_count_and_the_times_are_those_of_the_finding() {
        let finding = finding(json!({ "createdAt": 1_740_516_006, "service": { "count": "20" } }));
        assert_eq!(
            finding.created_at().map(|time| time.as_second()),
            Some(1_740_516_006)
        );
        assert_eq!(finding.count(), Some(20));
    }
}
