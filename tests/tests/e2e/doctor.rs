//! `gdr doctor` on a stack that is whole, and on one in which each thing is broken.

use integration_tests::{Result, Stack};
use serde_json::{Value, json};

use crate::e2e::guardduty::GuardDuty;
use crate::e2e::operated::{STACK, on_operated, sqs};
use crate::e2e::operator::gdr_with;
use crate::e2e::world::World;

/// The lines of the doctor, and its exit status.
fn doctor(world: &World, guardduty: &GuardDuty) -> Result<(Vec<Value>, Option<i32>)> {
    let output = gdr_with(
        world.aws,
        &["--stack", STACK, "doctor", "--output", "json"],
        "",
        &[("AWS_ENDPOINT_URL_GUARDDUTY", &guardduty.endpoint)],
    )?;
    let lines: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    let lines = lines.as_array().cloned().unwrap_or_default();
    Ok((lines, output.status.code()))
}

fn not_ok(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["check"] != "ok").collect()
}

/// The lines about something that are not ok: each must say what to do.
#[track_caller]
fn expect_trouble(lines: &[Value], of: &str, found: &str) {
    let line = not_ok(lines).into_iter().find(|line| {
        let text = |member: &str| line[member].as_str().unwrap_or_default();
        text("of").starts_with(of) && text("found").contains(found)
    });
    let line = line.unwrap_or_else(|| panic!("nothing of {of} with {found}: {lines:#?}"));
    assert_eq!(line["check"], "problem", "{line}");
    assert!(
        line["to_do"].as_str().is_some_and(|it| !it.is_empty()),
        "{line}"
    );
}

pub(crate) async fn subscribed(world: &World, stack: &Stack<'_>) -> Result {
    let queue = sqs(world.aws)
        .create_queue()
        .queue_name("gdr-operated-notices")
        .send()
        .await?;
    let name = queue.queue_url.unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let arn = format!(
        "arn:aws:sqs:{}:{}:{name}",
        world.aws.region, world.aws.account_id
    );
    let sns = aws_sdk_sns::Client::new(&world.aws.root());
    let topic = stack.output("NotificationTopic")?;
    let subscribe = sns
        .subscribe()
        .topic_arn(topic)
        .protocol("sqs")
        .endpoint(arn);
    subscribe.send().await?;
    Ok(())
}

#[test]
fn doctor_finds_a_deployed_stack_ok_and_names_a_disabled_detector() -> Result {
    on_operated(async |world, stack| {
        subscribed(world, stack).await?;
        let (lines, code) = doctor(world, &GuardDuty::with(Some("ENABLED"))?)?;
        assert_eq!(code, Some(0), "{:#?}", not_ok(&lines));
        let of: Vec<_> = lines
            .iter()
            .filter_map(|line| line["of"].as_str())
            .collect();
        for part in [
            "stack gdr-operated",
            "clock of this machine",
            "GuardDuty in us-east-1",
            "s3 function",
            "triage role",
            "iam role, as deployed",
            "rule S3ResponderFunctionBucketFindings",
            "rule PolicyChanged",
            "event source S3ResponderFunctionRechecks",
            "event source IamResponderFunctionRechecks",
            "event source Ec2ResponderFunctionRechecks",
            "OnFailureQueue",
            "policies",
            "table of incidents",
            "breaker",
        ] {
            assert!(of.contains(&part), "no {part}: {of:#?}");
        }
        let enforcing = lines.iter().find(|line| line["of"] == "ec2 function");
        let enforcing = enforcing.and_then(|line| line["found"].as_str());
        assert_eq!(enforcing, Some("enforcing, response contain"));

        let (lines, code) = doctor(world, &GuardDuty::with(Some("DISABLED"))?)?;
        assert_eq!(code, Some(1));
        expect_trouble(&lines, "GuardDuty", "detector d0123 is DISABLED");
        let (lines, code) = doctor(world, &GuardDuty::with(None)?)?;
        assert_eq!(code, Some(1));
        expect_trouble(&lines, "GuardDuty", "it is not on");
        Ok(())
    })
}

#[test]
fn doctor_names_each_broken_part_with_its_remedy() -> Result {
    on_operated(async |world, stack| {
        subscribed(world, stack).await?;
        let root = world.aws.root();
        let role = stack.role_arn("S3").await?;
        let role = role.rsplit('/').next().unwrap_or_default();
        let iam = world.aws.iam();
        let managed = "arn:aws:iam::aws:policy/AdministratorAccess";
        iam.attach_role_policy()
            .role_name(role)
            .policy_arn(managed)
            .send()
            .await?;
        let policy = iam
            .get_role_policy()
            .role_name(role)
            .policy_name("report")
            .send()
            .await?;
        let before = policy.policy_document;
        let narrowed = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*" }] });
        let put = async |document: &str| {
            let put = iam.put_role_policy().role_name(role).policy_name("report");
            put.policy_document(document).send().await
        };
        put(&narrowed.to_string()).await?;
        let events = aws_sdk_eventbridge::Client::new(&root);
        let rules = events.list_rules().send().await?;
        let rule = rules.rules().iter().filter_map(|rule| rule.name());
        let rule = rule
            .into_iter()
            .find(|name| name.starts_with(STACK) && name.contains("BucketFindings"))
            .ok_or("no rule")?;
        events.disable_rule().name(rule).send().await?;
        let ssm = aws_sdk_ssm::Client::new(&root);
        let parameter = stack.output("PolicyParameter")?;
        let store = async |text: &str| {
            let put = ssm
                .put_parameter()
                .name(parameter)
                .value(text)
                .overwrite(true);
            put.send().await
        };
        store("permit everything").await?;
        let lambda = aws_sdk_lambda::Client::new(&root);
        let function = stack.function("Ec2")?;
        let none = lambda.put_function_concurrency().function_name(function);
        none.reserved_concurrent_executions(0).send().await?;
        let queue = stack.output("OnFailureQueue")?;
        sqs(world.aws)
            .send_message()
            .queue_url(queue)
            .message_body("x")
            .send()
            .await?;

        let checked = doctor(world, &GuardDuty::with(Some("ENABLED"))?);
        let unlimited = lambda.delete_function_concurrency().function_name(function);
        unlimited.send().await?;
        store(policy::DEFAULT).await?;
        events.enable_rule().name(rule).send().await?;
        iam.detach_role_policy()
            .role_name(role)
            .policy_arn(managed)
            .send()
            .await?;
        put(&decoded(&before)).await?;

        let (lines, code) = checked?;
        assert_eq!(code, Some(1));
        expect_trouble(&lines, "s3 role", "AdministratorAccess");
        expect_trouble(&lines, "s3 role", "iam:CreateUser");
        expect_trouble(&lines, "s3 role", "it lacks dynamodb:UpdateItem");
        expect_trouble(&lines, "rule ", "DISABLED");
        expect_trouble(&lines, "policies", "not valid");
        expect_trouble(&lines, "ec2 function, concurrency", "0");
        expect_trouble(&lines, "OnFailureQueue", "1 message");
        let rest = lines.iter().filter(|line| line["check"] == "ok").count();
        assert!(rest > 20, "the rest is ok: {:#?}", not_ok(&lines));
        Ok(())
    })
}

/// IAM encodes a document for a URL; the emulator may not.
fn decoded(document: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = document.bytes();
    while let Some(byte) = rest.next() {
        let code = |digit: Option<u8>| digit.and_then(|it| char::from(it).to_digit(16));
        match byte {
            b'%' => {
                let digits = (code(rest.next()), code(rest.next()));
                if let (Some(high), Some(low)) = digits {
                    bytes.extend(u8::try_from(high * 16 + low));
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
