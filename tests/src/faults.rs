//! A proxy in front of the emulators that lets one call fail, in one of the ways in which calls to AWS do.
//!
//! It numbers the calls of each operation and knows which requests are attempts at the same call, so that
//! what it strikes does not depend on how often a client tries. It also keeps what it passed on, which
//! tells what was asked for, and in which order.

mod call;
mod refusal;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use self::call::Call;
use self::call::Calls;
pub use self::wire::{Request, reply};
use crate::{LocalAws, Result};

/// How much later a slow answer comes.
const SLOW: Duration = Duration::from_millis(250);

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Too many calls.
    Throttled,
    /// A 5xx, and nothing happened.
    Failed,
    /// A 5xx, and the call took effect all the same.
    FailedAfterEffect,
    /// No answer at all.
    TimedOut,
    /// The connection ends before the call arrives.
    Dropped,
    /// The call takes effect, and the connection ends before the answer.
    AnswerLost,
    /// The answer takes its time.
    Slow,
    /// No permission.
    Denied,
    /// A read answers what it answered the first time, whatever was written since.
    Stale,
    /// The caller's process ends before the call takes effect.
    KilledBefore,
    /// The caller's process ends after the call took effect.
    KilledAfter,
}

impl Fault {
    /// All that can befall a call of either kind.
    pub const ANY: [Self; 6] = [
        Self::Throttled,
        Self::Failed,
        Self::TimedOut,
        Self::Dropped,
        Self::Slow,
        Self::Denied,
    ];
    /// What only makes a difference where something is written.
    pub const OF_WRITES: [Self; 4] = [
        Self::FailedAfterEffect,
        Self::AnswerLost,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    /// True if the call does what it should, and its answer arrives.
    #[must_use]
    pub fn is_harmless(self) -> bool {
        self == Self::Slow
    }

    /// True if the caller does not live to see the answer.
    #[must_use]
    pub fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// Which calls are struck, and how.
#[derive(Clone, Debug)]
pub struct Strike {
    pub operation: String,
    /// Counted from 1, by operation, in the delivery that is struck.
    pub nth: usize,
    /// How many calls of the operation, from that one on. Each of them in all its attempts.
    pub times: usize,
    pub fault: Fault,
}

impl Strike {
    /// True if it strikes this call.
    #[must_use]
    pub fn hits(&self, call: &Call) -> bool {
        self.operation == call.operation && call.nth >= self.nth && call.nth - self.nth < self.times
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            nth,
            times,
            fault,
        } = self;
        let times = if *times == 1 { "" } else { " and all after it" };
        write!(f, "{operation} #{nth}{times} {fault:?}")
    }
}

#[derive(Default)]
struct State {
    strike: Option<Strike>,
    calls: Calls,
    /// The first answer to each read.
    answers: HashMap<String, Vec<u8>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    killed: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two emulators, seen through the proxy.
pub struct FaultyAws {
    pub endpoint: String,
    pub ec2_endpoint: String,
    shared: Arc<Shared>,
    listening: [JoinHandle<()>; 2],
}

impl FaultyAws {
    pub async fn start(aws: &LocalAws) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (endpoint, first) = listen(&aws.endpoint, &shared).await?;
        let (ec2_endpoint, second) = listen(&aws.ec2_endpoint, &shared).await?;
        Ok(Self {
            endpoint,
            ec2_endpoint,
            shared,
            listening: [first, second],
        })
    }

    /// Forgets all calls, and strikes from now on. `None`: all calls are passed on.
    pub fn watch(&self, strike: Option<Strike>) {
        *self.shared.state() = State {
            strike,
            ..State::default()
        };
    }

    /// Passes all calls on, and goes on counting them.
    pub fn heal(&self) {
        self.shared.state().strike = None;
    }

    /// Begins a delivery whose calls are counted from 1, and strikes in it. An earlier delivery may have asked once
    /// more or once less often, as its waits happened to end.
    pub fn begin_delivery(&self, strike: Option<Strike>) {
        let mut state = self.shared.state();
        state.strike = strike;
        state.calls.begin_delivery();
    }

    /// Strikes from now on, and goes on counting.
    pub fn strike(&self, strike: Strike) {
        self.shared.state().strike = Some(strike);
    }

    /// The calls since [`FaultyAws::watch`], in the order in which they came in.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.all.clone()
    }

    /// Waits for the call at which the caller is to be killed.
    pub async fn killed(&self) {
        self.shared.killed.notified().await;
    }
}

impl Drop for FaultyAws {
    fn drop(&mut self) {
        for task in &self.listening {
            task.abort();
        }
    }
}

async fn listen(emulator: &str, shared: &Arc<Shared>) -> Result<(String, JoinHandle<()>)> {
    let emulator = emulator
        .strip_prefix("http://")
        .ok_or("not an http:// address")?
        .to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (emulator, shared) = (emulator.clone(), Arc::clone(&shared));
            // A caller that hung up is what some of the faults are about.
            tokio::spawn(async move { serve(stream, &emulator, &shared).await.ok() });
        }
    });
    Ok((endpoint, task))
}

/// Answers the one request of a connection.
async fn serve(mut stream: TcpStream, emulator: &str, shared: &Shared) -> Result {
    let Some(request) = Request::read(&mut stream).await? else {
        return Ok(());
    };
    let identity = call::identity(&request);
    let (fault, service, first) = {
        let mut state = shared.state();
        let index = state.calls.register(&request, &identity);
        let call = &state.calls.all[index];
        let service = call.service().to_owned();
        let strike = state.strike.as_ref().filter(|strike| strike.hits(call));
        let first = state.answers.get(&identity).cloned();
        let fault = strike.map(|strike| strike.fault);
        // A call that was not made before has no answer from then.
        let fault = fault.filter(|fault| *fault != Fault::Stale || first.is_some());
        state.calls.all[index].struck |= fault.is_some();
        (fault, service, first)
    };
    let refuse = |fault| refusal::answer(&service, &request, fault);
    let pass_on = async || {
        let answer = wire::forward(emulator, &request).await?;
        let mut state = shared.state();
        let answers = &mut state.answers;
        let first = answers.entry(identity.clone());
        first.or_insert_with(|| answer.clone());
        Ok::<_, crate::Error>(answer)
    };
    let answer = match fault {
        None => pass_on().await?,
        Some(Fault::Stale) => first.ok_or("no answer from before")?,
        Some(fault @ (Fault::Throttled | Fault::Failed | Fault::Denied)) => refuse(fault),
        Some(fault @ Fault::FailedAfterEffect) => {
            pass_on().await?;
            refuse(fault)
        }
        Some(Fault::Slow) => {
            let answer = pass_on().await?;
            tokio::time::sleep(SLOW).await;
            answer
        }
        Some(Fault::Dropped) => return Ok(()),
        Some(Fault::AnswerLost) => return pass_on().await.map(drop),
        Some(Fault::TimedOut) => return wire::hold(&mut stream).await,
        Some(Fault::KilledBefore) => {
            shared.killed.notify_one();
            return wire::hold(&mut stream).await;
        }
        Some(Fault::KilledAfter) => {
            pass_on().await?;
            shared.killed.notify_one();
            return wire::hold(&mut stream).await;
        }
    };
    wire::reply(&mut stream, &answer).await
}
