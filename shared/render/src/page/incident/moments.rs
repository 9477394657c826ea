//! The time line: the recorded times.

use jiff::{SignedDuration, Timestamp};

use super::Incident;
use crate::report_view::to_second;
use maud::{Markup, html};
use model::finding::Finding;

/// Who did it, which gives the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The actor of the finding.
    Them,
    GuardDuty,
    Responder,
    Person,
}

impl By {
    fn colour(self) -> &'static str {
        match self {
            Self::Them => "bad",
            Self::GuardDuty => "warn",
            Self::Responder => "good",
            Self::Person => "person",
        }
    }
}

struct Moment {
    at: Timestamp,
    by: By,
    what: &'static str,
}

/// In the order in which it happened.
fn moments(incident: &Incident, finding: Option<&Finding>) -> Vec<Moment> {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let recorded = |text: &Option<String>| time(text.as_deref()?);
    // "by <ARN> at <time>", and for a rejection ": <reason>" after it.
    let decided = |text: &Option<String>| {
        let text = text.as_deref()?;
        let mut after = text.split(" at ").skip(1);
        after.find_map(|rest| time(rest.split(": ").next()?))
    };
    let found = |get: fn(&Finding) -> Option<Timestamp>| finding.and_then(get);
    // The record's time is that of the first step in effect.
    let part = incident.status == "partial";
    let all = [
        (found(Finding::first_seen), By::Them, "first seen"),
        (found(Finding::last_seen), By::Them, "last seen"),
        (
            found(Finding::created_at),
            By::GuardDuty,
            "GuardDuty made the finding",
        ),
        (
            found(Finding::updated_at),
            By::GuardDuty,
            "GuardDuty last updated the finding",
        ),
        (
            found(Finding::event_time),
            By::GuardDuty,
            "GuardDuty sent the event",
        ),
        (
            time(&incident.received_at),
            By::Responder,
            "the responder received it",
        ),
        (
            recorded(&incident.decided_at),
            By::Responder,
            "the responder decided what to do",
        ),
        (
            recorded(&incident.intended_at),
            By::Responder,
            "written down, and the first change began",
        ),
        (
            recorded(&incident.contained_at),
            By::Responder,
            if part {
                "a part was contained, as read back"
            } else {
                "contained, as read back"
            },
        ),
        (recorded(&incident.concluded_at), By::Responder, "reported"),
        (
            recorded(&incident.notified_at),
            By::Responder,
            "the notice was sent",
        ),
        (
            recorded(&incident.looked_at),
            By::Responder,
            "last rechecked",
        ),
        (decided(&incident.approved), By::Person, "approved"),
        (decided(&incident.rejected), By::Person, "rejected"),
        (decided(&incident.released), By::Person, "released"),
    ];
    let mut moments: Vec<_> = all
        .into_iter()
        .filter_map(|(at, by, what)| Some(Moment { at: at?, by, what }))
        .collect();
    moments.sort_by_key(|moment| moment.at);
    moments
}

/// The picture's width, and the radius of a mark.
const WIDTH: f64 = 340.0;
const RADIUS: f64 = 9.0;

/// A picture of the order and the distances, and the same in words.
pub(super) fn time_line(incident: &Incident, finding: Option<&Finding>) -> Markup {
    let moments = moments(incident, finding);
    let since = |index: usize| {
        let before = moments.get(index.checked_sub(1)?)?;
        Some(moments[index].at.duration_since(before.at))
    };
    html! {
        @if moments.len() > 1 {
            h3 { "When" }
            figure.picture aria-label="Time line" {
                (picture(&moments))
                figcaption.soft { "A wider gap is a longer time; not to scale." }
            }
        }
        @if !moments.is_empty() {
            ol {
                @for (index, moment) in moments.iter().enumerate() {
                    li {
                        strong.(moment.by.colour()) { (moment.what) } " "
                        (to_second(moment.at))
                        @if let Some(passed) = since(index) { span.soft { ", " (later(passed)) } }
                    }
                }
            }
        }
    }
}

fn picture(moments: &[Moment]) -> Markup {
    let spoken: Vec<_> = moments.iter().map(|moment| moment.what).collect();
    html! {
        svg role="img" aria-label={ "Time line: " (spoken.join(", then ")) }
            viewBox={ "0 0 " (WIDTH) " 44" } {
            line.stroke x1=(RADIUS) y1="12" x2=(WIDTH - RADIUS) y2="12" stroke-width="2" {}
            @for (index, (moment, x)) in moments.iter().zip(positions(moments)).enumerate() {
                circle.mark.(moment.by.colour()) cx=(rounded(x)) cy="12" r=(RADIUS) {
                    title { (moment.what) ", " (to_second(moment.at)) }
                }
                text x=(rounded(x)) y="38" text-anchor="middle" { (index + 1) }
            }
        }
    }
}

/// Marks do not overlap; the remaining room is shared by the logarithms of the times between them, since a containment
/// takes seconds and an attack days.
fn positions(moments: &[Moment]) -> Vec<f64> {
    let gaps: Vec<_> = moments
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64().max(0.0))
        .map(f64::ln_1p)
        .collect();
    let sum: f64 = gaps.iter().sum();
    let least = 2.0 * RADIUS + 2.0;
    let room = (WIDTH - 2.0 * RADIUS - least * gaps.len() as f64).max(0.0);
    let mut x = RADIUS;
    let mut positions = vec![x];
    for gap in gaps {
        x += least + if sum > 0.0 { room * gap / sum } else { 0.0 };
        positions.push(x);
    }
    positions
}

fn rounded(x: f64) -> String {
    format!("{x:.1}")
}

fn later(passed: SignedDuration) -> String {
    let seconds = passed.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{:.1} s later", passed.as_secs_f64()),
        (0, 0, _) => format!("{minutes} min {} s later", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min later"),
        _ => format!("{days} d {hours} h later"),
    }
}
