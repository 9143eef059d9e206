use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn every_case_is_the_queue_that_it_says() {
    let validation = Validation::new(true).unwrap();
    for case in &validation.cases {
        for policy in &case.scenario().policies {
            let expected =
                case.spec.model.expected(&case.system, case.scenario(), &policy.config, 10);
            assert!(expected.is_ok_and(|figures| !figures.is_empty()), "{:?}", case.spec);
        }
    }
}

#[test]
fn every_shipped_file_is_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = std::fs::read_dir(root.join("scenarios/validation")).unwrap();
    let found: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| format!("scenarios/validation/{name}"))
        .collect();
    let used: BTreeSet<String> = CASES.iter().map(|spec| spec.file.to_owned()).collect();
    assert_eq!(found, used);
}

#[test]
fn a_scenario_that_is_another_queue_is_refused() {
    let validation = Validation::new(true).unwrap();
    let case = &validation.cases[0];
    let policy = &case.scenario().policies[0].config;
    for model in [Model::Md1, Model::Mg1Sharing, Model::RoundRobin] {
        assert!(model.expected(&case.system, case.scenario(), policy, 10).is_err(), "{model:?}");
    }
    let mut scenario = case.scenario().clone();
    scenario.workload.entry = crate::scenario::Entry::Random;
    assert!(System::of(&scenario).is_err());
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
