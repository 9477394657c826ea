//! The service control policies as CloudFormation makes them, and who may do what under them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use integration_tests::Result;
use serde_json::{Value, json};

use crate::common::yaml;
use crate::privilege::authority::Judge;
use crate::privilege::calls::{Check, Context};
use crate::privilege::template::Deployed;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "us-east-1";
/// The longest name of a stack that the policies take.
pub(crate) const LONGEST: &str = "guardduty-responder-of-the-payments-team";

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::start().expect("the judge"));

/// A policy, and where it is in force.
#[derive(Clone, Debug)]
pub(crate) struct Scp {
    pub(crate) content: Value,
    pub(crate) stack: String,
    pub(crate) partition: &'static str,
}

impl Scp {
    /// The policy of a template for stacks of several names, in each partition.
    pub(crate) fn everywhere(path: &str, lists: &[(&str, &[&str])]) -> Result<Vec<Self>> {
        let places = [
            ("guardduty-responder", "aws"),
            (LONGEST, "aws-us-gov"),
            // The longest first word.
            ("SecurityIncidentResponse-of-all-accounts", "aws-cn"),
        ];
        let all = places.into_iter();
        all.map(|(stack, partition)| Self::of(path, stack, partition, lists))
            .collect()
    }

    /// The policy of a template for the stack of this name.
    pub(crate) fn of(
        path: &str,
        stack: &str,
        partition: &'static str,
        lists: &[(&str, &[&str])],
    ) -> Result<Self> {
        let mut parameters = BTreeMap::from([("StackName".to_owned(), stack.to_owned())]);
        for (name, arns) in lists {
            let arns: Vec<_> = arns.iter().map(|arn| of(partition, arn)).collect();
            parameters.insert((*name).to_owned(), arns.join(","));
        }
        let deployed = Deployed {
            template: yaml(path),
            parameters,
            stack: "policies".to_owned(),
            partition: partition.to_owned(),
            account: "999988887777".to_owned(),
            region: REGION.to_owned(),
            resources: BTreeMap::new(),
        };
        let resources = deployed.template["Resources"].as_object();
        let policy = resources.and_then(|all| all.values().next());
        let content = &policy.ok_or("no policy")?["Properties"]["Content"];
        Ok(Self {
            content: deployed.resolve(content)?,
            stack: stack.to_owned(),
            partition,
        })
    }

    pub(crate) fn statements(&self) -> &[Value] {
        self.content["Statement"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Whether an administrator of this ARN may do it. What Organizations applies to an account only takes away.
    pub(crate) fn lets(
        &self,
        principal: &str,
        action: &str,
        resource: &str,
        context: &Value,
    ) -> Result<bool> {
        let context = context.as_object().cloned().unwrap_or_default();
        let check = Check {
            action: action.to_owned(),
            resource: of(self.partition, resource),
            context: Context::from_iter(context),
        };
        let everything =
            json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        let policies = [everything, self.content.clone()];
        JUDGE.lets(&of(self.partition, principal), &policies, &check, ACCOUNT)
    }

    /// The role of a function of the stack, of whatever name CloudFormation gives it.
    pub(crate) fn role(&self, function: &str) -> String {
        let name = physical(&self.stack, &format!("{function}ResponderRole"), 64);
        let path = format!(
            "guardduty-responder/{}/{}",
            self.stack,
            function.to_lowercase()
        );
        format!("arn:aws:iam::{ACCOUNT}:role/{path}/{name}")
    }

    /// A resource of the stack that has a name of its own, by its logical id.
    pub(crate) fn resource(&self, service: &str, kind: &str, logical: &str, most: usize) -> String {
        let name = physical(&self.stack, logical, most);
        format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{kind}{name}")
    }

    pub(crate) fn function(&self, function: &str) -> String {
        self.resource(
            "lambda",
            "function:",
            &format!("{function}ResponderFunction"),
            64,
        )
    }

    pub(crate) fn queue(&self, logical: &str) -> String {
        self.resource("sqs", "", logical, 80)
    }

    pub(crate) fn table(&self) -> String {
        self.resource("dynamodb", "table/", "IncidentTable", 255)
    }
}

/// The ARN in this partition.
pub(crate) fn of(partition: &str, arn: &str) -> String {
    match arn.strip_prefix("arn:aws:") {
        Some(rest) => format!("arn:{partition}:{rest}"),
        None => arn.to_owned(),
    }
}

/// The name that CloudFormation makes: the stack's, the logical id and 13 characters by chance. Of what is too long it
/// leaves the logical id 24 characters at least and gives the stack's name the rest, as in
/// `mylongerapp-playground-ne-InstancesLifecycleHandle-1GRP3N0TVA1LD`.
pub(crate) fn physical(stack: &str, logical: &str, most: usize) -> String {
    let room = most - 13 - 2;
    let kept = logical.len().min(24.max(room.saturating_sub(stack.len())));
    let of_stack = stack.len().min(room - kept);
    format!("{}-{}-1GRP3N0TVA1LD", &stack[..of_stack], &logical[..kept])
}
