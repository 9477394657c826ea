//! The settings of a function, read from its environment once, at start.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::accounts::{Hub, member_role};
use crate::breaker::Limits;
use crate::category::Category;
use crate::decision::{ResponseMode, ResponseSettings};
use crate::evidence::Bucket;
use crate::hand_over::Functions;
use crate::notify;
use crate::settings::{
    AutoScaling, Ec2Settings, ForensicsRule, IamSettings, S3Settings, Settings, Spared,
};

/// The settings in the environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of the decision.
    pub policy: ResponseSettings,
    /// How far the playbooks may go.
    pub settings: Settings,
    /// The limits on containments before somebody looks.
    pub limits: Limits,
    /// The stack contains in member accounts too. `None`: in its own account only.
    pub hub: Option<Hub>,
    /// Fetch a finding from GuardDuty before anything is changed on account of it.
    pub verify_findings: bool,
    /// The time for which a waiting plan can be approved.
    pub approval_lasts: SignedDuration,
    /// The topic of the notices. `None`: nowhere, which is logged as an error.
    pub topic_arn: Option<String>,
    /// The other channels.
    pub notices: notify::Settings,
    /// The table of incidents. `None`: nothing is recorded but the log.
    pub incident_table: Option<String>,
    /// The bucket of the incidents' pages. `None`: nowhere.
    pub evidence: Option<Bucket>,
    /// The queue that brings a containment back to be looked at again.
    pub recheck_queue_url: Option<String>,
    /// The functions that triage hands the parts of an attack sequence to. `None`: it does not.
    pub hand_over: Option<Functions>,
    /// The parameter with the policies. `None`: nothing is permitted.
    pub policy_parameter: Option<String>,
    /// The namespace of the metrics in CloudWatch. `None`: the log has none.
    pub metrics_namespace: Option<String>,
    /// Settings that could not be understood, and what was assumed in their place. For the log.
    pub problems: Vec<String>,
}

impl Config {
    /// The `APPROVAL_MINUTES` where none are set: drift is found at the approval, but it becomes less sure whether the
    /// threat still is one.
    pub const APPROVAL_LASTS: SignedDuration = SignedDuration::from_hours(4);

    /// Reads the environment. Never fails: whatever cannot be understood becomes the careful
    /// choice, and a line in [`Config::problems`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads what is, or would be, a function's environment, as [`Config::from_env`] does.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        Self::from_lookup(|name| variables.get(name).cloned())
    }

    /// [`Config::from_env`], with an environment that `lookup` makes up.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut problems = Vec::new();
        let dry_run = match lookup("DRY_RUN").as_deref() {
            Some("false") => false,
            None | Some("true") => true,
            Some(other) => {
                problems.push(format!(
                    "DRY_RUN is '{other}', neither 'true' nor 'false': this is a dry run"
                ));
                true
            }
        };
        let mode = match lookup("RESPONSE_MODE").as_deref() {
            None | Some("contain") => ResponseMode::Contain,
            Some("approve") => ResponseMode::Approve,
            Some("notify") => ResponseMode::Notify,
            Some("off") => ResponseMode::Off,
            Some(other) => {
                problems.push(format!(
                    "RESPONSE_MODE is '{other}', none of 'contain', 'approve', 'notify', 'off': only \
                     notifying"
                ));
                ResponseMode::Notify
            }
        };
        let minimum_severity = match lookup("MINIMUM_SEVERITY") {
            None => Some(ResponseSettings::DEFAULT_MINIMUM_SEVERITY),
            Some(text) => {
                let number = severity(&text);
                if number.is_none() {
                    problems.push(format!(
                        "MINIMUM_SEVERITY is '{text}', not a number from 0 to 10: only notifying"
                    ));
                }
                number
            }
        };
        let approval_not_needed_from = lookup("APPROVAL_NOT_NEEDED_FROM")
            .filter(|text| !text.is_empty())
            .and_then(|text| {
                let number = severity(&text);
                if number.is_none() {
                    problems.push(format!(
                        "APPROVAL_NOT_NEEDED_FROM is '{text}', not a number from 0 to 10: approval is \
                         always needed"
                    ));
                }
                number
            });
        let approval_lasts = approval_lasts(&lookup, &mut problems);
        let mut list = |name: &str| {
            let text = lookup(name).unwrap_or_default();
            let entries = text.split(',').map(str::trim);
            let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
            let unclear = entries
                .iter()
                .filter_map(|entry| Spared::parse(entry).err());
            problems.extend(unclear.map(|problem| format!("{name}: {problem}")));
            entries
                .into_iter()
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        };
        let (own_roles, never_contain) = (list("RESPONDER_ROLES"), list("NEVER_CONTAIN"));
        let own_account = lookup("OWN_ACCOUNT_ID").filter(|id| !id.is_empty());
        let external_id = lookup("EXTERNAL_ID").filter(|id| !id.is_empty());
        let hub = match lookup("MODE").as_deref() {
            None | Some("" | "local") => None,
            Some("hub") => Some(Hub {
                account: own_account.clone(),
                external_id,
            }),
            Some(other) => {
                problems.push(format!(
                    "MODE is '{other}', neither 'local' nor 'hub': only the own account is contained"
                ));
                None
            }
        };
        if hub.as_ref().is_some_and(|hub| hub.external_id.is_none()) {
            problems.push(
                "EXTERNAL_ID is not set, and the members' roles ask for it: nothing is contained in \
                 member accounts"
                    .to_owned(),
            );
        }
        // Else a finding of any account would be acted on with the credentials of this one.
        let mode = match mode {
            ResponseMode::Contain | ResponseMode::Approve
                if hub.is_none() && own_account.is_none() =>
            {
                problems.push(
                    "OWN_ACCOUNT_ID is not set, outside of which nothing is contained: only notifying"
                        .to_owned(),
                );
                ResponseMode::Notify
            }
            mode => mode,
        };
        let verify_findings = match lookup("VERIFY_FINDINGS").as_deref() {
            None | Some("" | "auto") => hub.is_some(),
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                problems.push(format!(
                    "VERIFY_FINDINGS is '{other}', none of 'auto', 'true', 'false': findings are verified"
                ));
                true
            }
        };
        let responder_roles = responder_roles(own_roles, own_account.as_deref(), hub.is_some());
        let evidence = evidence(&lookup, own_account.as_deref(), &mut problems);
        let mut settings = settings(&lookup, &mut problems);
        settings.iam.never_contain.clone_from(&never_contain);
        settings.iam.never_contain.extend(responder_roles.clone());
        settings.ec2.never_contain = settings.iam.never_contain.clone();
        let limits = limits(&lookup, &mut problems);
        let hand_over = hand_over(&lookup, &mut problems);
        let topic_arn = lookup("NOTIFICATION_TOPIC_ARN").filter(|arn| !arn.is_empty());
        if topic_arn.is_none() {
            problems.push("NOTIFICATION_TOPIC_ARN is not set: nobody is notified".to_owned());
        }
        Self {
            policy: ResponseSettings {
                dry_run,
                mode,
                minimum_severity,
                approval_not_needed_from,
                own_account: own_account.filter(|_| hub.is_none()),
                responder_roles,
                never_contain,
            },
            settings,
            limits,
            hub,
            verify_findings,
            approval_lasts,
            incident_table: lookup("INCIDENT_TABLE").filter(|name| !name.is_empty()),
            policy_parameter: lookup("POLICY_PARAMETER").filter(|name| !name.is_empty()),
            metrics_namespace: lookup("METRICS_NAMESPACE").filter(|name| !name.is_empty()),
            evidence,
            recheck_queue_url: lookup("RECHECK_QUEUE_URL").filter(|url| !url.is_empty()),
            notices: notify::Settings {
                chat_topic_arn: lookup("CHAT_TOPIC_ARN").filter(|arn| !arn.is_empty()),
                events: on("RESPONSE_EVENTS", &lookup, &mut problems),
                security_hub_queue_url: lookup("SECURITY_HUB_QUEUE_URL")
                    .filter(|url| !url.is_empty()),
            },
            hand_over,
            topic_arn,
            problems,
        }
    }
}

fn severity(text: &str) -> Option<f64> {
    let number = text.trim().parse().ok();
    number.filter(|number| (0.0..=10.0).contains(number))
}

/// At most a week: a plan is worth what is known of the threat.
fn approval_lasts(
    lookup: &impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> SignedDuration {
    let Some(text) = lookup("APPROVAL_MINUTES").filter(|text| !text.is_empty()) else {
        return Config::APPROVAL_LASTS;
    };
    match text.trim().parse() {
        Ok(minutes @ 1..=10_080) => SignedDuration::from_mins(minutes),
        _ => {
            let minutes = Config::APPROVAL_LASTS.as_mins();
            problems.push(format!(
                "APPROVAL_MINUTES is '{text}', not a number from 1 to 10080: {minutes} is taken"
            ));
            Config::APPROVAL_LASTS
        }
    }
}

/// Without the account that owns it, a bucket of the same name could be somebody else's.
fn evidence(
    lookup: &impl Fn(&str) -> Option<String>,
    own_account: Option<&str>,
    problems: &mut Vec<String>,
) -> Option<Bucket> {
    let name = lookup("EVIDENCE_BUCKET").filter(|name| !name.is_empty())?;
    let Some(owner) = own_account else {
        problems.push(
            "EVIDENCE_BUCKET is set and OWN_ACCOUNT_ID is not: no pages of incidents are kept"
                .to_owned(),
        );
        return None;
    };
    let owner = owner.to_owned();
    Some(Bucket { name, owner })
}

/// The responder's roles: those of the functions in their own account, those of the members in any.
/// A role of another account that merely has the name of a function's must not be spared.
fn responder_roles(functions: Vec<String>, own_account: Option<&str>, hub: bool) -> Vec<String> {
    let own = functions.into_iter().map(|name| match own_account {
        Some(account) => format!("arn:aws:iam::{account}:role/{name}"),
        None => name,
    });
    let members = [Category::S3, Category::Iam, Category::Ec2].map(member_role);
    own.chain(members.into_iter().filter(|_| hub)).collect()
}

/// A setting that is off unless it is exactly `true`.
fn on(name: &str, lookup: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> bool {
    match lookup(name).as_deref() {
        Some("true") => true,
        None | Some("" | "false") => false,
        Some(other) => {
            problems.push(format!(
                "{name} is '{other}', neither 'true' nor 'false': it is off"
            ));
            false
        }
    }
}

fn hand_over(
    lookup: &impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Option<Functions> {
    if !on("HAND_OVER_SEQUENCES", lookup, problems) {
        return None;
    }
    let mut function = |name: &str| {
        let function = lookup(name).filter(|name| !name.is_empty());
        if function.is_none() {
            problems.push(format!(
                "{name} is not set: nothing of an attack sequence is handed over"
            ));
        }
        function
    };
    let (s3, iam, ec2) = (
        function("S3_RESPONDER_FUNCTION"),
        function("IAM_RESPONDER_FUNCTION"),
        function("EC2_RESPONDER_FUNCTION"),
    );
    Some(Functions {
        s3: s3?,
        iam: iam?,
        ec2: ec2?,
    })
}

fn limits(lookup: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Limits {
    let mut number = |name: &str, most: usize, default: usize| {
        let Some(text) = lookup(name).filter(|text| !text.is_empty()) else {
            return default;
        };
        let number = text.parse().ok().filter(|n| (1..=most).contains(n));
        number.unwrap_or_else(|| {
            problems.push(format!(
                "{name} is '{text}', not a number from 1 to {most}: {default} is taken"
            ));
            default
        })
    };
    let default = Limits::default();
    let minutes = number("LIMIT_WINDOW_MINUTES", 1_440, 60);
    Limits {
        containments: number("MAX_CONTAINMENTS", Limits::MOST, default.containments),
        window: SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(60)),
        share_percent: number("MAX_SHARE_PERCENT", 100, default.share_percent),
    }
}

fn settings(lookup: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Settings {
    let mut on = |name: &str| on(name, lookup, problems);
    let s3 = S3Settings {
        account_block: on("S3_ACCOUNT_BLOCK"),
        policy_deny: on("S3_POLICY_DENY"),
    };
    let iam = IamSettings {
        user_session_keys: on("IAM_USER_SESSION_KEYS"),
        created_keys: on("IAM_CREATED_KEYS"),
        role_wide: on("IAM_ROLE_WIDE"),
        mark_contained: on("IAM_MARK_CONTAINED"),
        never_contain: Vec::new(),
    };
    let mut ec2 = Ec2Settings {
        auto_scaling: AutoScaling::default(),
        cut_connections_seconds: 0,
        shorten_timeouts: on("EC2_SHORTEN_TIMEOUTS"),
        remove_public_address: on("EC2_REMOVE_PUBLIC_ADDRESS"),
        disable_metadata: on("EC2_DISABLE_METADATA"),
        isolate_container_nodes: on("EC2_CONTAINER_NODES"),
        forensics_access: Vec::new(),
        never_contain: Vec::new(),
    };
    ec2.auto_scaling = match lookup("EC2_AUTO_SCALING").as_deref() {
        None | Some("" | "detach") => AutoScaling::Detach,
        Some("standby") => AutoScaling::Standby,
        Some("keep") => AutoScaling::Keep,
        Some(other) => {
            problems.push(format!(
                "EC2_AUTO_SCALING is '{other}', none of 'detach', 'standby', 'keep': detaching"
            ));
            AutoScaling::Detach
        }
    };
    if let Some(text) = lookup("EC2_CUT_CONNECTIONS_SECONDS").filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(seconds) if seconds <= 90 => ec2.cut_connections_seconds = seconds,
            _ => problems.push(format!(
                "EC2_CUT_CONNECTIONS_SECONDS is '{text}', not a number from 0 to 90: 0 is taken"
            )),
        }
    }
    if let Some(text) = lookup("EC2_FORENSICS_ACCESS").filter(|text| !text.is_empty()) {
        match ForensicsRule::parse_all(&text) {
            Ok(rules) => ec2.forensics_access = rules,
            Err(why) => problems.push(format!(
                "EC2_FORENSICS_ACCESS is not understood: {why}. Nothing gets into an isolated instance"
            )),
        }
    }
    Settings { s3, iam, ec2 }
}

#[cfg(test)]
mod tests;
