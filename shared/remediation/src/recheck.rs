//! Looking again after a containment.
//!
//! IAM takes seconds to enforce a change everywhere. In that time an attacker with the credentials can remove the deny,
//! open a bucket again, or give an instance its groups back. So a containment comes back twice, through a queue that
//! holds it back, instead of keeping a function waiting. CloudTrail shows what was done some 15 minutes late. So what
//! only CloudTrail can tell comes back once more by then: whether a contained credential still works, and whether a
//! bucket was marked as public just now.
//!
//! A delivery that cannot be dealt with at the moment comes back through the same queue, later each time: a function that waited
//! would keep others from being contained, and Lambda tries again only twice.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aws_sdk_sqs::Client;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::category::Category;
use crate::error::{CallContext, Result};
use crate::finding::abridged;
use crate::queue_message;
use crate::report::{Outcome, StepReport};
use crate::trace::Trace;

/// The IAM permissions that sending needs.
pub const PERMISSIONS: &[&str] = &["sqs:SendMessage"];

/// Seconds until the first look and from there to the second: 10 and 60 after the containment.
const DELAYS: [i32; 2] = [10, 50];

/// The look at what CloudTrail shows.
const BY_TRAIL: usize = 3;

/// Seconds until then: the most that SQS holds a message back,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>, and as late
/// as CloudTrail usually is.
const TRAIL_DELAY: i32 = 900;

/// The rounds of rechecks after one found that a containment did not hold. A notice was sent each time.
const ROUNDS: u64 = 3;

/// Seconds until a postponed event is delivered again: at least so many the first time, and twice as many each time.
/// For each finding it is up to three times as long, so that those about one target do not arrive together.
const PUT_OFF: i32 = 10;

/// How often an event is put off, for more than half an hour in all. A claim ends after two minutes at most.
pub(crate) const PUT_OFF_AT_MOST: u64 = 8;

/// A message has at most 256 KB in every Region and setting,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.
const EVENT_LIMIT: usize = 255 * 1024;

/// How much of a message says what was in effect.
const STEPS_LIMIT: usize = 64 * 1024;

/// A recheck of a containment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recheck {
    /// Which one it is; the first is 1. 0: it is none, but a delivery of the event that was put off.
    pub number: usize,
    /// How often it was put off.
    pub put_off: u64,
    /// The steps that were in effect before, by their keys. `None`: the message does not say.
    pub in_effect: Option<BTreeSet<String>>,
    /// When that was contained, as read back. `None`: the message does not say.
    pub contained_at: Option<Timestamp>,
    /// When marks of buckets were seen of which CloudTrail could not tell yet how old they are.
    pub marks_seen_at: Option<Timestamp>,
    /// How often all looks were done before.
    pub round: u64,
}

/// The containment to recheck.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cause {
    /// Something is contained, which somebody may undo.
    pub(crate) stands: bool,
    /// The target was not read, so that the steps in effect are those that the look before knew.
    pub(crate) unread: bool,
    /// Something of it was contained only now.
    pub(crate) newly_contained: bool,
    /// When something contained the target, as read back.
    pub(crate) contained_at: Option<Timestamp>,
    /// A credential is kept out, of which CloudTrail may show that it still works.
    pub(crate) keeps_out: bool,
    /// Something was decided for the moment, until CloudTrail must show what it does not show yet.
    pub(crate) provisional: bool,
    /// When the event came in.
    pub(crate) now: Option<Timestamp>,
}

impl Cause {
    /// The next look after `done`, the seconds until then, and its round. `None`: all looks are done.
    fn next(&self, done: Option<&Recheck>) -> Option<(usize, i32, u64)> {
        let (number, round) = done.map_or((0, 0), |look| (look.number, look.round));
        if let Some(delay) = DELAYS.get(number).filter(|_| self.stands) {
            return Some((number + 1, *delay, round));
        }
        let by_trail = self.provisional || (self.stands && self.keeps_out);
        if number < BY_TRAIL {
            return by_trail.then_some((BY_TRAIL, TRAIL_DELAY, round));
        }
        let (first, anew) = (DELAYS[0], self.stands && self.newly_contained);
        // What was done again may be undone again; and clocks differ.
        let next = anew
            .then_some((1, first))
            .or(self.provisional.then_some((BY_TRAIL, TRAIL_DELAY)));
        let (number, delay) = next.filter(|_| round < ROUNDS)?;
        Some((number, delay, round + 1))
    }
}

impl Recheck {
    /// True if it is not a delivery of the event that was put off.
    pub(crate) fn is_one(&self) -> bool {
        self.number > 0
    }

    /// True if CloudTrail is to be asked whether the containment held.
    pub(crate) fn is_by_trail(&self) -> bool {
        self.number == BY_TRAIL
    }

    /// True if something that was in effect had to be done again. A step that was never in effect was not undone.
    pub(crate) fn finds_undone(&self, steps: &[StepReport]) -> bool {
        let stood = |step: &&StepReport| {
            let keys = self.in_effect.as_ref();
            keys.is_none_or(|keys| keys.contains(&step.key()))
        };
        steps.iter().filter(stood).any(StepReport::was_to_be_done)
    }
}

/// The keys of the steps that are in effect.
pub fn in_effect(steps: &[StepReport]) -> BTreeSet<String> {
    let steps = steps.iter();
    steps
        .filter(|step| matches!(step.outcome(), Outcome::Applied | Outcome::Already))
        .map(StepReport::key)
        .collect()
}

/// The queue that holds containments back.
#[derive(Clone, Debug)]
pub struct RecheckQueue {
    client: Client,
    queue_url: String,
}

impl RecheckQueue {
    /// The queue at `queue_url`.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Sends `event`, of which these steps of the function of `category` came, to be looked at again after
    /// `done`, as a part of `trace`. Does nothing when all looks are done.
    ///
    /// # Errors
    /// If SQS refused it or could not be reached.
    pub(crate) async fn schedule(
        &self,
        category: Category,
        event: &Value,
        steps: &[StepReport],
        cause: &Cause,
        done: Option<&Recheck>,
        trace: Option<&Trace>,
    ) -> Result<()> {
        let Some((number, delay, round)) = cause.next(done) else {
            return Ok(());
        };
        let before = done.and_then(|look| look.contained_at);
        let contained_at = before
            .filter(|_| !cause.newly_contained)
            .or(cause.contained_at);
        let seen_at = done.and_then(|look| look.marks_seen_at).or(cause.now);
        let marks_seen_at = seen_at.filter(|_| cause.provisional);
        let known = done.filter(|_| cause.unread);
        let mut stands = match known {
            Some(look) => json!(look.in_effect),
            None => json!(in_effect(steps)),
        };
        let mut taken = stands.to_string().len();
        if taken > STEPS_LIMIT {
            (stands, taken) = (Value::Null, 0);
        }
        let event = abridged(event, EVENT_LIMIT - taken);
        let message = json!({
            "recheck": number, "category": category, "in_effect": stands, "event": event,
            "contained_at": contained_at, "marks_seen_at": marks_seen_at, "round": round,
        });
        self.send(&message, delay, trace).await
    }

    /// Sends `event` to the function of `category`, to be delivered again as the recheck that it is, or as a delivery.
    /// Answers the seconds until then. `finding_id` tells those apart that were put off at the same time.
    ///
    /// # Errors
    /// If SQS refused it or could not be reached.
    pub(crate) async fn put_off(
        &self,
        category: Category,
        event: &Value,
        finding_id: &str,
        look: Option<&Recheck>,
        trace: Option<&Trace>,
    ) -> Result<i32> {
        let none = Recheck::default();
        let look = look.unwrap_or(&none);
        let delay = put_off_for(look.put_off, finding_id);
        let mut message = json!({
            "recheck": look.number, "category": category, "put_off": look.put_off + 1,
            "in_effect": look.in_effect, "contained_at": look.contained_at,
            "marks_seen_at": look.marks_seen_at, "round": look.round,
        });
        let taken = message.to_string().len();
        message["event"] = abridged(event, EVENT_LIMIT.saturating_sub(taken)).into_owned();
        self.send(&message, delay, trace).await.map(|()| delay)
    }

    async fn send(&self, message: &Value, delay: i32, trace: Option<&Trace>) -> Result<()> {
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .delay_seconds(delay)
            .message_body(message.to_string())
            .set_message_system_attributes(trace.and_then(Trace::sqs_attributes))
            .send()
            .await
            .during("sqs:SendMessage", &self.queue_url)
            .map(drop)
    }
}

/// Seconds until an event that was postponed so often is delivered again.
fn put_off_for(times: u64, finding_id: &str) -> i32 {
    let least = PUT_OFF << times.min(6);
    let mut hasher = DefaultHasher::new();
    (finding_id, times).hash(&mut hasher);
    let spread = i32::try_from(hasher.finish() % u64::from(2 * least.unsigned_abs()));
    (least + spread.unwrap_or_default()).min(TRAIL_DELAY)
}

/// Takes a message of [`RecheckQueue`] apart, as Lambda hands it over: the event, and which look this is, or how often it
/// was put off. `None`: the payload is something else.
pub fn received(payload: &Value) -> Option<(Value, Recheck)> {
    let (_, message) = queue_message::received(payload)?;
    let look = Recheck {
        number: usize::try_from(message["recheck"].as_u64()?).ok()?,
        in_effect: serde_json::from_value(message["in_effect"].clone()).unwrap_or_default(),
        contained_at: time(&message["contained_at"]),
        marks_seen_at: time(&message["marks_seen_at"]),
        round: message["round"].as_u64().unwrap_or_default(),
        put_off: message["put_off"].as_u64().unwrap_or_default(),
    };
    Some((message["event"].clone(), look))
}

fn time(member: &Value) -> Option<Timestamp> {
    member.as_str()?.parse().ok()
}

/// The event that Lambda hands over of a message of [`RecheckQueue::schedule`], read from the message: to have a look done
/// that a queue has given up on; and by which function. `None`: it is no such message.
pub fn handed_over(message: &str) -> Option<(Category, Value)> {
    let payload = queue_message::handed_over(message);
    received(&payload)?;
    let message: Value = serde_json::from_str(message).ok()?;
    let category = message["category"].as_str();
    // Before instances were looked at again, no message said it.
    let category = category.map_or(Some(Category::Iam), Category::from_word)?;
    Some((category, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_the_event_that_was_sent() {
        let event = json!({ "detail": { "id": "x" } });
        let body = json!({ "recheck": 2, "event": event }).to_string();
        let payload = json!({ "Records": [{ "eventSource": "aws:sqs", "body": body }] });
        let look = Recheck {
            number: 2,
            ..Recheck::default()
        };
        assert_eq!(received(&payload), Some((event, look)));
    }

    /// The numbers of the looks that follow each other, with their seconds.
    fn looks(cause: Cause, most: usize) -> Vec<(usize, i32)> {
        let (mut done, mut looks) = (None, Vec::new());
        while let Some((number, delay, round)) = cause.next(done.as_ref()) {
            looks.push((number, delay));
            if looks.len() == most {
                break;
            }
            done = Some(Recheck {
                number,
                round,
                ..Recheck::default()
            });
        }
        looks
    }

    #[test]
    fn a_containment_is_rechecked_twice_and_by_cloudtrail_if_it_can_answer() {
        let stands = Cause {
            stands: true,
            ..Cause::default()
        };
        let keeps_out = Cause {
            keeps_out: true,
            ..stands
        };
        let provisional = Cause {
            provisional: true,
            ..Cause::default()
        };
        let anew = Cause {
            newly_contained: true,
            ..keeps_out
        };
        assert_eq!(looks(Cause::default(), 9), []);
        assert_eq!(looks(stands, 9), [(1, 10), (2, 50)]);
        assert_eq!(looks(keeps_out, 9), [(1, 10), (2, 50), (3, 900)]);
        assert_eq!(looks(provisional, 1), [(3, 900)]);
        assert_eq!(looks(provisional, 100).len(), 4);
        // What never holds is not looked at for ever.
        assert_eq!(looks(anew, 100).len(), 12);
    }

    #[test]
    fn postponed_events_come_later_each_time_and_not_together() {
        for (times, least, most) in [(0, 10, 30), (1, 20, 60), (4, 160, 480), (7, 640, 900)] {
            let delays = (0..200).map(|id| put_off_for(times, &format!("{id:032x}")));
            let delays: BTreeSet<_> = delays.collect();
            assert!(
                delays.iter().all(|it| (least..=most).contains(it)),
                "{delays:?}"
            );
            assert!(delays.len() > 10, "{delays:?}");
        }
    }

    #[test]
    fn only_a_look_is_handed_over_as_one() {
        let event = json!({ "detail": { "id": "x" } });
        let message = json!({ "recheck": 1, "event": event }).to_string();
        let (category, payload) = handed_over(&message).unwrap();
        assert_eq!(category, Category::Iam);
        let (received, look) = received(&payload).unwrap();
        assert_eq!((received, look.number), (event, 1));
        for other in ["", "{}", r#"{"event":{}}"#, r#"{"requestPayload":{}}"#] {
            assert_eq!(handed_over(other), None, "{other}");
        }
    }

    #[test]
    fn anything_else_is_an_event_of_its_own() {
        for payload in [
            json!({}),
            json!([]),
            json!({ "Records": [] }),
            json!({ "Records": [{ "eventSource": "aws:s3", "body": "{}" }] }),
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{}" }] }),
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": 5 }] }),
        ] {
            assert_eq!(received(&payload), None, "{payload}");
        }
    }

    #[test]
    fn a_look_goes_to_the_function_that_contained() {
        for (word, category) in [("iam", Category::Iam), ("ec2", Category::Ec2)] {
            let message = json!({ "recheck": 1, "category": word, "event": {} }).to_string();
            assert_eq!(handed_over(&message).unwrap().0, category);
        }
        let unknown = json!({ "recheck": 1, "category": "new", "event": {} }).to_string();
        assert_eq!(handed_over(&unknown), None);
    }
}
