//! The member `_meta` of params: what callers say of a job beside its params, as A2A, MCP and others
//! do.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::protocol::Name;
use crate::trace::{TRACEPARENT, TRACESTATE, TraceContext};

const CONTEXT: &str = "contextId";
const SESSION: &str = "sessionId";

/// What of `_meta` agents look at. All else in it is ignored.
#[derive(Default)]
pub(super) struct MetaParams {
    /// The name of the session that the job belongs to: `contextId`, or `sessionId` as others call
    /// it.
    pub(super) context: Option<Name>,
    /// The job's place in a trace: `traceparent` and `tracestate`.
    pub(super) trace: Option<Arc<TraceContext>>,
}

impl MetaParams {
    /// What is to be said of a job; `None` if there is nothing to say.
    pub(super) fn of(context: Option<Name>, trace: Option<Arc<TraceContext>>) -> Option<Self> {
        (context.is_some() || trace.is_some()).then_some(Self { context, trace })
    }
}

/// The trace that the params of any call name in their `_meta`; `None` for params that are no object.
pub fn named_trace(params: &RawValue) -> Option<Arc<TraceContext>> {
    #[derive(Deserialize)]
    struct AnyParams<'a> {
        #[serde(rename = "_meta", borrow)]
        meta: &'a RawValue,
    }
    let text = params.get();
    // Params may be long. Most of them name no trace, and are not read to the end.
    if !text.starts_with('{') || !text.contains(TRACEPARENT) {
        return None;
    }
    let AnyParams { meta } = serde_json::from_str(text).ok()?;
    serde_json::from_str::<MetaParams>(meta.get()).ok()?.trace
}

/// The fields by which a trace context is passed on, with their names.
pub fn trace_fields(trace: &TraceContext) -> impl Iterator<Item = (&'static str, String)> {
    let state = trace.tracestate().map(|state| (TRACESTATE, state.to_owned()));
    std::iter::once((TRACEPARENT, trace.traceparent())).chain(state)
}

impl Serialize for MetaParams {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(context) = &self.context {
            map.serialize_entry(CONTEXT, context)?;
        }
        for (name, value) in self.trace.iter().flat_map(|trace| trace_fields(trace)) {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for MetaParams {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MetaVisitor)
    }
}

/// A name in `_meta`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum MetaKey {
    #[serde(rename = "contextId")]
    Context,
    #[serde(rename = "sessionId")]
    Session,
    Traceparent,
    Tracestate,
    #[serde(other)]
    Other,
}

struct MetaVisitor;

impl<'de> Visitor<'de> for MetaVisitor {
    type Value = MetaParams;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetaParams, A::Error> {
        let (mut context, mut session) = (None, None);
        let (mut parents, mut states) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key()? {
            match key {
                MetaKey::Context if context.replace(map.next_value()?).is_some() => {
                    return Err(A::Error::duplicate_field(CONTEXT));
                }
                MetaKey::Session if session.replace(map.next_value()?).is_some() => {
                    return Err(A::Error::duplicate_field(SESSION));
                }
                MetaKey::Context | MetaKey::Session => {}
                // Whatever the value is: nobody's call fails because of its trace.
                MetaKey::Traceparent => parents.push(text(map.next_value()?)),
                MetaKey::Tracestate => states.push(text(map.next_value()?)),
                MetaKey::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let trace = TraceContext::from_lines(&parents, &states).map(Arc::from);
        Ok(MetaParams { context: context.flatten().or(session.flatten()), trace })
    }
}

/// The text of a string; empty if the value is anything else.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceId;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(meta: &str) -> MetaParams {
        serde_json::from_str(meta).unwrap_or_else(|error| panic!("{meta}: {error}"))
    }

    fn trace_id(trace: Option<Arc<TraceContext>>) -> Option<String> {
        trace.map(|trace| trace.trace_id()).as_ref().map(TraceId::to_string)
    }

    #[test]
    fn a_trace_is_read_and_written() {
        let meta = format!(
            r#"{{"progressToken":[1],"traceparent":"{TEXT}","contextId":"c","tracestate":"a=1"}}"#
        );
        let read = read(&meta);
        assert_eq!(read.context.as_deref(), Some("c"));
        let trace = read.trace.clone().expect("a trace");
        assert_eq!((trace.traceparent(), trace.tracestate()), (TEXT.to_owned(), Some("a=1")));
        let written = serde_json::to_string(&read).expect("JSON");
        let expected = format!(r#"{{"contextId":"c","traceparent":"{TEXT}","tracestate":"a=1"}}"#);
        assert_eq!(written, expected);
        assert!(MetaParams::of(None, None).is_none());
    }

    #[test]
    fn a_value_that_is_none_breaks_nothing() {
        let long = format!("\"{}\"", "0".repeat(100_000));
        let upper = format!("\"{}\"", TEXT.to_uppercase());
        let surrogate = r#""\ud800""#;
        let values = ["null", "7", "1e999", "true", "[]", r#"{"a":{}}"#, r#""""#, r#""00""#];
        for value in values.into_iter().chain([surrogate, &*long, &*upper]) {
            let meta = format!(r#"{{"contextId":"c","traceparent":{value}}}"#);
            assert_eq!(read(&meta).context.as_deref(), Some("c"), "{value}");
            assert!(read(&meta).trace.is_none(), "{value}");
            let meta = format!(r#"{{"traceparent":"{TEXT}","tracestate":{value}}}"#);
            let trace = read(&meta).trace.expect("whatever tracestate is");
            assert_eq!(trace.tracestate(), None, "{value}");
        }
        let twice = format!(r#"{{"traceparent":"{TEXT}","x":1,"traceparent":"{TEXT}"}}"#);
        assert!(read(&twice).trace.is_none(), "who knows which is right");
        assert!(serde_json::from_str::<MetaParams>("[]").is_err());
    }

    #[test]
    fn params_of_any_call_may_name_a_trace() {
        let named = |params: &str| {
            let params = RawValue::from_string(params.to_owned()).expect("JSON");
            trace_id(named_trace(&params))
        };
        let meta = format!(r#"{{"traceparent":"{TEXT}"}}"#);
        let expected = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        assert_eq!(named(&format!(r#"{{"a":[1],"_meta":{meta}}}"#)), expected);
        for other in [format!("[{meta}]"), meta.clone(), format!(r#"{{"_meta":[{meta}]}}"#)] {
            assert_eq!(named(&other), None, "{other}");
        }
        assert_eq!(named(&format!(r#"{{"_meta":{meta},"_meta":{meta}}}"#)), None);
    }
}
