//! An instance that talks to a command and control server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, IamInstanceProfileSpecification, InstanceNetworkInterfaceSpecification, InstanceType,
    IpPermission, IpRange, Ipv6Range,
};
use serde_json::{Value, json};

use super::reachability::{interfaces, reachable};
use super::{Observation, Scenario};
use crate::finding::Finding;
use crate::{LocalAws, Result, unique};

const PEERS: [(&str, IpAddr); 2] = [
    ("IPv4", IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))),
    (
        "IPv6",
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)),
    ),
];

/// Interfaces with their groups' ids.
type Groups = Vec<(String, Vec<String>)>;

/// Two instances in one VPC with the same groups; the first is infected. Each has two interfaces, and
/// three groups between them.
pub struct InfectedInstance {
    ec2: Client,
    pub vpc_id: String,
    pub id: String,
    pub neighbour_id: String,
    groups: Groups,
    neighbour_groups: Groups,
}

impl InfectedInstance {
    pub async fn create(aws: &LocalAws) -> Result<Self> {
        Self::create_in(aws, &aws.region).await
    }

    /// In a Region that need not be that of the stack.
    pub async fn create_in(aws: &LocalAws, region: &str) -> Result<Self> {
        let ec2 = aws.ec2_in(region);
        let (vpc_id, subnet_id) = network(&ec2).await?;
        let web = group(&ec2, &vpc_id, "web", 443).await?;
        let admin = group(&ec2, &vpc_id, "admin", 22).await?;
        let data = group(&ec2, &vpc_id, "data", 5432).await?;
        let first = [web, admin];
        let second = [data];
        let id = instance(&ec2, &subnet_id, &first, &second).await?;
        let neighbour_id = instance(&ec2, &subnet_id, &first, &second).await?;
        Ok(Self {
            groups: interfaces(&ec2, &id).await?,
            neighbour_groups: interfaces(&ec2, &neighbour_id).await?,
            ec2,
            vpc_id,
            id,
            neighbour_id,
        })
    }

    /// Gives the infected instance a third interface, in a VPC of its own. Returns that interface
    /// and that VPC.
    pub async fn join_second_network(&mut self) -> Result<(String, String)> {
        let (vpc_id, subnet_id) = network(&self.ec2).await?;
        let backup = group(&self.ec2, &vpc_id, "backup", 873).await?;
        let interface = interface(&self.ec2, &subnet_id, &[backup]).await?;
        attach(&self.ec2, &self.id, &interface, 2).await?;
        self.groups = self.groups().await?;
        Ok((interface, vpc_id))
    }

    /// Makes a group of this name in the VPC, open on one port and outwards, as someone might have.
    pub async fn leave_open_group(&self, name: &str) -> Result<String> {
        open_group(&self.ec2, &self.vpc_id, name, 22).await
    }

    /// Gives both instances one role, by an instance profile of another name. `sdk` reaches the IAM that
    /// EC2 knows. Returns the role's name.
    pub async fn give_role(&self, sdk: &SdkConfig) -> Result<String> {
        let iam = aws_sdk_iam::Client::new(sdk);
        let (role, profile) = (unique("web"), unique("profile"));
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "ec2.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        });
        iam.create_role()
            .role_name(&role)
            .assume_role_policy_document(trust.to_string())
            .send()
            .await?;
        iam.create_instance_profile()
            .instance_profile_name(&profile)
            .path("/apps/")
            .send()
            .await?;
        iam.add_role_to_instance_profile()
            .instance_profile_name(&profile)
            .role_name(&role)
            .send()
            .await?;
        for instance in [&self.id, &self.neighbour_id] {
            let named = IamInstanceProfileSpecification::builder();
            self.ec2
                .associate_iam_instance_profile()
                .instance_id(instance)
                .iam_instance_profile(named.name(&profile).build())
                .send()
                .await?;
        }
        Ok(role)
    }

    /// Whether both instances have the groups with which they started.
    pub async fn is_untouched(&self) -> Result<bool> {
        Ok(self.groups().await? == self.groups && self.neighbour_is_untouched().await?)
    }

    /// The infected instance's groups now.
    pub async fn groups(&self) -> Result<Groups> {
        interfaces(&self.ec2, &self.id).await
    }

    async fn neighbour_is_untouched(&self) -> Result<bool> {
        Ok(interfaces(&self.ec2, &self.neighbour_id).await? == self.neighbour_groups)
    }

    /// The ids of the VPC's groups of this name.
    pub async fn groups_named(&self, name: &str) -> Result<Vec<String>> {
        let filter = |key: &str, value: &str| Filter::builder().name(key).values(value).build();
        let found = self
            .ec2
            .describe_security_groups()
            .filters(filter("vpc-id", &self.vpc_id))
            .filters(filter("group-name", name))
            .send()
            .await?;
        Ok(found
            .security_groups()
            .iter()
            .filter_map(|g| g.group_id.clone())
            .collect())
    }

    /// A finding that the credentials of the instance's own identity were used in an API call, which does not
    /// describe the instance. CloudTrail recorded the call in the Region of the stack.
    pub fn identity_stolen(&self, account: &str) -> Result<Finding> {
        let identity = "aws:ec2-instance";
        let principal = format!("{account}:{identity}:{}", self.id);
        let instance =
            Finding::stolen_key()?.by("ASIAIOSFODNN7EXAMPLE", &principal, "AssumedRole", identity);
        Ok(instance
            .of_type("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS")
            .with("/severity", 8))
    }

    async fn observe(&self, who: &str, instance_id: &str) -> Result<Vec<Observation>> {
        let mut seen = Vec::new();
        for (family, peer) in PEERS {
            let paths = reachable(&self.ec2, instance_id, peer).await?;
            for (direction, verb) in [("out", "reaches its server"), ("in", "is reached")] {
                let open = paths
                    .iter()
                    .filter(|path| path.direction == direction)
                    .count();
                seen.push(Observation {
                    what: format!("{who} {verb} over {family}"),
                    works: open > 0,
                    evidence: format!("{open} open path{}", if open == 1 { "" } else { "s" }),
                });
            }
        }
        Ok(seen)
    }
}

impl Scenario for InfectedInstance {
    fn finding(&self) -> Result<Finding> {
        let interfaces: Vec<Value> = self
            .groups
            .iter()
            .enumerate()
            .map(|(index, (id, groups))| {
                let groups: Vec<Value> = groups
                    .iter()
                    .map(|group| json!({ "groupId": group, "groupName": group }))
                    .collect();
                json!({
                    "networkInterfaceId": id,
                    "privateIpAddress": format!("10.0.1.{}", index + 10),
                    "privateDnsName": "",
                    "ipv6Addresses": [],
                    "vpcId": self.vpc_id,
                    "securityGroups": groups,
                })
            })
            .collect();
        Ok(Finding::instance_calls_home()?
            .with("/resource/instanceDetails/instanceId", self.id.as_str())
            .with("/resource/instanceDetails/networkInterfaces", interfaces))
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        self.observe("the infected instance", &self.id).await
    }

    async fn bystanders(&self) -> Result<Vec<Observation>> {
        let mut seen = self.observe("its neighbour", &self.neighbour_id).await?;
        seen.push(Observation {
            what: "its neighbour keeps its groups".to_owned(),
            works: self.neighbour_is_untouched().await?,
            evidence: format!("{} interfaces", self.neighbour_groups.len()),
        });
        Ok(seen)
    }
}

/// A VPC and a subnet in it.
async fn network(ec2: &Client) -> Result<(String, String)> {
    let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await?.vpc;
    let vpc_id = vpc.and_then(|vpc| vpc.vpc_id).ok_or("no VPC")?;
    let subnet = ec2
        .create_subnet()
        .vpc_id(&vpc_id)
        .cidr_block("10.0.1.0/24")
        .send()
        .await?
        .subnet;
    let subnet_id = subnet
        .and_then(|subnet| subnet.subnet_id)
        .ok_or("no subnet")?;
    Ok((vpc_id, subnet_id))
}

/// A group open to everyone on one port, and open outwards.
async fn group(ec2: &Client, vpc_id: &str, purpose: &str, port: i32) -> Result<String> {
    open_group(ec2, vpc_id, &unique(purpose), port).await
}

async fn open_group(ec2: &Client, vpc_id: &str, name: &str, port: i32) -> Result<String> {
    let id = ec2
        .create_security_group()
        .vpc_id(vpc_id)
        .group_name(name)
        .description("Of an instance under attack")
        .send()
        .await?
        .group_id
        .ok_or("no group")?;
    let rule = IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(port)
        .to_port(port)
        .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
        .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
        .build();
    ec2.authorize_security_group_ingress()
        .group_id(&id)
        .ip_permissions(rule)
        .send()
        .await?;
    // A new group lets all IPv4 out already.
    let out = IpPermission::builder()
        .ip_protocol("-1")
        .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
        .build();
    ec2.authorize_security_group_egress()
        .group_id(&id)
        .ip_permissions(out)
        .send()
        .await?;
    Ok(id)
}

/// An instance with two interfaces. They are made first, since moto shows an interface's groups
/// together with those of its instance, and so the instance must not have any.
async fn instance(
    ec2: &Client,
    subnet_id: &str,
    first: &[String],
    second: &[String],
) -> Result<String> {
    let first = interface(ec2, subnet_id, first).await?;
    let second = interface(ec2, subnet_id, second).await?;
    let id = ec2
        .run_instances()
        .image_id("ami-12c6146b")
        .instance_type(InstanceType::T3Micro)
        .min_count(1)
        .max_count(1)
        .network_interfaces(
            InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .network_interface_id(first)
                .build(),
        )
        .send()
        .await?
        .instances()
        .first()
        .and_then(|instance| instance.instance_id.clone())
        .ok_or("no instance")?;
    attach(ec2, &id, &second, 1).await?;
    Ok(id)
}

async fn interface(ec2: &Client, subnet_id: &str, groups: &[String]) -> Result<String> {
    let made = ec2
        .create_network_interface()
        .subnet_id(subnet_id)
        .set_groups(Some(groups.to_vec()))
        .send()
        .await?;
    Ok(made
        .network_interface
        .and_then(|i| i.network_interface_id)
        .ok_or("no interface")?)
}

async fn attach(ec2: &Client, instance_id: &str, interface_id: &str, index: i32) -> Result {
    ec2.attach_network_interface()
        .device_index(index)
        .instance_id(instance_id)
        .network_interface_id(interface_id)
        .send()
        .await?;
    Ok(())
}
