//! A function, put together from its settings.

pub(crate) mod lines;

use std::io;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;

use self::lines::Lines;
use crate::accounts::Accounts;
use crate::category::Category;
use crate::config::Config;
use crate::evidence::Evidence;
use crate::hand_over::HandOver;
use crate::history::AuthorizationSources;
use crate::notify::Notices;
use crate::notify::security_hub::SecurityHub;
use crate::policy_parameter::PolicyParameter;
use crate::recheck::{Recheck, RecheckQueue};
use crate::record::IncidentStore;
use crate::slots::FallbackQuota;
use crate::trace::Trace;
use crate::verify::Verifier;
use aws::playbook::Playbook;
use policy::{DEFAULT, LoadedPolicies};

/// A function: its settings and clients, built once at start.
#[derive(Debug)]
pub struct Responder<P> {
    pub(crate) playbook: P,
    pub(crate) config: Config,
    pub(crate) guards: AuthorizationSources,
    pub(crate) notices: Notices,
    pub(crate) security_hub: Option<SecurityHub>,
    pub(crate) accounts: Option<Accounts<P>>,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) record: Option<IncidentStore>,
    pub(crate) evidence: Option<Evidence>,
    pub(crate) recheck: Option<RecheckQueue>,
    pub(crate) hand_over: Option<HandOver>,
    pub(crate) alone: FallbackQuota,
    /// The operator who runs it, to whom the report goes instead of to a log.
    pub(crate) run_by: Option<String>,
    pub(crate) lines: Lines,
}

/// One invocation of a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, the same when Lambda retries it.
    pub id: String,
    /// When it came in.
    pub now: Timestamp,
    /// The time that it has left.
    pub time_left: Duration,
    /// The look at a containment that this is, if it is one.
    pub look: Option<Recheck>,
    /// The trace that it is a part of.
    pub trace: Option<Trace>,
}

impl<P: Playbook> Responder<P> {
    /// A responder whose playbooks `build` makes, with the settings of the environment. The record,
    /// the notices and the rest of the function's own are called with `sdk`.
    pub fn from_env(build: fn(&SdkConfig) -> P, sdk: &SdkConfig) -> Self
    where
        P: 'static,
    {
        Self::configured(Config::from_env(), build, sdk)
    }

    /// [`Responder::from_env`], with these settings.
    pub fn configured(config: Config, build: fn(&SdkConfig) -> P, sdk: &SdkConfig) -> Self
    where
        P: 'static,
    {
        for problem in &config.problems {
            tracing::error!(problem, "setting");
        }
        let record = config
            .incident_table
            .clone()
            .map(|table| IncidentStore::new(aws_sdk_dynamodb::Client::new(sdk), table));
        if record.is_none() && P::CATEGORY != Category::Triage {
            tracing::warn!(
                "INCIDENT_TABLE is not set: the breaker is off, nothing limits containments"
            );
        }
        let evidence = config.evidence.clone();
        let evidence = evidence.map(|bucket| Evidence::new(aws_sdk_s3::Client::new(sdk), bucket));
        let recheck = config
            .recheck_queue_url
            .clone()
            .map(|url| RecheckQueue::new(aws_sdk_sqs::Client::new(sdk), url));
        // No other function hands anything over, whatever its environment says.
        let functions = config.hand_over.clone();
        let hand_over = functions
            .filter(|_| P::CATEGORY == Category::Triage)
            .map(|functions| HandOver::new(aws_sdk_lambda::Client::new(sdk), functions));
        let policies = match &config.policy_parameter {
            Some(name) => PolicyParameter::new(aws_sdk_ssm::Client::new(sdk), name.clone()),
            None => PolicyParameter::fixed(LoadedPolicies::unusable(
                "POLICY_PARAMETER is not set".to_owned(),
            )),
        };
        let sns = aws_sdk_sns::Client::new(sdk);
        let notices = Notices::new(sns.clone(), config.topic_arn.clone());
        let notices = notices.with(&config.notices, sdk);
        let security_hub = || SecurityHub::new(aws_sdk_securityhub::Client::new(sdk));
        let sts = aws_sdk_sts::Client::new(sdk);
        let accounts = Accounts::new(build, sdk, sts, config.hub.clone(), &config.settings);
        let verifier = config.verify_findings.then(|| Verifier::new(sdk));
        Self {
            notices,
            security_hub: (P::CATEGORY == Category::Triage).then(security_hub),
            accounts: Some(accounts),
            verifier,
            record,
            evidence,
            recheck,
            hand_over,
            guards: AuthorizationSources {
                policies,
                history: None,
            },
            ..Self::new(build(sdk), config, sns)
        }
    }

    /// A responder with these settings, the default policies and this client for notices, without a
    /// record.
    pub fn new(mut playbook: P, config: Config, sns: aws_sdk_sns::Client) -> Self {
        playbook.configure(&config.settings);
        Self {
            notices: Notices::new(sns, config.topic_arn.clone()),
            security_hub: None,
            playbook,
            config,
            guards: AuthorizationSources {
                policies: PolicyParameter::fixed(LoadedPolicies::new(DEFAULT)),
                history: None,
            },
            accounts: None,
            verifier: None,
            record: None,
            evidence: None,
            recheck: None,
            hand_over: None,
            alone: FallbackQuota::default(),
            run_by: None,
            lines: Lines::default(),
        }
    }

    /// The same, recording in `record`.
    #[must_use]
    pub fn recording(self, record: IncidentStore) -> Self {
        Self {
            record: Some(record),
            ..self
        }
    }

    /// The same, telling by these.
    #[must_use]
    pub fn telling(self, notices: Notices) -> Self {
        Self { notices, ..self }
    }

    /// The same, keeping pages in `evidence`.
    #[must_use]
    pub fn keeping(self, evidence: Evidence) -> Self {
        Self {
            evidence: Some(evidence),
            ..self
        }
    }

    /// The same, updating Security Hub.
    #[must_use]
    pub fn updating(self, security_hub: SecurityHub) -> Self {
        Self {
            security_hub: Some(security_hub),
            ..self
        }
    }

    /// The same, asking these.
    #[must_use]
    pub fn guarded(self, guards: AuthorizationSources) -> Self {
        Self { guards, ..self }
    }

    /// The same, acting in `accounts`.
    #[must_use]
    pub fn across(self, accounts: Accounts<P>) -> Self {
        Self {
            accounts: Some(accounts),
            ..self
        }
    }

    /// The same, enforcing only what `verifier` finds to be so.
    #[must_use]
    pub fn verifying(self, verifier: Verifier) -> Self {
        Self {
            verifier: Some(verifier),
            ..self
        }
    }

    /// The same, having containments looked at again through `recheck`.
    #[must_use]
    pub fn rechecking(self, recheck: RecheckQueue) -> Self {
        Self {
            recheck: Some(recheck),
            ..self
        }
    }

    /// The same, handing the parts of attack sequences over through `hand_over`.
    #[must_use]
    pub fn handing_over(self, hand_over: HandOver) -> Self {
        Self {
            hand_over: Some(hand_over),
            ..self
        }
    }

    /// The same, run by the operator of this ARN outside of Lambda: the report says so, is not written to
    /// standard output, and is the answer also where an error would have Lambda try again.
    #[must_use]
    pub fn run_by(self, operator: String) -> Self {
        Self {
            run_by: Some(operator),
            ..self
        }
    }

    /// The same, giving the lines of its reports to `write` instead of standard output.
    #[must_use]
    pub fn logging(self, write: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            lines: Lines::to(write),
            ..self
        }
    }
}
