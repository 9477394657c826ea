//! A function's process that is killed at each of its writes, before and after the write takes effect. The
//! retry completes the containment, and a release brings back what was there before the first attempt.

#![expect(clippy::print_stdout, reason = "the counts are what the test is for")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use integration_tests::faults::{Fault, FaultyAws, Strike};
use integration_tests::lambda::Environment;
use integration_tests::scenario::{all_work, none_works};
use integration_tests::stack::Responder;
use integration_tests::{Result, checkout, stack, unique};
use jiff::Timestamp;
use remediation::record::IncidentStore;
use remediation::release::{self, Allowance, Releaser};

use crate::adversity::world::{World, on_aws};
use crate::faults::target::{Bucket, First, Instance, Key, Route, Session, Target};

/// As the stack gives a function.
const TIME: Duration = Duration::from_secs(120);
/// How many processes at a time.
const AT_ONCE: usize = 4;

/// The program of a responder, and what the deployed stack sets for it, seen through a proxy.
struct Program {
    responder: Responder,
    bootstrap: PathBuf,
    variables: HashMap<String, String>,
}

impl Program {
    async fn of(world: &World, responder: Responder) -> Result<Self> {
        let mut variables = world.stack.variables(responder).await?;
        // Where its calls go is for each process to say.
        variables.retain(|name, _| !name.starts_with("AWS_ENDPOINT_URL"));
        Ok(Self {
            responder,
            bootstrap: checkout()
                .join(stack::BUILD_FOLDER)
                .join(format!("{responder}ResponderFunction/bootstrap")),
            variables,
        })
    }

    async fn start(&self, world: &World, proxy: &FaultyAws) -> Result<Environment> {
        let mut variables = self.variables.clone();
        let mut set = |key: &str, value: &str| variables.insert(key.to_owned(), value.to_owned());
        for (key, value) in world.aws.environment() {
            set(key, value);
        }
        set("AWS_ENDPOINT_URL", &proxy.endpoint);
        // The emulator of EC2 has the role of the instance.
        if self.responder == "Ec2" {
            set("AWS_ENDPOINT_URL_IAM", &proxy.ec2_endpoint);
        }
        for service in [
            "EC2",
            "AUTO_SCALING",
            "ELASTIC_LOAD_BALANCING",
            "ELASTIC_LOAD_BALANCING_V2",
        ] {
            set(&format!("AWS_ENDPOINT_URL_{service}"), &proxy.ec2_endpoint);
        }
        set("AWS_EC2_METADATA_DISABLED", "true");
        Environment::start(&self.bootstrap, &variables).await
    }
}

/// Contains a victim undisturbed, and then kills the process of `responder` at each write that this took, with a
/// new victim each time. Returns how often.
async fn killed_at_each_write<T: Target>(
    world: &'static World,
    responder: Responder,
) -> Result<usize> {
    let program = Program::of(world, responder).await?;
    // The first of its kind makes items in the table that the next ones find.
    undisturbed(world, &program, &T::create(world.aws).await?).await?;
    let proxy = undisturbed(world, &program, &T::create(world.aws).await?).await?;
    let mut strikes = Vec::new();
    for call in proxy.calls().iter().filter(|call| call.writes) {
        for fault in [Fault::KilledBefore, Fault::KilledAfter] {
            strikes.push(Strike {
                operation: call.operation.clone(),
                nth: call.nth,
                times: 1,
                fault,
            });
        }
    }
    let count = strikes.len();
    assert!(count > 0);
    let kills = stream::iter(strikes).map(Ok::<_, integration_tests::Error>);
    kills
        .try_for_each_concurrent(AT_ONCE, |strike| {
            let program = &program;
            async move {
                let victim = T::create(world.aws).await?;
                let original = victim.described().await?;
                let killed = async {
                    let finding = killed_once(world, program, &victim, &strike).await?;
                    let contained = victim.described().await?;
                    if contained == original {
                        return Err(format!("contained, and it is {contained} as before").into());
                    }
                    released(world, &victim, &finding, &original).await
                };
                let killed = Box::pin(killed).await;
                killed.map_err(|error| format!("{responder}, {strike}: {error}").into())
            }
        })
        .await?;
    Ok(count)
}

/// Contains `victim`. Returns what it was seen through.
async fn undisturbed<T: Target>(world: &World, program: &Program, victim: &T) -> Result<FaultyAws> {
    let proxy = FaultyAws::start(world.aws).await?;
    let mut function = program.start(world, &proxy).await?;
    let id = unique("request");
    let answer = function.invoke(&victim.finding()?.0, &id, TIME).await?;
    let report = answer.map_err(|error| format!("the function failed: {error}"))?;
    if report["status"] != "contained" {
        return Err(format!("not contained: {report:#}").into());
    }
    Ok(proxy)
}

async fn killed_once<T: Target>(
    world: &World,
    program: &Program,
    victim: &T,
    strike: &Strike,
) -> Result<String> {
    assert!(all_work(&victim.attack().await?));
    let proxy = FaultyAws::start(world.aws).await?;
    proxy.watch(Some(strike.clone()));
    let finding = victim.finding()?;
    let (event, id) = (&finding.0, unique("request"));
    let mut first = program.start(world, &proxy).await?;
    tokio::select! {
        () = proxy.killed() => first.kill()?,
        answer = first.invoke(event, &id, TIME) => {
            return Err(format!("it ended before it was killed: {:?}", answer?).into());
        }
    }
    proxy.heal();
    let mut second = program.start(world, &proxy).await?;
    let answer = second.invoke(event, &id, TIME).await?;
    let report = answer.map_err(|error| format!("the retry failed: {error}"))?;
    let status = report["status"].as_str().unwrap_or_default();
    if !["contained", "already_contained"].contains(&status) {
        return Err(format!("the retry ended {report:#}").into());
    }
    let attack = victim.attack().await?;
    if !none_works(&attack) {
        return Err(format!("the attack works: {attack:?}").into());
    }
    Ok(finding.id().to_owned())
}

/// Releases the victim, and compares it with what it was `originally`.
async fn released<T: Target>(
    world: &World,
    victim: &T,
    finding_id: &str,
    originally: &str,
) -> Result {
    let playbook = &T::playbook(&Route {
        sdk: world.aws.root(),
        ec2_endpoint: world.aws.ec2_endpoint.clone(),
    });
    let table = world.stack.output("IncidentTable")?.to_owned();
    let record = IncidentStore::new(aws_sdk_dynamodb::Client::new(&world.aws.root()), table);
    let incidents = record.incidents_of(finding_id).await?;
    let [incident] = incidents.as_slice() else {
        return Err(format!("{} incidents", incidents.len()).into());
    };
    let now = Timestamp::now();
    let allowance = Allowance {
        force_drift: false,
        reactivate: victim.keys(),
    };
    let steps = Box::pin(release::plan(playbook, &record, incident, &allowance, now)).await?;
    let releaser = Releaser {
        by: "the operator who runs the tests",
        record: &record,
        notices: None,
    };
    let release = release::release(playbook, &releaser, incident, steps, &allowance, now);
    let released = Box::pin(release).await?;
    if let Some(step) = released.steps.iter().find(|step| step.problem.is_some()) {
        return Err(format!("not released: {step:?}").into());
    }
    let attack = victim.attack().await?;
    if !all_work(&attack) {
        return Err(format!("released, and not as it was: {attack:?}").into());
    }
    let described = victim.described().await?;
    if described != originally {
        return Err(format!("released, and it is {described} instead of {originally}").into());
    }
    Ok(())
}

#[test]
fn a_function_that_is_killed_at_any_of_its_writes_is_completed_by_the_retry() -> Result {
    on_aws(async |world| {
        let buckets = Box::pin(killed_at_each_write::<Bucket>(world, "S3")).await?;
        let keys = Box::pin(killed_at_each_write::<Key>(world, "Iam")).await?;
        let sessions = Box::pin(killed_at_each_write::<Session>(world, "Iam")).await?;
        let instances = killed_at_each_write::<Instance<First>>(world, "Ec2");
        let instances = Box::pin(instances).await?;
        println!(
            "processes killed: {buckets} on a bucket, {keys} on a key, {sessions} on a session, {instances} on an instance"
        );
        Ok(())
    })
}
