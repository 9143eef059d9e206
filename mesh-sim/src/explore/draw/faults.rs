//! The faults of an explored run.

use std::time::Duration;

use crate::faults::{self, Draw, DrawFault, Fault, RandomFault};
use crate::scenario::{EngineKind, Scenario};

/// The most faults of a run that have a time.
const MAX_FAULTS: usize = 8;
/// The shortest length of a fault, in milliseconds.
const SHORTEST_MS: f64 = 50.0;
/// How often a fault may come at random in a run, on average.
const MAX_COMINGS: f64 = 40.0;

/// Draws faults that all end in the first three quarters of the duration.
pub(super) fn with_times(
    scenario: &Scenario,
    engine: EngineKind,
    draw: &mut Draw<'_>,
) -> Vec<Fault> {
    // A coin is tossed for each, also for those that the engine can't have, so that both engines
    // draw the same random numbers.
    let has_store = draw.has_store();
    let on = kinds(engine, has_store, |_| draw.coin());
    let healed = scenario.duration * 3 / 4;
    let mut faults: Vec<Fault> = Vec::new();
    if on.is_empty() {
        return faults;
    }
    for _ in 0..=draw.below(MAX_FAULTS) {
        let kind = on[draw.below(on.len())](draw);
        let longest = (healed.as_secs_f64() * 1000.0).max(SHORTEST_MS + 1.0);
        let lasts = draw.millis(SHORTEST_MS, longest);
        let room = healed.saturating_sub(lasts).as_millis() as usize;
        let at = Duration::from_millis(draw.below(room + 1) as u64);
        let lasts = Some(lasts.min(healed.saturating_sub(at)).max(Duration::from_millis(1)));
        let fault = Fault { at, lasts, kind };
        // The checks would refuse a scenario in which two faults clash.
        if faults.iter().all(|other| fault.clash(other).is_none()) {
            faults.push(fault);
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Draws, for one run in four, a fault that comes and goes at random. It goes on to the end of the
/// requests. `None` if it would clash with one of the faults `once`.
pub(super) fn at_random(
    scenario: &Scenario,
    engine: EngineKind,
    once: &[Fault],
    draw: &mut Draw<'_>,
) -> Option<RandomFault> {
    let has_one = draw.one_in(4);
    let on = kinds(engine, draw.has_store(), |_| true);
    let kind = on[draw.below(on.len())](draw);
    let whole_ms = (scenario.duration.as_secs_f64() * 1000.0).max(10.0 * SHORTEST_MS);
    let every = draw.millis(whole_ms / 10.0, whole_ms);
    let repair = draw.millis(SHORTEST_MS, whole_ms / 5.0);
    let random = RandomFault { every, repair, kind };
    let always = Fault { at: Duration::ZERO, lasts: None, kind: random.kind.clone() };
    let is_allowed = once.iter().all(|other| always.clash(other).is_none())
        && random.expected(scenario.duration) <= MAX_COMINGS;
    (has_one && is_allowed).then_some(random)
}

/// The ways to draw a fault that the engine can have, and that are chosen by their number.
fn kinds(
    engine: EngineKind,
    has_store: bool,
    mut is_chosen: impl FnMut(usize) -> bool,
) -> Vec<DrawFault> {
    let all = faults::draws().into_iter().filter(|way| has_store || !way.needs_store);
    let chosen = all.enumerate().filter(|(number, way)| {
        is_chosen(*number) && (way.in_turmoil || engine != EngineKind::Turmoil)
    });
    chosen.map(|(_, way)| way.draw).collect()
}
