//! The responder's stack as CloudFormation has it.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_lambda::types::{LastUpdateStatus, State};
use remediation::category::Category;
use remediation::error::{CallContext as _, Error, Result};

/// A deployed stack.
#[derive(Debug)]
pub struct Deployment {
    pub name: String,
    /// `arn:aws:cloudformation:us-east-1:111122223333:stack/gdr/…`
    id: String,
    /// In CloudFormation's words.
    pub status: String,
    outputs: BTreeMap<String, String>,
}

impl Deployment {
    /// The stack of this name.
    ///
    /// # Errors
    /// If CloudFormation has none or does not say.
    pub async fn of(sdk: &SdkConfig, name: &str) -> Result<Self> {
        let found = Client::new(sdk).describe_stacks().stack_name(name).send();
        let found = found.await.during("cloudformation:DescribeStacks", name)?;
        let stack = found.stacks.unwrap_or_default().into_iter().next();
        let stack = stack.ok_or_else(|| Error::Refused(format!("there is no stack {name}")))?;
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        Ok(Self {
            name: name.to_owned(),
            id: stack.stack_id.unwrap_or_default(),
            status: stack
                .stack_status
                .map(|it| it.as_str().to_owned())
                .unwrap_or_default(),
            outputs: outputs
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        })
    }

    /// The resources of the stack.
    ///
    /// # Errors
    /// If CloudFormation does not say.
    pub async fn resources(&self, sdk: &SdkConfig) -> Result<Vec<Resource>> {
        let client = Client::new(sdk);
        let pages = client.list_stack_resources().stack_name(&self.name);
        let mut pages = pages.into_paginator().send();
        let mut resources = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.during("cloudformation:ListStackResources", &self.name)?;
            for resource in page.stack_resource_summaries.unwrap_or_default() {
                resources.push(Resource {
                    logical: resource.logical_resource_id.unwrap_or_default(),
                    physical: resource.physical_resource_id.unwrap_or_default(),
                    kind: resource.resource_type.unwrap_or_default(),
                });
            }
        }
        Ok(resources)
    }

    /// The stack's output `key`.
    ///
    /// # Errors
    /// If it has none: it is another stack, or one of an older version.
    pub fn output(&self, key: &str) -> Result<&str> {
        let value = self.outputs.get(key).map(String::as_str);
        value.ok_or_else(|| {
            Error::Refused(format!(
                "the stack {} has no output {key}: is it the responder's, and of this version?",
                self.name
            ))
        })
    }

    /// The name of the function of `category`.
    ///
    /// # Errors
    /// As [`Deployment::output`].
    pub fn function(&self, category: Category) -> Result<&str> {
        self.output(&format!("{}ResponderFunction", category.template_prefix()))
    }

    /// The function of `category`, in the stack's account and Region.
    ///
    /// # Errors
    /// As [`Deployment::output`].
    pub fn function_arn(&self, category: Category) -> Result<String> {
        let mut parts = self.id.split(':').skip(1);
        let mut part = || parts.next().unwrap_or_default();
        let (partition, _, region, account) = (part(), part(), part(), part());
        let name = self.function(category)?;
        Ok(format!(
            "arn:{partition}:lambda:{region}:{account}:function:{name}"
        ))
    }
}

/// A resource that the stack made.
#[derive(Debug)]
pub struct Resource {
    /// Its name in the template.
    pub logical: String,
    /// The name or id that its service knows it by.
    pub physical: String,
    /// Its type, `AWS::Events::Rule`.
    pub kind: String,
}

/// A deployed function.
#[derive(Debug)]
pub struct Deployed {
    /// The variables of its environment.
    pub variables: BTreeMap<String, String>,
    /// The ARN of its role.
    pub role: String,
    /// Its state and that of its last update, where they are not as they should be.
    pub trouble: Option<String>,
}

impl Deployed {
    /// The function of this name.
    ///
    /// # Errors
    /// If Lambda has none or does not say.
    pub async fn of(lambda: &aws_sdk_lambda::Client, name: &str) -> Result<Self> {
        let found = lambda
            .get_function_configuration()
            .function_name(name)
            .send();
        let found = found
            .await
            .during("lambda:GetFunctionConfiguration", name)?;
        let environment = found.environment.and_then(|it| it.variables);
        let state = found.state.as_ref().map(State::as_str);
        let update = found
            .last_update_status
            .as_ref()
            .map(LastUpdateStatus::as_str);
        let trouble = match (state, update) {
            (None | Some("Active" | "Inactive"), None | Some("Successful")) => None,
            (state, update) => Some(format!(
                "state {}, last update {}: {} {}",
                state.unwrap_or("unknown"),
                update.unwrap_or("unknown"),
                found.state_reason.as_deref().unwrap_or_default(),
                found
                    .last_update_status_reason
                    .as_deref()
                    .unwrap_or_default(),
            )),
        };
        Ok(Self {
            variables: environment.unwrap_or_default().into_iter().collect(),
            role: found.role.unwrap_or_default(),
            trouble,
        })
    }
}
