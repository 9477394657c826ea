//! The extent of the response to a finding: a pure decision.

use serde::{Deserialize, Serialize};

use crate::catalogue::{self, Disposition};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::finding::{Finding, ObjectVersion, Principal};
use crate::guidance;
use crate::settings::{Entity, protects};

/// The flag of a category: how far its response goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResponseMode {
    /// Contain what the catalogue says is one to contain.
    Contain,
    /// Plan it, and contain when an approver approves the plan.
    Approve,
    /// Notify only.
    Notify,
    /// Log only.
    Off,
}

/// The settings that a decision depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResponseSettings {
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
    /// `S3_QUARANTINE_OBJECTS`: a malicious object is contained, and not only notified.
    #[serde(default)]
    pub quarantine_objects: bool,
    /// Names or ARNs of the responder's own roles. They are never contained.
    pub responder_roles: Vec<String>,
    /// Names or ARNs of users and roles that are never contained: the deployment role, the
    /// break-glass accounts.
    pub never_contain: Vec<String>,
}

impl Default for ResponseSettings {
    /// A dry run by the defaults of the stack's parameters.
    fn default() -> Self {
        Self {
            dry_run: true,
            mode: ResponseMode::Contain,
            minimum_severity: Some(Self::DEFAULT_MINIMUM_SEVERITY),
            approval_not_needed_from: None,
            own_account: None,
            quarantine_objects: false,
            responder_roles: Vec::new(),
            never_contain: Vec::new(),
        }
    }
}

/// The decision about a finding, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing but a line in the log.
    Ignore(String),
    /// The on-call engineer is notified.
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

impl ResponseSettings {
    /// The `MINIMUM_SEVERITY` where none is set.
    pub const DEFAULT_MINIMUM_SEVERITY: f64 = 4.0;

    /// True if nothing may be changed on behalf of this finding: samples and drills are dry runs
    /// whatever the settings say.
    pub fn is_dry_run(&self, finding: &Finding) -> bool {
        self.dry_run || finding.is_sample() || finding.is_drill()
    }

    /// Why a principal is never contained, if it is one of those.
    pub fn protects(&self, account: &str, principal: &Principal) -> Option<String> {
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

/// The targets of a finding, by the names under which the record keeps them. In a fixed order, so that two invocations
/// that need several never wait for each other.
///
/// # Errors
/// [`crate::Error::Malformed`] if the finding lacks what names the target.
pub fn targets(category: Category, finding: &Finding) -> Result<Vec<String>> {
    let mut targets = match category {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            vec![ACCOUNT_BLOCK.to_owned()]
        }
        // Each version by itself: the release of one must not let another one of the same bucket pass.
        Category::S3 if catalogue::concerns_object(finding) => {
            let objects = finding.objects()?;
            objects.iter().map(ObjectVersion::target).collect()
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
            Principal::KeyOwner { key, .. } => format!("key/{key}"),
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
        Category::Ec2 => vec![instance_target(
            &finding.instance_region(),
            &finding.instance_id()?,
        )],
        Category::Lambda => vec![function_target(&finding.region, &finding.function_name()?)],
        Category::Triage => vec![],
    };
    targets.sort_unstable();
    Ok(targets)
}

/// The name under which the record keeps an instance.
pub fn instance_target(region: &str, id: &str) -> String {
    format!("{region}/{id}")
}

/// The names by which the breaker counts the targets of a finding. Objects count by their bucket. Otherwise somebody
/// who may write to one bucket could use up the places of all others.
///
/// # Errors
/// As [`targets`].
pub fn places(category: Category, finding: &Finding) -> Result<Vec<String>> {
    if category == Category::S3 && catalogue::concerns_object(finding) {
        return finding.buckets();
    }
    targets(category, finding)
}

/// The name under which the record keeps a Lambda function.
pub fn function_target(region: &str, name: &str) -> String {
    format!("{region}/{name}")
}

/// Decides about the part of `finding` that concerns `category`, before the policies decide about each
/// step.
///
/// A finding that names too much or too little to be contained is one to notify: the on-call engineer must see every
/// finding of GuardDuty.
pub fn decide(category: Category, finding: &Finding, settings: &ResponseSettings) -> Decision {
    if let Some(why) = ignored(category, finding, settings) {
        return Decision::Ignore(why);
    }
    match notify_only(category, finding, settings) {
        Some(why) => Decision::Notify(why),
        None => match contained(category, finding, settings) {
            Ok(what) => Decision::Contain(what),
            Err(why) => Decision::Notify(why),
        },
    }
}

/// The reason to send no notice, if there is one.
fn ignored(category: Category, finding: &Finding, settings: &ResponseSettings) -> Option<String> {
    let routes = catalogue::routes(finding);
    if !routes.contains(&category) {
        let names: Vec<_> = routes.iter().map(|route| route.as_str()).collect();
        return Some(format!(
            "{} is for the {} function, not for {category}",
            finding.finding_type,
            names.join(" and "),
        ));
    }
    if settings.mode == ResponseMode::Off {
        return Some(format!("the {category} response is off (RESPONSE_MODE)"));
    }
    finding
        .is_archived()
        .then(|| "the finding is archived in GuardDuty".to_owned())
}

/// Why it is left to the on-call engineer, whatever it names.
fn notify_only(
    category: Category,
    finding: &Finding,
    settings: &ResponseSettings,
) -> Option<String> {
    let quarantined = category == Category::S3
        && settings.quarantine_objects
        && catalogue::concerns_object(finding);
    if !quarantined && let Disposition::Notify(why) = catalogue::disposition(category, finding) {
        let rule = finding.custom_detection_rule();
        let rule = rule.map_or_else(String::new, |rule| format!(" (the rule {rule})"));
        return Some(format!("{why}{rule}"));
    }
    if settings.mode == ResponseMode::Notify {
        return Some(format!(
            "the {category} response is set to notify only (RESPONSE_MODE)"
        ));
    }
    if settings.minimum_severity.is_none() {
        return Some("MINIMUM_SEVERITY cannot be read, so nothing is contained".to_owned());
    }
    let own = settings.own_account.as_ref()?;
    (*own != finding.account_id).then(|| {
        format!(
            "the resource is in account {}, and this stack contains only in its own, {own}",
            finding.account_id,
        )
    })
}

/// Names the target to contain.
///
/// # Errors
/// Says why it cannot be named, or may not be contained.
fn contained(
    category: Category,
    finding: &Finding,
    settings: &ResponseSettings,
) -> std::result::Result<String, String> {
    let kind = &finding.finding_type;
    Ok(match category {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            format!("{kind} in account {}", finding.account_id)
        }
        Category::S3 if catalogue::concerns_object(finding) => {
            let objects =
                targets(category, finding).map_err(|error| unnamed("the objects", &error))?;
            if objects.is_empty() {
                return Err("the finding names no object".to_owned());
            }
            format!("{kind} in {}", objects.join(", "))
        }
        Category::S3 => {
            let buckets = finding
                .buckets()
                .map_err(|error| unnamed("the buckets", &error))?;
            if buckets.is_empty() {
                return Err("the finding names no bucket".to_owned());
            }
            format!("{kind} on {}", buckets.join(", "))
        }
        Category::Iam => {
            let principal = finding
                .principal()
                .map_err(|error| unnamed("the principal", &error))?;
            if let Some(why) = settings.protects(&finding.account_id, &principal) {
                return Err(why);
            }
            if let Principal::Other { .. } | Principal::InstanceIdentity { .. } = principal {
                return Err(guidance::uncontained(&principal));
            }
            format!("{kind} by {principal}")
        }
        Category::Ec2 => {
            let instance = finding
                .instance_id()
                .map_err(|error| unnamed("the instance", &error))?;
            let region = finding.instance_region();
            let there = if region == finding.region {
                String::new()
            } else {
                format!(" in {region}")
            };
            format!("{kind} by instance {instance}{there}")
        }
        Category::Lambda => {
            let function = finding
                .function_name()
                .map_err(|error| unnamed("the function", &error))?;
            format!("{kind} by function {function}")
        }
        Category::Triage => kind.to_string(),
    })
}

/// The reason if the finding does not identify a target.
fn unnamed(target: &str, error: &Error) -> String {
    let why = match error {
        Error::Malformed { member, problem } => format!("`{member}`: {problem}"),
        other => other.to_string(),
    };
    format!("the finding does not identify {target}, so nothing is contained: {why}")
}

#[cfg(test)]
mod tests;
