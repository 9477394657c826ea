//! The settings that are rehearsed, by the names of the stack's parameters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use jiff::Timestamp;
use remediation::category::Category;
use remediation::config::{Config, Form, SETTINGS, Setting};
use remediation::decision::{ResponseMode, ResponseSettings};
use remediation::settings::Settings;
use simulation::{GroupSize, Modes, Rules};

use crate::option_values;

const HEADING: &str =
    "Settings, by the names of the stack's parameters, in place of the stack's own";

/// The environment of each function, as it is deployed or would be by default.
pub(super) struct Functions(pub(super) BTreeMap<Category, BTreeMap<String, String>>);

impl Default for Functions {
    fn default() -> Self {
        // Whose account it is is not known, so that no finding is another's.
        let variables = [
            ("MODE", "hub"),
            ("EXTERNAL_ID", "any"),
            ("S3_RESPONDER_FUNCTION", "any"),
            ("IAM_RESPONDER_FUNCTION", "any"),
            ("EC2_RESPONDER_FUNCTION", "any"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(
            Category::ALL
                .map(|it| (it, variables.clone().into()))
                .into(),
        )
    }
}

/// The options for rules. A setting that is not given is the named stack's, or the parameter's default.
#[derive(Debug, clap::Args)]
pub(super) struct RuleOptions {
    #[command(flatten)]
    settings: Given,
    /// The stack's own account: findings about others are only notified, as with Mode local. Without it, and
    /// without a stack, all accounts are contained in, as with Mode hub.
    #[arg(long, value_name = "ID", value_parser = option_values::account, help_heading = HEADING)]
    account: Option<String>,
    /// The size of a blast-radius group: users=40, or group:NAME=12 for an Auto Scaling group.
    #[arg(long = "size", value_name = "CROWD=NUMBER", value_parser = size, help_heading = "Rehearsal")]
    sizes: Vec<GroupSize>,
    /// Take archived findings for unarchived: somebody may have archived them after their events came.
    #[arg(long, help_heading = "Rehearsal")]
    archived: bool,
}

/// The settings that are given, each as the functions' environments would have it.
#[derive(Clone, Debug)]
struct Given(Vec<(&'static SettingOption, String)>);

/// The option of a setting.
#[derive(Debug)]
struct SettingOption {
    name: String,
    help: String,
    /// The function of the setting. `None`: all functions.
    function: Option<Category>,
    setting: &'static Setting,
}

static OPTIONS: LazyLock<Vec<SettingOption>> = LazyLock::new(|| {
    let settings = SETTINGS.iter().filter(|setting| !setting.help.is_empty());
    let options = settings.flat_map(|setting| {
        let option = |name: String, help, function| SettingOption {
            name: name.to_lowercase().replace('_', "-"),
            help,
            function,
            setting,
        };
        if setting.variable != "RESPONSE_MODE" {
            return vec![option(
                setting.variable.to_owned(),
                setting.help.to_owned(),
                None,
            )];
        }
        let resources = [
            (Category::S3, "buckets: contain, approve, notify or off"),
            (Category::Iam, "credentials"),
            (Category::Ec2, "instances"),
            (Category::Lambda, "Lambda functions"),
        ];
        let responses = resources.map(|(category, resources)| {
            let help = format!("{} {resources}", setting.help);
            option(format!("{category}-response"), help, Some(category))
        });
        responses.into()
    });
    options.collect()
});

impl SettingOption {
    fn argument(&'static self) -> Arg {
        let argument = Arg::new(&*self.name).long(&*self.name).help(&*self.help);
        let argument = argument.help_heading(HEADING);
        match &self.setting.form {
            Form::Switch(_) => argument
                .value_name("BOOL")
                .num_args(0..=1)
                .default_missing_value("true")
                .value_parser(value_parser!(bool)),
            Form::Severity(..) => argument
                .value_name("NUMBER")
                .value_parser(option_values::severity),
            Form::Number(least, most, ..) => argument
                .value_name("NUMBER")
                .value_parser(value_parser!(u16).range(i64::from(*least)..=i64::from(*most))),
            Form::Words(words, ..) => argument.value_name("MODE").value_parser(|text: &str| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                option_values::one_of(&words, text)
            }),
            Form::Principals(_) => argument
                .value_name("NAMES")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .value_parser(option_values::exempt_principal),
            Form::Text(_) | Form::ForensicsRules(_) => argument,
        }
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command.args(OPTIONS.iter().map(SettingOption::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = OPTIONS.iter().filter_map(|option| {
            let values = matches.get_raw(&option.name)?;
            let values: Vec<_> = values.map(|it| it.to_string_lossy()).collect();
            Some((option, values.join(",")))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl RuleOptions {
    /// True if a setting is given in place of the deployed one.
    pub(super) fn given(&self) -> bool {
        !self.settings.0.is_empty() || self.account.is_some()
    }

    pub(super) fn rules(
        &self,
        deployed: &Functions,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Rules {
        let config = |category| {
            let mut variables = deployed.0.get(&category).cloned().unwrap_or_default();
            for (option, value) in &self.settings.0 {
                if option.function.is_none_or(|function| function == category) {
                    variables.insert(option.setting.variable.to_owned(), value.clone());
                }
            }
            Config::from_variables(&variables)
        };
        let [s3, iam, ec2, lambda, triage] = Category::ALL.map(config);
        Rules {
            modes: Modes {
                s3: s3.policy.mode,
                iam: iam.policy.mode,
                ec2: ec2.policy.mode,
                lambda: lambda.policy.mode,
            },
            // The stack gives all functions the same of these.
            policy: ResponseSettings {
                dry_run: false,
                mode: ResponseMode::Contain,
                own_account: self.account.clone().or(iam.policy.own_account),
                ..iam.policy
            },
            settings: Settings {
                s3: s3.settings.s3,
                iam: iam.settings.iam,
                ec2: ec2.settings.ec2,
            },
            limits: iam.limits,
            hand_over: triage.hand_over.is_some(),
            archived: self.archived,
            since,
            until,
            sizes: self.sizes.clone(),
        }
    }
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

    fn parsed(options: &[&str]) -> RuleOptions {
        let command = RuleOptions::augment_args(Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(options).expect("options");
        RuleOptions::from_arg_matches(&matches).expect("options")
    }

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
    fn given_settings_replace_the_deployed_ones() {
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
        let mut deployed = Functions::default();
        deployed.0.insert(Category::Iam, variables.into());
        let none = parsed(&[]);
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

        let given = parsed(&[
            "--minimum-severity=2",
            "--iam-response=notify",
            "--never-contain= deployer ,",
            "--iam-role-wide=false",
        ]);
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
