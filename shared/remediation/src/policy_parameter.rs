//! The user's policies as they are delivered: a parameter of AWS Systems Manager.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ssm::Client;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, Shared, select};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::error::{CallContext, Error, Result};
use crate::execute::within;
use policy::LoadedPolicies;

/// The IAM permissions that reading the policies needs.
pub const PERMISSIONS: &[&str] = &["ssm:GetParameter"];

/// How many characters of policies the parameter holds: those of the advanced tier,
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>.
pub const SIZE_LIMIT: usize = 8 * 1024;

/// The age up to which policies are not read again.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// The age up to which policies decide if observing ends before they are read again.
const RECENT: SignedDuration = SignedDuration::from_mins(5);

/// How long the last policies that could be read are used while AWS does not answer.
const STANDS: SignedDuration = SignedDuration::from_hours(1);

/// How long an event waits for policies when there are none that are recent.
const PATIENCE: Duration = Duration::from_secs(5);

/// The parameter with the policies, and the policies last read.
///
/// An event does not wait for policies to be read again: they are read while its target is observed. If observing ends
/// first, the last ones decide, and those read are for the next event. It waits only if there are none that are younger
/// than five minutes. If AWS gives no answer in the time set for that, the last ones stand for an hour: otherwise
/// whoever keeps AWS busy would keep the function from containing. If they are gone, or must not be read, nothing is
/// permitted.
#[derive(Debug)]
pub struct PolicyParameter {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<LoadedPolicies>),
    Parameter(Arc<Parameter>),
}

#[derive(Debug)]
struct Parameter {
    client: Client,
    name: String,
    last: Mutex<Option<Read>>,
    /// The reading under way, and its start.
    reading: Mutex<Option<(Timestamp, Reading)>>,
}

type Reading = Shared<BoxFuture<'static, Result<Arc<LoadedPolicies>>>>;

#[derive(Clone, Debug)]
struct Read {
    at: Timestamp,
    text: String,
    guard: Arc<LoadedPolicies>,
}

impl PolicyParameter {
    /// The parameter of this name.
    pub fn new(client: Client, name: String) -> Self {
        let parameter = Parameter {
            client,
            name,
            last: Mutex::default(),
            reading: Mutex::default(),
        };
        Self {
            source: Source::Parameter(Arc::new(parameter)),
        }
    }

    /// Always these policies.
    pub fn fixed(guard: LoadedPolicies) -> Self {
        Self {
            source: Source::Fixed(Arc::new(guard)),
        }
    }

    /// The policies, if they need not be read again at `now`.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<Arc<LoadedPolicies>> {
        match &self.source {
            Source::Fixed(guard) => Some(Arc::clone(guard)),
            Source::Parameter(parameter) => parameter.not_older_than(FRESH, now),
        }
    }

    /// Does `work`, and reads the policies beside it if they are no longer fresh.
    pub(crate) async fn during<T>(
        &self,
        now: Timestamp,
        until: Instant,
        work: impl Future<Output = T>,
    ) -> (T, Arc<LoadedPolicies>) {
        let parameter = match &self.source {
            Source::Fixed(guard) => return (work.await, Arc::clone(guard)),
            Source::Parameter(parameter) => parameter,
        };
        if let Some(guard) = self.fresh(now) {
            return (work.await, guard);
        }
        let reading = parameter.reading(now);
        match select(pin!(work), reading).await {
            Either::Right((read, work)) => (work.await, parameter.after(read, now)),
            Either::Left((done, reading)) => {
                if let Some(guard) = parameter.not_older_than(RECENT, now) {
                    return (done, guard);
                }
                let until = until.min(Instant::now() + PATIENCE);
                let read = within(until, "ssm:GetParameter", reading).await;
                (done, parameter.after(read, now))
            }
        }
    }
}

impl Parameter {
    /// Reads it for an event at `now`, or goes on with what is being read. The reading ends by itself: if observing
    /// were always faster, nothing new would ever be read.
    fn reading(self: &Arc<Self>, now: Timestamp) -> Reading {
        let mut last = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Between two events a function stands still, and what was under way then may tell of long ago.
        if let Some((since, reading)) = &*last
            && reading.peek().is_none()
            && now.duration_since(*since) < FRESH
        {
            return reading.clone();
        }
        let this = Arc::clone(self);
        let reading = async move { this.read(now).await }.boxed().shared();
        tokio::spawn(reading.clone());
        *last = Some((now, reading.clone()));
        reading
    }

    async fn read(&self, now: Timestamp) -> Result<Arc<LoadedPolicies>> {
        let name = &self.name;
        let answer = self.client.get_parameter().name(name).send().await;
        let text = answer.during("ssm:GetParameter", name).and_then(|answer| {
            let text = answer.parameter.and_then(|parameter| parameter.value);
            text.ok_or_else(|| Error::Refused(format!("{name} has no value")))
        });
        let mut last = self.last();
        let outdated = last.as_ref().is_some_and(|last| last.at > now);
        match text {
            Ok(text) => {
                let guard = match &*last {
                    Some(last) if last.text == text => Arc::clone(&last.guard),
                    _ => Arc::new(LoadedPolicies::new(&text)),
                };
                if !outdated {
                    let guard = Arc::clone(&guard);
                    *last = Some(Read {
                        at: now,
                        text,
                        guard,
                    });
                }
                Ok(guard)
            }
            Err(error) => {
                // Whoever deletes the policies, or the permission to read them, must not be served by the
                // last ones for an hour.
                if !error.is_transient() && !outdated {
                    *last = None;
                }
                Err(error)
            }
        }
    }

    /// The policies that were read; if AWS did not answer, the last policies for as long as they stand.
    fn after(&self, read: Result<Arc<LoadedPolicies>>, now: Timestamp) -> Arc<LoadedPolicies> {
        let error = match read {
            Ok(guard) => return guard,
            Err(error) => error,
        };
        match self.not_older_than(STANDS, now) {
            Some(guard) if error.is_transient() => {
                tracing::warn!(%error, "the policy was not read again; the last one decides");
                guard
            }
            _ => Arc::new(LoadedPolicies::unread(error)),
        }
    }

    fn not_older_than(&self, age: SignedDuration, now: Timestamp) -> Option<Arc<LoadedPolicies>> {
        let last = self.last();
        let last = last.as_ref()?;
        (now.duration_since(last.at) < age).then(|| Arc::clone(&last.guard))
    }

    fn last(&self) -> MutexGuard<'_, Option<Read>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
