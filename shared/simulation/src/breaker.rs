//! The breaker's windows, by the rules of [`model::breaker`] and the table, without a table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use model::breaker::{BlastRadiusGroup, Limits, Window, has_room};
use model::category::Category;

/// How many members a crowd has, which findings do not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupSize {
    /// The users of each account.
    Users(usize),
    /// The instances of the Auto Scaling groups of this name.
    Group(String, usize),
}

impl GroupSize {
    fn of(&self, crowd: &BlastRadiusGroup) -> Option<usize> {
        match (self, crowd) {
            (Self::Users(size), BlastRadiusGroup::Users) => Some(*size),
            (Self::Group(known, size), BlastRadiusGroup::AutoScalingGroup { name, .. })
                if known == name =>
            {
                Some(*size)
            }
            _ => None,
        }
    }
}

/// An opening of the breaker: one notice would have been sent, and nothing more been contained there.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerTrip {
    /// When.
    pub at: Timestamp,
    /// The time until which no other notice is sent.
    pub until: Timestamp,
    /// The function.
    pub function: Category,
    /// The account.
    pub account_id: String,
    /// The group within the account. `None`: all that the function contains there.
    pub crowd: Option<String>,
    /// How many targets may be contained there in the time of a window.
    pub places: usize,
    /// Those that were.
    pub contained: Vec<String>,
    /// How many events were withheld until that time.
    pub withheld: usize,
}

/// How much was contained at most in the time of one window.
#[derive(Clone, Debug, Serialize)]
pub struct PeakDemand {
    /// The function.
    pub function: Category,
    /// The account.
    pub account_id: String,
    /// The group within the account. `None`: all that the function contains there.
    pub crowd: Option<String>,
    /// How many may be. `None`: the size of the crowd is not known, so that no share of it was held.
    pub places: Option<usize>,
    /// How many were at most.
    pub most: usize,
    /// How many would have been without a breaker.
    pub most_without_breaker: usize,
}

/// All windows.
pub(super) struct Windows<'a> {
    limits: &'a Limits,
    sizes: &'a [GroupSize],
    windows: BTreeMap<Window, State>,
    openings: Vec<BreakerTrip>,
}

#[derive(Default)]
struct State {
    places: Option<usize>,
    taken: Live,
    most: usize,
    /// As if there were places without end.
    wanted: Live,
    ever_wanted: HashSet<String>,
    most_wanted: usize,
    /// The last opening, by its index.
    opening: Option<usize>,
}

/// Names, each until a time. The times only grow.
#[derive(Default)]
struct Live {
    until: HashMap<String, Timestamp>,
    queue: VecDeque<(Timestamp, String)>,
}

impl Live {
    fn expire(&mut self, now: Timestamp) {
        while self.queue.front().is_some_and(|(until, _)| *until <= now) {
            let Some((until, name)) = self.queue.pop_front() else {
                return;
            };
            if self.until.get(&name) == Some(&until) {
                self.until.remove(&name);
            }
        }
    }

    fn add(&mut self, name: &str, until: Timestamp) {
        self.until.insert(name.to_owned(), until);
        self.queue.push_back((until, name.to_owned()));
    }
}

impl<'a> Windows<'a> {
    pub(super) fn new(limits: &'a Limits, sizes: &'a [GroupSize]) -> Self {
        Self {
            limits,
            sizes,
            windows: BTreeMap::new(),
            openings: Vec::new(),
        }
    }

    /// Takes a place for each of `names`, in the window of the account and in those of the crowds; or none, and says
    /// why.
    pub(super) fn take(
        &mut self,
        function: Category,
        account_id: &str,
        names: &BTreeSet<String>,
        crowds: &BTreeMap<BlastRadiusGroup, BTreeSet<String>>,
        now: Timestamp,
    ) -> Result<(), String> {
        let window = |crowd: Option<&BlastRadiusGroup>| Window {
            category: function,
            account_id: account_id.to_owned(),
            crowd: crowd.cloned(),
        };
        let sized = |crowd: &BlastRadiusGroup| self.sizes.iter().find_map(|size| size.of(crowd));
        let mut needs: Vec<(Option<usize>, Window, &BTreeSet<String>)> = crowds
            .iter()
            .map(|(crowd, names)| {
                let places = sized(crowd).map(|size| self.limits.share_of(crowd, size));
                (places, window(Some(crowd)), names)
            })
            .collect();
        needs.push((Some(self.limits.containments), window(None), names));
        needs.sort();
        let until = now.saturating_add(self.limits.window).unwrap_or(now);
        for (places, window, names) in &needs {
            let state = self.windows.entry(window.clone()).or_default();
            state.places = *places;
            state.want(names, now, until);
        }
        for (places, window, names) in &needs {
            if let Some(places) = places
                && let Some(reason) = self.refuse(window, *places, names, now, until)
            {
                return Err(reason);
            }
        }
        for (_, window, names) in &needs {
            let state = self.windows.entry(window.clone()).or_default();
            for name in *names {
                state.taken.add(name, until);
            }
            state.most = state.most.max(state.taken.until.len());
        }
        Ok(())
    }

    /// Why a window has no room for `names`, if it has none.
    fn refuse(
        &mut self,
        window: &Window,
        places: usize,
        names: &BTreeSet<String>,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<String> {
        let state = self.windows.get_mut(window)?;
        state.taken.expire(now);
        let live = &state.taken.until;
        if has_room(names, places, live.len(), |it| live.contains_key(it)) {
            return None;
        }
        if names.len() > places {
            return Some(window.too_many(names.len(), places, self.limits.minutes()));
        }
        let open = state
            .opening
            .and_then(|index| self.openings.get_mut(index))
            .filter(|opening| now < opening.until);
        match open {
            Some(opening) => opening.withheld += 1,
            None => {
                let mut contained: Vec<_> = live.keys().cloned().collect();
                contained.sort_unstable();
                state.opening = Some(self.openings.len());
                self.openings.push(BreakerTrip {
                    at: now,
                    until,
                    function: window.category,
                    account_id: window.account_id.clone(),
                    crowd: window.crowd.as_ref().map(ToString::to_string),
                    places,
                    contained,
                    withheld: 1,
                });
            }
        }
        Some(window.all_taken(live.len(), places, self.limits.minutes()))
    }

    /// The openings in the order of time, and how much each window had to hold.
    pub(super) fn done(self) -> (Vec<BreakerTrip>, Vec<PeakDemand>) {
        let demands = self.windows.into_iter().map(|(window, state)| PeakDemand {
            function: window.category,
            account_id: window.account_id,
            crowd: window.crowd.as_ref().map(ToString::to_string),
            places: state.places,
            most: state.most,
            most_without_breaker: state.most_wanted,
        });
        (self.openings, demands.collect())
    }
}

impl State {
    fn want(&mut self, names: &BTreeSet<String>, now: Timestamp, until: Timestamp) {
        self.taken.expire(now);
        self.wanted.expire(now);
        for name in names {
            // What is contained once would not be wanted again.
            if self.ever_wanted.insert(name.clone()) {
                self.wanted.add(name, until);
            }
        }
        self.most_wanted = self.most_wanted.max(self.wanted.until.len());
    }
}
