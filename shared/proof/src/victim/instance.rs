//! Two instances in a VPC of their own, in the same security group: the first is infected. It has two interfaces,
//! listens, and connects outwards every few seconds.

mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::InstanceMetadataOptionsRequest;
use aws_sdk_ec2::types::{
    HttpTokensState, Instance as Described, InstanceNetworkInterfaceSpecification,
    InstanceStateName, ResourceType,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_types::base64;
use remediation::error::{CallContext as _, Error, Result};
use tokio::time::{Instant, sleep};

use self::network::{KIND, Network, interface, network, tags};
use super::made::Made;
use crate::attempt::{Attempt, Probe};
use crate::context::{Context, lacking};
use crate::finding::{About, Interface};
use crate::reach::{self, HEARTBEAT, PORT};

/// How long the heartbeat's address is good for: longer than a proof.
const GOOD_FOR: Duration = Duration::from_secs(3600);

pub(super) async fn make(context: &Context<'_>, data: &str) -> Result<Made> {
    let network = Box::pin(network(context)).await?;
    let infected = Box::pin(launch(context, &network, data, "infected")).await?;
    let neighbour = Box::pin(launch(context, &network, data, "neighbour")).await?;
    let second = Box::pin(interface(context, &network, "second")).await?;
    context.watcher.waiting("the instances are starting");
    let infected = Box::pin(running(context, infected)).await?;
    let neighbour = Box::pin(running(context, neighbour)).await?;
    attach(context, &infected.id, &second).await?;
    let about = About::Instance {
        id: infected.id.clone(),
        kind: KIND.as_str().to_owned(),
        interfaces: Box::pin(interfaces(context, &infected.id)).await?,
    };
    let resources = vec![
        format!("instance {}", infected.id),
        format!("instance {}", neighbour.id),
        format!("VPC {}", network.vpc),
    ];
    let (inward, outward) = (Probe::Inward, Probe::Outward);
    Ok(Made {
        resources,
        attempts: vec![
            Attempt::attack("connect to the infected instance", inward(infected.clone())),
            Attempt::attack("connect out from the infected instance", outward(infected)),
            Attempt::bystander("connect to its neighbour", inward(neighbour.clone())),
            Attempt::bystander("connect out from its neighbour", outward(neighbour)),
        ],
        about,
        keys: Vec::new(),
    })
}

/// Starts an instance. It sends its heartbeat to an address that is good for this alone, so that it needs no role.
#[expect(
    clippy::disallowed_methods,
    reason = "the instances that the proof attacks, in a VPC that the proof made"
)]
async fn launch(
    context: &Context<'_>,
    network: &Network,
    data: &str,
    name: &str,
) -> Result<reach::Instance> {
    let key = format!("heartbeat-{name}");
    let put = context.s3.put_object().bucket(data).key(&key);
    let good_for = PresigningConfig::expires_in(GOOD_FOR);
    let good_for = good_for.map_err(|error| Error::Refused(error.to_string()))?;
    let address = put.presigned(good_for).await;
    let address = address.during("s3:PutObject", data)?;
    let script = base64::encode(script(address.uri()));
    let first = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(&network.subnet)
        .groups(&network.group)
        .associate_public_ip_address(true)
        .delete_on_termination(true)
        .build();
    let metadata = InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .build();
    let call = context
        .ec2
        .run_instances()
        // An answer that is lost does not start a second one.
        .client_token(context.id.name(name))
        .image_id(&context.world.image)
        .instance_type(KIND)
        .min_count(1)
        .max_count(1)
        .network_interfaces(first)
        .metadata_options(metadata)
        .user_data(script)
        .tag_specifications(tags(context, ResourceType::Instance, name))
        .tag_specifications(tags(context, ResourceType::Volume, name))
        .tag_specifications(tags(context, ResourceType::NetworkInterface, name));
    let started = call.send().await.during("ec2:RunInstances", name)?;
    let id = started.instances().first();
    let id = id.and_then(|instance| instance.instance_id.clone());
    let id = id.ok_or_else(|| lacking("ec2:RunInstances", name, "instance"))?;
    context.made(format!("instance {id}"));
    Ok(reach::Instance {
        id,
        public_address: None,
        bucket: data.to_owned(),
        key,
    })
}

/// Listens, and puts the time to the address every few seconds, each time by a new connection.
fn script(address: &str) -> String {
    format!(
        "#!/bin/sh\n\
         mkdir -p /srv/proof && cd /srv/proof && echo proof > index.html\n\
         runuser -u nobody -- python3 -m http.server {PORT} --directory /srv/proof >/dev/null 2>&1 &\n\
         while true; do\n\
         date -u > /run/proof-heartbeat\n\
         curl --silent --max-time 5 --upload-file /run/proof-heartbeat '{address}' >/dev/null 2>&1\n\
         sleep {}\n\
         done &\n",
        HEARTBEAT.as_secs(),
    )
}

async fn described(context: &Context<'_>, id: &str) -> Result<Described> {
    let call = context.ec2.describe_instances().instance_ids(id);
    let answer = call.send().await.during("ec2:DescribeInstances", id)?;
    let instances = answer.reservations.unwrap_or_default().into_iter();
    let mut instances = instances.flat_map(|it| it.instances.unwrap_or_default());
    instances
        .next()
        .ok_or_else(|| lacking("ec2:DescribeInstances", id, "instance"))
}

/// Waits until an instance runs, and says where it is reached.
async fn running(context: &Context<'_>, instance: reach::Instance) -> Result<reach::Instance> {
    let until = Instant::now() + context.world.patience.new;
    loop {
        let found = context
            .once_there(async || Box::pin(described(context, &instance.id)).await)
            .await?;
        let state = found.state.and_then(|state| state.name);
        match state {
            Some(InstanceStateName::Running) => {
                return Ok(reach::Instance {
                    public_address: found.public_ip_address,
                    ..instance
                });
            }
            Some(InstanceStateName::Pending) if Instant::now() < until => {
                sleep(context.world.patience.pause).await;
            }
            other => {
                let reason = found.state_reason.and_then(|reason| reason.message);
                return Err(Error::Refused(format!(
                    "instance {} does not run, but is {} ({}): the attack cannot be shown",
                    instance.id,
                    other.map_or("unknown".to_owned(), |it| it.as_str().to_owned()),
                    reason.as_deref().unwrap_or("EC2 gives no reason"),
                )));
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second interface of an instance that the proof made"
)]
async fn attach(context: &Context<'_>, instance: &str, interface: &str) -> Result<()> {
    let call = context
        .ec2
        .attach_network_interface()
        .device_index(1)
        .instance_id(instance)
        .network_interface_id(interface);
    let done = call.send().await;
    done.during("ec2:AttachNetworkInterface", interface)
        .map(drop)
}

/// The interfaces as a finding has them.
async fn interfaces(context: &Context<'_>, instance: &str) -> Result<Vec<Interface>> {
    let found = Box::pin(described(context, instance)).await?;
    let interfaces = found.network_interfaces.unwrap_or_default();
    let interfaces = interfaces.into_iter().map(|interface| {
        let groups = interface.groups.unwrap_or_default().into_iter();
        let groups: BTreeMap<_, _> = groups
            .filter_map(|group| Some((group.group_id?, group.group_name.unwrap_or_default())))
            .collect();
        Interface {
            id: interface.network_interface_id.unwrap_or_default(),
            private_address: interface.private_ip_address.unwrap_or_default(),
            public_address: interface.association.and_then(|it| it.public_ip),
            subnet: interface.subnet_id.unwrap_or_default(),
            vpc: interface.vpc_id.unwrap_or_default(),
            groups,
        }
    });
    Ok(interfaces.collect())
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn the_script_listens_and_beats_in_the_background() {
        let script = script("https://bucket.s3.amazonaws.com/beat?X-Amz-Signature=0");
        assert!(script.starts_with("#!/bin/sh\n"), "{script}");
        assert!(script.contains("'https://bucket.s3.amazonaws.com/beat?X-Amz-Signature=0'"));
        let lines: Vec<_> = script.lines().collect();
        assert!(lines.iter().all(|line| !line.starts_with(' ')), "{script}");
        assert!(
            lines[2].ends_with('&') && lines[lines.len() - 1] == "done &",
            "{script}"
        );
    }
}
