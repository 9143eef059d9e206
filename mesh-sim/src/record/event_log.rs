//! The course of a run as one number, and as lines to read.

use std::fmt::Write as _;

use mesh_core::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

/// A detail of an event. No floats: an event is compared bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    U64(u64),
    /// A text.
    Str(&'a str),
}

/// As many bytes are hashed at a time.
const BATCH: usize = 8 * 1024;

/// Hashes every event of a run in order and, if asked, keeps a line of JSON for each.
///
/// Without a trace, an event costs a hash over some hundred bytes and no allocation.
#[derive(Clone)]
pub struct EventLog {
    hash: Xxh3,
    events: u64,
    /// Canonical bytes of events that are not hashed yet: the hash is faster with many at a time.
    bytes: Vec<u8>,
    trace: Option<String>,
    /// Events that earlier ones may still follow, if that happens at all.
    unsettled: Option<Vec<Unsettled>>,
}

/// An event whose place in the log is not known yet.
#[derive(Clone)]
struct Unsettled {
    at: Timestamp,
    bytes: Vec<u8>,
    line: String,
}

impl EventLog {
    /// An empty log; with `trace`, one that keeps lines.
    pub fn new(trace: bool) -> Self {
        let trace = trace.then(String::new);
        let bytes = Vec::with_capacity(2 * BATCH);
        Self { hash: Xxh3::new(), events: 0, bytes, trace, unsettled: None }
    }

    /// An empty log for events that come out of order; [`Self::settle`] puts them in order.
    pub fn sorting(trace: bool) -> Self {
        Self { unsettled: Some(Vec::new()), ..Self::new(trace) }
    }

    /// Notes that `kind` happened at `host`. Keys of `fields` are plain words, each used once and
    /// none of them `at_ms`, `host` or `event`, so they stand in JSON as they are.
    pub fn event(
        &mut self,
        at: Timestamp,
        host: &str,
        kind: &'static str,
        fields: &[(&'static str, Value<'_>)],
    ) {
        let begin = self.bytes.len();
        put_event(&mut self.bytes, at, host, kind, fields);
        if let Some(unsettled) = &mut self.unsettled {
            let (bytes, mut line) = (self.bytes.split_off(begin), String::new());
            if self.trace.is_some() {
                write_line(&mut line, at, host, kind, fields);
            }
            return unsettled.push(Unsettled { at, bytes, line });
        }
        if let Some(trace) = &mut self.trace {
            write_line(trace, at, host, kind, fields);
        }
        self.added();
    }

    /// No event from before this time will come any more. Those of one time stay in the order in
    /// which they came.
    pub fn settle(&mut self, before: Timestamp) {
        let Some(unsettled) = &mut self.unsettled else { return };
        unsettled.sort_by_key(|event| event.at);
        let count = unsettled.partition_point(|event| event.at < before);
        for event in unsettled.drain(..count).collect::<Vec<_>>() {
            self.bytes.extend_from_slice(&event.bytes);
            if let Some(trace) = &mut self.trace {
                trace.push_str(&event.line);
            }
            self.added();
        }
    }

    /// The bytes of one more event are there.
    fn added(&mut self) {
        self.events += 1;
        if self.bytes.len() >= BATCH {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
    }

    /// XXH3-64 over the events so far.
    pub fn hash(&self) -> u64 {
        let mut hash = self.hash.clone();
        hash.update(&self.bytes);
        hash.digest()
    }

    /// Number of events so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Hands over the lines kept so far, and keeps no more; `None` without a trace.
    pub fn take_trace(&mut self) -> Option<String> {
        self.trace.take()
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("events", &self.events).finish_non_exhaustive()
    }
}

/// An event as bytes, canonical.
fn put_event(
    bytes: &mut Vec<u8>,
    at: Timestamp,
    host: &str,
    kind: &str,
    fields: &[(&str, Value<'_>)],
) {
    bytes.extend_from_slice(&at.as_nanos().to_le_bytes());
    put_str(bytes, host);
    put_str(bytes, kind);
    bytes.push(fields.len() as u8);
    for (key, value) in fields {
        put_str(bytes, key);
        match value {
            Value::U64(number) => {
                bytes.push(0);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Str(text) => {
                bytes.push(1);
                put_str(bytes, text);
            }
        }
    }
}

/// The length before the bytes keeps ("ab", "c") apart from ("a", "bc").
fn put_str(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn write_line(
    line: &mut String,
    at: Timestamp,
    host: &str,
    kind: &str,
    fields: &[(&str, Value<'_>)],
) {
    let (ms, rest) = (at.as_nanos() / 1_000_000, at.as_nanos() % 1_000_000);
    // Writing to a String can't fail.
    let _ = write!(line, "{{\"at_ms\":{ms}.{rest:06},\"host\":{},", quoted(host));
    let _ = write!(line, "\"event\":{}", quoted(kind));
    for (key, value) in fields {
        let _ = match value {
            Value::U64(number) => write!(line, ",\"{key}\":{number}"),
            Value::Str(text) => write!(line, ",\"{key}\":{}", quoted(text)),
        };
    }
    line.push_str("}\n");
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

/// Where two traces part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Number of the event, from 0.
    pub index: usize,
    /// What the first trace has there; `None` if it has ended.
    pub first: Option<String>,
    /// What the second trace has there; `None` if it has ended.
    pub second: Option<String>,
}

/// The first event that differs between two traces; `None` if they are equal.
pub fn first_difference(first: &str, second: &str) -> Option<Difference> {
    let (mut one, mut two) = (first.lines(), second.lines());
    for index in 0.. {
        match (one.next(), two.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                let (first, second) = (a.map(str::to_owned), b.map(str::to_owned));
                return Some(Difference { index, first, second });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(trace: bool, requests: &[u64]) -> EventLog {
        let mut log = EventLog::new(trace);
        for &request in requests {
            let fields = [("request", Value::U64(request)), ("peer", Value::Str("a \"b\""))];
            log.event(Timestamp::from_nanos(1_500_000 + request), "agent-1", "routed", &fields);
        }
        log
    }

    #[test]
    fn the_hash_is_the_same_with_and_without_a_trace_and_on_every_machine() {
        assert_eq!(log(true, &[1, 2]).hash(), log(false, &[1, 2]).hash());
        assert_eq!(log(false, &[1, 2]).hash(), 817_359_294_357_098_163);
        assert_eq!(log(false, &[1, 2]).events(), 2);
    }

    #[test]
    fn order_and_borders_of_strings_matter() {
        assert_ne!(log(false, &[1, 2]).hash(), log(false, &[2, 1]).hash());
        let of = |host: &str, kind: &'static str| {
            let mut log = EventLog::new(false);
            log.event(Timestamp::ZERO, host, kind, &[]);
            log.hash()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }

    #[test]
    fn events_that_come_out_of_order_are_logged_in_order() {
        let log = |mut log: EventLog, events: &[(u64, &'static str)]| {
            for (at, kind) in events {
                log.event(Timestamp::from_nanos(*at), "host", kind, &[]);
                log.settle(Timestamp::from_nanos(at.saturating_sub(2)));
            }
            log.settle(Timestamp::MAX);
            (log.hash(), log.events(), log.take_trace())
        };
        let came = [(3, "c"), (1, "a"), (3, "d"), (2, "b"), (5, "f"), (4, "e")];
        let mut right = came;
        right.sort_unstable();
        assert_eq!(log(EventLog::sorting(true), &came), log(EventLog::new(true), &right));
    }

    #[test]
    fn a_line_is_json_with_exact_time() {
        let trace = log(true, &[7]).take_trace().unwrap();
        let expected =
            r#"{"at_ms":1.500007,"host":"agent-1","event":"routed","request":7,"peer":"a \"b\""}"#;
        assert_eq!(trace, format!("{expected}\n"));
        assert!(serde_json::from_str::<serde_json::Value>(&trace).is_ok());
        assert_eq!(log(false, &[7]).take_trace(), None);
    }

    #[test]
    fn the_first_difference_is_named() {
        let trace = |requests: &[u64]| log(true, requests).take_trace().unwrap();
        assert_eq!(first_difference(&trace(&[1, 2]), &trace(&[1, 2])), None);
        let found = first_difference(&trace(&[1, 2]), &trace(&[1, 3, 4])).unwrap();
        assert_eq!(found.index, 1);
        assert!(found.second.unwrap().contains("\"request\":3"));
        let found = first_difference(&trace(&[1, 2]), &trace(&[1])).unwrap();
        assert_eq!((found.index, found.second), (1, None));
    }
}
