//! A client's way to AWS, cut short: the rules answer in its place.

use std::borrow::Borrow;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef, Error,
    FinalizerInterceptorContextMut, Output,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::{MockResponse, Rule, recording};

/// A connection that sends nothing. Its answer is replaced by [`Answering`].
#[derive(Clone, Debug)]
pub struct NothingSent;

impl HttpClient for NothingSent {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

impl HttpConnector for NothingSent {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        recording::keep(&request);
        let refusal = 501.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(refusal, SdkBody::empty())))
    }
}

/// Answers each call by the first rule that matches.
#[derive(Debug)]
pub struct Answering(Vec<Rule>);

impl Answering {
    pub fn by<R: Borrow<Rule>>(rules: impl IntoIterator<Item = R>) -> Self {
        Self(rules.into_iter().map(|r| r.borrow().clone()).collect())
    }
}

/// What a rule answered to the call that is under way, until the client takes it.
#[derive(Clone, Debug)]
struct Pending(Arc<Mutex<Option<MockResponse<Output, Error>>>>);

impl Storable for Pending {
    type Storer = StoreReplace<Self>;
}

impl Pending {
    /// The answer, if it is of the kind that is taken here.
    fn take_if(
        bag: &ConfigBag,
        kind: impl Fn(&MockResponse<Output, Error>) -> bool,
    ) -> Option<MockResponse<Output, Error>> {
        let mut pending = bag.load::<Self>()?.0.lock().expect("no panic before");
        pending.take_if(|answer| kind(answer))
    }
}

impl Intercept for Answering {
    fn name(&self) -> &'static str {
        "Answering"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let answer = self.0.iter().find_map(|rule| rule.answer(input));
        let answer = answer.unwrap_or_else(|| panic!("the test answers no {input:?}"));
        let pending = Pending(Arc::new(Mutex::new(Some(answer))));
        bag.interceptor_state().store_put(pending);
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_http = |answer: &MockResponse<_, _>| matches!(answer, MockResponse::Http(_));
        if let Some(MockResponse::Http(response)) = Pending::take_if(bag, is_http) {
            *context.response_mut() = response;
        }
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let result = match Pending::take_if(bag, |_| true) {
            Some(MockResponse::Output(output)) => Ok(output),
            Some(MockResponse::Error(error)) => Err(OrchestratorError::operation(error)),
            Some(MockResponse::Http(_)) | None => return Ok(()),
        };
        context.inner_mut().set_output_or_error(result);
        Ok(())
    }
}
