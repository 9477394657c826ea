//! How a member is read that AWS has sent in more than one JSON type.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::finding::{printable, when};

/// A `T` that is read from a JSON object only. A derived implementation takes an array too, by the order of the
/// members.
#[derive(Debug)]
pub(in crate::finding) struct Object<T>(pub(in crate::finding) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

/// A section that must be there.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Object::deserialize(deserializer)?.0)
}

/// A section that may be there; `null` and an absent one are the same.
pub(super) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let section = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(section.map(|section| section.0))
}

/// [`optional`], for a section in which everything may be absent.
pub(super) fn section<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(optional(deserializer)?.unwrap_or_default())
}

/// `null` is an empty list, and `null` in a list is no member of it.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let members: Option<Vec<Option<Object<T>>>> = Option::deserialize(deserializer)?;
    let members = members.into_iter().flatten().flatten();
    Ok(members.map(|member| member.0).collect())
}

/// Text that only informs, made printable. An empty value or one that is not text is absent.
pub(super) fn shown<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) if !text.is_empty() => Some(printable(&text)),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Truth(truth) => Some(truth.to_string()),
        Scalar::Text(_) | Scalar::Null | Scalar::Section(_) => None,
    })
}

/// An account id, which has also been sent as a number. One with a leading zero would come out
/// too short, and is refused with the grammar of account ids. `null` and an absent one are the same.
pub(super) fn account<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    text(deserializer, "an account id")
}

/// An id or a name, which may be of digits alone and then has been sent as a number. `null` and an
/// absent one are the same.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer, "a string")
}

fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
) -> Result<Option<String>, D::Error> {
    match Scalar::deserialize(deserializer)? {
        Scalar::Null => Ok(None),
        Scalar::Text(text) => Ok(Some(text)),
        Scalar::Number(number) => Ok(Some(number.to_string())),
        other => Err(other.instead_of(expected)),
    }
}

/// A number, also as a string.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    scalar.as_f64().ok_or_else(|| scalar.instead_of("a number"))
}

/// A count, also as a string. It only informs, so another type is absent.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => number.as_u64(),
        Scalar::Text(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// `true`, `"true"` and their like; `null` counts as false.
pub(super) fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    match scalar {
        Scalar::Null => Ok(false),
        _ => scalar
            .as_bool()
            .ok_or_else(|| scalar.instead_of("true or false")),
    }
}

/// `true`, `"true"` and their like. `None`: neither.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(Scalar::deserialize(deserializer)?.as_bool())
}

/// A time in any of the forms of [`when::instant`]. `None`: none of them.
pub(super) fn instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => when::instant(&text),
        Scalar::Number(number) => number.as_f64().and_then(when::since_epoch),
        _ => None,
    })
}

/// A JSON document inside a string. Any other text counts as absent.
pub(super) fn embedded<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => serde_json::from_str::<Object<T>>(&text)
            .map(|object| object.0)
            .unwrap_or_default(),
        _ => T::default(),
    })
}

/// The JSON type of a value, in words.
pub(in crate::finding) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}

const ARRAY: &str = "an array";
const OBJECT: &str = "an object";

/// A value without parts; a value with parts is known only as such.
#[derive(Debug)]
enum Scalar {
    Null,
    Truth(bool),
    Number(Number),
    Text(String),
    Section(&'static str),
}

impl Scalar {
    fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    fn instead_of<E: Error>(&self, expected: &str) -> E {
        let found = match self {
            Self::Null => "null",
            Self::Truth(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Section(kind) => kind,
        };
        E::custom(format!("expected {expected}, found {found}"))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Number::from_f64(number).map_or(Scalar::Null, Scalar::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Scalar, A::Error> {
        while members.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Section(ARRAY))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scalar, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Section(OBJECT))
    }
}
