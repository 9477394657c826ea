//! The breaker's answer: whether a plan may be executed, and why not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::limits::Limits;
use super::window::{Full, Window};
use crate::category::Category;
use crate::error::Error;
use crate::plan::Withheld;

/// The name of the breaker as the reason that a step is withheld.
pub const BREAKER: &str = "breaker";

/// Whether a plan may be executed.
#[derive(Debug)]
pub enum BreakerDecision {
    /// It has its places, or needs none.
    Room,
    /// It may, without places, since the table could not be asked. The step for the on-call engineer.
    FallbackQuota(String),
    /// It may not.
    Refused(Box<Denial>),
}

/// Why a plan is withheld.
#[derive(Debug)]
pub struct Denial {
    pub withheld: Withheld,
    pub page: Page,
    /// The window without room, for the one who tells of it.
    pub overload: Option<OpenBreaker>,
    /// The table could not be asked, so that nobody knows whether there is room.
    pub unasked: bool,
    /// Why it could not be asked, if a retry may not meet that.
    pub transient: Option<Error>,
}

impl Denial {
    fn new(reason: String, page: Page) -> Self {
        Self {
            withheld: Withheld {
                by: vec![BREAKER.to_owned()],
                awaits_approval: false,
                reason,
            },
            page,
            overload: None,
            unasked: false,
            transient: None,
        }
    }

    /// A window has no room.
    pub fn open(overload: OpenBreaker, page: Page) -> Self {
        let (reason, reset) = (overload.reason(), overload.reset());
        Self {
            overload: Some(overload).filter(|_| page != Page::Done),
            ..Self::new(format!("{reason}; to contain more, {reset}"), page)
        }
    }

    /// There will never be room, so that each such finding is notified.
    pub fn too_many(wanted: usize, overload: &OpenBreaker) -> Self {
        let window = &overload.window;
        let reason = window.too_many(wanted, overload.places, overload.minutes);
        let reason = format!("{reason}: contain them by hand, or set a higher limit");
        Self::new(reason, Page::AsUsual)
    }

    /// The table could not be asked.
    pub fn unasked(error: Error) -> Self {
        let reason = format!(
            "the circuit breaker could not be asked, so nothing more is contained: contain it by hand, \
             and repair the incident table or the function's access to it ({error})"
        );
        Self {
            unasked: true,
            transient: Some(error).filter(Error::is_transient),
            ..Self::new(reason, Page::AsUsual)
        }
    }
}

/// Whether a notice is sent about a withheld finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// They are, since this invocation is the first to be refused.
    Due,
    /// As of any other finding: it is, unless one was sent for its status.
    AsUsual,
    /// Another invocation sent it.
    Done,
}

/// A window without room, for people.
#[derive(Clone, Debug, Serialize)]
pub struct OpenBreaker {
    category: Category,
    account_id: String,
    window: Window,
    places: usize,
    minutes: i64,
    /// Who has a place, and until when.
    contained: BTreeMap<String, Timestamp>,
}

impl OpenBreaker {
    pub fn new(limits: &Limits, places: usize, window: &Window, full: &Full) -> Self {
        Self {
            category: window.category,
            account_id: window.account_id.clone(),
            window: window.clone(),
            places,
            minutes: limits.minutes(),
            contained: full.taken.clone(),
        }
    }

    /// The counted window: `ec2 in account 111122223333`.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Which targets were contained.
    pub fn contained(&self) -> impl Iterator<Item = &str> {
        self.contained.keys().map(String::as_str)
    }

    /// The command that lets the breaker admit again.
    pub fn reset(&self) -> String {
        format!(
            "gdr breaker reset --category {} --account {}",
            self.category, self.account_id
        )
    }

    /// Why nothing more is contained, in one sentence.
    pub fn reason(&self) -> String {
        let first = self.contained.values().min();
        let first = first.map(|time| format!("; next slot at {time}"));
        let taken = self.contained.len();
        let reason = self.window.all_taken(taken, self.places, self.minutes);
        reason + &first.unwrap_or_default()
    }
}
