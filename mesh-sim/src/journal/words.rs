//! The words of the event log: the only place where a fact becomes text or bytes.
//!
//! The hash of a run and the lines of its trace both follow from [`describe`], so a change of a word
//! or of a detail changes the hash of every run.

use std::fmt::Write as _;

use mesh_core::agent::Note;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness, LeaseNoteKind};
use mesh_core::scaling::{ScalingAction, ScalingDecision};
use mesh_core::time::{Timestamp, nanos};

use super::{Fact, JournalEntry, RequestOutcome, SentAgain};
use crate::faults::CrashMode;
use crate::host::HostMap;

/// The value of one detail of an event. There are no floats, because events are compared bit by
/// bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValue<'a> {
    U64(u64),
    Str(&'a str),
}

/// A detail of an event: its key and its value. Keys are plain words, each used once in an event and
/// none of them `at_ms`, `host` or `event`, so that they can be written into JSON as they are.
pub(super) type Field<'a> = (&'static str, FieldValue<'a>);

/// Writes down one event.
pub(super) trait Scribe {
    /// Writes an event with this word for its kind and these details.
    fn event<const N: usize>(self, kind: &'static str, fields: [Field<'_>; N]);
}

/// Passes what the event log says about a fact to a scribe; nothing if the log has no event for it.
/// `names` has the names of all hosts.
///
/// The scribe is called with the details, and gets no list of them, because every event of a run
/// passes here: this way the compiler makes code for each kind of event, with its keys in it.
pub(super) fn describe(fact: &Fact, names: &HostMap<Name>, scribe: impl Scribe) {
    use FieldValue::{Str, U64};
    match fact {
        Fact::RequestDue { request, entry, demand, .. } => scribe.event(
            "due",
            [
                ("request", U64(*request)),
                ("entry", Str(&names[entry.host()])),
                ("demand_ns", U64(nanos(*demand))),
            ],
        ),
        Fact::RequestSentAgain { request, how, after, entry, attempt, pause, .. } => {
            let kind = match how {
                SentAgain::Failover => "failover",
                SentAgain::Retry => "retry",
            };
            scribe.event(
                kind,
                [
                    ("request", U64(*request)),
                    ("attempt", U64((*attempt).into())),
                    ("reason", Str(after.failure().unwrap_or_default())),
                    ("entry", Str(&names[entry.host()])),
                    ("pause_ns", U64(nanos(*pause))),
                ],
            );
        }
        Fact::RequestEnded { request, outcome, .. } => {
            let (kind, reason) = match outcome {
                RequestOutcome::Answered => ("answered", ""),
                RequestOutcome::Refused(refusal) => ("refused", refusal.name()),
                RequestOutcome::TimedOut => ("timed_out", ""),
                RequestOutcome::Lost(how) => ("lost", how.name()),
            };
            scribe.event(kind, [("request", U64(*request)), ("reason", Str(reason))]);
        }
        Fact::HostCrashed(CrashMode::Machine) => scribe.event("crashed", []),
        Fact::HostCrashed(CrashMode::Process) => scribe.event("killed", []),
        Fact::HostRestarted => scribe.event("restarted", []),
        Fact::PresenceChanged(presence) => scribe.event(presence.name(), []),
        Fact::Scaled(decision) => describe_scaling(decision, scribe),
        Fact::AgentNoted(note) => describe_agent_note(note, scribe),
        Fact::RegistryNoted(note) => describe_registry_note(note, scribe),
        Fact::RegistryHeardTwice { caller } => {
            scribe.event("heard_twice", [("agent", Str(&names[*caller]))]);
        }
        Fact::RegistryWasDeaf(Deafness::Slept(length)) => {
            scribe.event("slept", [("for_ns", U64(nanos(*length)))]);
        }
        Fact::RegistryWasDeaf(Deafness::Silence(length)) => {
            scribe.event("heard_nobody", [("for_ns", U64(nanos(*length)))]);
        }
        // Not logged, as `Fact::is_logged` says.
        Fact::LoadSampled { .. }
        | Fact::SubjobReported { .. }
        | Fact::PeersKnown(_)
        | Fact::SpanEnded(_)
        | Fact::MachineBusy { .. } => {}
    }
}

fn describe_agent_note(note: &Note, scribe: impl Scribe) {
    use FieldValue::{Str, U64};
    let job =
        |request: u64, attempt: u32| [("request", U64(request)), ("attempt", U64(attempt.into()))];
    match note {
        Note::Routed { request, attempt, peer, incarnation } => {
            let [request, attempt] = job(*request, *attempt);
            let (peer, incarnation) = (("peer", Str(peer)), ("incarnation", U64(*incarnation)));
            scribe.event("routed", [request, attempt, peer, incarnation]);
        }
        Note::Retrying { request, attempt, reason } => {
            let [request, attempt] = job(*request, *attempt);
            scribe.event("retrying", [request, attempt, ("reason", Str(reason.name()))]);
        }
        Note::CopyWon { request, attempt } => scribe.event("copy_won", job(*request, *attempt)),
        Note::CopyDropped { request, attempt } => {
            scribe.event("copy_dropped", job(*request, *attempt));
        }
        Note::PassedOver { peer, reason, penalty } => scribe.event(
            "passed_over",
            [
                ("peer", Str(peer)),
                ("reason", Str(reason.name())),
                ("penalty_ns", U64(nanos(*penalty))),
            ],
        ),
        Note::Recovered { peer } => scribe.event("recovered", [("peer", Str(peer))]),
        Note::JobQueued { request, attempt } => scribe.event("job_queued", job(*request, *attempt)),
        Note::JobStarted { request, attempt } => {
            scribe.event("job_started", job(*request, *attempt));
        }
        Note::JobEnded { request, attempt, outcome } => {
            let [request, attempt] = job(*request, *attempt);
            scribe.event("job_ended", [request, attempt, ("outcome", Str(outcome.name()))]);
        }
        // No event of the log: there are too many of them.
        Note::Probing { .. } => {}
        Note::Delegating { request } => scribe.event("delegating", [("request", U64(*request))]),
        Note::Held { request } => scribe.event("held", [("request", U64(*request))]),
        Note::Delegated { request, outcome } => {
            let outcome = ("outcome", Str(outcome.name()));
            scribe.event("delegated", [("request", U64(*request)), outcome]);
        }
        Note::Registered { incarnation } => {
            scribe.event("registered", [("incarnation", U64(*incarnation))]);
        }
        Note::LeaseLost { incarnation } => {
            scribe.event("lease_lost", [("incarnation", U64(*incarnation))]);
        }
        Note::HeartbeatShortened { ttl, period, .. } => {
            let fields = [("ttl_ns", U64(nanos(*ttl))), ("period_ns", U64(nanos(*period)))];
            scribe.event("heartbeat_shortened", fields);
        }
        Note::Draining { jobs } => scribe.event("draining", [("jobs", U64((*jobs).into()))]),
        Note::DrainCancelled => scribe.event("drain_cancelled", []),
        Note::NameTaken { holder, .. } => scribe.event("name_taken", [("holder", Str(holder))]),
        Note::NameContested { rival, .. } => {
            scribe.event("name_contested", [("rival", Str(rival))]);
        }
        Note::ViewChanged { peers } => {
            scribe.event("view_changed", [("peers", U64(*peers as u64))]);
        }
    }
}

fn describe_scaling(decision: &ScalingDecision, scribe: impl Scribe) {
    use FieldValue::{Str, U64};
    let (kind, started, drained, cancelled) = match &decision.action {
        ScalingAction::Hold(_) => ("unchanged", 0, 0, 0),
        ScalingAction::Grow { cancel, start, .. } => ("grow", *start, 0, cancel.len()),
        ScalingAction::Shrink { drain } => ("shrink", 0, drain.len(), 0),
    };
    let ratios = decision.ratios.unwrap_or_default();
    let thousandths = |ratio: f64| U64((ratio * 1000.0).round() as u64);
    scribe.event(
        "scaled",
        [
            ("action", Str(kind)),
            ("desired", U64(decision.desired.into())),
            ("started", U64(started.into())),
            ("drained", U64(drained as u64)),
            ("cancelled", U64(cancelled as u64)),
            ("cpu_thousandths", thousandths(ratios.cpu)),
            ("slots_thousandths", thousandths(ratios.slots.unwrap_or_default())),
        ],
    );
}

fn describe_registry_note(note: &registry::LeaseNote, scribe: impl Scribe) {
    let kind = match note.kind {
        LeaseNoteKind::Granted => "lease_granted",
        LeaseNoteKind::Restored => "lease_restored",
        LeaseNoteKind::Drained(_) => "lease_drained",
        LeaseNoteKind::Refused(_) => "lease_refused",
        LeaseNoteKind::Moved { .. } => "lease_moved",
        LeaseNoteKind::Replaced => "lease_replaced",
        LeaseNoteKind::Deregistered => "lease_given_up",
        LeaseNoteKind::Expired { .. } => "lease_expired",
    };
    let incarnation = FieldValue::U64(note.incarnation.unwrap_or_default());
    scribe.event(kind, [("agent", FieldValue::Str(&note.name)), ("incarnation", incarnation)]);
}

/// The line of a trace for an entry of the journal, without a line feed; `None` if a trace has no
/// line for it. `names` has the names of all hosts.
pub fn line(entry: &JournalEntry, names: &HostMap<Name>) -> Option<String> {
    let mut text = String::new();
    let scribe = LineScribe { text: &mut text, at: entry.at, host: &names[entry.host] };
    describe(&entry.fact, names, scribe);
    (!text.is_empty()).then_some(text)
}

/// Writes an event as a line of a trace.
struct LineScribe<'a> {
    text: &'a mut String,
    at: Timestamp,
    host: &'a str,
}

impl Scribe for LineScribe<'_> {
    fn event<const N: usize>(self, kind: &'static str, fields: [Field<'_>; N]) {
        put_line(self.text, self.at, self.host, kind, &fields);
    }
}

/// Appends the JSON object of an event.
pub(super) fn put_line(
    text: &mut String,
    at: Timestamp,
    host: &str,
    kind: &str,
    fields: &[Field<'_>],
) {
    let (ms, rest) = (at.as_nanos() / 1_000_000, at.as_nanos() % 1_000_000);
    // Writing to a String can't fail.
    let _ = write!(text, "{{\"at_ms\":{ms}.{rest:06},\"host\":{},", quoted(host));
    let _ = write!(text, "\"event\":{}", quoted(kind));
    for (key, value) in fields {
        let _ = match value {
            FieldValue::U64(number) => write!(text, ",\"{key}\":{number}"),
            FieldValue::Str(value) => write!(text, ",\"{key}\":{}", quoted(value)),
        };
    }
    text.push('}');
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

/// Appends the bytes of an event that are hashed. Different events have different bytes, and an event
/// has the same bytes on every machine.
// Inlined: with the kind and the keys known, this is a handful of stores instead of a call for each.
#[inline(always)]
pub(super) fn put_bytes(
    bytes: &mut Vec<u8>,
    at: Timestamp,
    host: &str,
    kind: &str,
    fields: &[Field<'_>],
) {
    bytes.extend_from_slice(&at.as_nanos().to_le_bytes());
    put_str(bytes, host);
    put_str(bytes, kind);
    bytes.push(fields.len() as u8);
    for (key, value) in fields {
        put_str(bytes, key);
        // A byte for the kind of value keeps a number and a string with the same bytes apart.
        match value {
            FieldValue::U64(number) => {
                bytes.push(0);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            FieldValue::Str(text) => {
                bytes.push(1);
                put_str(bytes, text);
            }
        }
    }
}

/// Appends a string with its length in front, so that ("ab", "c") and ("a", "bc") differ.
#[inline(always)]
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
            put_bytes(&mut bytes, Timestamp::ZERO, host, kind, &[]);
            bytes
        };
        assert_ne!(bytes("ab", "c"), bytes("a", "bc"));
    }

    #[test]
    fn a_line_is_json_with_exact_time() {
        let at = Timestamp::from_nanos(1_500_007);
        let fields = [("request", FieldValue::U64(7)), ("peer", FieldValue::Str("a \"b\""))];
        let mut line = String::new();
        put_line(&mut line, at, "agent-1", "routed", &fields);
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
        for fact in [Fact::HostCrashed(CrashMode::Process), busy] {
            let entry = entry(fact);
            assert_eq!(line(&entry, &names).is_some(), entry.fact.is_logged());
        }
    }
}
