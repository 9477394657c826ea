//! Instances, and what they belong to.

use aws_config::SdkConfig;
use aws_sdk_ec2::types::{IamInstanceProfileSpecification, Tag};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetDescription};
use integration_tests::scenario::InfectedInstance;
use integration_tests::{Result, Scenario as _};
use serde_json::json;

use super::{PLAIN, Scenario, TOLD};
use crate::privilege::world::{MEMBER, Run, name};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "an instance is taken out of everything and isolated",
        function: "Ec2",
        parameters: &[
            ("Ec2RemovePublicAddress", "true"),
            ("Ec2DisableMetadata", "true"),
        ],
        does: &["ec2:DisableInstanceMetadata"],
        play: |run| Box::pin(everything(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance is isolated and its connections are cut",
        function: "Ec2",
        parameters: &[
            ("Ec2RemovePublicAddress", "true"),
            ("Ec2CutConnectionsSeconds", "2"),
        ],
        does: &["ec2:CutTrackedConnections"],
        play: |run| Box::pin(cut(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance is isolated with a group that somebody has prepared",
        function: "Ec2",
        parameters: TOLD,
        play: |run| Box::pin(prepared(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance is put on standby in its group",
        function: "Ec2",
        parameters: &[("Ec2AutoScaling", "standby")],
        does: &["autoscaling:EnterStandby"],
        play: |run| Box::pin(standby(run)),
        ..PLAIN
    },
    Scenario {
        // The emulator keeps no time-outs of connections.
        name: "the idle time-outs of an instance's connections would be shortened",
        function: "Ec2",
        parameters: &[("DryRun", "true"), ("Ec2ShortenTimeouts", "true")],
        status: "dry_run",
        does: &["ec2:ShortenIdleTimeouts"],
        play: |run| Box::pin(plain(run)),
        ..PLAIN
    },
    Scenario {
        name: "a node of a cluster is isolated",
        function: "Ec2",
        parameters: &[("Ec2ContainerNodes", "true")],
        does: &["ec2:IsolateInterface"],
        play: |run| Box::pin(node(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance with a tag that a policy spares is left alone",
        function: "Ec2",
        policy: include_str!("../../../../infra/policies/examples/never-isolate-by-tag.cedar"),
        status: "notified",
        play: |run| Box::pin(spared(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance in another Region than its finding is found and isolated there",
        function: "Ec2",
        play: |run| Box::pin(elsewhere(run)),
        ..PLAIN
    },
    Scenario {
        name: "forensics get into an instance that is isolated, as far as what is listed is there",
        function: "Ec2",
        parameters: &[(
            "Ec2ForensicsAccess",
            "from 192.0.2.7/32 tcp/22, to 192.0.2.16/28 tcp/443, to pl-0123456789abcdef0 tcp/443",
        )],
        does: &["ec2:AdmitForensics"],
        play: |run| Box::pin(on_outpost(run)),
        ..PLAIN
    },
    Scenario {
        name: "an instance of a member account is isolated",
        function: "Ec2",
        parameters: &[("Mode", "hub")],
        play: |run| Box::pin(of_member(run)),
        ..PLAIN
    },
];

async fn everything(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    let sdk = instances(run);
    give_role(&sdk, &victim.id).await?;
    give_address(&sdk, &victim).await?;
    join_group(&sdk, &victim.id).await?;
    join_target_group(&sdk, &victim).await?;
    join_balancer(&sdk, &victim.id).await?;
    run.respond(&victim.finding()?).await
}

/// Nothing is on the way that tracks its connections whatever the groups say.
async fn cut(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    give_address(&instances(run), &victim).await?;
    run.respond(&victim.finding()?).await
}

async fn plain(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    run.respond(&victim.finding()?).await
}

/// The finding shows whose node it is.
async fn node(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    let (key, value) = ("kubernetes.io/cluster/shop", "owned");
    let tag = Tag::builder().key(key).value(value).build();
    let tags = run.aws().ec2().create_tags().resources(&victim.id);
    tags.tags(tag).send().await?;
    let shown = json!([{ "key": key, "value": value }]);
    let finding = victim.finding()?;
    let finding = finding.with("/resource/instanceDetails/tags", shown);
    run.respond(&finding).await
}

async fn prepared(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    victim.leave_open_group("gdr-isolation").await?;
    run.respond(&victim.finding()?).await
}

async fn standby(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    join_group(&instances(run), &victim.id).await?;
    run.respond(&victim.finding()?).await
}

async fn spared(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    let tag = Tag::builder().key("isolation").value("never").build();
    let tags = run.aws().ec2().create_tags().resources(&victim.id);
    tags.tags(tag).send().await?;
    let shown = json!([{ "key": "isolation", "value": "never" }]);
    let finding = victim.finding()?;
    let finding = finding.with("/resource/instanceDetails/tags", shown);
    run.respond(&finding).await
}

async fn elsewhere(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create_in(run.aws(), "eu-west-1").await?;
    run.respond(&victim.identity_stolen(&run.aws().account_id)?)
        .await
}

/// The finding is about an instance on an Outpost, whose subnets have no local network interfaces.
async fn on_outpost(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    let outpost = "arn:aws:outposts:us-east-1:111122223333:outpost/op-0a1b2c3d4e5f60001";
    let finding = victim.finding()?;
    run.respond(&finding.with("/resource/instanceDetails/outpostArn", outpost))
        .await
}

async fn of_member(run: &Run<'_>) -> Result {
    let victim = InfectedInstance::create(run.aws()).await?;
    run.respond(&victim.finding()?.with("/accountId", MEMBER))
        .await
}

/// The emulator of EC2, which has IAM for it too.
fn instances(run: &Run<'_>) -> SdkConfig {
    let root = run.aws().root().into_builder();
    root.endpoint_url(&run.aws().ec2_endpoint).build()
}

async fn give_role(sdk: &SdkConfig, instance: &str) -> Result {
    let iam = aws_sdk_iam::Client::new(sdk);
    let (role, profile) = (name("web"), name("profile"));
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "ec2.amazonaws.com" } }] });
    let made = iam.create_role().role_name(&role);
    made.assume_role_policy_document(trust.to_string())
        .send()
        .await?;
    let made = iam.create_instance_profile();
    made.instance_profile_name(&profile).send().await?;
    let add = iam.add_role_to_instance_profile();
    let add = add.instance_profile_name(&profile).role_name(&role);
    add.send().await?;
    let named = IamInstanceProfileSpecification::builder().name(&profile);
    aws_sdk_ec2::Client::new(sdk)
        .associate_iam_instance_profile()
        .instance_id(instance)
        .iam_instance_profile(named.build())
        .send()
        .await?;
    Ok(())
}

async fn give_address(sdk: &SdkConfig, victim: &InfectedInstance) -> Result {
    let ec2 = aws_sdk_ec2::Client::new(sdk);
    let gateway = ec2.create_internet_gateway().send().await?;
    let gateway = gateway
        .internet_gateway
        .and_then(|gateway| gateway.internet_gateway_id);
    let attach = ec2.attach_internet_gateway().vpc_id(&victim.vpc_id);
    attach.set_internet_gateway_id(gateway).send().await?;
    let address = ec2.allocate_address().send().await?;
    let groups = victim.groups().await?;
    let (interface, _) = groups.first().ok_or("no interface")?;
    ec2.associate_address()
        .set_allocation_id(address.allocation_id)
        .network_interface_id(interface)
        .send()
        .await?;
    Ok(())
}

async fn join_group(sdk: &SdkConfig, instance: &str) -> Result {
    let scaling = aws_sdk_autoscaling::Client::new(sdk);
    let group = name("fleet");
    let template = scaling.create_launch_configuration();
    let template = template.launch_configuration_name(&group);
    let template = template.image_id("ami-12c6146b").instance_type("t3.micro");
    template.send().await?;
    scaling
        .create_auto_scaling_group()
        .auto_scaling_group_name(&group)
        .launch_configuration_name(&group)
        .availability_zones("us-east-1a")
        .min_size(0)
        .max_size(5)
        .desired_capacity(0)
        .send()
        .await?;
    let attach = scaling.attach_instances().auto_scaling_group_name(&group);
    attach.instance_ids(instance).send().await?;
    Ok(())
}

async fn join_target_group(sdk: &SdkConfig, victim: &InfectedInstance) -> Result {
    let balancing = aws_sdk_elasticloadbalancingv2::Client::new(sdk);
    let made = balancing
        .create_target_group()
        .name(name("web"))
        .protocol(ProtocolEnum::Http)
        .port(80)
        .vpc_id(&victim.vpc_id)
        .send()
        .await?;
    let group = made.target_groups().first();
    let group = group.and_then(|group| group.target_group_arn.clone());
    let target = TargetDescription::builder().id(&victim.id).build();
    let register = balancing.register_targets().set_target_group_arn(group);
    register.targets(target).send().await?;
    Ok(())
}

async fn join_balancer(sdk: &SdkConfig, instance: &str) -> Result {
    use aws_sdk_elasticloadbalancing::types::{Instance, Listener};
    let balancing = aws_sdk_elasticloadbalancing::Client::new(sdk);
    let balancer = name("classic");
    let listener = Listener::builder()
        .protocol("http")
        .load_balancer_port(80)
        .instance_port(80)
        .build();
    let made = balancing.create_load_balancer().listeners(listener?);
    let made = made.load_balancer_name(&balancer);
    made.availability_zones("us-east-1a").send().await?;
    balancing
        .register_instances_with_load_balancer()
        .load_balancer_name(&balancer)
        .instances(Instance::builder().instance_id(instance).build())
        .send()
        .await?;
    Ok(())
}
