//! The breaker: how much of an account the responder contains before a person has looked.
//!
//! A wrong threat list, a noisy detector or an attacker who causes findings on purpose must not make the
//! responder the outage. So in any time as long as the window a function contains at most so many targets
//! of an account, and of what belongs together (an Auto Scaling group, the instances of a role, the users
//! of an account, if there are ten or more) at most a share. What is beyond is withheld; one person is told once, and findings are
//! recorded until places are free again by time or by `gdr breaker reset`.
//!
//! What is contained already takes no place, and a target that has one needs no second. Places are taken
//! while the intent is being recorded, in all windows by one transaction. If that does not succeed, since
//! one has no room, is new, or others are asking at the same time, the windows are asked one after the
//! other, the one with the fewest places first, so that of a storm no more invocations ask the next one
//! than it may matter to. If a later one has no room, the places in those before are given back.
//!
//! Where the table cannot be asked, each execution environment lets one finding through in the time of a
//! window, and says so: a failure of the table must stop no containment, nor let a storm through. What is
//! beyond is withheld; a failure that may pass makes the invocation an error, which Lambda retries, and of
//! any other the notice says what to do. Without a table there is no breaker.

mod alone;
mod crowd;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use self::alone::Alone;
pub use self::crowd::{Crowd, Member};
use crate::catalogue::Category;
use crate::error::Error;
use crate::finding::Finding;
use crate::plan::{Action as _, Phase, Plan, Step, Withheld};
use crate::playbook::Playbook;
use crate::policy;
use crate::record::{Full, Opened, Places, Record, Taken, Terms, Window};

/// What a step is withheld by.
pub const BREAKER: &str = "breaker";

/// How the line in the log begins that says that a window has no room.
const OPEN: &str = "breaker open";

/// How much is contained at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Targets of one function in one account in any time as long as [`Limits::window`].
    pub containments: usize,
    /// How long a containment counts.
    pub window: SignedDuration,
    /// Per cent of the members of a [`Crowd`] that may be contained in that time. One always may; and of
    /// users, of whom an account has fewer than [`Limits::USERS_FROM`], as many as of anything.
    pub share_percent: usize,
}

impl Limits {
    /// The most that [`Limits::containments`] may be: a window is one item of the table, which has
    /// 400 KB at most, and a target's name up to 512 bytes.
    pub const MOST: usize = 500;

    /// From how many users of an account on no more than a share of them is contained. A share of a handful
    /// is nobody: half of three users would let the second one that is stolen work on.
    pub const USERS_FROM: usize = 10;

    /// How many members of a crowd of this size may be contained.
    pub(crate) fn share_of(&self, crowd: &Crowd, size: usize) -> usize {
        if *crowd == Crowd::Users && size < Self::USERS_FROM {
            return self.containments;
        }
        (size.saturating_mul(self.share_percent) / 100).max(1)
    }

    fn minutes(&self) -> i64 {
        self.window.as_mins()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            containments: 20,
            window: SignedDuration::from_hours(1),
            share_percent: 50,
        }
    }
}

/// The places that a plan needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Each window with its number of places and the names to be in it, the one with the fewest places
    /// first. Empty: nothing is to be contained.
    windows: Vec<(usize, Window, BTreeSet<String>)>,
    /// Of which crowds the size is not known, so that no share of them is held, and why.
    unsized_crowds: BTreeMap<Crowd, String>,
}

/// What `plan` needs. Pure.
pub(crate) fn needs<P: Playbook>(
    limits: &Limits,
    finding: &Finding,
    state: &P::State,
    plan: &Plan<P::Action>,
) -> Needs {
    let targets = policy::targets(P::CATEGORY, finding).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut crowds: BTreeMap<Crowd, (usize, BTreeSet<String>)> = BTreeMap::new();
    let mut unsized_crowds = BTreeMap::new();
    let containing = plan.steps.iter().filter_map(|step| match step {
        Step::Do(action) if matches!(action.phase(), Phase::Protect | Phase::Contain) => {
            Some(action)
        }
        _ => None,
    });
    for action in containing {
        names.insert(match targets.as_slice() {
            [target] => target.clone(),
            _ => P::resource(finding, state, action).name().to_owned(),
        });
        for member in P::blast_radius_groups(finding, state, action) {
            match member.size {
                Ok(size) => {
                    let entry = crowds.entry(member.crowd);
                    let (_, names) = entry.or_insert_with(|| (size, BTreeSet::new()));
                    names.insert(member.name);
                }
                Err(error) => {
                    unsized_crowds.insert(member.crowd, error.to_string());
                }
            }
        }
    }
    let window = |crowd| Window {
        category: P::CATEGORY,
        account_id: finding.account_id.clone(),
        crowd,
    };
    let mut windows: Vec<_> = crowds
        .into_iter()
        .map(|(crowd, (size, names))| (limits.share_of(&crowd, size), window(Some(crowd)), names))
        .collect();
    if !names.is_empty() {
        windows.push((limits.containments, window(None), names));
    }
    windows.sort();
    Needs {
        windows,
        unsized_crowds,
    }
}

impl Needs {
    /// Leaves out what was asked for already.
    pub(crate) fn leave_out(&mut self, asked: &Self) {
        self.windows.retain(|need| !asked.windows.contains(need));
        let known = &asked.unsized_crowds;
        self.unsized_crowds
            .retain(|crowd, _| !known.contains_key(crowd));
    }

    /// What a person should know of limits that were not held.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = String> {
        self.unsized_crowds.iter().map(|(crowd, why)| {
            format!(
                "look how many of {crowd} are contained: the limit of a share was not held, since \
                 their number is not known: {why}"
            )
        })
    }
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) invocation: &'a str,
    pub(crate) finding_id: &'a str,
    pub(crate) alone: &'a Alone,
    pub(crate) now: Timestamp,
    pub(crate) until: Instant,
}

/// Whether a plan may be executed.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It has its places, or needs none.
    Room,
    /// It may, without places, since the table could not be asked. What a person should know of that.
    Alone(String),
    /// It may not.
    Refused(Box<Refusal>),
}

/// Why a plan is withheld.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) withheld: Withheld,
    pub(crate) page: Page,
    /// The window without room, for the one who tells of it.
    pub(crate) overload: Option<Overload>,
    /// The table could not be asked, so that nobody knows whether there is room.
    pub(crate) unasked: bool,
    /// Why it could not be asked, if a retry may not meet that.
    pub(crate) transient: Option<Error>,
}

/// Whether people are told of a finding that was withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// They are, since this invocation is the first to be refused.
    Due,
    /// As of any other finding: they are, unless they were told of its status.
    AsUsual,
    /// They were told by another invocation.
    Done,
}

/// A window without room, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    category: Category,
    account_id: String,
    window: Window,
    places: usize,
    minutes: i64,
    /// Who has a place, and until when.
    contained: BTreeMap<String, Timestamp>,
}

impl Overload {
    fn new(limits: &Limits, places: usize, window: &Window, full: &Full) -> Self {
        Self {
            category: window.category,
            account_id: window.account_id.clone(),
            window: window.clone(),
            places,
            minutes: limits.minutes(),
            contained: full.taken.clone(),
        }
    }

    /// What is counted: `ec2 in account 111122223333`.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Which targets were contained.
    pub fn contained(&self) -> impl Iterator<Item = &str> {
        self.contained.keys().map(String::as_str)
    }

    /// How a person lets it contain again.
    pub fn reset(&self) -> String {
        format!(
            "gdr breaker reset --category {} --account {}",
            self.category, self.account_id
        )
    }

    /// Why nothing more is contained, in one sentence.
    pub fn reason(&self) -> String {
        let first = self.contained.values().min();
        let first = first.map(|time| format!("; the next place is free at {time}"));
        format!(
            "the breaker for {} is open: of at most {} in {} minutes {} are contained{}",
            self.window,
            self.places,
            self.minutes,
            self.contained.len(),
            first.unwrap_or_default(),
        )
    }
}

/// Takes the places that a plan needs, or says why it may not be executed.
pub(crate) async fn ask(
    record: &Record,
    limits: &Limits,
    needs: &Needs,
    asker: &Asker<'_>,
) -> Answer {
    let terms = |places| Terms {
        places,
        now: asker.now,
        lasts: limits.window,
        until: asker.until,
    };
    if needs.windows.len() > 1 {
        let all = needs.windows.iter();
        let all = all.map(|(places, window, names)| (window, names, terms(*places)));
        if Box::pin(record.take_all(&all.collect::<Vec<_>>())).await {
            return Answer::Room;
        }
    }
    let mut held = Vec::new();
    for (places, window, names) in &needs.windows {
        let refusal = match Box::pin(record.take(window, names, &terms(*places))).await {
            Ok(Taken::Places(places)) => {
                held.push(places);
                continue;
            }
            Ok(Taken::Full(full)) => {
                let overload = Overload::new(limits, *places, window, &full);
                if names.len() > *places {
                    too_many(names.len(), &overload)
                } else {
                    Box::pin(refused(record, overload, full.opened, limits, asker)).await
                }
            }
            Err(error) => {
                if asker.alone.lets(asker.finding_id, asker.now, limits.window) {
                    return Answer::Alone(alone(&error));
                }
                unasked(error)
            }
        };
        give_back(record, &held).await;
        return Answer::Refused(Box::new(refusal));
    }
    Answer::Room
}

/// What is answered where the table does not answer, for this reason.
pub(crate) fn unanswered(
    limits: &Limits,
    needs: &Needs,
    asker: &Asker<'_>,
    error: Error,
) -> Answer {
    if needs.windows.is_empty() {
        return Answer::Room;
    }
    if asker.alone.lets(asker.finding_id, asker.now, limits.window) {
        return Answer::Alone(alone(&error));
    }
    Answer::Refused(Box::new(unasked(error)))
}

async fn give_back(record: &Record, held: &[Places]) {
    for places in held {
        if let Err(error) = record.give_places_back(places).await {
            tracing::error!(%error, "places in a window were not given back and end by their time");
        }
    }
}

async fn refused(
    record: &Record,
    overload: Overload,
    opened: Option<Opened>,
    limits: &Limits,
    asker: &Asker<'_>,
) -> Refusal {
    let Asker {
        invocation, now, ..
    } = *asker;
    let window = &overload.window;
    let known = opened.is_some();
    let opened = match opened {
        Some(opened) => Ok(opened),
        None => {
            let marked = record.mark_opened(window, invocation, now, limits.window);
            marked.await
        }
    };
    let page = match opened {
        Ok(opened) if opened.by != invocation => Page::Done,
        // A retry, whose attempt before may not have come to telling.
        Ok(_) if known => Page::AsUsual,
        Ok(_) => Page::Due,
        Err(error) => {
            tracing::error!(%error, "people may be told again that the breaker is open");
            Page::Due
        }
    };
    let reason = overload.reason();
    if page == Page::Done {
        tracing::warn!(reason, "withheld by the breaker");
    } else {
        tracing::error!("{OPEN}: {reason}");
    }
    Refusal {
        withheld: Withheld {
            by: vec![BREAKER.to_owned()],
            awaits_approval: false,
            reason: format!("{reason}; to contain more, {}", overload.reset()),
        },
        page,
        overload: Some(overload).filter(|_| page != Page::Done),
        unasked: false,
        transient: None,
    }
}

/// There will never be room, so that this is told of each such finding.
fn too_many(wanted: usize, overload: &Overload) -> Refusal {
    Refusal {
        withheld: Withheld {
            by: vec![BREAKER.to_owned()],
            awaits_approval: false,
            reason: format!(
                "this finding alone would be {wanted} containments, and the breaker for {} lets {} \
                 through in {} minutes: contain them by hand, or set a higher limit",
                overload.window, overload.places, overload.minutes,
            ),
        },
        page: Page::AsUsual,
        overload: None,
        unasked: false,
        transient: None,
    }
}

fn alone(error: &Error) -> String {
    tracing::error!(%error, "the breaker could not be asked: this finding is contained, the next is not");
    format!(
        "look how much was contained lately: the breaker could not be asked, so this finding was let \
         through alone, and further ones are withheld: {error}"
    )
}

fn unasked(error: Error) -> Refusal {
    tracing::error!(%error, "the breaker could not be asked: nothing more is contained");
    Refusal {
        withheld: Withheld {
            by: vec![BREAKER.to_owned()],
            awaits_approval: false,
            reason: format!(
                "how much was contained lately could not be read or written, so nothing more is: \
                 {error}; contain it by hand, and repair the table of incidents or the function's \
                 access to it"
            ),
        },
        page: Page::AsUsual,
        overload: None,
        unasked: true,
        transient: Some(error).filter(Error::is_transient),
    }
}

#[cfg(test)]
mod tests;
