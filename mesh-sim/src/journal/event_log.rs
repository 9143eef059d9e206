//! The event log: a hash over all events of a run and, if asked for, a line of JSON for each.

use std::sync::Arc;

use mesh_core::protocol::Name;
use xxhash_rust::xxh3::Xxh3;

use super::words::{put_bytes, put_line, words};
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
        Self { names, hash: Xxh3::new(), events: 0, bytes, trace }
    }

    /// XXH3-64 over the events so far.
    pub fn hash(&self) -> u64 {
        // The log may go on, so the bytes that are left are hashed with a copy.
        let mut hash = self.hash.clone();
        hash.update(&self.bytes);
        hash.digest()
    }

    /// Number of events so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Returns the lines kept so far and keeps no more lines; `None` if none were kept.
    pub fn take_trace(&mut self) -> Option<String> {
        self.trace.take()
    }
}

impl FactObserver for EventLog {
    fn observe(&mut self, entry: &JournalEntry) {
        let Some(words) = words(&entry.fact, &self.names) else { return };
        let host = &self.names[entry.host];
        put_bytes(&mut self.bytes, entry.at, host, &words);
        if let Some(trace) = &mut self.trace {
            put_line(trace, entry.at, host, &words);
            trace.push('\n');
        }
        self.events += 1;
        if self.bytes.len() >= BATCH {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("events", &self.events).finish_non_exhaustive()
    }
}
