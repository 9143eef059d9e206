//! The event log: a hash over all events of a run and, if asked for, a line of JSON for each.

use std::sync::Arc;

use mesh_core::protocol::Name;
use mesh_core::time::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use super::words::{Field, Scribe, describe, put_bytes, put_line};
use super::{FactObserver, JournalEntry};
use crate::host::HostMap;

/// Events are hashed in batches of this many bytes, because XXH3 is slow with a few bytes at a
/// time.
const BATCH: usize = 8 * 1024;

/// Hashes every event of a run in order and, if asked to, keeps a line of JSON for each.
///
/// Two runs are equal if their hashes are equal. Without lines, an event costs a hash over some
/// hundred bytes and no allocation.
#[derive(Clone)]
pub struct EventLog {
    /// The names of all hosts.
    names: Arc<HostMap<Name>>,
    written: LoggedEvents,
}

/// The events so far: their hash and, if asked for, their lines.
#[derive(Clone)]
struct LoggedEvents {
    hash: Xxh3,
    events: u64,
    /// The bytes of the events that are not hashed yet.
    bytes: Vec<u8>,
    /// The lines so far; `None` if no lines are kept.
    trace: Option<String>,
}

impl EventLog {
    /// An empty log for hosts with these names. With `trace` it keeps a line for each event.
    pub fn new(names: Arc<HostMap<Name>>, trace: bool) -> Self {
        let bytes = Vec::with_capacity(2 * BATCH);
        let trace = trace.then(String::new);
        Self { names, written: LoggedEvents { hash: Xxh3::new(), events: 0, bytes, trace } }
    }

    /// XXH3-64 over the events so far.
    pub fn hash(&self) -> u64 {
        // The log may go on, so the bytes that are left are hashed with a copy.
        let mut hash = self.written.hash.clone();
        hash.update(&self.written.bytes);
        hash.digest()
    }

    /// Number of events so far.
    pub const fn events(&self) -> u64 {
        self.written.events
    }

    /// Returns the lines kept so far and keeps no more lines; `None` if none were kept.
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

/// Adds an event to the log.
struct LogScribe<'a> {
    written: &'a mut LoggedEvents,
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
        self.written.count();
    }
}

impl LoggedEvents {
    /// Counts the event whose bytes were just appended, and hashes a full batch.
    fn count(&mut self) {
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
