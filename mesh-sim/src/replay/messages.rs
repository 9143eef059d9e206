//! What became of the messages about a request: found out from the facts at both of their ends.

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note, RetryReason};
use mesh_core::protocol::Name;

use super::story::MessageFate;
use super::words::{SentMessage, Teller};
use crate::faults::FaultSchedule;
use crate::host::{HostId, HostMap};
use crate::journal::{Fact, JournalEntry, RequestOutcome};

/// Follows the messages about one request.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    /// Every fact about the request, those after the end of the story too: they tell what became of
    /// a message.
    pub(super) facts: &'a [&'a JournalEntry],
    pub(super) schedule: &'a FaultSchedule,
    pub(super) names: &'a HostMap<Name>,
    pub(super) teller: &'a Teller<'a>,
    /// The end of the story.
    pub(super) until: Timestamp,
}

/// What the facts say about a message.
enum Found {
    /// This fact is the first that follows from its arrival.
    Arrival(Timestamp),
    /// It was answered, so it arrived.
    Answered,
    /// Its sender could not even open a connection.
    NoConnection,
    /// Its receiver stopped waiting for it at this time.
    GivenUp(Timestamp),
    /// Nothing.
    Nothing,
}

impl Messages<'_> {
    /// What became of the message that the fact number `index` sent.
    pub(super) fn fate(&self, index: usize, message: &SentMessage) -> MessageFate {
        let (from, to) = (self.facts[index].host, message.to);
        match self.found(index, message) {
            Found::Arrival(at) if at > self.until => MessageFate::UnderWay,
            Found::Arrival(at) => MessageFate::Arrived(at),
            Found::Answered => MessageFate::ArrivedSometime,
            Found::NoConnection => MessageFate::Lost(self.no_connection(from, to, message.at)),
            Found::GivenUp(at) if at <= message.at + self.latency(from, to, message.at) => {
                // Within the story somebody may still have waited for it.
                if at > self.until { MessageFate::UnderWay } else { MessageFate::TooLate }
            }
            Found::GivenUp(_) | Found::Nothing => self.missing(from, to, message.at),
        }
    }

    fn found(&self, index: usize, message: &SentMessage) -> Found {
        let later = &self.facts[index + 1..];
        match &self.facts[index].fact {
            Fact::RequestDue { .. } | Fact::RequestSentAgain { .. } => request(later, message),
            Fact::AgentNoted(Note::Routed { attempt, .. }) => job(later, message.to, *attempt),
            Fact::AgentNoted(Note::JobEnded { request, attempt, outcome }) => {
                let sender = self.teller.sender(*request, *attempt);
                sender.map_or(Found::Nothing, |sender| answer(later, sender, *attempt, *outcome))
            }
            Fact::AgentNoted(Note::Delegated { outcome, .. }) => client_answer(later, *outcome),
            _ => Found::Nothing,
        }
    }

    fn latency(&self, from: HostId, to: HostId, at: Timestamp) -> std::time::Duration {
        self.schedule.latency(from, to, at)
    }

    fn no_connection(&self, from: HostId, to: HostId, at: Timestamp) -> String {
        self.cause(from, to, at).unwrap_or_else(|| "no connection".to_owned())
    }

    /// What to say of a message without any trace at its receiver.
    fn missing(&self, from: HostId, to: HostId, at: Timestamp) -> MessageFate {
        match self.cause(from, to, at) {
            Some(cause) => MessageFate::Lost(cause),
            // Nothing has hit it yet: it may arrive after the end of the run.
            None if at + self.latency(from, to, at) >= self.until => MessageFate::UnderWay,
            None => MessageFate::Lost("it never arrives".to_owned()),
        }
    }

    /// The fault that a message met which was sent at a time; `None` if it met none.
    fn cause(&self, from: HostId, to: HostId, sent: Timestamp) -> Option<String> {
        let (schedule, arrival) = (self.schedule, sent + self.latency(from, to, sent));
        for host in [to, from] {
            if schedule.is_down(host, sent) || schedule.is_down(host, arrival) {
                return Some(format!("{} is down", self.names[host]));
            }
        }
        if schedule.was_cut(from, to, sent, arrival) {
            return Some("the link is cut".to_owned());
        }
        let link = schedule.link(from, to, sent);
        if link.held {
            return Some("the link stalls".to_owned());
        }
        // An answer to the opening of the connection may get lost, too.
        let back = schedule.link(to, from, sent);
        if back.cut {
            return Some("the way back is cut".to_owned());
        }
        let is_lossy = link.loss > 0.0
            || back.loss > 0.0
            || schedule.quality(from, to).loss > 0.0
            || schedule.quality(to, from).loss > 0.0;
        is_lossy.then(|| "the link loses messages".to_owned())
    }
}

/// What became of a request: its entry agent takes it, or the client learns that it failed.
fn request(later: &[&JournalEntry], message: &SentMessage) -> Found {
    for entry in later.iter().filter(|entry| entry.at >= message.at) {
        match &entry.fact {
            Fact::AgentNoted(_) if entry.host == message.to => return Found::Arrival(entry.at),
            Fact::RequestSentAgain { after: outcome, .. } | Fact::RequestEnded { outcome, .. } => {
                return match outcome {
                    RequestOutcome::Answered | RequestOutcome::Refused(_) => Found::Answered,
                    RequestOutcome::Lost(_) => Found::NoConnection,
                    RequestOutcome::TimedOut => arrival_at(later, message.to),
                };
            }
            _ => {}
        }
    }
    Found::Nothing
}

/// The first thing that an agent does about the request, though the client has given up.
fn arrival_at(later: &[&JournalEntry], host: HostId) -> Found {
    let first = later.iter().find(|entry| entry.host == host);
    first.map_or(Found::Nothing, |entry| Found::Arrival(entry.at))
}

/// What became of a job: the peer begins, queues or refuses it, or its sender learns what happened.
fn job(later: &[&JournalEntry], peer: HostId, number: u32) -> Found {
    for entry in later {
        match &entry.fact {
            Fact::AgentNoted(
                Note::JobQueued { attempt, .. }
                | Note::JobStarted { attempt, .. }
                | Note::JobEnded { attempt, .. },
            ) if entry.host == peer && *attempt == number => return Found::Arrival(entry.at),
            Fact::AgentNoted(Note::Retrying { attempt, reason, .. }) if *attempt == number => {
                match reason {
                    RetryReason::NotSent => return Found::NoConnection,
                    RetryReason::Busy | RetryReason::ShuttingDown | RetryReason::Unavailable => {
                        return Found::Answered;
                    }
                    // These say nothing about the job itself.
                    RetryReason::NoAnswer | RetryReason::Beside => {}
                }
            }
            _ => {}
        }
    }
    Found::Nothing
}

/// What became of a peer's answer: the agent that sent the job goes on from it.
fn answer(later: &[&JournalEntry], sender: HostId, number: u32, sent: Ending) -> Found {
    for entry in later.iter().filter(|entry| entry.host == sender) {
        match &entry.fact {
            Fact::AgentNoted(Note::CopyDropped { attempt, .. }) if *attempt == number => {
                return Found::GivenUp(entry.at);
            }
            Fact::AgentNoted(Note::CopyWon { attempt, .. }) if *attempt == number => {
                return Found::Arrival(entry.at);
            }
            Fact::AgentNoted(Note::Retrying { attempt, reason, .. })
                if *attempt == number && *reason != RetryReason::Beside =>
            {
                // A connection that breaks looks like an answer that is missing.
                let is_answer = sent != Ending::Done && *reason != RetryReason::NotSent;
                return if is_answer { Found::Arrival(entry.at) } else { Found::GivenUp(entry.at) };
            }
            Fact::AgentNoted(Note::Delegated { outcome, .. }) => {
                return if passes_on(sent, *outcome) {
                    Found::Arrival(entry.at)
                } else {
                    Found::GivenUp(entry.at)
                };
            }
            _ => {}
        }
    }
    Found::Nothing
}

/// Whether a delegation that ended like this may have ended because of this answer of a peer.
fn passes_on(answer: Ending, outcome: Ending) -> bool {
    match (answer, outcome) {
        (Ending::Done, outcome) => outcome == Ending::Done,
        // The outcome of several attempts need not be that of the last.
        (_, Ending::Failed(FailureKind::DeadlineExceeded)) => {
            answer == Ending::Failed(FailureKind::DeadlineExceeded)
        }
        (_, outcome) => matches!(outcome, Ending::Failed(_)),
    }
}

/// What became of an agent's answer to the client.
fn client_answer(later: &[&JournalEntry], sent: Ending) -> Found {
    for entry in later {
        if let Fact::RequestSentAgain { after: outcome, .. } | Fact::RequestEnded { outcome, .. } =
            &entry.fact
        {
            let came = match outcome {
                RequestOutcome::Answered => sent == Ending::Done,
                RequestOutcome::Refused(_) => sent != Ending::Done,
                // The client waits for its deadline, though an agent may have told it before.
                RequestOutcome::TimedOut => sent == Ending::Failed(FailureKind::DeadlineExceeded),
                RequestOutcome::Lost(_) => false,
            };
            return if came { Found::Arrival(entry.at) } else { Found::GivenUp(entry.at) };
        }
    }
    Found::Nothing
}
