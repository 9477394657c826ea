//! The settings of a function, read from its environment once, at start.

use crate::policy::{Policy, ResponseMode};

/// What the environment says.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the function may do.
    pub policy: Policy,
    /// Where notices go. `None`: nowhere, which is logged as an error.
    pub topic_arn: Option<String>,
    /// Settings that could not be understood, and what was assumed in their place. For the log.
    pub problems: Vec<String>,
}

impl Config {
    /// Reads the environment. Never fails: whatever cannot be understood becomes the careful
    /// choice, and a line in [`Config::problems`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
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
            Some("notify") => ResponseMode::Notify,
            Some("off") => ResponseMode::Off,
            Some(other) => {
                problems.push(format!(
                    "RESPONSE_MODE is '{other}', none of 'contain', 'notify', 'off': only notifying"
                ));
                ResponseMode::Notify
            }
        };
        let minimum_severity = match lookup("MINIMUM_SEVERITY") {
            None => Some(Policy::DEFAULT_MINIMUM_SEVERITY),
            Some(text) => {
                let number = text
                    .trim()
                    .parse()
                    .ok()
                    .filter(|n| (0.0..=10.0).contains(n));
                if number.is_none() {
                    problems.push(format!(
                        "MINIMUM_SEVERITY is '{text}', not a number from 0 to 10: only notifying"
                    ));
                }
                number
            }
        };
        let list = |name: &str| {
            lookup(name)
                .unwrap_or_default()
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .filter(|entry| !entry.is_empty())
                .collect::<Vec<_>>()
        };
        let topic_arn = lookup("NOTIFICATION_TOPIC_ARN").filter(|arn| !arn.is_empty());
        if topic_arn.is_none() {
            problems.push("NOTIFICATION_TOPIC_ARN is not set: nobody is notified".to_owned());
        }
        Self {
            policy: Policy {
                dry_run,
                mode,
                minimum_severity,
                own_account: lookup("OWN_ACCOUNT_ID").filter(|id| !id.is_empty()),
                responder_roles: list("RESPONDER_ROLES"),
                never_contain: list("NEVER_CONTAIN"),
            },
            topic_arn,
            problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Config {
        Config::from_lookup(|name| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_the_exact_word_false_enforces() {
        assert!(!with(&[("DRY_RUN", "false")]).policy.dry_run);
        for word in ["true", "False", "FALSE", "0", "no", "", " false", "false "] {
            assert!(with(&[("DRY_RUN", word)]).policy.dry_run, "{word:?}");
        }
        assert!(with(&[]).policy.dry_run);
    }

    #[test]
    fn an_unknown_word_is_reported() {
        let topic = (
            "NOTIFICATION_TOPIC_ARN",
            "arn:aws:sns:us-east-1:111122223333:t",
        );
        assert!(with(&[topic, ("DRY_RUN", "true")]).problems.is_empty());
        assert!(with(&[topic, ("DRY_RUN", "False")]).problems[0].contains("DRY_RUN is 'False'"));
        assert!(with(&[topic, ("RESPONSE_MODE", "yes")]).problems[0].contains("RESPONSE_MODE"));
        assert!(
            with(&[topic, ("MINIMUM_SEVERITY", "9,5")]).problems[0].contains("MINIMUM_SEVERITY")
        );
    }

    #[test]
    fn a_setting_that_cannot_be_understood_becomes_the_careful_choice() {
        assert_eq!(
            with(&[("RESPONSE_MODE", "yes")]).policy.mode,
            ResponseMode::Notify
        );
        assert_eq!(
            with(&[("RESPONSE_MODE", "off")]).policy.mode,
            ResponseMode::Off
        );
        assert_eq!(with(&[]).policy.mode, ResponseMode::Contain);
        assert_eq!(with(&[]).policy.minimum_severity, Some(4.0));
        assert_eq!(
            with(&[("MINIMUM_SEVERITY", "7.5")]).policy.minimum_severity,
            Some(7.5)
        );
        for text in ["high", "11", "-1", "NaN", ""] {
            assert_eq!(
                with(&[("MINIMUM_SEVERITY", text)]).policy.minimum_severity,
                None,
                "{text}"
            );
        }
    }
}
