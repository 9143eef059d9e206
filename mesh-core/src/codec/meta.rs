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
