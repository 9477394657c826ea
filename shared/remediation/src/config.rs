//! The settings of a function, read from its environment once, at start.
//!
//! [`SETTINGS`] lists them. The options of `gdr rehearse` have their values by it too.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::accounts::{Hub, member_role};
use crate::breaker::Limits;
use crate::category::Category;
use crate::decision::{ResponseMode, ResponseSettings};
use crate::evidence::Bucket;
use crate::hand_over::Functions;
use crate::notify;
use crate::settings::{AutoScaling, ForensicsRule, Settings, Spared};

mod table;

use self::table::{FUNCTIONS, NEVER_EMPTY};
pub use self::table::{Form, SETTINGS, Setting};

/// The settings in the environment.
#[derive(Clone, Debug, Default)]
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
        let mut environment = Environment::default();
        environment.config.approval_lasts = Self::APPROVAL_LASTS;
        for Setting { variable, form, .. } in SETTINGS {
            let is_set = |text: &String| !text.is_empty() || NEVER_EMPTY.contains(variable);
            if let Some(text) = lookup(variable).filter(is_set)
                && let Err(problem) = form.read(&text, &mut environment)
            {
                environment.problem(format!("{variable} {problem}"));
            }
        }
        environment.into_config()
    }
}

/// The settings as they are read, before those that depend on others are decided.
#[derive(Debug, Default)]
pub struct Environment {
    config: Config,
    own_account: Option<String>,
    own_roles: Vec<String>,
    is_hub: bool,
    external_id: Option<String>,
    /// `None`: in a hub only.
    verify_findings: Option<bool>,
    evidence_bucket: Option<String>,
    hands_over: bool,
    functions: [Option<String>; 3],
}

impl Environment {
    fn problem(&mut self, problem: impl Into<String>) {
        self.config.problems.push(problem.into());
    }

    /// Decides what depends on several settings.
    fn into_config(mut self) -> Config {
        for (name, list) in [
            ("RESPONDER_ROLES", self.own_roles.clone()),
            ("NEVER_CONTAIN", self.config.policy.never_contain.clone()),
        ] {
            for problem in list.iter().filter_map(|entry| Spared::parse(entry).err()) {
                self.problem(format!("{name}: {problem}"));
            }
        }
        if self.is_hub && self.external_id.is_none() {
            self.problem(
                "EXTERNAL_ID is not set, and the members' roles ask for it: nothing is contained in \
                 member accounts",
            );
        }
        // Else a finding of any account would be acted on with the credentials of this one.
        let contains = [ResponseMode::Contain, ResponseMode::Approve];
        if contains.contains(&self.config.policy.mode) && !self.is_hub && self.own_account.is_none()
        {
            self.problem(
                "OWN_ACCOUNT_ID is not set, outside of which nothing is contained: only notifying",
            );
            self.config.policy.mode = ResponseMode::Notify;
        }
        self.config.verify_findings = self.verify_findings.unwrap_or(self.is_hub);
        self.config.evidence = self.evidence();
        self.config.hand_over = self.hand_over();
        if self.config.topic_arn.is_none() {
            self.problem("NOTIFICATION_TOPIC_ARN is not set: nobody is notified");
        }
        let roles = self.responder_roles();
        let mut config = self.config;
        let exempt = [&config.policy.never_contain[..], &roles].concat();
        config.settings.iam.never_contain.clone_from(&exempt);
        config.settings.ec2.never_contain = exempt;
        config.policy.responder_roles = roles;
        if self.is_hub {
            config.hub = Some(Hub {
                account: self.own_account,
                external_id: self.external_id,
            });
        } else {
            config.policy.own_account = self.own_account;
        }
        config
    }

    /// Without the account that owns it, a bucket of the same name could be somebody else's.
    fn evidence(&mut self) -> Option<Bucket> {
        let name = self.evidence_bucket.take()?;
        let owner = self.own_account.clone();
        if owner.is_none() {
            self.problem(
                "EVIDENCE_BUCKET is set and OWN_ACCOUNT_ID is not: no pages of incidents are kept",
            );
        }
        Some(Bucket {
            name,
            owner: owner?,
        })
    }

    /// The responder's roles: those of the functions in their own account, those of the members in any.
    /// A role of another account that merely has the name of a function's must not be spared.
    fn responder_roles(&mut self) -> Vec<String> {
        let functions = std::mem::take(&mut self.own_roles).into_iter();
        let own = functions.map(|name| match &self.own_account {
            Some(account) => format!("arn:aws:iam::{account}:role/{name}"),
            None => name,
        });
        let members = Category::CONTAINING.map(member_role);
        own.chain(members.into_iter().filter(|_| self.is_hub))
            .collect()
    }

    fn hand_over(&mut self) -> Option<Functions> {
        if !self.hands_over {
            return None;
        }
        let functions = std::mem::take(&mut self.functions);
        for (name, function) in FUNCTIONS.iter().zip(&functions) {
            if function.is_none() {
                self.problem(format!(
                    "{name} is not set: nothing of an attack sequence is handed over"
                ));
            }
        }
        let [s3, iam, ec2] = functions;
        Some(Functions {
            s3: s3?,
            iam: iam?,
            ec2: ec2?,
        })
    }
}

#[cfg(test)]
mod tests;
