//! Random schedules of requests, deliveries, losses, duplicates, delays, crashes and timeouts.
//! Under none of them an invariant breaks or an agent panics, and the mesh works once it has
//! healed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::world::World;
use crate::world::plan::plans;

/// The same schedules in every run: if one breaks, it is because of the last change.
fn fixed(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260_114),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    // As many again follow, so that both halves run at the same time.
    #![proptest_config(fixed(4_000))]

    #[test]
    fn no_schedule_breaks_an_invariant(plan in plans()) {
        World::run(&plan);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20_260_115), ..fixed(4_000) })]

    #[test]
    fn no_other_schedule_breaks_an_invariant(plan in plans()) {
        World::run(&plan);
    }
}

#[test]
fn schedules_reach_what_they_are_for() {
    let mut runner = TestRunner::new(fixed(1));
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for _ in 0..200 {
        let plan = plans().new_tree(&mut runner).expect("a plan").current();
        for (what, count) in World::run(&plan) {
            *seen.entry(what).or_default() += count;
        }
    }
    let wanted = [
        "done",
        "held",
        "retry",
        "busy",
        "not_sent",
        "no_answer",
        "shutting_down",
        "outcome_unknown",
        "deadline_exceeded",
        "no_peers",
        "no_reachable_peers",
        "all_busy",
        "retries_exhausted",
        "job_failed",
        "unavailable",
        "other_error",
        "cancelled",
        "hung up",
        "late result",
        "lost in silence",
        "lease lost",
        "passed over",
        "recovered",
        "kept in silence",
        "done twice, idempotent",
        "crash with open calls",
        "crash with jobs",
    ];
    for what in wanted {
        assert!(seen.contains_key(what), "no schedule reaches {what:?}: {seen:?}");
    }
}
