//! The settings that are rehearsed, by the names of the stack's parameters.

use jiff::{SignedDuration, Timestamp};
use remediation::breaker::Limits;
use remediation::policy::{Policy, ResponseMode};
use remediation::rehearsal::{CrowdSize, Modes, Rules};
use remediation::settings::{AutoScaling, Ec2Settings, IamSettings, S3Settings, Settings, Spared};

/// As the stack would be deployed; what is not given is the parameter's default.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings, by the names of the stack's parameters")]
pub(super) struct RuleOptions {
    /// What to do about findings on buckets: contain, approve, notify or off.
    #[arg(long, value_name = "MODE", default_value = "contain", value_parser = mode)]
    s3_response: ResponseMode,
    /// What to do about findings on credentials.
    #[arg(long, value_name = "MODE", default_value = "contain", value_parser = mode)]
    iam_response: ResponseMode,
    /// What to do about findings on instances.
    #[arg(long, value_name = "MODE", default_value = "contain", value_parser = mode)]
    ec2_response: ResponseMode,
    /// The severity from which on findings are contained, 0 to 10.
    #[arg(long, value_name = "NUMBER", default_value_t = Policy::DEFAULT_MINIMUM_SEVERITY, value_parser = crate::explain::severity)]
    minimum_severity: f64,
    /// The severity from which on the response `approve` contains without waiting.
    #[arg(long, value_name = "NUMBER", value_parser = crate::explain::severity)]
    approval_not_needed_from: Option<f64>,
    /// Names or ARNs of users and roles that are never contained, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = spared)]
    never_contain: Vec<String>,
    /// How many targets each function contains in one account in the time of a window.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    max_containments: u16,
    /// How long a containment counts, in minutes.
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=1440))]
    limit_window_minutes: i64,
    /// Which share of a crowd is contained in that time, in per cent. Held where --size tells how large
    /// the crowd is.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    max_share_percent: u8,
    /// Hand the parts of attack sequences over.
    #[arg(long)]
    hand_over_sequences: bool,
    /// The stack's own account: findings about others are only notified, as with Mode local. Without it
    /// all accounts are contained in, as with Mode hub.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Turn the account's Block Public Access on again.
    #[arg(long)]
    s3_account_block: bool,
    /// Deny a foreign principal or an anonymous caller's address in the bucket's policy.
    #[arg(long)]
    s3_policy_deny: bool,
    /// Deactivate all keys of a user whose session was stolen.
    #[arg(long)]
    iam_user_session_keys: bool,
    /// Deactivate the keys that the principal created.
    #[arg(long)]
    iam_created_keys: bool,
    /// Revoke all sessions of the role.
    #[arg(long)]
    iam_role_wide: bool,
    /// Tag contained users and roles.
    #[arg(long)]
    iam_mark_contained: bool,
    /// What becomes of a member of an Auto Scaling group: detach, standby or keep.
    #[arg(long, value_name = "WORD", default_value = "detach", value_parser = auto_scaling)]
    ec2_auto_scaling: AutoScaling,
    /// Seconds in a group that ends the tracking of open connections.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=90))]
    ec2_cut_connections_seconds: u8,
    /// Shorten the idle time-outs of tracked connections.
    #[arg(long)]
    ec2_shorten_timeouts: bool,
    /// Take the public addresses away.
    #[arg(long)]
    ec2_remove_public_address: bool,
    /// Turn the instance metadata service off.
    #[arg(long)]
    ec2_disable_metadata: bool,
    /// Isolate nodes of EKS and ECS, too.
    #[arg(long)]
    ec2_container_nodes: bool,
    /// How large a crowd is: users=40, or group:NAME=12 for an Auto Scaling group.
    #[arg(long = "size", value_name = "CROWD=NUMBER", value_parser = size, help_heading = "Rehearsal")]
    sizes: Vec<CrowdSize>,
    /// Take findings that are archived by now for what they were before: a person may have archived them
    /// after their events came.
    #[arg(long, help_heading = "Rehearsal")]
    archived: bool,
}

impl RuleOptions {
    pub(super) fn rules(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Rules {
        Rules {
            policy: Policy {
                dry_run: false,
                mode: ResponseMode::Contain,
                minimum_severity: Some(self.minimum_severity),
                approval_not_needed_from: self.approval_not_needed_from,
                own_account: self.account.clone(),
                responder_roles: Vec::new(),
                never_contain: self.never_contain(),
            },
            modes: Modes {
                s3: self.s3_response,
                iam: self.iam_response,
                ec2: self.ec2_response,
            },
            settings: self.settings(),
            limits: Limits {
                containments: self.max_containments.into(),
                window: SignedDuration::from_mins(self.limit_window_minutes),
                share_percent: self.max_share_percent.into(),
            },
            hand_over: self.hand_over_sequences,
            archived: self.archived,
            since,
            until,
            sizes: self.sizes.clone(),
        }
    }

    fn never_contain(&self) -> Vec<String> {
        let names = self.never_contain.iter().map(|name| name.trim());
        names
            .filter(|name| !name.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    fn settings(&self) -> Settings {
        Settings {
            s3: S3Settings {
                account_block: self.s3_account_block,
                policy_deny: self.s3_policy_deny,
            },
            iam: IamSettings {
                user_session_keys: self.iam_user_session_keys,
                created_keys: self.iam_created_keys,
                role_wide: self.iam_role_wide,
                mark_contained: self.iam_mark_contained,
                never_contain: self.never_contain(),
            },
            ec2: Ec2Settings {
                auto_scaling: self.ec2_auto_scaling,
                cut_connections_seconds: self.ec2_cut_connections_seconds,
                shorten_timeouts: self.ec2_shorten_timeouts,
                remove_public_address: self.ec2_remove_public_address,
                disable_metadata: self.ec2_disable_metadata,
                isolate_container_nodes: self.ec2_container_nodes,
                never_contain: self.never_contain(),
            },
        }
    }
}

fn spared(text: &str) -> Result<String, String> {
    let entry = text.trim();
    if !entry.is_empty() {
        Spared::parse(entry)?;
    }
    Ok(entry.to_owned())
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

fn size(text: &str) -> Result<CrowdSize, String> {
    let needed = || "users=NUMBER or group:NAME=NUMBER is needed".to_owned();
    let (crowd, number) = text.rsplit_once('=').ok_or_else(needed)?;
    let number = number.parse().map_err(|_| needed())?;
    match (crowd, crowd.strip_prefix("group:")) {
        ("users", _) => Ok(CrowdSize::Users(number)),
        (_, Some(name)) if !name.is_empty() => Ok(CrowdSize::Group(name.to_owned(), number)),
        _ => Err(needed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_never_contained_is_named_in_a_way_that_names_somebody() {
        assert_eq!(spared(" break-glass ").as_deref(), Ok("break-glass"));
        assert_eq!(spared("").as_deref(), Ok(""));
        assert!(spared("deploy-*").is_err());
    }

    #[test]
    fn a_crowd_has_a_name_and_a_size() {
        assert_eq!(size("users=40"), Ok(CrowdSize::Users(40)));
        let group = CrowdSize::Group("web=blue".to_owned(), 12);
        assert_eq!(size("group:web=blue=12"), Ok(group));
        for wrong in ["users", "users=many", "group:=3", "roles=3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
