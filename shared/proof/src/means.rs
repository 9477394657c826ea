//! By what is contained and released: this process, or the functions of a stack.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use aws_sdk_lambda::primitives::Blob;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use playbooks::{Ec2, Iam, Lambda, Playbook, S3};
use remediation::Config;
use remediation::Responder;
use remediation::category::Category;
use remediation::decision::ResponseMode;
use remediation::error::{CallContext as _, Error, Result};
use remediation::record::IncidentStore;
use remediation::release::{self, Allowance, Releaser};
use remediation::respond::Invocation;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::context::{Context, lacking};
use crate::deployment::{Deployed, Deployment};
use crate::find::table_name;
use crate::finding::Finding;
use crate::record::{ContainedBy, Victim};
use crate::request::{Refused, Request};

/// The time of an invocation, as long as the template lets it run.
pub(crate) const TIME: Duration = Duration::from_secs(120);

/// By what is contained.
#[derive(Debug)]
pub(crate) enum Means {
    ThisProcess,
    Stack(BTreeMap<Category, Function>),
}

/// A deployed function.
#[derive(Debug)]
pub(crate) struct Function {
    name: String,
    table: String,
}

/// The function that answers for a victim.
pub(crate) fn category(victim: Victim) -> Category {
    match victim {
        Victim::PublicBucket => Category::S3,
        Victim::StolenKey | Victim::StolenRoleSession => Category::Iam,
        Victim::InfectedInstance => Category::Ec2,
        Victim::HijackedFunction => Category::Lambda,
    }
}

impl Means {
    /// Looks at the functions that are to contain. Reads only.
    ///
    /// # Errors
    /// Why they cannot.
    pub(crate) async fn of(
        context: &Context<'_>,
        request: &Request,
    ) -> std::result::Result<Self, Refused> {
        let ContainedBy::Stack(stack) = &request.by else {
            return if request.dry_run {
                let why = "a dry run is for the functions of a stack, and none is named";
                Err(Refused(why.to_owned()))
            } else {
                Ok(Self::ThisProcess)
            };
        };
        let unread = |error: Error| Refused(format!("nothing was done: {error}"));
        let sdk = &context.world.sdk;
        let deployment = Deployment::of(sdk, stack).await.map_err(unread)?;
        let mut functions = BTreeMap::new();
        for victim in &request.victims {
            let category = category(*victim);
            let name = deployment.function(category).map_err(unread)?;
            let deployed = Box::pin(Deployed::of(&context.lambda, name)).await;
            let config = Config::from_variables(&deployed.map_err(unread)?.variables);
            let table = fit(name, &config, context, request.dry_run).map_err(Refused)?;
            let name = name.to_owned();
            functions.insert(category, Function { name, table });
        }
        Ok(Self::Stack(functions))
    }

    /// Makes what the means need of their own: the table of the record.
    pub(crate) async fn prepare(&self, context: &Context<'_>) -> Result<()> {
        match self {
            Self::ThisProcess => Box::pin(table(context)).await,
            Self::Stack(_) => Ok(()),
        }
    }

    /// Hands a finding over, and waits for the report.
    ///
    /// # Errors
    /// The failure, if there is no report.
    pub(crate) async fn contain(
        &self,
        context: &Context<'_>,
        victim: Victim,
        finding: &Finding,
    ) -> Result<Value> {
        let category = category(victim);
        match (self, category) {
            (Self::Stack(functions), _) => {
                let function = function(functions, category)?;
                Box::pin(invoke(context, &function.name, &finding.event)).await
            }
            (Self::ThisProcess, Category::S3) => here(context, s3(context), finding).await,
            (Self::ThisProcess, Category::Iam) => here(context, iam(context), finding).await,
            (Self::ThisProcess, Category::Ec2) => here(context, ec2(context), finding).await,
            (Self::ThisProcess, Category::Lambda) => here(context, lambda(context), finding).await,
            (Self::ThisProcess, Category::Triage) => Err(nothing_for(category)),
        }
    }

    /// Releases what was contained on account of a finding. Answers what was put back.
    ///
    /// # Errors
    /// The resources that were not put back, each with the reason.
    pub(crate) async fn release(
        &self,
        context: &Context<'_>,
        victim: Victim,
        finding: &Finding,
        allowance: &Allowance,
    ) -> Result<Vec<String>> {
        let category = category(victim);
        let table = match self {
            Self::ThisProcess => table_name(context),
            Self::Stack(functions) => function(functions, category)?.table.clone(),
        };
        let record = IncidentStore::new(context.dynamodb.clone(), table);
        let releasing = Releasing {
            context,
            record,
            finding,
            allowance,
        };
        match category {
            Category::S3 => releasing.by(s3(context)).await,
            Category::Iam => releasing.by(iam(context)).await,
            Category::Ec2 => releasing.by(ec2(context)).await,
            Category::Lambda => releasing.by(lambda(context)).await,
            Category::Triage => Err(nothing_for(category)),
        }
    }
}

fn nothing_for(category: Category) -> Error {
    Error::Refused(format!("no victim is for the {category} function"))
}

fn function(functions: &BTreeMap<Category, Function>, category: Category) -> Result<&Function> {
    functions
        .get(&category)
        .ok_or_else(|| nothing_for(category))
}

fn s3(context: &Context<'_>) -> S3 {
    let trail = aws_sdk_cloudtrail::Client::new(&context.world.sdk);
    S3::with_clients(context.s3.clone(), context.world.control.clone(), trail)
}

fn iam(context: &Context<'_>) -> Iam {
    Iam::new(&context.world.sdk)
}

fn ec2(context: &Context<'_>) -> Ec2 {
    Ec2::new(&context.world.sdk)
}

fn lambda(context: &Context<'_>) -> Lambda {
    Lambda::new(&context.world.sdk)
}

/// Contains in this process: the functions' code, with the default settings and policies.
async fn here<P: Playbook>(context: &Context<'_>, playbook: P, finding: &Finding) -> Result<Value> {
    let variables = [
        ("OWN_ACCOUNT_ID", context.account.as_str()),
        ("DRY_RUN", "false"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_variables(&BTreeMap::from(variables));
    let sns = aws_sdk_sns::Client::new(&context.world.sdk);
    let responder = Responder::new(playbook, config, sns)
        .run_by(context.caller.clone())
        .recording(IncidentStore::new(
            context.dynamodb.clone(),
            table_name(context),
        ));
    let now = context.now();
    let invocation = Invocation {
        id: format!("proof {} by {} at {now}", context.id, context.caller),
        now,
        time_left: TIME,
        look: None,
        trace: None,
    };
    let report = Box::pin(responder.respond(finding.event.clone(), &invocation)).await?;
    serde_json::to_value(report)
        .map_err(|error| Error::Refused(format!("the report cannot be shown: {error}")))
}

/// Makes the table in which the containments are recorded, from which they are released. It has the keys of the
/// stack's, and goes away with the proof.
async fn table(context: &Context<'_>) -> Result<()> {
    let (dynamodb, name) = (&context.dynamodb, table_name(context));
    let unbuilt = |_| lacking("dynamodb:CreateTable", &name, "key");
    let mut call = dynamodb
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder()
            .attribute_name(attribute)
            .key_type(kind);
        call = call
            .attribute_definitions(definition.build().map_err(unbuilt)?)
            .key_schema(element.build().map_err(unbuilt)?);
    }
    for (key, value) in context.tags("record") {
        let tag = aws_sdk_dynamodb::types::Tag::builder()
            .key(key)
            .value(value);
        call = call.tags(tag.build().map_err(unbuilt)?);
    }
    call.send().await.during("dynamodb:CreateTable", &name)?;
    context.made(format!("table {name}"));
    let until = Instant::now() + context.world.patience.new;
    loop {
        let described = dynamodb.describe_table().table_name(&name).send().await;
        let described = described.during("dynamodb:DescribeTable", &name)?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::Refused(format!(
                "table {name} is not active but {status:?}: without it nothing can be released. Try again later"
            )));
        }
        sleep(context.world.patience.pause).await;
    }
}

/// The function's table, if the function can contain the victims of a proof. Else what is in the way.
fn fit(
    name: &str,
    config: &Config,
    context: &Context<'_>,
    dry_run: bool,
) -> std::result::Result<String, String> {
    let refuse = |why: &str| Err(format!("nothing was done: the function {name} {why}"));
    let own = &config.policy.own_account;
    if config.policy.dry_run && !dry_run {
        return refuse("is in a dry run (DRY_RUN is not 'false'): it would contain nothing");
    }
    if !config.policy.dry_run && dry_run {
        return refuse("enforces, and a dry run is asked for");
    }
    if config.policy.mode != ResponseMode::Contain {
        return refuse("does not contain by itself (RESPONSE_MODE is not 'contain')");
    }
    if config.verify_findings {
        return refuse(
            "asks GuardDuty for each finding (VERIFY_FINDINGS), which has none of a proof's: leave --stack out",
        );
    }
    if own.as_ref().is_some_and(|own| *own != context.account) {
        return refuse("is of another account");
    }
    match &config.incident_table {
        Some(table) => Ok(table.clone()),
        None => refuse("records nothing (INCIDENT_TABLE is not set): nothing could be released"),
    }
}

/// Invokes a function and waits for its answer. It is not sent again: the function may still be at work.
async fn invoke(context: &Context<'_>, function: &str, event: &Value) -> Result<Value> {
    let patient = TimeoutConfig::builder()
        .read_timeout(TIME)
        .operation_attempt_timeout(TIME)
        .operation_timeout(TIME)
        .build();
    let config = aws_sdk_lambda::config::Config::builder()
        .timeout_config(patient)
        .retry_config(RetryConfig::disabled());
    let call = context.lambda.invoke().function_name(function);
    let call = call.payload(Blob::new(event.to_string()));
    let answer = call.customize().config_override(config).send().await;
    let answer = answer.during("lambda:InvokeFunction", function)?;
    let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
    if let Some(error) = answer.function_error {
        let said = String::from_utf8_lossy(&payload);
        return Err(Error::Refused(format!(
            "the function {function} failed ({error}): {said}: see its log"
        )));
    }
    serde_json::from_slice(&payload).map_err(|error| {
        Error::Refused(format!(
            "the answer of the function {function} is no report: {error}"
        ))
    })
}

struct Releasing<'a> {
    context: &'a Context<'a>,
    record: IncidentStore,
    finding: &'a Finding,
    allowance: &'a Allowance,
}

impl Releasing<'_> {
    async fn by<P: Playbook>(&self, mut playbook: P) -> Result<Vec<String>> {
        let Self {
            context,
            record,
            finding,
            allowance,
        } = self;
        let incidents = Box::pin(record.incidents_of(&finding.id)).await?;
        let mut put_back = Vec::new();
        for incident in incidents.iter().filter(|it| !it.actions.is_empty()) {
            playbook.configure(&incident.settings);
            let now = context.now();
            let steps = release::plan(&playbook, record, incident, allowance, now);
            let steps = Box::pin(steps).await?;
            let releaser = Releaser {
                by: &context.caller,
                record,
                notices: None,
            };
            let releasing = release::release(
                &playbook,
                &releaser,
                incident,
                steps,
                allowance,
                context.now(),
            );
            let released = Box::pin(releasing).await?;
            for step in &released.steps {
                let came = step.problem.as_deref().unwrap_or("restored");
                put_back.push(format!("{} {}: {came}", step.action, step.target));
            }
            if !released.succeeded() {
                return Err(Error::Refused(format!(
                    "not all was put back: {}",
                    put_back.join("; ")
                )));
            }
        }
        if put_back.is_empty() {
            return Err(Error::Refused(format!(
                "the record has nothing to put back of finding {}",
                finding.id
            )));
        }
        Ok(put_back)
    }
}
