//! The steps if an account may be compromised as a whole: the attacker could have made any way back. After
//! <https://repost.aws/knowledge-center/potential-account-compromise>, to which
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-creds.html> leads.

use std::collections::BTreeSet;

use crate::category::Category;
use crate::finding::{Finding, Principal};
use crate::investigation::{Answer, tells_of_administrator};

/// The steps, the most urgent first, where something suggests that they are needed. The reason is the first of them.
pub(super) fn steps(category: Category, finding: &Finding, answers: &[Answer]) -> Vec<String> {
    let Some(why) = suggests(category, finding, answers) else {
        return Vec::new();
    };
    let account = &finding.account_id;
    vec![
        format!(
            "treat the whole account {account} as compromised, because {why}: work through the next steps from a \
             clean device and a clean account"
        ),
        format!(
            "change the root password of {account}, replace root's MFA devices, delete its access keys, and check \
             the account's e-mail address, telephone number and contacts"
        ),
        format!(
            "search {account} for backdoors made since the first event: users, keys, passwords (IAM's credential \
             report), roles, trust policies, identity providers, Identity Center assignments"
        ),
        format!(
            "replace every access key and every password of {account}, and revoke the sessions of its roles, \
             the most powerful ones first"
        ),
        format!(
            "search every Region of {account}, the unused ones too, for instances, functions, images, snapshots and \
             shares that your team did not make (see the bill)"
        ),
        format!(
            "open a case with AWS Support for {account}, read AWS's messages to its contacts, and if you can, freeze \
             it by a service control policy"
        ),
    ]
}

fn suggests(category: Category, finding: &Finding, answers: &[Answer]) -> Option<String> {
    match category {
        Category::Iam if is_of_root(finding) => {
            Some("the root user acted, who may do everything".to_owned())
        }
        Category::Iam if tells_of_administrator(answers) => {
            Some("the principal may do everything, or may give itself every permission".to_owned())
        }
        Category::Triage => {
            let several = own_principals(finding);
            (several.len() > 1).then(|| {
                let names: Vec<_> = several.iter().map(String::as_str).collect();
                format!(
                    "several of its principals acted in one attack ({})",
                    names.join(", ")
                )
            })
        }
        _ => None,
    }
}

fn is_of_root(finding: &Finding) -> bool {
    matches!(finding.principal(), Ok(Principal::Root))
        || finding
            .finding_type
            .family()
            .ends_with("RootCredentialUsage")
}

/// The principals of the finding's account that acted in an attack sequence, by their names or ids.
fn own_principals(finding: &Finding) -> BTreeSet<String> {
    let sequence = finding.sequence().ok().flatten().unwrap_or_default();
    let actors = sequence.actors.into_iter();
    let own = actors.filter(|actor| {
        let account = actor.account.as_ref();
        account.is_none_or(|account| *account == finding.account_id)
    });
    // The sessions of a role are of one principal.
    own.filter_map(|actor| {
        let id = actor
            .user_uid
            .as_deref()
            .and_then(|id| id.split(':').next());
        actor.user_name.or_else(|| id.map(ToOwned::to_owned))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{attack, finding, user_finding};
    use crate::investigation::Question;

    fn told(category: Category, finding: &Finding, answers: &[Answer]) -> String {
        steps(category, finding, answers).join("\n")
    }

    fn permissions(text: &str) -> Vec<Answer> {
        vec![Answer::known(Question::Permissions, text, "IAM")]
    }

    #[test]
    fn root_and_administrators_lead_to_the_steps_for_the_whole_account() {
        let root = finding(json!({
            "type": "Policy:IAMUser/RootCredentialUsage",
            "resource": { "accessKeyDetails": { "userType": "Root", "userName": "Root" } },
        }));
        let of_root = told(Category::Iam, &root, &[]);
        for step in [
            "the root user acted",
            "MFA devices",
            "AWS Support",
            "every Region",
        ] {
            assert!(of_root.contains(step), "{step}: {of_root}");
        }
        let user = user_finding("mallory");
        for power in [
            "user mallory: ADMINISTRATOR, who may do everything, by AdministratorAccess",
            "user mallory: MAY CHANGE IAM, and so give itself everything, by IAMFullAccess",
        ] {
            let administrator = told(Category::Iam, &user, &permissions(power));
            assert!(
                administrator.contains("may give itself every permission"),
                "{power}"
            );
        }
        for harmless in [
            "user mallory: no administrator by its policies",
            "user mallory: MAY DO EVERYTHING BUT SOME ACTIONS by PowerUserAccess",
            "user mallory: attached: ADMINISTRATOR",
        ] {
            let steps = steps(Category::Iam, &user, &permissions(harmless));
            assert!(steps.is_empty(), "{harmless}: {steps:?}");
        }
        assert!(steps(Category::S3, &root, &[]).is_empty());
    }

    #[test]
    fn several_principals_of_the_account_in_one_attack_suggest_it_and_one_does_not() {
        let actor = |name: &str, account: &str| {
            json!({ "id": name, "user": { "name": name, "uid": format!("AIDA{name}"),
                "account": { "uid": account } } })
        };
        let own = "111122223333";
        for (actors, suggested) in [
            (vec![actor("alice", own)], false),
            (vec![actor("alice", own), actor("alice", own)], false),
            (
                vec![actor("alice", own), actor("bob", "999988887777")],
                false,
            ),
            (
                vec![actor("alice", own), json!({ "process": { "name": "sh" } })],
                false,
            ),
            (vec![actor("alice", own), actor("bob", own)], true),
        ] {
            let event = attack(json!({ "actors": Value::Array(actors.clone()) }));
            let finding = Finding::parse(&event).unwrap();
            let told = told(Category::Triage, &finding, &[]);
            assert_eq!(
                told.contains("(alice, bob)"),
                suggested,
                "{actors:?}: {told}"
            );
        }
    }
}
