//! A proof by the deployed functions.

use integration_tests::{Result, proving};
use proof::record::ContainedBy;
use proof::{Id, Request, Silent, Victim};

use crate::e2e::world::on_aws;

const ALL: [Victim; 5] = [
    Victim::PublicBucket,
    Victim::StolenKey,
    Victim::StolenRoleSession,
    Victim::InfectedInstance,
    Victim::HijackedFunction,
];

fn request(account: &str, stack: &str) -> Result<Request> {
    Ok(Request {
        account: account.to_owned(),
        id: Id::random()?,
        victims: ALL.to_vec(),
        by: ContainedBy::Stack(stack.to_owned()),
        reactivate_key: true,
        dry_run: false,
    })
}

#[test]
fn the_functions_contain_and_their_record_releases() -> Result {
    on_aws(async |world| {
        let aws = world.aws;
        let local = proving::world(aws, &aws.endpoint, &aws.ec2_endpoint).await;
        let request = request(&aws.account_id, &world.enforcing.name)?;
        let never = std::future::pending();
        let proof = Box::pin(proof::prove(&local, &request, &Silent, never)).await?;
        assert!(proof.holds(), "{proof:#?}");
        for scene in &proof.scenes {
            assert_eq!(scene.status.as_deref(), Some("contained"), "{scene:#?}");
            assert!(!scene.released.is_empty(), "{scene:#?}");
            for attack in &scene.attacks {
                let back = attack.released.as_ref().is_some_and(|it| it.works);
                assert!(back, "{attack:#?}");
            }
        }
        let tables = proof.removal.removed.iter();
        assert_eq!(tables.filter(|it| it.starts_with("table ")).count(), 0);
        Ok(())
    })
}

#[test]
fn functions_in_a_dry_run_are_refused_and_shown_to_change_nothing_where_that_is_asked() -> Result {
    on_aws(async |world| {
        let aws = world.aws;
        let local = proving::world(aws, &aws.endpoint, &aws.ec2_endpoint).await;
        let never = std::future::pending::<()>;
        let mut request = request(&aws.account_id, &world.dry.name)?;
        let refused = Box::pin(proof::prove(&local, &request, &Silent, never())).await;
        let refused = refused.expect_err("a dry run").to_string();
        assert!(refused.contains("is in a dry run"), "{refused}");

        request.dry_run = true;
        let proof = Box::pin(proof::prove(&local, &request, &Silent, never())).await?;
        assert_eq!(proof.stopped, None);
        assert_eq!(proof.removal.left, []);
        assert!(!proof.holds(), "nothing was contained");
        for scene in &proof.scenes {
            assert_eq!(scene.status.as_deref(), Some("dry_run"), "{scene:#?}");
            let goes_on = |tried: &proof::record::Tried| {
                let answer = tried.contained.as_ref();
                answer.is_some_and(|answer| answer.works)
            };
            assert!(
                scene.attacks.iter().chain(&scene.bystanders).all(goes_on),
                "{scene:#?}"
            );
        }

        request.by = ContainedBy::Stack(world.enforcing.name.clone());
        let refused = Box::pin(proof::prove(&local, &request, &Silent, never())).await;
        let refused = refused.expect_err("it enforces").to_string();
        assert!(refused.contains("enforces"), "{refused}");
        request.by = ContainedBy::Stack("nobodys".to_owned());
        let refused = Box::pin(proof::prove(&local, &request, &Silent, never())).await;
        assert!(
            refused
                .expect_err("no stack")
                .to_string()
                .contains("nobodys")
        );
        Ok(())
    })
}
