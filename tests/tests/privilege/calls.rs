//! What a request to AWS needs permission for: actions, on resources, with condition keys, after the
//! Service Authorization Reference,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use integration_tests::Result;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(crate) type Context = BTreeMap<String, Value>;

/// Something that a role must be allowed.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: Context,
}

/// A request, taken apart.
#[derive(Debug)]
pub(crate) struct Call {
    /// The key that signed it.
    pub(crate) key: String,
    pub(crate) service: String,
    pub(crate) region: String,
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    form: BTreeMap<String, String>,
    json: Value,
    /// The body as it is.
    text: String,
    /// Of services that speak JSON: what they are asked to do.
    target: Option<String>,
}

impl Call {
    pub(crate) fn read(request: &HttpRequest) -> Result<Self> {
        let signed = request.headers().get("authorization").unwrap_or_default();
        let credential = signed.split("Credential=").nth(1).unwrap_or_default();
        let mut scope = credential.split(',').next().unwrap_or_default().split('/');
        let mut next = || scope.next().unwrap_or_default().to_owned();
        let (key, _date, region, service) = (next(), next(), next(), next());
        let address = request.uri().split("://").nth(1).unwrap_or_default();
        let (_, path) = address.split_once('/').unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let body = request.body().bytes().unwrap_or_default();
        let body = String::from_utf8_lossy(body);
        let target = request.headers().get("x-amz-target");
        Ok(Self {
            key,
            service,
            region,
            method: request.method().to_owned(),
            path: format!("/{path}"),
            query: pairs(query),
            json: serde_json::from_str(&body).unwrap_or_default(),
            form: pairs(&body),
            text: body.into_owned(),
            target: target.and_then(|target| target.split('.').nth(1).map(str::to_owned)),
        })
    }

    /// The service and the operation, by the name of the permission that it needs.
    pub(crate) fn action(&self) -> Result<String> {
        let operation = match self.service.as_str() {
            "s3" => self.s3_action(),
            "guardduty" if self.path.ends_with("/findings/get") => Some("GetFindings"),
            "guardduty" => Some("ListDetectors"),
            "lambda" => self.lambda_action(),
            // A transaction needs the permission of each of its parts.
            "dynamodb" if self.target.as_deref() == Some("TransactWriteItems") => {
                Some("UpdateItem")
            }
            _ => self.target.as_deref().or(self.field("Action")),
        };
        let operation = operation.ok_or_else(|| format!("not a known request: {self:?}"))?;
        Ok(format!("{}:{operation}", self.service))
    }

    fn lambda_action(&self) -> Option<&'static str> {
        let part = self.path.trim_end_matches('/').rsplit('/').next()?;
        Some(match (self.method.as_str(), part) {
            ("POST", "invocations") => "InvokeFunction",
            ("GET", "concurrency") => "GetFunctionConcurrency",
            ("PUT", "concurrency") => "PutFunctionConcurrency",
            ("GET", "configuration") => "GetFunctionConfiguration",
            ("GET", "provisioned-concurrency") => "ListProvisionedConcurrencyConfigs",
            ("GET", "urls") => "ListFunctionUrlConfigs",
            ("GET", "versions") => "ListVersionsByFunction",
            ("GET", "account-settings") => "GetAccountSettings",
            ("GET", "event-source-mappings") => "ListEventSourceMappings",
            ("GET", _) if self.path.contains("/tags/") => "ListTags",
            _ => return None,
        })
    }

    fn s3_action(&self) -> Option<&'static str> {
        let asks = |name: &str| self.query.contains_key(name);
        if self.is_of_account() {
            return match (self.path.rsplit('/').next()?, self.method.as_str()) {
                ("publicAccessBlock", "GET") => Some("GetAccountPublicAccessBlock"),
                ("publicAccessBlock", "PUT") => Some("PutAccountPublicAccessBlock"),
                ("accesspoint", "GET") => Some("ListAccessPoints"),
                _ => None,
            };
        }
        if self.is_of_object() && asks("tagging") {
            return match (self.method.as_str(), asks("versionId")) {
                ("GET", false) => Some("GetObjectTagging"),
                ("GET", true) => Some("GetObjectVersionTagging"),
                ("PUT", false) => Some("PutObjectTagging"),
                ("PUT", true) => Some("PutObjectVersionTagging"),
                _ => None,
            };
        }
        match self.method.as_str() {
            "HEAD" => Some("ListBucket"),
            "GET" if asks("versions") => Some("ListBucketVersions"),
            "GET" if asks("acl") => Some("GetBucketAcl"),
            "GET" if asks("ownershipControls") => Some("GetBucketOwnershipControls"),
            "GET" if asks("policy") => Some("GetBucketPolicy"),
            "GET" if asks("policyStatus") => Some("GetBucketPolicyStatus"),
            "GET" if asks("publicAccessBlock") => Some("GetBucketPublicAccessBlock"),
            "GET" if asks("tagging") => Some("GetBucketTagging"),
            "GET" if asks("website") => Some("GetBucketWebsite"),
            "PUT" if asks("policy") => Some("PutBucketPolicy"),
            "PUT" if asks("publicAccessBlock") => Some("PutBucketPublicAccessBlock"),
            "PUT" if self.is_of_object() => Some("PutObject"),
            _ => None,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form.get(name).map(String::as_str)
    }

    /// The fields whose names begin and end so, as in `TagSpecification.1.Tag.1.Key`.
    fn fields(&self, prefix: &str, suffix: &str) -> Vec<&str> {
        let fields = self.form.iter();
        fields
            .filter(|(name, _)| name.starts_with(prefix) && name.ends_with(suffix))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// What the caller must be allowed in `account`.
    pub(crate) fn checks(&self, account: &str) -> Result<Vec<Check>> {
        let action = self.action()?;
        let (service, region) = (self.service.as_str(), self.region.as_str());
        let json = |name: &str| self.json[name].as_str().unwrap_or_default();
        let here = |name: &str| format!("arn:aws:{service}:{region}:{account}:{name}");
        let on = |resource: String| one(&action, resource, Context::new());
        Ok(match service {
            "s3" if self.is_of_account() => on("*".to_owned()),
            "s3" => {
                let bucket = self.path.split('/').nth(1).unwrap_or_default();
                let named = if self.is_of_object() {
                    self.path.trim_start_matches('/')
                } else {
                    bucket
                };
                let resource = format!("arn:aws:s3:::{}", decoded(named));
                one(&action, resource, self.object_tags())
            }
            "iam" => self.of_iam(&action, account),
            "sts" => self.of_sts(&action),
            "ec2" => self.of_ec2(&action, account)?,
            "autoscaling" => match self.field("AutoScalingGroupName") {
                Some(group) => on(here(&format!(
                    "autoScalingGroup:0123abcd:autoScalingGroupName/{group}"
                ))),
                None => on("*".to_owned()),
            },
            "elasticloadbalancing" if action.contains(":Describe") => on("*".to_owned()),
            "elasticloadbalancing" => {
                let balancer = self.field("LoadBalancerName");
                let balancer = balancer.map(|name| here(&format!("loadbalancer/{name}")));
                let group = self.field("TargetGroupArn").map(str::to_owned);
                on(group.or(balancer).ok_or("no target of a load balancer")?)
            }
            "sns" => on(self.field("TopicArn").unwrap_or_default().to_owned()),
            "sqs" => {
                let queue = json("QueueUrl").rsplit('/').next().unwrap_or_default();
                on(here(queue))
            }
            "dynamodb" => {
                let parts = self.json["TransactItems"].as_array().into_iter().flatten();
                let parts = parts.map(|part| &part["Update"]).chain([&self.json]);
                let writes = parts.filter_map(|it| Some((it["TableName"].as_str()?, it)));
                let checks = writes.flat_map(|(table, write)| {
                    let key = json!([write["Key"]["pk"]["S"]]);
                    let context = [("dynamodb:LeadingKeys".to_owned(), key)];
                    one(&action, here(&format!("table/{table}")), context.into())
                });
                checks.collect()
            }
            "events" => {
                let entries = self.json["Entries"].as_array().into_iter().flatten();
                let sources: Vec<_> = entries.map(|entry| entry["Source"].clone()).collect();
                let context = [("events:source".to_owned(), Value::Array(sources))];
                one(&action, here("event-bus/default"), context.into())
            }
            "ssm" => on(here(&format!("parameter{}", json("Name")))),
            "lambda" => {
                let named = self.path.split('/').nth(3).unwrap_or_default();
                let named = decoded(named);
                on(match named.as_str() {
                    // It knows no resource.
                    "" => "*".to_owned(),
                    arn if arn.starts_with("arn:") => named,
                    name => here(&format!("function:{name}")),
                })
            }
            "cloudtrail" | "guardduty" => on("*".to_owned()),
            other => return Err(format!("{other} is not known here").into()),
        })
    }

    fn of_iam(&self, action: &str, account: &str) -> Vec<Check> {
        let here = |kind: &str, name: &str| format!("arn:aws:iam::{account}:{kind}/{name}");
        let mut context = self.tags("Tags.member.", "");
        if let Some(policy) = self.field("PolicyArn") {
            context.insert("iam:PolicyARN".to_owned(), json!(policy));
        }
        if let Some(boundary) = self.field("PermissionsBoundary") {
            context.insert("iam:PermissionsBoundary".to_owned(), json!(boundary));
        }
        let named = [
            ("UserName", "user"),
            ("RoleName", "role"),
            ("GroupName", "group"),
            ("InstanceProfileName", "instance-profile"),
        ];
        let named = named.iter().find_map(|(field, kind)| {
            let name = self.field(field)?;
            Some(here(kind, name))
        });
        let arn = self.field("PolicyArn").or(self.field("Arn"));
        // It is allowed on the key's owner, whom the call does not name.
        let owner = (action == "iam:GetAccessKeyLastUsed").then(|| here("user", "owner"));
        let resource = named.or(arn.map(str::to_owned)).or(owner);
        one(action, resource.unwrap_or_else(|| "*".to_owned()), context)
    }

    fn of_sts(&self, action: &str) -> Vec<Check> {
        let role = self.field("RoleArn").unwrap_or_default();
        let key = |key: &str, field: &str| {
            let value = self.field(field)?;
            Some((key.to_owned(), json!(value)))
        };
        let identity = key("sts:SourceIdentity", "SourceIdentity");
        let mut context: Context = identity.clone().into_iter().collect();
        let of_identity = identity
            .is_some()
            .then(|| one("sts:SetSourceIdentity", role.to_owned(), context.clone()));
        context.extend(key("sts:ExternalId", "ExternalId"));
        context.extend(key("sts:RoleSessionName", "RoleSessionName"));
        let organization = ["aws:PrincipalOrgID", "aws:ResourceOrgID"];
        context.extend(organization.map(|key| (key.to_owned(), json!(ORGANIZATION))));
        let mut checks = one(action, role.to_owned(), context);
        checks.extend(of_identity.into_iter().flatten());
        checks
    }

    /// An EC2 call is allowed only if it is on each of the resources that it concerns.
    fn of_ec2(&self, action: &str, account: &str) -> Result<Vec<Check>> {
        if action.starts_with("ec2:Describe") {
            return Ok(one(action, "*".to_owned(), Context::new()));
        }
        let region = &self.region;
        let here = |kind: &str, id: &str| format!("arn:aws:ec2:{region}:{account}:{kind}/{id}");
        let snapshot = format!("arn:aws:ec2:{region}::snapshot/snap-new");
        let field = |name: &str| self.field(name).unwrap_or_default();
        let plain = |resource: String| one(action, resource, Context::new());
        // Tags that a call gives to what it makes need a permission of their own.
        let creating = |resource: &str| {
            let mut context = self.tags("TagSpecification.", "Tag.");
            let made_by = action.split(':').nth(1);
            let mut checks = one(action, resource.to_owned(), context.clone());
            if !context.is_empty() {
                context.insert("ec2:CreateAction".to_owned(), json!(made_by));
                checks.extend(one("ec2:CreateTags", resource.to_owned(), context));
            }
            checks
        };
        Ok(match action {
            "ec2:GetConsoleOutput" | "ec2:ModifyInstanceMetadataOptions" => {
                plain(here("instance", field("InstanceId")))
            }
            "ec2:ModifyInstanceAttribute" => {
                let volumes = self.fields("BlockDeviceMapping.", ".Ebs.VolumeId");
                let volumes = volumes.iter().map(|volume| here("volume", volume));
                let instance = here("instance", field("InstanceId"));
                volumes.chain([instance]).flat_map(plain).collect()
            }
            "ec2:ModifyNetworkInterfaceAttribute" => {
                let groups = self.fields("SecurityGroupId.", "");
                let groups = groups.iter().map(|group| here("security-group", group));
                let interface = here("network-interface", field("NetworkInterfaceId"));
                groups.chain([interface]).flat_map(plain).collect()
            }
            "ec2:CreateSecurityGroup" => {
                let mut checks = creating(&here("security-group", "sg-new"));
                checks.extend(plain(here("vpc", field("VpcId"))));
                checks
            }
            "ec2:RevokeSecurityGroupEgress"
            | "ec2:RevokeSecurityGroupIngress"
            | "ec2:AuthorizeSecurityGroupEgress"
            | "ec2:AuthorizeSecurityGroupIngress" => {
                plain(here("security-group", field("GroupId")))
            }
            "ec2:GetManagedPrefixListEntries" => plain(here("prefix-list", field("PrefixListId"))),
            "ec2:CreateSnapshots" => {
                let mut checks = creating(&snapshot);
                checks.extend(plain(here(
                    "instance",
                    field("InstanceSpecification.InstanceId"),
                )));
                checks.extend(plain(here("volume", "vol-attached")));
                checks
            }
            "ec2:DisassociateAddress" => [
                here("elastic-ip", field("AssociationId")),
                here("network-interface", "eni-of-it"),
            ]
            .into_iter()
            .flat_map(plain)
            .collect(),
            "ec2:CreateTags" => {
                let context = self.tags("Tag.", "");
                let resources = self.fields("ResourceId.", "");
                let kind = |id: &str| match id.split('-').next() {
                    Some("i") => "instance",
                    Some("eni") => "network-interface",
                    Some("vol") => "volume",
                    Some("sg") => "security-group",
                    _ => "other",
                };
                let checks = resources.iter();
                checks
                    .flat_map(|id| one(action, here(kind(id), id), context.clone()))
                    .collect()
            }
            other => return Err(format!("what {other} concerns is not known here").into()),
        })
    }

    /// The user or role that a call to IAM names.
    pub(crate) fn principal(&self) -> &str {
        let named = self.field("UserName").or(self.field("RoleName"));
        named.unwrap_or_default()
    }

    /// Whether it is of S3's control of accounts.
    pub(crate) fn is_of_account(&self) -> bool {
        self.service == "s3" && self.path.starts_with("/v20180820/")
    }

    /// Whether it is about an object and not about its bucket.
    fn is_of_object(&self) -> bool {
        let mut parts = self.path.trim_start_matches('/').splitn(2, '/');
        self.service == "s3"
            && !self.is_of_account()
            && parts.nth(1).is_some_and(|key| !key.is_empty())
    }

    /// The condition keys of the tags that a request gives an object.
    fn object_tags(&self) -> Context {
        let within = |text: &str, name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            Some(rest.split_once("</")?.0.to_owned())
        };
        let tags = self.text.split("<Tag>").skip(1).filter_map(|tag| {
            let key = format!("s3:RequestObjectTag/{}", within(tag, "Key")?);
            Some((key, json!(within(tag, "Value")?)))
        });
        tags.collect()
    }

    /// The security group whose tags a condition may ask for.
    pub(crate) fn security_group(&self) -> Option<&str> {
        self.field("GroupId")
    }

    /// The condition keys of the tags that a request gives, in fields such as `Tag.1.Key`.
    fn tags(&self, prefix: &str, inner: &str) -> Context {
        let mut context = Context::new();
        let mut keys = Vec::new();
        for (name, key) in &self.form {
            let is_key = name.starts_with(prefix) && name.contains(inner) && name.ends_with(".Key");
            if !is_key {
                continue;
            }
            let value = name.replace(".Key", ".Value");
            let value = self.field(&value).unwrap_or_default();
            context.insert(format!("aws:RequestTag/{key}"), json!(value));
            keys.push(key.clone());
        }
        if !keys.is_empty() {
            context.insert("aws:TagKeys".to_owned(), json!(keys));
        }
        context
    }
}

/// The organization of all accounts.
pub(crate) const ORGANIZATION: &str = "o-a1b2c3d4e5";

fn one(action: &str, resource: String, context: Context) -> Vec<Check> {
    vec![Check {
        action: action.to_owned(),
        resource,
        context,
    }]
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
