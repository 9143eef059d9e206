//! W3C Trace Context: which trace a job belongs to, and which span of it has sent the job.
//!
//! A [`TraceContext`] is what the fields `traceparent` and `tracestate` say, in an HTTP header or in
//! `params._meta`. Whoever passes a job on sends a [child](TraceContext::child) of the context that
//! it got: the same trace, with another parent. A value that breaks the rules counts as none, so
//! that no caller can break a call with it.
//!
//! A [`TraceSpan`] is what an agent records of a trace, [`TraceSampler`] decides of which, and
//! [`otlp`] writes spans as OpenTelemetry's collectors and viewers read them.
//!
//! The rules are those of [w3c/trace-context](https://www.w3.org/TR/trace-context-2/), level 2;
//! `tests` has the cases of its test suite.

pub mod attributes;
pub mod otlp;
mod parent;
mod sampling;
mod span;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::sampling::{TraceConfig, TraceSampler};
pub use self::span::{SpanKind, SpanPlace, SpanValue, TraceSpan};

use crate::seed::Rng;

/// The name of the field, in HTTP headers and in `_meta`, that names trace and parent.
pub const TRACEPARENT: &str = "traceparent";
/// The name of the field, in HTTP headers and in `_meta`, that has what tracing systems add.
pub const TRACESTATE: &str = "tracestate";

/// The flag of a trace whose caller may have recorded it.
const SAMPLED: u8 = 0x01;
/// The flag of a trace whose id has at least seven random bytes at its right end.
const RANDOM: u8 = 0x02;

/// Names a trace: 16 bytes, never all zero. Written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// Names one span of a trace: 8 bytes, never all zero. Written as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id with these bytes; `None` if all are zero.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The number that the right-most 56 bits make. In ids that are random they are random, too.
    pub const fn random_bits(self) -> u64 {
        let [.., a, b, c, d, e, f, g] = self.0;
        u64::from_be_bytes([0, a, b, c, d, e, f, g])
    }

    /// A random id.
    fn draw(rng: &mut Rng) -> Self {
        loop {
            let number = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
            if let Some(id) = Self::new(number.to_be_bytes()) {
                return id;
            }
        }
    }
}

impl SpanId {
    /// The id with these bytes; `None` if all are zero.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// A random id.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        loop {
            if let Some(id) = Self::new(rng.next_u64().to_be_bytes()) {
                return id;
            }
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The place of a job in a trace: the trace, and the span of whoever sent the job.
///
/// ```
/// use mesh_core::seed::Seed;
/// use mesh_core::trace::TraceContext;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(text, Some("rojo=1, congo=2")).expect("a valid context");
/// assert_eq!(context.traceparent(), text);
/// assert_eq!(context.tracestate(), Some("rojo=1,congo=2"));
///
/// let child = context.child(&mut Seed::root(1).child("spans").rng());
/// assert_eq!(child.trace_id(), context.trace_id());
/// assert_ne!(child.parent_id(), context.parent_id());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    parent: SpanId,
    /// Only bits that the rules know.
    flags: u8,
    /// The members of `tracestate`, separated by commas; `None` if there are none. Shared, because
    /// children have the same.
    state: Option<Arc<str>>,
    /// The trace and the span that the headers of the call named, where its params name another.
    link: Option<(TraceId, SpanId)>,
}

impl TraceContext {
    /// A new trace. Its parent is the span of whoever begins it; `is_sampled` says whether that one
    /// records it.
    pub fn root(rng: &mut Rng, is_sampled: bool) -> Self {
        let flags = RANDOM | if is_sampled { SAMPLED } else { 0 };
        let (trace, parent) = (TraceId::draw(rng), SpanId::draw(rng));
        Self { trace, parent, flags, state: None, link: None }
    }

    /// The context that whoever was called in this one sends on: another parent, all else the same.
    #[must_use]
    pub fn child(&self, rng: &mut Rng) -> Self {
        Self { parent: SpanId::draw(rng), link: None, ..self.clone() }
    }

    /// Reads the two fields; `None` if `traceparent` is not valid. A `tracestate` that is not valid
    /// counts as empty, and so costs nobody the trace.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        Self::from_lines([traceparent], tracestate)
    }

    /// As [`Self::parse`], where each field may stand on any number of lines. The lines of
    /// `tracestate` are put together. Several lines of `traceparent` count as none, because nobody
    /// can tell which of them is right.
    pub fn from_lines<P: AsRef<[u8]>, S: AsRef<[u8]>>(
        traceparent: impl IntoIterator<Item = P>,
        tracestate: impl IntoIterator<Item = S>,
    ) -> Option<Self> {
        let mut lines = traceparent.into_iter();
        let (only, None) = (lines.next()?, lines.next()) else { return None };
        let (trace, parent, flags) = parent::parse(only.as_ref())?;
        let state = state::join(tracestate).map(Arc::from);
        Some(Self { trace, parent, flags: flags & (SAMPLED | RANDOM), state, link: None })
    }

    /// The same context, of a trace that nobody records from here on. It is that of a child: the
    /// rules demand another parent where the flag changes.
    #[must_use]
    pub fn unsampled_child(&self, rng: &mut Rng) -> Self {
        Self { flags: self.flags & !SAMPLED, ..self.child(rng) }
    }

    /// The same context of a call that named `other` as well. Only spans tell of it: it is not sent
    /// on.
    #[must_use]
    pub fn linked_to(&self, other: &Self) -> Self {
        Self { link: Some((other.trace, other.parent)), ..self.clone() }
    }

    /// The trace and the span that the call named as well.
    pub const fn link(&self) -> Option<(TraceId, SpanId)> {
        self.link
    }

    fn with_state(self, state: Arc<str>) -> Self {
        Self { state: Some(state), ..self }
    }

    /// The trace.
    pub const fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The span of whoever sent the job.
    pub const fn parent_id(&self) -> SpanId {
        self.parent
    }

    /// Whether the sender may have recorded the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Whether the trace's id is random, at least in its seven last bytes.
    pub const fn is_random(&self) -> bool {
        self.flags & RANDOM != 0
    }

    /// The field `traceparent`, as version 00.
    pub fn traceparent(&self) -> String {
        let Self { trace, parent, flags, .. } = self;
        format!("00-{trace}-{parent}-{flags:02x}")
    }

    /// The field `tracestate`: at most 32 members and 512 characters; `None` if it has no members.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}
