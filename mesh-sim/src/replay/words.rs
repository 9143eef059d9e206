//! The words of a story for what happened in a run, for people. The event log has words of its own,
//! for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note, RetryReason};
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness, LeaseNoteKind};
use mesh_core::resilience::PassOverReason;
use mesh_core::subjobs::is_subjob;
use mesh_core::time::nanos;

use super::story::StoryStep;
use crate::faults::CrashMode;
use crate::format;
use crate::host::{HostId, HostMap};
use crate::journal::{Fact, JournalEntry, RequestOutcome, SentAgain};
use crate::presence::Presence;

/// A fact in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToldFact {
    /// A sentence without its subject, which is the host.
    pub(super) words: String,
    /// The few words that stand at the host's lifeline; empty if its messages say all.
    pub(super) note: String,
    /// The message that the host sends.
    pub(super) sends: Option<SentMessage>,
    pub(super) step: StoryStep,
}

/// A message that follows from a fact.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SentMessage {
    pub(super) to: HostId,
    pub(super) at: Timestamp,
    /// What stands at its arrow.
    pub(super) label: String,
}

impl ToldFact {
    fn new(words: impl Into<String>, note: impl Into<String>) -> Self {
        let (words, note, step) = (words.into(), note.into(), StoryStep::Plain);
        Self { words, note, sends: None, step }
    }

    fn step(self, step: StoryStep) -> Self {
        Self { step, ..self }
    }

    fn sends(self, to: Option<HostId>, at: Timestamp, label: impl Into<String>) -> Self {
        let label = label.into();
        Self { sends: to.map(|to| SentMessage { to, at, label }), ..self }
    }
}

/// Puts facts into words.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    names: &'a HostMap<Name>,
    /// Who sent an attempt, by request and attempt.
    senders: BTreeMap<(u64, u32), HostId>,
}

impl<'a> Teller<'a> {
    /// `of_request` are the facts about the request of the story.
    pub(super) fn new<'e>(
        names: &'a HostMap<Name>,
        of_request: impl Iterator<Item = &'e JournalEntry>,
    ) -> Self {
        let senders = of_request.filter_map(|entry| match entry.fact {
            Fact::AgentNoted(Note::Routed { request, attempt, .. }) => {
                Some(((request, attempt), entry.host))
            }
            _ => None,
        });
        Self { names, senders: senders.collect() }
    }

    /// The agent that sent an attempt of a request.
    pub(super) fn sender(&self, request: u64, attempt: u32) -> Option<HostId> {
        self.senders.get(&(request, attempt)).copied()
    }

    /// What happened, in words.
    pub(super) fn tell(&self, entry: &JournalEntry) -> ToldFact {
        let at = entry.at;
        match &entry.fact {
            &Fact::RequestDue { request, entry, .. } => {
                let told = ToldFact::new(format!("sends request {request}"), "");
                told.sends(Some(entry.host()), at, format!("request {request}"))
            }
            &Fact::RequestSentAgain { request, how, after, entry, pause, .. } => {
                let label = format!("request {request}, again");
                sent_again(request, how, after, pause).sends(Some(entry.host()), at + pause, label)
            }
            &Fact::RequestEnded { request, due, outcome, .. } => {
                ended(request, &brief_duration(at.since(due)), outcome)
            }
            Fact::HostCrashed(CrashMode::Machine) => {
                ToldFact::new("crashes: its machine stops", "crashes").step(StoryStep::HostStops)
            }
            Fact::HostCrashed(CrashMode::Process) => {
                ToldFact::new("crashes: its process stops", "process ends")
                    .step(StoryStep::HostStops)
            }
            Fact::HostRestarted => {
                ToldFact::new("runs again", "restarts").step(StoryStep::HostStarts)
            }
            Fact::PresenceChanged(presence) => changed(*presence),
            Fact::Scaled(decision) => {
                ToldFact::new(format!("scales the set: {decision}"), "scales")
            }
            Fact::AgentNoted(note) => self.noted(at, note),
            Fact::RegistryNoted(note) => lease(note),
            Fact::RegistryHeardTwice { caller } => ToldFact::new(
                format!("gets a message of {} for the second time", self.names[*caller]),
                "hears twice",
            ),
            Fact::RegistryWasDeaf(Deafness::Slept(length)) => {
                let length = brief_duration(*length);
                ToldFact::new(format!("did not run for {length}, and extends leases"), "slept")
            }
            Fact::RegistryWasDeaf(Deafness::Silence(length)) => {
                let length = brief_duration(*length);
                let words = format!("heard no agent for {length}, and extends leases");
                ToldFact::new(words, "heard nobody")
            }
            // No story has these, because the event log has none of them.
            Fact::LoadSampled { .. }
            | Fact::SubjobReported { .. }
            | Fact::PeersKnown(_)
            | Fact::SpanEnded(_)
            | Fact::MachineBusy { .. } => ToldFact::new("is measured", ""),
        }
    }

    fn noted(&self, at: Timestamp, note: &Note) -> ToldFact {
        let told = |words: String, note: &str| ToldFact::new(words, note);
        match note {
            Note::Delegating { .. } => told("takes the request".into(), ""),
            // No story has it, because the event log has none.
            Note::Probing { peers } => {
                told(format!("calls {} without a job", format::counted(*peers, "peer")), "")
            }
            Note::Held { .. } => told("keeps the job: no peer has a free slot".into(), "keeps it"),
            Note::Routed { attempt, peer, .. } => self.routed(at, *attempt, peer),
            Note::Retrying { reason, .. } => {
                let why = why_again(*reason);
                told(format!("tries another peer: {why}"), why)
            }
            Note::CopyWon { attempt, .. } => {
                told(format!("takes the answer of attempt {}", attempt + 1), "first answer")
            }
            Note::CopyDropped { attempt, .. } => {
                told(format!("gives attempt {} up", attempt + 1), "gives one up")
            }
            Note::Delegated { request, outcome } => delegated(at, *request, *outcome),
            Note::JobQueued { .. } => told("queues the job".into(), "queues"),
            Note::JobStarted { .. } => {
                told("starts the job".into(), "starts").step(StoryStep::JobStarts)
            }
            Note::JobEnded { request, attempt, outcome } => {
                job_ended(at, self.sender(*request, *attempt), *outcome)
            }
            Note::Registered { incarnation } => {
                told(format!("is registered, incarnation {incarnation}"), "registered")
            }
            Note::LeaseLost { incarnation } => {
                told(format!("has lost its lease, incarnation {incarnation}"), "lost its lease")
            }
            Note::HeartbeatShortened { period, .. } => {
                let period = brief_duration(*period);
                told(format!("sends a heartbeat every {period} from now on"), "heartbeat")
            }
            Note::NameTaken { holder, .. } => {
                told(format!("finds its name taken by {holder}"), "name taken")
            }
            Note::NameContested { rival, .. } => {
                told(format!("learns that {rival} asks for its name"), "name contested")
            }
            Note::Draining { jobs } => {
                let jobs = format::counted(*jobs as usize, "job");
                ToldFact::new(format!("drains, with {jobs} to finish"), "drains")
            }
            Note::DrainCancelled => told("takes jobs again".to_owned(), "drains no more"),
            Note::ViewChanged { peers } => {
                let peers = format::counted(*peers, "peer");
                ToldFact::new(format!("knows {peers} now"), format!("{peers} known"))
            }
            Note::PassedOver { peer, reason, penalty } => {
                let (why, penalty) = (why_passed_over(*reason), brief_duration(*penalty));
                let words = format!("passes {peer} over for {penalty}: {why}");
                ToldFact::new(words, format!("avoids {peer}"))
            }
            Note::Recovered { peer } => {
                ToldFact::new(format!("sees {peer} work again"), format!("trusts {peer}"))
            }
        }
    }

    fn routed(&self, at: Timestamp, attempt: u32, peer: &Name) -> ToldFact {
        let label = match attempt {
            0 => "job".to_owned(),
            attempt => format!("job, attempt {}", attempt + 1),
        };
        let to = self.names.find(|name| name == peer);
        ToldFact::new(format!("sends the {label}"), "").sends(to, at, label)
    }
}

/// A job has ended, and the answer goes back to the agent that sent it.
fn job_ended(at: Timestamp, sender: Option<HostId>, outcome: Ending) -> ToldFact {
    let label = ending(outcome);
    let told = match outcome {
        Ending::Done => ToldFact::new("finishes the job", "finishes"),
        Ending::Cancelled => ToldFact::new("drops the job: nobody waits for it", "drops it"),
        Ending::Failed(_) => ToldFact::new(format!("ends the job without a result: {label}"), ""),
    };
    let told = told.step(StoryStep::JobEnds);
    if outcome == Ending::Cancelled { told } else { told.sends(sender, at, label) }
}

/// A delegation has ended, and the outcome of a client's request goes back to the client.
fn delegated(at: Timestamp, request: u64, outcome: Ending) -> ToldFact {
    let (label, asker) = (ending(outcome), (!is_subjob(request)).then_some(HostId::CLIENT));
    let told = match outcome {
        Ending::Cancelled => {
            return ToldFact::new("drops the request: nobody waits for it", "drops it");
        }
        Ending::Done => ToldFact::new("passes the result on", ""),
        Ending::Failed(_) => ToldFact::new(format!("answers without a result: {label}"), ""),
    };
    told.sends(asker, at, label)
}

/// A duration for people: three digits.
pub(super) fn brief_duration(duration: Duration) -> String {
    format::latency(nanos(duration), 3)
}

fn sent_again(request: u64, how: SentAgain, after: RequestOutcome, pause: Duration) -> ToldFact {
    let why = format::reason(after.failure().unwrap_or_default());
    match how {
        SentAgain::Failover => {
            ToldFact::new(format!("sends request {request} elsewhere: {why}"), why)
        }
        SentAgain::Retry => {
            let pause = brief_duration(pause);
            ToldFact::new(format!("sends request {request} again in {pause}: {why}"), why)
        }
    }
}

fn ended(request: u64, took: &str, outcome: RequestOutcome) -> ToldFact {
    match outcome {
        RequestOutcome::Answered => {
            ToldFact::new(format!("has the answer to request {request}, after {took}"), "answered")
        }
        RequestOutcome::Refused(refusal) => {
            let why = format::reason(refusal.name());
            let words = format!("is refused request {request} after {took}: {why}");
            ToldFact::new(words, "refused")
        }
        RequestOutcome::TimedOut => {
            ToldFact::new(format!("gives request {request} up after {took}: no answer"), "gives up")
        }
        RequestOutcome::Lost(how) => {
            let why = format::reason(how.name());
            ToldFact::new(format!("loses request {request} after {took}: {why}"), "loses it")
        }
    }
}

/// How a job or a delegation ended, as the label of the answer.
fn ending(outcome: Ending) -> String {
    match outcome {
        Ending::Done => "result".to_owned(),
        // Of a client's request one says "answer lost", but this answer is not the one that is lost.
        Ending::Failed(FailureKind::OutcomeUnknown) => "outcome unknown".to_owned(),
        other => format::reason(other.name()),
    }
}

fn changed(presence: Presence) -> ToldFact {
    match presence {
        Presence::NotJoined => ToldFact::new("is not in the mesh yet", "not joined"),
        Presence::Member => ToldFact::new("joins the mesh", "joins").step(StoryStep::HostStarts),
        Presence::Leaving => ToldFact::new("is told to leave the mesh", "leaves"),
        Presence::Gone => ToldFact::new("has left the mesh", "gone").step(StoryStep::HostStops),
    }
}

fn lease(note: &registry::LeaseNote) -> ToldFact {
    let name = &note.name;
    match &note.kind {
        LeaseNoteKind::Granted => {
            ToldFact::new(format!("lists {name}: grants a lease"), format!("lists {name}"))
        }
        LeaseNoteKind::Restored => ToldFact::new(
            format!("lists {name}: its store has the lease"),
            format!("lists {name} again"),
        ),
        LeaseNoteKind::Drained(draining) => {
            let words = if *draining { "is draining" } else { "is not draining any more" };
            ToldFact::new(format!("lists that {name} {words}"), format!("drains {name}"))
        }
        LeaseNoteKind::Refused(why) => {
            ToldFact::new(format!("refuses {name} a lease: {why}"), format!("refuses {name}"))
        }
        LeaseNoteKind::Moved { from } => {
            let words = format!("moves the lease of {name} from {from} to {}", note.url);
            ToldFact::new(words, format!("moves {name}"))
        }
        LeaseNoteKind::Replaced => ToldFact::new(
            format!("replaces the lease of {name}: a later incarnation came"),
            format!("replaces {name}"),
        ),
        LeaseNoteKind::Deregistered => ToldFact::new(
            format!("strikes {name} from its list: {name} leaves"),
            format!("strikes {name}"),
        ),
        LeaseNoteKind::Expired { .. } => ToldFact::new(
            format!("strikes {name} from its list: the lease was not renewed"),
            format!("strikes {name}"),
        ),
    }
}

const fn why_again(reason: RetryReason) -> &'static str {
    match reason {
        RetryReason::NotSent => "no connection",
        RetryReason::Busy => "busy",
        RetryReason::ShuttingDown => "peer shuts down",
        RetryReason::Unavailable => "peer can't begin jobs",
        RetryReason::NoAnswer => "no answer",
        RetryReason::Beside => "no answer yet",
    }
}

const fn why_passed_over(reason: PassOverReason) -> &'static str {
    match reason {
        PassOverReason::NotSent => "no connection",
        PassOverReason::NoAnswer => "no answer",
        PassOverReason::ShuttingDown => "it shuts down",
        PassOverReason::Unavailable => "it can't begin jobs",
        PassOverReason::JobFailed => "its jobs fail",
        PassOverReason::OutcomeUnknown => "it lost its jobs",
        PassOverReason::OtherError => "it answers with errors",
        PassOverReason::Outlier => "it fails more than others",
    }
}
