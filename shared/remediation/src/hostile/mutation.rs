//! What is done to an event.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::seeds::{own, seeds};

/// Texts that mean something to whoever reads them carelessly: to IAM, JSON, a formatter, a
/// terminal, a person, a parser of ids, addresses or times.
pub(crate) const TEXTS: &[&str] = &[
    "",
    " ",
    "*",
    "?",
    "a*",
    "*:*",
    "AROA*",
    "AROAPAYROLL:*",
    "${aws:username}",
    "${aws:userid}",
    "AROA${*}",
    "${aws:PrincipalAccount}",
    "\"",
    "\\",
    "\\u0022",
    "a,b",
    "a:b:c",
    "a/b",
    "../../root",
    "x\"},{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"a\":\"",
    "arn:aws:iam::111122223333:root",
    "arn:aws:ec2:*:*:instance/*",
    "{}",
    "{0:?}",
    "%s%s%n",
    "%00",
    "\0",
    "\u{1}\u{7}\u{8}",
    "\u{1b}[2J\u{1b}[31m",
    "evil\nWHAT WAS DONE\n  - everything is fine",
    "\r\n\r\nWHAT TO DO NEXT\r\n  - nothing",
    "\u{85}WHAT WAS DONE",
    "\u{2028}WHAT WAS DONE\u{2029}",
    "\u{202e}gnp.exe",
    "\u{61c}\u{2067}abc\u{2069}",
    "i-0abc\u{200b}1234def567890",
    "\u{feff}\u{2060}\u{ad}",
    "e\u{301}\u{302}\u{303}\u{304}\u{305}",
    "\u{e0041}\u{e0042}",
    "１１１１２２２２３３３３",
    "111122223333\n",
    "i-0abc1234def567890 ",
    "AKIAIOSFODNN7EXAMPLE\0",
    "EXPOSED",
    "0.0.0.0/0",
    "::ffff:198.51.100.7",
    "::ffff:10.0.0.1",
    "::",
    "fe80::1%eth0",
    "NaN",
    "-Infinity",
    "1e999",
    "9999-99-99T99:99:99Z",
    "-009999-01-01T00:00:00Z",
    "[SAMPLE] not really",
    "true",
    "null",
    "Policy:S3/BucketAnonymousAccessGranted",
    "Policy:S3/AccountBlockPublicAccessDisabled",
    "Backdoor:EC2/",
    ":/",
    "é:é/é",
    "ANONYMOUS_PRINCIPAL",
    "AWSAccount",
    "FederatedUser",
    "Root",
    "x', DROP",
];

/// The members from which ids, targets and words for people are made. More often than by chance they
/// are what is changed.
pub(super) const MATTERS: &[&str] = &[
    "/source",
    "/detail-type",
    "/detail/accountId",
    "/detail/arn",
    "/detail/description",
    "/detail/id",
    "/detail/region",
    "/detail/resource/accessKeyDetails/accessKeyId",
    "/detail/resource/accessKeyDetails/principalId",
    "/detail/resource/accessKeyDetails/userName",
    "/detail/resource/accessKeyDetails/userType",
    "/detail/resource/instanceDetails/instanceId",
    "/detail/resource/resourceType",
    "/detail/resource/s3BucketDetails/0/name",
    "/detail/service/action/awsApiCallAction/api",
    "/detail/service/action/awsApiCallAction/remoteAccountDetails/accountId",
    "/detail/service/action/awsApiCallAction/remoteIpDetails/ipAddressV4",
    "/detail/service/additionalInfo/value",
    "/detail/service/eventFirstSeen",
    "/detail/service/eventLastSeen",
    "/detail/severity",
    "/detail/title",
    "/detail/type",
];

/// Text of any kind, up to some 40 KB.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(TEXTS).prop_map(ToOwned::to_owned),
        2 => any::<String>(),
        1 => (select(TEXTS), 1..4_000_usize).prop_map(|(text, times)| {
            text.repeat(times).chars().take(10_000).collect()
        }),
    ]
}

/// JSON of any kind, as deep as a reader lets it be.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let number = select(
        [0.0, -0.0, -1.0, 0.1, 7.9, 10.000_001, 1e300, -1e300, 5e-324]
            .map(Value::from)
            .to_vec(),
    );
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<i64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        text().prop_map(Value::from),
    ];
    prop_oneof![
        6 => leaf.clone(),
        1 => Just(json!({})),
        1 => Just(json!([])),
        1 => (text(), leaf.clone()).prop_map(|(name, value)| json!({ name: value })),
        1 => (leaf.clone(), 1..60_usize, any::<bool>()).prop_map(|(value, depth, list)| {
            (0..depth).fold(value, |inner, _| if list { json!([inner]) } else { json!({ "a": inner }) })
        }),
        1 => (leaf, 1..300_usize).prop_map(|(value, times)| Value::Array(vec![value; times])),
    ]
}

/// One change to an event.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// A member that matters becomes this, whether it was there or not.
    Set(&'static str, Value),
    /// What is anywhere becomes this.
    Put(Index, Value),
    /// What is anywhere goes.
    Remove(Index),
    /// A member has another name.
    Rename(Index, String),
    /// This stands behind a text, which else stays as it was.
    Append(Index, String),
    /// What is anywhere is in a list this many times.
    Repeat(Index, usize),
    /// An entry of a list is there this many times more; a member, once more by another name.
    Again(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        6 => (select(MATTERS), value()).prop_map(|(at, value)| Mutation::Set(at, value)),
        3 => (select(MATTERS), text()).prop_map(|(at, text)| Mutation::Set(at, text.into())),
        3 => (at(), value()).prop_map(|(at, value)| Mutation::Put(at, value)),
        2 => at().prop_map(Mutation::Remove),
        1 => (at(), text()).prop_map(|(at, name)| Mutation::Rename(at, name)),
        2 => (at(), text()).prop_map(|(at, text)| Mutation::Append(at, text)),
        1 => (at(), 0..200_usize).prop_map(|(at, times)| Mutation::Repeat(at, times)),
        2 => (at(), 1..200_usize).prop_map(|(at, times)| Mutation::Again(at, times)),
    ]
}

/// An event that was changed in none to five places. Every second one is the repository's own, however
/// many others there are.
pub(crate) fn event() -> impl Strategy<Value = Value> {
    prop_oneof![event_of(own()), event_of(seeds().to_vec())]
}

/// [`event`], from one of these.
pub(crate) fn event_of(seeds: Vec<Value>) -> impl Strategy<Value = Value> {
    let mutations = prop::collection::vec(mutation(), 0..6);
    (select(seeds), mutations).prop_map(|(mut event, mutations)| {
        for mutation in &mutations {
            apply(&mut event, mutation);
        }
        event
    })
}

fn apply(event: &mut Value, mutation: &Mutation) {
    match mutation {
        Mutation::Set(at, value) => set(event, at, value.clone()),
        Mutation::Put(at, value) => *anywhere(event, at).1 = value.clone(),
        Mutation::Append(at, text) => {
            if let (_, Value::String(before)) = anywhere(event, at) {
                before.push_str(text);
            }
        }
        Mutation::Repeat(at, times) => {
            let (_, value) = anywhere(event, at);
            *value = Value::Array(vec![value.clone(); *times]);
        }
        Mutation::Remove(at) => edit(event, at, |_, _| Vec::new()),
        Mutation::Rename(at, name) => edit(event, at, |_, value| vec![(name.clone(), value)]),
        Mutation::Again(at, times) => edit(event, at, |name, value| {
            let again = (0..*times).map(|_| (format!("{name}Again"), value.clone()));
            std::iter::once((name.to_owned(), value.clone()))
                .chain(again)
                .collect()
        }),
    }
}

/// The path of everything in `value`, itself included.
pub(crate) fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(member, &format!("{at}/{name}"), into);
                }
            }
            Value::Array(entries) => {
                for (index, entry) in entries.iter().enumerate().take(20) {
                    walk(entry, &format!("{at}/{index}"), into);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn anywhere<'a>(event: &'a mut Value, at: &Index) -> (String, &'a mut Value) {
    let pointer = at.get(&pointers(event)).clone();
    let value = event.pointer_mut(&pointer).expect("a path of the event");
    (pointer, value)
}

/// Replaces a member or an entry of a list by what `change` makes of it.
fn edit(event: &mut Value, at: &Index, change: impl Fn(&str, Value) -> Vec<(String, Value)>) {
    let (pointer, _) = anywhere(event, at);
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match event.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            let before = std::mem::take(members);
            *members = before
                .into_iter()
                .flat_map(|(key, value)| {
                    if key == name {
                        change(&key, value)
                    } else {
                        vec![(key, value)]
                    }
                })
                .collect();
        }
        Some(Value::Array(entries)) => {
            let index: usize = name.parse().expect("an index");
            let changed = change(&name, entries[index].clone());
            entries.splice(index..=index, changed.into_iter().map(|(_, value)| value));
        }
        _ => {}
    }
}

/// Sets what `pointer` leads to, and whatever is needed on the way there.
pub(crate) fn set(event: &mut Value, pointer: &str, value: Value) {
    // A finding without its envelope.
    let bare = event.get("detail").is_none() && event.get("schemaVersion").is_some();
    let pointer = pointer
        .strip_prefix("/detail")
        .filter(|_| bare)
        .unwrap_or(pointer);
    let mut at = event;
    for name in pointer.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(_) => {
                if !at.is_array() {
                    *at = json!([{}]);
                }
                let entries = at.as_array_mut().expect("a list");
                if entries.is_empty() {
                    entries.push(json!({}));
                }
                &mut entries[0]
            }
            Err(_) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                &mut at[name]
            }
        };
    }
    *at = value;
}
