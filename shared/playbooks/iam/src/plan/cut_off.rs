//! Until when the sessions of a user or role are cut off.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::super::action::Action;
use super::super::policy_document::Deny;
use model::actions::iam::EVERYTHING_DENIED;
use model::finding::Finding;
use model::plan::Step;

/// How far ahead sessions are cut off where long-term keys are deactivated. IAM takes its time to enforce that
/// everywhere, and a session made with a key before then lasts up to 36 hours. It costs whoever signs in within that
/// time another sign-in.
pub(super) const CUT_OFF_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// The response to the long-term keys that sessions may have been made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// They are not touched.
    Untouched,
    /// They are deactivated, or were. `usable`: until now, so that more sessions may have been made since the
    /// activity that the finding tells of.
    Deactivated { usable: bool },
}

/// When to cut off, and whether that is in effect already. The cut-off only moves forward, and only if there is
/// something new to cut off: a repeated finding about activity from before the cut-off plans nothing.
pub(super) enum CutOff {
    Standing(Timestamp),
    Needed(Timestamp),
}

impl CutOff {
    /// The cut-off of a user: the policy of an earlier version lets sign-in sessions be renewed, and is replaced.
    pub(super) fn of_user(finding: &Finding, standing: &Deny, keys: Keys, now: Timestamp) -> Self {
        match Self::of(finding, standing, keys, now) {
            Self::Standing(time) if standing.lets_renew() => {
                Self::Needed(time.max(Self::until(keys, now)))
            }
            cut_off => cut_off,
        }
    }

    fn until(keys: Keys, now: Timestamp) -> Timestamp {
        // IAM knows when a session was issued to the second, and "before" does not include it.
        let up = TimestampRound::new()
            .smallest(Unit::Second)
            .mode(RoundMode::Ceil);
        let until = match keys {
            Keys::Untouched => now,
            Keys::Deactivated { .. } => now.saturating_add(CUT_OFF_MARGIN).unwrap_or(now),
        };
        until.round(up).unwrap_or(until)
    }

    pub(super) fn of(finding: &Finding, standing: &Deny, keys: Keys, now: Timestamp) -> Self {
        let renewable = keys == Keys::Deactivated { usable: true };
        let cut_off = Self::until(keys, now);
        let needed = finding.last_seen().map_or(now, |seen| seen.min(now));
        match standing.cut_off() {
            Some(standing) if standing >= cut_off || (standing >= needed && !renewable) => {
                Self::Standing(standing)
            }
            Some(standing) => Self::Needed(standing.max(cut_off)),
            None => Self::Needed(cut_off),
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        let (Self::Standing(time) | Self::Needed(time)) = self;
        *time
    }

    pub(super) fn step(&self, action: Action, wider: Option<&str>) -> Step<Action> {
        match (wider, self) {
            (Some(wider), _) => Step::Already(action, format!("{EVERYTHING_DENIED}: {wider}")),
            (None, Self::Standing(time)) => Step::Already(
                action,
                format!("sessions issued before {time} are denied everything"),
            ),
            (None, Self::Needed(_)) => Step::Do(action),
        }
    }
}
