//! Who acted.

use super::principal::is_told_by_key;
use super::{Finding, Principal, ids};
use crate::error::{Error, Result};

impl Finding {
    /// The principal that acted.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the finding names none, or one of this account by an id that is not
    /// of its grammar.
    pub fn principal(&self) -> Result<Principal> {
        let member = self.path("resource.accessKeyDetails");
        let details = self.detail.resource.access_key_details.as_ref();
        let details = details.ok_or_else(|| Error::malformed(&member, "missing"))?;
        Principal::parse(details, &member, &self.account_id)
    }

    /// The access key, long-term or temporary, with which the principal acted, if the finding has it
    /// and it is of the grammar of one.
    pub fn access_key_id(&self) -> Option<String> {
        let details = self.detail.resource.access_key_details.as_ref()?;
        let key = details.access_key_id.as_deref()?;
        ids::access_key("accessKeyId", key).ok()
    }

    /// True if the finding says that a principal of this account acted, readable or not; or does not say
    /// of which kind it is, but names a key, by which that may be found out.
    pub fn names_own_principal(&self) -> bool {
        let details = self.detail.resource.access_key_details.as_ref();
        details.is_some_and(|key| {
            matches!(
                key.user_type.as_deref(),
                Some("IAMUser" | "AssumedRole" | "FederatedUser" | "Root")
            ) || is_told_by_key(key)
        })
    }

    /// The unique id of the user or role of another account that acted: `AIDA…`, or `AROA…` without
    /// the name of the session. `None`: the finding does not say, or by an id of no such grammar.
    pub fn foreign_principal_id(&self) -> Option<&str> {
        let details = self.detail.resource.access_key_details.as_ref()?;
        let id = details.principal_id.as_deref()?.split(':').next()?;
        let known = id.starts_with("AIDA") || id.starts_with("AROA");
        (known && id.len() > 4 && ids::unique_id("principalId", id).is_ok()).then_some(id)
    }

    /// The account that the call came from, if it came from another one. `None` too where what the
    /// finding gives is no account id.
    pub fn remote_account(&self) -> Option<&str> {
        let call = self.detail.service.action.aws_api_call_action.as_ref()?;
        let details = call.remote_account_details.as_ref()?;
        let account = details.account_id.as_deref()?;
        let is_other = ids::account("accountId", account).is_ok() && account != self.account_id;
        is_other.then_some(account)
    }

    /// The account of [`Finding::remote_account`], where that is the one to which the credentials belong. A
    /// finding about credentials is of the account to which these belong, so there it is that of the network
    /// from which they were used: see [`Finding::network_account`].
    pub fn credentials_account(&self) -> Option<&str> {
        self.remote_account()
            .filter(|_| self.finding_type.resource() != "IAMUser")
    }

    /// The account of the network from which credentials of this account were used, if that is another one,
    /// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html#unauthorizedaccess-iam-instancecredentialexfiltrationinsideaws>.
    pub fn network_account(&self) -> Option<&str> {
        self.remote_account()
            .filter(|_| self.finding_type.resource() == "IAMUser")
    }

    /// The AWS service to which the remote account belongs, if it is one of AWS's own.
    pub fn remote_service(&self) -> Option<&str> {
        let call = self.detail.service.action.aws_api_call_action.as_ref()?;
        let details = call.remote_account_details.as_ref()?;
        let service = details.aws_service_name.as_deref()?;
        Some(service).filter(|service| !service.is_empty())
    }

    /// Whether GuardDuty knows the account of [`Finding::remote_account`] as related to this one.
    /// `None`: the finding does not say.
    pub fn remote_is_affiliated(&self) -> Option<bool> {
        self.remote_account()?;
        let call = self.detail.service.action.aws_api_call_action.as_ref()?;
        call.remote_account_details.as_ref()?.affiliated
    }
}
