//! The table of settings.

use jiff::SignedDuration;

use self::Form::{ForensicsRules, Number, Principals, Severity, Switch, Text, Words};
use super::{AutoScaling, Environment, ForensicsRule, ResponseMode};

type Field<T> = fn(&mut Environment) -> &mut T;

/// A word, and its effect.
type Word = (&'static str, fn(&mut Environment));

/// The values of a setting, and where they go.
#[derive(Debug)]
pub enum Form {
    /// Any text.
    Text(Field<Option<String>>),
    /// Names or ARNs of users and roles, separated by commas.
    Principals(Field<Vec<String>>),
    /// Off, unless it is exactly `true`.
    Switch(Field<bool>),
    /// One of some words. The text says the effect of any other, which is that of the word at the end.
    Words(&'static [Word], &'static str, fn(&mut Environment)),
    /// A number from 0 to 10. The text says the effect of anything else, which is `None`.
    Severity(Field<Option<f64>>, &'static str),
    /// A whole number from the first to the second. Anything else is the third.
    Number(u16, u16, u16, fn(&mut Environment, u16)),
    /// The rules of an isolation group.
    ForensicsRules(Field<Vec<ForensicsRule>>),
}

/// The functions that parts of attack sequences are handed to, in the order of their categories.
pub(super) const FUNCTIONS: [&str; 3] = [
    "S3_RESPONDER_FUNCTION",
    "IAM_RESPONDER_FUNCTION",
    "EC2_RESPONDER_FUNCTION",
];

/// The variables that decide whether anything is changed. One that is set to nothing is not understood; an empty value
/// of the others counts as not set.
pub(super) const NEVER_EMPTY: [&str; 3] = ["DRY_RUN", "RESPONSE_MODE", "MINIMUM_SEVERITY"];

/// A setting of a function.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    pub form: Form,
    /// The help of its option of `gdr rehearse`. Empty: it decides nothing there, and has no option.
    pub help: &'static str,
}

macro_rules! settings {
    ($($variable:expr, $form:expr, $help:literal;)*) => {
        &[$(Setting { variable: $variable, form: $form, help: $help }),*]
    };
}

/// Every setting.
pub const SETTINGS: &[Setting] = settings! {
    "DRY_RUN", Words(
        &[("true", |it| it.config.policy.dry_run = true), ("false", |it| it.config.policy.dry_run = false)],
        "this is a dry run", |it| it.config.policy.dry_run = true), "";
    "RESPONSE_MODE", Words(
        &[
            ("contain", |it| it.config.policy.mode = ResponseMode::Contain),
            ("approve", |it| it.config.policy.mode = ResponseMode::Approve),
            ("notify", |it| it.config.policy.mode = ResponseMode::Notify),
            ("off", |it| it.config.policy.mode = ResponseMode::Off),
        ],
        "only notifying", |it| it.config.policy.mode = ResponseMode::Notify),
        "The response to findings on";
    "MINIMUM_SEVERITY", Severity(|it| &mut it.config.policy.minimum_severity, "only notifying"),
        "The severity from which on findings are contained, 0 to 10";
    "APPROVAL_NOT_NEEDED_FROM", Severity(
        |it| &mut it.config.policy.approval_not_needed_from, "approval is always needed"),
        "The severity from which on the response `approve` contains without waiting";
    // At most a week: a plan is worth what is known of the threat.
    "APPROVAL_MINUTES", Number(1, 10_080, 240, |it, minutes| it.config.approval_lasts = minutes_of(minutes)), "";
    "RESPONDER_ROLES", Principals(|it| &mut it.own_roles), "";
    "NEVER_CONTAIN", Principals(|it| &mut it.config.policy.never_contain),
        "Names or ARNs of users and roles that are never contained, separated by commas";
    "MAX_CONTAINMENTS", Number(1, 500, 20, |it, number| it.config.limits.containments = number.into()),
        "How many targets each function contains in one account in the time of a window";
    "LIMIT_WINDOW_MINUTES", Number(1, 1_440, 60, |it, minutes| it.config.limits.window = minutes_of(minutes)),
        "How long a containment counts, in minutes";
    "MAX_SHARE_PERCENT", Number(1, 100, 50, |it, percent| it.config.limits.share_percent = percent.into()),
        "Which share of a crowd is contained in that time, in per cent. Held where --size tells how large the crowd is";
    "HAND_OVER_SEQUENCES", Switch(|it| &mut it.hands_over),
        "Hand the parts of attack sequences over";
    FUNCTIONS[0], Text(|it| &mut it.functions[0]), "";
    FUNCTIONS[1], Text(|it| &mut it.functions[1]), "";
    FUNCTIONS[2], Text(|it| &mut it.functions[2]), "";
    "OWN_ACCOUNT_ID", Text(|it| &mut it.own_account), "";
    "MODE", Words(
        &[("local", |it| it.is_hub = false), ("hub", |it| it.is_hub = true)],
        "only the own account is contained", |it| it.is_hub = false), "";
    "EXTERNAL_ID", Text(|it| &mut it.external_id), "";
    "VERIFY_FINDINGS", Words(
        &[
            ("auto", |it| it.verify_findings = None),
            ("true", |it| it.verify_findings = Some(true)),
            ("false", |it| it.verify_findings = Some(false)),
        ],
        "findings are verified", |it| it.verify_findings = Some(true)), "";
    "NOTIFICATION_TOPIC_ARN", Text(|it| &mut it.config.topic_arn), "";
    "CHAT_TOPIC_ARN", Text(|it| &mut it.config.notices.chat_topic_arn), "";
    "RESPONSE_EVENTS", Switch(|it| &mut it.config.notices.events), "";
    "SECURITY_HUB_QUEUE_URL", Text(|it| &mut it.config.notices.security_hub_queue_url), "";
    "INCIDENT_TABLE", Text(|it| &mut it.config.incident_table), "";
    "POLICY_PARAMETER", Text(|it| &mut it.config.policy_parameter), "";
    "METRICS_NAMESPACE", Text(|it| &mut it.config.metrics_namespace), "";
    "EVIDENCE_BUCKET", Text(|it| &mut it.evidence_bucket), "";
    "RECHECK_QUEUE_URL", Text(|it| &mut it.config.recheck_queue_url), "";
    "S3_ACCOUNT_BLOCK", Switch(|it| &mut it.config.settings.s3.account_block),
        "Turn the account's Block Public Access on again";
    "S3_POLICY_DENY", Switch(|it| &mut it.config.settings.s3.policy_deny),
        "Deny a foreign principal or an anonymous caller's address in the bucket's policy";
    "S3_QUARANTINE_OBJECTS", Switch(|it| &mut it.config.policy.quarantine_objects),
        "Tag malicious objects, and deny reading them in the bucket's policy";
    "IAM_USER_SESSION_KEYS", Switch(|it| &mut it.config.settings.iam.user_session_keys),
        "Deactivate all keys of a user whose session was stolen";
    "IAM_CREATED_KEYS", Switch(|it| &mut it.config.settings.iam.created_keys),
        "Deactivate the keys that the principal created";
    "IAM_ROLE_WIDE", Switch(|it| &mut it.config.settings.iam.role_wide),
        "Revoke all sessions of the role";
    "IAM_MARK_CONTAINED", Switch(|it| &mut it.config.settings.iam.mark_contained),
        "Tag contained users and roles";
    "EC2_AUTO_SCALING", Words(
        &[
            ("detach", |it| it.config.settings.ec2.auto_scaling = AutoScaling::Detach),
            ("standby", |it| it.config.settings.ec2.auto_scaling = AutoScaling::Standby),
            ("keep", |it| it.config.settings.ec2.auto_scaling = AutoScaling::Keep),
        ],
        "detaching", |it| it.config.settings.ec2.auto_scaling = AutoScaling::Detach),
        "The response to a member of an Auto Scaling group: detach, standby or keep";
    "EC2_CUT_CONNECTIONS_SECONDS", Number(
        0, 90, 0, |it, seconds| it.config.settings.ec2.cut_connections_seconds = u8::try_from(seconds).unwrap_or(0)),
        "Seconds in a group that ends the tracking of open connections";
    "EC2_SHORTEN_TIMEOUTS", Switch(|it| &mut it.config.settings.ec2.shorten_timeouts),
        "Shorten the idle time-outs of tracked connections";
    "EC2_REMOVE_PUBLIC_ADDRESS", Switch(|it| &mut it.config.settings.ec2.remove_public_address),
        "Take the public addresses away";
    "EC2_DISABLE_METADATA", Switch(|it| &mut it.config.settings.ec2.disable_metadata),
        "Turn the instance metadata service off";
    "EC2_CONTAINER_NODES", Switch(|it| &mut it.config.settings.ec2.isolate_container_nodes),
        "Isolate nodes of EKS and ECS, too";
    "EC2_FORENSICS_ACCESS", ForensicsRules(|it| &mut it.config.settings.ec2.forensics_access), "";
};

fn minutes_of(minutes: u16) -> SignedDuration {
    SignedDuration::from_mins(minutes.into())
}

impl Form {
    /// Takes a value over. Answers what is wrong with it, and what is assumed in its place.
    pub(super) fn read(&self, text: &str, environment: &mut Environment) -> Result<(), String> {
        let unknown = |why: String| Err(format!("is '{text}', {why}"));
        match self {
            Self::Text(field) => *field(environment) = Some(text.to_owned()),
            Self::Principals(field) => {
                let entries = text.split(',').map(str::trim);
                let entries = entries.filter(|entry| !entry.is_empty());
                *field(environment) = entries.map(ToOwned::to_owned).collect();
            }
            Self::Switch(field) => {
                *field(environment) = text == "true";
                if !["true", "false"].contains(&text) {
                    return unknown("neither 'true' nor 'false': it is off".to_owned());
                }
            }
            Self::Words(words, instead, otherwise) => {
                let Some((_, set)) = words.iter().find(|(word, _)| *word == text) else {
                    otherwise(environment);
                    let quoted: Vec<_> =
                        words.iter().map(|(word, _)| format!("'{word}'")).collect();
                    return unknown(match &quoted[..] {
                        [one, other] => format!("neither {one} nor {other}: {instead}"),
                        several => format!("none of {}: {instead}", several.join(", ")),
                    });
                };
                set(environment);
            }
            Self::Severity(field, instead) => {
                let number = text.trim().parse().ok();
                let number = number.filter(|number| (0.0..=10.0).contains(number));
                *field(environment) = number;
                if number.is_none() {
                    return unknown(format!("not a number from 0 to 10: {instead}"));
                }
            }
            Self::Number(least, most, default, set) => match text.trim().parse() {
                Ok(number) if (*least..=*most).contains(&number) => set(environment, number),
                _ => {
                    return unknown(format!(
                        "not a number from {least} to {most}: {default} is taken"
                    ));
                }
            },
            Self::ForensicsRules(field) => match ForensicsRule::parse_all(text) {
                Ok(rules) => *field(environment) = rules,
                Err(why) => {
                    return Err(format!(
                        "is not understood: {why}. Nothing gets into an isolated instance"
                    ));
                }
            },
        }
        Ok(())
    }
}
