//! One line of the answer, and what the checks look with.

use aws_config::SdkConfig;
use remediation::error::Error;
use serde::Serialize;

use crate::deployment::{Deployment, Resource};

/// One line of the answer.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: CheckResult,
    /// The subject of the check.
    pub(super) of: String,
    /// The state found.
    pub(super) found: String,
    /// The remedy, for the administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_do: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckResult {
    Ok,
    /// Nothing is wrong, and the administrator may want it otherwise.
    Hint,
    Problem,
    /// It could not be looked at.
    Unknown,
}

impl Check {
    pub(super) fn ok(of: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check: CheckResult::Ok,
            of: of.into(),
            found: found.into(),
            to_do: None,
        }
    }

    pub(super) fn hint(
        of: impl Into<String>,
        found: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            check: CheckResult::Hint,
            ..Self::problem(of, found, to_do)
        }
    }

    pub(super) fn problem(
        of: impl Into<String>,
        found: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            check: CheckResult::Problem,
            to_do: Some(to_do.into()),
            ..Self::ok(of, found)
        }
    }

    pub(super) fn unknown(of: impl Into<String>, error: &Error) -> Self {
        Self {
            check: CheckResult::Unknown,
            to_do: Some("repair what keeps gdr from looking, and run it again".to_owned()),
            ..Self::ok(of, error.to_string())
        }
    }
}

/// The clients and the subject of the checks.
pub(super) struct CheckContext<'a> {
    pub(super) sdk: &'a SdkConfig,
    pub(super) deployment: &'a Deployment,
    /// The stack's resources, or why they are not known.
    pub(super) resources: &'a Result<Vec<Resource>, Error>,
}

impl CheckContext<'_> {
    /// The resources of a type, as the stack made them; none where they are not known.
    pub(super) fn of_type(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        let resources = self.resources.iter().flatten();
        resources.filter(move |resource| resource.kind == kind)
    }

    /// The name or id that AWS knows a resource of the template by.
    pub(super) fn physical(&self, logical: &str) -> Result<&str, Error> {
        let resources = self.resources.as_ref().map_err(Clone::clone)?;
        let mut resources = resources.iter();
        let found = resources.find(|resource| resource.logical == logical);
        let id = found.map(|resource| resource.physical.as_str());
        id.ok_or_else(|| {
            Error::Refused(format!(
                "the stack {} has no {logical}",
                self.deployment.name
            ))
        })
    }

    /// The stack, where a whole redeployment is what helps.
    pub(super) fn redeploy(&self) -> String {
        format!(
            "deploy the stack {} again (sam deploy)",
            self.deployment.name
        )
    }
}
