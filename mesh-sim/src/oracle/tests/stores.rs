//! Registries with stores: what was granted outlasts a crash, and nobody is two at once.

use mesh_core::registry::LeaseNoteKind::{Deregistered, Expired, Granted, Replaced, Restored};

use super::*;
use crate::faults::CrashMode;
use crate::oracle::identities::NOT_SPLIT;
use crate::oracle::registry_leases::{STAYS_DEAD, SURVIVES};
use crate::presence::Presence;

const OWN_STORE: &str = "[registries.store]\n";
const SHARED_STORE: &str = "[registries]\ncount = 2\n[registries.store]\nshared = true\n";

/// The second registry of a mesh of two agents.
fn second() -> HostId {
    let text = format!("{SCENARIO}{SHARED_STORE}");
    let scenario = Scenario::parse(&text, "x.toml").expect("a scenario");
    scenario.fault_schedule().hosts().registries().last().expect("a registry")
}

/// What is wrong if the registry crashes at 110 s, starts again at 120 s, and then notes these.
fn after_a_crash(
    with: &str,
    lasts: u64,
    notes: &[(AgentId, u64, LeaseNoteKind)],
) -> Vec<&'static str> {
    let crash = fault("crash", 110, Some(lasts), r#"hosts = "registry""#);
    broken(&format!("{with}{crash}"), |story| {
        let crashed = Fact::HostCrashed(CrashMode::Machine);
        story.happens(secs(110), HostId::REGISTRY, crashed);
        story.registry_restarts(110 + lasts);
        for (agent, incarnation, kind) in notes.iter().cloned() {
            let now = secs(111 + lasts);
            story.noted_at(HostId::REGISTRY, now, Some(1), (agent, incarnation, kind));
        }
    })
}

#[test]
fn a_lease_in_a_store_outlasts_the_registry() {
    let all = [(A1, LIFE, Restored), (A2, LIFE, Restored)];
    assert_eq!(after_a_crash(OWN_STORE, 10, &all), [""; 0]);
    let newer = [(A1, LIFE, Restored), (A2, LIFE + 1, Restored)];
    assert_eq!(after_a_crash(OWN_STORE, 10, &newer), [""; 0], "its answer was on the way");
    let again = [(A1, LIFE, Restored), (A2, LIFE + 1, Granted)];
    assert_eq!(after_a_crash(OWN_STORE, 10, &again), [SURVIVES], "it had to register anew");
    assert!(after_a_crash(OWN_STORE, 10, &all[..1]).contains(&SURVIVES), "it is missing");
    assert_eq!(
        after_a_crash("", 10, &again.clone().map(|(agent, life, _)| (agent, life, Granted))),
        [""; 0]
    );
    let back = fault("store_rollback", 90, Some(5), "registries = \"registry\"\nloses = \"99s\"");
    assert_eq!(after_a_crash(&format!("{OWN_STORE}{back}"), 10, &again), [""; 0]);
    let dead = [
        all[0].clone(),
        all[1].clone(),
        (A2, LIFE, Expired { at: secs(121) }),
        (A2, LIFE, Granted),
    ];
    assert_eq!(after_a_crash(OWN_STORE, 10, &dead), [STAYS_DEAD], "the store remembers it");
}

#[test]
fn a_lease_that_was_about_to_end_may_be_gone() {
    let crash = fault("crash", 110, Some(10), r#"hosts = "registry""#);
    let found = broken(&format!("{OWN_STORE}{crash}"), |story| {
        let leaves = Fact::PresenceChanged(Presence::Leaving);
        story.happens(secs(109), A2.host(), leaves);
        story.happens(secs(110), HostId::REGISTRY, Fact::HostCrashed(CrashMode::Process));
        story.registry_restarts(120);
        story.noted_at(HostId::REGISTRY, secs(121), Some(1), (A1, LIFE, Restored));
        story.noted_at(HostId::REGISTRY, secs(122), Some(2), (A1, LIFE + 1, Replaced));
        story.noted_at(HostId::REGISTRY, secs(122), Some(2), (A1, LIFE + 1, Granted));
        story.happens(secs(123), A2.host(), Fact::PresenceChanged(Presence::Gone));
    });
    assert!(!found.contains(&SURVIVES), "{found:?}");
}

#[test]
fn a_shared_store_keeps_leases_for_two_ttls() {
    let second = second();
    let after = |lasts, end: Option<LeaseNoteKind>| {
        let crash = fault("crash", 110, Some(lasts), r#"hosts = "registry""#);
        let found = broken(&format!("{SHARED_STORE}{crash}"), |story| {
            for agent in [A1, A2] {
                story.noted_at(second, secs(1), Some(2), (agent, LIFE, Restored));
            }
            story.happens(secs(110), HostId::REGISTRY, Fact::HostCrashed(CrashMode::Machine));
            if let Some(kind) = end {
                story.noted_at(second, secs(115), Some(3), (A2, LIFE, kind));
            }
            story.registry_restarts(110 + lasts);
            story.noted_at(HostId::REGISTRY, secs(111 + lasts), Some(3), (A1, LIFE, Restored));
            story.noted_at(HostId::REGISTRY, secs(112 + lasts), Some(4), (A2, LIFE + 1, Granted));
        });
        found.contains(&SURVIVES)
    };
    assert!(after(10, None));
    assert!(!after(10, Some(Deregistered)), "the agent has said goodbye to the other registry");
    assert!(after(10, Some(Expired { at: secs(114) })), "the other registry did not hear it");
    assert!(!after(100, None), "the TTL is 30 s");
}

#[test]
fn nothing_is_owed_after_a_crash_in_an_outage_of_a_shared_store() {
    let second = second();
    let down = |from, lasts| fault("store_down", from, Some(lasts), r#"registries = "registry""#);
    let after = |outage: String| {
        let crash = fault("crash", 250, Some(5), r#"hosts = "registry""#);
        let found = broken(&format!("{SHARED_STORE}{crash}{outage}"), |story| {
            for agent in [A1, A2] {
                story.noted_at(second, secs(1), Some(2), (agent, LIFE, Restored));
            }
            story.happens(secs(250), HostId::REGISTRY, Fact::HostCrashed(CrashMode::Machine));
            story.registry_restarts(255);
            story.noted_at(HostId::REGISTRY, secs(261), Some(4), (A2, LIFE + 1, Granted));
        });
        found.contains(&SURVIVES)
    };
    assert!(!after(down(110, 150)), "nobody could ask it to keep the leases");
    assert!(after(down(110, 20)), "the outage was over long before");
}

#[test]
fn what_a_registry_owes_it_owes_after_a_second_crash() {
    let [one, two] = [110, 121].map(|at| fault("crash", at, Some(10), r#"hosts = "registry""#));
    let found = broken(&format!("{OWN_STORE}{one}{two}"), |story| {
        for at in [110, 121] {
            story.happens(secs(at), HostId::REGISTRY, Fact::HostCrashed(CrashMode::Machine));
            story.registry_restarts(at + 10);
        }
        for agent in [A1, A2] {
            story.noted_at(HostId::REGISTRY, secs(140), Some(1), (agent, LIFE + 1, Granted));
        }
    });
    assert_eq!(found, [SURVIVES]);
}

#[test]
fn nobody_is_two_at_one_revision() {
    let second = second();
    let found = |other: u64, revision: u64, meanwhile: Option<u64>| {
        broken(SHARED_STORE, |story| {
            for agent in [A1, A2] {
                story.noted_at(second, secs(1), Some(2), (agent, LIFE, Restored));
            }
            story.noted_at(HostId::REGISTRY, secs(2), Some(2), (A2, LIFE, Restored));
            for (registry, incarnation, revision) in
                [(HostId::REGISTRY, 9, 5), (second, other, revision)]
            {
                if registry == second && meanwhile.is_some() {
                    story.noted_at(second, secs(8), meanwhile, (A1, LIFE, Restored));
                }
                story.noted_at(registry, secs(9), Some(revision), (A2, LIFE, Replaced));
                story.noted_at(registry, secs(9), Some(revision), (A2, incarnation, Granted));
            }
        })
    };
    assert_eq!(found(9, 5, None), [""; 0]);
    assert_eq!(found(8, 5, None), [NOT_SPLIT]);
    assert_eq!(found(9, 7, None), [""; 0], "it has heard several changes at once");
    assert_eq!(found(9, 7, Some(4)), [""; 0]);
    assert_eq!(found(9, 7, Some(5)), [NOT_SPLIT], "at 5, it still listed the former life");
}
