//! The course of a run as one number, and as lines to read.

use std::sync::Arc;

use mesh_core::protocol::Name;
use mesh_core::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use super::words::{Field, Scribe, describe, put_bytes, put_line};
use super::{FactObserver, JournalEntry};
use crate::host::HostMap;

/// As many bytes are hashed at a time.
const BATCH: usize = 8 * 1024;

/// Hashes every event of a run in order and, if asked, keeps a line of JSON for each.
///
/// Two runs are alike if their hashes are. Without lines, an event costs a hash over some hundred
/// bytes and no allocation.
#[derive(Clone)]
pub struct EventLog {
    /// The names of all hosts.
    names: Arc<HostMap<Name>>,
    written: Written,
}

/// The events so far, hashed and as lines.
#[derive(Clone)]
struct Written {
    hash: Xxh3,
    events: u64,
    /// Canonical bytes of events that are not hashed yet: the hash is faster with many at a time.
    bytes: Vec<u8>,
    trace: Option<String>,
}

impl EventLog {
    /// An empty log of hosts with these names; with `trace`, one that keeps lines.
    pub fn new(names: Arc<HostMap<Name>>, trace: bool) -> Self {
        let bytes = Vec::with_capacity(2 * BATCH);
        let trace = trace.then(String::new);
        Self { names, written: Written { hash: Xxh3::new(), events: 0, bytes, trace } }
    }

    /// XXH3-64 over the events so far.
    pub fn hash(&self) -> u64 {
        let mut hash = self.written.hash.clone();
        hash.update(&self.written.bytes);
        hash.digest()
    }

    /// Number of events so far.
    pub const fn events(&self) -> u64 {
        self.written.events
    }

    /// Hands over the lines kept so far, and keeps no more; `None` without a trace.
    pub fn take_trace(&mut self) -> Option<String> {
        self.written.trace.take()
    }
}

impl FactObserver for EventLog {
    fn observe(&mut self, entry: &JournalEntry) {
        let host = &self.names[entry.host];
        let scribe = LogScribe { written: &mut self.written, at: entry.at, host };
        describe(&entry.fact, &self.names, scribe);
    }
}

/// Adds an event to those that are written.
struct LogScribe<'a> {
    written: &'a mut Written,
    at: Timestamp,
    host: &'a str,
}

impl Scribe for LogScribe<'_> {
    #[inline(always)]
    fn event<const N: usize>(self, kind: &'static str, fields: [Field<'_>; N]) {
        put_bytes(&mut self.written.bytes, self.at, self.host, kind, &fields);
        if let Some(trace) = &mut self.written.trace {
            put_line(trace, self.at, self.host, kind, &fields);
            trace.push('\n');
        }
        self.written.added();
    }
}

impl Written {
    /// The bytes of one more event are there.
    fn added(&mut self) {
        self.events += 1;
        if self.bytes.len() >= BATCH {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("events", &self.written.events).finish_non_exhaustive()
    }
}
