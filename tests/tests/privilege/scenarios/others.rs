//! What is not contained, and what is handed over.

use integration_tests::Result;
use integration_tests::finding::Finding;
use serde_json::{Value, json};

use super::credentials::{ISSUER, role, user};
use super::{PLAIN, Scenario, TOLD};
use crate::privilege::world::Run;

const RULE: &str = "InitialAccess:IAM/ValidAccounts";

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "who is a user that a rule of the account's saw is told",
        function: "Triage",
        parameters: TOLD,
        status: "notified",
        play: |run| Box::pin(seen_user(run)),
        ..PLAIN
    },
    Scenario {
        name: "who is a role that a rule of the account's saw is told",
        function: "Triage",
        status: "notified",
        open: ISSUER,
        play: |run| Box::pin(seen_role(run)),
        ..PLAIN
    },
    Scenario {
        name: "the parts of an attack sequence are handed over",
        function: "Triage",
        parameters: &[("HandOverSequences", "true")],
        status: "notified",
        play: |run| Box::pin(sequence(run)),
        ..PLAIN
    },
];

async fn seen_user(run: &Run<'_>) -> Result {
    let finding = user(&run.aws().root()).await?;
    run.respond(&finding.of_type(RULE)).await
}

async fn seen_role(run: &Run<'_>) -> Result {
    let account = &run.aws().account_id;
    let finding = role(&run.aws().root(), account).await?;
    run.respond(&finding.of_type(RULE)).await
}

async fn sequence(run: &Run<'_>) -> Result {
    let resource =
        |uid: &str, kind: &str| json!({ "uid": uid, "resourceType": kind, "region": "us-east-1" });
    let sequence = json!({
        "uid": "one",
        "description": "Data of a bucket may be compromised by a stolen key",
        "actors": [{ "id": "thief", "user": {
            "name": "alice", "uid": "AIDAEXAMPLEUSERID", "type": "IAMUser",
            "credentialUid": "AKIAIOSFODNN7EXAMPLE",
        } }],
        "resources": [
            resource("arn:aws:s3:::exposed", "S3_BUCKET"),
            resource("arn:aws:ec2:us-east-1:111122223333:instance/i-0abc1234def567890", "EC2_INSTANCE"),
        ],
        "signals": [{
            "uid": "signal", "type": "CLOUD_TRAIL", "name": "GetObject", "count": 2,
            "actorIds": ["thief"], "resourceUids": ["arn:aws:s3:::exposed"],
        }],
    });
    let finding = Finding::bucket_made_public()?
        .of_type("AttackSequence:S3/CompromisedData")
        .with("/severity", 9)
        .with("/resource", json!({ "resourceType": "AttackSequence" }))
        .with("/service/action", Value::Null)
        .with("/service/detection", json!({ "sequence": sequence }));
    run.respond(&finding).await
}
