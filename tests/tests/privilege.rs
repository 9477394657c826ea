//! Each role may do what it needs, and needs what it may do: the functions are run with the roles of the
//! template enforced, and again with one action of them taken away.

pub(crate) mod authority;
mod by_others;
pub(crate) mod calls;
mod conditions;
mod evidence;
mod grants;
mod scenarios;
pub(crate) mod template;
mod world;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use futures::{StreamExt as _, stream};
use integration_tests::{Result, checkout};
use tokio::runtime::Runtime;

use crate::privilege::by_others::{CALLED_ELSEWHERE, USED_BY_LAMBDA};
use crate::privilege::calls::Check;
use crate::privilege::grants::Grant;
use crate::privilege::scenarios::Scenario;
use crate::privilege::world::{Outcome, Run, World};
use integration_tests::stack::RESPONDERS;

/// The settings that bring permissions with them.
const ANY_SETTING: &[(&str, &str)] = &[
    ("Mode", "hub"),
    ("VerifyFindings", "true"),
    ("HandOverSequences", "true"),
    ("ChatNotices", "true"),
    ("SecurityHub", "true"),
    ("EvidenceBucket", "versioned"),
    ("S3AccountBlock", "true"),
    ("S3PolicyDeny", "true"),
    ("S3QuarantineObjects", "true"),
    ("IamMarkContained", "true"),
    ("Ec2CutConnectionsSeconds", "1"),
    ("Ec2RemovePublicAddress", "true"),
    ("Ec2DisableMetadata", "true"),
    ("Ec2ForensicsAccess", "from sg-0123456789abcdef0 tcp/22"),
    ("Ec2AutoScaling", "detach"),
];
/// The one that is in the place of another.
const ON_STANDBY: (&str, &str) = ("Ec2AutoScaling", "standby");

/// How many scenarios are played at once: they mostly wait.
const AT_ONCE: usize = 8;

// One runtime for all tests, since an AWS client's connections die with the runtime that made them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WORLD: LazyLock<World> =
    LazyLock::new(|| RUNTIME.block_on(World::start()).expect("the emulators"));
/// Every scenario, played with the whole of its role.
static PLAYED: LazyLock<Vec<Played>> =
    LazyLock::new(|| RUNTIME.block_on(play_all(&WORLD)).expect("scenarios"));

struct Played {
    scenario: &'static Scenario,
    outcome: Outcome,
    /// What the function's own role was asked and allowed.
    needed: Vec<Check>,
    refused: Vec<String>,
}

async fn play_all(world: &World) -> Result<Vec<Played>> {
    let whole = async |scenario: &'static Scenario| -> Result<Played> {
        let played = play(world, scenario, None).await;
        played.map_err(|error| format!("{}: {error}", scenario.name).into())
    };
    let played = stream::iter(scenarios::all())
        .map(whole)
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut all = Vec::new();
    for played in played {
        let played = played?;
        // On a busy machine the emulators can be slower than a function waits. Played by itself, a scenario
        // fails again only if its role does not suffice.
        let failed = played.scenario.judge(&played.outcome);
        all.push(match failed {
            Some(_) => whole(played.scenario).await?,
            None => played,
        });
    }
    Ok(all)
}

/// Plays a scenario, with the function's own role less what is taken away.
async fn play(world: &World, scenario: &'static Scenario, taken: Option<&Grant>) -> Result<Played> {
    let mut roles = world.roles(scenario)?;
    let own = world.role_in(scenario)?;
    if let Some(grant) = taken {
        for role in roles.values_mut().filter(|role| role.name == own.name) {
            *role = grant.taken_from(role);
        }
    }
    let run = Run {
        world,
        scenario,
        roles,
        seat: Mutex::default(),
        outcome: Mutex::default(),
    };
    (scenario.play)(&run).await?;
    let seat = run.seat.lock().map_err(|_| "a panic")?.clone();
    let allowed = seat.allowed.lock().map_err(|_| "a panic")?;
    let needed = allowed.iter().filter(|(role, _)| *role == own.name);
    let outcome = run.outcome.lock().map_err(|_| "a panic")?.take();
    Ok(Played {
        scenario,
        outcome: outcome.ok_or("nothing was answered")?,
        needed: needed.map(|(_, check)| check.clone()).collect(),
        refused: seat.refused.lock().map_err(|_| "a panic")?.clone(),
    })
}

/// All that the functions' roles are granted, in any setting.
fn granted(world: &World) -> Result<Vec<Grant>> {
    let mut granted = Vec::new();
    for function in RESPONDERS {
        let on_standby = [ANY_SETTING, &[ON_STANDBY]].concat();
        for settings in [ANY_SETTING, &on_standby] {
            let grants = grants::of(function, &world.role(function, settings)?);
            granted.extend(
                grants
                    .into_iter()
                    .filter(|it| !granted.contains(it))
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(granted)
}

/// The scenarios that need the grant.
fn that_need<'a>(world: &World, played: &'a [Played], grant: &Grant) -> Result<Vec<&'a Played>> {
    let mut needing = Vec::new();
    for played in played {
        if played.scenario.function != grant.function {
            continue;
        }
        let role = world.role_in(played.scenario)?;
        for check in &played.needed {
            if grant.allows(&world.judge, &role, check)? {
                needing.push(played);
                break;
            }
        }
    }
    Ok(needing)
}

#[test]
fn with_its_role_enforced_every_scenario_passes() {
    let failed = PLAYED.iter().filter_map(|played| {
        let why = played.scenario.judge(&played.outcome)?;
        let name = played.scenario.name;
        Some(format!("{name}: {why}; refused: {:?}", played.refused))
    });
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn no_granted_action_is_unused() -> Result {
    let mut unused = BTreeSet::new();
    for grant in granted(&WORLD)? {
        if that_need(&WORLD, &PLAYED, &grant)?.is_empty() {
            unused.insert((grant.function, grant.action));
        }
    }
    let by_lambda = USED_BY_LAMBDA.iter();
    let by_lambda = by_lambda.map(|(function, action, _)| (*function, *action));
    let elsewhere = CALLED_ELSEWHERE.iter();
    let elsewhere = elsewhere.map(|(function, action, ..)| (*function, *action));
    // Neither list may hold what a scenario shows by now.
    let by_others: BTreeSet<_> = by_lambda
        .chain(elsewhere)
        .map(|(function, action)| (function, action.to_owned()))
        .collect();
    assert_eq!(unused, by_others);
    for (_, action, _, test, file) in CALLED_ELSEWHERE {
        let text = std::fs::read_to_string(checkout().join(file))?;
        let test = text.split(&format!("fn {test}(")).nth(1);
        assert!(test.is_some(), "no such test in {file} any more: {action}");
    }
    Ok(())
}

#[test]
fn taking_away_any_one_action_makes_a_scenario_fail_that_names_it() -> Result {
    let (world, played) = (&*WORLD, &*PLAYED);
    let mut trials = Vec::new();
    for grant in granted(world)? {
        let needing = that_need(world, played, &grant)?;
        if !needing.is_empty() {
            trials.push((grant, needing));
        }
    }
    assert!(trials.len() > 100, "{} grants", trials.len());
    let unnoticed = RUNTIME.block_on(async {
        let tried = stream::iter(&trials).map(async |(grant, needing)| {
            let mut passed = Vec::new();
            for played in needing {
                let without = play(world, played.scenario, Some(grant)).await?;
                let failed = without.scenario.judge(&without.outcome);
                if failed.is_some() && names(&without.outcome.told, &grant.action) {
                    return Ok(None);
                }
                passed.push((played.scenario.name, failed, without.refused));
            }
            Ok::<_, integration_tests::Error>(Some(format!("{}: {passed:?}", grant.name())))
        });
        tried.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
    });
    let unnoticed: Vec<_> = unnoticed.into_iter().collect::<Result<_>>()?;
    let unnoticed: Vec<_> = unnoticed.into_iter().flatten().collect();
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
    Ok(())
}

/// Whether an action is named: `iam:GetUserPolicy` is not `iam:GetUser`.
fn names(told: &str, action: &str) -> bool {
    let mut rests = told.split(action).skip(1);
    rests.any(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
}

#[test]
fn an_action_whose_name_goes_on_is_another_one() {
    for (told, named) in [
        ("iam:GetUser on alice: AccessDenied", true),
        ("not authorized to perform: iam:GetUser", true),
        ("iam:GetUserPolicy on alice, iam:GetUser on alice", true),
        ("iam:GetUserPolicy on alice: AccessDenied", false),
        ("", false),
    ] {
        assert_eq!(names(told, "iam:GetUser"), named, "{told}");
    }
}

/// Actions that destroy nothing, whatever their names begin with.
const HARMLESS: &[(&str, &str)] = &[
    (
        "autoscaling:DetachInstances",
        "takes an instance out of its group, so that it is not terminated",
    ),
    (
        "sqs:DeleteMessage",
        "Lambda takes a message off the queue that it polls",
    ),
];

#[test]
fn no_role_may_delete_terminate_stop_or_reboot_anything() -> Result {
    let mut grants = granted(&WORLD)?;
    for function in ["S3", "Iam", "Ec2", "Lambda"] {
        grants.extend(grants::of(
            function,
            &WORLD.member_role(function, ANY_SETTING)?,
        ));
    }
    assert!(grants.len() > 150, "{} grants", grants.len());
    let mut met = BTreeSet::new();
    for grant in &grants {
        let name = grant.name();
        assert!(!grant.action.contains(['*', '?']), "{name}");
        let (_, verb) = grant.action.split_once(':').ok_or("no service")?;
        let destroys = [
            "Delete",
            "Terminate",
            "Stop",
            "Reboot",
            "Remove",
            "Detach",
            "Disable",
            "Release",
            "Purge",
        ];
        if destroys.iter().any(|word| verb.starts_with(word)) {
            let harmless = HARMLESS.iter().find(|(action, _)| *action == grant.action);
            let (action, _) = harmless.ok_or_else(|| format!("{name} destroys"))?;
            met.insert(*action);
        }
    }
    let listed: BTreeSet<_> = HARMLESS.iter().map(|(action, _)| *action).collect();
    assert_eq!(met, listed, "an exception that no role needs");
    Ok(())
}
