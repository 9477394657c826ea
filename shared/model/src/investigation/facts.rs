//! The finding's own facts: who, what, when, from where. Pure.

use std::net::IpAddr;

use super::answer::{Answer, Question, THE_FINDING as SOURCE};
use crate::finding::{ApiCall, Finding, Principal, RoleSession, is_instance_id};

/// The answers, each where the finding has something to it.
pub(super) fn answers(finding: &Finding) -> Vec<Answer> {
    [
        who(finding),
        instance(finding),
        what(finding),
        when(finding),
        from_where(finding),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn who(finding: &Finding) -> Option<Answer> {
    let principal = match finding.principal() {
        Ok(principal) => principal,
        Err(error) if finding.names_own_principal() => {
            return Some(Answer::unknown(
                Question::Who,
                &format!("{error}; open the finding in GuardDuty"),
                SOURCE,
            ));
        }
        Err(_) => return None,
    };
    let account = &finding.account_id;
    let kind = match &principal {
        Principal::User {
            long_term_key: Some(_),
            ..
        } => format!("a user of account {account}, by a long-term access key"),
        Principal::User { .. } => format!(
            "a user of account {account}, by a session of the console, or one made with the user's key"
        ),
        Principal::KeyOwner { .. } => format!(
            "a user of account {account}, by a long-term access key; the finding does not say which user"
        ),
        Principal::InstanceIdentity { .. } => {
            "every instance has such an identity; it is no role of IAM".to_owned()
        }
        Principal::RoleSession { .. } => {
            format!("a role of account {account}, by a session that somebody opened")
        }
        Principal::FederatedUser { .. } => {
            "no IAM user of that name: the session has the permissions of whoever issued it"
                .to_owned()
        }
        Principal::Root => format!("the root user of account {account}, who may do everything"),
        Principal::Anonymous => "without credentials".to_owned(),
        Principal::OtherAccount { .. } => "not of this account".to_owned(),
        Principal::Other { id: Some(id), .. } => {
            format!("neither a user nor a role; its principal id is {id}")
        }
        Principal::Other { .. } => "neither a user nor a role".to_owned(),
    };
    let key = match finding.access_key_id() {
        Some(key) if !principal.to_string().contains(&key) => format!("; access key {key}"),
        _ => String::new(),
    };
    Some(Answer::known(
        Question::Who,
        &format!("{principal}: {kind}{key}"),
        SOURCE,
    ))
}

/// The instance that the finding describes, or whose credentials the session has: EC2 opens the
/// sessions that it gives to instances under their ids.
fn instance(finding: &Finding) -> Option<Answer> {
    let named = match finding.principal() {
        Ok(Principal::RoleSession {
            session: Some(RoleSession { name, .. }),
            ..
        }) if is_instance_id(&name) => Some(name),
        Ok(Principal::InstanceIdentity {
            instance: Some(instance),
        }) => return Some(of_identity(finding, &instance)),
        _ => None,
    };
    let described = finding.described_instance().ok();
    let text = match (described, named) {
        (Some(described), Some(named)) if described == named => format!(
            "{described}: the session has the name that EC2 gives to the credentials of this instance"
        ),
        (Some(described), Some(named)) => format!(
            "{described}, while the session has the name that EC2 gives to the credentials of {named}"
        ),
        (Some(described), None) => format!("{described}, which the finding describes"),
        (None, Some(named)) => format!(
            "{named}, by the name of the session; anybody who may assume the role can choose that name \
             too"
        ),
        (None, None) => return None,
    };
    let part = if finding.instance_is_victim() {
        "; it is the one that was attacked"
    } else {
        ""
    };
    Some(Answer::known(
        Question::Instance,
        &format!("{text}{part}"),
        SOURCE,
    ))
}

/// The instance whose own identity acted. Only that instance can ask for its credentials.
fn of_identity(finding: &Finding, instance: &str) -> Answer {
    let other = match finding.described_instance() {
        Ok(described) if described != instance => {
            format!("; the finding describes {described} beside it")
        }
        _ => String::new(),
    };
    Answer::known(
        Question::Instance,
        &format!(
            "{instance}, whose identity acted: only that instance is given its credentials{other}"
        ),
        SOURCE,
    )
}

/// The file that was changed, for findings about one, and the task that it is in.
fn changed(finding: &Finding) -> Option<Answer> {
    let change = finding.file_change()?;
    let operation = change.operation.unwrap_or("a change");
    let program = change
        .program
        .map_or_else(String::new, |it| format!(" by {it}"));
    let user = change
        .user
        .map_or_else(String::new, |it| format!(" as {it}"));
    let task = finding.ecs_task();
    let task = task.map_or_else(String::new, |task| format!("; in ECS task {task}"));
    Some(Answer::known(
        Question::What,
        &format!("{operation} of {}{program}{user}{task}", change.path),
        SOURCE,
    ))
}

fn what(finding: &Finding) -> Option<Answer> {
    let Some(call) = finding.api_call() else {
        return changed(finding);
    };
    let service = call.service.as_deref().unwrap_or("an unnamed service");
    let outcome = match &call.error_code {
        Some(code) => format!("it was answered with the error {code}"),
        None => "it succeeded: the finding names no error".to_owned(),
    };
    let agent = match &call.user_agent {
        Some(agent) => format!("; the program calls itself {agent}"),
        None => String::new(),
    };
    let cors = if is_preflight(finding, &call) {
        "; a browser asks so before it uses a bucket from another site: it shows what the bucket's CORS \
         configuration allows, not that the bucket is public"
    } else {
        ""
    };
    let again = match finding.count() {
        Some(count) if count > 1 => "; this is the last of several calls",
        _ => "",
    };
    Some(Answer::known(
        Question::What,
        &format!("{} of {service}: {outcome}{agent}{cors}{again}", call.api),
        SOURCE,
    ))
}

fn is_preflight(finding: &Finding, call: &ApiCall) -> bool {
    call.api == "PreflightRequest" && matches!(finding.principal(), Ok(Principal::Anonymous))
}

fn when(finding: &Finding) -> Option<Answer> {
    let (first, last) = (finding.first_seen(), finding.last_seen());
    let times = match (first, last) {
        (Some(first), Some(last)) if first == last => format!("at {first}"),
        (Some(first), Some(last)) => format!("first seen at {first}, last at {last}"),
        (Some(first), None) => format!("first seen at {first}"),
        (None, Some(last)) => format!("last seen at {last}"),
        (None, None) => return None,
    };
    let count = match finding.count() {
        Some(1) => ", once".to_owned(),
        Some(count) => format!(", {count} times"),
        None => String::new(),
    };
    Some(Answer::known(
        Question::When,
        &format!("{times}{count}"),
        SOURCE,
    ))
}

fn from_where(finding: &Finding) -> Option<Answer> {
    let place = place(finding);
    let network = finding.network_account().is_some();
    let account = finding.remote_account().map(|account| {
        let tie = match finding.remote_is_affiliated() {
            Some(true) => ", which GuardDuty knows as affiliated with this one",
            Some(false) => ", which has nothing to do with this one as far as GuardDuty knows",
            None => "",
        };
        let service = match finding.remote_service() {
            Some(service) => format!("; the account belongs to the AWS service {service}"),
            None => String::new(),
        };
        let what = if network {
            "from the network"
        } else {
            "with credentials"
        };
        format!("{what} of account {account}{tie}{service}")
    });
    let own = match finding.principal() {
        Ok(principal) if principal.is_own() && (network || account.is_none()) => {
            Some("with credentials of this account".to_owned())
        }
        _ => None,
    };
    let parts: Vec<_> = place.into_iter().chain(account).chain(own).collect();
    (!parts.is_empty()).then(|| Answer::known(Question::Where, &parts.join("; "), SOURCE))
}

/// The other end, for a sentence: `198.51.100.1 (Berlin, Germany; Example Org; AS64496)`.
pub(super) fn place(finding: &Finding) -> Option<String> {
    let remote = finding.remote()?;
    let town = [remote.city, remote.country];
    let town: Vec<_> = town.into_iter().flatten().collect();
    let system = remote
        .asn
        .map(|asn| format!("AS{}", asn.trim_start_matches("AS")));
    let about: Vec<_> = Some(town.join(", "))
        .filter(|town| !town.is_empty())
        .into_iter()
        .chain(remote.organisation)
        .chain(system)
        .collect();
    let address = match (remote.address, remote.domain) {
        (Some(address), _) if is_private(&address) => format!("{address}, a private address"),
        (Some(address), Some(domain)) => format!("{address}, {domain}"),
        (Some(address), None) => address,
        (None, Some(domain)) => format!("the domain {domain}"),
        (None, None) => "an address that the finding does not name".to_owned(),
    };
    Some(match about.as_slice() {
        [] => address,
        about => format!("{address} ({})", about.join("; ")),
    })
}

fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unique_local(),
        Err(_) => false,
    }
}
