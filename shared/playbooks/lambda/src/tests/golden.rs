//! A function, as everybody is told of it.

use super::world::{Account, World, detail};
use super::*;
use fixtures::enforcing;
use fixtures::golden::Story;

#[tokio::test(start_paused = true)]
async fn a_function_that_is_contained() {
    let world = World::new(Account {
        event_sources: vec!["arn:aws:sqs:us-east-1:111122223333:orders"],
        environment: vec![("DATABASE_PASSWORD", "hunter2")],
        changes: vec!["UpdateFunctionCode20150331v2"],
        ..Account::default()
    });
    let mut told = detail();
    told["title"] =
        json!("Command and Control server IP address queried by Lambda function orders.");
    told["description"] = json!(
        "The Lambda function orders is communicating with a known Command and Control server."
    );
    let mut story = Story::of("function-contained", 12, told);
    let responder = story.function(world.another_playbook(), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    story.hold("", &report);
    story.ends::<Lambda>().await;
    assert!(world.is_contained());
}
