//! Which instance it is, from what was read of it.

use super::state::State;
use crate::finding::Finding;
use crate::investigate::{Answer, Question, listed, reason};

const SOURCE: &str = "EC2, IAM and Auto Scaling, as they were before this response";
/// Tags and addresses in a sentence.
const MOST: usize = 12;

pub(super) fn answer(finding: &Finding, state: &State) -> Answer {
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
            Some(earlier) => format!("no role any more; the finding names {}", earlier.profile),
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
