//! The context that every part of a proof needs: the caller, the clients, the names.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;
use remediation::error::{CallContext as _, Error, Result};
use tokio::time::{Instant, sleep};

use crate::request::{Id, Refused, TAG};
use crate::watcher::Watcher;
use crate::world::World;

pub(crate) struct Context<'a> {
    pub(crate) world: &'a World,
    pub(crate) id: &'a Id,
    pub(crate) watcher: &'a dyn Watcher,
    pub(crate) account: String,
    /// The ARN of the caller.
    pub(crate) caller: String,
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
}

impl<'a> Context<'a> {
    /// Asks who the caller is.
    ///
    /// # Errors
    /// If the credentials are not of `account`.
    pub(crate) async fn new(
        world: &'a World,
        account: &str,
        id: &'a Id,
        watcher: &'a dyn Watcher,
    ) -> std::result::Result<Self, Refused> {
        let refused = |error: Error| {
            Refused(format!(
                "AWS does not say whose credentials these are, so nothing was done: {error}"
            ))
        };
        let asked = aws_sdk_sts::Client::new(&world.sdk);
        let asked = asked.get_caller_identity().send().await;
        let identity = asked
            .during("sts:GetCallerIdentity", "the caller")
            .map_err(refused)?;
        let (of, caller) = (
            identity.account.unwrap_or_default(),
            identity.arn.unwrap_or_default(),
        );
        if of != account {
            return Err(Refused(format!(
                "nothing was done: account {account} is meant, and these credentials are of account {of} \
                 ({caller}): give the credentials or the account that you mean"
            )));
        }
        let Some(region) = world.sdk.region() else {
            let why = "nothing was done: no Region is set: give one, such as us-east-1";
            return Err(Refused(why.to_owned()));
        };
        let partition = caller.split(':').nth(1).unwrap_or("aws").to_owned();
        Ok(Self {
            world,
            id,
            watcher,
            account: of,
            partition,
            region: region.to_string(),
            caller,
            s3: aws_sdk_s3::Client::new(&world.sdk),
            iam: aws_sdk_iam::Client::new(&world.sdk),
            ec2: aws_sdk_ec2::Client::new(&world.sdk),
            lambda: aws_sdk_lambda::Client::new(&world.sdk),
            dynamodb: aws_sdk_dynamodb::Client::new(&world.sdk),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.world.clock)()
    }

    pub(crate) fn made(&self, resource: impl AsRef<str>) {
        self.watcher.made(resource.as_ref());
    }

    /// The account, with other credentials.
    pub(crate) fn signed_in(&self, credentials: &Credentials) -> SdkConfig {
        let sdk = self.world.sdk.clone().into_builder();
        sdk.credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build()
    }

    /// The account, for a caller without credentials.
    pub(crate) fn anonymous(&self) -> SdkConfig {
        let mut sdk = self.world.sdk.clone().into_builder();
        sdk.set_credentials_provider(None);
        sdk.build()
    }

    /// The tags of all that is made: the proof's, and for people a name.
    pub(crate) fn tags(&self, name: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([(TAG, self.id.to_string()), ("Name", self.id.name(name))])
    }

    /// Calls until AWS knows of what was made a moment ago.
    ///
    /// # Errors
    /// Any other error immediately, and this one if AWS does not come to know.
    pub(crate) async fn once_there<T>(&self, call: impl AsyncFn() -> Result<T>) -> Result<T> {
        self.once(call, Error::is_gone).await
    }

    /// Calls until AWS lets new credentials in, or into a new role.
    ///
    /// # Errors
    /// As [`Context::once_there`].
    pub(crate) async fn once_let_in<T>(&self, call: impl AsyncFn() -> Result<T>) -> Result<T> {
        let early = |error: &Error| {
            let codes = ["InvalidClientTokenId", "InvalidAccessKeyId"];
            error.is_denied() || codes.iter().any(|code| error.has_code(code))
        };
        self.once(call, early).await
    }

    /// Calls until Lambda can assume a new role.
    ///
    /// # Errors
    /// As [`Context::once_there`].
    pub(crate) async fn once_assumable<T>(&self, call: impl AsyncFn() -> Result<T>) -> Result<T> {
        // Lambda has no code of its own for that.
        let early = |error: &Error| {
            error.has_code("InvalidParameterValueException")
                && error.to_string().contains("cannot be assumed")
        };
        self.once(call, early).await
    }

    async fn once<T>(
        &self,
        call: impl AsyncFn() -> Result<T>,
        is_early: impl Fn(&Error) -> bool,
    ) -> Result<T> {
        let until = Instant::now() + self.world.patience.new;
        loop {
            let answer = call().await;
            let early = answer.as_ref().is_err_and(&is_early);
            if !early || Instant::now() >= until {
                return answer;
            }
            sleep(self.world.patience.pause).await;
        }
    }
}

/// An error of a value that AWS's answer lacks.
pub(crate) fn lacking(operation: &str, target: &str, what: &str) -> Error {
    Error::Refused(format!(
        "{operation} on {target} succeeded, and its answer has no {what}"
    ))
}
