//! The functions `orders` and `reports` of account 111122223333, which have one role, behind mocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_iam::operation as iam;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::Role;
use aws_sdk_lambda::operation as lambda;
use aws_sdk_lambda::types as t;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use testkit::{Rule, mock, mock_client};

use super::super::Lambda;
use super::super::clients::Clients;
use aws::cloudtrail::event_history::EventHistory;
use fixtures::{Protocol, Wire, finding};
use model::finding::Finding;

pub(super) const ARN: &str = "arn:aws:lambda:us-east-1:111122223333:function:orders";
pub(super) const OTHER: &str = "arn:aws:lambda:us-east-1:111122223333:function:reports";
pub(super) const POLICY: &str = "gdr-deny-function-us-east-1-orders";

#[derive(Clone)]
pub(super) struct Account {
    pub(super) concurrency: Option<i32>,
    /// The role that the function has now.
    pub(super) role: &'static str,
    /// The inline policies of each role.
    pub(super) policies: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// Accepts changes and does not keep them.
    pub(super) forgets: bool,
    /// The role has no room for another policy.
    pub(super) full: bool,
    pub(super) durable: bool,
    pub(super) event_sources: Vec<&'static str>,
    pub(super) urls: Vec<&'static str>,
    pub(super) provisioned: Vec<&'static str>,
    /// The names and values of its environment.
    pub(super) environment: Vec<(&'static str, &'static str)>,
    /// What CloudTrail shows.
    pub(super) changes: Vec<&'static str>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            concurrency: None,
            role: "worker",
            policies: BTreeMap::from([("worker", BTreeMap::new()), ("former", BTreeMap::new())]),
            forgets: false,
            full: false,
            durable: false,
            event_sources: Vec::new(),
            urls: Vec::new(),
            provisioned: Vec::new(),
            environment: Vec::new(),
            changes: Vec::new(),
        }
    }
}

pub(super) struct World {
    account: Arc<Mutex<Account>>,
    pub(super) wire: Wire,
    pub(super) playbook: Lambda,
}

pub(super) fn arn_of(role: &str) -> String {
    format!("arn:aws:iam::111122223333:role/service/{role}")
}

pub(super) fn id_of(role: &str) -> String {
    format!("AROA{}", role.to_uppercase())
}

/// What GuardDuty says of a function that calls home.
pub(super) fn detail() -> Value {
    json!({
        "type": "Backdoor:Lambda/C&CActivity.B",
        "severity": 8,
        "resource": {
            "resourceType": "Lambda",
            "lambdaDetails": {
                "functionName": "orders",
                "functionArn": format!("{ARN}:7"),
                "functionVersion": "7",
                "role": arn_of("worker"),
                "tags": [{ "key": "Owner", "value": "team-shop" }],
            },
        },
    })
}

pub(super) fn infected() -> Finding {
    finding(detail())
}

fn playbook(account: &Arc<Mutex<Account>>, wire: &Wire) -> Lambda {
    let trail = mock_client!(aws_sdk_cloudtrail, [trail(account, wire)]);
    let iam = roles(account, &wire.speaking(Protocol::Query));
    Lambda {
        clients: Clients {
            lambda: mock_client!(aws_sdk_lambda, functions(account, wire)),
            iam: mock_client!(aws_sdk_iam, iam),
            trail: EventHistory::with_clients(trail, None),
        },
    }
}

impl World {
    pub(super) fn new(account: Account) -> Self {
        let account = Arc::new(Mutex::new(account));
        let wire = Wire::new(Protocol::Json);
        let playbook = playbook(&account, &wire);
        Self {
            account,
            wire,
            playbook,
        }
    }

    pub(super) fn another_playbook(&self) -> Lambda {
        playbook(&self.account, &self.wire)
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    /// The policy of ours that a role has.
    pub(super) fn deny(&self, role: &str) -> Option<Value> {
        let account = self.now();
        let text = account.policies[role].get(POLICY)?;
        serde_json::from_str(text).ok()
    }

    /// Whether IAM refuses a call with credentials of a role: those of this session, by whatever function the call
    /// comes from, as far as AWS says.
    pub(super) fn refuses(&self, role: &str, session: &str, source: Option<&str>) -> bool {
        let Some(policy) = self.deny(role) else {
            return false;
        };
        let user = format!("{}:{session}", id_of(role));
        let statements = policy["Statement"].as_array().expect("statements").iter();
        statements.into_iter().any(|statement| {
            assert_eq!(
                (&statement["Effect"], &statement["Action"]),
                (&json!("Deny"), &json!("*"))
            );
            let conditions = statement["Condition"].as_object().expect("conditions");
            conditions.iter().all(|(operator, keys)| {
                let keys = keys.as_object().expect("keys").iter();
                keys.into_iter().all(|(key, wanted)| {
                    let found = match key.as_str() {
                        "lambda:SourceFunctionArn" => source,
                        "aws:userid" => Some(user.as_str()),
                        other => panic!("{other}"),
                    };
                    match operator.as_str() {
                        "Null" => found.is_none() == (wanted == "true"),
                        "ArnEquals" | "StringEquals" => found == wanted.as_str(),
                        other => panic!("{other}"),
                    }
                })
            })
        })
    }
}

impl fixtures::World for World {
    type Playbook = Lambda;

    fn playbook(&self) -> &Lambda {
        &self.playbook
    }

    fn wire(&self) -> &Wire {
        &self.wire
    }

    fn is_contained(&self) -> bool {
        let throttled = self.now().concurrency == Some(0);
        throttled && self.refuses("worker", "orders", None)
    }

    /// Only the policies and the breaker look at tags and at the number of functions. All else is read once more
    /// when it is read back.
    fn need_not_tell(&self, operation: &str, always: bool) -> bool {
        let others = ["lambda:GetAccountSettings", "lambda:ListTags"];
        !always || others.contains(&operation)
    }
}

macro_rules! rule {
    ($account:ident, $wire:expr, $client:path, $name:literal, |$now:ident, $request:ident| $body:expr) => {{
        let (account, wire): (Arc<Mutex<Account>>, Wire) = ($account.clone(), $wire.clone());
        mock!($client).then_compute_response(move |$request| {
            wire.answer($name, || {
                let mut guard = account.lock().unwrap();
                let $now = &mut *guard;
                $body
            })
        })
    }};
}

/// What Lambda does. The other function is never asked about.
#[expect(clippy::disallowed_methods, reason = "release is tested too")]
fn functions(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    use aws_sdk_lambda::Client;
    let asked = |name: Option<&str>| assert_eq!(name, Some("orders"));
    vec![
        rule!(
            account,
            wire,
            Client::get_function_concurrency,
            "lambda:GetFunctionConcurrency",
            |now, request| {
                asked(request.function_name());
                Ok(
                    lambda::get_function_concurrency::GetFunctionConcurrencyOutput::builder()
                        .set_reserved_concurrent_executions(now.concurrency)
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::get_function_configuration,
            "lambda:GetFunctionConfiguration",
            |now, request| {
                asked(request.function_name());
                let variables = now.environment.iter();
                let variables =
                    variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                let environment = t::EnvironmentResponse::builder()
                    .set_variables(Some(variables.collect()))
                    .build();
                Ok(
                    lambda::get_function_configuration::GetFunctionConfigurationOutput::builder()
                        .function_name("orders")
                        .role(arn_of(now.role))
                        .runtime(t::Runtime::from("python3.13"))
                        .code_sha256("kD0pm8yYYJHB6k3WE9WWtn1vwo/lWLP5NMHI3dY6vIk=")
                        .last_modified("2026-03-03T12:00:00.000+0000")
                        .timeout(30)
                        .environment(environment)
                        .set_durable_config(
                            now.durable.then(|| t::DurableConfig::builder().build()),
                        )
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::list_tags,
            "lambda:ListTags",
            |_now, request| {
                assert_eq!(request.resource(), Some(ARN));
                Ok(lambda::list_tags::ListTagsOutput::builder()
                    .tags("Owner", "team-shop")
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            Client::get_account_settings,
            "lambda:GetAccountSettings",
            |_now, _request| {
                let usage = t::AccountUsage::builder().function_count(40).build();
                Ok(
                    lambda::get_account_settings::GetAccountSettingsOutput::builder()
                        .account_usage(usage)
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::list_event_source_mappings,
            "lambda:ListEventSourceMappings",
            |now, request| {
                asked(request.function_name());
                let mapped = now.event_sources.iter().map(|arn| {
                    t::EventSourceMappingConfiguration::builder()
                        .event_source_arn(*arn)
                        .state("Enabled")
                        .build()
                });
                Ok(
                    lambda::list_event_source_mappings::ListEventSourceMappingsOutput::builder()
                        .set_event_source_mappings(Some(mapped.collect()))
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::list_function_url_configs,
            "lambda:ListFunctionUrlConfigs",
            |now, request| {
                asked(request.function_name());
                let urls = now.urls.iter().map(|url| {
                    t::FunctionUrlConfig::builder()
                        .function_url(*url)
                        .function_arn(ARN)
                        .creation_time("2026-01-01T00:00:00Z")
                        .last_modified_time("2026-01-01T00:00:00Z")
                        .auth_type(t::FunctionUrlAuthType::None)
                        .build()
                        .expect("a URL")
                });
                let urls: Vec<_> = urls.collect();
                Ok(
                    lambda::list_function_url_configs::ListFunctionUrlConfigsOutput::builder()
                        .set_function_url_configs(Some(urls))
                        .build()
                        .expect("URLs"),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::list_provisioned_concurrency_configs,
            "lambda:ListProvisionedConcurrencyConfigs",
            |now, request| {
                asked(request.function_name());
                let items = now.provisioned.iter().map(|arn| {
                    t::ProvisionedConcurrencyConfigListItem::builder()
                        .function_arn(*arn)
                        .build()
                });
                Ok(
                    lambda::list_provisioned_concurrency_configs::ListProvisionedConcurrencyConfigsOutput::builder()
                        .set_provisioned_concurrency_configs(Some(items.collect()))
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::list_versions_by_function,
            "lambda:ListVersionsByFunction",
            |_now, request| {
                asked(request.function_name());
                let version = |version: &str, hash: &str| {
                    t::FunctionConfiguration::builder()
                        .version(version)
                        .code_sha256(hash)
                        .last_modified("2026-03-03T12:00:00.000+0000")
                        .build()
                };
                Ok(
                    lambda::list_versions_by_function::ListVersionsByFunctionOutput::builder()
                        .versions(version("$LATEST", "newest"))
                        .versions(version("7", "deployed"))
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::put_function_concurrency,
            "lambda:PutFunctionConcurrency",
            |now, request| {
                asked(request.function_name());
                if !now.forgets {
                    now.concurrency = request.reserved_concurrent_executions();
                }
                Ok(
                    lambda::put_function_concurrency::PutFunctionConcurrencyOutput::builder()
                        .build(),
                )
            }
        ),
        rule!(
            account,
            wire,
            Client::delete_function_concurrency,
            "lambda:DeleteFunctionConcurrency",
            |now, request| {
                asked(request.function_name());
                now.concurrency = None;
                Ok(
                    lambda::delete_function_concurrency::DeleteFunctionConcurrencyOutput::builder()
                        .build(),
                )
            }
        ),
    ]
}

fn policies<'a>(
    account: &'a mut Account,
    role: Option<&str>,
) -> Result<&'a mut BTreeMap<String, String>, &'static str> {
    account
        .policies
        .get_mut(role.expect("a role"))
        .ok_or("NoSuchEntity")
}

/// What IAM does.
#[expect(clippy::disallowed_methods, reason = "release is tested too")]
fn roles(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    use aws_sdk_iam::Client;
    vec![
        rule!(
            account,
            wire,
            Client::get_role,
            "iam:GetRole",
            |now, request| {
                let name = request.role_name().expect("a name");
                policies(now, Some(name))?;
                let role = Role::builder()
                    .path("/service/")
                    .role_name(name)
                    .role_id(id_of(name))
                    .arn(arn_of(name))
                    .create_date(DateTime::from_secs(0));
                Ok(iam::get_role::GetRoleOutput::builder()
                    .role(role.build().expect("a role"))
                    .build())
            }
        ),
        rule!(
            account,
            wire,
            Client::get_role_policy,
            "iam:GetRolePolicy",
            |now, request| {
                let name = request.policy_name().expect("a name");
                let document = policies(now, request.role_name())?
                    .get(name)
                    .ok_or("NoSuchEntity")?;
                let document = utf8_percent_encode(document, NON_ALPHANUMERIC).to_string();
                let found = iam::get_role_policy::GetRolePolicyOutput::builder()
                    .role_name(request.role_name().expect("a role"))
                    .policy_name(name)
                    .policy_document(document);
                Ok(found.build().expect("a policy"))
            }
        ),
        rule!(
            account,
            wire,
            Client::put_role_policy,
            "iam:PutRolePolicy",
            |now, request| {
                if now.full {
                    return Err("LimitExceeded");
                }
                let forgets = now.forgets;
                let policies = policies(now, request.role_name())?;
                if !forgets {
                    let name = request.policy_name().expect("a name").to_owned();
                    policies.insert(
                        name,
                        request.policy_document().expect("a document").to_owned(),
                    );
                }
                Ok(iam::put_role_policy::PutRolePolicyOutput::builder().build())
            }
        ),
        rule!(
            account,
            wire,
            Client::delete_role_policy,
            "iam:DeleteRolePolicy",
            |now, request| {
                let name = request.policy_name().expect("a name");
                policies(now, request.role_name())?.remove(name);
                Ok(iam::delete_role_policy::DeleteRolePolicyOutput::builder().build())
            }
        ),
    ]
}

fn trail(account: &Arc<Mutex<Account>>, wire: &Wire) -> Rule {
    use aws_sdk_cloudtrail::Client;
    use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
    rule!(
        account,
        wire,
        Client::lookup_events,
        "cloudtrail:LookupEvents",
        |now, _request| {
            let events = now.changes.iter().map(|name| {
                let record = json!({
                    "eventName": name, "eventSource": "lambda.amazonaws.com",
                    "eventTime": "2026-03-04T04:40:00Z",
                    "userIdentity": { "type": "IAMUser", "userName": "mallory" },
                });
                aws_sdk_cloudtrail::types::Event::builder()
                    .event_name(*name)
                    .cloud_trail_event(record.to_string())
                    .build()
            });
            Ok(LookupEventsOutput::builder()
                .set_events(Some(events.collect()))
                .build())
        }
    )
}
