//! The answers about the principal, and the credentials that the steps in effect keep out.

use std::collections::BTreeSet;

use super::clients::Clients;
use super::state::State;
use aws::cloudtrail::afterwards::{Credential, by_name};
use aws::iam_principal;
use aws::inquiry::Inquiry;
use model::actions::iam::{DEACTIVATE, DENY_SESSION, REVOKE, REVOKE_ROLE};
use model::finding::{Finding, Principal};
use model::investigation::Investigation;

/// The IAM permissions that the questions need.
pub(super) const PERMISSIONS: &[&str] = iam_principal::READS;

/// Answers what is asked about the principal, under the name that it has now.
pub(super) async fn investigate(
    clients: &Clients,
    inquiry: &Inquiry<'_>,
    observed: Option<&State>,
) -> Investigation {
    let name = observed.and_then(State::user_name);
    clients.principals.investigate_as(inquiry, name).await
}

/// `in_effect`: the keys of the steps. A long-term key works on where it was not deactivated, whatever was
/// denied to the sessions.
pub(super) fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
    let action = |key: &String| key.split(' ').next().unwrap_or_default().to_owned();
    let stands = |wanted: &[&str]| {
        in_effect
            .iter()
            .any(|key| wanted.contains(&action(key).as_str()))
    };
    let key = finding.access_key_id();
    let by_key = key.as_deref().map(Credential::session_key);
    let principal = finding.principal().ok()?;
    match &principal {
        Principal::User {
            long_term_key: Some(key),
            ..
        } => in_effect
            .contains(&format!("{DEACTIVATE} {key}"))
            .then(|| Credential::key(key)),
        Principal::User { .. } if stands(&[REVOKE]) => by_key.or_else(|| by_name(&principal)),
        Principal::RoleSession { .. } if stands(&[DENY_SESSION, REVOKE_ROLE]) => {
            by_key.or_else(|| by_name(&principal))
        }
        // Who issued it is asked for too, at each observation.
        Principal::FederatedUser { .. } if stands(&[REVOKE]) => by_key.map(Credential::by_one_page),
        _ => None,
    }
}
