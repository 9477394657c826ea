//! The policy of the evidence bucket beside the roles: the emulators speak no TLS, without which the bucket takes
//! nothing.

use integration_tests::Result;
use serde_json::json;

use crate::privilege::calls::Check;
use crate::privilege::{ANY_SETTING, WORLD};
use integration_tests::stack::RESPONDERS;

#[test]
fn a_function_adds_to_its_own_folder_of_the_evidence_over_tls_and_does_nothing_else_there() -> Result
{
    let judge = &WORLD.judge;
    let stack = WORLD.with(ANY_SETTING);
    let bucket = &stack.template["Resources"]["EvidenceOverTls"]["Properties"];
    let policy = stack.resolve(&bucket["PolicyDocument"])?;
    let (_, arn) = &stack.resources["Evidence"];
    let asks = |action: &str, folder: &str, tls: &str| Check {
        action: action.to_owned(),
        resource: format!("{arn}/{}/111122223333/page.html", folder.to_lowercase()),
        context: [("aws:SecureTransport".to_owned(), json!(tls))].into(),
    };
    for function in RESPONDERS {
        let alone = WORLD.role(function, ANY_SETTING)?;
        let mut role = alone.clone();
        role.policies.push(policy.clone());
        let put = asks("s3:PutObject", function, "true");
        assert!(judge.allows(&role, &put)?, "{function}");
        let plain = asks("s3:PutObject", function, "false");
        assert!(!judge.allows(&role, &plain)?, "{function} without TLS");
        // It is the bucket that refuses it.
        assert!(judge.allows(&alone, &plain)?, "{function}");
        for other in RESPONDERS.into_iter().filter(|other| *other != function) {
            let put = asks("s3:PutObject", other, "true");
            assert!(!judge.allows(&role, &put)?, "{function} in {other}");
        }
        for action in [
            "s3:BypassGovernanceRetention",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:GetObject",
            "s3:PutObjectRetention",
        ] {
            let asked = asks(action, function, "true");
            assert!(!judge.allows(&role, &asked)?, "{function}: {action}");
        }
    }
    Ok(())
}
