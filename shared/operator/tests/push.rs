//! `gdr policy push` on local AWS: what a person stores decides what the responder does.

use aws_sdk_ssm::types::ParameterType;
use integration_tests::files::file;
use integration_tests::scenario::{StolenKey, all_work, none_works};
use integration_tests::{LocalAws, Result, Scenario, unique};
use policy::DEFAULT;
use remediation::history::AuthorizationSources;
use remediation::policy_parameter::PolicyParameter;
use remediation::report::{Outcome, Status};

use crate::common::{TABLE, answer, expect, expect_exit, gdr, iam, on_aws, responder};

async fn stored(aws: &LocalAws, name: &str) -> Result<String> {
    let client = aws_sdk_ssm::Client::new(&aws.root());
    let answer = client.get_parameter().name(name).send().await?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    Ok(value.ok_or("no value")?)
}

#[test]
fn only_valid_and_confirmed_policies_are_stored_and_stored_ones_decide() -> Result {
    on_aws(async |aws| {
        let client = aws_sdk_ssm::Client::new(&aws.root());
        let name = format!("/{}/policy", unique("gdr"));
        client
            .put_parameter()
            .name(&name)
            .value(DEFAULT)
            .r#type(ParameterType::String)
            .send()
            .await?;
        let push = |file: &str, more: &[&str], typed: &str| {
            let mut arguments = vec!["policy", "push", file, "--parameter", &name];
            arguments.extend(more);
            gdr(aws, &arguments, typed)
        };
        let keys = "@id(\"keys\") permit (principal, action == Action::\"iam:DeactivateAccessKey\", resource);";
        let keys_only = file("keys.cedar", keys)?;
        let mistyped = file("mistyped.cedar", "permit (principal, action, resorce);")?;

        expect_exit(&push(&mistyped, &["--yes"], "")?, 1);
        expect_exit(&push(&keys_only, &[], "n\n")?, 3);
        assert_eq!(stored(aws, &name).await?, DEFAULT);
        expect_exit(&push(&keys_only, &["--yes"], "")?, 0);
        assert_eq!(stored(aws, &name).await?, keys);

        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        let guarded = || {
            let client = aws_sdk_ssm::Client::new(&aws.root());
            responder(iam(aws), aws, &TABLE).guarded(AuthorizationSources {
                policies: PolicyParameter::new(client, name.clone()),
                history: None,
            })
        };
        let report = answer(&guarded(), &finding, &unique("request")).await?;
        expect(&report, Status::Partial);
        let outcomes: Vec<_> = report
            .steps()
            .iter()
            .map(|step| (step.action(), step.outcome()))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("iam:RevokeUserSessions", Outcome::Withheld),
                ("iam:DeactivateAccessKey", Outcome::Applied),
            ]
        );

        // Nothing is permitted by what is not there.
        client.delete_parameter().name(&name).send().await?;
        let another = StolenKey::create(aws).await?;
        let report = answer(&guarded(), &another.finding()?, &unique("request")).await?;
        expect(&report, Status::Notified);
        assert!(
            report.reason().contains("ssm:GetParameter"),
            "{}",
            report.reason()
        );
        assert!(all_work(&another.attack().await?));

        client
            .put_parameter()
            .name(&name)
            .value(DEFAULT)
            .r#type(ParameterType::String)
            .send()
            .await?;
        let report = answer(&guarded(), &another.finding()?, &unique("request")).await?;
        expect(&report, Status::Contained);
        assert!(none_works(&another.attack().await?));
        Ok(())
    })
}
