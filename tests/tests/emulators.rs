//! What the end-to-end tests rest on: on the emulators an attack works, a containment stops it, and
//! the bystanders stay unharmed. Containment is done by hand here, without the responder.

use std::net::TcpStream;

use aws_sdk_iam::types::StatusType;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use integration_tests::scenario::{
    InfectedInstance, PublicBucket, StolenKey, StolenRoleSession, all_work, none_works,
};
use integration_tests::{LocalAws, Result, Scenario, waits};
use serde_json::json;

use crate::shared_aws::on_aws;

#[test]
fn attacks_work_until_contained_and_bystanders_are_unaffected() -> Result {
    on_aws(async |aws| {
        public_bucket(aws).await?;
        stolen_key(aws).await?;
        stolen_role_session(aws).await?;
        infected_instance(aws).await
    })
}

#[test]
fn the_emulators_end_when_they_are_stopped() -> Result {
    let aws = LocalAws::start_quick()?;
    let endpoints = [aws.endpoint.clone(), aws.ec2_endpoint.clone()];
    aws.stop()?;
    for endpoint in endpoints {
        let address = endpoint.trim_start_matches("http://");
        assert!(TcpStream::connect(address).is_err(), "{endpoint} answers");
    }
    Ok(())
}

async fn expect_success(scenario: &impl Scenario) -> Result {
    let attack = scenario.attack().await?;
    assert!(all_work(&attack), "{attack:?}");
    let bystanders = scenario.bystanders().await?;
    assert!(all_work(&bystanders), "{bystanders:?}");
    Ok(())
}

async fn expect_containment(scenario: &impl Scenario) -> Result {
    let attack = scenario.attack().await?;
    assert!(none_works(&attack), "{attack:?}");
    let bystanders = scenario.bystanders().await?;
    assert!(all_work(&bystanders), "{bystanders:?}");
    Ok(())
}

async fn public_bucket(aws: &LocalAws) -> Result {
    let bucket = PublicBucket::create(aws).await?;
    expect_success(&bucket).await?;
    let all = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    aws_sdk_s3::Client::new(&aws.root())
        .put_public_access_block()
        .bucket(&bucket.name)
        .public_access_block_configuration(all)
        .send()
        .await?;
    expect_containment(&bucket).await
}

async fn stolen_key(aws: &LocalAws) -> Result {
    let theft = StolenKey::create(aws).await?;
    expect_success(&theft).await?;
    let now = jiff::Timestamp::now().to_string();
    let deny = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": { "DateLessThan": { "aws:TokenIssueTime": now } },
        }],
    });
    let iam = aws.iam();
    iam.put_user_policy()
        .user_name(theft.user_name())
        .policy_name("Revoke")
        .policy_document(deny.to_string())
        .send()
        .await?;
    iam.update_access_key()
        .user_name(theft.user_name())
        .access_key_id(theft.key_id())
        .status(StatusType::Inactive)
        .send()
        .await?;
    expect_containment(&theft).await?;
    // Sessions are dated to the second: one made in the second of the revocation is revoked too.
    waits::next_second().await;
    assert!(theft.new_session().await?.works);
    Ok(())
}

async fn stolen_role_session(aws: &LocalAws) -> Result {
    let theft = StolenRoleSession::create(aws).await?;
    expect_success(&theft).await?;
    let finding = theft.finding()?;
    let details = &finding.0["detail"]["resource"]["accessKeyDetails"];
    let deny = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": { "StringEquals": { "aws:userid": details["principalId"] } },
        }],
    });
    aws.iam()
        .put_role_policy()
        .role_name(details["userName"].as_str().unwrap_or_default())
        .policy_name("Deny")
        .policy_document(deny.to_string())
        .send()
        .await?;
    expect_containment(&theft).await
}

async fn infected_instance(aws: &LocalAws) -> Result {
    let infection = InfectedInstance::create(aws).await?;
    expect_success(&infection).await?;
    let ec2 = aws.ec2();
    let isolation = ec2
        .create_security_group()
        .vpc_id(&infection.vpc_id)
        .group_name("isolation")
        .description("Nothing in, nothing out")
        .send()
        .await?
        .group_id
        .ok_or("no group")?;
    let everything = aws_sdk_ec2::types::IpPermission::builder()
        .ip_protocol("-1")
        .ip_ranges(
            aws_sdk_ec2::types::IpRange::builder()
                .cidr_ip("0.0.0.0/0")
                .build(),
        )
        .build();
    ec2.revoke_security_group_egress()
        .group_id(&isolation)
        .ip_permissions(everything)
        .send()
        .await?;
    for (interface, _) in infection.groups().await? {
        ec2.modify_network_interface_attribute()
            .network_interface_id(interface)
            .groups(&isolation)
            .send()
            .await?;
    }
    expect_containment(&infection).await
}
