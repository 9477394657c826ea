//! A line of the output about a finding.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use policy::LoadedPolicies;
use remediation::catalogue;
use remediation::category::Category;
use remediation::decision::{self, Decision, ResponseSettings};
use remediation::finding::{Finding, Principal};
use serde::Serialize;

/// The decision about a finding, all functions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ignore,
    Notify,
    Contain,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Notify => "notify",
            Self::Contain => "contain",
        }
    }
}

/// The rules that decide.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) settings: ResponseSettings,
    pub(super) guard: LoadedPolicies,
    pub(super) now: Timestamp,
}

impl Rules {
    fn decide(&self, function: Category, finding: &Finding) -> Decision {
        let decision = decision::decide(function, finding, &self.settings);
        let forbidden = match decision {
            Decision::Contain(_) => self
                .guard
                .forbids(function, finding, &self.settings, self.now),
            _ => None,
        };
        forbidden.map_or(decision, |why| Decision::Notify(why.to_string()))
    }
}

/// The answer for one finding. The names of the members are the output's.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) file: Arc<str>,
    pub(super) finding_id: String,
    pub(super) finding_type: String,
    /// The functions that receive it.
    pub(super) functions: Vec<Category>,
    /// The most that one of them does.
    pub(super) decision: Verdict,
    /// The decision of each of them.
    pub(super) decisions: BTreeMap<&'static str, Verdict>,
    pub(super) reason: String,
    pub(super) sample: bool,
    /// ARNs and ids of the targets to contain or to investigate.
    pub(super) targets: Vec<String>,
}

/// Something that is not a finding, or not a usable one.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) file: Arc<str>,
    /// From 1; 0 for the file as a whole.
    pub(super) line: u64,
    pub(super) error: String,
}

impl Row {
    /// The decision of the functions about `finding` by these rules.
    pub(super) fn new(file: &Arc<str>, finding: &Finding, rules: &Rules) -> Self {
        let functions = catalogue::routes(finding);
        let answers: Vec<_> = functions
            .iter()
            .map(|function| match rules.decide(*function, finding) {
                Decision::Ignore(why) => (*function, Verdict::Ignore, why),
                Decision::Notify(why) => (*function, Verdict::Notify, why),
                Decision::Contain(what) => (*function, Verdict::Contain, what),
            })
            .collect();
        let decisions = answers
            .iter()
            .map(|(function, verdict, _)| (function.as_str(), *verdict))
            .collect();
        let most = answers.iter().map(|(_, verdict, _)| *verdict).max();
        // A finding is always for some function.
        let decision = most.unwrap_or(Verdict::Ignore);
        let mut targets = Vec::new();
        for (function, verdict, _) in &answers {
            if *verdict == decision && decision != Verdict::Ignore {
                targets.extend(named(*function, finding));
            }
        }
        targets.sort_unstable();
        targets.dedup();
        let sample = finding.is_sample();
        let mut reason = reason(&answers);
        if sample {
            reason.push_str("; it is a sample: a dry run, whatever the settings say");
        }
        Self {
            file: Arc::clone(file),
            finding_id: finding.id.clone(),
            finding_type: finding.finding_type.to_string(),
            functions,
            decision,
            decisions,
            reason,
            sample,
            targets,
        }
    }
}

/// One reason where the functions agree, else one for each.
fn reason(answers: &[(Category, Verdict, String)]) -> String {
    let agreed = answers.split_first().filter(|((_, verdict, why), others)| {
        let agrees =
            |(_, other, reason): &(Category, Verdict, String)| other == verdict && reason == why;
        others.iter().all(agrees)
    });
    if let Some(((_, _, why), _)) = agreed {
        return why.clone();
    }
    let each = answers
        .iter()
        .map(|(function, verdict, why)| format!("{function}: {}, {why}", verdict.as_str()));
    each.collect::<Vec<_>>().join("; ")
}

/// The targets of a function's kind that the finding names, as ARNs and ids by AWS's grammars. Unreadable
/// ones are left out: if they matter, the decision has failed.
fn named(function: Category, finding: &Finding) -> Vec<String> {
    match function {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            vec![finding.account_id.clone()]
        }
        Category::S3 => {
            let arn = |name| format!("arn:{}:s3:::{name}", finding.partition());
            finding
                .buckets()
                .unwrap_or_default()
                .into_iter()
                .map(arn)
                .collect()
        }
        Category::Iam => principal(finding),
        Category::Ec2 => finding.instance_id().into_iter().collect(),
        Category::Lambda => {
            let name = finding.function_name().into_iter();
            name.map(|name| finding.function_arn(&name)).collect()
        }
        Category::Triage => Category::CONTAINING
            .into_iter()
            .flat_map(|function| named(function, finding))
            .collect(),
    }
}

/// The principal. The ARNs of users and roles are without a path, which findings do not tell.
fn principal(finding: &Finding) -> Vec<String> {
    let (partition, account) = (finding.partition(), &finding.account_id);
    let iam = |resource: String| format!("arn:{partition}:iam::{account}:{resource}");
    match finding.principal() {
        Ok(Principal::User {
            name,
            long_term_key,
            ..
        }) => long_term_key
            .into_iter()
            .chain([iam(format!("user/{name}"))])
            .collect(),
        Ok(Principal::RoleSession { role, session }) => vec![match session {
            Some(session) => {
                format!(
                    "arn:{partition}:sts::{account}:assumed-role/{role}/{}",
                    session.name
                )
            }
            None => iam(format!("role/{role}")),
        }],
        Ok(Principal::Root) => vec![iam("root".to_owned())],
        Ok(Principal::Anonymous) | Err(_) => vec![],
        Ok(_) => finding.access_key_id().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
