//! An account with one user and one role, on rule-mocked clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::operation::get_role::GetRoleOutput;
use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_iam::operation::get_user::GetUserOutput;
use aws_sdk_iam::operation::get_user_policy::GetUserPolicyOutput;
use aws_sdk_iam::operation::list_access_keys::ListAccessKeysOutput;
use aws_sdk_iam::operation::put_role_policy::PutRolePolicyOutput;
use aws_sdk_iam::operation::put_user_policy::PutUserPolicyOutput;
use aws_sdk_iam::operation::update_access_key::UpdateAccessKeyOutput;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{AccessKeyMetadata, Role as IamRole, StatusType, User as IamUser};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::*;
use crate::fixtures::{self, Protocol, Wire};

pub(super) const STOLEN: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const OTHER: &str = "AKIAI44QH8DHBEXAMPLE";
pub(super) const ROLE_ID: &str = "AROAEXAMPLEROLEID";

/// Inline policies by name, as they were written.
type Policies = BTreeMap<String, String>;

#[derive(Clone)]
pub(super) struct User {
    pub(super) id: &'static str,
    pub(super) keys: Vec<(&'static str, StatusType)>,
    pub(super) policies: Policies,
}

#[derive(Clone)]
pub(super) struct Role {
    pub(super) id: &'static str,
    pub(super) path: &'static str,
    pub(super) policies: Policies,
}

/// Account 111122223333.
#[derive(Clone, Default)]
pub(super) struct Account {
    /// `mallory`.
    pub(super) user: Option<User>,
    /// `deployer`.
    pub(super) role: Option<Role>,
    /// Accepts policies and does not keep them.
    pub(super) forgets: bool,
}

pub(super) fn user() -> User {
    User {
        id: "AIDAEXAMPLEUSERID",
        keys: vec![(STOLEN, StatusType::Active), (OTHER, StatusType::Active)],
        policies: Policies::new(),
    }
}

pub(super) fn role() -> Role {
    Role {
        id: ROLE_ID,
        path: "/",
        policies: Policies::new(),
    }
}

pub(super) struct World {
    pub(super) account: Arc<Mutex<Account>>,
    pub(super) wire: Wire,
    pub(super) playbook: Iam,
}

impl World {
    pub(super) fn of_user(user: User) -> Self {
        Self::new(Account {
            user: Some(user),
            ..Account::default()
        })
    }

    pub(super) fn of_role(role: Role) -> Self {
        Self::new(Account {
            role: Some(role),
            ..Account::default()
        })
    }

    /// Changes the user behind the responder's back.
    pub(super) fn user(&self, change: impl FnOnce(&mut User)) {
        change(self.account.lock().unwrap().user.as_mut().expect("a user"));
    }

    pub(super) fn status_of(&self, id: &str) -> StatusType {
        let account = self.account.lock().unwrap();
        let keys = &account.user.as_ref().expect("a user").keys;
        let key = keys.iter().find(|(key, _)| *key == id);
        key.expect("the key").1.clone()
    }

    /// The document of a policy of the user or the role.
    pub(super) fn policy(&self, name: &str) -> Option<Value> {
        let account = self.account.lock().unwrap();
        let user = account.user.as_ref().map(|user| &user.policies);
        let role = account.role.as_ref().map(|role| &role.policies);
        let document = user.into_iter().chain(role).find_map(|all| all.get(name))?;
        Some(serde_json::from_str(document).expect("JSON"))
    }

    /// The time before which sessions of the user are denied everything.
    pub(super) fn cut_off(&self) -> Option<String> {
        let document = self.policy("gdr-revoke-sessions")?;
        let statement = denies_everything(&document)?;
        let cut_off = &statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"];
        Some(cut_off.as_str()?.to_owned())
    }
}

/// The only statement of `document`, if it denies everything to whom its condition matches.
fn denies_everything(document: &Value) -> Option<&Value> {
    let [statement] = document["Statement"].as_array()?.as_slice() else {
        return None;
    };
    let everything =
        ["Effect", "Action", "Resource"].map(|member| statement[member].as_str().unwrap_or(""));
    let conditions = statement["Condition"].as_object()?;
    (everything == ["Deny", "*", "*"] && conditions.len() == 1).then_some(statement)
}

/// In no scenario may a call be made that the playbook declares no permission for.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let called: BTreeSet<_> = self.wire.calls().into_iter().collect();
            let declared = fixtures::declared::<Iam>();
            assert!(called.is_subset(&declared), "{called:?}");
        }
    }
}

impl fixtures::World for World {
    type Playbook = Iam;
    fn playbook(&self) -> &Iam {
        &self.playbook
    }
    fn wire(&self) -> &Wire {
        &self.wire
    }
    fn is_contained(&self) -> bool {
        if self.account.lock().unwrap().user.is_some() {
            return self.cut_off().is_some() && self.status_of(STOLEN) == StatusType::Inactive;
        }
        let document = self.policy("gdr-deny-session-alice@corp");
        document.as_ref().is_some_and(|document| {
            denies_everything(document).is_some_and(|statement| {
                statement["Condition"]["StringEquals"]["aws:userid"]
                    == format!("{ROLE_ID}:alice@corp")
            })
        })
    }
}

const GONE: &str = "NoSuchEntity";

impl Account {
    fn user(&mut self, name: Option<&str>) -> Result<&mut User, &'static str> {
        let user = self.user.as_mut().filter(|_| name == Some("mallory"));
        user.ok_or(GONE)
    }

    fn role(&mut self, name: Option<&str>) -> Result<&mut Role, &'static str> {
        let role = self.role.as_mut().filter(|_| name == Some("deployer"));
        role.ok_or(GONE)
    }
}

/// IAM hands documents out percent-encoded.
fn document(policies: &Policies, name: Option<&str>) -> Result<String, &'static str> {
    let document = policies.get(name.unwrap_or_default()).ok_or(GONE)?;
    Ok(utf8_percent_encode(document, NON_ALPHANUMERIC).to_string())
}

impl World {
    pub(super) fn new(account: Account) -> Self {
        let account = Arc::new(Mutex::new(account));
        let wire = Wire::new(Protocol::Query);
        let rule_of = || (Arc::clone(&account), wire.clone());
        let created = DateTime::from_secs(1_700_000_000);

        let (state, on) = rule_of();
        let get_user = mock!(Client::get_user).then_compute_response(move |request| {
            on.answer("iam:GetUser", || {
                let mut account = state.lock().unwrap();
                let user = account.user(request.user_name())?;
                let user = IamUser::builder()
                    .path("/ops/")
                    .user_name("mallory")
                    .user_id(user.id)
                    .arn("arn:aws:iam::111122223333:user/ops/mallory")
                    .create_date(created)
                    .build()
                    .unwrap();
                Ok(GetUserOutput::builder().user(user).build())
            })
        });
        let (state, on) = rule_of();
        let get_user_policy =
            mock!(Client::get_user_policy).then_compute_response(move |request| {
                on.answer("iam:GetUserPolicy", || {
                    let mut account = state.lock().unwrap();
                    let user = account.user(request.user_name())?;
                    Ok(GetUserPolicyOutput::builder()
                        .user_name("mallory")
                        .policy_name(request.policy_name().unwrap_or_default())
                        .policy_document(document(&user.policies, request.policy_name())?)
                        .build()
                        .unwrap())
                })
            });
        let (state, on) = rule_of();
        let list_keys = mock!(Client::list_access_keys).then_compute_response(move |request| {
            on.answer("iam:ListAccessKeys", || {
                let mut account = state.lock().unwrap();
                let keys = account.user(request.user_name())?.keys.iter();
                let keys = keys.map(|(id, status)| {
                    AccessKeyMetadata::builder()
                        .user_name("mallory")
                        .access_key_id(*id)
                        .status(status.clone())
                        .create_date(created)
                        .build()
                });
                Ok(ListAccessKeysOutput::builder()
                    .set_access_key_metadata(Some(keys.collect()))
                    .build()
                    .unwrap())
            })
        });
        let (state, on) = rule_of();
        let put_user_policy =
            mock!(Client::put_user_policy).then_compute_response(move |request| {
                on.answer("iam:PutUserPolicy", || {
                    let mut account = state.lock().unwrap();
                    let forgets = account.forgets;
                    let user = account.user(request.user_name())?;
                    if !forgets {
                        let name = request.policy_name().unwrap_or_default();
                        let document = request.policy_document().unwrap_or_default();
                        user.policies.insert(name.to_owned(), document.to_owned());
                    }
                    Ok(PutUserPolicyOutput::builder().build())
                })
            });
        let (state, on) = rule_of();
        let update_key = mock!(Client::update_access_key).then_compute_response(move |request| {
            on.answer("iam:UpdateAccessKey", || {
                let mut account = state.lock().unwrap();
                let keys = &mut account.user(request.user_name())?.keys;
                let id = request.access_key_id();
                let key = keys.iter_mut().find(|(key, _)| Some(*key) == id);
                key.ok_or(GONE)?.1 = request.status().cloned().expect("a status");
                Ok(UpdateAccessKeyOutput::builder().build())
            })
        });
        let (state, on) = rule_of();
        let get_role = mock!(Client::get_role).then_compute_response(move |request| {
            on.answer("iam:GetRole", || {
                let mut account = state.lock().unwrap();
                let role = account.role(request.role_name())?;
                let role = IamRole::builder()
                    .path(role.path)
                    .role_name("deployer")
                    .role_id(role.id)
                    .arn(format!(
                        "arn:aws:iam::111122223333:role{}deployer",
                        role.path
                    ))
                    .create_date(created)
                    .build()
                    .unwrap();
                Ok(GetRoleOutput::builder().role(role).build())
            })
        });
        let (state, on) = rule_of();
        let get_role_policy =
            mock!(Client::get_role_policy).then_compute_response(move |request| {
                on.answer("iam:GetRolePolicy", || {
                    let mut account = state.lock().unwrap();
                    let role = account.role(request.role_name())?;
                    Ok(GetRolePolicyOutput::builder()
                        .role_name("deployer")
                        .policy_name(request.policy_name().unwrap_or_default())
                        .policy_document(document(&role.policies, request.policy_name())?)
                        .build()
                        .unwrap())
                })
            });
        let (state, on) = rule_of();
        let put_role_policy =
            mock!(Client::put_role_policy).then_compute_response(move |request| {
                on.answer("iam:PutRolePolicy", || {
                    let mut account = state.lock().unwrap();
                    let forgets = account.forgets;
                    let role = account.role(request.role_name())?;
                    if !forgets {
                        let name = request.policy_name().unwrap_or_default();
                        let document = request.policy_document().unwrap_or_default();
                        role.policies.insert(name.to_owned(), document.to_owned());
                    }
                    Ok(PutRolePolicyOutput::builder().build())
                })
            });
        let client = mock_client!(
            aws_sdk_iam,
            RuleMode::MatchAny,
            [
                &get_user,
                &get_user_policy,
                &list_keys,
                &put_user_policy,
                &update_key,
                &get_role,
                &get_role_policy,
                &put_role_policy,
            ],
            |config| config.retry_config(RetryConfig::disabled())
        );
        Self {
            account,
            wire,
            playbook: Iam { client },
        }
    }
}
