//! The table of incidents, with the key that the template gives it.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::Result;

/// Makes one of this name.
pub async fn create(sdk: &SdkConfig, name: &str) -> Result {
    let mut call = Client::new(sdk)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder()
            .attribute_name(attribute)
            .key_type(kind);
        call = call
            .attribute_definitions(definition.build()?)
            .key_schema(element.build()?);
    }
    call.send().await?;
    Ok(())
}
