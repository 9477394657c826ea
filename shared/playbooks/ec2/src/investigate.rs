//! Which instance it is, from what was read of it.

use std::collections::BTreeSet;

use super::clients::Clients;
use super::observe;
use super::state::State;
use aws::cloudtrail::afterwards::Credential;
use aws::inquiry::Inquiry;
use model::actions::ec2::DENY;
use model::finding::Finding;
use model::investigation::{Answer, Investigation, Question, listed, reason};
use model::settings::ForensicsRule;

const SOURCE: &str = "EC2, IAM and Auto Scaling, as they were before this response";
/// Tags and addresses in a sentence.
const MOST: usize = 12;

/// `observed`: the earlier reading of the instance; without one, it is observed now.
pub(super) async fn investigate(
    clients: &Clients,
    access: &[ForensicsRule],
    inquiry: &Inquiry<'_>,
    observed: Option<&State>,
) -> Investigation {
    let finding = inquiry.finding;
    let mut investigation = Investigation::default();
    if let Some(state) = observed {
        investigation.answers.push(answer(finding, state));
    } else if finding.has_instance() || finding.instance_id().is_ok() {
        let observing = observe::glance(clients, access, finding);
        investigation
            .answers
            .push(match inquiry.within(observing).await {
                Ok(state) => answer(finding, &state),
                Err(error) => {
                    let why = format!(
                        "{}; look at the instance in the console of EC2",
                        reason(&error)
                    );
                    Answer::unknown(Question::Instance, &why, "EC2")
                }
            });
    }
    investigation
}

/// The instance's own credentials, where its role denies them everything.
pub(super) fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
    let denies = |key: &String| key.split(' ').next() == Some(DENY);
    let id = finding.instance_id().ok()?;
    let denied = in_effect.iter().any(denies);
    denied.then(|| Credential::instance(&id))
}

fn answer(finding: &Finding, state: &State) -> Answer {
    let Some(instance) = &state.instance else {
        let unfound = state.gone().unwrap_or_default();
        return match &state.elsewhere {
            Some(_) => Answer::unknown(Question::Instance, &unfound, SOURCE),
            None => Answer::known(Question::Instance, &unfound, SOURCE),
        };
    };
    let region = (state.region != finding.region).then(|| {
        format!(
            "in {}, not in {} as the finding says",
            state.region, finding.region
        )
    });
    let role = match (&state.role, &instance.profile) {
        (Ok(Some(role)), _) => format!("role {}", role.arn),
        (Ok(None), None) => match &state.earlier {
            Some(earlier) => format!("no role now; the finding names {}", earlier.profile),
            None => "no role".to_owned(),
        },
        (Ok(None), Some(profile)) => format!("instance profile {profile} without a role"),
        (Err(error), _) => format!("its role is not known ({})", reason(error)),
    };
    let addresses: Vec<_> = state
        .interfaces
        .iter()
        .flat_map(|interface| {
            let public = interface.public_addresses.iter();
            let public = public.map(|address| format!("{} (public)", address.public));
            let private = interface.private_addresses.iter();
            let private = private.chain(&interface.ipv6_addresses);
            private.cloned().chain(public)
        })
        .collect();
    let tags: Vec<_> = instance
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with("gdr:"))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let group = match &state.scaling {
        Ok(Some(membership)) => Some(format!(
            "member of the Auto Scaling group {}",
            membership.group
        )),
        _ => None,
    };
    let parts = [
        Some(format!("{} is {}", instance.id, instance.state)),
        region,
        Some(role),
        (!addresses.is_empty()).then(|| format!("addresses: {}", listed(&addresses, MOST))),
        group,
        instance.cluster.clone(),
        instance
            .operator
            .as_ref()
            .map(|operator| format!("operated by {operator}")),
        (!tags.is_empty()).then(|| format!("tags: {}", listed(&tags, MOST))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    Answer::known(Question::Instance, &parts.join("; "), SOURCE)
}
