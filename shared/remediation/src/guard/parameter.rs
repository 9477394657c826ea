//! The user's policies as they are delivered: a parameter of AWS Systems Manager.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ssm::Client;
use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Guard, UNUSABLE};
use crate::error::{CallContext, Error, Result};
use crate::execute::within;

/// How many characters of policies the parameter holds: those of the advanced tier,
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>.
pub const SIZE_LIMIT: usize = 8 * 1024;

/// What was read so recently is not read again.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// How long the last policies that could be read are used when they cannot be read again.
const STANDS: SignedDuration = SignedDuration::from_hours(1);

/// How long an event waits for policies when there are none that it could use.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the policies come from, and what was last read of them.
///
/// An event does not wait for policies to be read again: they are read while its target is observed, and
/// if that is not done by then, the last ones decide. It waits only if there are none, or none that are
/// younger than an hour.
#[derive(Debug)]
pub struct PolicyParameter {
    source: Source,
    last: Mutex<Option<Read>>,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<Guard>),
    Parameter { client: Client, name: String },
}

#[derive(Clone, Debug)]
struct Read {
    at: Timestamp,
    text: String,
    guard: Arc<Guard>,
}

impl PolicyParameter {
    /// The parameter of this name.
    pub fn new(client: Client, name: String) -> Self {
        Self {
            source: Source::Parameter { client, name },
            last: Mutex::default(),
        }
    }

    /// Always these policies.
    pub fn fixed(guard: Guard) -> Self {
        Self {
            source: Source::Fixed(Arc::new(guard)),
            last: Mutex::default(),
        }
    }

    /// The policies, if they need not be read again at `now`.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<Arc<Guard>> {
        if let Source::Fixed(guard) = &self.source {
            return Some(Arc::clone(guard));
        }
        self.not_older_than(FRESH, now)
    }

    /// Does `work`, and reads the policies meanwhile if they are no longer fresh.
    pub(crate) async fn during<T>(
        &self,
        now: Timestamp,
        until: Instant,
        work: impl Future<Output = T>,
    ) -> (T, Arc<Guard>) {
        let (client, name) = match &self.source {
            Source::Fixed(guard) => return (work.await, Arc::clone(guard)),
            Source::Parameter { client, name } => (client, name),
        };
        if let Some(guard) = self.fresh(now) {
            return (work.await, guard);
        }
        let reading = pin!(self.read(client, name, now));
        match select(pin!(work), reading).await {
            Either::Right((read, work)) => (work.await, self.after(read, now)),
            Either::Left((done, reading)) => {
                if let Some(guard) = self.not_older_than(STANDS, now) {
                    return (done, guard);
                }
                let until = until.min(Instant::now() + PATIENCE);
                let read = within(until, "ssm:GetParameter", reading).await;
                (done, self.after(read, now))
            }
        }
    }

    async fn read(&self, client: &Client, name: &str, now: Timestamp) -> Result<Arc<Guard>> {
        let answer = client.get_parameter().name(name).send().await;
        let answer = answer.during("ssm:GetParameter", name)?;
        let text = answer.parameter.and_then(|parameter| parameter.value);
        let text = text.ok_or_else(|| Error::Refused(format!("{name} has no value")))?;
        let mut last = self.last();
        let guard = match &*last {
            Some(last) if last.text == text => Arc::clone(&last.guard),
            _ => Arc::new(Guard::new(&text)),
        };
        *last = Some(Read {
            at: now,
            text,
            guard: Arc::clone(&guard),
        });
        Ok(guard)
    }

    /// What was read; if it could not be, the last policies for as long as they stand.
    fn after(&self, read: Result<Arc<Guard>>, now: Timestamp) -> Arc<Guard> {
        let error = match read {
            Ok(guard) => return guard,
            Err(error) => error,
        };
        match self.not_older_than(STANDS, now) {
            // Whoever deletes the policies, or the permission to read them, is to be noticed before the
            // last ones have run out.
            Some(guard) if error.is_transient() => {
                tracing::warn!(%error, "the policy was not read again; the last one decides");
                guard
            }
            Some(guard) => {
                tracing::error!(%error, "{UNUSABLE}: it was not read again, and the last one decides for an hour at most");
                guard
            }
            None => Arc::new(Guard::unread(error)),
        }
    }

    fn not_older_than(&self, age: SignedDuration, now: Timestamp) -> Option<Arc<Guard>> {
        let last = self.last();
        let last = last.as_ref()?;
        (now.duration_since(last.at) < age).then(|| Arc::clone(&last.guard))
    }

    fn last(&self) -> MutexGuard<'_, Option<Read>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
