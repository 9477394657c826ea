//! A user with two access keys. The thief holds the first, and a session made with it.

use aws_sdk_iam::config::Credentials;
use remediation::error::{CallContext as _, Result};

use super::made::{Made, iam_tags, may_list, session};
use crate::attempt::{Attempt, Probe};
use crate::context::{Context, lacking};
use crate::finding::About;

/// How long a session lasts, in seconds: longer than a proof.
pub(super) const LASTS: i32 = 3600;

struct User {
    name: String,
    id: String,
}

pub(super) async fn make(context: &Context<'_>, data: &str) -> Result<Made> {
    let victim = Box::pin(user(context, "victim", data)).await?;
    let stolen = key(context, &victim).await?;
    let second = key(context, &victim).await?;
    let colleague = Box::pin(user(context, "colleague", data)).await?;
    let other = key(context, &colleague).await?;
    let sts = aws_sdk_sts::Client::new(&context.signed_in(&stolen));
    let session_of_it = context
        .once_let_in(async || {
            let call = sts.get_session_token().duration_seconds(LASTS).send();
            let issued = call.await.during("sts:GetSessionToken", &victim.name)?;
            session(issued.credentials, &victim.name)
        })
        .await?;
    context.made(format!("a session of user {}", victim.name));
    let list = |who: &Credentials| list(context, who, data);
    Ok(Made {
        resources: [&victim, &colleague]
            .map(|user| format!("user {}", user.name))
            .to_vec(),
        attempts: vec![
            Attempt::attack("ask who the stolen key belongs to", Probe::WhoAmI(sts)),
            Attempt::attack("list a bucket with the stolen key", list(&stolen)),
            Attempt::attack(
                "list the bucket with a session that was made with the stolen key",
                list(&session_of_it),
            ),
            Attempt::bystander("list the bucket with the user's second key", list(&second)),
            Attempt::bystander("list the bucket with a colleague's key", list(&other)),
        ],
        about: About::Key {
            key_id: stolen.access_key_id().to_owned(),
            user_id: victim.id,
            user_name: victim.name,
        },
        keys: vec![stolen.access_key_id().to_owned()],
    })
}

pub(super) fn list(context: &Context<'_>, who: &Credentials, bucket: &str) -> Probe {
    Probe::ListBucket {
        client: aws_sdk_s3::Client::new(&context.signed_in(who)),
        bucket: bucket.to_owned(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a user that the proof attacks, with its tag"
)]
async fn user(context: &Context<'_>, of_what: &str, data: &str) -> Result<User> {
    let (iam, name) = (&context.iam, context.id.name(of_what));
    let call = iam.create_user().user_name(&name).path(context.id.path());
    let call = call.set_tags(Some(iam_tags(context, of_what)?));
    let made = call.send().await.during("iam:CreateUser", &name)?.user;
    let id = made.map(|user| user.user_id);
    let id = id.ok_or_else(|| lacking("iam:CreateUser", &name, "user"))?;
    let put = iam.put_user_policy().user_name(&name);
    let put = put
        .policy_name("gdr-proof")
        .policy_document(may_list(context, data));
    put.send().await.during("iam:PutUserPolicy", &name)?;
    context.made(format!("user {name}"));
    Ok(User { name, id })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key of a user that the proof made"
)]
async fn key(context: &Context<'_>, user: &User) -> Result<Credentials> {
    let call = context.iam.create_access_key().user_name(&user.name);
    let made = call
        .send()
        .await
        .during("iam:CreateAccessKey", &user.name)?;
    let key = made.access_key;
    let key = key.ok_or_else(|| lacking("iam:CreateAccessKey", &user.name, "access key"))?;
    context.made(format!(
        "access key {} of user {}",
        key.access_key_id, user.name
    ));
    Ok(Credentials::new(
        key.access_key_id,
        key.secret_access_key,
        None,
        None,
        "access key",
    ))
}
