//! How many round trips come before an instance is contained, and what is not waited for.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clients::Services;
use crate::tests::world::ID;
use fixtures::waves::{Course, contained, contained_with, slow};
use fixtures::{event, run};
use model::plan::Step;
use model::settings::ForensicsRule;

/// The event of an instance that is described as it is.
fn described(tags: Value) -> Value {
    event(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": {
            "instanceId": ID,
            "iamInstanceProfile": {
                "arn": "arn:aws:iam::111122223333:instance-profile/apps/web-profile",
            },
            "tags": tags,
        } },
    }))
}

/// The world's playbook, whose calls take their time; those to load balancers two and a half seconds.
fn slowly(world: &World) -> Ec2 {
    let Services {
        ec2,
        iam,
        autoscaling,
        elb,
        elbv2,
    } = &world.playbook.clients.own;
    let long = Duration::from_millis(2_500);
    Ec2::over(Services {
        ec2: slow!(aws_sdk_ec2, ec2),
        iam: slow!(aws_sdk_iam, iam),
        autoscaling: slow!(aws_sdk_autoscaling, autoscaling),
        elb: slow!(aws_sdk_elasticloadbalancing, elb, long),
        elbv2: slow!(aws_sdk_elasticloadbalancingv2, elbv2, long),
    })
}

async fn course(world: &World, tags: Value) -> Course {
    let course = contained(slowly(world), described(tags)).await;
    assert!(world.is_contained());
    course
}

#[tokio::test(start_paused = true)]
async fn three_round_trips_come_before_an_interface_is_isolated_where_the_group_exists() {
    let world = World::new(prepared([], []));
    let course = course(&world, json!([])).await;
    assert_eq!(course.before(&world.wire, MODIFY), 3);
    assert_eq!(course.before(&world.wire, "iam:PutRolePolicy"), 3);
}

#[tokio::test(start_paused = true)]
async fn stolen_credentials_of_an_instance_in_the_region_of_the_finding_take_no_round_trip_more() {
    let world = World::new(prepared([], []));
    let mut event = described(json!([]));
    event["detail"]["type"] =
        json!("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS");
    let course = contained(slowly(&world), event).await;
    assert!(world.is_contained());
    assert_eq!(course.before(&world.wire, MODIFY), 3);
    assert!(!world.wire.calls().contains(&"ec2:DescribeRegions"));
}

#[tokio::test(start_paused = true)]
async fn leaving_an_auto_scaling_group_comes_before_isolating_and_takes_no_round_trip_more() {
    let world = World::new(Account {
        scaling: Some(("web-asg".to_owned(), "InService")),
        ..prepared([], [])
    });
    let tags = json!([{ "key": "aws:autoscaling:groupName", "value": "web-asg" }]);
    let course = course(&world, tags).await;
    assert_eq!(course.before(&world.wire, "autoscaling:DetachInstances"), 2);
    assert_eq!(course.before(&world.wire, MODIFY), 3);
}

#[tokio::test(start_paused = true)]
async fn making_the_group_takes_four_round_trips_more() {
    let world = World::new(one());
    let course = course(&world, json!([])).await;
    assert!(course.before(&world.wire, MODIFY) <= 7);
    assert_eq!(course.before(&world.wire, "iam:PutRolePolicy"), 3);
}

#[tokio::test(start_paused = true)]
async fn the_intent_is_written_before_the_first_write_and_the_rest_before_it_is_done() {
    let world = World::new(prepared([], []));
    let course = course(&world, json!([])).await;
    // The claim at once; then the intent, with the places in both windows.
    assert_eq!(course.before_own("dynamodb:UpdateItem"), 0);
    assert_eq!(course.before_own("dynamodb:TransactWriteItems"), 1);
    let writes = world.wire.writes();
    let first = writes.first().expect("writes");
    assert!(course.before(&world.wire, first) >= 2, "{writes:?}");
    // Claim; intent and target; the intents of the deny and of the rest; conclusion, notice, claim given back.
    assert_eq!(course.own("dynamodb:UpdateItem"), 8);
}

#[tokio::test(start_paused = true)]
async fn load_balancers_that_answer_late_hold_nothing_up() {
    let world = World::new(Account {
        targets: vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
        ..prepared([], [])
    });
    let course = course(&world, json!([])).await;
    assert_eq!(course.before(&world.wire, MODIFY), 3);
    let leaving = course.before(&world.wire, "elasticloadbalancing:DeregisterTargets");
    assert!(leaving >= 50, "{leaving}");
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_the_essential_state_is_part_of_the_whole_plan() {
    for account in [one(), prepared(["0.0.0.0/0"], []), Account::default()] {
        let world = World::new(account);
        let glanced = world.playbook.glance(&infected()).await.unwrap();
        let part = Ec2::plan(&infected(), &glanced, &Settings::default(), now());
        let whole = planned(&world).await;
        assert!(part.steps.len() < whole.steps.len());
        let shown = |step: &Step<Action>| format!("{step:?}");
        let whole: Vec<_> = whole.steps.iter().map(shown).collect();
        for step in part.steps.iter().map(shown) {
            assert!(whole.contains(&step), "{step}\nis not in {whole:#?}");
        }
        run(&world.playbook, &infected()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn outdated_values_of_the_finding_are_read_again() {
    let world = World::new(prepared([], []));
    let mut shown = described(json!([{ "key": "aws:autoscaling:groupName", "value": "old-asg" }]));
    let profile = &mut shown["detail"]["resource"]["instanceDetails"]["iamInstanceProfile"];
    *profile = json!({ "arn": "arn:aws:iam::111122223333:instance-profile/old" });
    let course = contained(slowly(&world), shown).await;
    assert!(world.is_contained(), "{}", course.report.to_line());
    assert_eq!(course.before(&world.wire, MODIFY), 4);
}

#[tokio::test(start_paused = true)]
async fn letting_forensics_in_is_waited_for_by_nothing_that_contains() {
    let list = "pl-01234567";
    let world = World::new(Account {
        lists: [(list, vec!["192.0.2.16/28"])].into(),
        ..prepared([], [])
    });
    let rules = format!("from {list} tcp/22, to sg-0123456789abcdef0 tcp/443");
    let mut settings = Settings::default();
    settings.ec2.forensics_access = ForensicsRule::parse_all(&rules).expect("rules");
    let course = contained_with(&settings, slowly(&world), described(json!([]))).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-gdr-forensics-vpc-a"]);
    assert_eq!(course.before(&world.wire, MODIFY), 3);
    let opening = course.before(&world.wire, "ec2:AuthorizeSecurityGroupIngress");
    assert!(opening > 3, "{opening}");
}
