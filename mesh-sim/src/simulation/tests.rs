use std::time::Duration;

use mesh_core::routing::PolicySettings;

use super::*;

fn two_agents() -> ScenarioBuilder {
    Simulation::build("two").agents("agent", 2, 1).rate(5.0).duration(Duration::from_secs(20))
}

#[test]
fn a_built_scenario_runs_and_repeats() {
    let simulation = two_agents().built_in("round_robin").finish().unwrap().seeds(1..=2);
    let report = simulation.check().unwrap();
    assert_eq!(report.seeds(), [1, 2]);
    assert_eq!(report.policies().len(), 1);
    let hashes =
        |report: &Report| -> Vec<u64> { report.runs.iter().map(|run| run.event_hash).collect() };
    assert_eq!(hashes(&report), hashes(&simulation.check().unwrap()));
    assert_ne!(report.runs[0].event_hash, report.runs[1].event_hash);
}

#[test]
fn a_missed_threshold_is_an_error_that_names_policy_figure_and_seed() {
    let strict = two_agents().set(&["expect", "*", "max_p50"], "1ms").finish().unwrap();
    let error = strict.seeds([7]).check().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("random") && text.contains("p50") && text.contains("seed 7"), "{text}");
    let SimulationError::Failed(failed) = error else { panic!("{text}") };
    assert_eq!(failed.verdicts[0].verdict(), Verdict::Missed);
    assert_eq!(failed.report.runs.len(), 1, "the results are there to look at");
}

#[test]
fn mistakes_are_found_as_in_a_file() {
    let problems = two_agents().set(&["duratoin"], "1s").finish().unwrap_err();
    assert!(problems.to_string().contains("did you mean `duration`?"), "{problems}");
    assert!(Simulation::build("empty").finish().is_err(), "no agents");
}

#[test]
fn policies_are_added_replaced_and_chosen() {
    let built_in = |name: &str| name.parse::<PolicySettings>().unwrap();
    let both = two_agents().finish().unwrap().policy("mine", built_in("shortest_queue"));
    assert_eq!(both.run().unwrap().policies().len(), 2);
    let replaced = both.clone().policy("random", built_in("round_robin"));
    assert_eq!(replaced.run().unwrap().policies().len(), 2);
    let chosen = both.clone().only(["mine"]).unwrap().run().unwrap();
    assert_eq!(chosen.policies()[0].policy, "mine");
    assert!(matches!(both.only(["other"]), Err(SimulationError::Selection(_))));
}
