//! The attributes of an instance and of its volumes that keep it from being lost.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::modify_instance_attribute::builders::ModifyInstanceAttributeFluentBuilder;
use aws_sdk_ec2::types::{
    AttributeBooleanValue, AttributeValue, EbsInstanceBlockDeviceSpecification,
    InstanceAttributeName, InstanceBlockDeviceMappingSpecification, InstanceMetadataEndpointState,
};

use serde::{Deserialize, Serialize};

use aws::error::{CallContext, Result};
use model::actions::ec2::{SHUTDOWN, STOP, TERMINATION};

/// An attribute of an instance that keeps it from being lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribute {
    /// `DisableApiTermination`, wanted `true`.
    DisableApiTermination,
    /// `DisableApiStop`, wanted `true`.
    DisableApiStop,
    /// `InstanceInitiatedShutdownBehavior`, wanted `stop`: termination protection does not keep the
    /// operating system from shutting itself down,
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html>.
    ShutdownBehavior,
}

impl Attribute {
    /// The value that protects.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::DisableApiTermination | Self::DisableApiStop => "true",
            Self::ShutdownBehavior => "stop",
        }
    }
    /// The value that protects, in words.
    pub(super) fn protection(self) -> &'static str {
        match self {
            Self::DisableApiTermination => "termination protection is on",
            Self::DisableApiStop => "stop protection is on",
            Self::ShutdownBehavior => "a shutdown from within stops it",
        }
    }
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::DisableApiTermination => TERMINATION,
            Self::DisableApiStop => STOP,
            Self::ShutdownBehavior => SHUTDOWN,
        }
    }
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::DisableApiTermination => "DisableApiTermination",
            Self::DisableApiStop => "DisableApiStop",
            Self::ShutdownBehavior => "InstanceInitiatedShutdownBehavior",
        }
    }
}

pub(super) async fn termination(client: &Client, id: &str) -> Result<String> {
    let read = read(client, id, InstanceAttributeName::DisableApiTermination).await?;
    Ok(flag(read.disable_api_termination))
}

pub(super) async fn stop(client: &Client, id: &str) -> Result<String> {
    let read = read(client, id, InstanceAttributeName::DisableApiStop).await?;
    Ok(flag(read.disable_api_stop))
}

pub(super) async fn shutdown(client: &Client, id: &str) -> Result<String> {
    let read = read(
        client,
        id,
        InstanceAttributeName::InstanceInitiatedShutdownBehavior,
    )
    .await?;
    let behavior = read.instance_initiated_shutdown_behavior;
    Ok(behavior.and_then(|found| found.value).unwrap_or_default())
}

fn flag(value: Option<AttributeBooleanValue>) -> String {
    value
        .and_then(|found| found.value)
        .unwrap_or_default()
        .to_string()
}

async fn read(
    client: &Client,
    id: &str,
    attribute: InstanceAttributeName,
) -> Result<aws_sdk_ec2::operation::describe_instance_attribute::DescribeInstanceAttributeOutput> {
    client
        .describe_instance_attribute()
        .instance_id(id)
        .attribute(attribute)
        .send()
        .await
        .during("ec2:DescribeInstanceAttribute", id)
}

/// Sets an attribute. EC2 takes one in a call.
pub(super) async fn set(client: &Client, id: &str, attribute: Attribute, to: &str) -> Result<()> {
    modify(client, id, |call| match attribute {
        Attribute::DisableApiTermination => call.disable_api_termination(boolean(to)),
        Attribute::DisableApiStop => call.disable_api_stop(boolean(to)),
        Attribute::ShutdownBehavior => {
            call.instance_initiated_shutdown_behavior(AttributeValue::builder().value(to).build())
        }
    })
    .await
}

fn boolean(value: &str) -> AttributeBooleanValue {
    AttributeBooleanValue::builder()
        .value(value == "true")
        .build()
}

/// Says whether a volume goes when the instance is terminated.
pub(super) async fn set_delete_on_termination(
    client: &Client,
    id: &str,
    device: &str,
    volume: &str,
    delete: bool,
) -> Result<()> {
    let ebs = EbsInstanceBlockDeviceSpecification::builder()
        .volume_id(volume)
        .delete_on_termination(delete)
        .build();
    let mapping = InstanceBlockDeviceMappingSpecification::builder()
        .device_name(device)
        .ebs(ebs)
        .build();
    modify(client, id, |call| call.block_device_mappings(mapping)).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one call that sets these attributes; it never carries groups"
)]
async fn modify(
    client: &Client,
    id: &str,
    what: impl FnOnce(ModifyInstanceAttributeFluentBuilder) -> ModifyInstanceAttributeFluentBuilder,
) -> Result<()> {
    what(client.modify_instance_attribute().instance_id(id))
        .send()
        .await
        .during("ec2:ModifyInstanceAttribute", id)
        .map(drop)
}

/// Turns the instance metadata service on or off; the options of the request stay as they are.
pub(super) async fn set_metadata(client: &Client, id: &str, endpoint: &str) -> Result<()> {
    client
        .modify_instance_metadata_options()
        .instance_id(id)
        .http_endpoint(InstanceMetadataEndpointState::from(endpoint))
        .send()
        .await
        .during("ec2:ModifyInstanceMetadataOptions", id)
        .map(drop)
}
