use model::planner::Planner as _;
use serde_json::{Value, json};

use super::world::{Account, ID, Iface, World, infected, infected_with, names};
use super::{detail, outcome};
use crate::Ec2;
use aws::playbook::Playbook as _;
use fixtures::{run, run_with};
use model::report::Outcome::{Already, Applied, Failed, Skipped};
use model::settings::{Ec2Settings, Settings};

const ROLE: &str = "arn:aws:iam::111122223333:role/web";

fn with(ec2: Ec2Settings) -> Settings {
    Settings {
        ec2,
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn every_interface_is_isolated_in_its_own_vpc_and_the_credentials_are_denied() {
    let world = World::new(Account::default());
    let done = run(&world.playbook, &infected()).await;
    assert!(
        done.steps
            .iter()
            .all(|step| matches!(step.outcome(), Applied | Already)),
        "{:#?}",
        done.steps
    );
    assert!(world.is_isolated("eni-1") && world.is_isolated("eni-2"));
    assert_eq!(
        outcome(&done, "iam:DenyInstanceCredentials", ROLE),
        Some(Applied)
    );
    let account = world.now();
    let policy: Value =
        serde_json::from_str(&account.policies["gdr-deny-i-0abc1234def567890"]).unwrap();
    assert_eq!(
        policy["Statement"][0]["Condition"],
        json!({ "ArnEquals": { "ec2:SourceInstanceARN": format!("arn:aws:ec2:us-east-1:111122223333:instance/{ID}") } })
    );
    assert_eq!(
        policy["Statement"][1]["Condition"],
        json!({ "StringEquals": { "aws:userid": format!("AROAEXAMPLE:{ID}") } })
    );
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Deny");
        assert!(statement["Condition"].is_object());
    }
}

/// As people have reported them: `tests/fixtures/cases`.
#[tokio::test(start_paused = true)]
async fn an_instance_is_isolated_for_a_sensitive_file_a_listed_file_and_its_own_identity() {
    for input in [
        "sensitive-file-on-instance",
        "listed-file-executed",
        "instance-identity",
    ] {
        let world = World::new(Account::default());
        run(&world.playbook, &fixtures::case(input)).await;
        assert!(
            world.is_isolated("eni-1") && world.is_isolated("eni-2"),
            "{input}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_run_plans_nothing_and_writes_nothing() {
    let everything = with(Ec2Settings {
        cut_connections_seconds: 30,
        shorten_timeouts: true,
        remove_public_address: true,
        disable_metadata: true,
        ..Ec2Settings::default()
    });
    for settings in [Settings::default(), everything] {
        let mut account = Account::default();
        account.interfaces.get_mut("eni-1").unwrap().public = vec![
            ("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1")),
            ("203.0.113.8", None, None),
        ];
        account.scaling = Some(("web-asg".to_owned(), "InService"));
        // Connections through a load balancer would keep the others from being cut.
        if settings.ec2.cut_connections_seconds == 0 {
            account.targets = vec![("tg-web".to_owned(), ID.to_owned(), 8443, false)];
        }
        let world = World::new(account);
        let done = run_with(&world.playbook, &infected(), &settings).await;
        assert!(
            done.steps
                .iter()
                .all(|step| matches!(step.outcome(), Applied | Already)),
            "{:#?}",
            done.steps
        );
        world.wire.clear();
        let again = run_with(&world.playbook, &infected(), &settings).await;
        assert!(
            again.steps.iter().all(|step| step.outcome() == Already),
            "{:#?}",
            again.steps
        );
        assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn no_failing_read_or_write_but_its_own_keeps_the_interfaces_from_being_isolated() {
    for call in [
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DetachInstances",
        "ec2:CreateSnapshots",
        "ec2:CreateTags",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
        "ec2:ModifyInstanceAttribute",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "iam:GetInstanceProfile",
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
    ] {
        for (status, code) in [
            (403, "AccessDenied"),
            (503, "RequestLimitExceeded"),
            (400, "ValidationError"),
        ] {
            let world = World::new(Account {
                scaling: Some(("web-asg".to_owned(), "InService")),
                targets: vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
                ..Account::default()
            });
            world.wire.fail(call, status, code);
            let done = run(&world.playbook, &infected()).await;
            assert!(
                world.is_isolated("eni-1") && world.is_isolated("eni-2"),
                "{call} {code}"
            );
            // The next look marks, and asks the target groups.
            let later = call.contains(":DescribeTarget")
                || ["ec2:CreateTags", "ec2:DescribeVolumes"].contains(&call);
            let told = [Failed, if later { Skipped } else { Failed }];
            let told = done
                .steps
                .iter()
                .any(|step| told.contains(&step.outcome()) && step.detail().contains(call));
            let informs = ["ec2:DescribeInstanceTypes", "ec2:DescribeRouteTables"].contains(&call);
            assert!(told || informs, "{call} {code}: {:#?}", done.steps);
            assert_eq!(
                done.transient.is_some(),
                code == "RequestLimitExceeded" && !informs && !later,
                "{call}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_cannot_be_changed_does_not_hide_the_others() {
    let world = World::new(Account::default());
    world.wire.fail_once(
        "ec2:ModifyNetworkInterfaceAttribute",
        403,
        "UnauthorizedOperation",
    );
    let done = run(&world.playbook, &infected()).await;
    let isolated = ["eni-1", "eni-2"].map(|id| world.is_isolated(id));
    assert_eq!(isolated.iter().filter(|isolated| **isolated).count(), 1);
    for (id, isolated) in ["eni-1", "eni-2"].into_iter().zip(isolated) {
        let expected = if isolated { Applied } else { Failed };
        assert_eq!(outcome(&done, "ec2:IsolateInterface", id), Some(expected));
    }
    assert_eq!(
        outcome(&done, "iam:DenyInstanceCredentials", ROLE),
        Some(Applied)
    );
}

#[tokio::test(start_paused = true)]
async fn a_drifted_deny_is_put_again_and_the_one_that_was_there_is_recorded() {
    let world = World::new(Account::default());
    let weak = r#"{"Version":"2012-10-17","Statement":[]}"#;
    world
        .now()
        .policies
        .insert(format!("gdr-deny-{ID}"), weak.to_owned());
    let state = world.playbook.observe(&infected()).await.unwrap();
    let plan = Ec2::plan(&infected(), &state, &Settings::default(), fixtures::now());
    let deny = plan.steps.iter().find_map(|step| match step {
        model::plan::Step::Do(change)
            if model::plan::Action::name(change) == "iam:DenyInstanceCredentials" =>
        {
            Some(change)
        }
        _ => None,
    });
    let from = model::plan::Action::from(deny.unwrap());
    assert_eq!(
        from["PolicyDocument"],
        serde_json::from_str::<Value>(weak).unwrap()
    );
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "iam:DenyInstanceCredentials", ROLE),
        Some(Applied)
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_that_only_aws_may_change_is_not_tried() {
    for path in [
        "/aws-service-role/x.amazonaws.com/",
        "/aws-reserved/sso.amazonaws.com/",
    ] {
        let world = World::new(Account {
            role_path: path,
            ..Account::default()
        });
        let done = run(&world.playbook, &infected()).await;
        assert!(
            detail(&done, "iam:DenyInstanceCredentials").contains("only AWS"),
            "{:#?}",
            done.steps
        );
        assert!(world.now().policies.is_empty() && world.is_isolated("eni-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_never_contained_gets_no_deny_and_the_instance_is_isolated() {
    let world = World::new(Account::default());
    let settings = with(Ec2Settings {
        never_contain: vec![ROLE.to_owned()],
        ..Ec2Settings::default()
    });
    let done = run_with(&world.playbook, &infected(), &settings).await;
    assert_eq!(
        outcome(&done, "iam:DenyInstanceCredentials", ROLE),
        Some(Skipped)
    );
    assert!(world.now().policies.is_empty() && world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn nodes_of_a_cluster_are_protected_and_not_isolated_unless_a_setting_says_so() {
    let tagged = |key: &str| Account {
        tags: [(key.to_owned(), "owned".to_owned())].into(),
        scaling: Some(("nodes".to_owned(), "InService")),
        ..Account::default()
    };
    for account in [
        tagged("kubernetes.io/cluster/prod"),
        tagged("aws:eks:cluster-name"),
        tagged("eks:nodegroup-name"),
        tagged("AmazonECSManaged"),
    ] {
        let world = World::new(account.clone());
        let shown = infected_with(&account.tags);
        let done = run(&world.playbook, &shown).await;
        assert_eq!(outcome(&done, "ec2:IsolateInterface", ID), Some(Skipped));
        assert_eq!(
            outcome(&done, "ec2:ProtectFromTermination", ID),
            Some(Applied)
        );
        assert_eq!(outcome(&done, "ec2:SnapshotVolumes", ID), Some(Applied));
        assert!(
            done.residual_risks[0].contains("is not isolated"),
            "{:?}",
            done.residual_risks
        );
        {
            let after = world.now();
            assert!(after.history.is_empty() && after.policies.is_empty());
            assert_eq!(after.scaling, account.scaling, "it stays in its group");
        }
        let world = World::new(account);
        let settings = with(Ec2Settings {
            isolate_container_nodes: true,
            ..Ec2Settings::default()
        });
        run_with(&world.playbook, &shown, &settings).await;
        assert!(world.is_isolated("eni-1") && world.is_isolated("eni-2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_tag_missing_in_the_finding_exempts_nothing_and_is_reported() {
    for (key, spared) in [
        ("kubernetes.io/cluster/prod", false),
        ("eks:nodegroup-name", false),
        ("karpenter.sh/nodepool", false),
        ("AmazonECSManaged", false),
        ("aws:eks:cluster-name", true),
        ("aws:ecs:clusterName", true),
    ] {
        let tags = [(key.to_owned(), "owned".to_owned())].into();
        let world = World::new(Account {
            tags,
            ..Account::default()
        });
        // It shows the tag as it was before somebody changed it.
        let before = [(key.to_owned(), "another".to_owned())].into();
        let done = run(&world.playbook, &infected_with(&before)).await;
        let isolated = world.is_isolated("eni-1") && world.is_isolated("eni-2");
        assert_eq!(isolated, !spared, "{key}");
        assert_eq!(world.now().policies.is_empty(), spared, "{key}");
        let told = done.next_steps.iter().any(|step| step.contains(key));
        assert_eq!(told, !spared, "{:?}", done.next_steps);
    }
}

#[tokio::test(start_paused = true)]
async fn a_terminated_instance_is_left_and_a_stopped_one_isolated() {
    for state in ["terminated", "shutting-down"] {
        let world = World::new(Account {
            state,
            profile: None,
            ..Account::default()
        });
        let done = run(&world.playbook, &infected()).await;
        assert_eq!(done.steps.len(), 1);
        assert!(world.wire.writes().is_empty());
    }
    for state in ["stopped", "stopping", "pending"] {
        let world = World::new(Account {
            state,
            ..Account::default()
        });
        run(&world.playbook, &infected()).await;
        assert!(
            world.is_isolated("eni-1") && world.is_isolated("eni-2"),
            "{state}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn public_addresses_metadata_and_time_outs_change_only_if_settings_say_so() {
    let public = Iface {
        vpc: "vpc-1",
        groups: names(["sg-web"]),
        public: vec![
            ("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1")),
            ("203.0.113.8", None, None),
        ],
        ..Iface::default()
    };
    let account = Account {
        interfaces: [("eni-1", public)].into(),
        ..Account::default()
    };
    let world = World::new(account.clone());
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(world.now().interfaces["eni-1"].public.len(), 2);
    assert_eq!(world.now().metadata, "enabled");
    assert_eq!(world.now().interfaces["eni-1"].timeouts, None);
    assert!(
        done.residual_risks
            .iter()
            .any(|risk| risk.contains("203.0.113.7, 203.0.113.8"))
    );
    let world = World::new(account);
    let settings = with(Ec2Settings {
        remove_public_address: true,
        disable_metadata: true,
        shorten_timeouts: true,
        ..Ec2Settings::default()
    });
    let done = run_with(&world.playbook, &infected(), &settings).await;
    let account = world.now();
    assert!(
        account.interfaces["eni-1"].public.is_empty(),
        "{:#?}",
        done.steps
    );
    assert_eq!(account.metadata, "disabled");
    assert_eq!(account.interfaces["eni-1"].timeouts, Some((60, 60, 30)));
}

#[tokio::test(start_paused = true)]
async fn time_outs_are_left_where_the_instance_cannot_have_them() {
    let world = World::new(Account {
        kind: "t2.micro",
        ..Account::default()
    });
    let settings = with(Ec2Settings {
        shorten_timeouts: true,
        ..Ec2Settings::default()
    });
    let done = run_with(&world.playbook, &infected(), &settings).await;
    assert_eq!(
        outcome(&done, "ec2:ShortenIdleTimeouts", "eni-1"),
        Some(Skipped)
    );
    assert!(detail(&done, "ec2:ShortenIdleTimeouts").contains("Nitro"));
}

#[tokio::test(start_paused = true)]
async fn the_risks_are_those_of_this_instance() {
    let world = World::new(Account {
        nat: true,
        kind: "m5d.large",
        targets: vec![("tg-net".to_owned(), "10.0.0.5".to_owned(), 443, false)],
        ..Account::default()
    });
    let done = run(&world.playbook, &infected()).await;
    let risks = done.residual_risks.join("\n");
    for said in [
        "through nat-1, tg-net",
        "resolver",
        "role chaining",
        "75 GB of instance-store",
        "five days",
    ] {
        assert!(risks.contains(said), "{said}: {risks}");
    }
    let plain = World::new(Account::default());
    let done = run(&plain.playbook, &infected()).await;
    let risks = done.residual_risks.join("\n");
    for not_said in ["nat-1", "instance-store", "Spot", "public address"] {
        assert!(!risks.contains(not_said), "{not_said}: {risks}");
    }
}

fn risks_of(done: &remediation::execute::Execution<crate::Action>) -> String {
    done.residual_risks.join("\n")
}

/// Everything that narrows what isolating leaves.
fn narrowed() -> Settings {
    with(Ec2Settings {
        cut_connections_seconds: 5,
        shorten_timeouts: true,
        remove_public_address: true,
        disable_metadata: true,
        ..Ec2Settings::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_risk_that_a_setting_narrows_remains_until_it_is_read_back() {
    let mut account = Account::default();
    account.interfaces.get_mut("eni-1").unwrap().public =
        vec![("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1"))];
    let world = World::new(account.clone());
    let done = run_with(&world.playbook, &infected(), &narrowed()).await;
    let risks = risks_of(&done);
    assert!(risks.contains("60 seconds of silence"), "{risks}");
    for not_said in [
        "203.0.113.7",
        "metadata service",
        "keep working",
        "five days",
    ] {
        assert!(!risks.contains(not_said), "{not_said}: {risks}");
    }
    let world = World::new(account);
    for call in [
        "ec2:DisassociateAddress",
        "ec2:ModifyInstanceMetadataOptions",
        "ec2:AuthorizeSecurityGroupIngress",
    ] {
        world.wire.fail(call, 403, "UnauthorizedOperation");
    }
    let done = run_with(&world.playbook, &infected(), &narrowed()).await;
    let risks = risks_of(&done);
    for said in [
        "203.0.113.7",
        "metadata service",
        "open keep working on eni-1, eni-2",
    ] {
        assert!(risks.contains(said), "{said}: {risks}");
    }
    assert!(!risks.contains("carried no packet"), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn time_outs_that_were_not_shortened_are_not_said_to_be() {
    let world = World::new(Account {
        kind: "t2.micro",
        ..Account::default()
    });
    let done = run_with(&world.playbook, &infected(), &narrowed()).await;
    let risks = risks_of(&done);
    assert!(
        risks.contains("five days") && !risks.contains("60 seconds"),
        "{risks}"
    );
}

#[tokio::test(start_paused = true)]
async fn metadata_still_on_is_a_residual_risk() {
    let world = World::new(Account {
        metadata: "disabled".to_owned(),
        metadata_pending: true,
        ..Account::default()
    });
    let done = run_with(&world.playbook, &infected(), &narrowed()).await;
    assert!(detail(&done, "ec2:DisableInstanceMetadata").contains("pending"));
    assert!(risks_of(&done).contains("(pending)"), "{}", risks_of(&done));
}

#[tokio::test(start_paused = true)]
async fn private_link_and_transit_gateways_are_residual_risks() {
    let world = World::new(Account {
        transit: true,
        endpoints: vec!["vpce-1"],
        ..Account::default()
    });
    let done = run(&world.playbook, &infected()).await;
    assert!(
        risks_of(&done).contains("through tgw-1, vpce-1 are tracked"),
        "{}",
        risks_of(&done)
    );
}
