//! What agents would have told of their jobs: a live agent sees its own calls, here the journal's
//! facts are put together.

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, Note, RetryReason};
use mesh_core::protocol::Name;
use mesh_core::telemetry::{AttemptEnd, TelemetryBook};

use crate::host::HostId;

/// The jobs under way.
#[derive(Debug, Default)]
pub(super) struct ObservedJobs {
    /// Attempts by request, sender and number.
    attempts: BTreeMap<(u64, HostId, u32), OpenAttempt>,
    /// Jobs at agents, by request, agent and the number of the attempt: when each arrived.
    held: BTreeMap<(u64, HostId, u32), Timestamp>,
}

#[derive(Debug)]
struct OpenAttempt {
    peer: Name,
    sent: Timestamp,
    /// How long the peer has had the job, once it has ended there.
    at_peer: Option<std::time::Duration>,
}

impl ObservedJobs {
    /// An agent has noted something. `book` is its own.
    pub(super) fn noted(
        &mut self,
        at: Timestamp,
        agent: HostId,
        note: &Note,
        book: &mut TelemetryBook,
    ) {
        match note {
            Note::Routed { request, attempt, peer, .. } => {
                let open = OpenAttempt { peer: peer.clone(), sent: at, at_peer: None };
                self.attempts.insert((*request, agent, *attempt), open);
            }
            Note::Retrying { request, attempt, reason } if *reason != RetryReason::Beside => {
                let end = AttemptEnd::Failed(reason.name());
                self.attempt_ended(at, (*request, agent, *attempt), end, book);
            }
            Note::CopyWon { request, attempt } => {
                self.attempt_ended(at, (*request, agent, *attempt), AttemptEnd::Done, book);
            }
            Note::CopyDropped { request, attempt } => {
                self.attempts.remove(&(*request, agent, *attempt));
            }
            Note::Delegated { request, outcome } => {
                self.delegation_ended(at, agent, *request, *outcome, book);
            }
            Note::JobQueued { request, attempt } | Note::JobStarted { request, attempt } => {
                self.held.entry((*request, agent, *attempt)).or_insert(at);
            }
            Note::JobEnded { request, attempt, outcome } => {
                let arrived = self.held.remove(&(*request, agent, *attempt)).unwrap_or(at);
                let took = at.since(arrived);
                book.served(at, *outcome == Ending::Done, took);
                let own =
                    (*request, HostId::REGISTRY, 0)..=(*request, HostId::new(u32::MAX), u32::MAX);
                let mut sent = self.attempts.range_mut(own);
                if let Some((_, open)) = sent.find(|((.., number), _)| number == attempt) {
                    open.at_peer = Some(took);
                }
            }
            Note::PassedOver { peer, reason, .. } => book.ejected(at, peer, reason.name()),
            Note::Recovered { peer } => book.recovered(at, peer),
            _ => {}
        }
    }

    /// The host has stopped, with all that it had under way.
    pub(super) fn stopped(&mut self, host: HostId) {
        self.attempts.retain(|(_, sender, _), _| *sender != host);
        self.held.retain(|(_, agent, _), _| *agent != host);
    }

    fn attempt_ended(
        &mut self,
        at: Timestamp,
        key: (u64, HostId, u32),
        end: AttemptEnd,
        book: &mut TelemetryBook,
    ) {
        let Some(open) = self.attempts.remove(&key) else { return };
        let took = at.since(open.sent);
        book.attempt_ended(at, &open.peer, (end, None), took);
        // The rest of the time was spent on the way.
        if let (AttemptEnd::Done, Some(at_peer)) = (end, open.at_peer) {
            book.round_trip(at, &open.peer, took.saturating_sub(at_peer));
        }
    }

    fn delegation_ended(
        &mut self,
        at: Timestamp,
        agent: HostId,
        request: u64,
        outcome: Ending,
        book: &mut TelemetryBook,
    ) {
        let own = (request, agent, 0)..=(request, agent, u32::MAX);
        let open: Vec<_> = self.attempts.range(own).map(|(key, _)| *key).collect();
        let reached_nobody = open.is_empty();
        for key in open {
            match outcome {
                Ending::Done => self.attempt_ended(at, key, AttemptEnd::Done, book),
                Ending::Failed(kind) => {
                    self.attempt_ended(at, key, AttemptEnd::Failed(kind.name()), book);
                }
                Ending::Cancelled => {
                    self.attempts.remove(&key);
                }
            }
        }
        if let Ending::Failed(kind) = outcome
            && reached_nobody
        {
            book.undelivered(at, kind.name(), std::time::Duration::ZERO);
        }
    }
}
