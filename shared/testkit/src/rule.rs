//! What a test answers to an operation.

use std::error::Error as StdError;
use std::fmt::{self, Debug};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::interceptors::context::{Error, Input, Output};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::Wire;

/// What a call is answered.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on its way to the client"
)]
pub enum MockResponse<O, E> {
    Output(O),
    Error(E),
    /// Read by the client as what AWS sent.
    Http(HttpResponse),
}

impl<O, E> MockResponse<O, E>
where
    O: Debug + Send + Sync + 'static,
    E: StdError + Send + Sync + 'static,
{
    fn erase(self) -> MockResponse<Output, Error> {
        match self {
            Self::Output(output) => MockResponse::Output(Output::erase(output)),
            Self::Error(error) => MockResponse::Error(Error::erase(error)),
            Self::Http(response) => MockResponse::Http(response),
        }
    }
}

/// For the types alone: it stands in closures that are never called.
///
/// # Panics
/// Always.
#[doc(hidden)]
pub fn owned<T>(_: &T) -> T {
    unreachable!("only its type matters")
}

type Answer = dyn Fn(&Input) -> Option<MockResponse<Output, Error>> + Send + Sync;

/// Answers the calls of one operation, or those of them that it is for.
#[derive(Clone)]
pub struct Rule(Arc<Answer>);

impl Rule {
    pub(crate) fn answer(&self, input: &Input) -> Option<MockResponse<Output, Error>> {
        (self.0)(input)
    }
}

impl Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

/// An operation, of which a [`Rule`] is still to be made: its input, output and error.
pub struct Operation<I, O, E> {
    matches: Box<dyn Fn(&I) -> bool + Send + Sync>,
    answers: PhantomData<fn() -> (O, E)>,
}

impl<I, O, E> Operation<I, O, E>
where
    I: Debug + Send + Sync + 'static,
    O: Debug + Send + Sync + 'static,
    E: StdError + Send + Sync + 'static,
{
    /// The three functions are never called. From their types follow those of the operation.
    pub fn new<Client, Call, Invalid, Sent, Raw>(
        _operation: impl Fn(&Client) -> Call,
        _input: impl Fn(&Call) -> Result<I, Invalid>,
        _send: impl Fn(Call) -> Sent,
    ) -> Self
    where
        Sent: Future<Output = Result<O, SdkError<E, Raw>>>,
    {
        Self {
            matches: Box::new(|_| true),
            answers: PhantomData,
        }
    }

    /// Answers these requests only.
    #[must_use]
    pub fn match_requests(mut self, matches: impl Fn(&I) -> bool + Send + Sync + 'static) -> Self {
        self.matches = Box::new(matches);
        self
    }

    pub fn then_compute_response(
        self,
        answer: impl Fn(&I) -> MockResponse<O, E> + Send + Sync + 'static,
    ) -> Rule {
        let matches = self.matches;
        Rule(Arc::new(move |input| {
            let input = input.downcast_ref().filter(|input| matches(input))?;
            Some(answer(input).erase())
        }))
    }

    /// Answers as a world behind the wire does, unless the wire has a fault for the call. `name` is the permission
    /// that the call needs.
    pub fn answered_by<S: Send + 'static>(
        self,
        (state, wire): (&Arc<Mutex<S>>, &Wire),
        name: &'static str,
        answer: impl Fn(&mut S, &I) -> Result<O, &'static str> + Send + Sync + 'static,
    ) -> Rule {
        let (state, wire) = (Arc::clone(state), wire.clone());
        self.then_compute_response(move |request| {
            wire.answer(name, || {
                answer(&mut state.lock().expect("no panic before"), request)
            })
        })
    }

    pub fn then_compute_output(self, output: impl Fn(&I) -> O + Send + Sync + 'static) -> Rule {
        self.then_compute_response(move |input| MockResponse::Output(output(input)))
    }

    pub fn then_output(self, output: impl Fn() -> O + Send + Sync + 'static) -> Rule {
        self.then_compute_output(move |_| output())
    }

    pub fn then_error(self, error: impl Fn() -> E + Send + Sync + 'static) -> Rule {
        self.then_compute_response(move |_| MockResponse::Error(error()))
    }

    pub fn then_http_response(
        self,
        response: impl Fn() -> HttpResponse + Send + Sync + 'static,
    ) -> Rule {
        self.then_compute_response(move |_| MockResponse::Http(response()))
    }
}
