//! Which call a request is an attempt at.

use std::collections::HashMap;

use serde_json::Value;

use super::wire::Request;

/// A call, however often it was attempted.
#[derive(Clone, Debug)]
pub struct Call {
    /// `service:Operation`, with what tells calls of an operation that serve different purposes apart.
    pub operation: String,
    /// The how-manieth call of the operation in its delivery, from 1.
    pub nth: usize,
    /// True if it changes something: a resource, the record, what people are told.
    pub writes: bool,
    /// True if the same was asked before, and something was written since.
    pub repeats: bool,
    /// True if an attempt at it was struck.
    pub struck: bool,
    /// What it asked for.
    pub request: Request,
}

impl Call {
    /// The service that the request was signed for.
    #[must_use]
    pub fn service(&self) -> &str {
        self.operation.split(':').next().unwrap_or_default()
    }

    /// The value of a parameter in the body of a request to EC2, IAM and the like.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.request, name)
    }
}

/// What is asked, without what differs each time.
pub(super) fn identity(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    let region = scope(request, 2);
    format!("{region} {} {} {body}", request.method, request.path)
}

/// The calls so far, in the order in which they came in.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) all: Vec<Call>,
    by_invocation: HashMap<String, usize>,
    of_operation: HashMap<String, usize>,
    first_asked: HashMap<String, usize>,
    last_write: Option<usize>,
}

impl Calls {
    /// Counts the calls of each operation from 1 again.
    pub(super) fn begin_delivery(&mut self) {
        self.of_operation.clear();
    }

    /// The call of this request, by its place: the one that it is a further attempt at, or a new one.
    pub(super) fn register(&mut self, request: &Request, identity: &str) -> usize {
        let invocation = request.header("amz-sdk-invocation-id");
        let index = invocation.and_then(|id| self.by_invocation.get(id).copied());
        index.unwrap_or_else(|| {
            let index = self.all.len();
            if let Some(id) = invocation {
                self.by_invocation.insert(id.to_owned(), index);
            }
            let operation = operation(request);
            let nth = self.of_operation.entry(operation.clone()).or_default();
            *nth += 1;
            let first = *self.first_asked.entry(identity.to_owned()).or_insert(index);
            let writes = writes(&operation);
            self.all.push(Call {
                nth: *nth,
                writes,
                repeats: first < index && self.last_write.is_some_and(|write| write > first),
                struck: false,
                operation,
                request: request.clone(),
            });
            if writes {
                self.last_write = Some(index);
            }
            index
        })
    }
}

fn writes(operation: &str) -> bool {
    let name = operation.split(':').nth(1).unwrap_or_default();
    let mut reads = [
        "Get", "GET", "HEAD", "List", "Describe", "Lookup", "Generate",
    ]
    .iter();
    !reads.any(|verb| name.starts_with(verb))
}

fn operation(request: &Request) -> String {
    let service = scope(request, 3);
    if let Some(target) = request.header("x-amz-target") {
        let name = target.rsplit('.').next().unwrap_or_default();
        return format!("{service}:{name}{}", item(request));
    }
    if let Some(action) = parameter(request, "Action") {
        let attribute = parameter(request, "Attribute");
        let attribute = attribute.map(|name| format!(" {name}")).unwrap_or_default();
        return format!("{service}:{action}{attribute}");
    }
    // Lambda and S3 name no operation; the part of the resource does.
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if service == "lambda" {
        // A tag's resource is an ARN.
        let mut parts = path.trim_end_matches('/').rsplit('/');
        let part = parts.find(|part| !part.starts_with("arn"));
        return format!("lambda:{} {}", request.method, part.unwrap_or_default());
    }
    let mut keys = query.split('&').map(|pair| pair.split('=').next());
    let subresource = keys.find_map(|key| key.filter(|key| !key.is_empty() && *key != "x-id"));
    let control = path.strip_prefix("/v20180820/");
    let what = control.or(subresource).unwrap_or("object");
    format!("{service}:{} {what}", request.method)
}

/// The kind of item that a call to DynamoDB is about.
fn item(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let key = body["Key"]["pk"]["S"].as_str().unwrap_or_default();
    match key.split_once('#') {
        Some((kind, _)) => format!(" {kind}"),
        None => String::new(),
    }
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(&request.body).ok()?;
    let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A part of the signature's scope: date, Region, service.
fn scope(request: &Request, part: usize) -> String {
    let signature = request.header("authorization").unwrap_or_default();
    let credential = signature.split("Credential=").nth(1).unwrap_or_default();
    let part = credential.split('/').nth(part).unwrap_or("unsigned");
    part.to_owned()
}
