//! A small account behind mocked clients of IAM and CloudTrail.

mod permissions;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::{Event, LookupAttributeKey};
use aws_sdk_iam::types::StatusType;
use serde_json::Value;
use testkit::{mock, mock_client};

pub(super) use self::permissions::Services;
use self::permissions::permission_rules;
use self::rules::{role_rules, user_rules};
use super::super::Iam;
use super::super::clients::Clients;
use super::CUT_OFF;
use aws::cloudtrail::event_history::EventHistory;
use aws::iam_principal::Principals;
use aws::playbook::Playbook as _;
use fixtures::hostile::grammar::denies;
use fixtures::{self, Protocol, Wire};
use model::settings::{IamSettings, Settings};

pub(super) const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
/// The stolen key.
pub(super) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Mallory's other key.
pub(super) const SECOND: &str = "AKIASECOND0000000000";

/// What is called on release only.
const RELEASING: [&str; 8] = [
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:UntagRole",
    "iam:UntagUser",
];

#[derive(Clone, Default)]
pub(super) struct Entity {
    pub(super) id: &'static str,
    pub(super) path: &'static str,
    pub(super) inline: BTreeMap<String, String>,
    pub(super) attached: BTreeSet<String>,
    pub(super) boundary: Option<String>,
    /// Id, status, second of creation.
    pub(super) keys: Vec<(&'static str, StatusType, i64)>,
    pub(super) console: bool,
    /// The second at which the console password was made.
    pub(super) console_since: i64,
    /// Service-specific credentials: id, service, status, second of creation.
    pub(super) credentials: Vec<(&'static str, &'static str, StatusType, i64)>,
    pub(super) trust: Value,
    /// The groups of a user.
    pub(super) groups: Vec<&'static str>,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
pub(super) struct Account {
    pub(super) users: BTreeMap<String, Entity>,
    pub(super) roles: BTreeMap<String, Entity>,
    pub(super) groups: BTreeMap<String, Entity>,
    /// The customer's own policies: ARN and document.
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) services: Services,
    /// CloudTrail always has one page more.
    pub(super) endless: bool,
    /// CloudTrail's events, newest first.
    pub(super) events: Vec<Value>,
    /// Accepts inline policies and does not keep them.
    pub(super) forgets: bool,
    /// Has no room for inline policies.
    pub(super) full: bool,
    /// Lists of credentials end in the middle, and do not say where they go on.
    pub(super) cut: bool,
    /// How many reads after a change of a user's keys or policies still show what was there before.
    pub(super) behind: usize,
    /// The users as they were before.
    pub(super) before: BTreeMap<String, Entity>,
}

impl Account {
    /// A user who is about to be changed.
    fn changing(&mut self, name: Option<&str>) -> Result<&mut Entity, &'static str> {
        if self.behind > 0 {
            let (name, before) = (name.expect("a name").to_owned(), self.user(name)?.clone());
            self.before.entry(name).or_insert(before);
        }
        self.user(name)
    }
    /// A user as a read shows it, which may come from a copy that lags behind.
    fn shown(&mut self, name: Option<&str>) -> Result<&Entity, &'static str> {
        let changed = name.is_some_and(|name| self.before.contains_key(name));
        if changed && self.behind > 0 {
            self.behind -= 1;
            return Ok(&self.before[name.expect("a name")]);
        }
        self.user(name).map(|user| &*user)
    }
    fn user(&mut self, name: Option<&str>) -> Result<&mut Entity, &'static str> {
        let name = name.expect("every call names the user");
        self.users.get_mut(name).ok_or("NoSuchEntity")
    }
    fn role(&mut self, name: Option<&str>) -> Result<&mut Entity, &'static str> {
        let name = name.expect("every call names the role");
        self.roles.get_mut(name).ok_or("NoSuchEntity")
    }
    fn group(&mut self, name: Option<&str>) -> Result<&mut Entity, &'static str> {
        let name = name.expect("every call names the group");
        self.groups.get_mut(name).ok_or("NoSuchEntity")
    }
}

pub(super) struct World {
    pub(super) account: Arc<Mutex<Account>>,
    pub(super) wire: Wire,
    /// The attributes that CloudTrail was asked for.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    pub(super) iam: Iam,
    is_contained: fn(&World) -> bool,
}

impl World {
    /// What the playbook asks with, for another one.
    pub(super) fn principals(&self) -> Principals {
        self.principals_by(self.trail())
    }
    /// CloudTrail.
    pub(super) fn trail(&self) -> aws_sdk_cloudtrail::Client {
        trail(&self.account, &self.asked, &self.wire)
    }
    /// [`World::principals`], with another CloudTrail.
    pub(super) fn principals_by(&self, trail: aws_sdk_cloudtrail::Client) -> Principals {
        Principals {
            iam: self.iam.clients.iam.clone(),
            trail: EventHistory::with_clients(trail, None),
        }
    }
    /// The same world, that counts as contained when `is_contained` says so.
    pub(super) fn judged_by(mut self, is_contained: fn(&World) -> bool) -> Self {
        self.is_contained = is_contained;
        self
    }
    /// The document of an inline policy of Mallory or the role.
    pub(super) fn policy(&self, name: &str) -> Option<Value> {
        let account = self.account.lock().unwrap();
        let entities = account.users.get("mallory").into_iter();
        let mut entities = entities.chain(account.roles.get("payroll"));
        let document = entities.find_map(|entity| entity.inline.get(name))?;
        Some(serde_json::from_str(document).expect("JSON"))
    }
    /// The time before which Mallory's sessions are denied everything.
    pub(super) fn cut_off(&self) -> Option<String> {
        let document = self.policy("gdr-revoke-sessions")?;
        let condition = denies_everything(&document)?;
        let cut_off = &condition["DateLessThan"]["aws:TokenIssueTime"];
        Some(cut_off.as_str()?.to_owned())
    }
    /// Whether Mallory's inline policies deny a request with these keys.
    pub(super) fn refuses(&self, request: &[(&str, &str)]) -> bool {
        refuses(&self.user("mallory"), request)
    }
    /// Whether the role's inline policies deny a request with these keys.
    pub(super) fn role_refuses(&self, request: &[(&str, &str)]) -> bool {
        refuses(&self.role("payroll"), request)
    }
    /// Whether everything is denied to one session of the role.
    pub(super) fn denies_session(&self, session: &str) -> bool {
        let document = self.policy(&format!("gdr-deny-session-{session}"));
        document.is_some_and(|document| {
            denies_everything(&document).is_some_and(|condition| {
                condition["StringEquals"]["aws:userid"] == format!("AROAPAYROLL:{session}")
            })
        })
    }
    pub(super) fn user(&self, name: &str) -> Entity {
        self.account.lock().unwrap().users[name].clone()
    }
    /// Changes Mallory behind the playbook's back.
    pub(super) fn change_mallory(&self, change: impl FnOnce(&mut Entity)) {
        let mut account = self.account.lock().unwrap();
        change(account.users.get_mut("mallory").unwrap());
    }
    pub(super) fn role(&self, name: &str) -> Entity {
        self.account.lock().unwrap().roles[name].clone()
    }
    pub(super) fn credential(&self, id: &str) -> StatusType {
        let user = self.user("mallory");
        let mut credentials = user.credentials.iter();
        credentials.find(|(it, ..)| *it == id).unwrap().2.clone()
    }
    pub(super) fn key(&self, user: &str, key: &str) -> StatusType {
        let user = self.user(user);
        user.keys
            .iter()
            .find(|(id, ..)| *id == key)
            .unwrap()
            .1
            .clone()
    }
    pub(super) fn configured(mut self, settings: &Settings) -> Self {
        self.iam.configure(settings);
        self
    }
}

fn refuses(entity: &Entity, request: &[(&str, &str)]) -> bool {
    entity.inline.values().any(|document| {
        let document: Value = serde_json::from_str(document).expect("JSON");
        denies(document["Statement"].as_array().expect("a list"), request)
    })
}

/// The only condition of `document`, if it denies everything to whom that matches, and beside it nothing but the
/// renewal of sign-in sessions.
fn denies_everything(document: &Value) -> Option<&Value> {
    let statement = match document["Statement"].as_array()?.as_slice() {
        [statement] => statement,
        [statement, renewal] if renewal["Sid"] == "GuardDutyResponderSignIn" => statement,
        _ => return None,
    };
    let everything =
        ["Effect", "Action", "Resource"].map(|member| statement[member].as_str().unwrap_or(""));
    let conditions = statement["Condition"].as_object()?;
    (everything == ["Deny", "*", "*"] && conditions.len() == 1).then_some(&statement["Condition"])
}

/// In no scenario may a call be made that the playbook declares no permission for.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut called: BTreeSet<_> = self.wire.calls().into_iter().collect();
            called.retain(|call| !RELEASING.contains(call));
            let declared = fixtures::declared::<Iam>();
            assert!(called.is_subset(&declared), "{called:?}");
        }
    }
}

impl fixtures::World for World {
    type Playbook = Iam;
    fn playbook(&self) -> &Iam {
        &self.iam
    }
    fn wire(&self) -> &Wire {
        &self.wire
    }
    fn is_contained(&self) -> bool {
        (self.is_contained)(self)
    }
    fn need_not_tell(&self, operation: &str, always: bool) -> bool {
        let informs = [
            // For the breaker, which tells it.
            "iam:GetAccountSummary",
            "iam:ListAttachedRolePolicies",
            "iam:ListAttachedUserPolicies",
        ];
        !always || informs.contains(&operation)
    }
}

/// Whether the stolen key is unusable, and the sessions that it made, also those of the minute that IAM may take
/// to enforce that.
fn key_is_contained(world: &World) -> bool {
    let is_inactive = world.key("mallory", KEY) == StatusType::Inactive;
    world.cut_off().as_deref() == Some(CUT_OFF) && is_inactive
}

pub(super) fn settings(change: impl FnOnce(&mut IamSettings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings.iam);
    settings
}

/// CloudTrail, which filters by the attributes that are asked for here.
fn trail(
    account: &Arc<Mutex<Account>>,
    asked: &Arc<Mutex<Vec<String>>>,
    wire: &Wire,
) -> aws_sdk_cloudtrail::Client {
    let (account, asked) = (Arc::clone(account), Arc::clone(asked));
    let wire = wire.speaking(Protocol::Json);
    let lookup =
        mock!(aws_sdk_cloudtrail::Client::lookup_events).then_compute_response(move |request| {
            let attribute = &request.lookup_attributes()[0];
            let value = attribute.attribute_value();
            let key = attribute.attribute_key().clone();
            asked.lock().unwrap().push(format!("{key}={value}"));
            let is = |event: &&Value| match key {
                LookupAttributeKey::AccessKeyId => event["userIdentity"]["accessKeyId"] == value,
                LookupAttributeKey::ResourceName => {
                    event["responseElements"]["credentials"]["accessKeyId"] == value
                }
                _ => event["userIdentity"]["userName"] == value,
            };
            wire.answer("cloudtrail:LookupEvents", || {
                let account = account.lock().unwrap();
                let events = account.events.iter().filter(is).map(|event| {
                    Event::builder()
                        .cloud_trail_event(event.to_string())
                        .build()
                });
                let built = LookupEventsOutput::builder().set_events(Some(events.collect()));
                let next = account.endless.then(|| "more".to_owned());
                Ok(built.set_next_token(next).build())
            })
        });
    mock_client!(aws_sdk_cloudtrail, [&lookup])
}

pub(super) fn world(account: Account) -> World {
    let account = Arc::new(Mutex::new(account));
    let wire = Wire::new(Protocol::Query);
    let asked = Arc::default();
    let mut rules = user_rules(&account, &wire);
    rules.extend(role_rules(&account, &wire));
    rules.extend(permission_rules(&account, &wire));
    let client = mock_client!(aws_sdk_iam, &rules);
    let principals = Principals {
        iam: client.clone(),
        trail: EventHistory::with_clients(trail(&account, &asked, &wire), None),
    };
    let iam = Iam::over(client, principals);
    World {
        account,
        wire,
        asked,
        iam,
        is_contained: key_is_contained,
    }
}

impl Iam {
    /// A playbook that calls through these clients.
    pub(super) fn over(iam: aws_sdk_iam::Client, principals: Principals) -> Self {
        Self {
            clients: Clients { iam, principals },
            settings: IamSettings::default(),
        }
    }
}

/// Mallory's account: her stolen key and a second one.
pub(super) fn mallory() -> Account {
    let keys = vec![
        (KEY, StatusType::Active, 0),
        (SECOND, StatusType::Active, 0),
    ];
    let mallory = Entity {
        id: "AIDAEXAMPLEUSERID",
        path: "/ops/",
        keys,
        ..Entity::default()
    };
    Account {
        users: [("mallory".to_owned(), mallory)].into(),
        ..Account::default()
    }
}

/// [`mallory`] with changes to Mallory.
pub(super) fn mallory_with(change: impl FnOnce(&mut Entity)) -> Account {
    let mut account = mallory();
    change(account.users.get_mut("mallory").unwrap());
    account
}
