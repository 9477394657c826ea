//! The keys that the principal made since the first event: the attacker's way back.

use super::super::action::Action;
use super::super::state::{CreatedKey, CreatedKeys};
use super::steps::{is_protected, key_step};
use aws::error::{Error, Result};
use model::actions::iam::DEACTIVATE;
use model::finding::{Finding, Principal, printable};
use model::plan::{Plan, Step};
use model::settings::IamSettings;

/// Plans their deactivation, but for the keys that are planned already.
pub(super) fn add(
    plan: &mut Plan<Action>,
    finding: &Finding,
    principal: &Principal,
    created: &Result<CreatedKeys>,
    settings: &IamSettings,
) {
    let who = printable(&principal.to_string());
    let target = format!("the access keys that {who} created");
    let unknown = |error: &Error| Step::unknown(DEACTIVATE, target.as_str(), error);
    let created = match created {
        Ok(CreatedKeys { keys, cut }) => {
            if *cut {
                plan.steps.push(unknown(&Error::Refused(format!(
                    "CloudTrail has more IAM events of {who} since the first event than were read, so \
                     keys may be missing: look for them with aws cloudtrail lookup-events \
                     --lookup-attributes AttributeKey=EventName,AttributeValue=CreateAccessKey"
                ))));
            }
            keys
        }
        Err(error) => {
            plan.steps.push(unknown(error));
            return;
        }
    };
    for CreatedKey {
        user, id, status, ..
    } in created
    {
        if plan.steps.iter().any(|step| {
            let key = step.key();
            key.action == DEACTIVATE && key.target == *id
        }) {
            continue;
        }
        plan.steps.push(match status {
            _ if is_protected(settings, finding, user) => {
                let why = format!(
                    "the principal made this key of {user}, who is on the list of principals that are \
                     never contained: deactivate it by hand"
                );
                Step::skipped(DEACTIVATE, id, why)
            }
            Ok(status) => key_step(user, id, status.as_ref()),
            Err(error) => Step::unknown(DEACTIVATE, id, error),
        });
    }
}
