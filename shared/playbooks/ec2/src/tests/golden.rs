//! Instances, as everybody is told of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::ID;
use super::*;
use fixtures::enforcing;
use fixtures::golden::Story;

fn calls_home() -> Value {
    json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "severity": 8,
        "title": "Command and Control server IP address queried by EC2 instance i-0abc1234def567890.",
        "description": "The EC2 instance i-0abc1234def567890 is communicating with a known Command and Control \
                        server at 198.51.100.7.",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {
                "instanceId": ID, "instanceType": "m5.large", "instanceState": "running",
                "launchTime": "2026-01-02T10:00:00Z", "availabilityZone": "us-east-1a",
                "imageId": "ami-0123456789abcdef0",
                "tags": [{ "key": "Owner", "value": "team-web" }],
                "networkInterfaces": [{
                    "networkInterfaceId": "eni-1", "privateIpAddress": "10.0.1.10", "vpcId": "vpc-1",
                    "subnetId": "subnet-1",
                }],
            },
        },
        "service": {
            "count": 3, "resourceRole": "TARGET",
            "additionalInfo": { "threatListName": "known-bad" },
            "action": {
                "actionType": "NETWORK_CONNECTION",
                "networkConnectionAction": {
                    "connectionDirection": "OUTBOUND", "protocol": "TCP", "blocked": false,
                    "localPortDetails": { "port": 49152, "portName": "Unknown" },
                    "remotePortDetails": { "port": 443, "portName": "HTTPS" },
                    "localIpDetails": { "ipAddressV4": "10.0.1.10" },
                    "remoteIpDetails": {
                        "ipAddressV4": "198.51.100.7",
                        "organization": { "asn": "64500", "asnOrg": "Example Networks", "isp": "Example", "org": "Example" },
                        "country": { "countryName": "Norway" }, "city": { "cityName": "Oslo" },
                    },
                },
            },
        },
    })
}

/// An instance of an Auto Scaling group, behind a target group, with a public address.
fn web() -> Account {
    let mut account = Account {
        tags: BTreeMap::from([("Owner".to_owned(), "team-web".to_owned())]),
        scaling: Some(("web".to_owned(), "InService")),
        targets: vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
        ..Account::default()
    };
    let first = account.interfaces.get_mut("eni-1").expect("an interface");
    first.public = vec![("203.0.113.7", None, None)];
    account
}

async fn told(name: &'static str, number: u8, world: &World, status: Status) {
    let mut story = Story::of(name, number, calls_home());
    let responder = story.function(world.another_playbook(), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), status, "{}", report.to_line());
    story.hold("", &report);
    story.ends::<Ec2>().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_contained() {
    let world = World::new(web());
    told("instance-contained", 7, &world, Status::Contained).await;
    assert!(world.is_contained());
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_which_one_interface_cannot_be_isolated() {
    let mut account = web();
    let second = account.interfaces.get_mut("eni-2").expect("an interface");
    second.refuses = Some("UnauthorizedOperation");
    let world = World::new(account);
    told("instance-partial", 8, &world, Status::Partial).await;
    assert!(world.is_isolated("eni-1") && !world.is_isolated("eni-2"));
}
