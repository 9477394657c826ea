//! The resources that a crash leaves: `clean` finds each by its tag, and tells it from what only looks like it.

use integration_tests::{LocalAws, Result};
use proof::{Id, Silent};

use super::account::Account;
use super::{ALL, Counting, FLAGS, on_aws, request, world};

/// Resources that are not the proof's, although they look like it.
struct Bystanders {
    id: Id,
    /// The id of another proof, which begins with this one's.
    longer: Id,
    /// Without the tag.
    user: String,
    bucket: String,
    function: String,
    /// In the proof's VPC.
    group: String,
    subnet: String,
    longer_user: String,
}

impl Bystanders {
    async fn make(aws: &LocalAws, id: &Id, vpc: &str) -> Result<Self> {
        let longer = Id::parse(&format!("{id}0"))?;
        let user = format!("gdr-proof-{id}-alice");
        let longer_user = format!("gdr-proof-{longer}-victim");
        let bucket = format!("gdr-proof-{id}-theirs");
        let tag = aws_sdk_iam::types::Tag::builder().key("gdr:proof");
        let tag = tag.value(longer.as_str()).build()?;
        let iam = aws.iam();
        iam.create_user()
            .user_name(&user)
            .path(id.path())
            .send()
            .await?;
        let of_other = iam
            .create_user()
            .user_name(&longer_user)
            .path(longer.path());
        of_other.tags(tag).send().await?;
        let s3 = integration_tests::s3::client(&aws.root());
        s3.create_bucket().bucket(&bucket).send().await?;
        let lambda = aws_sdk_lambda::Client::new(&aws.root());
        let function = format!("gdr-proof-{id}-other-function");
        let found = lambda.get_function_configuration();
        let found = found.function_name(&function).send().await?.function_arn;
        let untag = lambda.untag_resource().set_resource(found);
        untag.tag_keys("gdr:proof").send().await?;
        let group = aws.ec2().create_security_group().vpc_id(vpc);
        let group = group
            .group_name("theirs")
            .description("Somebody else's")
            .send()
            .await?;
        let subnet = aws.ec2().create_subnet().vpc_id(vpc);
        let subnet = subnet.cidr_block("10.0.0.128/26").send().await?.subnet;
        Ok(Self {
            id: id.clone(),
            longer,
            user,
            bucket,
            function,
            group: group.group_id.ok_or("no group")?,
            subnet: subnet.and_then(|it| it.subnet_id).ok_or("no subnet")?,
            longer_user,
        })
    }

    async fn expect_there(&self, aws: &LocalAws) -> Result {
        let s3 = integration_tests::s3::client(&aws.root());
        s3.head_bucket().bucket(&self.bucket).send().await?;
        let lambda = aws_sdk_lambda::Client::new(&aws.root());
        let function = lambda.get_function_configuration();
        function.function_name(&self.function).send().await?;
        for user in [&self.user, &self.longer_user] {
            aws.iam().get_user().user_name(user).send().await?;
        }
        let groups = aws.ec2().describe_security_groups().group_ids(&self.group);
        groups.send().await?;
        let subnets = aws.ec2().describe_subnets().subnet_ids(&self.subnet);
        subnets.send().await?;
        Ok(())
    }

    async fn remove(&self, aws: &LocalAws) -> Result {
        let s3 = integration_tests::s3::client(&aws.root());
        s3.delete_bucket().bucket(&self.bucket).send().await?;
        let lambda = aws_sdk_lambda::Client::new(&aws.root());
        let function = lambda.delete_function();
        function.function_name(&self.function).send().await?;
        for user in [&self.user, &self.longer_user] {
            aws.iam().delete_user().user_name(user).send().await?;
        }
        let groups = aws.ec2().delete_security_group().group_id(&self.group);
        groups.send().await?;
        let subnets = aws.ec2().delete_subnet().subnet_id(&self.subnet);
        subnets.send().await?;
        Ok(())
    }
}

#[test]
fn clean_removes_tagged_resources_after_a_crash_and_lists_lookalikes() -> Result {
    on_aws(async |aws| {
        let _flags = FLAGS.read().await;
        let world = world(aws).await;
        let request = request(aws, &ALL)?;
        // The instance is contained, and protected from termination.
        let counting = Counting::to(53);
        {
            let proving = Box::pin(proof::prove(
                &world,
                &request,
                &counting,
                std::future::pending(),
            ));
            tokio::select! {
                ended = proving => return Err(format!("no crash: {ended:#?}").into()),
                () = counting.reached.notified() => {}
            }
        }
        let before = Account::of(aws, &request.id).await?;
        let vpc = before.vpc.clone().ok_or("no VPC")?;
        assert!(before.resources.len() > 10, "{before:#?}");
        let bystanders = Bystanders::make(aws, &request.id, &vpc).await?;
        assert_ne!(bystanders.id, bystanders.longer);

        let removal = proof::clean(&world, &aws.account_id, &request.id, &Silent).await?;
        bystanders.expect_there(aws).await?;
        let left: Vec<_> = removal
            .left
            .iter()
            .map(|left| left.resource.as_str())
            .collect();
        let Bystanders {
            user,
            bucket,
            function,
            ..
        } = &bystanders;
        for name in [user, bucket, function, &vpc] {
            assert!(
                left.iter().any(|left| left.contains(name.as_str())),
                "{removal:#?}"
            );
        }
        assert_eq!(left.len(), 4, "{removal:#?}");
        bystanders.remove(aws).await?;
        let removal = proof::clean(&world, &aws.account_id, &request.id, &Silent).await?;
        assert_eq!(removal.left, [], "{removal:#?}");
        assert_eq!(removal.removed, [format!("VPC {vpc}")]);
        assert_eq!(Account::of(aws, &request.id).await?.resources, [""; 0]);
        let again = proof::clean(&world, &aws.account_id, &request.id, &Silent).await?;
        assert!(
            again.removed.is_empty() && again.left.is_empty(),
            "{again:#?}"
        );
        Ok(())
    })
}
