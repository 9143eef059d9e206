//! JSON-RPC as its specification has it, parsed without any of the mesh's own code.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in their order, including those that occur twice.
pub(crate) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Parses an object; `None` if the text is not one.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// All values of the members of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&'a str> {
        let values = self.0.iter().filter(|(own, _)| own == name);
        values.map(|(_, value)| value.get()).collect()
    }

    /// The value of the only member of this name.
    fn one(&self, name: &str) -> &'a str {
        let [value] = self.all(name)[..] else { panic!("not one {name}") };
        value
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// The id as JSON.
    pub(crate) id: &'a str,
    /// The result as JSON, or the code of the error.
    pub(crate) outcome: Result<&'a str, i64>,
    /// The whole response as JSON.
    pub(crate) text: &'a str,
}

/// The responses in a body: one, or an array of at least one. Panics if the body is neither.
pub(crate) fn responses(body: &[u8]) -> Vec<Response<'_>> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    if !text.starts_with('[') {
        return vec![response(text)];
    }
    let batch: Vec<&RawValue> = serde_json::from_str(text).expect("an array");
    assert!(!batch.is_empty(), "an empty batch is no answer");
    batch.into_iter().map(|raw| response(raw.get())).collect()
}

fn response(text: &str) -> Response<'_> {
    let object = Object::read(text).unwrap_or_else(|| panic!("no object: {text}"));
    assert_eq!((object.0.len(), object.one("jsonrpc")), (3, "\"2.0\""), "{text}");
    let id = object.one("id");
    assert!(is_id(id), "{text}");
    let outcome = match object.all("result")[..] {
        [result] => Ok(result),
        _ => Err(error_code(object.one("error"))),
    };
    Response { id, outcome, text }
}

fn error_code(text: &str) -> i64 {
    let error = Object::read(text).expect("an error object");
    let data = error.all("data").len();
    assert!(data <= 1 && error.0.len() == 2 + data, "{text}");
    let message: String = serde_json::from_str(error.one("message")).expect("a message");
    assert!(!message.is_empty());
    error.one("code").parse().expect("an integer")
}

/// Whether this JSON is a string, a number or null.
fn is_id(json: &str) -> bool {
    !json.starts_with(['{', '[', 't', 'f'])
}

/// The id of the answer that an element of a body must get; `None` for a notification.
pub(crate) fn owed(text: &str) -> Option<&str> {
    let Some(object) = Object::read(text) else { return Some("null") };
    match object.all("id")[..] {
        [] if is_request(&object) => None,
        [id] if is_id(id) => Some(id),
        _ => Some("null"),
    }
}

/// Whether these members make a request, whatever its id is.
fn is_request(object: &Object<'_>) -> bool {
    let string = |name| match object.all(name)[..] {
        [value] => serde_json::from_str::<String>(value).ok(),
        _ => None,
    };
    let has_params = match object.all("params")[..] {
        [] => true,
        [params] => params.starts_with(['{', '[']),
        _ => false,
    };
    string("jsonrpc").as_deref() == Some("2.0") && string("method").is_some() && has_params
}
