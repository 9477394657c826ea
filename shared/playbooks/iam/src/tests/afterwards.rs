//! What CloudTrail shows of a contained credential a quarter of an hour later.

use jiff::SignedDuration;

use super::role::acted_detail;
use super::*;
use fixtures::enforcing;
use fixtures::hostile::recording::incidents;
use fixtures::looks::{Sent, at_look, delays, next, queue};
use fixtures::table::{Items, table};
use fixtures::windows::{Windows, invocation};
use remediation::respond::Responder;

const SESSION: &str = "ASIASESSION000000000";

struct Course {
    world: World,
    items: Items,
    sent: Sent,
    windows: Windows,
    responder: Responder<Iam>,
}

/// The event of a session of Mallory's own, whose key is not known.
fn mallorys_session() -> Value {
    let mut detail = user_detail("mallory");
    detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!(SESSION);
    event(detail)
}

fn session_of_payroll() -> Value {
    event(acted_detail("AROAPAYROLL:build-42", "2026-03-04T05:00:00Z"))
}

/// Contained, and looked at after 10 and 60 seconds.
async fn contained_and_looked_at(account: Account, event: Value) -> Course {
    let world = world(account);
    let (items, record) = table();
    let (sent, recheck) = queue();
    let windows = Windows::new();
    let iam = Iam::over(world.iam.clients.iam.clone(), world.principals());
    let responder = windows.responder(iam, enforcing());
    let responder = responder.recording(record).rechecking(recheck);
    let report = Box::pin(responder.respond(event, &invocation("request"))).await;
    let report = report.unwrap();
    let status = report.status();
    assert!(
        [Status::Contained, Status::Partial].contains(&status),
        "{}",
        report.to_line()
    );
    let course = Course {
        world,
        items,
        sent,
        windows,
        responder,
    };
    assert_eq!(delays(&course.sent), [10]);
    course.look(0).await;
    assert_eq!(delays(&course.sent), [50]);
    course.look(1).await;
    assert_eq!(delays(&course.sent), [900]);
    course.world.asked.lock().unwrap().clear();
    course
}

impl Course {
    async fn look(&self, minutes: i64) -> Report {
        let (event, look) = next(&self.sent);
        let look = at_look(look, minutes);
        Box::pin(self.responder.respond(event, &look))
            .await
            .unwrap()
    }

    /// These calls are in CloudTrail by now, the newest first, and it is looked at.
    async fn shown(&self, events: Vec<Value>) -> Report {
        self.world.account.lock().unwrap().events = events;
        // An answer is not kept as long.
        tokio::time::advance(std::time::Duration::from_secs(900)).await;
        self.look(16).await
    }

    /// What the record says of it.
    fn afterwards(&self) -> Value {
        let incident = incidents(&self.items).remove(0);
        serde_json::from_str(&incident["afterwards"]).unwrap()
    }
}

/// A call with a key, so many seconds after the event came in.
fn call(key: &str, name: &str, seconds: i64, error: Option<&str>) -> Value {
    // CloudTrail's times are whole seconds.
    let at = Timestamp::from_second(now().as_second() + seconds).unwrap();
    let mut call = json!({
        "eventID": format!("{name} {seconds}"), "eventName": name, "eventTime": at.to_string(),
        "eventSource": "iam.amazonaws.com", "eventType": "AwsApiCall", "sourceIPAddress": "198.51.100.7",
        "userIdentity": { "accessKeyId": key, "userName": "mallory" },
    });
    if let Some(error) = error {
        call["errorCode"] = json!(error);
    }
    call
}

#[tokio::test(start_paused = true)]
async fn refused_calls_are_counted_in_the_record_without_a_notice() {
    let course = contained_and_looked_at(mallory(), event(user_detail("mallory"))).await;
    let told = course.windows.notices().len();
    let report = course
        .shown(vec![
            call(KEY, "ListUsers", 700, Some("InvalidClientTokenId")),
            call(KEY, "ListUsers", 600, Some("AccessDenied")),
            // IAM takes its time.
            call(KEY, "ListUsers", 20, None),
            call(KEY, "CreateUser", -300, None),
        ])
        .await;
    assert_eq!(
        report.status(),
        Status::AlreadyContained,
        "{}",
        report.to_line()
    );
    assert!(!report.undone());
    assert_eq!(course.windows.notices().len(), told);
    let after = course.afterwards();
    assert_eq!(after["shown"], "refused");
    assert_eq!(after["refused"], 2);
    let last = json!({ "api": "ListUsers", "at": "2026-03-04T05:17:47Z", "from": "198.51.100.7" });
    assert_eq!(after["last_refused"], last);
    let summary = after["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("2 calls with access key AKIA"),
        "{summary}"
    );
    assert!(
        after["made"][0]
            .as_str()
            .unwrap()
            .contains("find out the purpose of user")
    );
    assert!(course.world.asked.lock().unwrap().len() <= 6);
    assert!(delays(&course.sent).is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_call_proves_nothing_and_an_unreadable_history_is_unknown() {
    for (code, shown, says) in [
        (None, "nothing", "which proves nothing"),
        (
            Some("ThrottlingException"),
            "unknown",
            "not all of its calls are known",
        ),
    ] {
        let course = contained_and_looked_at(mallory(), event(user_detail("mallory"))).await;
        if let Some(code) = code {
            course.world.wire.fail("cloudtrail:LookupEvents", 400, code);
        }
        let report = course.shown(vec![call(KEY, "ListUsers", -300, None)]).await;
        assert_eq!(
            report.status(),
            Status::AlreadyContained,
            "{}",
            report.to_line()
        );
        let after = course.afterwards();
        assert_eq!(after["shown"], shown);
        assert!(after["summary"].as_str().unwrap().contains(says), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_working_key_is_reported_although_it_reads_back_as_inactive() {
    let course = contained_and_looked_at(mallory(), event(user_detail("mallory"))).await;
    let told = course.windows.notices().len();
    let report = course.shown(vec![call(KEY, "ListUsers", 600, None)]).await;
    assert!(report.undone(), "the alarm is on that");
    assert_ne!(report.status(), Status::AlreadyContained);
    let first = &report.next_steps()[0];
    assert!(first.starts_with("the containment did not hold"), "{first}");
    assert!(
        first.contains("ListUsers at 2026-03-04T05:16:07Z from 198.51.100.7"),
        "{first}"
    );
    assert_eq!(course.windows.notices().len(), told + 1);
    assert_eq!(course.afterwards()["shown"], "not_held");
    assert_eq!(course.world.key("mallory", KEY), StatusType::Inactive);
}

/// The cut-off moves forward: sessions that were opened since are denied too.
#[tokio::test(start_paused = true)]
async fn a_session_of_a_user_that_still_works_is_contained_again() {
    let course = contained_and_looked_at(mallory(), mallorys_session()).await;
    let before = course.world.cut_off().unwrap();
    let report = course
        .shown(vec![call(SESSION, "ListUsers", 600, None)])
        .await;
    assert!(report.undone(), "{}", report.to_line());
    let after = course.world.cut_off().unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    assert!(
        time(&after) > now() + SignedDuration::from_mins(15),
        "{before} {after}"
    );
    let told = &report.next_steps()[0];
    assert!(told.contains("it was contained again"), "{told}");
    // And that is looked at again.
    assert_eq!(delays(&course.sent), [10]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_deny_permits_is_no_evidence() {
    let account = payroll(own_account());
    let course = contained_and_looked_at(account, session_of_payroll()).await;
    let mut identity = call(SESSION, "GetCallerIdentity", 600, None);
    identity["eventSource"] = json!("sts.amazonaws.com");
    let mut signed_in = call(SESSION, "ConsoleLogin", 600, None);
    signed_in["eventType"] = json!("AwsConsoleSignIn");
    let report = course.shown(vec![identity, signed_in]).await;
    assert!(!report.undone(), "{}", report.to_line());
    assert_eq!(course.afterwards()["shown"], "nothing");
}

#[tokio::test(start_paused = true)]
async fn a_working_session_of_a_role_is_not_reported_as_contained() {
    let account = payroll(own_account());
    let course = contained_and_looked_at(account, session_of_payroll()).await;
    assert!(course.world.denies_session("build-42"));
    let report = course
        .shown(vec![call(SESSION, "ListUsers", 600, None)])
        .await;
    assert!(report.undone());
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let step = report.steps().last().unwrap();
    assert_eq!(step.action(), "cloudtrail:CredentialRefused");
    assert_eq!(step.outcome(), Outcome::Failed);
}

/// Only what is in effect keeps a credential out: a key that was left active answers calls.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_not_deactivated_is_not_said_to_be_kept_out() {
    let finding = stolen_key();
    let kept = |steps: &[&str]| {
        let steps = steps.iter().map(ToString::to_string).collect();
        Iam::kept_out(&finding, &steps)
    };
    let denied = "iam:RevokeUserSessions arn:aws:iam::111122223333:user/ops/mallory";
    let deactivated = format!("iam:DeactivateAccessKey {KEY}");
    assert_eq!(kept(&[denied]), None);
    assert_eq!(kept(&[]), None);
    assert!(kept(&[denied, &deactivated]).is_some());
}

/// By the cached answer of what the principal made, if the settings ask for its keys.
#[tokio::test(start_paused = true)]
async fn the_look_costs_at_most_six_look_ups_however_many_calls_there_are() {
    for event in [event(user_detail("mallory")), mallorys_session()] {
        let mut account = mallory();
        account.endless = true;
        let course = contained_and_looked_at(account, event).await;
        let report = course
            .shown(vec![call(KEY, "ListUsers", 700, Some("AccessDenied"))])
            .await;
        assert!(!report.undone());
        let asked = course.world.asked.lock().unwrap().len();
        assert!((1..=6).contains(&asked), "{asked}");
    }
}

/// The release of the other may not have known of this one when it took the deny off.
#[tokio::test(start_paused = true)]
async fn an_incident_that_found_the_deny_of_another_is_looked_at_and_contained_if_that_went() {
    let account = mallory_with(|user| {
        user.keys.retain(|(id, ..)| *id == KEY);
        user.keys.push((SECOND, StatusType::Inactive, 0));
    });
    let course = contained_and_looked_at(account, event(user_detail("mallory"))).await;
    course.sent.lock().unwrap().clear();
    let mut other = event(user_detail("mallory"));
    other["detail"]["id"] = json!("b".repeat(32));
    other["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = json!(SECOND);
    let another = invocation("another");
    let answer = course.responder.respond(other, &another);
    let report = Box::pin(answer).await.unwrap();
    let status = report.status();
    assert_eq!(status, Status::AlreadyContained, "{}", report.to_line());
    assert_eq!(delays(&course.sent), [10]);
    course.world.change_mallory(|user| {
        user.inline.clear();
    });
    let look = course.look(0).await;
    assert_eq!(look.status(), Status::Contained, "{}", look.to_line());
    assert!(course.world.cut_off().is_some());
}
