//! The words of the event log: the only place where a fact becomes text or bytes.
//!
//! The hash of a run and the lines of its trace both follow from what [`words`] says, so whatever
//! it says differently changes every hash.

use std::fmt::Write as _;

use mesh_core::agent::Note;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness, LeaseNoteKind};
use mesh_core::time::{Timestamp, nanos};

use super::{Fact, JournalEntry, RequestOutcome};
use crate::host::HostMap;

/// A detail of an event. No floats: an event is compared bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    U64(u64),
    Str(&'a str),
}

/// The most details that an event has.
const MAX_FIELDS: usize = 4;

/// What the event log says of a fact: a word for its kind, and its details. Keys are plain words,
/// each used once and none of them `at_ms`, `host` or `event`, so they stand in JSON as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) kind: &'static str,
    fields: [(&'static str, Value<'a>); MAX_FIELDS],
    count: usize,
}

impl<'a> Words<'a> {
    #[inline]
    pub(super) fn new<const N: usize>(
        kind: &'static str,
        details: [(&'static str, Value<'a>); N],
    ) -> Self {
        let mut fields = [("", Value::U64(0)); MAX_FIELDS];
        fields[..N].copy_from_slice(&details);
        Self { kind, fields, count: N }
    }

    pub(super) fn fields(&self) -> &[(&'static str, Value<'a>)] {
        &self.fields[..self.count]
    }
}

/// What the event log says of a fact; `None` of one that does not stand in it. `names` are those of
/// all hosts.
pub(super) fn words<'a>(fact: &'a Fact, names: &'a HostMap<Name>) -> Option<Words<'a>> {
    use Value::{Str, U64};
    Some(match fact {
        Fact::RequestDue { request, entry, demand } => Words::new(
            "due",
            [
                ("request", U64(*request)),
                ("entry", Str(&names[entry.host()])),
                ("demand_ns", U64(nanos(*demand))),
            ],
        ),
        Fact::RequestEnded { request, outcome, .. } => {
            let (kind, reason) = match outcome {
                RequestOutcome::Answered => ("answered", ""),
                RequestOutcome::Refused(refusal) => ("refused", refusal.name()),
                RequestOutcome::TimedOut => ("timed_out", ""),
                RequestOutcome::Lost(how) => ("lost", how.name()),
            };
            Words::new(kind, [("request", U64(*request)), ("reason", Str(reason))])
        }
        Fact::HostCrashed => Words::new("crashed", []),
        Fact::HostRestarted => Words::new("restarted", []),
        Fact::PresenceChanged(presence) => Words::new(presence.name(), []),
        Fact::AgentNoted(note) => of_agent(note),
        Fact::RegistryNoted(note) => of_registry(note),
        Fact::RegistryHeardTwice { caller } => {
            Words::new("heard_twice", [("agent", Str(&names[*caller]))])
        }
        Fact::RegistryWasDeaf(Deafness::Slept(length)) => {
            Words::new("slept", [("for_ns", U64(nanos(*length)))])
        }
        Fact::RegistryWasDeaf(Deafness::Silence(length)) => {
            Words::new("heard_nobody", [("for_ns", U64(nanos(*length)))])
        }
        // Not logged, as `Fact::is_logged` says.
        Fact::LoadSampled { .. } | Fact::PeersKnown(_) | Fact::MachineBusy { .. } => return None,
    })
}

fn of_agent(note: &Note) -> Words<'_> {
    use Value::{Str, U64};
    let job =
        |request: u64, attempt: u32| [("request", U64(request)), ("attempt", U64(attempt.into()))];
    match note {
        Note::Routed { request, attempt, peer, incarnation } => {
            let [request, attempt] = job(*request, *attempt);
            let (peer, incarnation) = (("peer", Str(peer)), ("incarnation", U64(*incarnation)));
            Words::new("routed", [request, attempt, peer, incarnation])
        }
        Note::Retrying { request, attempt, reason } => {
            let [request, attempt] = job(*request, *attempt);
            Words::new("retrying", [request, attempt, ("reason", Str(reason.name()))])
        }
        Note::PassedOver { peer, reason, penalty } => Words::new(
            "passed_over",
            [
                ("peer", Str(peer)),
                ("reason", Str(reason.name())),
                ("penalty_ns", U64(nanos(*penalty))),
            ],
        ),
        Note::Recovered { peer } => Words::new("recovered", [("peer", Str(peer))]),
        Note::JobQueued { request, attempt } => Words::new("job_queued", job(*request, *attempt)),
        Note::JobStarted { request, attempt } => Words::new("job_started", job(*request, *attempt)),
        Note::JobEnded { request, attempt, outcome } => {
            let [request, attempt] = job(*request, *attempt);
            Words::new("job_ended", [request, attempt, ("outcome", Str(outcome.name()))])
        }
        Note::Delegating { request } => Words::new("delegating", [("request", U64(*request))]),
        Note::Delegated { request, outcome } => {
            let outcome = ("outcome", Str(outcome.name()));
            Words::new("delegated", [("request", U64(*request)), outcome])
        }
        Note::Registered { incarnation } => {
            Words::new("registered", [("incarnation", U64(*incarnation))])
        }
        Note::LeaseLost { incarnation } => {
            Words::new("lease_lost", [("incarnation", U64(*incarnation))])
        }
        Note::HeartbeatShortened { ttl, period, .. } => {
            let fields = [("ttl_ns", U64(nanos(*ttl))), ("period_ns", U64(nanos(*period)))];
            Words::new("heartbeat_shortened", fields)
        }
        Note::NameTaken { holder, .. } => Words::new("name_taken", [("holder", Str(holder))]),
        Note::NameContested { rival, .. } => Words::new("name_contested", [("rival", Str(rival))]),
        Note::ViewChanged { peers } => Words::new("view_changed", [("peers", U64(*peers as u64))]),
    }
}

fn of_registry(note: &registry::LeaseNote) -> Words<'_> {
    let kind = match note.kind {
        LeaseNoteKind::Granted => "lease_granted",
        LeaseNoteKind::Refused(_) => "lease_refused",
        LeaseNoteKind::Moved { .. } => "lease_moved",
        LeaseNoteKind::Replaced => "lease_replaced",
        LeaseNoteKind::Deregistered => "lease_given_up",
        LeaseNoteKind::Expired { .. } => "lease_expired",
    };
    let incarnation = Value::U64(note.incarnation.unwrap_or_default());
    Words::new(kind, [("agent", Value::Str(&note.name)), ("incarnation", incarnation)])
}

/// The line of a trace that stands for an entry of the journal, without its end; `None` for one
/// that does not stand in a trace. `names` are those of all hosts.
pub fn line(entry: &JournalEntry, names: &HostMap<Name>) -> Option<String> {
    let mut text = String::new();
    put_line(&mut text, entry.at, &names[entry.host], &words(&entry.fact, names)?);
    Some(text)
}

/// Adds the JSON object of an event.
pub(super) fn put_line(text: &mut String, at: Timestamp, host: &str, words: &Words<'_>) {
    let (ms, rest) = (at.as_nanos() / 1_000_000, at.as_nanos() % 1_000_000);
    // Writing to a String can't fail.
    let _ = write!(text, "{{\"at_ms\":{ms}.{rest:06},\"host\":{},", quoted(host));
    let _ = write!(text, "\"event\":{}", quoted(words.kind));
    for (key, value) in words.fields() {
        let _ = match value {
            Value::U64(number) => write!(text, ",\"{key}\":{number}"),
            Value::Str(value) => write!(text, ",\"{key}\":{}", quoted(value)),
        };
    }
    text.push('}');
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

/// Adds the bytes of an event that are hashed: each event has its own, on every machine.
pub(super) fn put_bytes(bytes: &mut Vec<u8>, at: Timestamp, host: &str, words: &Words<'_>) {
    bytes.extend_from_slice(&at.as_nanos().to_le_bytes());
    put_str(bytes, host);
    put_str(bytes, words.kind);
    bytes.push(words.count as u8);
    for (key, value) in words.fields() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostId;

    #[test]
    fn borders_of_strings_matter() {
        let bytes = |host: &str, kind: &'static str| {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, Timestamp::ZERO, host, &Words::new(kind, []));
            bytes
        };
        assert_ne!(bytes("ab", "c"), bytes("a", "bc"));
    }

    #[test]
    fn a_line_is_json_with_exact_time() {
        let at = Timestamp::from_nanos(1_500_007);
        let fields = [("request", Value::U64(7)), ("peer", Value::Str("a \"b\""))];
        let mut line = String::new();
        put_line(&mut line, at, "agent-1", &Words::new("routed", fields));
        let expected =
            r#"{"at_ms":1.500007,"host":"agent-1","event":"routed","request":7,"peer":"a \"b\""}"#;
        assert_eq!(line, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn samples_stand_in_no_line() {
        let entry = |fact| JournalEntry { at: Timestamp::ZERO, host: HostId::REGISTRY, fact };
        let names = [Name::from("registry")].into_iter().collect();
        let busy = Fact::MachineBusy { second: 1, percent: 50.0 };
        for fact in [Fact::HostCrashed, busy] {
            let entry = entry(fact);
            assert_eq!(line(&entry, &names).is_some(), entry.fact.is_logged());
        }
    }
}
