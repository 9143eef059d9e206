use mesh_core::agent::Note;
use mesh_core::protocol::Name;

use super::*;
use crate::faults::CrashMode;
use crate::host::AgentId;

const AGENT: AgentId = AgentId::new(0);
const OTHER: AgentId = AgentId::new(1);

fn names() -> HostMap<Name> {
    ["registry", "client", "agent-1", "agent \"2\""].into_iter().map(Name::from).collect()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn routed(request: u64) -> Fact {
    let peer = Name::from("agent \"2\"");
    Fact::AgentNoted(Note::Routed { request, attempt: 0, peer, incarnation: 1 })
}

fn log(trace: bool, requests: &[u64]) -> EventLog {
    let mut log = EventLog::new(names().into(), trace);
    for &request in requests {
        log.observe(&JournalEntry {
            at: at(1_500_000 + request),
            host: AGENT.host(),
            fact: routed(request),
        });
    }
    log
}

#[test]
fn the_hash_is_the_same_with_and_without_a_trace_and_on_every_machine() {
    assert_eq!(log(true, &[1, 2]).hash(), log(false, &[1, 2]).hash());
    assert_eq!(log(false, &[1, 2]).hash(), 4_827_834_262_312_403_283);
    assert_eq!(log(false, &[1, 2]).events(), 2);
    assert_ne!(log(false, &[1, 2]).hash(), log(false, &[2, 1]).hash());
    assert_eq!(log(false, &[7]).take_trace(), None);
}

#[test]
fn a_trace_has_the_lines_of_its_entries() {
    let entry = JournalEntry { at: at(1_500_007), host: AGENT.host(), fact: routed(7) };
    let line = line(&entry, &names()).unwrap();
    assert_eq!(log(true, &[7]).take_trace(), Some(format!("{line}\n")));
    assert_eq!((entry.fact.request(), line.contains("\"request\":7")), (Some(7), true));
}

/// What a journal hands to its two groups of observers: the times of the facts.
fn told(journal: Journal<Vec<JournalEntry>, Vec<JournalEntry>>) -> [Vec<u64>; 2] {
    let (prompt, ordered) = journal.close();
    [prompt, ordered].map(|entries| entries.iter().map(|entry| entry.at.as_nanos()).collect())
}

#[test]
fn facts_that_come_out_of_order_are_put_in_order() {
    let mut journal = Journal::new(4, Vec::new(), Vec::new()).out_of_order();
    let came = [3, 1, 3, 2, 5, 4];
    for (request, time) in came.into_iter().enumerate() {
        journal.record(at(time), AGENT, routed(request as u64));
        journal.settle(at(time.saturating_sub(2)));
    }
    let requests: Vec<u64> =
        journal.unsettled.iter().flatten().filter_map(|entry| entry.fact.request()).collect();
    assert_eq!(requests, [0, 2, 5, 4], "those of one time stay as they came");
    assert_eq!(told(journal), [came.to_vec(), vec![1, 2, 3, 3, 4, 5]]);
}

#[test]
fn the_dead_do_not_speak() {
    let mut journal = Journal::new(4, Vec::new(), Vec::new());
    journal.record(at(1), AGENT, Fact::HostCrashed(CrashMode::Machine));
    journal.record(at(2), AGENT, routed(0));
    journal.record(at(3), AGENT, Fact::MachineBusy { second: 0, percent: 0.0 });
    journal.record(at(4), OTHER, routed(1));
    journal.record(at(5), AGENT, Fact::HostRestarted);
    journal.record(at(6), AGENT, routed(2));
    assert_eq!(told(journal), [vec![1, 3, 4, 5, 6], vec![1, 3, 4, 5, 6]]);
}

#[test]
fn an_entry_concerns_its_host_and_whom_the_registry_speaks_of() {
    use mesh_core::registry::{LeaseNote, LeaseNoteKind};
    let note = LeaseNote {
        name: "agent-1".into(),
        incarnation: Some(1),
        url: "h:1".into(),
        kind: LeaseNoteKind::Granted,
        revision: None,
    };
    let hosts = [HostId::REGISTRY, HostId::CLIENT, AGENT.host(), OTHER.host()];
    let concerns = |entry: &JournalEntry| hosts.map(|host| entry.concerns(host, &names()));
    let granted =
        JournalEntry { at: at(1), host: HostId::REGISTRY, fact: Fact::RegistryNoted(note) };
    assert_eq!(concerns(&granted), [true, false, true, false]);
    let twice = JournalEntry {
        at: at(1),
        host: HostId::REGISTRY,
        fact: Fact::RegistryHeardTwice { caller: OTHER.host() },
    };
    assert_eq!(concerns(&twice), [true, false, false, true]);
}
