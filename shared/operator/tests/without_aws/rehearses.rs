//! `gdr rehearse` with a stack: its policies and settings decide, and what is given in their place.

use integration_tests::Result;
use policy::DEFAULT;
use serde_json::{Value, json};

use crate::without_aws::stub::{ACCOUNT, Stub};
use crate::without_aws::world::{configuration, file, finding, ok, stack};

fn stub() -> Result<Stub> {
    let spares = format!(
        "{DEFAULT}\n@id(\"spared\") @reason(\"ours\") forbid (principal, action, resource) when \
         {{ resource.name == \"customer-data\" }};"
    );
    Stub::start(move |call| match call.service.as_str() {
        "cloudformation" => stack(),
        "lambda" => configuration(&json!({
            "DRY_RUN": "true", "MINIMUM_SEVERITY": "7.5", "OWN_ACCOUNT_ID": ACCOUNT, "MODE": "local",
            "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:111122223333:notices",
            "RESPONSE_MODE": if call.operation.contains("gdr-s3") { "approve" } else { "contain" },
        })),
        "ssm" => ok(json!({
            "Parameter": { "Name": "/gdr/policy", "Type": "String", "Value": spares },
        })),
        _ => None,
    })
}

#[test]
fn the_policies_and_settings_are_those_of_the_stack_unless_others_are_given() -> Result {
    let stub = stub()?;
    let findings = file(&finding("a").to_string())?;
    let rehearsed = |more: &[&str]| -> Result<Value> {
        let rehearse = ["--output", "json", "rehearse", &findings, "--stack", "gdr"];
        let output = stub.gdr(&[&rehearse[..], more].concat(), "")?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let document = rehearsed(&[])?;
    assert_eq!(document["settings"]["MinimumSeverity"], 7.5);
    assert_eq!(document["settings"]["S3Response"], "approve");
    assert_eq!(document["settings"]["IamResponse"], "contain");
    assert_eq!(document["settings_from"], "the functions of the stack gdr");
    assert_eq!(document["policies"]["from"], "the parameter /gdr/policy");
    let text = document["policies"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("@id(\"spared\")"), "{text}");
    assert_eq!(
        document["entries"][0]["outcome"], "withheld",
        "{document:#}"
    );
    let remarks = document["remarks"].to_string();
    assert!(!remarks.contains("No stack"), "{remarks}");

    let own = file(DEFAULT)?;
    let document = rehearsed(&["--policy", &own, "--s3-response", "contain"])?;
    assert_eq!(document["settings"]["S3Response"], "contain");
    assert_eq!(document["settings"]["MinimumSeverity"], 7.5);
    assert_eq!(
        document["settings_from"],
        "the functions of the stack gdr, and what is given in their place"
    );
    assert_eq!(document["policies"]["from"], own);
    assert_eq!(
        document["entries"][0]["outcome"], "contained",
        "{document:#}"
    );
    let above = rehearsed(&["--policy", &own, "--minimum-severity", "9"])?;
    assert_eq!(above["entries"], json!([]));
    Ok(())
}

#[test]
fn without_a_stack_nobody_is_asked() -> Result {
    let stub = stub()?;
    let findings = file(&finding("a").to_string())?;
    let output = stub.gdr(&["rehearse", &findings], "")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stub.calls().len(), 0, "{:?}", stub.calls());
    let told = String::from_utf8(output.stdout)?;
    assert!(told.contains("No stack is named (--stack)"), "{told}");
    Ok(())
}
