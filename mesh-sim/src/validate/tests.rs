use std::collections::BTreeSet;
use std::path::Path;

use mesh_core::agent::config::Concurrency;
use mesh_core::routing::PolicySettings;

use super::*;
use crate::engine::to_the_end;
use crate::scenario::PolicySpec;

#[test]
fn every_case_is_the_queue_that_it_says() {
    let validation = Validation::new(true).unwrap();
    for case in &validation.cases {
        for policy in &case.scenario().policies {
            let expected = case.spec.model.expected(&case.system, case.scenario(), policy, 10);
            assert!(expected.is_ok_and(|figures| !figures.is_empty()), "{:?}", case.spec);
        }
    }
}

#[test]
fn every_shipped_file_is_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = std::fs::read_dir(root.join("scenarios/validation")).unwrap();
    // Those of the Prequal paper are held against its order and cliffs (tests/prequal.rs).
    let found: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("prequal-"))
        .map(|name| format!("scenarios/validation/{name}"))
        .collect();
    let used: BTreeSet<String> = CASES.iter().map(|spec| spec.file.to_owned()).collect();
    assert_eq!(found, used);
}

#[test]
fn a_scenario_that_is_another_queue_is_refused() {
    let validation = Validation::new(true).unwrap();
    let case = &validation.cases[0];
    let policy = &case.scenario().policies[0];
    for model in [QueueModel::Md1, QueueModel::Mg1Sharing, QueueModel::RoundRobin] {
        assert!(model.expected(&case.system, case.scenario(), policy, 10).is_err(), "{model:?}");
    }
    let mut scenario = case.scenario().clone();
    scenario.workload.entry = crate::scenario::EntryChoice::Random;
    assert!(QueueingSystem::of(&scenario).is_err());
}

/// Runs the first case of this model quickly, after a change, and says whether its figures are as
/// demanded.
fn judge(model: QueueModel, change: impl Fn(&mut Scenario)) -> bool {
    let mut validation = Validation::new(true).unwrap();
    validation.cases.retain(|case| case.spec.model == model);
    validation.cases.truncate(1);
    change(&mut validation.cases[0].sweep.cells[0].scenario);
    let outcome = validation.execute(|_| {}).unwrap();
    assert!(!outcome.rows.is_empty() && outcome.violated.is_empty(), "{outcome:?}");
    outcome.holds()
}

#[test]
fn a_wrong_discipline_is_found_out() {
    let server = |scenario: &mut Scenario, limit| {
        scenario.agents[0].admission.concurrency = limit;
    };
    assert!(judge(QueueModel::Mg1Fcfs, |_| ()));
    assert!(
        !judge(QueueModel::Mg1Fcfs, |scenario| server(scenario, Concurrency::Unlimited)),
        "shared"
    );
    assert!(judge(QueueModel::Mg1Sharing, |_| ()));
    assert!(
        !judge(QueueModel::Mg1Sharing, |scenario| server(scenario, Concurrency::Limit(1))),
        "in order"
    );
    assert!(
        !judge(QueueModel::Mmc, |scenario| scenario.agents[0].admission.queue = 5),
        "jobs are refused"
    );
}

#[test]
fn a_wrong_route_is_found_out() {
    let random = |scenario: &mut Scenario| {
        let random: PolicySettings = "random".parse().unwrap();
        scenario.policies[0] = PolicySpec::new("random", random);
    };
    // E2/M/1 becomes M/M/1. What is expected was asked for before the change.
    let mut validation = Validation::new(true).unwrap();
    validation.cases.retain(|case| case.spec.model == QueueModel::RoundRobin);
    let [case, _] = &mut validation.cases[..] else { panic!("two cases") };
    let expected = case
        .spec
        .model
        .expected(&case.system, case.scenario(), &case.scenario().policies[0], 10)
        .unwrap();
    random(&mut case.sweep.cells[0].scenario);
    let run = case.sweep.runs()[0];
    let mut measured = MeasuredResponses::default();
    measured.add(&run.execute(EngineKind::Event, &to_the_end).unwrap());
    let mean = measured.figure(TheoryFigure::Mean, case.system.service, None);
    assert!(mean > 1.16 * expected[0].1, "{mean} against {expected:?}");
}

#[test]
fn a_quick_validation_is_a_sixty_fourth() {
    let jobs = |quick| -> f64 {
        let validation = Validation::new(quick).unwrap();
        let span = |run: &Run<'_>| run.scenario.duration.as_secs_f64();
        validation.runs().iter().map(span).sum()
    };
    assert!((jobs(false) / jobs(true) / f64::from(QUICK) - 1.0).abs() < 1e-6);
}

#[test]
fn a_number_that_is_not_held_has_an_order_that_is() {
    for quick in [true, false] {
        let validation = Validation::new(quick).unwrap();
        let wider = f64::from(validation.shortened).sqrt() / 100.0;
        for case in &validation.cases {
            let (mean, quantile) = case.spec.tolerance;
            if wider * mean.max(quantile) >= NO_TOLERANCE {
                assert!(quick && case.spec.model == QueueModel::Board, "{:?}", case.spec);
            }
        }
    }
}
