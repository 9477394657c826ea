//! What the responder may do about a finding: a pure decision.

use serde::{Deserialize, Serialize};

use crate::catalogue::{self, Category, Disposition};
use crate::error::Result;
use crate::finding::{Finding, Principal};
use crate::settings::{Entity, protects};

/// The policy flag of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResponseMode {
    /// Contain what the catalogue says is one to contain.
    Contain,
    /// Plan it, and contain when a person approves the plan.
    Approve,
    /// Notify only.
    Notify,
    /// Log only.
    Off,
}

/// The settings that a decision depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Plan everything, change nothing.
    pub dry_run: bool,
    /// The flag of this function's category.
    pub mode: ResponseMode,
    /// The default policies contain from it on. `None`: it could not be read, so all are.
    pub minimum_severity: Option<f64>,
    /// In mode [`ResponseMode::Approve`] the default policies contain from this severity on without
    /// waiting. `None`: they always wait.
    pub approval_not_needed_from: Option<f64>,
    /// The account outside of which nothing is contained. `None`: a hub, which contains in every
    /// account that lets it, or the environment does not say.
    pub own_account: Option<String>,
    /// Names or ARNs of the responder's own roles. They are never contained.
    pub responder_roles: Vec<String>,
    /// Names or ARNs of users and roles that are never contained: the deployment role, the
    /// break-glass accounts.
    pub never_contain: Vec<String>,
}

/// What is to be done about a finding, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing but a line in the log.
    Ignore(String),
    /// A person is told.
    Notify(String),
    /// Observe, plan and contain.
    Contain(String),
}

impl Decision {
    /// The word in metrics, and in what `gdr explain` prints.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ignore(_) => "ignore",
            Self::Notify(_) => "notify",
            Self::Contain(_) => "contain",
        }
    }
}

impl Policy {
    /// The `MINIMUM_SEVERITY` where none is set.
    pub const DEFAULT_MINIMUM_SEVERITY: f64 = 4.0;

    /// True if nothing may be changed on behalf of this finding: samples and drills are dry runs
    /// whatever the settings say.
    pub fn is_dry_run(&self, finding: &Finding) -> bool {
        self.dry_run || finding.is_sample() || finding.is_drill()
    }

    /// Why a principal is never contained, if it is one of those.
    pub(crate) fn protects(&self, account: &str, principal: &Principal) -> Option<String> {
        let name = principal.entity_name()?;
        let entity = match principal {
            Principal::RoleSession { .. } => Entity::Role,
            _ => Entity::User,
        };
        if entity == Entity::Role && protects(&self.responder_roles, entity, account, name) {
            return Some(format!(
                "{principal} is the responder's own role, which is never contained: if it did not \
                 act for a finding, someone else has its credentials"
            ));
        }
        protects(&self.never_contain, entity, account, name)
            .then(|| format!("{principal} is on the list of principals that are never contained"))
    }
}

/// An account's Block Public Access as a target: one in all Regions, and not the name of a bucket.
const ACCOUNT_BLOCK: &str = "account/block-public-access";

/// What is contained on account of a finding, by the names under which the record keeps it. In a
/// fixed order, so that two invocations that need several never wait for each other.
///
/// # Errors
/// [`crate::Error::Malformed`] if the finding lacks what names the target.
pub fn targets(category: Category, finding: &Finding) -> Result<Vec<String>> {
    let mut targets = match category {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            vec![ACCOUNT_BLOCK.to_owned()]
        }
        Category::S3 => finding.buckets()?,
        Category::Iam => vec![match finding.principal()? {
            // By the credential: releasing one must not let another one of the same user pass.
            Principal::User {
                name,
                long_term_key,
                ..
            } => {
                format!(
                    "user/{name}/{}",
                    long_term_key.as_deref().unwrap_or("sessions")
                )
            }
            Principal::RoleSession { role, session } => {
                format!(
                    "role/{role}/{}",
                    session.map_or_else(String::new, |session| session.name)
                )
            }
            // The only name that is held against no grammar. A key of the table has 2,048 bytes.
            other => {
                let name = other.to_string();
                name.chars()
                    .flat_map(char::escape_default)
                    .take(512)
                    .collect()
            }
        }],
        Category::Ec2 => vec![format!("{}/{}", finding.region, finding.instance_id()?)],
        Category::Triage => vec![],
    };
    targets.sort_unstable();
    Ok(targets)
}

/// Decides about the part of `finding` that concerns `category`, before the policies have their say about
/// each step ([`crate::guard`]).
///
/// # Errors
/// [`crate::Error::Malformed`] if the finding is one to contain and lacks what names the target.
pub fn decide(category: Category, finding: &Finding, policy: &Policy) -> Result<Decision> {
    let kind = &finding.finding_type;
    let routes = catalogue::routes(finding);
    if !routes.contains(&category) {
        let names: Vec<_> = routes.iter().map(|route| route.as_str()).collect();
        return Ok(Decision::Ignore(format!(
            "{kind} is for the {} function, not for {category}",
            names.join(" and "),
        )));
    }
    if policy.mode == ResponseMode::Off {
        return Ok(Decision::Ignore(format!(
            "the {category} response is off (RESPONSE_MODE)"
        )));
    }
    if finding.is_archived() {
        return Ok(Decision::Ignore(
            "the finding is archived in GuardDuty".to_owned(),
        ));
    }
    if let Disposition::Notify(why) = catalogue::disposition(category, finding) {
        return Ok(Decision::Notify(why.to_owned()));
    }
    if policy.mode == ResponseMode::Notify {
        return Ok(Decision::Notify(format!(
            "the {category} response is set to notify only (RESPONSE_MODE)"
        )));
    }
    if policy.minimum_severity.is_none() {
        return Ok(Decision::Notify(
            "MINIMUM_SEVERITY cannot be read, so nothing is contained".to_owned(),
        ));
    }
    if let Some(own) = &policy.own_account
        && *own != finding.account_id
    {
        return Ok(Decision::Notify(format!(
            "the resource is in account {}, and this stack contains only in its own, {own}",
            finding.account_id,
        )));
    }
    let what = match category {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            format!("{kind} in account {}", finding.account_id)
        }
        Category::S3 => {
            let buckets = finding.buckets()?;
            if buckets.is_empty() {
                return Ok(Decision::Notify("the finding names no bucket".to_owned()));
            }
            format!("{kind} on {}", buckets.join(", "))
        }
        Category::Iam => {
            let principal = finding.principal()?;
            if let Some(why) = policy.protects(&finding.account_id, &principal) {
                return Ok(Decision::Notify(why));
            }
            format!("{kind} by {principal}")
        }
        Category::Ec2 => format!("{kind} by instance {}", finding.instance_id()?),
        Category::Triage => kind.to_string(),
    };
    Ok(Decision::Contain(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, user_detail, user_finding};
    use serde_json::json;

    fn policy() -> Policy {
        Policy {
            dry_run: false,
            mode: ResponseMode::Contain,
            minimum_severity: Some(4.0),
            approval_not_needed_from: None,
            own_account: Some("111122223333".to_owned()),
            responder_roles: vec!["gdr-IamResponderRole-ABC".to_owned()],
            never_contain: vec!["arn:aws:iam::111122223333:user/ops/break-glass".to_owned()],
        }
    }

    fn reason(decision: Decision) -> String {
        match decision {
            Decision::Ignore(why) | Decision::Notify(why) | Decision::Contain(why) => why,
        }
    }

    #[test]
    fn a_severe_finding_of_a_kind_to_contain_is_contained() {
        let decision = decide(Category::Iam, &user_finding("mallory"), &policy());
        assert!(matches!(decision, Ok(Decision::Contain(_))), "{decision:?}");
    }

    #[test]
    fn a_finding_of_another_function_is_ignored() {
        let decision = decide(Category::Ec2, &user_finding("mallory"), &policy()).unwrap();
        assert!(matches!(decision, Decision::Ignore(_)), "{decision:?}");
        assert!(reason(decision).contains("for the iam function"));
    }

    #[test]
    fn a_minimum_severity_that_cannot_be_read_notifies() {
        let policy = Policy {
            minimum_severity: None,
            ..policy()
        };
        let decision = decide(Category::Iam, &user_finding("mallory"), &policy).unwrap();
        assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
    }

    #[test]
    fn the_mode_notifies_or_ignores() {
        let with = |mode| {
            let policy = Policy { mode, ..policy() };
            decide(Category::Iam, &user_finding("mallory"), &policy).unwrap()
        };
        assert!(matches!(with(ResponseMode::Notify), Decision::Notify(_)));
        assert!(matches!(with(ResponseMode::Approve), Decision::Contain(_)));
        assert!(matches!(with(ResponseMode::Off), Decision::Ignore(_)));
    }

    #[test]
    fn a_drill_is_a_dry_run_and_a_finding_is_what_the_settings_say() {
        let enforcing = policy();
        assert!(!enforcing.is_dry_run(&user_finding("mallory")));
        assert!(enforcing.is_dry_run(&user_finding("mallory").drilled()));
    }

    #[test]
    fn protected_principals_are_refused() {
        let decision = decide(Category::Iam, &user_finding("break-glass"), &policy()).unwrap();
        assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
        let own = finding(json!({
            "type": "PrivilegeEscalation:IAMUser/AnomalousBehavior",
            "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
                "userType": "AssumedRole", "userName": "gdr-IamResponderRole-ABC",
                "principalId": "AROAEXAMPLE:gdr-iam" } },
        }));
        let decision = decide(Category::Iam, &own, &policy()).unwrap();
        assert!(reason(decision).contains("responder's own role"));
    }

    #[test]
    fn a_resource_of_another_account_is_notified() {
        let policy = Policy {
            own_account: Some("999988887777".to_owned()),
            ..policy()
        };
        let decision = decide(Category::Iam, &user_finding("mallory"), &policy).unwrap();
        assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
    }

    #[test]
    fn a_hub_contains_in_every_account() {
        let policy = Policy {
            own_account: None,
            ..policy()
        };
        for account in ["111122223333", "444455556666"] {
            let mut detail = user_detail("mallory");
            detail["accountId"] = json!(account);
            let decision = decide(Category::Iam, &finding(detail), &policy).unwrap();
            assert!(matches!(decision, Decision::Contain(_)), "{decision:?}");
        }
    }

    #[test]
    fn an_arn_protects_in_its_account_and_a_name_in_every_account() {
        let policy = Policy {
            own_account: None,
            never_contain: vec![
                "arn:aws:iam::111122223333:user/ops/break-glass".to_owned(),
                "deployer".to_owned(),
            ],
            ..policy()
        };
        for (account, name, contained) in [
            ("111122223333", "break-glass", false),
            ("444455556666", "break-glass", true),
            ("444455556666", "deployer", false),
        ] {
            let mut detail = user_detail(name);
            detail["accountId"] = json!(account);
            let decision = decide(Category::Iam, &finding(detail), &policy).unwrap();
            let contains = matches!(decision, Decision::Contain(_));
            assert_eq!(contains, contained, "{account} {decision:?}");
        }
    }

    #[test]
    fn a_credential_is_one_target_in_all_regions_and_an_instance_is_not() {
        let in_region = |mut detail: serde_json::Value, region: &str| {
            detail["region"] = json!(region);
            finding(detail)
        };
        let of = |category, detail: &serde_json::Value, region| {
            targets(category, &in_region(detail.clone(), region)).unwrap()
        };
        let user = user_detail("mallory");
        let instance =
            json!({ "resource": { "instanceDetails": { "instanceId": "i-0abc1234def567890" } } });
        for (category, detail, one) in [
            (Category::Iam, user, true),
            (Category::Ec2, instance, false),
        ] {
            let [here, there] =
                ["us-east-1", "eu-west-1"].map(|region| of(category, &detail, region));
            assert_eq!(here == there, one, "{here:?} {there:?}");
        }
    }

    #[test]
    fn the_block_of_an_account_is_one_target_in_all_regions_and_no_bucket() {
        let off = |region: &str| {
            finding(
                json!({ "type": "Policy:S3/AccountBlockPublicAccessDisabled", "region": region }),
            )
        };
        let of = |region: &str| targets(Category::S3, &off(region)).unwrap();
        assert_eq!(of("us-east-1"), of("eu-west-1"));
        let [target] = of("us-east-1").try_into().unwrap();
        let bucket = finding(json!({
            "type": "Policy:S3/BucketPublicAccessGranted",
            "resource": { "s3BucketDetails": [{ "name": target }] },
        }));
        assert!(targets(Category::S3, &bucket).is_err(), "{target}");
    }

    #[test]
    fn a_finding_to_contain_that_names_no_target_is_malformed() {
        let finding = finding(json!({
            "type": "Backdoor:EC2/Spambot", "resource": { "resourceType": "Instance" },
        }));
        let error = decide(Category::Ec2, &finding, &policy()).unwrap_err();
        assert!(
            error.to_string().contains("instanceDetails.instanceId"),
            "{error}"
        );
    }
}
