//! Asks the processor for the memory of coming events.
//!
//! An event touches what belongs to its host, and with thousands of hosts that is in no cache: most
//! of its time would be waiting, for one line after another. What is pending says which hosts come
//! next, so their memory is on its way while other events happen. Nothing here is changed: a wrong
//! guess costs time and no more.

use std::sync::Arc;

use branches::prefetch_read_data;

use super::queue::Lane;
use super::{Event, FIRST_AGENT, Simulation, calls};

/// Messages between the request for an exchange and its turn.
const EXCHANGE_AHEAD: usize = 16;
/// Events between the request for a host and its turn; for messages, the exchange that names the
/// host has come by then.
const HOST_AHEAD: usize = 8;
const CACHE_LINE: usize = 64;

impl Simulation<'_> {
    /// To be called before each event: asks for the memory of one that comes out of the same queue
    /// later.
    pub(super) fn look_ahead(&mut self, event: &Event) {
        match event {
            Event::Arrives(..) => self.look_at_messages(),
            Event::Sample { .. } => {
                if let Some(Event::Sample { host, .. }) = self.queue.ahead(Lane::Sample, HOST_AHEAD)
                {
                    self.prefetch_host(*host as usize);
                }
            }
            _ => {
                if let Some(Event::Wake(host) | Event::JobEnds(host)) = self.queue.next_other() {
                    self.prefetch_host(*host as usize);
                }
            }
        }
    }

    fn look_at_messages(&mut self) {
        if let Some(Event::Arrives(_, id)) = self.queue.ahead(Lane::Message, EXCHANGE_AHEAD)
            && let Some(place) = self.exchanges.place(*id)
        {
            prefetch(place);
        }
        if let Some(Event::Arrives(message, id)) = self.queue.ahead(Lane::Message, HOST_AHEAD)
            && let Some(exchange) = self.exchanges.get(*id)
        {
            let (_, receiver) = calls::ends(exchange, *message);
            self.prefetch_host(receiver);
        }
    }

    /// What most events at a host read first.
    fn prefetch_host(&self, host: usize) {
        let Some(node) = host.checked_sub(FIRST_AGENT).and_then(|agent| self.nodes.get(agent))
        else {
            return;
        };
        prefetch(node);
        prefetch(&self.hosts[host]);
        prefetch_line(Arc::as_ptr(&self.faults.hosts()[host]).cast());
    }
}

/// All of a value, but for the end of one that does not begin with a cache line.
fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(CACHE_LINE) {
        prefetch_line(start.wrapping_add(offset));
    }
}

/// The cache line of an address, into all caches.
fn prefetch_line(address: *const u8) {
    prefetch_read_data::<u8, 0>(address);
}
