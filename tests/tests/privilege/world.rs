//! The stack's functions, run here with their own settings and roles against the emulators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_iam::config::Credentials;
use aws_sdk_ssm::types::ParameterType;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use integration_tests::finding::Finding;
use integration_tests::{LocalAws, Result, incident_table, random_hex, unique};
use jiff::Timestamp;
use playbooks::{Ec2, Iam, Lambda, Playbook, S3};
use remediation::respond::Invocation;
use remediation::triage::Triage;
use remediation::{Config, Responder, accounts, category::Category};
use serde_json::{Value, json};

use crate::common::yaml;
use crate::privilege::authority::{Authority, Canned, Judge, Role, Seat};
use crate::privilege::scenarios::Scenario;
use crate::privilege::template::{Deployed, STACK};
use integration_tests::stack::RESPONDERS;

/// An account of which the stack is the hub. The emulator takes an account's id for its root's key.
pub(crate) const MEMBER: &str = "444455556666";
/// The root user's key in the stack's account.
const ROOT: &str = "test";

pub(crate) struct World {
    pub(crate) aws: Arc<LocalAws>,
    pub(crate) judge: Arc<Judge>,
    http: SharedHttpClient,
    stack: Value,
    members: Value,
    resources: BTreeMap<String, (String, String)>,
}

/// What came of a finding.
pub(crate) struct Outcome {
    pub(crate) report: Value,
    /// The report, the record and the error together: all that a person can come to know.
    pub(crate) told: String,
    pub(crate) failed: Option<String>,
}

/// A scenario with the roles that it is tried with.
pub(crate) struct Run<'a> {
    pub(crate) world: &'a World,
    pub(crate) scenario: &'a Scenario,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) seat: Mutex<Arc<Seat>>,
    pub(crate) outcome: Mutex<Option<Outcome>>,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let aws = Arc::new(LocalAws::start()?);
        let resources = resources(&aws).await?;
        Ok(Self {
            judge: Arc::new(Judge::start()?),
            http: aws_smithy_http_client::Builder::new().build_http(),
            stack: yaml("template.yaml"),
            members: yaml("infra/member-roles.yaml"),
            resources,
            aws,
        })
    }

    fn deployed(&self, template: &Value, account: &str, parameters: &[(&str, &str)]) -> Deployed {
        let parameters = parameters.iter();
        Deployed {
            template: template.clone(),
            parameters: parameters
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            stack: STACK.to_owned(),
            partition: "aws".to_owned(),
            account: account.to_owned(),
            region: self.aws.region.clone(),
            resources: self.resources.clone(),
        }
    }

    /// The stack with the settings of a scenario.
    pub(crate) fn stack(&self, scenario: &Scenario) -> Deployed {
        let mut deployed = self.with(scenario.parameters);
        if !scenario.policy.is_empty() {
            let parameter = deployed.resources.get_mut("PolicyParameter");
            for part in parameter.into_iter().flat_map(|(name, arn)| [name, arn]) {
                *part += "-of-its-own";
            }
        }
        deployed
    }

    /// The stack with these settings.
    pub(crate) fn with(&self, parameters: &[(&str, &str)]) -> Deployed {
        let mut all = vec![
            ("DryRun", "false"),
            // All the scenarios together are more than a breaker lets through.
            ("MaxContainments", "500"),
            ("MaxSharePercent", "100"),
            ("ExternalId", "an-external-id"),
        ];
        all.extend(parameters);
        self.deployed(&self.stack, &self.aws.account_id, &all)
    }

    /// The function's role in a scenario.
    pub(crate) fn role_in(&self, scenario: &Scenario) -> Result<Role> {
        self.role_of(scenario.function, &self.stack(scenario))
    }

    /// The settings that a function reads from its environment with these settings.
    pub(crate) fn config(&self, function: &str, parameters: &[(&str, &str)]) -> Result<Config> {
        let stack = self.with(parameters);
        let environment = stack.environment(&format!("{function}ResponderFunction"))?;
        Ok(Config::from_variables(&environment))
    }

    /// The ARNs of the functions' roles.
    pub(crate) fn roles_of_functions(&self) -> Result<Vec<String>> {
        let resources = self.stack["Resources"].as_object().ok_or("no resources")?;
        let functions = resources
            .values()
            .filter(|it| it["Type"] == "AWS::Serverless::Function");
        let roles = functions.map(|function| {
            let role = self.with(&[]).resolve(&function["Properties"]["Role"])?;
            Ok(role.as_str().ok_or("no ARN")?.to_owned())
        });
        roles.collect()
    }

    /// The role of a function with these settings.
    pub(crate) fn role(&self, function: &str, parameters: &[(&str, &str)]) -> Result<Role> {
        self.role_of(function, &self.with(parameters))
    }

    fn role_of(&self, function: &str, stack: &Deployed) -> Result<Role> {
        let role = format!("{function}ResponderRole");
        Ok(Role {
            name: format!("{STACK}-{role}-TEST"),
            account: self.aws.account_id.clone(),
            policies: stack.policies(&role)?,
        })
    }

    /// The role that a function assumes in the member account, whose stack has these settings of the hub's.
    pub(crate) fn member_role(&self, function: &str, hub: &[(&str, &str)]) -> Result<Role> {
        let category = match function {
            "S3" => Category::S3,
            "Iam" => Category::Iam,
            "Lambda" => Category::Lambda,
            _ => Category::Ec2,
        };
        let settings = [&[("DryRun", "false")], hub].concat();
        let members = self.deployed(&self.members, MEMBER, &settings);
        Ok(Role {
            name: accounts::member_role(category),
            account: MEMBER.to_owned(),
            policies: members.policies(&format!("{function}MemberRole"))?,
        })
    }

    /// The member's root user.
    pub(crate) fn member(&self) -> SdkConfig {
        let root = Credentials::new(MEMBER, "test", None, None, "member");
        self.aws.signed_in(&root)
    }
}

/// What the functions' own calls go to. The functions and roles themselves need not be there.
async fn resources(aws: &LocalAws) -> Result<BTreeMap<String, (String, String)>> {
    let root = aws.root();
    let (account, region) = (&aws.account_id, &aws.region);
    let table = "gdr-IncidentTable-TEST";
    incident_table::create(&root, table).await?;
    let sns = aws_sdk_sns::Client::new(&root);
    let topic = sns.create_topic().name("gdr-NotificationTopic-TEST").send();
    let topic = topic.await?.topic_arn.ok_or("no topic")?;
    let chat = sns.create_topic().name("gdr-ChatTopic-TEST").send();
    let chat = chat.await?.topic_arn.ok_or("no topic")?;
    let (queue, updates) = ("gdr-RecheckQueue-TEST", "gdr-SecurityHubQueue-TEST");
    let sqs = aws_sdk_sqs::Client::new(&root);
    let url = sqs.create_queue().queue_name(queue).send().await?;
    let url = url.queue_url.ok_or("no queue")?;
    let instances = "gdr-InstanceRecheckQueue-TEST";
    let of_instances = sqs.create_queue().queue_name(instances).send().await?;
    let of_instances = of_instances.queue_url.ok_or("no queue")?;
    let buckets = "gdr-BucketRecheckQueue-TEST";
    let of_buckets = sqs.create_queue().queue_name(buckets).send().await?;
    let of_buckets = of_buckets.queue_url.ok_or("no queue")?;
    let functions = "gdr-FunctionRecheckQueue-TEST";
    let of_functions = sqs.create_queue().queue_name(functions).send().await?;
    let of_functions = of_functions.queue_url.ok_or("no queue")?;
    let updated = sqs.create_queue().queue_name(updates).send().await?;
    let updated = updated.queue_url.ok_or("no queue")?;
    let evidence = "gdr-evidence-test";
    let s3 = aws_sdk_s3::Client::new(&root);
    s3.create_bucket().bucket(evidence).send().await?;
    let parameter = "/guardduty-responder/gdr/policy";
    let arn = |service: &str, name: &str| format!("arn:aws:{service}:{region}:{account}:{name}");
    let mut resources = BTreeMap::from([
        (
            "IncidentTable".to_owned(),
            (table.to_owned(), arn("dynamodb", &format!("table/{table}"))),
        ),
        ("NotificationTopic".to_owned(), (topic.clone(), topic)),
        ("ChatTopic".to_owned(), (chat.clone(), chat)),
        ("RecheckQueue".to_owned(), (url, arn("sqs", queue))),
        (
            "InstanceRecheckQueue".to_owned(),
            (of_instances, arn("sqs", instances)),
        ),
        (
            "BucketRecheckQueue".to_owned(),
            (of_buckets, arn("sqs", buckets)),
        ),
        (
            "FunctionRecheckQueue".to_owned(),
            (of_functions, arn("sqs", functions)),
        ),
        (
            "SecurityHubQueue".to_owned(),
            (updated, arn("sqs", updates)),
        ),
        (
            "Evidence".to_owned(),
            (evidence.to_owned(), format!("arn:aws:s3:::{evidence}")),
        ),
        (
            "PolicyParameter".to_owned(),
            (
                parameter.to_owned(),
                arn("ssm", &format!("parameter{parameter}")),
            ),
        ),
        (
            "OnFailureQueue".to_owned(),
            (String::new(), arn("sqs", "gdr-OnFailureQueue-TEST")),
        ),
    ]);
    for function in RESPONDERS {
        let (role, log) = (
            format!("gdr-{function}ResponderRole-TEST"),
            format!("gdr-{function}ResponderLog-TEST"),
        );
        let name = format!("gdr-{function}ResponderFunction-TEST");
        let path = format!("guardduty-responder/{STACK}/{}", function.to_lowercase());
        let role_arn = format!("arn:aws:iam::{account}:role/{path}/{role}");
        let log_arn = arn("logs", &format!("log-group:{log}:*"));
        let function_arn = arn("lambda", &format!("function:{name}"));
        resources.insert(format!("{function}ResponderRole"), (role, role_arn));
        resources.insert(format!("{function}ResponderLog"), (log, log_arn));
        resources.insert(format!("{function}ResponderFunction"), (name, function_arn));
    }
    Ok(resources)
}

impl Run<'_> {
    pub(crate) fn aws(&self) -> &LocalAws {
        &self.world.aws
    }

    /// S3's control of accounts, with every permission. The account is part of the host's name, which the
    /// emulator's has no room for, and the authority takes it off.
    pub(crate) fn control(&self) -> aws_sdk_s3control::Client {
        let everything =
            json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        let root = Role {
            name: "root".to_owned(),
            account: self.aws().account_id.clone(),
            policies: vec![everything],
        };
        let seat = Seat {
            roles: BTreeMap::from([(ROOT.to_owned(), root)]),
            ..Seat::default()
        };
        aws_sdk_s3control::Client::new(&self.signed_in(Arc::new(seat)))
    }

    fn signed_in(&self, seat: Arc<Seat>) -> SdkConfig {
        let authority = Authority {
            aws: Arc::clone(&self.world.aws),
            judge: Arc::clone(&self.world.judge),
            http: self.world.http.clone(),
            seat,
            iam_of_instances: self.scenario.function == "Ec2",
        };
        let root = self.aws().root().into_builder();
        root.http_client(authority).build()
    }

    /// Gives the finding to the scenario's function, and keeps what came of it.
    pub(crate) async fn respond(&self, finding: &Finding) -> Result {
        let outcome = match self.scenario.function {
            "S3" => Box::pin(self.answer(S3::new, finding)).await,
            "Iam" => Box::pin(self.answer(Iam::new, finding)).await,
            "Ec2" => Box::pin(self.answer(Ec2::new, finding)).await,
            "Lambda" => Box::pin(self.answer(Lambda::new, finding)).await,
            _ => Box::pin(self.answer(Triage::new, finding)).await,
        }?;
        *self.outcome.lock().map_err(|_| "a panic")? = Some(outcome);
        Ok(())
    }

    async fn answer<P: Playbook + 'static>(
        &self,
        build: fn(&SdkConfig) -> P,
        finding: &Finding,
    ) -> Result<Outcome> {
        let stack = self.world.stack(self.scenario);
        let environment =
            stack.environment(&format!("{}ResponderFunction", self.scenario.function))?;
        let config = Config::from_lookup(|name| environment.get(name).cloned());
        if !config.problems.is_empty() {
            return Err(config.problems.join("; ").into());
        }
        let name = environment.get("POLICY_PARAMETER").ok_or("no parameter")?;
        self.put_policy(name).await?;
        let seat = Arc::new(Seat {
            roles: self.roles.clone(),
            canned: self.canned(finding),
            ..Seat::default()
        });
        *self.seat.lock().map_err(|_| "a panic")? = Arc::clone(&seat);
        let sdk = self.signed_in(seat);
        // What is logged is in the answer too, and would stand between the results of the tests.
        let responder = Responder::configured(config, build, &sdk).logging(|_| Ok(()));
        let invocation = Invocation {
            id: random_hex(),
            now: Timestamp::now(),
            time_left: Duration::from_secs(120),
            look: None,
            trace: None,
        };
        let answer = Box::pin(responder.respond(finding.0.clone(), &invocation)).await;
        let (report, failed) = match answer {
            Ok(report) => (serde_json::from_str(&report.to_line())?, None),
            Err(error) => (Value::Null, Some(error.to_string())),
        };
        let record = self.record(finding).await?;
        Ok(Outcome {
            told: format!("{report} {record} {failed:?}"),
            report,
            failed,
        })
    }

    /// Stores the policies of the scenario.
    async fn put_policy(&self, parameter: &str) -> Result {
        aws_sdk_ssm::Client::new(&self.aws().root())
            .put_parameter()
            .name(parameter)
            .value(format!("{}\n{}", policy::DEFAULT, self.scenario.policy))
            .r#type(ParameterType::String)
            .overwrite(true)
            .send()
            .await?;
        Ok(())
    }

    /// The incident's items in the table.
    async fn record(&self, finding: &Finding) -> Result<String> {
        let (table, _) = &self.world.resources["IncidentTable"];
        let key = format!("INCIDENT#{}", finding.id());
        let found = aws_sdk_dynamodb::Client::new(&self.aws().root())
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", aws_sdk_dynamodb::types::AttributeValue::S(key))
            .send()
            .await?;
        Ok(format!("{:?}", found.items()))
    }

    /// What is answered in place of an emulator: what neither of them serves, and what the scenario
    /// wants.
    fn canned(&self, finding: &Finding) -> BTreeMap<&'static str, Canned> {
        let ok = |body: String| Canned { status: 200, body };
        let mut canned = BTreeMap::from([
            // Neither has GuardDuty's findings.
            (
                "guardduty:ListDetectors",
                ok(json!({ "detectorIds": ["6ab6e6ee780ed494f3b7ca56acdc74df"] }).to_string()),
            ),
            (
                "guardduty:GetFindings",
                ok(json!({ "findings": [as_by_api(finding)] }).to_string()),
            ),
            // Whom the member's role trusts is tested with the role itself.
            ("sts:AssumeRole", ok(assumed())),
            // What becomes of what is handed over is tested with the functions deployed.
            (
                "lambda:InvokeFunction",
                Canned {
                    status: 202,
                    body: String::new(),
                },
            ),
        ]);
        for action in self.scenario.quota_used_up {
            let error = "<Error><Code>LimitExceeded</Code><Message>the quota</Message></Error>";
            let full = Canned {
                status: 409,
                body: format!("<ErrorResponse>{error}</ErrorResponse>"),
            };
            canned.insert(action, full);
        }
        canned
    }
}

/// The finding as `GetFindings` returns it: its times are seconds where an event has a text.
fn as_by_api(finding: &Finding) -> Value {
    let mut detail = finding.0["detail"].clone();
    if let Some(at) = detail.pointer_mut("/resource/lambdaDetails/lastModifiedAt") {
        let text = at.as_str().unwrap_or_default();
        *at = json!(text.parse().map_or(0, Timestamp::as_second));
    }
    detail
}

/// A session of a role in the member account.
fn assumed() -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROAMEMBER:gdr</AssumedRoleId>\
         <Arn>arn:aws:sts::{MEMBER}:assumed-role/gdr-member/gdr</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{MEMBER}</AccessKeyId><SecretAccessKey>test</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    )
}

impl World {
    /// The roles of a scenario, by the keys with which they sign.
    pub(crate) fn roles(&self, scenario: &Scenario) -> Result<BTreeMap<String, Role>> {
        let function = scenario.function;
        let mut roles = BTreeMap::from([(ROOT.to_owned(), self.role_in(scenario)?)]);
        if scenario.is_of_hub() {
            let member = self.member_role(function, scenario.parameters)?;
            roles.insert(MEMBER.to_owned(), member);
        }
        Ok(roles)
    }
}

/// A lower-case name for something of a scenario's.
pub(crate) fn name(prefix: &str) -> String {
    unique(prefix)
}
