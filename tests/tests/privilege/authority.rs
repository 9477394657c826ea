//! IAM between a function and the emulators: each request is sent on only if the function's role allows
//! all that it needs.
//!
//! One emulator enforces IAM for its own services, and knows few condition keys; the other not at all.
//! So the roles are enforced here, where the request leaves the SDK, for both of them alike.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use integration_tests::{LocalAws, Result, checkout};
use serde_json::{Value, json};

use crate::privilege::calls::{Call, Check, Context};

/// The evaluator of policies, in a process of its own.
pub(crate) struct Judge {
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Judge {
    pub(crate) fn start() -> Result<Self> {
        let root = checkout();
        let mut process = Command::new(root.join(".local/emulators/bin/python"))
            .arg(root.join("tests/local_aws/judge.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let process = Mutex::new((process, input, output));
        Ok(Self { process })
    }

    /// Whether the role allows it, in an account whose resources are the role's own account's.
    pub(crate) fn allows(&self, role: &Role, check: &Check) -> Result<bool> {
        self.allows_in(role, check, &role.account)
    }

    /// The same, on a resource that is in another account perhaps.
    pub(crate) fn allows_in(&self, role: &Role, check: &Check, account: &str) -> Result<bool> {
        let session = format!(
            "arn:aws:sts::{}:assumed-role/{}/function",
            role.account, role.name
        );
        self.lets(&session, &role.policies, check, account)
    }

    /// Whether these policies allow it to whom `aws:PrincipalArn` is.
    pub(crate) fn lets(
        &self,
        principal: &str,
        policies: &[Value],
        check: &Check,
        account: &str,
    ) -> Result<bool> {
        let asked = json!({
            "principal": principal,
            "resource_account": account,
            "action": check.action,
            "resource": check.resource,
            "region": "us-east-1",
            "context": check.context,
            "policies": policies.iter().map(Value::to_string).collect::<Vec<_>>(),
        });
        let mut process = self.process.lock().map_err(|_| "the judge is gone")?;
        let (_, input, output) = &mut *process;
        writeln!(input, "{asked}")?;
        input.flush()?;
        let mut verdict = String::new();
        output.read_line(&mut verdict)?;
        match verdict.trim() {
            "Allow" => Ok(true),
            "Deny" | "ImplicitDeny" => Ok(false),
            other => Err(format!("the judge says '{other}' to {asked}").into()),
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        if let Ok((process, ..)) = self.process.get_mut() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// A role with the policies that it has in a run.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) policies: Vec<Value>,
}

/// An answer that the emulators do not give.
#[derive(Clone, Debug)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Who calls in a run, and what came of it.
#[derive(Default)]
pub(crate) struct Seat {
    /// By the access key with which they sign.
    pub(crate) roles: BTreeMap<String, Role>,
    /// By the action that is answered so, if it is allowed.
    pub(crate) canned: BTreeMap<&'static str, Canned>,
    /// What was needed and allowed, with the name of the role.
    pub(crate) allowed: Mutex<Vec<(String, Check)>>,
    pub(crate) refused: Mutex<Vec<String>>,
    /// The permissions boundaries that were set, by the name of the user or role. The emulator of IAM
    /// does not have the one policy of AWS that is set.
    pub(crate) boundaries: Mutex<BTreeMap<String, String>>,
}

/// Sends on what is allowed.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) aws: Arc<LocalAws>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) http: SharedHttpClient,
    pub(crate) seat: Arc<Seat>,
    /// Whether IAM is asked of the emulator that knows instance profiles.
    pub(crate) iam_of_instances: bool,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Connector {
    authority: Authority,
    inner: SharedHttpConnector,
}

impl HttpClient for Authority {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            authority: self.clone(),
            inner: self.http.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (authority, inner) = (self.authority.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            let answer = authority.answer(inner, request).await;
            answer.map_err(|error| ConnectorError::other(error, None))
        })
    }
}

impl Authority {
    async fn answer(
        &self,
        inner: SharedHttpConnector,
        mut request: HttpRequest,
    ) -> Result<HttpResponse> {
        let call = Call::read(&request)?;
        let action = call.action()?;
        let role = self.seat.roles.get(&call.key);
        let role = role.ok_or_else(|| format!("{action} by a stranger, {}", call.key))?;
        let tags = self.tags(&call).await?;
        for mut check in call.checks(&role.account)? {
            check.context.extend(tags.clone());
            check.context.extend(self.function(role));
            if self.judge.allows(role, &check)? {
                let mut allowed = self.seat.allowed.lock().map_err(|_| "a panic")?;
                allowed.push((role.name.clone(), check));
            } else {
                let mut refused = self.seat.refused.lock().map_err(|_| "a panic")?;
                refused.push(check.action.clone());
                return refusal(&call, role, &check);
            }
        }
        if let Some(canned) = self.seat.canned.get(action.as_str()) {
            return response(canned.status, canned.body.clone());
        }
        if let (true, Some(boundary)) = (
            action.ends_with("PermissionsBoundary"),
            call.field("PermissionsBoundary"),
        ) {
            let mut boundaries = self.seat.boundaries.lock().map_err(|_| "a panic")?;
            boundaries.insert(call.principal().to_owned(), boundary.to_owned());
            return response(200, "<Response/>".to_owned());
        }
        let (_, path) = request
            .uri()
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .unwrap_or_default();
        let uri = format!("{}/{path}", self.emulator(&call));
        request.set_uri(uri)?;
        // The emulator of EC2 has one account, which owns the groups of members too.
        if call.service == "ec2"
            && let Some(body) = request.body().bytes().map(String::from_utf8_lossy)
        {
            let owned = body.replace(&role.account, &self.aws.account_id);
            *request.body_mut() = SdkBody::from(owned);
        }
        let answer = inner.call(request).await?;
        let boundaries = self.seat.boundaries.lock().map_err(|_| "a panic")?.clone();
        match boundaries.get(call.principal()) {
            Some(boundary) if action == "iam:GetUser" || action == "iam:GetRole" => {
                let body = ByteStream::new(answer.into_body()).collect().await?;
                let body = String::from_utf8(body.to_vec())?;
                let boundary = format!(
                    "<Path>/</Path><PermissionsBoundary><PermissionsBoundaryArn>{boundary}\
                     </PermissionsBoundaryArn></PermissionsBoundary>"
                );
                response(200, body.replacen("<Path>/</Path>", &boundary, 1))
            }
            _ => Ok(answer),
        }
    }

    /// What Lambda adds to a call by a function's own role.
    fn function(&self, role: &Role) -> Option<(String, Value)> {
        let name = role.name.replace("Role-", "Function-");
        let (region, account) = (&self.aws.region, &self.aws.account_id);
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        let own = role.account == *account && name != role.name;
        own.then(|| ("lambda:SourceFunctionArn".to_owned(), json!(arn)))
    }

    fn emulator(&self, call: &Call) -> &str {
        let instances = ["ec2", "autoscaling", "elasticloadbalancing"];
        let of_instances = instances.contains(&call.service.as_str())
            || call.is_of_account()
            || (call.service == "iam" && self.iam_of_instances);
        if of_instances {
            &self.aws.ec2_endpoint
        } else {
            &self.aws.endpoint
        }
    }

    /// The tags of the security group that a call changes.
    async fn tags(&self, call: &Call) -> Result<Context> {
        let mut context = Context::new();
        let Some(group) = call.security_group() else {
            return Ok(context);
        };
        let of_group = aws_sdk_ec2::types::Filter::builder()
            .name("resource-id")
            .values(group)
            .build();
        let ec2 = self.aws.ec2_in(&call.region);
        let found = ec2.describe_tags().filters(of_group).send();
        for tag in found.await?.tags() {
            let key = format!("aws:ResourceTag/{}", tag.key().unwrap_or_default());
            context.insert(key, json!(tag.value()));
        }
        Ok(context)
    }
}

/// What AWS answers, in the words of the service.
fn refusal(call: &Call, role: &Role, check: &Check) -> Result<HttpResponse> {
    let message = format!(
        "User: arn:aws:sts::{}:assumed-role/{}/function is not authorized to perform: {} on resource: {}",
        role.account, role.name, check.action, check.resource,
    );
    let xml =
        |code: &str| format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    match call.service.as_str() {
        // S3's control of accounts wraps its errors, and S3 itself does not.
        "s3" if !call.is_of_account() => response(403, xml("AccessDenied")),
        "ec2" => {
            let error = xml("UnauthorizedOperation");
            response(
                403,
                format!("<Response><Errors>{error}</Errors></Response>"),
            )
        }
        "s3" | "iam" | "sts" | "sns" | "autoscaling" | "elasticloadbalancing" => {
            let error = xml("AccessDenied");
            response(403, format!("<ErrorResponse>{error}</ErrorResponse>"))
        }
        _ => response(
            403,
            json!({ "__type": "AccessDeniedException", "message": message }).to_string(),
        ),
    }
}

fn response(status: u16, body: String) -> Result<HttpResponse> {
    Ok(HttpResponse::new(status.try_into()?, SdkBody::from(body)))
}
