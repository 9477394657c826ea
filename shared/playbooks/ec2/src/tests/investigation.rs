//! What is told of the instance.

use super::*;
use fixtures::{answered, investigate};
use model::investigation::Question;

#[tokio::test(start_paused = true)]
async fn the_answer_about_the_instance_is_from_the_observed_values() {
    let mut account = one();
    account
        .tags
        .insert("Owner".to_owned(), "team-a\u{202e}".to_owned());
    let world = World::new(account);
    let found = investigate(&world.playbook, &infected()).await;
    let answer = answered(&found, Question::Instance);
    assert!(answer.is_known(), "{answer:?}");
    for part in ["i-0abc1234def567890 is running", "role", "Owner=team-a"] {
        assert!(answer.answer().contains(part), "{part}: {answer:?}");
    }
    assert!(!answer.answer().contains('\u{202e}'));
    assert!(world.wire().writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_read_is_an_open_question() {
    let world = World::new(one());
    world
        .wire()
        .fail("ec2:DescribeInstances", 403, "UnauthorizedOperation");
    let found = investigate(&world.playbook, &infected()).await;
    let answer = answered(&found, Question::Instance);
    assert!(
        !answer.is_known() && answer.answer().contains("ec2:DescribeInstances"),
        "{answer:?}"
    );
}
