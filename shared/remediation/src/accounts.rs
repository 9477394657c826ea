//! Acting in other accounts, and in the Region of the finding.
//!
//! GuardDuty's delegated administrator receives the findings of all member accounts. In hub mode the
//! function of its stack contains them there, with a role of the member's that
//! `infra/member-roles.yaml` makes: one for each category, with no more permissions than the
//! function's own role has in its own account.
//!
//! A session of that role has the finding's id as its name and source identity. So the member's CloudTrail shows the
//! finding behind each change,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html>. Therefore a
//! session is used again for its own finding only: retries, updates, later looks. The last session of an account serves
//! another finding only where STS gives no new one at the moment; to contain matters more than the name, and the report
//! then says under which name it was done.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, Region, SharedCredentialsProvider};
use jiff::{SignedDuration, Timestamp};

use crate::category::Category;
use crate::error::{CallContext, Error, Result};
use crate::finding::Finding;
use crate::settings::Settings;
use aws::playbook::Playbook;

/// The IAM permissions that a function needs on the members' roles of its category.
pub const PERMISSIONS: &[&str] = &["sts:AssumeRole", "sts:SetSourceIdentity"];

/// How long a session lasts, in seconds: the least that STS gives. It is for one finding.
const LASTS: i32 = 900;

/// The time that a session must last beyond the invocation, for clocks that differ.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest name and source identity of a session, in characters.
const LONGEST_NAME: usize = 64;

/// A stack that contains in member accounts too.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    /// The hub's own account, in which each function acts with its own role.
    pub account: Option<String>,
    /// The external id that the members' roles require. See
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>.
    pub external_id: Option<String>,
}

/// The name of the role that the function of `category` assumes in a member account.
pub fn member_role(category: Category) -> String {
    format!("gdr-member-{category}")
}

/// The playbook for a finding that is not of the function's own account and Region.
#[derive(Debug)]
pub struct Elsewhere<P> {
    /// Calls in the finding's account and Region.
    pub playbook: Arc<P>,
    /// The credentials that it has there.
    pub sdk: SdkConfig,
    /// The remark on how to find it in CloudTrail, if it is not under the finding's name.
    pub remark: Option<String>,
}

/// The accounts and Regions in which a function acts: builds a playbook for each account and Region, once for its
/// session.
pub struct Accounts<P> {
    build: Box<dyn Fn(&SdkConfig) -> P + Send + Sync>,
    settings: Settings,
    sts: Client,
    hub: Option<Hub>,
    own: Session<P>,
    /// The last of each member account.
    members: Mutex<HashMap<String, Arc<Session<P>>>>,
}

/// Credentials in one account, and the playbooks that use them, by Region.
struct Session<P> {
    sdk: SdkConfig,
    /// `None`: the function's own role, which is for every finding and does not expire.
    assumed: Option<Assumed>,
    playbooks: Mutex<HashMap<String, Arc<P>>>,
}

struct Assumed {
    finding: String,
    name: String,
    expires: Timestamp,
}

impl<P> fmt::Debug for Accounts<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Accounts")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

impl<P: Playbook> Accounts<P> {
    /// The accounts of `hub`, or the function's own alone. `sdk` has the function's own credentials,
    /// with which `sts` is called.
    pub fn new(
        build: impl Fn(&SdkConfig) -> P + Send + Sync + 'static,
        sdk: &SdkConfig,
        sts: Client,
        hub: Option<Hub>,
        settings: &Settings,
    ) -> Self {
        Self {
            build: Box::new(build),
            settings: settings.clone(),
            sts,
            hub,
            own: Session::new(sdk.clone(), None),
            members: Mutex::default(),
        }
    }

    /// The playbook for `finding`. `None`: the playbook of the function's own account and Region.
    ///
    /// # Errors
    /// If the member's role cannot be assumed, or is not in the finding's account.
    pub async fn playbook(
        &self,
        finding: &Finding,
        now: Timestamp,
        time_left: Duration,
    ) -> Result<Option<Elsewhere<P>>> {
        let member = self
            .hub
            .as_ref()
            .filter(|hub| hub.account.as_deref() != Some(&finding.account_id));
        let Some(hub) = member else {
            let region = self.own.sdk.region().map(AsRef::as_ref);
            if region.is_none_or(|region| region == finding.region) {
                return Ok(None);
            }
            return Ok(Some(Elsewhere {
                playbook: self.in_region(&self.own, &finding.region),
                sdk: self.own.sdk.clone(),
                remark: None,
            }));
        };
        let time_left = SignedDuration::try_from(time_left + MARGIN).unwrap_or(SignedDuration::MAX);
        let done_by = now.saturating_add(time_left).unwrap_or(Timestamp::MAX);
        let last = locked(&self.members).get(&finding.account_id).cloned();
        let last = last.filter(|session| session.lasts_until(done_by));
        let (session, remark) = match last {
            Some(last) if last.is_for(finding) => (last, None),
            last => match (self.assume(hub, finding).await, last) {
                (Ok(session), _) => (self.keep(finding, session, now), None),
                (Err(error), Some(last)) if error.is_transient() => {
                    tracing::warn!(%error, "the account's last session is used");
                    let remark = last.remark(finding);
                    (last, remark)
                }
                (Err(error), _) => return Err(error),
            },
        };
        Ok(Some(Elsewhere {
            playbook: self.in_region(&session, &finding.region),
            sdk: session.sdk.clone(),
            remark,
        }))
    }

    fn in_region(&self, session: &Session<P>, region: &str) -> Arc<P> {
        let mut playbooks = locked(&session.playbooks);
        let playbook = playbooks.entry(region.to_owned()).or_insert_with(|| {
            let region = Region::new(region.to_owned());
            let sdk = session.sdk.to_builder().region(region).build();
            let mut playbook = (self.build)(&sdk);
            playbook.configure(&self.settings);
            Arc::new(playbook)
        });
        Arc::clone(playbook)
    }

    fn keep(&self, finding: &Finding, session: Session<P>, now: Timestamp) -> Arc<Session<P>> {
        let session = Arc::new(session);
        let mut members = locked(&self.members);
        members.retain(|_, session| session.lasts_until(now));
        members.insert(finding.account_id.clone(), Arc::clone(&session));
        session
    }

    async fn assume(&self, hub: &Hub, finding: &Finding) -> Result<Session<P>> {
        let account = &finding.account_id;
        let role = format!(
            "arn:{}:iam::{account}:role/{}",
            finding.partition(),
            member_role(P::CATEGORY),
        );
        let name = session_name(finding);
        let answer = self
            .sts
            .assume_role()
            .role_arn(&role)
            .role_session_name(&name)
            .source_identity(&name)
            .set_external_id(hub.external_id.clone())
            .duration_seconds(LASTS)
            .send()
            .await
            .during("sts:AssumeRole", &role)
            .map_err(|error| unassumed(error, account))?;
        let assumed = answer.assumed_role_user.map(|user| user.arn);
        let in_account = assumed.as_deref().and_then(|arn| arn.split(':').nth(4));
        if in_account != Some(account) {
            return Err(Error::Refused(format!(
                "sts:AssumeRole on {role} answered with a session of {}, not of account {account}: \
                 nothing is done with it",
                assumed.as_deref().unwrap_or("no account"),
            )));
        }
        let credentials = answer.credentials.ok_or_else(|| {
            Error::Refused(format!(
                "sts:AssumeRole on {role} answered without credentials"
            ))
        })?;
        let expires = Timestamp::from_second(credentials.expiration.secs())
            .map_err(|error| Error::Refused(format!("sts:AssumeRole on {role}: {error}")))?;
        let credentials = Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            None,
            "member role",
        );
        // They are renewed here, by a session for the next finding, and need no cache of their own.
        let sdk = self
            .own
            .sdk
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let finding = finding.id.clone();
        Ok(Session::new(
            sdk,
            Some(Assumed {
                finding,
                name,
                expires,
            }),
        ))
    }
}

impl<P> Session<P> {
    fn new(sdk: SdkConfig, assumed: Option<Assumed>) -> Self {
        Self {
            sdk,
            assumed,
            playbooks: Mutex::default(),
        }
    }

    fn lasts_until(&self, time: Timestamp) -> bool {
        let assumed = self.assumed.as_ref();
        assumed.is_none_or(|assumed| assumed.expires > time)
    }

    fn is_for(&self, finding: &Finding) -> bool {
        let assumed = self.assumed.as_ref();
        assumed.is_none_or(|assumed| assumed.finding == finding.id)
    }

    fn remark(&self, finding: &Finding) -> Option<String> {
        let name = &self.assumed.as_ref()?.name;
        Some(format!(
            "look in the CloudTrail of account {} for the session {name}: STS issued none for this \
             finding at the time, and the session of the finding before was used",
            finding.account_id,
        ))
    }
}

/// Names the finding. The grammar of a finding's id is within that of a session's name and of a
/// source identity, <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
fn session_name(finding: &Finding) -> String {
    let name = format!("gdr-{}", finding.id);
    name.chars().take(LONGEST_NAME).collect()
}

/// Says what to deploy, where trying again does not help: STS answers with the same refusal
/// whether the role is missing or does not trust the function.
fn unassumed(error: Error, account: &str) -> Error {
    match error {
        Error::Call(mut call) if !Error::from(call.clone()).is_transient() => {
            call.message = format!(
                "{}; nothing in account {account} can be contained without that role: deploy \
                 infra/member-roles.yaml to it, with the outputs and the external id of this stack",
                call.message,
            );
            call.into()
        }
        error => error,
    }
}

/// A value is whole also after a panic: the maps are changed by single calls.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
