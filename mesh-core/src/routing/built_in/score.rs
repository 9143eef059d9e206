//! The least value of a formula that the user writes.

use crate::formula::{Formula, Quantity};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Task;
use crate::routing::signal::{COUNT_SIGNAL, signal_of};
use crate::routing::{
    Candidate, Eligible, MAX_CHOICES, Picks, Policy, PolicyDescription, PolicyNeeds, Shortlist,
    Signal, least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// What formulas may name, in the order of [`values_of`].
const QUANTITIES: &[Quantity] = &[
    quantity("cpu", "CPU in percent, as the peer reports it.", 100.0),
    quantity("mem", "Memory in percent, as the peer reports it.", 100.0),
    quantity("in_flight", "Jobs that the peer holds, as it reports.", U32_MAX),
    quantity("queued", "Those of them that wait for a slot.", U32_MAX),
    quantity("load_age_ms", "Age of that report in milliseconds.", 4.4e6),
    quantity("latency_ms", "The last network round trip in milliseconds.", 1.1e6),
    quantity("latency_age_ms", "How long ago it was measured, in milliseconds.", 1.7e10),
    quantity("outstanding", "The agent's own jobs that the peer has not answered yet.", U16_MAX),
];
const U32_MAX: f64 = u32::MAX as f64;
/// A candidate counts no more of the agent's own jobs.
const U16_MAX: f64 = u16::MAX as f64;

/// The bits of the quantities that come from the peer's report, and from a measured round trip.
const REPORTED: u64 = 0b0001_1111;
const MEASURED: u64 = 0b0110_0000;
const OWN: u64 = 0b1000_0000;
/// The bits of `cpu` and `mem`.
const UTILISATION: u64 = 0b11;

const fn quantity(name: &'static str, summary: &'static str, max: f64) -> Quantity {
    Quantity { name, summary, max }
}

const FORMULA: Parameter = Parameter {
    name: "formula",
    summary: "What the least is chosen of.",
    kind: ParameterKind::Formula {
        default: "0.7 * cpu + 0.3 * latency_ms",
        quantities: QUANTITIES,
    },
};
const DRAWN: Parameter = Parameter {
    name: "drawn",
    summary: "How many random peers the formula is computed for; 0 for all.",
    kind: ParameterKind::Count { default: 0, min: 0, max: MAX_CHOICES as u64 },
};

/// [`Score`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "score",
    summary: "The peer for which a formula that you write is least.",
    parameters: &[FORMULA, DRAWN, COUNT_SIGNAL],
    needs: |values| PolicyNeeds {
        signal: signal_of(values),
        utilisation: values.formula(&FORMULA).named() & UTILISATION != 0,
    },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| {
        Box::new(Score {
            formula: values.formula(&FORMULA).clone(),
            drawn: drawn_of(values),
            signal: signal_of(values),
        })
    },
};

fn drawn_of(values: &ParameterValues) -> usize {
    values.count(&DRAWN) as usize
}

/// Computes a formula for each peer, or for a few random ones, and takes the least. The default is
/// the rule of the Python demo of the mesh. Among equals one is drawn.
///
/// What is not known counts as that of an idle, near peer: 0. `known(name)` tells it from a real 0,
/// as in `known(latency_ms) ? latency_ms : 50`. No candidate has a value that is no number, because
/// formulas that might have one are refused ([`crate::formula`]).
#[derive(Debug)]
struct Score {
    formula: Formula,
    /// How many peers to compare; 0 for all.
    drawn: usize,
    signal: Signal,
}

/// The value of each of [`QUANTITIES`], and the bits of those that are known.
fn values_of(candidate: &Candidate) -> ([f64; QUANTITIES.len()], u64) {
    let (load, latency) = (candidate.load(), candidate.latency());
    let report = load.map(|known| known.value).unwrap_or_default();
    let ms = |time: Option<std::time::Duration>| time.unwrap_or_default().as_secs_f64() * 1_000.0;
    let values = [
        report.cpu_percent,
        report.memory_percent,
        report.in_flight.into(),
        report.queued.into(),
        ms(load.map(|known| known.age)),
        ms(latency.map(|known| known.value)),
        ms(latency.map(|known| known.age)),
        candidate.outstanding().into(),
    ];
    let reported = if load.is_some() { REPORTED } else { 0 };
    let measured = if latency.is_some() { MEASURED } else { 0 };
    (values, reported | measured | OWN)
}

impl Policy for Score {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        match self.drawn {
            0 => Shortlist::All,
            drawn => Shortlist::Some(Picks::sample(drawn, eligible.len(), rng)),
        }
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, |candidate| {
            let (values, known) = values_of(candidate);
            total_order(self.formula.evaluate(&values, known))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::LoadReport;
    use crate::roster::PeerId;
    use crate::routing::{Known, PolicyFactory as _, PolicySettings};
    use crate::seed::Seed;

    fn build(text: &str, rng: &mut Rng) -> Box<dyn Policy> {
        let settings: PolicySettings = text.parse().unwrap_or_else(|error| panic!("{error}"));
        settings.build(rng)
    }

    /// A peer of which a part is unknown.
    fn draw(rng: &mut Rng, number: usize) -> Candidate {
        let peer = PeerId::new(&format!("agent-{number}"), "h:1", 1);
        let age = Duration::from_millis(rng.index(20_000) as u64);
        let load = LoadReport {
            // Whole percents: so there are ties.
            cpu_percent: rng.index(101) as f64,
            memory_percent: rng.index(101) as f64,
            in_flight: rng.index(10) as u32,
            queued: rng.index(5) as u32,
        };
        let latency = Duration::from_nanos(rng.index(50_000_000) as u64);
        Candidate::unknown(peer)
            .with_load((rng.index(8) > 0).then_some(Known { value: load, age }))
            .with_latency((rng.index(4) > 0).then_some(Known { value: latency, age }))
            .with_outstanding(rng.index(4) as u32)
    }

    /// That many choices among drawn peers, and that they are the same.
    fn assert_same_choices(one: &str, other: &str) {
        let mut draws = Seed::root(7).rng();
        let [mut one_rng, mut other_rng] = [Seed::root(9).rng(), Seed::root(9).rng()];
        let mut one = build(one, &mut one_rng);
        let mut other = build(other, &mut other_rng);
        for _ in 0..5_000 {
            let candidates: Vec<Candidate> =
                (0..1 + draws.index(12)).map(|number| draw(&mut draws, number)).collect();
            assert_eq!(
                one.choose(Timestamp::ZERO, &candidates, &mut one_rng),
                other.choose(Timestamp::ZERO, &candidates, &mut other_rng),
                "{candidates:?}"
            );
        }
    }

    #[test]
    fn formulas_choose_as_the_policies_that_they_spell_out() {
        assert_same_choices("score", "weighted");
        assert_same_choices(
            r#"score formula="2.5 * cpu + 40 * latency_ms" signal=reports"#,
            "weighted cpu_weight=2.5 latency_weight=40 signal=reports",
        );
        assert_same_choices("score formula=in_flight", "shortest_queue");
        assert_same_choices("score formula=outstanding signal=own", "shortest_queue signal=own");
        // CPU, then memory, then latency, each of them less than one step of the one before.
        assert_same_choices(
            r#"score formula="cpu * 1000 * 1000 + mem * 1000 + latency_ms""#,
            "least_loaded",
        );
    }

    #[test]
    fn what_is_unknown_counts_as_zero_and_can_be_told() {
        let mut rng = Seed::root(1).rng();
        let unknown = Candidate::unknown(PeerId::new("a", "h:1", 1));
        let latency = Known { value: Duration::from_millis(20), age: Duration::ZERO };
        let near = unknown.with_latency(Some(latency));
        let mut choose = |text: &str| {
            build(text, &mut rng).choose(
                Timestamp::ZERO,
                &[near, unknown],
                &mut Seed::root(1).rng(),
            )
        };
        assert_eq!(choose("score formula=latency_ms"), 1);
        assert_eq!(choose(r#"score formula="known(latency_ms) ? latency_ms : 50""#), 0);
        assert_eq!(choose(r#"score formula="known(latency_ms) || known(cpu) ? 0 : cpu + 1""#), 0);
    }

    #[test]
    fn every_candidate_is_within_the_bounds_that_formulas_are_checked_with() {
        let load = LoadReport {
            cpu_percent: 100.0,
            memory_percent: 100.0,
            in_flight: u32::MAX,
            queued: u32::MAX,
        };
        let most = Candidate::unknown(PeerId::new("a", "h:1", 1))
            .with_load(Some(Known { value: load, age: Duration::MAX }))
            .with_latency(Some(Known { value: Duration::MAX, age: Duration::MAX }))
            .with_outstanding(u32::MAX);
        for (value, quantity) in values_of(&most).0.into_iter().zip(QUANTITIES) {
            assert!(
                value <= quantity.max && value > quantity.max * 0.9,
                "{}: {value}",
                quantity.name
            );
        }
    }

    #[test]
    fn a_sample_is_compared_if_asked_for() {
        let mut rng = Seed::root(1).rng();
        let lease = |number| crate::roster::ListedLease::new(format!("a-{number}"), "h:1", 1, None);
        let roster: crate::roster::Roster = (0..10).map(lease).collect();
        let mut shortlist = |text: &str| {
            build(text, &mut rng).shortlist(
                Timestamp::ZERO,
                &Task::new(""),
                &Eligible::all(&roster),
                &mut Seed::root(1).rng(),
            )
        };
        assert_eq!(shortlist("score"), Shortlist::All);
        let Shortlist::Some(picks) = shortlist("score drawn=3") else { panic!("three peers") };
        assert_eq!(picks.as_slice().len(), 3);
    }
}
