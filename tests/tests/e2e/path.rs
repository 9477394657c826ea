//! A new user's path, as the documents have it: look, rehearse, drill, turn the dry run off, contain, release. Each
//! command is typed as the documents have it, and none of theirs is left out.

use std::collections::BTreeSet;

use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use integration_tests::documents::{self, blocks};
use integration_tests::finding::Finding;
use integration_tests::scenario::{InfectedInstance, PublicBucket, StolenKey};
use integration_tests::stack::Responder;
use integration_tests::{Result, Scenario, Stack, checkout, unique};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::e2e::desk::Desk;
use crate::e2e::doctor::subscribed;
use crate::e2e::guardduty::GuardDuty;
use crate::e2e::redrive::{function_arn, leave, of_age};
use crate::e2e::world::{
    World, expect_status, expect_stopped_attack, expect_working_attack, on_aws,
};
use crate::integrations::receivers::{self, Receiver};

/// As the documents call it.
pub(crate) const STACK: &str = "guardduty-responder";
/// The id of the documents' incident.
const ID: &str = "16afba5c";

/// Who walks, and what was broken into.
struct Walk<'a> {
    world: &'a World,
    desk: Desk<'a>,
    stack: Stack<'a>,
    theft: StolenKey<'a>,
    bucket: PublicBucket,
}

#[track_caller]
fn expect(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part}: {said}");
    }
}

/// One line has all the parts.
#[track_caller]
fn expect_row(said: &str, parts: &[&str]) {
    let has = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(said.lines().any(has), "no line with {parts:?}: {said}");
}

impl<'a> Walk<'a> {
    async fn begin(world: &'a World) -> Result<Self> {
        let theft = StolenKey::create(world.aws).await?;
        let bucket = PublicBucket::create(world.aws).await?;
        let instance = InfectedInstance::create(world.aws).await?;
        let past = [theft.finding()?, bucket.finding()?, instance.finding()?];
        let past = past.map(|finding| finding.0["detail"].clone());
        let guardduty = GuardDuty::having(Some("ENABLED"), &past)?;
        let desk = Desk::new(world.aws, &guardduty.endpoint)?;
        desk.has_built()?;
        desk.types("sam deploy --guided", &[])?;
        let stack = Stack::deployed(world.aws, STACK).await?;
        subscribed(world, &stack).await?;
        let lines = past.map(|detail| detail.to_string() + "\n").concat();
        desk.put("AWSLogs/111122223333/GuardDuty/export.jsonl", &lines)?;
        let policies = std::fs::read_to_string(checkout().join("infra/policies/default.cedar"))?;
        desk.put("default.cedar", &policies)?;
        desk.put("infra/policies/default.cedar", &policies)?;
        let recipes = documents::read("docs/policies.md");
        let mine = blocks(&recipes, "cedar");
        desk.put("mine.cedar", mine.first().ok_or("no policy")?)?;
        for folder in [
            ".local/share/bash-completion/completions/",
            ".local/share/man/man1/",
        ] {
            desk.put(&format!("{folder}there"), "")?;
        }
        let walk = Self {
            world,
            desk,
            stack,
            theft,
            bucket,
        };
        walk.finding(&walk.theft.finding()?)?;
        Ok(walk)
    }

    /// What the commands find as `finding.json`.
    fn finding(&self, finding: &Finding) -> Result {
        self.desk.put("finding.json", &finding.0.to_string())
    }

    fn types(&self, command: &str) -> Result<String> {
        self.desk.types(command, &[])
    }

    /// The same, about this incident.
    fn types_about(&self, finding: &Finding, command: &str) -> Result<String> {
        self.desk.types(command, &[(ID, finding.id())])
    }

    async fn respond(&self, responder: Responder, finding: &Finding) -> Result<Value> {
        let reports = self.stack.respond(finding).await?;
        let report = reports.get(responder);
        Ok(report.ok_or("it did not answer")?.clone())
    }

    fn looks_around(&self) -> Result {
        expect(
            &self.types("gdr --help")?,
            &["doctor", "rehearse", "release", "--stack"],
        );
        self.types("gdr completions bash > ~/.local/share/bash-completion/completions/gdr")?;
        let completions = self
            .desk
            .folder
            .join(".local/share/bash-completion/completions/gdr");
        expect(&std::fs::read_to_string(completions)?, &["rehearse"]);
        self.types("gdr man ~/.local/share/man/man1")?;
        assert!(
            self.desk
                .folder
                .join(".local/share/man/man1/gdr-release.1")
                .exists()
        );
        let looked = self.types("gdr doctor")?;
        for function in ["s3", "iam", "ec2", "lambda"] {
            expect_row(&looked, &[function, "dry run"]);
        }
        let explained = self.types("gdr explain finding.json")?;
        expect_row(&explained, &["contain ", "iam", self.theft.user_name()]);
        let asked = "aws guardduty get-findings --detector-id … --finding-ids … | gdr explain -";
        let (detector, id) = ("--detector-id …", "--finding-ids …");
        let (of_detector, of_id) = (
            "--detector-id d0123",
            format!("--finding-ids {}", self.theft.finding()?.id()),
        );
        let told = self
            .desk
            .types(asked, &[(detector, of_detector), (id, &of_id)])?;
        expect(&told, &[self.theft.user_name(), &self.bucket.name]);
        let folder = "gdr explain --output json AWSLogs/111122223333/GuardDuty/";
        expect(&self.types(folder)?, &[self.theft.key_id()]);
        expect(
            &self.types("gdr plan finding.json")?,
            &["iam:DeactivateAccessKey"],
        );
        let mine = "gdr plan finding.json --policy default.cedar --policy mine.cedar";
        expect(&self.types(mine)?, &["iam:DeactivateAccessKey"]);
        expect(&self.types("gdr run finding.json")?, &["dry_run"]);
        Ok(())
    }

    async fn rehearses(&self) -> Result {
        let page = "gdr rehearse --detector auto --since 90d --html rehearsal.html";
        expect(
            &self.types(page)?,
            &[self.theft.user_name(), &self.bucket.name],
        );
        let page = std::fs::read_to_string(self.desk.folder.join("rehearsal.html"))?;
        expect(&page, &[self.theft.user_name(), &self.bucket.name]);
        let s3 = aws_sdk_s3::Client::new(&self.world.aws.root());
        let (bucket, file) = (
            unique("export"),
            "AWSLogs/111122223333/GuardDuty/export.jsonl",
        );
        s3.create_bucket().bucket(&bucket).send().await?;
        let export = std::fs::read(self.desk.folder.join(file))?;
        let put = s3.put_object().bucket(&bucket).key(file);
        put.body(export.into()).send().await?;
        let exported = "gdr rehearse s3://BUCKET/AWSLogs --since 2026-01-01";
        let told = self.desk.types(exported, &[("BUCKET", &bucket)])?;
        expect(&told, &[self.theft.user_name(), &self.bucket.name]);
        let told = self.types(
            "gdr rehearse AWSLogs/ --policy default.cedar --policy mine.cedar --iam-response approve \
             --max-containments 10",
        )?;
        expect_row(&told, &[self.theft.user_name(), "approv"]);
        expect(&told, &[&self.bucket.name]);
        expect(
            &self.types("gdr rehearse --output json AWSLogs/")?,
            &["\"hit\""],
        );
        Ok(())
    }

    /// The policies that the functions read.
    async fn stored_policies(&self) -> Result<String> {
        let name = self.stack.output("PolicyParameter")?;
        let get = aws_sdk_ssm::Client::new(&self.world.aws.root()).get_parameter();
        let stored = get.name(name).send().await?.parameter;
        Ok(stored.and_then(|it| it.value).ok_or("no policies")?)
    }

    async fn writes_policies(&self) -> Result {
        let mine = std::fs::read_to_string(self.desk.folder.join("mine.cedar"))?;
        assert!(!self.stored_policies().await?.contains(mine.trim()));
        for (of, more) in [("", ""), ("infra/policies/", " --policy mine.cedar")] {
            let checked = self.types(&format!("gdr policy check {of}default.cedar mine.cedar"))?;
            expect(&checked, &["valid"]);
            let explain = format!(
                "gdr policy explain --finding finding.json --policy {of}default.cedar{more}"
            );
            expect(&self.types(&explain)?, &["iam:DeactivateAccessKey"]);
            self.types(&format!("gdr policy push {of}default.cedar mine.cedar"))?;
            let default = self.desk.folder.join("default.cedar");
            let default = std::fs::read_to_string(default)?;
            expect(
                &self.stored_policies().await?,
                &[default.trim(), mine.trim()],
            );
        }
        Ok(())
    }

    async fn drills(&self) -> Result {
        expect(&self.types("gdr drill finding.json")?, &["dry_run"]);
        expect(
            &self.types("gdr drill Recon:IAMUser/TorIPCaller")?,
            &["iam"],
        );
        let on = |command: &str, placeholder: &str, target: &str| -> Result {
            let told = self.desk.types(command, &[(placeholder, target)])?;
            expect(
                &told,
                &["dry_run", target.split('/').next().unwrap_or(target)],
            );
            Ok(())
        };
        let of_bucket = "gdr drill Policy:S3/BucketAnonymousAccessGranted --target customer-data";
        on(of_bucket, "customer-data", &self.bucket.name)?;
        let of_user = "gdr drill UnauthorizedAccess:IAMUser/TorIPCaller --target ops-bot/AKIA…";
        let target = format!("{}/{}", self.theft.user_name(), self.theft.key_id());
        on(of_user, "ops-bot/AKIA…", &target)?;
        let of_instance = "gdr drill 'Backdoor:EC2/C&CActivity.B!DNS' --target i-0abc1234def567890";
        expect(&self.types(of_instance)?, &["i-0abc1234def567890"]);
        expect_working_attack(&self.bucket).await?;
        expect_working_attack(&self.theft).await
    }

    async fn gets_reports_and_nothing_is_changed(&self) -> Result {
        for (responder, finding) in [
            ("Iam", self.theft.finding()?),
            ("S3", self.bucket.finding()?),
        ] {
            expect_status(&self.respond(responder, &finding).await?, "dry_run");
        }
        expect_working_attack(&self.bucket).await?;
        expect_working_attack(&self.theft).await
    }

    async fn turns_the_dry_run_off(&mut self) -> Result {
        let table = self.stack.output("IncidentTable")?.to_owned();
        let off = self
            .desk
            .documented("sam deploy --save-params --parameter-overrides DryRun=false ")?;
        self.types(&off)?;
        self.desk.runs("sam deploy")?;
        self.stack = Stack::deployed(self.world.aws, STACK).await?;
        assert_eq!(self.stack.output("IncidentTable")?, table);
        expect(&self.types("gdr doctor")?, &["enforcing"]);
        Ok(())
    }

    async fn is_protected(&self) -> Result {
        let (theft, bucket) = (self.theft.finding()?, self.bucket.finding()?);
        for (responder, finding) in [("Iam", &theft), ("S3", &bucket)] {
            expect_status(&self.respond(responder, finding).await?, "contained");
        }
        expect_stopped_attack(&self.theft).await?;
        expect_stopped_attack(&self.bucket).await?;

        expect(&self.types("gdr incidents")?, &[theft.id(), bucket.id()]);
        let recent = self.types("gdr incidents --since 7d --limit 20")?;
        assert!(recent.contains("contained"), "{recent}");
        let contained = self.types("gdr incidents --status contained")?;
        expect(&contained, &[theft.id(), bucket.id()]);
        for others in ["notified", "partial"] {
            let others = self.types(&format!("gdr incidents --status {others}"))?;
            assert!(!others.contains(theft.id()), "{others}");
        }
        let told = self.types_about(&theft, "gdr incident 16afba5c")?;
        expect(&told, &["iam:DeactivateAccessKey", "applied"]);
        self.types_about(&theft, "gdr incident 16afba5c --html")?;
        let mut pages = std::fs::read_dir(&self.desk.folder)?.filter_map(std::result::Result::ok);
        let of_incident = |name: &str| name.contains(theft.id()) && name.ends_with(".html");
        assert!(pages.any(|page| page.file_name().to_str().is_some_and(of_incident)));
        let window = ["s3", self.world.aws.account_id.as_str(), "1 of 20"];
        expect_row(&self.types("gdr breaker show")?, &window);
        self.types("gdr breaker reset --category s3")?;
        let shown = self.types("gdr breaker show")?;
        let of_s3 = |line: &str| line.trim_start().starts_with("s3");
        assert!(!shown.lines().any(of_s3), "it was not reset: {shown}");
        expect_row(&shown, &["iam", "1 of 20"]);

        let release = "gdr release 16afba5c --reactivate-key AKIA…";
        let of_theft = [(ID, theft.id()), ("AKIA…", self.theft.key_id())];
        self.desk.types(release, &of_theft)?;
        self.types_about(&bucket, "gdr release 16afba5c")?;
        expect_working_attack(&self.theft).await?;
        expect_working_attack(&self.bucket).await?;
        let contained = self.types("gdr incidents --status contained")?;
        assert!(!contained.contains(bucket.id()), "{contained}");
        Ok(())
    }

    /// What waits for a person.
    async fn decides(&self) -> Result {
        let approve = [("RESPONSE_MODE", "approve".to_owned())];
        self.stack.set("S3", &approve).await?;
        for (command, stopped) in [
            ("gdr approve 16afba5c", true),
            ("gdr reject 16afba5c --reason \"our own scanner\"", false),
        ] {
            let bucket = PublicBucket::create(self.world.aws).await?;
            let finding = bucket.finding()?;
            expect_status(&self.respond("S3", &finding).await?, "notified");
            expect_working_attack(&bucket).await?;
            self.types_about(&finding, command)?;
            if stopped {
                expect_stopped_attack(&bucket).await?;
            } else {
                expect_working_attack(&bucket).await?;
            }
        }
        let contain = [("RESPONSE_MODE", "contain".to_owned())];
        self.stack.set("S3", &contain).await
    }

    /// When the functions cannot do it.
    async fn contains_by_hand(&self) -> Result {
        for command in [
            "gdr run finding.json --enforce",
            "gdr run finding.json --enforce --set RESPONSE_MODE=contain",
        ] {
            let bucket = PublicBucket::create(self.world.aws).await?;
            let finding = bucket.finding()?;
            self.finding(&finding)?;
            expect(&self.types(command)?, &["contained"]);
            expect_stopped_attack(&bucket).await?;
            let release = "gdr release 16afba5c --member-profile payments-responder";
            self.types_about(&finding, release)?;
            expect_working_attack(&bucket).await?;
        }
        Ok(())
    }

    /// What could not be handled.
    async fn sends_again(&self) -> Result {
        let function = function_arn(self.world.aws, self.stack.function("S3")?);
        for command in [
            "gdr redrive",
            "gdr redrive --finding 16afba5c --yes",
            "gdr redrive --queue on-failure --yes --late",
        ] {
            let bucket = PublicBucket::create(self.world.aws).await?;
            let finding = of_age(bucket.finding()?, SignedDuration::ZERO);
            if command.contains("on-failure") {
                self.gives_up_on(&function, &finding).await?;
            } else {
                leave(self.world.aws, &self.stack, &function, &finding.0).await?;
            }
            expect(&self.types("gdr redrive --list")?, &[finding.id()]);
            if command.contains(ID) {
                self.types_about(&finding, command)?;
            } else {
                self.types(command)?;
            }
            let reports = self.stack.await_reports("S3", finding.id(), 1).await?;
            expect_status(reports.last().ok_or("no report")?, "contained");
            expect_stopped_attack(&bucket).await?;
        }
        Ok(())
    }

    /// As Lambda does after the third failure.
    async fn gives_up_on(&self, function: &str, finding: &Finding) -> Result {
        let record = json!({
            "version": "1.0",
            "timestamp": finding.0["time"],
            "requestContext": {
                "functionArn": format!("{function}:$LATEST"),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": finding.0,
            "responsePayload": { "errorMessage": "a test", "errorType": "Error" },
        });
        aws_sdk_sqs::Client::new(&self.world.aws.root())
            .send_message()
            .queue_url(self.stack.output("OnFailureQueue")?)
            .message_body(record.to_string())
            .send()
            .await?;
        Ok(())
    }

    /// As docs/integrations.md has it: PagerDuty is a receiver here; to the others nothing is sent.
    async fn connects_products(&self) -> Result {
        let pagerduty = Receiver::start(receivers::pagerduty)?;
        for name in ["pagerduty", "opsgenie", "jira", "servicenow", "webhook"] {
            let path = format!("infra/integrations/{name}.yaml");
            let template = documents::read(&path)
                .replace("https://events.pagerduty.com", &pagerduty.address)
                .replace("'^https://.+$'", "'^https?://.+$'");
            self.desk.put(&path, &template)?;
        }
        self.desk.put("pagerduty-key.txt", receivers::ROUTING_KEY)?;
        self.types(
            "aws secretsmanager create-secret --name gdr-pagerduty --secret-string file://pagerduty-key.txt",
        )?;
        let topic = format!(
            "NotificationTopic={}",
            self.stack.output("NotificationTopic")?
        );
        let topic = [("NotificationTopic=…", topic.as_str())];
        let deploy = |name: &str| {
            let beginning = format!("sam deploy --template-file infra/integrations/{name}.yaml ");
            self.desk.types(&self.desk.documented(&beginning)?, &topic)
        };
        deploy("pagerduty")?;
        let sent = self.types("gdr notify-test")?;
        for channel in ["topic", "event bus", "product by rule gdr-pagerduty-"] {
            expect_row(&sent, &[channel, "accepted"]);
        }
        let sent = self.types("gdr notify-test --yes --output json")?;
        let beginning = sent.find('{').ok_or("no JSON")?;
        let sent = serde_json::Deserializer::from_str(&sent[beginning..]).into_iter::<Value>();
        let sent = sent.flatten().next().ok_or("no JSON")?;
        let id = sent["id"].as_str().ok_or("no id")?;
        let inbox = pagerduty.inbox();
        assert_eq!(
            (inbox.requests, &inbox.refused[..]),
            (2, &[][..]),
            "{inbox:?}"
        );
        assert_eq!(inbox.tickets[id].severity, "info");
        assert!(inbox.tickets[id].title.starts_with("[DRILL]"), "{inbox:?}");
        self.desk
            .types("gdr notify-test --resolve 16afba5c", &[(ID, id)])?;
        assert!(!pagerduty.inbox().tickets[id].open, "it was not resolved");
        let stacks = aws_sdk_cloudformation::Client::new(&self.world.aws.root());
        for (name, secret) in [
            ("opsgenie", "GenieKey 0f3c"),
            ("jira", "token"),
            ("servicenow", "password"),
            ("webhook", "token"),
        ] {
            self.desk.runs(&format!(
                "aws secretsmanager create-secret --name gdr-{name} --secret-string '{secret}'"
            ))?;
            deploy(name)?;
        }
        for name in ["pagerduty", "opsgenie", "jira", "servicenow", "webhook"] {
            let stack = format!("gdr-{name}");
            stacks.delete_stack().stack_name(stack).send().await?;
        }
        Ok(())
    }

    /// As docs/prove.md has it, but for the instance: the emulator runs none that answers.
    async fn proves_it(&self) -> Result {
        let (named, account) = ("111122223333", &self.world.aws.account_id);
        let all = format!("{account} --only bucket,role");
        let page = "gdr prove --account 111122223333 --html proof.html";
        let told = self.desk.types(page, &[(named, &all)])?;
        expect(
            &told,
            &["public bucket", "stolen role session", "fails after"],
        );
        let page = std::fs::read_to_string(self.desk.folder.join("proof.html"))?;
        expect(&page, &["badge good", "Nothing is left."]);
        let some = "gdr prove --account 111122223333 --only bucket,key";
        expect(
            &self.desk.types(some, &[(named, account)])?,
            &["stolen key"],
        );
        let clean = "gdr prove --account 111122223333 --clean 0a1b2c3d";
        let told = self.desk.types(clean, &[(named, account)])?;
        expect(&told, &["nothing was left of it"]);
        Ok(())
    }

    /// As docs/multi-account.md has it.
    async fn reaches_member_accounts(&mut self) -> Result {
        let hub = "sam deploy --parameter-overrides Mode=hub ExternalId=… --save-params";
        self.desk
            .types(hub, &[("ExternalId=…", "ExternalId=an-external-id")])?;
        self.stack = Stack::deployed(self.world.aws, STACK).await?;
        let mut given = vec![
            ("HubAccountId", self.world.aws.account_id.as_str()),
            ("OrganizationId", "o-a1b2c3d4e5"),
            ("ExternalId", "an-external-id"),
        ];
        for (parameter, output) in [
            ("S3ResponderRoleArn", "S3ResponderRole"),
            ("IamResponderRoleArn", "IamResponderRole"),
            ("Ec2ResponderRoleArn", "Ec2ResponderRole"),
            ("LambdaResponderRoleArn", "LambdaResponderRole"),
        ] {
            given.push((parameter, self.stack.output(output)?));
        }
        let replaced: Vec<_> = given
            .iter()
            .map(|(key, value)| {
                let before = if *key == "OrganizationId" {
                    "o-…"
                } else {
                    "…"
                };
                let of = |value: &str| format!("ParameterKey={key},ParameterValue={value}");
                (of(before), of(value))
            })
            .collect();
        let replaced: Vec<_> = replaced
            .iter()
            .map(|(before, after)| (before.as_str(), after.as_str()))
            .collect();
        let set = self
            .desk
            .documented("aws cloudformation create-stack-set ")?;
        self.desk.types(&set, &replaced)?;
        let instances = self
            .desk
            .documented("aws cloudformation create-stack-instances ")?;
        self.desk.types(
            &instances,
            &[(
                "OrganizationalUnitIds=…",
                "OrganizationalUnitIds=ou-ab12-cdefgh34",
            )],
        )?;
        let endpoint = &self.world.aws.ec2_endpoint;
        let client = aws_sdk_cloudformation::Client::new(
            &self
                .world
                .aws
                .root()
                .into_builder()
                .endpoint_url(endpoint)
                .build(),
        );
        let made = client
            .describe_stack_set()
            .stack_set_name("gdr-member-roles");
        let made = made.send().await?.stack_set.ok_or("no stack set")?;
        let had: BTreeSet<_> = made
            .parameters()
            .iter()
            .filter_map(|it| Some((it.parameter_key()?, it.parameter_value()?)))
            .collect();
        let also = [("DryRun", "true")];
        assert_eq!(had, given.into_iter().chain(also).collect());
        Ok(())
    }

    /// As `sam delete` does, once it has found the nested template, for which it looks on AWS's own hosts.
    async fn uninstalls(&self) -> Result {
        let (function, table) = (
            self.stack.function("S3")?,
            self.stack.output("IncidentTable")?,
        );
        let root = self.world.aws.root();
        let stacks = aws_sdk_cloudformation::Client::new(&root);
        stacks.delete_stack().stack_name(STACK).send().await?;
        let lambda = aws_sdk_lambda::Client::new(&root);
        let gone = lambda.get_function().function_name(function).send().await;
        let gone = gone.expect_err("the function is there");
        assert_eq!(gone.code(), Some("ResourceNotFoundException"), "{gone:?}");
        let incidents = aws_sdk_dynamodb::Client::new(&root)
            .scan()
            .table_name(table);
        assert!(
            incidents.send().await?.count() > 0,
            "nothing is left of the record"
        );
        Ok(())
    }
}

#[test]
fn a_new_user_rehearses_drills_turns_the_dry_run_off_and_needs_no_command_that_does_not_work()
-> Result {
    on_aws(async |world| {
        let mut walk = Walk::begin(world).await?;
        walk.looks_around()?;
        walk.rehearses().await?;
        walk.writes_policies().await?;
        walk.drills().await?;
        walk.gets_reports_and_nothing_is_changed().await?;
        walk.turns_the_dry_run_off().await?;
        walk.is_protected().await?;
        walk.decides().await?;
        walk.contains_by_hand().await?;
        walk.sends_again().await?;
        walk.connects_products().await?;
        walk.proves_it().await?;
        walk.reaches_member_accounts().await?;
        walk.uninstalls().await?;
        let untried = walk.desk.untried();
        assert!(untried.is_empty(), "documented and not tried: {untried:#?}");
        Ok(())
    })
}
