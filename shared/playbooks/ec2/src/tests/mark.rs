//! The tag by which a service control policy keeps others from changing an isolated interface.

use super::world::ID;
use super::*;

const MARK: &str = "ec2:MarkContained";

fn is_tagged(world: &World) -> bool {
    let account = world.now();
    account.interfaces["eni-1"]
        .tags
        .contains_key("gdr:incident")
}

#[tokio::test(start_paused = true)]
async fn no_interface_is_tagged_whose_isolation_is_not_in_effect() {
    let world = World::new(one());
    world.wire.fail(MODIFY, 403, "UnauthorizedOperation");
    let (report, _) = contain(&world).await;
    assert_eq!(step(&report, ISOLATE, "eni-1").0, Outcome::Failed);
    let (outcome, detail) = step(&report, MARK, "eni-1");
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("not tagged"), "{detail}");
    assert!(!is_tagged(&world));
}

#[tokio::test(start_paused = true)]
async fn an_interface_is_tagged_when_its_isolation_is_shown() {
    let mut account = one();
    account.interfaces.get_mut("eni-1").unwrap().lags = 2;
    let world = World::new(account);
    contained(&world).await;
    assert!(is_tagged(&world));
}

#[tokio::test(start_paused = true)]
async fn the_instance_is_tagged_only_when_all_its_interfaces_are_isolated() {
    let world = World::new(Account::default());
    let refusal = |refuses| {
        let mut account = world.now();
        account.interfaces.get_mut("eni-2").unwrap().refuses = refuses;
    };
    refusal(Some("UnauthorizedOperation"));
    let (report, _) = contain(&world).await;
    assert_eq!(step(&report, MARK, "eni-1").0, Outcome::Applied);
    let (outcome, detail) = step(&report, MARK, ID);
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("eni-2 is not isolated"), "{detail}");
    assert!(!world.now().tags.contains_key("gdr:incident"));

    refusal(None);
    contained(&world).await;
    assert!(world.now().tags.contains_key("gdr:incident"));
}
