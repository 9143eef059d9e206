//! The journal of a run. Whatever happens is one typed [`Fact`], made once, and everything that
//! watches the run reads the same facts.
//!
//! An engine calls [`Journal::record`] where something happens. The journal passes the fact to its
//! observers, which know nothing of each other: the event log, the oracles, the recorder, and the
//! observer that a caller of [`Run::observe`](crate::engine::Run::observe) brings. The journal
//! itself keeps no facts; an observer that needs them later keeps its own copies.

mod event_log;
mod fact;
mod outcome;
mod trace_difference;
mod words;

pub use event_log::EventLog;
pub use fact::{Fact, JournalEntry};
pub use outcome::{ConnectionFailure, RequestOutcome, RequestRefusal, SentAgain, TIMED_OUT};
pub use trace_difference::{TraceDifference, first_difference};
pub use words::line;

use mesh_core::time::Timestamp;

use crate::host::{HostId, HostMap};

/// Watches a run: it is told every fact. Observers can be combined: a pair of observers is an
/// observer, and so is an `Option` of one.
///
/// ```
/// use mesh_sim::journal::{JournalEntry, Fact, FactObserver};
///
/// /// Counts the crashes of a run.
/// #[derive(Default)]
/// struct Crashes(u64);
///
/// impl FactObserver for Crashes {
///     fn observe(&mut self, entry: &JournalEntry) {
///         self.0 += u64::from(matches!(entry.fact, Fact::HostCrashed(_)));
///     }
/// }
/// ```
pub trait FactObserver {
    /// Called once for each fact, in the order that [`Journal`] describes.
    fn observe(&mut self, entry: &JournalEntry);
}

impl FactObserver for () {
    fn observe(&mut self, _: &JournalEntry) {}
}

impl<A: FactObserver, B: FactObserver> FactObserver for (A, B) {
    fn observe(&mut self, entry: &JournalEntry) {
        self.0.observe(entry);
        self.1.observe(entry);
    }
}

impl<O: FactObserver> FactObserver for Option<O> {
    fn observe(&mut self, entry: &JournalEntry) {
        if let Some(observer) = self {
            observer.observe(entry);
        }
    }
}

impl<O: FactObserver + ?Sized> FactObserver for Box<O> {
    fn observe(&mut self, entry: &JournalEntry) {
        (**self).observe(entry);
    }
}

/// Keeps every fact.
impl FactObserver for Vec<JournalEntry> {
    fn observe(&mut self, entry: &JournalEntry) {
        self.push(entry.clone());
    }
}

/// Where an engine records what happens in one run.
///
/// Observers come in two groups. The `prompt` observers are told a fact as soon as it is recorded,
/// the `ordered` observers in the order of simulated time. In an engine that records in the order
/// of time the two are the same. In an engine whose hosts take turns within a step of time, the
/// facts of one step may be recorded in any order. There the journal holds facts back from the
/// `ordered` observers until the engine says, with [`Self::settle`], that nothing earlier can
/// follow.
#[derive(Debug)]
pub struct Journal<Prompt, Ordered> {
    prompt: Prompt,
    ordered: Ordered,
    /// Which hosts are down. When an engine tears down a crashed host, destructors still run, and
    /// they would report that jobs end and that others start. A host that is down can't report.
    is_down: HostMap<bool>,
    /// Recorded facts that the `ordered` observers have not been told, because an earlier fact may
    /// still follow. `None` in an engine that records in the order of time.
    unsettled: Option<Vec<JournalEntry>>,
}

impl<Prompt: FactObserver, Ordered: FactObserver> Journal<Prompt, Ordered> {
    /// A journal for an engine that records facts in the order of their times.
    pub fn new(hosts: usize, prompt: Prompt, ordered: Ordered) -> Self {
        Self { prompt, ordered, is_down: HostMap::filled(false, hosts), unsettled: None }
    }

    /// The same journal, for an engine that may record a fact after one that happened later.
    #[must_use]
    pub fn out_of_order(self) -> Self {
        Self { unsettled: Some(Vec::new()), ..self }
    }

    /// Records what happened at a host. A report of a host that is down is ignored.
    // Inlined, so that the fact is made in its entry: copying it would cost as much as observing it.
    #[inline(always)]
    pub fn record(&mut self, at: Timestamp, host: impl Into<HostId>, fact: Fact) {
        self.enter(JournalEntry { at, host: host.into(), fact });
    }

    fn enter(&mut self, entry: JournalEntry) {
        match entry.fact {
            Fact::HostCrashed(_) => self.is_down[entry.host] = true,
            Fact::HostRestarted => self.is_down[entry.host] = false,
            _ => {}
        }
        // The crash itself and the busy time of the machine are no reports, so they are recorded.
        if self.is_down[entry.host] && entry.fact.is_a_report() {
            return;
        }
        self.prompt.observe(&entry);
        match &mut self.unsettled {
            None => self.ordered.observe(&entry),
            Some(unsettled) => unsettled.push(entry),
        }
    }

    /// Tells the `ordered` observers every fact from before this time: the engine promises to
    /// record nothing from before it any more. Facts of one time keep the order in which they were
    /// recorded.
    pub fn settle(&mut self, before: Timestamp) {
        let Some(unsettled) = &mut self.unsettled else { return };
        // This sort keeps the order of equal times.
        unsettled.sort_by_key(|entry| entry.at);
        let count = unsettled.partition_point(|entry| entry.at < before);
        for entry in unsettled.drain(..count) {
            self.ordered.observe(&entry);
        }
    }

    /// The observers that are told each fact as soon as it is recorded.
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Ends the run: tells the `ordered` observers all that is left, and returns both groups.
    pub fn close(mut self) -> (Prompt, Ordered) {
        for entry in self.unsettled.take().map(in_order).into_iter().flatten() {
            self.ordered.observe(&entry);
        }
        (self.prompt, self.ordered)
    }
}

fn in_order(mut entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    entries.sort_by_key(|entry| entry.at);
    entries
}

#[cfg(test)]
mod tests;
