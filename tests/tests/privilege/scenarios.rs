//! What the functions are there for, each in a world of its own. A scenario passes if all that it asks of
//! the function is done, and nothing is left open.

mod buckets;
mod credentials;
mod functions;
mod instances;
mod others;

use std::future::Future;
use std::pin::Pin;

use integration_tests::Result;
use serde_json::Value;

use crate::privilege::world::{Outcome, Run};

type Trial<'a> = Pin<Box<dyn Future<Output = Result> + 'a>>;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) function: &'static str,
    pub(crate) parameters: &'static [(&'static str, &'static str)],
    /// What the function answers if all goes well.
    pub(crate) status: &'static str,
    /// Steps that the parameters add: done, or in a dry run planned.
    pub(crate) does: &'static [&'static str],
    /// The questions that stay open on the emulators.
    pub(crate) open: &'static [&'static str],
    /// Cedar policies beside the default ones.
    pub(crate) policy: &'static str,
    /// The actions that IAM refuses for a quota.
    pub(crate) quota_used_up: &'static [&'static str],
    /// Makes the world and gives the finding to the function.
    pub(crate) play: for<'a> fn(&'a Run<'a>) -> Trial<'a>,
}

impl Scenario {
    pub(crate) fn is_of_hub(&self) -> bool {
        self.parameters.contains(&("Mode", "hub"))
    }

    /// Why it has failed, if it has.
    pub(crate) fn judge(&self, outcome: &Outcome) -> Option<String> {
        let Outcome {
            report,
            told,
            failed,
        } = outcome;
        if let Some(error) = failed {
            return Some(format!("the function failed: {error}"));
        }
        if report["status"] != self.status {
            return Some(format!(
                "the status is {}: {}",
                report["status"], report["reason"]
            ));
        }
        let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
        let is = |value: &Value, one_of: &[&str]| one_of.iter().any(|word| value == word);
        let done: &[_] = match self.status {
            "dry_run" => &["planned", "already"],
            "notified" if !self.policy.is_empty() => &["applied", "already", "withheld"],
            _ => &["applied", "already"],
        };
        for step in list("steps") {
            if !is(&step["outcome"], done) {
                return Some(format!("a step was not done: {step}"));
            }
        }
        let lacks = |action: &&&str| !list("steps").iter().any(|step| step["action"] == **action);
        if let Some(action) = self.does.iter().find(lacks) {
            return Some(format!(
                "{:?} led to no {action}: {report}",
                self.parameters
            ));
        }
        for answer in list("investigation") {
            if answer["known"] != true && !is(&answer["question"], self.open) {
                return Some(format!("a question is open: {answer}"));
            }
        }
        let refused = told.find("not authorized to perform");
        refused.map(|at| format!("something was refused: {}", &told[at..]))
    }
}

pub(crate) fn all() -> Vec<&'static Scenario> {
    [
        buckets::ALL,
        credentials::ALL,
        functions::ALL,
        instances::ALL,
        others::ALL,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everybody is told, and the page is kept.
pub(crate) const TOLD: &[(&str, &str)] = &[
    ("ChatNotices", "true"),
    ("SecurityHub", "true"),
    ("EvidenceBucket", "versioned"),
];

/// A scenario with nothing set.
pub(crate) const PLAIN: Scenario = Scenario {
    name: "",
    function: "",
    parameters: &[],
    status: "contained",
    does: &[],
    open: &[],
    policy: "",
    quota_used_up: &[],
    play: |_| Box::pin(async { Err("nothing to play".into()) }),
};
