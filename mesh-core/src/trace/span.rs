//! Spans: what an agent records of a trace.

use std::sync::Arc;
use std::time::Duration;

use super::attributes::{self, ERROR_TYPE, RPC_STATUS_CODE};
use super::{SpanId, TraceId};
use crate::time::Timestamp;

/// One thing that took time and belongs to a trace: a call received or sent, a choice, the run of a
/// job.
///
/// An agent makes it when that thing has ended, as
/// [`Effect::Span`](crate::agent::Effect::Span). It is pure data: who exports it, and where to,
/// is the driver's business.
///
/// ```
/// use mesh_core::Timestamp;
/// use mesh_core::seed::Seed;
/// use mesh_core::trace::{SpanKind, SpanPlace, TraceContext, TraceSpan};
///
/// let context = TraceContext::root(&mut Seed::root(1).child("spans").rng(), true);
/// let place = SpanPlace::of(&context, None);
/// let span = TraceSpan::new(place, SpanKind::Server, "work", Timestamp::ZERO, Timestamp::ZERO)
///     .with("mesh.attempt", 0u32);
/// assert!(span.error.is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpan {
    /// Where it is in its trace.
    pub place: SpanPlace,
    /// Its part in a call.
    pub kind: SpanKind,
    /// What it is of. One of few, so that viewers can group by it.
    pub name: &'static str,
    /// When it began, in the time of whoever made it.
    pub start: Timestamp,
    /// When it ended; not before `start`.
    pub end: Timestamp,
    /// What else is known of it: names of [`attributes`], each at most once.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Why it failed; `None` if it did not.
    pub error: Option<Box<str>>,
    /// A span of another trace that it belongs to as well: the one that the HTTP headers of the call
    /// named, where its params named another.
    pub link: Option<(TraceId, SpanId)>,
}

/// Which trace a span belongs to, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanPlace {
    /// The trace.
    pub trace: TraceId,
    /// The span itself.
    pub id: SpanId,
    /// The span that it is a part of; `None` for the first one of a trace.
    pub parent: Option<SpanId>,
}

impl SpanPlace {
    /// The place of the span that sends `context` on.
    pub fn of(context: &super::TraceContext, parent: Option<SpanId>) -> Self {
        Self { trace: context.trace_id(), id: context.parent_id(), parent }
    }
}

/// The part of a span in a call. The numbers are those of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// No call.
    Internal = 1,
    /// A call that was received.
    Server = 2,
    /// A call that was sent.
    Client = 3,
}

/// The value of an attribute of a span.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanValue {
    /// One of few words.
    Word(&'static str),
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
}

impl From<&'static str> for SpanValue {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<Arc<str>> for SpanValue {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for SpanValue {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

/// Numbers of requests are at most 2^53 on the wire.
impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// In seconds, as OpenTelemetry counts time.
impl From<Duration> for SpanValue {
    fn from(duration: Duration) -> Self {
        Self::Number(duration.as_secs_f64())
    }
}

/// The most bytes of a text that is not the agent's own: a job's error may be as long as a result.
const MAX_WORDS: usize = 1_024;

fn start_of(words: &str) -> &str {
    let mut end = words.len().min(MAX_WORDS);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    &words[..end]
}

impl TraceSpan {
    /// A span without attributes that has not failed.
    pub const fn new(
        place: SpanPlace,
        kind: SpanKind,
        name: &'static str,
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        Self { place, kind, name, start, end, attributes: Vec::new(), error: None, link: None }
    }

    /// The span of a call of one of an agent's methods.
    pub fn of_call(
        place: SpanPlace,
        kind: SpanKind,
        method: &'static str,
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        Self::new(place, kind, method, start, end)
            .with(attributes::RPC_SYSTEM_NAME, attributes::JSONRPC)
            .with(attributes::RPC_METHOD, method)
            .with(attributes::JSONRPC_PROTOCOL_VERSION, attributes::JSONRPC_VERSION)
    }

    /// The same span with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<SpanValue>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// The same span; if there is a value, with one more attribute.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<SpanValue>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same span with the address that the call was sent to, `host:port`.
    #[must_use]
    pub fn to_server(self, address: &str) -> Self {
        let Some((host, port)) = address.rsplit_once(':') else { return self };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse::<u32>().ok();
        self.with(attributes::SERVER_ADDRESS, Arc::<str>::from(host))
            .with_some(attributes::SERVER_PORT, port)
    }

    /// The same span, of something that was answered with a JSON-RPC error.
    #[must_use]
    pub fn answered_with_error(self, code: i64, message: &str) -> Self {
        let code: Arc<str> = code.to_string().into();
        let error = Some(start_of(message).into());
        Self { error, ..self.with(RPC_STATUS_CODE, code.clone()).with(ERROR_TYPE, code) }
    }

    /// The same span, of something that failed without an answer.
    #[must_use]
    pub fn failed(self, kind: &'static str, message: &str) -> Self {
        Self { error: Some(start_of(message).into()), ..self.with(ERROR_TYPE, kind) }
    }

    /// The same span with one more attribute, whose value is anybody's words.
    #[must_use]
    pub fn with_words(self, name: &'static str, words: &str) -> Self {
        self.with(name, Arc::<str>::from(start_of(words)))
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&SpanValue> {
        self.attributes.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}
