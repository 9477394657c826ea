//! The principal's known calls before the activity.

use model::finding::{Finding, Frequency};

/// The principal's known calls before the activity. `None`: it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriorActivity {
    /// It called the finding's API.
    pub called: Option<bool>,
    /// It called from the finding's address.
    pub seen_there: Option<bool>,
    /// It called the finding's API from the finding's address.
    pub called_from_there: Option<bool>,
}

impl PriorActivity {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        called: None,
        seen_there: None,
        called_from_there: None,
    };

    /// The possible answers, the unknown last.
    pub(super) const POSSIBLE: [Self; 6] = [
        Self::known(true, true, true),
        Self::known(true, true, false),
        Self::known(true, false, false),
        Self::known(false, true, false),
        Self::known(false, false, false),
        Self::UNKNOWN,
    ];

    /// All of it is known.
    pub const fn known(called: bool, seen_there: bool, called_from_there: bool) -> Self {
        Self {
            called: Some(called),
            seen_there: Some(seen_there),
            called_from_there: Some(called_from_there),
        }
    }

    /// Takes from the finding what GuardDuty's anomaly model has never seen of the principal. The anomaly model's
    /// record of a call is no answer: it may have learned from the intruder.
    pub fn of_model(finding: &Finding) -> Self {
        let never = |seen: Option<Frequency>| (seen == Some(Frequency::Unseen)).then_some(false);
        let model = Self {
            called: never(finding.api_was_seen()),
            seen_there: never(finding.network_was_seen()),
            called_from_there: None,
        };
        Self::UNKNOWN.or(model)
    }

    /// Fills in from `model` what is not known.
    #[must_use]
    pub fn or(self, model: Self) -> Self {
        let called = self.called.or(model.called);
        let seen_there = self.seen_there.or(model.seen_there);
        let neither = called == Some(false) || seen_there == Some(false);
        Self {
            called,
            seen_there,
            called_from_there: self.called_from_there.or(neither.then_some(false)),
        }
    }

    /// Lists what is known, by the schema's names.
    pub fn members(self) -> impl Iterator<Item = (&'static str, bool)> {
        let members = [
            ("called", self.called),
            ("seenThere", self.seen_there),
            ("calledFromThere", self.called_from_there),
        ];
        let known = |(name, value): (_, Option<bool>)| Some((name, value?));
        members.into_iter().filter_map(known)
    }
}
