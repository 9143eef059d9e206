//! The nine rules of the Prequal paper, in a short form: their order and their cliffs.
//!
//! A fifth of the clients, servers and requests of `scenarios/validation/prequal-rules.toml`, one
//! seed, and a shorter time. `mesh-bench/prequal.sh` is the long form, and `docs/evidence/prequal.md` has its
//! figures beside those of the paper.

use std::collections::BTreeMap;
use std::path::Path;

use mesh_sim::engine::{Run, to_the_end};
use mesh_sim::parallel::cores;
use mesh_sim::runner::run_each;
use mesh_sim::sweep::{Sweep, SweepSpec};

/// The 99 % quantile of each rule in seconds, at a load of 70 % and at one of 90 %.
fn p99_secs() -> [BTreeMap<String, f64>; 2] {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/validation/prequal-rules.toml");
    let vary = [
        "agents.0.count=20",
        "agents.1.count,agents.2.count=10:10",
        "policies.7.clients=20",
        "duration,warm_up=30s:8s",
        "workload.rate=788,1012",
    ];
    let spec = SweepSpec {
        scenario: std::fs::read_to_string(file).unwrap(),
        engine: None,
        seeds: vec![1],
        policies: Vec::new(),
        vary: vary.iter().map(|field| field.parse().unwrap()).collect(),
        baseline: None,
    };
    let sweep = Sweep::new(spec, "prequal-rules.toml").unwrap_or_else(|error| panic!("{error}"));
    let runs: Vec<Run<'_>> = sweep.runs();
    let mut figures = [BTreeMap::new(), BTreeMap::new()];
    run_each(&runs, sweep.engine, cores(), to_the_end, |number, record| {
        assert!(record.violations.is_empty(), "{:?}", record.violations);
        let position = sweep.position(number);
        let p99 = record.latency.quantile_ns(0.99) as f64 / 1e9;
        figures[position.cell].insert(sweep.policies[position.policy].clone(), p99);
    })
    .unwrap();
    figures
}

#[test]
fn the_rules_have_the_order_and_the_cliffs_of_the_paper() {
    let [at_70, at_90] = p99_secs();
    let both = format!("70 %: {at_70:?}\n90 %: {at_90:?}");
    // Whoever sends every server the same share asks the slow ones for more than they have.
    for blind in ["random", "round_robin"] {
        assert!(at_70[blind] > 4.0 && at_90[blind] == 5.0, "{blind}\n{both}");
    }
    // Weights by utilisation hold at 70 %, and fall behind the other programs at 90 %.
    assert!(at_70["wrr"] < 1.7 && at_90["wrr"] > 2.0, "{both}");
    // Own counts are a hundredth of the load, in this short form a twentieth, which is worth more.
    for (own, factor) in [("least_loaded_own", 1.6), ("ll_po2c", 2.5)] {
        assert!(at_90[own] > factor * at_90["prequal"], "{own}\n{both}");
    }
    for figures in [&at_70, &at_90] {
        let best = ["prequal", "c3", "linear"].map(|rule| figures[rule]);
        let best = best.into_iter().fold(0.0, f64::max);
        let others = figures
            .iter()
            .filter(|(rule, _)| !["prequal", "c3", "linear"].contains(&rule.as_str()));
        for (rule, p99) in others {
            assert!(best < *p99, "{rule}\n{both}");
        }
        assert!(figures["prequal"] < 1.05 * figures["c3"], "{both}");
    }
}
