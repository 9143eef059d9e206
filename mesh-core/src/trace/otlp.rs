//! Spans as OpenTelemetry's collectors and viewers read them: OTLP 1.x in JSON.
//!
//! [`traces`] makes a whole document, which is a line of an OTLP file and the body of a `POST
//! /v1/traces` alike. Ids are hexadecimal, enums are numbers, and 64-bit numbers are texts, as the
//! [specification](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) demands.

use std::time::Duration;

use serde::ser::{SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

use super::{SpanKind, SpanValue, TraceSpan};
use crate::VERSION;
use crate::time::Timestamp;

/// The name of the code that makes the spans.
const SCOPE: &str = "agentic-mesh";
/// The status of a span that has failed.
const STATUS_ERROR: u32 = 2;

/// The spans of one resource: of an agent, or of the client of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct ResourceSpans<'a, S> {
    /// What is known of the resource: names and values.
    pub resource: &'a [(&'static str, SpanValue)],
    /// Its spans.
    pub spans: S,
    /// The time at which timestamps begin, from 1970 on.
    pub epoch: Duration,
}

/// A document with the spans of these resources.
pub fn traces<'a, S>(resources: &[ResourceSpans<'a, S>]) -> String
where
    S: Iterator<Item = &'a TraceSpan> + Clone,
{
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct TracesData<'r, R> {
        resource_spans: &'r [R],
    }
    let data = TracesData { resource_spans: resources };
    serde_json::to_string(&data).unwrap_or_default()
}

impl<'a, S: Iterator<Item = &'a TraceSpan> + Clone> Serialize for ResourceSpans<'a, S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let mut map = to.serialize_struct("ResourceSpans", 2)?;
        map.serialize_field("resource", &WithAttributes { attributes: Pairs(self.resource) })?;
        map.serialize_field("scopeSpans", &[ScopeSpans(self)])?;
        map.end()
    }
}

#[derive(Serialize)]
struct WithAttributes<'a> {
    attributes: Pairs<'a>,
}

struct ScopeSpans<'r, 'a, S>(&'r ResourceSpans<'a, S>);

impl<'a, S: Iterator<Item = &'a TraceSpan> + Clone> Serialize for ScopeSpans<'_, 'a, S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        #[derive(Serialize)]
        struct Scope {
            name: &'static str,
            version: &'static str,
        }
        let mut map = to.serialize_struct("ScopeSpans", 2)?;
        map.serialize_field("scope", &Scope { name: SCOPE, version: VERSION })?;
        map.serialize_field("spans", &SpanList(self.0))?;
        map.end()
    }
}

struct SpanList<'r, 'a, S>(&'r ResourceSpans<'a, S>);

impl<'a, S: Iterator<Item = &'a TraceSpan> + Clone> Serialize for SpanList<'_, 'a, S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let mut list = to.serialize_seq(None)?;
        for span in self.0.spans.clone() {
            list.serialize_element(&OtlpSpan { span, epoch: self.0.epoch })?;
        }
        list.end()
    }
}

struct OtlpSpan<'a> {
    span: &'a TraceSpan,
    epoch: Duration,
}

impl OtlpSpan<'_> {
    /// Nanoseconds since 1970.
    fn time(&self, at: Timestamp) -> String {
        (self.epoch + at.elapsed()).as_nanos().to_string()
    }
}

impl Serialize for OtlpSpan<'_> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        #[derive(Serialize)]
        struct Status<'a> {
            code: u32,
            message: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Link {
            trace_id: String,
            span_id: String,
        }
        let TraceSpan { place, kind, name, start, end, attributes, error, link } = self.span;
        let mut map = to.serialize_struct("Span", 10)?;
        map.serialize_field("traceId", &place.trace.to_string())?;
        map.serialize_field("spanId", &place.id.to_string())?;
        if let Some(parent) = place.parent {
            map.serialize_field("parentSpanId", &parent.to_string())?;
        }
        map.serialize_field("name", name)?;
        map.serialize_field("kind", &number_of(*kind))?;
        map.serialize_field("startTimeUnixNano", &self.time(*start))?;
        map.serialize_field("endTimeUnixNano", &self.time(*end))?;
        map.serialize_field("attributes", &Pairs(attributes))?;
        if let Some((trace, span)) = link {
            let link = Link { trace_id: trace.to_string(), span_id: span.to_string() };
            map.serialize_field("links", &[link])?;
        }
        if let Some(message) = error {
            map.serialize_field("status", &Status { code: STATUS_ERROR, message })?;
        }
        map.end()
    }
}

const fn number_of(kind: SpanKind) -> u32 {
    kind as u32
}

/// Attributes: a list of objects with `key` and `value`.
struct Pairs<'a>(&'a [(&'static str, SpanValue)]);

impl Serialize for Pairs<'_> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        #[derive(Serialize)]
        struct Pair<'a> {
            key: &'a str,
            value: AnyValue<'a>,
        }
        let pairs = self.0.iter().map(|(key, value)| Pair { key, value: AnyValue::of(value) });
        to.collect_seq(pairs)
    }
}

/// A value with its type, as OTLP writes it.
#[derive(Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "intValue")]
    Whole(String),
    #[serde(rename = "doubleValue")]
    Number(f64),
}

impl<'a> AnyValue<'a> {
    fn of(value: &'a SpanValue) -> Self {
        match value {
            SpanValue::Word(word) => Self::Text(word),
            SpanValue::Text(text) => Self::Text(text),
            SpanValue::Whole(number) => Self::Whole(number.to_string()),
            SpanValue::Number(number) => Self::Number(*number),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::trace::{SpanPlace, TraceContext};

    /// Written by hand after the example of the specification.
    #[test]
    fn a_document_is_as_the_specification_shows_it() {
        let text = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01";
        let context = TraceContext::parse(text, None).expect("a context");
        let parent = TraceContext::parse(&text.replace("eee19b7e", "00000000"), None);
        let parent = parent.map(|context| context.parent_id());
        let times = [1_000_000_001, 2_000_000_002].map(Timestamp::from_nanos);
        let place = SpanPlace::of(&context, parent);
        let mut span = TraceSpan::new(place, SpanKind::Server, "work", times[0], times[1])
            .with("words", "a \"quoted\" one")
            .with("count", 7u64)
            .with("seconds", Duration::from_millis(250))
            .answered_with_error(-32010, "busy");
        span.link = Some((context.trace_id(), context.parent_id()));
        let resource = [("service.name", SpanValue::Word("me"))];
        let epoch = Duration::from_secs(1_577_836_800);
        let text =
            traces(&[ResourceSpans { resource: &resource, spans: [&span].into_iter(), epoch }]);
        let expected = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "me"}},
            ]},
            "scopeSpans": [{"scope": {"name": "agentic-mesh", "version": VERSION}, "spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c",
                "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "00000000c3c1b174",
                "name": "work",
                "kind": 2,
                "startTimeUnixNano": "1577836801000000001",
                "endTimeUnixNano": "1577836802000000002",
                "attributes": [
                    {"key": "words", "value": {"stringValue": "a \"quoted\" one"}},
                    {"key": "count", "value": {"intValue": "7"}},
                    {"key": "seconds", "value": {"doubleValue": 0.25}},
                    {"key": "rpc.status_code", "value": {"stringValue": "-32010"}},
                    {"key": "error.type", "value": {"stringValue": "-32010"}},
                ],
                "links": [{
                    "traceId": "5b8efff798038103d269b633813fc60c",
                    "spanId": "eee19b7ec3c1b174",
                }],
                "status": {"code": 2, "message": "busy"},
            }]}],
        }]});
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected);
        assert!(!text.contains('\n'), "it is a line of a file");
    }
}
