//! The policies in force, and what they say of a step.

use jiff::Timestamp;

use super::authorization::{Authorization, NO_POLICY, NOT_PERMITTED};
use super::policies::Policies;
use super::prior_activity::PriorActivity;
use super::request_context::RequestContext;
use super::unread::doubt;
use model::category::Category;
use model::decision::ResponseSettings;
use model::error::Error;
use model::finding::Finding;
use model::plan::{StepKey, Withheld};
use model::resource::Resource;

/// The policies in force, or why there are none.
#[derive(Clone, Debug)]
pub struct LoadedPolicies {
    pub(super) policies: Result<Policies, String>,
    /// Why they could not be read, if a retry may not meet it.
    transient: Option<Error>,
}

impl LoadedPolicies {
    /// The policies of `text`. If it is not what [`Policies::parse`] takes, all is withheld.
    pub fn new(text: &str) -> Self {
        Self {
            policies: Policies::parse(text).map_err(|problems| {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                format!("it is not valid: {}", problems.join("; "))
            }),
            transient: None,
        }
    }

    /// No policies, for this reason: all is withheld.
    pub fn unusable(why: String) -> Self {
        Self {
            policies: Err(why),
            transient: None,
        }
    }

    /// No policies, since they could not be read.
    pub fn unread(error: Error) -> Self {
        Self {
            policies: Err(error.to_string()),
            transient: Some(error).filter(Error::is_transient),
        }
    }

    /// Why there are no policies, if there are none.
    pub fn problem(&self) -> Option<&str> {
        self.policies.as_ref().err().map(String::as_str)
    }

    /// Why the policies could not be read, if a retry may not meet it.
    pub fn transient(&self) -> Option<&Error> {
        self.transient.as_ref()
    }

    /// The reason that forbids every step that a function might plan about `finding`, whatever its target is.
    pub fn forbids(
        &self,
        category: Category,
        finding: &Finding,
        settings: &ResponseSettings,
        now: Timestamp,
    ) -> Option<Withheld> {
        let dry_run = settings.is_dry_run(finding);
        let context = RequestContext::new(finding, settings, category, dry_run, now);
        self.forbids_outright(&context)
    }

    pub(super) fn forbids_outright(&self, context: &RequestContext<'_>) -> Option<Withheld> {
        let policies = self.policies.as_ref().ok()?;
        let activities: &[PriorActivity] = if policies.looks_back {
            &PriorActivity::POSSIBLE
        } else {
            &[PriorActivity::UNKNOWN]
        };
        let mut why = None;
        for activity in activities {
            let context = context.with(*activity);
            // A step that an approver could permit has to be observed, to be planned.
            for approved in [false, true] {
                let (request, entities) = context.any_request(approved)?.ok()?;
                why = Some(policies.forbid_outright(&request, &entities)?);
            }
        }
        why
    }

    /// The policies' answer about a step, with or without an approval. An attribute that could not be read may be
    /// anything: if the answer depends on it, the approver decides.
    pub(super) fn judge(
        &self,
        context: &RequestContext<'_>,
        step: &StepKey,
        resource: &Resource,
        approved: bool,
    ) -> Authorization {
        let policies = self.policies.as_ref().ok();
        let doubt = policies.and_then(|it| doubt(it, context, step, resource, approved));
        let verdict = match doubt {
            Some(doubt) => doubt.verdict(approved),
            None => self.ask(context, step, resource, approved),
        };
        match verdict {
            Authorization::Withheld(why) if !approved => Authorization::Withheld(Withheld {
                awaits_approval: matches!(
                    self.judge(context, step, resource, true),
                    Authorization::Permitted(_)
                ),
                ..why
            }),
            verdict => verdict,
        }
    }

    /// The resource as it would be if others of its tags counted by which the policies decide: if they answer otherwise
    /// then, its tags decide.
    pub(super) fn tag_worlds(&self, resource: &Resource) -> Vec<Resource> {
        let Ok(policies) = &self.policies else {
            return Vec::new();
        };
        resource.tag_worlds(|key| policies.looks_at_tag(key))
    }

    fn ask(
        &self,
        context: &RequestContext<'_>,
        step: &StepKey,
        resource: &Resource,
        approved: bool,
    ) -> Authorization {
        let policies = match &self.policies {
            Ok(policies) => policies,
            Err(why) => {
                return Authorization::Withheld(Withheld {
                    by: vec![NO_POLICY.to_owned()],
                    reason: format!("the policy cannot be used, so nothing is permitted: {why}"),
                    awaits_approval: false,
                });
            }
        };
        match context.request(step, resource, approved) {
            Ok((request, entities)) => policies.judge(&request, &entities),
            Err(problem) => Authorization::Withheld(Withheld {
                by: vec![NOT_PERMITTED.to_owned()],
                reason: format!("the policies could not be evaluated: {problem}"),
                awaits_approval: false,
            }),
        }
    }
}
