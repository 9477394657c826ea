//! The stack under test: built and deployed by the real SAM command line, and given findings as
//! EventBridge would give them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, InvocationType};
use serde_json::Value;

use crate::finding::Finding;
use crate::{LocalAws, Result, checkout, http, unique};

/// Where `make stack` puts the functions of this machine. It is not where `sam build` puts what people deploy.
pub const BUILD_FOLDER: &str = ".aws-sam/local";
/// As long as an invocation that stands still, which Lambda ends after two minutes, and its retry after one more.
const REPORT_TIMEOUT: Duration = Duration::from_secs(240);

/// A function, by the name in the output `S3ResponderFunction` and so on.
pub type Responder = &'static str;
pub const RESPONDERS: [Responder; 5] = ["S3", "Iam", "Ec2", "Lambda", "Triage"];

pub type Reports = BTreeMap<Responder, Value>;

pub struct Stack<'a> {
    pub aws: &'a LocalAws,
    pub name: String,
    outputs: BTreeMap<String, String>,
}

/// The sam command, with its tools found and nothing of it left outside the checkout.
fn sam(root: &Path) -> Command {
    let tools = root.join(".local/sam/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut sam = Command::new(tools.join("sam"));
    sam.current_dir(root)
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("SAM_CLI_TELEMETRY", "0")
        .env("__SAM_CLI_APP_DIR", root.join(".local/sam-home"))
        .stdin(Stdio::null());
    sam
}

/// This machine's architecture, in Lambda's words.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}

impl<'a> Stack<'a> {
    /// Deploys what `make stack` built. Parameters that are not given have their defaults.
    pub async fn deploy(
        aws: &'a LocalAws,
        name: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self> {
        let root = checkout();
        let built = format!("{BUILD_FOLDER}/template.yaml");
        if !root.join(&built).is_file() {
            return Err(format!("{built} is not there: run `make stack`").into());
        }
        let log = root.join(format!(
            ".local/log/deploy-{name}-{}.log",
            std::process::id()
        ));
        let output = std::fs::File::create(&log)?;
        let overrides = parameters
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let status = sam(root)
            .args(["deploy", "--template-file"])
            .arg(built)
            .args(["--stack-name", name, "--resolve-s3", "--s3-prefix", name])
            .args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
            .arg("--no-confirm-changeset")
            .args(["--no-progressbar", "--parameter-overrides"])
            .arg(format!("Architecture={}", architecture()))
            .args(overrides)
            .envs(aws.environment())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()?;
        if !status.success() {
            let said = std::fs::read_to_string(&log)?;
            return Err(format!("sam deploy ended with {status}:\n{said}").into());
        }
        Self::deployed(aws, name).await
    }

    /// The stack of this name, deployed by whomever.
    pub async fn deployed(aws: &'a LocalAws, name: &str) -> Result<Self> {
        let found = aws_sdk_cloudformation::Client::new(&aws.root())
            .describe_stacks()
            .stack_name(name)
            .send()
            .await?;
        let stack = found.stacks().first().ok_or("no stack")?;
        let outputs = stack
            .outputs()
            .iter()
            .filter_map(|o| Some((o.output_key.clone()?, o.output_value.clone()?)))
            .collect();
        Ok(Self {
            aws,
            name: name.to_owned(),
            outputs,
        })
    }

    pub fn output(&self, key: &str) -> Result<&str> {
        let value = self.outputs.get(key).map(String::as_str);
        Ok(value.ok_or_else(|| format!("the stack has no output {key}"))?)
    }

    /// The name of a responder's function.
    pub fn function(&self, responder: Responder) -> Result<&str> {
        self.output(&format!("{responder}ResponderFunction"))
    }

    /// The role of a responder's function.
    pub async fn role_arn(&self, responder: Responder) -> Result<String> {
        let function = self.function(responder)?;
        let configuration = self
            .lambda()
            .get_function_configuration()
            .function_name(function)
            .send()
            .await?;
        Ok(configuration.role.ok_or("no role")?)
    }

    /// What the stack sets in a responder's environment.
    pub async fn variables(&self, responder: Responder) -> Result<HashMap<String, String>> {
        let configuration = self
            .lambda()
            .get_function_configuration()
            .function_name(self.function(responder)?)
            .send()
            .await?;
        let environment = configuration.environment.and_then(|e| e.variables);
        Ok(environment.unwrap_or_default())
    }

    /// Lets a responder run in so many environments at a time.
    pub async fn reserve(&self, responder: Responder, environments: i32) -> Result {
        self.lambda()
            .put_function_concurrency()
            .function_name(self.function(responder)?)
            .reserved_concurrent_executions(environments)
            .send()
            .await?;
        Ok(())
    }

    /// Takes back what [`Stack::reserve`] and [`Stack::set`] did.
    pub async fn restore(
        &self,
        responder: Responder,
        variables: HashMap<String, String>,
    ) -> Result {
        self.lambda()
            .delete_function_concurrency()
            .function_name(self.function(responder)?)
            .send()
            .await?;
        self.replace_variables(responder, variables).await
    }

    /// Adds to a responder's environment.
    pub async fn set(&self, responder: Responder, added: &[(&str, String)]) -> Result {
        let mut variables = self.variables(responder).await?;
        let added = added.iter();
        variables.extend(added.map(|(key, value)| ((*key).into(), value.clone())));
        self.replace_variables(responder, variables).await
    }

    async fn replace_variables(
        &self,
        responder: Responder,
        variables: HashMap<String, String>,
    ) -> Result {
        let environment = Environment::builder().set_variables(Some(variables));
        self.lambda()
            .update_function_configuration()
            .function_name(self.function(responder)?)
            .environment(environment.build())
            .send()
            .await?;
        Ok(())
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.aws.root())
    }

    /// The responders to which the deployed rules send this event.
    pub async fn routes(&self, event: &Value) -> Result<Vec<Responder>> {
        let bus = aws_sdk_eventbridge::Client::new(&self.aws.root());
        let mut hit = Vec::new();
        for rule in bus.list_rules().send().await?.rules() {
            let Some(pattern) = rule.event_pattern() else {
                continue;
            };
            let answer = bus
                .test_event_pattern()
                .event_pattern(pattern)
                .event(event.to_string())
                .send()
                .await?;
            if !answer.result() {
                continue;
            }
            let targets = bus
                .list_targets_by_rule()
                .rule(rule.name().unwrap_or_default())
                .send()
                .await?;
            for target in targets.targets() {
                for responder in RESPONDERS {
                    if target
                        .arn()
                        .ends_with(&format!(":function:{}", self.function(responder)?))
                    {
                        hit.push(responder);
                    }
                }
            }
        }
        hit.sort_unstable();
        Ok(hit)
    }

    /// Hands a finding to the functions that the deployed rules choose, without waiting for them.
    /// The emulator, like AWS, takes no event from `aws.guardduty` itself.
    pub async fn deliver(&self, finding: &Finding) -> Result<Vec<Responder>> {
        let routes = self.routes(&finding.0).await?;
        for responder in &routes {
            self.send(responder, finding).await?;
        }
        Ok(routes)
    }

    /// Hands a finding to a function, without waiting for it.
    pub async fn send(&self, responder: Responder, finding: &Finding) -> Result {
        self.lambda()
            .invoke()
            .function_name(self.function(responder)?)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(finding.0.to_string()))
            .send()
            .await?;
        Ok(())
    }

    /// Delivers a finding and waits for the report of each function that it goes to. A look that follows may
    /// have been logged as well by then, so that the newest report need not be the answer.
    pub async fn respond(&self, finding: &Finding) -> Result<Reports> {
        let mut seen = BTreeMap::new();
        for responder in RESPONDERS {
            seen.insert(
                responder,
                self.reports(responder, finding.id()).await?.len(),
            );
        }
        let mut reports = Reports::new();
        for responder in self.deliver(finding).await? {
            let before = seen[responder];
            let all = self
                .await_reports(responder, finding.id(), before + 1)
                .await?;
            reports.extend(all.into_iter().nth(before).map(|first| (responder, first)));
        }
        Ok(reports)
    }

    /// Waits until a function has logged so many reports on a finding.
    pub async fn await_reports(
        &self,
        responder: Responder,
        id: &str,
        count: usize,
    ) -> Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let reports = self.reports(responder, id).await?;
            if reports.len() >= count {
                return Ok(reports);
            }
            if started.elapsed() > REPORT_TIMEOUT {
                let lines = self.log(responder).await?;
                let last = &lines[lines.len().saturating_sub(20)..];
                let message = format!("the {responder} function reported nothing; it logged:\n");
                return Err((message + &last.join("\n")).into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The reports on a finding in a function's log, oldest first.
    pub async fn reports(&self, responder: Responder, finding_id: &str) -> Result<Vec<Value>> {
        let mut reports = self.all_reports(responder).await?;
        reports.retain(|report| report["finding_id"] == finding_id);
        Ok(reports)
    }

    /// The reports in a function's log, oldest first.
    pub async fn all_reports(&self, responder: Responder) -> Result<Vec<Value>> {
        let lines = self.log(responder).await?;
        let values = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(values.filter(|v| v["status"].is_string()).collect())
    }

    async fn log(&self, responder: Responder) -> Result<Vec<String>> {
        let function = self.function(responder)?;
        let configuration = self
            .lambda()
            .get_function_configuration()
            .function_name(function)
            .send()
            .await?;
        let group = configuration
            .logging_config()
            .and_then(|logging| logging.log_group())
            .map_or_else(|| format!("/aws/lambda/{function}"), str::to_owned);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&self.aws.root());
        let answer = logs.filter_log_events().log_group_name(group).send().await;
        if answer
            .as_ref()
            .is_err_and(|e| e.code() == Some("ResourceNotFoundException"))
        {
            // The function has not run yet.
            return Ok(Vec::new());
        }
        let events = answer?.events.unwrap_or_default();
        Ok(events
            .into_iter()
            .filter_map(|event| event.message)
            .collect())
    }

    /// Sets the longest time that a function may take. With one second it fails on every event.
    pub async fn set_timeout(&self, responder: Responder, seconds: i32) -> Result {
        let function = self.function(responder)?;
        let update = self.lambda().update_function_configuration();
        let update = update.function_name(function).timeout(seconds);
        update.send().await?;
        Ok(())
    }

    /// Invokes a function and takes its answer. An error in the function is one here.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        let answer = self
            .lambda()
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(kind) = answer.function_error {
            let text = String::from_utf8_lossy(&payload);
            return Err(format!("{function} failed ({kind}) on {event}: {text}").into());
        }
        Ok(serde_json::from_slice(&payload)?)
    }

    /// A second function with a responder's code, under another role or with other settings, so that
    /// a test can change them and no other test notices. Returns its name.
    pub async fn variant(
        &self,
        responder: Responder,
        role_arn: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Result<String> {
        let lambda = self.lambda();
        let original = lambda
            .get_function()
            .function_name(self.function(responder)?)
            .send()
            .await?;
        let configuration = original.configuration.ok_or("no configuration")?;
        let code = original
            .code
            .and_then(|code| code.location)
            .ok_or("no code")?;
        let zip = http::get(&code).await?.body;
        let mut variables = configuration
            .environment
            .and_then(|e| e.variables)
            .unwrap_or_default();
        variables.extend(
            settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into())),
        );
        let name = unique(&format!("{}-variant", self.name));
        lambda
            .create_function()
            .function_name(&name)
            .role(
                role_arn
                    .or(configuration.role.as_deref())
                    .unwrap_or_default(),
            )
            .set_runtime(configuration.runtime)
            .set_handler(configuration.handler)
            .set_architectures(configuration.architectures)
            .set_timeout(configuration.timeout)
            .set_memory_size(configuration.memory_size)
            .environment(
                Environment::builder()
                    .set_variables(Some(variables))
                    .build(),
            )
            .code(FunctionCode::builder().zip_file(Blob::new(zip)).build())
            .send()
            .await?;
        Ok(name)
    }
}
