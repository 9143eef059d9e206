//! The journal of a run: what happens is a typed fact, made once, and all that watches the run
//! learns of the same facts.
//!
//! An engine calls [`Journal::record`] where something happens. The journal hands the fact to its
//! observers, which know nothing of each other: the event log, the oracles, the recorder, and
//! whatever a caller of [`Run::observe`](crate::engine::Run::observe) brings. Nothing keeps facts
//! but an observer that wants to.

mod event_log;
mod fact;
mod outcome;
mod trace_difference;
mod words;

pub use event_log::EventLog;
pub use fact::{Fact, JournalEntry};
pub use outcome::{ConnectionFailure, RequestOutcome, RequestRefusal, TIMED_OUT};
pub use trace_difference::{TraceDifference, first_difference};
pub use words::line;

use mesh_core::time::Timestamp;

use crate::host::{HostId, HostMap};

/// Whoever watches a run. Observers compose: a pair of them is one, and so is an optional one.
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
///         self.0 += u64::from(matches!(entry.fact, Fact::HostCrashed));
///     }
/// }
/// ```
pub trait FactObserver {
    /// Something has happened.
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
/// Observers come in two groups. The `prompt` ones learn of a fact when it is recorded, the
/// `ordered` ones in the order of simulated time. For an engine that records in that order there is
/// no difference. In one whose hosts take turns within a step of time, facts of one step may be
/// recorded in any order: there the journal holds them back until [`Self::settle`] says that
/// nothing earlier can follow.
#[derive(Debug)]
pub struct Journal<Prompt, Ordered> {
    prompt: Prompt,
    ordered: Ordered,
    /// Which hosts are down. What a crash tears down still runs its destructors
    /// and would report how jobs end and others start; but the dead do not speak.
    is_down: HostMap<bool>,
    /// Facts that earlier ones may follow, if that happens at all.
    unsettled: Option<Vec<JournalEntry>>,
}

impl<Prompt: FactObserver, Ordered: FactObserver> Journal<Prompt, Ordered> {
    /// A journal for an engine that records facts in the order of their times.
    pub fn new(hosts: usize, prompt: Prompt, ordered: Ordered) -> Self {
        Self { prompt, ordered, is_down: HostMap::filled(false, hosts), unsettled: None }
    }

    /// The same for an engine that may record a fact after another that happened later.
    #[must_use]
    pub fn out_of_order(self) -> Self {
        Self { unsettled: Some(Vec::new()), ..self }
    }

    /// Something happened at a host. What a host reports that is down is ignored.
    pub fn record(&mut self, at: Timestamp, host: impl Into<HostId>, fact: Fact) {
        let host = host.into();
        match fact {
            Fact::HostCrashed => self.is_down[host] = true,
            Fact::HostRestarted => self.is_down[host] = false,
            _ => {}
        }
        if self.is_down[host] && fact.is_a_report() {
            return;
        }
        let entry = JournalEntry { at, host, fact };
        self.prompt.observe(&entry);
        match &mut self.unsettled {
            None => self.ordered.observe(&entry),
            Some(unsettled) => unsettled.push(entry),
        }
    }

    /// Nothing that happened before this time will be recorded any more. Facts of one time stay in
    /// the order in which they were recorded.
    pub fn settle(&mut self, before: Timestamp) {
        let Some(unsettled) = &mut self.unsettled else { return };
        unsettled.sort_by_key(|entry| entry.at);
        let count = unsettled.partition_point(|entry| entry.at < before);
        for entry in unsettled.drain(..count) {
            self.ordered.observe(&entry);
        }
    }

    /// The prompt observers.
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The run is over: settles everything and gives the observers back.
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
