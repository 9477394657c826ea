use aws_sdk_sts::config::ProvideCredentials as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::primitives::DateTime;
use aws_sdk_sts::types::{AssumedRoleUser, Credentials as Issued};
use serde_json::json;
use testkit::{mock, mock_client};

use super::*;
use crate::fixtures::fake::{Fake, act};
use crate::fixtures::{Protocol, Wire, finding, now};

const HUB: &str = "999988887777";
const MEMBER: &str = "111122223333";
const LEFT: Duration = Duration::from_secs(110);

/// STS, which gives out sessions of 15 minutes from `now`.
pub(crate) struct Sts {
    pub(crate) wire: Wire,
    /// Role, session name, source identity and external id of each session that was asked for.
    pub(crate) asked: Arc<Mutex<Vec<[String; 4]>>>,
    /// The time by which sessions last.
    clock: Arc<Mutex<Timestamp>>,
    /// The account that the sessions are of, where it is not the role's.
    strange: Arc<Mutex<Option<&'static str>>>,
    pub(crate) client: Client,
}

pub(crate) fn sts() -> Sts {
    let (wire, asked) = (Wire::new(Protocol::Query), Arc::<Mutex<Vec<_>>>::default());
    let clock = Arc::new(Mutex::new(now()));
    let strange = Arc::<Mutex<Option<&'static str>>>::default();
    let (on, sessions, time, other) = (wire.clone(), asked.clone(), clock.clone(), strange.clone());
    let assume = mock!(Client::assume_role).then_compute_response(move |request| {
        on.answer("sts:AssumeRole", || {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let role = text(request.role_arn());
            let name = text(request.role_session_name());
            let mut sessions = sessions.lock().unwrap();
            sessions.push([
                role.clone(),
                name.clone(),
                text(request.source_identity()),
                text(request.external_id()),
            ]);
            let account = other
                .lock()
                .unwrap()
                .unwrap_or_else(|| role.split(':').nth(4).unwrap());
            let seconds = request.duration_seconds().unwrap();
            let expires = time.lock().unwrap().as_second() + i64::from(seconds);
            let credentials = Issued::builder()
                .access_key_id(format!("ASIA{}", sessions.len()))
                .secret_access_key("secret")
                .session_token("token")
                .expiration(DateTime::from_secs(expires));
            let user = AssumedRoleUser::builder()
                .assumed_role_id(format!("AROA:{name}"))
                .arn(format!(
                    "arn:aws:sts::{account}:assumed-role/gdr-member-s3/{name}"
                ));
            Ok(AssumeRoleOutput::builder()
                .credentials(credentials.build().unwrap())
                .assumed_role_user(user.build().unwrap())
                .build())
        })
    });
    let client = mock_client!(aws_sdk_sts, [&assume]);
    Sts {
        wire,
        asked,
        clock,
        strange,
        client,
    }
}

/// The Region and the credentials that a playbook was built with.
type Built = Arc<Mutex<Vec<SdkConfig>>>;

fn accounts(sts: &Sts, hub: Option<Hub>) -> (Accounts<Fake>, Built) {
    let built = Built::default();
    let sdk = SdkConfig::builder()
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "OWN", "secret", None, None, "test",
        )))
        .build();
    let keep = Arc::clone(&built);
    let build = move |sdk: &SdkConfig| {
        keep.lock().unwrap().push(sdk.clone());
        Fake::new([act("exposed")])
    };
    let settings = Settings::default();
    let accounts = Accounts::new(build, &sdk, sts.client.clone(), hub, &settings);
    (accounts, built)
}

pub(crate) fn hub() -> Option<Hub> {
    Some(Hub {
        account: Some(HUB.to_owned()),
        external_id: Some("an-external-id".to_owned()),
    })
}

fn of(account: &str, region: &str, id: &str) -> Finding {
    finding(json!({
        "id": id, "accountId": account, "region": region,
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
    }))
}

async fn calls_with(sdk: &SdkConfig) -> (String, String) {
    let region = sdk.region().unwrap().to_string();
    let credentials = sdk.credentials_provider().unwrap();
    let credentials = credentials.provide_credentials().await.unwrap();
    (region, credentials.access_key_id().to_owned())
}

#[tokio::test]
async fn a_member_s_finding_is_answered_with_the_member_s_role_in_the_finding_s_region() {
    let sts = sts();
    let (accounts, built) = accounts(&sts, hub());
    let finding = of(MEMBER, "eu-central-1", "0123abcd");
    let there = accounts.playbook(&finding, now(), LEFT).await.unwrap();
    let there = there.expect("a playbook");
    assert!(there.remark.is_none());
    assert_eq!(
        calls_with(&there.sdk).await.1,
        "ASIA1",
        "whatever else is asked there"
    );
    assert_eq!(
        *sts.asked.lock().unwrap(),
        [[
            "arn:aws:iam::111122223333:role/gdr-member-s3",
            "gdr-0123abcd",
            "gdr-0123abcd",
            "an-external-id",
        ]]
    );
    let sdk = built.lock().unwrap()[0].clone();
    let expected = ("eu-central-1".to_owned(), "ASIA1".to_owned());
    assert_eq!(calls_with(&sdk).await, expected);
}

#[tokio::test]
async fn the_own_account_needs_no_other_role_than_the_function_s() {
    for hub in [None, hub()] {
        let sts = sts();
        let (accounts, built) = accounts(&sts, hub);
        let here = of(HUB, "us-east-1", "a");
        assert!(
            accounts
                .playbook(&here, now(), LEFT)
                .await
                .unwrap()
                .is_none()
        );
        let there = of(HUB, "eu-west-1", "a");
        assert!(
            accounts
                .playbook(&there, now(), LEFT)
                .await
                .unwrap()
                .is_some()
        );
        assert!(sts.wire.calls().is_empty());
        let sdk = built.lock().unwrap()[0].clone();
        let expected = ("eu-west-1".to_owned(), "OWN".to_owned());
        assert_eq!(calls_with(&sdk).await, expected);
    }
}

#[tokio::test]
async fn a_session_is_used_again_for_its_finding_and_renewed_before_it_expires() {
    let sts = sts();
    let (accounts, built) = accounts(&sts, hub());
    let finding = of(MEMBER, "us-east-1", "first");
    for (minutes, sessions) in [(0, 1), (5, 1), (10, 1), (13, 2), (14, 2)] {
        let at = now() + SignedDuration::from_mins(minutes);
        *sts.clock.lock().unwrap() = at;
        accounts.playbook(&finding, at, LEFT).await.unwrap();
        assert_eq!(sts.asked.lock().unwrap().len(), sessions, "{minutes}");
    }
    assert_eq!(built.lock().unwrap().len(), 2, "one playbook a session");
}

#[tokio::test]
async fn each_finding_and_each_account_has_a_session_of_its_own() {
    let sts = sts();
    let (accounts, _) = accounts(&sts, hub());
    for (account, id) in [
        (MEMBER, "first"),
        ("444455556666", "second"),
        (MEMBER, "first"),
        ("444455556666", "second"),
        (MEMBER, "third"),
    ] {
        let finding = of(account, "us-east-1", id);
        accounts.playbook(&finding, now(), LEFT).await.unwrap();
    }
    let asked = sts.asked.lock().unwrap();
    let names: Vec<_> = asked.iter().map(|[_, name, ..]| name.as_str()).collect();
    assert_eq!(names, ["gdr-first", "gdr-second", "gdr-third"]);
}

#[tokio::test]
async fn without_a_new_session_of_sts_the_last_one_is_used_and_reported() {
    let sts = sts();
    let (accounts, _) = accounts(&sts, hub());
    let first = of(MEMBER, "us-east-1", "first");
    accounts.playbook(&first, now(), LEFT).await.unwrap();
    sts.wire.fail("sts:AssumeRole", 400, "Throttling");
    let second = of(MEMBER, "us-east-1", "second");
    let there = accounts.playbook(&second, now(), LEFT).await.unwrap();
    let remark = there.unwrap().remark.expect("a remark");
    assert!(
        remark.contains("session gdr-first") && remark.contains(MEMBER),
        "{remark}"
    );

    let elsewhere = of("444455556666", "us-east-1", "third");
    let error = accounts
        .playbook(&elsewhere, now(), LEFT)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    let later = now() + SignedDuration::from_mins(13);
    let error = accounts.playbook(&second, later, LEFT).await.unwrap_err();
    assert!(
        error.is_transient(),
        "an expiring session serves nobody: {error}"
    );
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_named_with_the_stack_to_deploy() {
    let sts = sts();
    let (accounts, built) = accounts(&sts, hub());
    let first = of(MEMBER, "us-east-1", "first");
    accounts.playbook(&first, now(), LEFT).await.unwrap();
    sts.wire.fail("sts:AssumeRole", 403, "AccessDenied");
    let error = accounts
        .playbook(&of(MEMBER, "us-east-1", "second"), now(), LEFT)
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error}");
    let text = error.to_string();
    for part in [
        "sts:AssumeRole on arn:aws:iam::111122223333:role/gdr-member-s3: AccessDenied",
        "account 111122223333",
        "deploy infra/member-roles.yaml",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(built.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_of_another_account_than_the_finding_s_is_not_used() {
    let sts = sts();
    *sts.strange.lock().unwrap() = Some("444455556666");
    let (accounts, built) = accounts(&sts, hub());
    let finding = of(MEMBER, "us-east-1", "first");
    let error = accounts.playbook(&finding, now(), LEFT).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("::444455556666:") && text.contains("not of account 111122223333"),
        "{text}"
    );
    assert!(built.lock().unwrap().is_empty());
}

#[test]
fn a_session_s_name_has_the_grammar_that_sts_asks_for() {
    for id in ["16afba5c5c43e07c9e3e5e2e544e95df", "a", &"A-b_9".repeat(60)] {
        let name = session_name(&of(MEMBER, "us-east-1", id));
        assert!(
            name.starts_with("gdr-") && (2..=64).contains(&name.len()),
            "{name}"
        );
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        assert!(name.chars().all(allowed), "{name}");
    }
}
