//! One arrival of a finding, and the time that it has.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use crate::finding::Finding;
use crate::inquiry::Inquiry;
use crate::recheck::Recheck;
use crate::trace::Trace;

/// The time of day, by what has passed since a known one on the clock that does not jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    received_at: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts now, which is `received_at`.
    pub(crate) fn start(received_at: Timestamp) -> Self {
        Self {
            received_at,
            started: Instant::now(),
        }
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        let now = self.received_at.saturating_add(passed);
        now.unwrap_or(self.received_at)
    }

    /// When the clock started, on the clock that does not jump.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }
}

/// One arrival of a finding, at a function or at an operator who acts on its incident.
pub(crate) struct Delivery<'a> {
    pub(crate) event: &'a Value,
    pub(crate) finding: &'a Finding,
    /// Identifies the invocation; the same when Lambda retries it.
    pub(crate) invocation: &'a str,
    pub(crate) clock: Clock,
    /// When containing must be done, so that the record and the notice still have time.
    pub(crate) deadline: Instant,
    /// The recheck of a containment that this is, if it is one.
    pub(crate) recheck: Option<&'a Recheck>,
    /// The message of the function's own queue that it came by: a recheck, or a delivery that was put off.
    pub(crate) came_back: Option<&'a Recheck>,
    /// The trace that it is a part of.
    pub(crate) trace: Option<&'a Trace>,
    /// How long another invocation that is at work on a target is waited for.
    pub(crate) claim_wait: Duration,
    /// How often it was put off before. `None`: it cannot be put off.
    pub(crate) put_off: Option<u64>,
}

impl<'a> Delivery<'a> {
    /// The delivery by an operator, who waits for a claim so long, and then has so much `time`.
    pub(crate) fn by_operator(
        event: &'a Value,
        finding: &'a Finding,
        invocation: &'a str,
        now: Timestamp,
        (claim_wait, time): (Duration, Duration),
    ) -> Self {
        let clock = Clock::start(now);
        Self {
            event,
            finding,
            invocation,
            clock,
            deadline: clock.started() + claim_wait + time,
            recheck: None,
            came_back: None,
            trace: None,
            claim_wait,
            put_off: None,
        }
    }

    /// When it came in.
    pub(crate) fn received_at(&self) -> Timestamp {
        self.clock.received_at
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The investigation of its finding, in the time that is left.
    pub(crate) fn inquiry(&self) -> Inquiry<'a> {
        Inquiry::new(self.finding, self.now(), self.deadline)
    }
}
