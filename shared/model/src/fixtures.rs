//! Findings and a playbook for unit tests.

use jiff::Timestamp;
pub(crate) use sample_findings::{attack, event, user_detail};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::blast_radius::{BlastRadiusGroup, Member};
use crate::category::Category;
use crate::decision::{ResponseMode, ResponseSettings};
use crate::error::Result;
use crate::finding::Finding;
use crate::investigation::{Answer, Investigation, Question};
use crate::plan::{Action, Phase, Plan, Step, Undo};
use crate::planner::Planner;
use crate::resource::Resource;
use crate::settings::Settings;

/// When the findings come in.
pub(crate) fn now() -> Timestamp {
    sample_findings::NOW.parse().expect("a time")
}

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}

/// The answer to a question.
pub(crate) fn answered(investigation: &Investigation, question: Question) -> &Answer {
    let mut answers = investigation.answers.iter();
    let answer = answers.find(|answer| answer.question() == question);
    answer.unwrap_or_else(|| panic!("no {question}: {investigation:#?}"))
}

/// Settings by which everything of medium severity is contained, but for this principal.
pub(crate) fn containing_but_for(exempt: &str) -> ResponseSettings {
    ResponseSettings {
        dry_run: false,
        mode: ResponseMode::Contain,
        minimum_severity: Some(4.0),
        approval_not_needed_from: None,
        own_account: Some("111122223333".to_owned()),
        quarantine_objects: false,
        responder_roles: vec!["gdr-IamResponderRole-ABC".to_owned()],
        never_contain: vec![exempt.to_owned()],
    }
}

/// A step of a playbook without AWS.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) phase: Phase,
    /// What applying it finds.
    pub(crate) from: Value,
    /// The names and sizes of the Auto Scaling groups that the target is in.
    pub(crate) crowds: Vec<(&'static str, Result<usize>)>,
}

/// A step that contains.
pub(crate) fn act(target: &'static str) -> Act {
    Act {
        name: "fake:Contain",
        target,
        phase: Phase::Contain,
        from: Value::Null,
        crowds: Vec::new(),
    }
}

impl Action for Act {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[];

    fn name(&self) -> &'static str {
        self.name
    }

    fn target(&self) -> String {
        self.target.to_owned()
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn only_narrows(name: &str) -> bool {
        name == "fake:Prepare"
    }

    fn from(&self) -> Value {
        self.from.clone()
    }

    fn to(&self) -> Value {
        Value::Bool(true)
    }

    fn undo(&self) -> Undo {
        Undo::Restore
    }
}

impl Serialize for Act {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.target)
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(de::Error::custom("it is not read back"))
    }
}

/// The pure half of a playbook whose state is its steps, and whether each is in effect.
#[derive(Debug)]
pub(crate) struct Fake;

impl Planner for Fake {
    const CATEGORY: Category = Category::S3;
    type State = Vec<(Act, bool)>;
    type Action = Act;

    fn plan(_: &Finding, state: &Self::State, _: &Settings, _: Timestamp) -> Plan<Act> {
        let steps = state.iter().map(|(act, in_effect)| match in_effect {
            true => Step::Already(act.clone(), "in effect".to_owned()),
            false => Step::Do(act.clone()),
        });
        Plan {
            steps: steps.collect(),
            ..Plan::default()
        }
    }

    fn resource(finding: &Finding, _: &Self::State, act: &Act) -> Resource {
        Resource::bucket(finding, &finding.region, act.target)
    }

    fn blast_radius_groups(finding: &Finding, _: &Self::State, act: &Act) -> Vec<Member> {
        let crowds = act.crowds.iter().map(|(group, size)| Member {
            name: act.target(),
            crowd: BlastRadiusGroup::AutoScalingGroup {
                region: finding.region.clone(),
                name: (*group).to_owned(),
            },
            size: size.clone(),
        });
        crowds.collect()
    }
}
