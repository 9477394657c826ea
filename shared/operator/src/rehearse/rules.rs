//! The settings that are rehearsed, by the names of the stack's parameters.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use remediation::breaker::Limits;
use remediation::config::Config;
use remediation::decision::{ResponseMode, ResponseSettings};
use remediation::settings::{AutoScaling, Ec2Settings, IamSettings, S3Settings, Settings};
use simulation::{GroupSize, Modes, Rules};

use crate::option_values;

/// The settings of the functions, as they are deployed or would be by default.
pub(super) struct Functions {
    pub(super) s3: Config,
    pub(super) iam: Config,
    pub(super) ec2: Config,
    pub(super) triage: Config,
}

impl Default for Functions {
    fn default() -> Self {
        // Whose account it is is not known, so that no finding is another's.
        let variables = [("MODE", "hub"), ("EXTERNAL_ID", "any")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = BTreeMap::from(variables);
        let default = || Config::from_variables(&variables);
        Self {
            s3: default(),
            iam: default(),
            ec2: default(),
            triage: default(),
        }
    }
}

/// What is not given is as the stack that is named has it; without a stack, the parameter's default.
#[derive(Debug, Default, PartialEq, clap::Args)]
#[command(
    next_help_heading = "Settings, by the names of the stack's parameters, in place of the stack's own"
)]
pub(super) struct RuleOptions {
    /// What to do about findings on buckets: contain, approve, notify or off.
    #[arg(long, value_name = "MODE", value_parser = mode)]
    s3_response: Option<ResponseMode>,
    /// What to do about findings on credentials.
    #[arg(long, value_name = "MODE", value_parser = mode)]
    iam_response: Option<ResponseMode>,
    /// What to do about findings on instances.
    #[arg(long, value_name = "MODE", value_parser = mode)]
    ec2_response: Option<ResponseMode>,
    /// The severity from which on findings are contained, 0 to 10.
    #[arg(long, value_name = "NUMBER", value_parser = option_values::severity)]
    minimum_severity: Option<f64>,
    /// The severity from which on the response `approve` contains without waiting.
    #[arg(long, value_name = "NUMBER", value_parser = option_values::severity)]
    approval_not_needed_from: Option<f64>,
    /// Names or ARNs of users and roles that are never contained, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = option_values::exempt_principal)]
    never_contain: Option<Vec<String>>,
    /// How many targets each function contains in one account in the time of a window.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=500))]
    max_containments: Option<u16>,
    /// How long a containment counts, in minutes.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=1440))]
    limit_window_minutes: Option<i64>,
    /// Which share of a crowd is contained in that time, in per cent. Held where --size tells how large
    /// the crowd is.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=100))]
    max_share_percent: Option<u8>,
    /// Hand the parts of attack sequences over.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    hand_over_sequences: Option<bool>,
    /// The stack's own account: findings about others are only notified, as with Mode local. Without it, and
    /// without a stack, all accounts are contained in, as with Mode hub.
    #[arg(long, value_name = "ID", value_parser = option_values::account)]
    account: Option<String>,
    /// Turn the account's Block Public Access on again.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    s3_account_block: Option<bool>,
    /// Deny a foreign principal or an anonymous caller's address in the bucket's policy.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    s3_policy_deny: Option<bool>,
    /// Deactivate all keys of a user whose session was stolen.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    iam_user_session_keys: Option<bool>,
    /// Deactivate the keys that the principal created.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    iam_created_keys: Option<bool>,
    /// Revoke all sessions of the role.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    iam_role_wide: Option<bool>,
    /// Tag contained users and roles.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    iam_mark_contained: Option<bool>,
    /// What becomes of a member of an Auto Scaling group: detach, standby or keep.
    #[arg(long, value_name = "WORD", value_parser = auto_scaling)]
    ec2_auto_scaling: Option<AutoScaling>,
    /// Seconds in a group that ends the tracking of open connections.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=90))]
    ec2_cut_connections_seconds: Option<u8>,
    /// Shorten the idle time-outs of tracked connections.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ec2_shorten_timeouts: Option<bool>,
    /// Take the public addresses away.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ec2_remove_public_address: Option<bool>,
    /// Turn the instance metadata service off.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ec2_disable_metadata: Option<bool>,
    /// Isolate nodes of EKS and ECS, too.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ec2_container_nodes: Option<bool>,
    /// How large a crowd is: users=40, or group:NAME=12 for an Auto Scaling group.
    #[arg(long = "size", value_name = "CROWD=NUMBER", value_parser = size, help_heading = "Rehearsal")]
    sizes: Vec<GroupSize>,
    /// Take findings that are archived by now for what they were before: a person may have archived them
    /// after their events came.
    #[arg(long, help_heading = "Rehearsal")]
    archived: bool,
}

impl RuleOptions {
    /// True if a setting is given in place of the deployed one.
    pub(super) fn given(&self) -> bool {
        let none = Self {
            sizes: self.sizes.clone(),
            archived: self.archived,
            ..Self::default()
        };
        *self != none
    }

    pub(super) fn rules(
        &self,
        deployed: &Functions,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Rules {
        // The stack gives all functions the same of these.
        let (policy, limits) = (&deployed.iam.policy, &deployed.iam.limits);
        Rules {
            policy: ResponseSettings {
                dry_run: false,
                mode: ResponseMode::Contain,
                minimum_severity: self.minimum_severity.or(policy.minimum_severity),
                approval_not_needed_from: self
                    .approval_not_needed_from
                    .or(policy.approval_not_needed_from),
                own_account: self.account.clone().or_else(|| policy.own_account.clone()),
                responder_roles: policy.responder_roles.clone(),
                never_contain: self
                    .never_contain()
                    .unwrap_or_else(|| policy.never_contain.clone()),
            },
            modes: Modes {
                s3: self.s3_response.unwrap_or(deployed.s3.policy.mode),
                iam: self.iam_response.unwrap_or(deployed.iam.policy.mode),
                ec2: self.ec2_response.unwrap_or(deployed.ec2.policy.mode),
            },
            settings: self.settings(deployed),
            limits: Limits {
                containments: self
                    .max_containments
                    .map_or(limits.containments, usize::from),
                window: self
                    .limit_window_minutes
                    .map_or(limits.window, SignedDuration::from_mins),
                share_percent: self
                    .max_share_percent
                    .map_or(limits.share_percent, usize::from),
            },
            hand_over: self
                .hand_over_sequences
                .unwrap_or(deployed.triage.hand_over.is_some()),
            archived: self.archived,
            since,
            until,
            sizes: self.sizes.clone(),
        }
    }

    fn never_contain(&self) -> Option<Vec<String>> {
        let names = self.never_contain.as_ref()?.iter().map(|name| name.trim());
        let names = names.filter(|name| !name.is_empty());
        Some(names.map(ToOwned::to_owned).collect())
    }

    fn settings(&self, deployed: &Functions) -> Settings {
        let (s3, iam, ec2) = (
            &deployed.s3.settings.s3,
            &deployed.iam.settings.iam,
            &deployed.ec2.settings.ec2,
        );
        // The responder's own roles are spared whatever is given.
        let spared = |deployed: &Vec<String>, roles: &[String]| {
            let given = self.never_contain();
            given.map_or_else(|| deployed.clone(), |given| [&given, roles].concat())
        };
        Settings {
            s3: S3Settings {
                account_block: self.s3_account_block.unwrap_or(s3.account_block),
                policy_deny: self.s3_policy_deny.unwrap_or(s3.policy_deny),
            },
            iam: IamSettings {
                user_session_keys: self.iam_user_session_keys.unwrap_or(iam.user_session_keys),
                created_keys: self.iam_created_keys.unwrap_or(iam.created_keys),
                role_wide: self.iam_role_wide.unwrap_or(iam.role_wide),
                mark_contained: self.iam_mark_contained.unwrap_or(iam.mark_contained),
                never_contain: spared(&iam.never_contain, &deployed.iam.policy.responder_roles),
            },
            ec2: Ec2Settings {
                auto_scaling: self.ec2_auto_scaling.unwrap_or(ec2.auto_scaling),
                cut_connections_seconds: self
                    .ec2_cut_connections_seconds
                    .unwrap_or(ec2.cut_connections_seconds),
                shorten_timeouts: self.ec2_shorten_timeouts.unwrap_or(ec2.shorten_timeouts),
                remove_public_address: self
                    .ec2_remove_public_address
                    .unwrap_or(ec2.remove_public_address),
                disable_metadata: self.ec2_disable_metadata.unwrap_or(ec2.disable_metadata),
                isolate_container_nodes: self
                    .ec2_container_nodes
                    .unwrap_or(ec2.isolate_container_nodes),
                // It contains nothing, so that no other value is of use here.
                forensics_access: ec2.forensics_access.clone(),
                never_contain: spared(&ec2.never_contain, &deployed.ec2.policy.responder_roles),
            },
        }
    }
}

fn mode(text: &str) -> Result<ResponseMode, String> {
    Ok(match text {
        "contain" => ResponseMode::Contain,
        "approve" => ResponseMode::Approve,
        "notify" => ResponseMode::Notify,
        "off" => ResponseMode::Off,
        _ => return Err("contain, approve, notify or off is needed".to_owned()),
    })
}

fn auto_scaling(text: &str) -> Result<AutoScaling, String> {
    Ok(match text {
        "detach" => AutoScaling::Detach,
        "standby" => AutoScaling::Standby,
        "keep" => AutoScaling::Keep,
        _ => return Err("detach, standby or keep is needed".to_owned()),
    })
}

fn size(text: &str) -> Result<GroupSize, String> {
    let needed = || "users=NUMBER or group:NAME=NUMBER is needed".to_owned();
    let (crowd, number) = text.rsplit_once('=').ok_or_else(needed)?;
    let number = number
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(needed)?;
    match (crowd, crowd.strip_prefix("group:")) {
        ("users", _) => Ok(GroupSize::Users(number)),
        (_, Some(name)) if !name.is_empty() => Ok(GroupSize::Group(name.to_owned(), number)),
        _ => Err(needed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_a_name_and_a_size() {
        assert_eq!(size("users=40"), Ok(GroupSize::Users(40)));
        let group = GroupSize::Group("web=blue".to_owned(), 12);
        assert_eq!(size("group:web=blue=12"), Ok(group));
        for wrong in ["users", "users=many", "users=0", "group:=3", "roles=3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_given_is_taken_in_place_of_what_is_deployed() {
        let variables = [
            ("OWN_ACCOUNT_ID", "111122223333"),
            ("MINIMUM_SEVERITY", "7"),
            ("RESPONSE_MODE", "approve"),
            ("NEVER_CONTAIN", "break-glass"),
            ("RESPONDER_ROLES", "gdr-iam"),
            ("MAX_CONTAINMENTS", "5"),
            ("IAM_ROLE_WIDE", "true"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let iam = Config::from_variables(&variables.into());
        let deployed = Functions {
            iam,
            ..Functions::default()
        };
        let none = RuleOptions::default();
        let rules = none.rules(&deployed, None, None);
        assert!(!none.given());
        assert_eq!(rules.policy.minimum_severity, Some(7.0));
        assert_eq!(rules.policy.own_account.as_deref(), Some("111122223333"));
        assert_eq!(rules.policy.never_contain, ["break-glass"]);
        assert_eq!(rules.modes.iam, ResponseMode::Approve);
        assert_eq!(rules.modes.s3, ResponseMode::Contain);
        assert_eq!(rules.limits.containments, 5);
        assert!(rules.settings.iam.role_wide);
        assert!(!rules.policy.dry_run);

        let given = RuleOptions {
            minimum_severity: Some(2.0),
            iam_response: Some(ResponseMode::Notify),
            never_contain: Some(vec![" deployer ".to_owned(), String::new()]),
            iam_role_wide: Some(false),
            ..RuleOptions::default()
        };
        let rules = given.rules(&deployed, None, None);
        assert!(given.given());
        assert_eq!(rules.policy.minimum_severity, Some(2.0));
        assert_eq!(rules.modes.iam, ResponseMode::Notify);
        assert_eq!(rules.policy.never_contain, ["deployer"]);
        let spared = &rules.settings.iam.never_contain;
        assert_eq!(spared[0], "deployer");
        assert!(spared.iter().any(|role| role.ends_with("role/gdr-iam")));
        assert!(!rules.settings.iam.role_wide);
        assert_eq!(rules.limits.containments, 5, "what is not given stays");
    }
}
