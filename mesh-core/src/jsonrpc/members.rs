//! Reads the members of a JSON object, or the elements of an array, as raw JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What an object has under one name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member<'a> {
    /// There is no member of this name.
    Absent,
    /// There is one member of this name, with this value.
    Once(&'a RawValue),
    /// There are several members of this name, so nobody can tell which one is meant.
    Repeated,
}

impl<'a> Member<'a> {
    /// The JSON text of its value; `None` unless there is exactly one.
    pub(super) fn json(self) -> Option<&'a str> {
        match self {
            Self::Once(raw) => Some(raw.get()),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// The characters of its value; `None` unless there is exactly one and it is a string.
    pub(super) fn string(self) -> Option<Cow<'a, str>> {
        self.json().and_then(string)
    }

    /// Whether there is at least one member of this name.
    pub(super) const fn is_present(self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// The characters of a JSON string, borrowed unless it has escapes; `None` for anything else, and
/// for half a surrogate pair, which JSON's grammar allows but no text can hold.
pub(super) fn string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The members of the object `json` that have these names, in the order of the names. The syntax of
/// all other members is checked, and they are skipped.
///
/// # Errors
/// If `json` is not a single object.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> serde_json::Result<[Member<'a>; N]> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let members = reader.deserialize_map(ObjectVisitor(names))?;
    reader.end()?;
    Ok(members)
}

/// Reads the members with these names.
struct ObjectVisitor<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for ObjectVisitor<N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [Member::Absent; N];
        while let Some(position) = map.next_key_seed(NamePosition(&self.0))? {
            let Some(position) = position else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?;
            members[position] = match members[position] {
                Member::Absent => Member::Once(value),
                Member::Once(_) | Member::Repeated => Member::Repeated,
            };
        }
        Ok(members)
    }
}

/// Reads a key as its position among these names; `None` if it is another one.
struct NamePosition<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for NamePosition<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for NamePosition<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

/// The first `max` elements of the array `json`, and the number of all its elements.
///
/// # Errors
/// If `json` is not a single array.
pub(super) fn elements(json: &str, max: usize) -> serde_json::Result<(Vec<&RawValue>, usize)> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let elements = reader.deserialize_seq(ArrayVisitor { max })?;
    reader.end()?;
    Ok(elements)
}

/// Reads the first `max` elements and counts the others.
struct ArrayVisitor {
    max: usize,
}

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        let mut len = 0;
        while let Some(element) = seq.next_element()? {
            len += 1;
            if len <= self.max {
                kept.push(element);
            }
        }
        Ok((kept, len))
    }
}
