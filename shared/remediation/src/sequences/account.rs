//! An account with two users and their keys, and a playbook for them: a key is contained when it is deactivated
//! and what its user may do is denied, which is one deny for all keys of the user.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::category::Category;
use crate::error::{CallError, CallFailure, Error, Result};
use crate::finding::Finding;
use crate::inquiry::Inquiry;
use crate::investigation::Investigation;
use crate::plan::{Action, Phase, Plan, Step as Planned, Undo};
use crate::planner::Planner;
use crate::settings::Settings;
use aws::playbook::Playbook;
use policy::Resource;

/// A credential of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    First,
    Second,
    /// Of the same user: the deny is all that contains it.
    Session,
    OfAnotherUser,
}

impl Key {
    const ALL: [Self; 4] = [
        Self::First,
        Self::Second,
        Self::Session,
        Self::OfAnotherUser,
    ];

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::First => "AKIAIOSFODNN7EXAMPL1",
            Self::Second => "AKIAIOSFODNN7EXAMPL2",
            Self::Session => "ASIAIOSFODNN7EXAMPLE",
            Self::OfAnotherUser => "AKIAIOSFODNN7EXAMPL3",
        }
    }

    pub(super) fn user(self) -> &'static str {
        match self {
            Self::First | Self::Second | Self::Session => "alice",
            Self::OfAnotherUser => "bob",
        }
    }

    /// What contains it.
    pub(super) fn steps(self) -> Vec<Step> {
        let kinds: &[_] = match self {
            Self::Session => &[Kind::Denied],
            _ => &[Kind::Denied, Kind::Deactivated],
        };
        kinds.iter().map(|kind| Step::of(*kind, self)).collect()
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Kind {
    Denied,
    Deactivated,
}

/// A step, and whether it is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// The key's id or the user's name.
    pub(super) name: &'static str,
}

impl Step {
    pub(super) fn of(kind: Kind, key: Key) -> Self {
        let name = match kind {
            Kind::Denied => key.user(),
            Kind::Deactivated => key.id(),
        };
        Self { kind, name }
    }
}

/// The account as it is.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) in_effect: BTreeSet<Step>,
    /// What reading answers, if it fails.
    pub(super) unreadable: Option<CallFailure>,
    /// How often it was read since.
    pub(super) read: usize,
    /// How often something outside of the function was called.
    pub(super) calls: usize,
}

/// The playbook, and the account that it reads and changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    account: Arc<Mutex<Account>>,
    /// Called after each call.
    called: Option<Called>,
}

/// What is called after each call.
#[derive(Clone)]
pub(super) struct Called(pub(super) Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Called")
    }
}

impl Keys {
    pub(super) fn of(account: &Arc<Mutex<Account>>, called: Option<Called>) -> Self {
        let account = Arc::clone(account);
        Self { account, called }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    fn call(&self) {
        if let Some(called) = &self.called {
            (called.0)();
        }
    }
}

/// A change of the account, as it is recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    kind: Kind,
    name: String,
    found: bool,
}

impl Change {
    fn step(&self) -> Step {
        let steps = Key::ALL.into_iter().flat_map(Key::steps);
        let mut same = steps.filter(|step| step.kind == self.kind && step.name == self.name);
        same.next().expect("a step of the account")
    }
}

impl Action for Change {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[];
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Denied => "iam:RevokeUserSessions",
            Kind::Deactivated => "iam:DeactivateAccessKey",
        }
    }
    fn target(&self) -> String {
        self.name.clone()
    }
    fn is_shared(_name: &str) -> bool {
        true
    }
    fn phase(&self) -> Phase {
        Phase::Contain
    }
    fn from(&self) -> Value {
        json!({ "InEffect": self.found })
    }
    fn to(&self) -> Value {
        json!({ "InEffect": true })
    }
    fn undo(&self) -> Undo {
        match self.kind {
            Kind::Denied => Undo::Restore,
            Kind::Deactivated => Undo::RequiresExplicitTarget,
        }
    }
}

fn key_of(finding: &Finding) -> Key {
    let id = finding.access_key_id().unwrap_or_default();
    let mut keys = Key::ALL.into_iter();
    keys.find(|key| key.id() == id)
        .expect("a key of the account")
}

impl Planner for Keys {
    const CATEGORY: Category = Category::Iam;

    /// The steps that are in effect.
    type State = BTreeSet<Step>;

    type Action = Change;

    fn plan(
        finding: &Finding,
        state: &Self::State,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Plan<Change> {
        let steps = key_of(finding).steps().into_iter().map(|step| {
            let found = state.contains(&step);
            let (kind, name) = (step.kind, step.name.to_owned());
            let change = Change { kind, name, found };
            if found {
                Planned::Already(change, "in effect".to_owned())
            } else {
                Planned::Do(change)
            }
        });
        Plan {
            steps: steps.collect(),
            ..Plan::default()
        }
    }

    fn resource(finding: &Finding, _state: &Self::State, _change: &Change) -> Resource {
        Resource::user(finding, key_of(finding).user(), None)
    }
}

impl Playbook for Keys {
    const READS: &'static [&'static str] = &[];

    async fn observe(&self, _finding: &Finding) -> Result<Self::State> {
        sleep(Duration::from_millis(100)).await;
        let read = {
            let mut account = self.account();
            match account.unreadable {
                Some(kind) => Err(Error::from(CallError {
                    operation: "iam:ListAccessKeys",
                    target: "the user".to_owned(),
                    code: "Code".to_owned(),
                    message: "as the test asked".to_owned(),
                    kind,
                })),
                None => {
                    account.read += 1;
                    Ok(account.in_effect.clone())
                }
            }
        };
        self.call();
        read
    }

    async fn apply(&self, change: &Change) -> Result<()> {
        sleep(Duration::from_millis(100)).await;
        self.account().in_effect.insert(change.step());
        self.call();
        Ok(())
    }

    async fn restore(&self, change: &Change) -> Result<()> {
        if !change.found {
            self.account().in_effect.remove(&change.step());
        }
        Ok(())
    }

    async fn investigate(&self, _: &Inquiry<'_>, _: Option<&Self::State>) -> Investigation {
        sleep(Duration::from_secs(5)).await;
        self.call();
        Investigation::default()
    }
}
