//! Who else is hit when an instance is contained, and who is spared.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::world::{ID, Table, infected_with};
use super::*;
use fixtures::hostile::recording::incidents;
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{ENFORCING, case, case_text, enforcing, finding, now};
use model::finding::Finding;
use model::plan::{Action as _, Phase, Step};
use model::settings::Ec2Settings;
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::approve::{Approver, approve};
use remediation::policy_parameter::PolicyParameter;
use remediation::record::Incident;

const DENY: &str = "iam:DenyInstanceCredentials";
const ROLE: &str = "arn:aws:iam::111122223333:role/web";

/// An instance through which two subnets, and those of the main route table, go out.
fn forwarding() -> Account {
    let mut account = prepared([], []);
    account.interfaces.get_mut("eni-1").unwrap().unchecked = true;
    account.tables = vec![
        Table {
            id: "rtb-private",
            destination: "0.0.0.0/0",
            to: "eni-1",
            subnets: &["subnet-a", "subnet-b"],
            main: false,
        },
        Table {
            id: "rtb-main",
            destination: "10.8.0.0/16",
            to: "eni-1",
            subnets: &[],
            main: true,
        },
    ];
    account
}

/// The account's instance as it was before: its groups, its credentials, its places.
fn is_untouched(world: &World) -> bool {
    let groups = world.groups_of("eni-1") == ["sg-app", "sg-db", "sg-ssh"];
    let account = world.now();
    groups && account.policies.is_empty() && account.history.is_empty()
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_forwards_for_others_waits_for_approval_with_who_loses_the_way_out() {
    let world = World::new(Account {
        scaling: Some(("nat-asg".to_owned(), "InService")),
        ..forwarding()
    });
    for _ in 0..2 {
        let (report, transient) = answer(&world.playbook, &case("forwarding-instance")).await;
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(transient.is_none());
        assert!(is_untouched(&world));
        for (action, target) in [(ISOLATE, "eni-1"), (DENY, ROLE)] {
            let (outcome, why) = step(&report, action, target);
            assert_eq!(outcome, Outcome::Withheld);
            for said in ["subnet-a", "subnet-b", "vpc-a", "10.8.0.0/16", "approved"] {
                assert!(why.contains(said), "{said}: {why}");
            }
        }
        let next = report.next_steps().join("\n");
        assert!(next.contains("the attacker is behind"), "{next}");
    }
    let account = world.now();
    assert!(account.termination && account.snapshots.len() == 2);
    assert!(account.scaling.is_some(), "it stays in its group");
}

/// The same account's playbook once more.
fn again(world: &World) -> Ec2 {
    Ec2::over(world.playbook.clients.own.clone())
}

#[tokio::test(start_paused = true)]
async fn an_approval_isolates_an_instance_that_forwards_for_others() {
    let world = World::new(forwarding());
    let event: Value = serde_json::from_str(&case_text("forwarding-instance")).expect("JSON");
    let (items, record) = table();
    let windows = Windows::new();
    let responder = windows.responder(again(&world), enforcing());
    let responder = responder.recording(record.clone());
    let report = Box::pin(responder.respond(event.clone(), &invocation("request"))).await;
    let report = report.expect("an answer");
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(report.approval().is_some() && is_untouched(&world));
    let stored = incidents(&items).remove(0);
    let incident = Incident {
        id: report.finding_id().to_owned(),
        category: "ec2".to_owned(),
        account_id: "111122223333".to_owned(),
        status: "notified".to_owned(),
        awaiting: serde_json::from_str(&stored["awaiting"]).expect("JSON"),
        event,
        ..Incident::default()
    };
    let policies = PolicyParameter::fixed(LoadedPolicies::new(DEFAULT));
    let approver = Approver {
        by: "arn:aws:iam::111122223333:user/ann",
        record: &record,
        policies: &policies,
        current: None,
        notices: None,
    };
    let later = now() + SignedDuration::from_mins(5);
    let done = Box::pin(approve(again(&world), &approver, &incident, later)).await;
    let report = done.expect("it is done");
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.is_contained());
    let lost = report.residual_risks().join("\n");
    assert!(lost.contains("lost that way out"), "{lost}");
}

/// Who undoes an isolation may set both signs as well.
#[tokio::test(start_paused = true)]
async fn routes_that_lead_through_an_isolated_instance_since_do_not_keep_it_from_being_isolated_again()
 {
    let world = World::new(prepared([], []));
    contained(&world).await;
    {
        let mut account = world.now();
        let interface = account.interfaces.get_mut("eni-1").unwrap();
        interface.groups = super::world::names(["sg-app"]);
        interface.unchecked = true;
        account.tables = forwarding().tables;
    }
    let report = contained(&world).await;
    assert_eq!(step(&report, ISOLATE, "eni-1").0, Outcome::Applied);
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_a_forwarder_whose_own_program_is_malicious_are_denied_at_once() {
    let world = World::new(forwarding());
    let shell = finding(json!({
        "type": "Execution:Runtime/ReverseShell",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
    }));
    let (report, _) = answer(&world.playbook, &shell).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(step(&report, DENY, ROLE).0, Outcome::Applied);
    assert_eq!(step(&report, ISOLATE, "eni-1").0, Outcome::Withheld);
    assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-db", "sg-ssh"]);
    let next = report.next_steps().join("\n");
    assert!(!next.contains("the attacker is behind"), "{next}");
}

#[tokio::test(start_paused = true)]
async fn one_sign_of_forwarding_alone_spares_no_instance() {
    let checked = Account {
        tables: forwarding().tables,
        ..prepared([], [])
    };
    let mut unrouted = forwarding();
    unrouted.tables.clear();
    let mut unused = forwarding();
    unused.tables.truncate(1);
    unused.tables[0].subnets = &[];
    let mut of_another = forwarding();
    for table in &mut of_another.tables {
        table.to = "eni-other";
    }
    for account in [checked, unrouted, unused, of_another] {
        let world = World::new(account);
        contained(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_may_forward_for_others_waits_where_the_routes_cannot_be_read() {
    let world = World::new(forwarding());
    world
        .wire
        .fail("ec2:DescribeRouteTables", 403, "UnauthorizedOperation");
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(is_untouched(&world));
    let (_, why) = step(&report, ISOLATE, "eni-1");
    assert!(why.contains("ec2:DescribeRouteTables"), "{why}");
}

/// Nobody but its operator may change a setting of a managed instance: EC2 refuses that.
#[tokio::test(start_paused = true)]
async fn an_operated_instance_is_asked_for_no_setting_and_is_tagged_and_snapshotted() {
    for isolate_container_nodes in [false, true] {
        let world = World::new(Account {
            operator: true,
            ..prepared([], [])
        });
        for call in [
            "ec2:ModifyInstanceAttribute",
            "ec2:ModifyInstanceMetadataOptions",
        ] {
            world.wire.fail(call, 400, "OperationNotPermitted");
        }
        let settings = Settings {
            ec2: Ec2Settings {
                isolate_container_nodes,
                disable_metadata: true,
                ..Ec2Settings::default()
            },
            ..Settings::default()
        };
        for _ in 0..2 {
            let done = fixtures::run_with(&world.playbook, &infected(), &settings).await;
            for (action, target) in [
                ("ec2:ProtectFromTermination", ID),
                ("ec2:ProtectFromStop", ID),
                ("ec2:StopOnShutdown", ID),
                ("ec2:KeepVolume", "vol-root"),
            ] {
                assert_eq!(outcome(&done, action, target), Some(Outcome::Skipped));
            }
            let failed = done
                .steps
                .iter()
                .filter(|step| step.outcome() == Outcome::Failed);
            assert_eq!(failed.count(), 0, "{:#?}", done.steps);
        }
        let calls = world.wire.calls();
        assert!(!calls.iter().any(|call| call.contains("ModifyInstance")));
        assert_eq!(world.is_isolated("eni-1"), isolate_container_nodes);
        let account = world.now();
        assert!(account.tags.contains_key("gdr:incident"));
        assert_eq!(account.snapshots.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_which_nothing_is_contained_is_notified_at_each_delivery() {
    let tags = [("aws:eks:cluster-name".to_owned(), "prod".to_owned())].into();
    let account = Account {
        tags,
        ..prepared([], [])
    };
    let shown = infected_with(&account.tags);
    let world = World::new(account);
    for _ in 0..2 {
        let (report, _) = answer(&world.playbook, &shown).await;
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    }
    assert!(world.now().termination);
}

#[tokio::test(start_paused = true)]
async fn a_node_of_emr_is_isolated_and_the_report_says_when_emr_replaces_it() {
    let tags = [
        ("aws:elasticmapreduce:job-flow-id", "j-1K48XXXXXXHCB"),
        ("aws:elasticmapreduce:instance-group-role", "CORE"),
    ];
    let world = World::new(Account {
        tags: tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..prepared([], [])
    });
    let report = contained(&world).await;
    let told = [report.residual_risks(), report.next_steps()]
        .concat()
        .join("\n");
    for said in [
        "j-1K48XXXXXXHCB",
        "CORE",
        "45 minutes",
        "UnhealthyNodeReplacement",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
}

#[test]
fn the_report_explains_a_resolver_that_is_named_for_its_clients() {
    let resolver = case("resolver-for-its-clients");
    let category = model::category::Category::Ec2;
    for told in [
        model::guidance::questions(category, &resolver),
        model::guidance::next_steps(category, &resolver),
    ] {
        let told = told.join("\n");
        assert!(
            told.contains("find the client in the DNS server's query log"),
            "{told}"
        );
    }
    let connection = case("forwarding-instance");
    let told = model::guidance::questions(category, &connection).join("\n");
    assert!(
        !told.contains("find the client in the DNS server's query log"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_resolver_is_contained_by_the_default_policies_and_spared_by_one_on_its_tag() {
    const SPARED: &str = "permit (principal, action, resource);
        @id(\"resolvers\") forbid (principal, action, resource)
        when { resource.hasTag(\"role\") && resource.getTag(\"role\") == \"resolver\" };";
    let resolver = case("resolver-for-its-clients");
    let tags = [("role".to_owned(), "resolver".to_owned())].into();
    let world = World::new(Account {
        tags,
        ..prepared([], [])
    });
    let state = world.playbook.observe(&resolver).await.unwrap();
    for (text, spared) in [(DEFAULT, false), (SPARED, true)] {
        let guard = LoadedPolicies::new(text);
        let gate = Gate::new::<Ec2>(&guard, &resolver, &ENFORCING, false, now());
        let plan = gate.plan::<Ec2>(&state, &Settings::default());
        let mut contains = plan.steps.iter();
        let contains = contains
            .any(|step| matches!(step, Step::Do(action) if action.phase() == Phase::Contain));
        assert_eq!(contains, !spared);
    }
}

/// By AWS's documentation the traffic of these types only deviates from its baseline.
#[test]
fn deviations_from_a_baseline_are_notified_by_the_default_policies_and_contained_without_that_one()
{
    let without = DEFAULT.split("// By AWS's documentation").next().unwrap();
    let of = |kind: &str| -> Finding {
        finding(json!({
            "type": kind, "severity": 5,
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
        }))
    };
    for (kind, left) in [
        ("Backdoor:EC2/Spambot", true),
        ("DefenseEvasion:EC2/UnusualDNSResolver", true),
        ("DefenseEvasion:EC2/UnusualDoHActivity", true),
        ("DefenseEvasion:EC2/UnusualDoTActivity", true),
        ("Backdoor:EC2/C&CActivity.B", false),
    ] {
        let forbids = |text: &str| {
            let guard = LoadedPolicies::new(text);
            assert_eq!(guard.problem(), None);
            let category = model::category::Category::Ec2;
            let why = guard.forbids(category, &of(kind), &ENFORCING, now());
            why.map(|why| why.by.join(" "))
        };
        let by = left.then(|| "deviation-from-baseline".to_owned());
        assert_eq!(forbids(DEFAULT), by, "{kind}");
        assert_eq!(forbids(without), None, "{kind}");
    }
}
