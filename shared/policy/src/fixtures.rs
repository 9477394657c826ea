//! Findings, settings and playbooks for unit tests.

use jiff::Timestamp;
use model::category::Category;
use model::decision::{ResponseMode, ResponseSettings};
use model::finding::Finding;
use model::plan::{Action, Phase, Plan, Step, Undo, Withheld};
use model::planner::Planner;
use model::resource::{Kind, Resource};
use model::settings::Settings;
pub(crate) use sample_findings::user_detail;
use sample_findings::{NOW, event};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// Settings by which everything is contained.
pub(crate) static ENFORCING: ResponseSettings = ResponseSettings {
    dry_run: false,
    mode: ResponseMode::Contain,
    minimum_severity: Some(0.0),
    approval_not_needed_from: None,
    own_account: None,
    quarantine_objects: false,
    responder_roles: Vec::new(),
    never_contain: Vec::new(),
};

/// The time at which the findings of these tests come in.
pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}

/// A step of a playbook without AWS, and what it would contain.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) name: &'static str,
    pub(crate) phase: Phase,
    pub(crate) resource: Resource,
    pub(crate) found: Found,
}

/// What the playbook makes of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Undone,
    InEffect,
    Impossible,
    /// The playbook itself leaves the step to the approver.
    LeftToApprover,
    /// No approver may let the step run.
    Forbidden,
}

/// A step that isolates this.
pub(crate) fn act(resource: Resource) -> Act {
    Act {
        name: match resource.kind() {
            Kind::Bucket => "s3:BlockBucketPublicAccess",
            Kind::Account => "s3:BlockAccountPublicAccess",
            Kind::User => "iam:RevokeUserSessions",
            Kind::Role => "iam:DenyRoleSession",
            Kind::Instance => "ec2:IsolateInterface",
            Kind::Function => "lambda:ThrottleFunction",
        },
        phase: Phase::Contain,
        resource,
        found: Found::Undone,
    }
}

impl Action for Act {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[];

    fn name(&self) -> &'static str {
        self.name
    }

    fn target(&self) -> String {
        self.resource.arn().to_owned()
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn only_narrows(name: &str) -> bool {
        name == "ec2:PrepareIsolationGroup"
    }

    fn from(&self) -> Value {
        Value::Null
    }

    fn to(&self) -> Value {
        Value::Null
    }

    fn undo(&self) -> Undo {
        Undo::Nothing("it is never applied")
    }
}

impl Serialize for Act {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("it is not read back"))
    }
}

/// What a step is withheld by that the playbook leaves to the approver.
pub(crate) fn left_to_approver(awaits_approval: bool) -> Withheld {
    Withheld {
        by: vec!["playbook".to_owned()],
        reason: "others would be hit".to_owned(),
        awaits_approval,
    }
}

fn step(act: &Act) -> Step<Act> {
    let act = act.clone();
    match act.found {
        Found::Undone => Step::Do(act),
        Found::InEffect => Step::Already(act, "in effect".to_owned()),
        Found::Impossible => Step::skipped(act.name, act.target(), "it is impossible"),
        Found::LeftToApprover => Step::Withheld(act, left_to_approver(true)),
        Found::Forbidden => Step::Withheld(act, left_to_approver(false)),
    }
}

/// The pure half of a playbook that plans the steps of its state.
macro_rules! planner {
    ($name:ident) => {
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Planner for $name {
            const CATEGORY: Category = Category::$name;
            type State = Vec<Act>;
            type Action = Act;

            fn plan(_: &Finding, state: &Vec<Act>, _: &Settings, _: Timestamp) -> Plan<Act> {
                Plan {
                    steps: state.iter().map(step).collect(),
                    ..Plan::default()
                }
            }

            fn resource(_: &Finding, _: &Vec<Act>, act: &Act) -> Resource {
                act.resource.clone()
            }
        }
    };
}

planner!(S3);
planner!(Iam);
planner!(Ec2);
planner!(Lambda);
planner!(Triage);
