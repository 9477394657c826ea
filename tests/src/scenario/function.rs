//! A Lambda function whose code the attacker controls, beside another one with the same role.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::client::Waiters as _;
use aws_sdk_cloudformation::types::Capability;
use aws_sdk_iam::config::Credentials;
use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_sts::Client as Sts;
use serde_json::json;

use super::credentials::{list_buckets_policy, session};
use super::{Observation, Scenario, lists_buckets};
use crate::finding::Finding;
use crate::{LocalAws, Result, unique};

/// The code of the functions.
const CODE: &str = "def handler(event, context):\n    return 'done'\n";

/// Two functions with one role. The attacker invokes the first, and has carried its credentials off.
pub struct HijackedFunction<'a> {
    aws: &'a LocalAws,
    /// The root user of its account.
    root: SdkConfig,
    account: String,
    name: String,
    other: String,
    role_arn: String,
    stolen: Credentials,
    of_other: Credentials,
}

impl<'a> HijackedFunction<'a> {
    /// Makes both. `concurrency`: what is reserved for the first, if anything.
    pub async fn create(aws: &'a LocalAws, concurrency: Option<i32>) -> Result<Self> {
        Self::of(aws, aws.root(), &aws.account_id, concurrency).await
    }

    /// [`HijackedFunction::create`] in an account, with its root user.
    pub async fn of(
        aws: &'a LocalAws,
        root: SdkConfig,
        account: &str,
        concurrency: Option<i32>,
    ) -> Result<Self> {
        let (name, other) = (unique("orders"), unique("reports"));
        let stack = unique("shop");
        let cloudformation = aws_sdk_cloudformation::Client::new(&root);
        let create = cloudformation.create_stack().stack_name(&stack);
        let create = create.template_body(template(account, &name, &other));
        let create = create.capabilities(Capability::CapabilityIam);
        create.send().await?;
        let made = cloudformation.wait_until_stack_create_complete();
        let made = made.stack_name(&stack).wait(Duration::from_secs(60)).await;
        made.map_err(|error| format!("{stack}: {error}"))?;
        let lambda = aws_sdk_lambda::Client::new(&root);
        if let Some(concurrency) = concurrency {
            let reserve = lambda.put_function_concurrency().function_name(&name);
            let reserve = reserve.reserved_concurrent_executions(concurrency);
            reserve.send().await?;
        }
        let described = lambda.get_function_configuration().function_name(&name);
        let role_arn = described.send().await?.role.ok_or("no role")?;
        let sts = Sts::new(&root);
        // Lambda names the session of a function after it.
        let assume = async |function: &str| {
            let assume = sts.assume_role().role_arn(&role_arn);
            session(assume.role_session_name(function).send().await?.credentials)
        };
        let (stolen, of_other) = (assume(&name).await?, assume(&other).await?);
        Ok(Self {
            aws,
            root,
            account: account.to_owned(),
            name,
            other,
            role_arn,
            stolen,
            of_other,
        })
    }

    #[must_use]
    pub fn role_name(&self) -> &str {
        self.role_arn.rsplit('/').next().unwrap_or_default()
    }

    /// The concurrency that is reserved now.
    pub async fn concurrency(&self) -> Result<Option<i32>> {
        let lambda = aws_sdk_lambda::Client::new(&self.root);
        let read = lambda.get_function_concurrency().function_name(&self.name);
        Ok(read.send().await?.reserved_concurrent_executions)
    }

    async fn invokes(&self, who: &str, function: &str) -> Result<Observation> {
        let lambda = aws_sdk_lambda::Client::new(&self.root);
        let answer = lambda.invoke().function_name(function).send().await;
        let (works, evidence) = match answer {
            Ok(answer) => (
                answer.function_error.is_none(),
                format!("status {}", answer.status_code),
            ),
            Err(error) if error.code() == Some("TooManyRequestsException") => {
                (false, "refused: TooManyRequestsException".to_owned())
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Observation {
            what: format!("{who} invokes {function}"),
            works,
            evidence,
        })
    }
}

/// CloudFormation puts the code of a function into an archive.
fn template(account: &str, name: &str, other: &str) -> String {
    let function = |name: &str| {
        json!({
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": name, "Runtime": "python3.12", "Handler": "index.handler",
                "Role": { "Fn::GetAtt": ["Role", "Arn"] }, "Code": { "ZipFile": CODE },
            },
        })
    };
    let policy: serde_json::Value =
        serde_json::from_str(&list_buckets_policy()).unwrap_or_default();
    json!({
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{
                            "Effect": "Allow", "Action": "sts:AssumeRole",
                            "Principal": {
                                "Service": "lambda.amazonaws.com",
                                "AWS": format!("arn:aws:iam::{account}:root"),
                            },
                        }],
                    },
                    "Policies": [{ "PolicyName": "ListBuckets", "PolicyDocument": policy }],
                },
            },
            "First": function(name),
            "Second": function(other),
        },
    })
    .to_string()
}

impl Scenario for HijackedFunction<'_> {
    fn finding(&self) -> Result<Finding> {
        let (region, account) = (&self.aws.region, &self.account);
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{}", self.name);
        let member = |name: &str| format!("/resource/lambdaDetails/{name}");
        Ok(Finding::function_calls_home()?
            .with("/accountId", account.as_str())
            .with(&member("functionName"), self.name.as_str())
            .with(&member("functionArn"), format!("{arn}:$LATEST"))
            .with(&member("role"), self.role_arn.as_str()))
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        let who = "the thief, with the function's credentials,";
        Ok(vec![
            self.invokes("the attacker", &self.name).await?,
            lists_buckets(self.aws, who, &self.stolen).await?,
        ])
    }

    async fn bystanders(&self) -> Result<Vec<Observation>> {
        let who = "the other function of the role";
        Ok(vec![
            self.invokes("a colleague", &self.other).await?,
            lists_buckets(self.aws, who, &self.of_other).await?,
        ])
    }
}
