//! With how many seeds a scenario is run whose file names none.

use super::Estimate;
use super::job_cost::jobs_per_request;
use super::offered::mean_and_peak;
use crate::scenario::{EngineKind, Scenario, ScenarioFile};
use crate::statistics::FEWEST_SEEDS;

/// A run of so many [units of work](Estimate::work) takes an engine about a second on a core.
const UNITS_PER_SECOND: [(EngineKind, f64); 2] =
    [(EngineKind::Event, 150_000.0), (EngineKind::Turmoil, 1_500.0)];
/// The seeds of all policies together should take no longer than this on a core, in seconds.
const CHEAP: f64 = 2.5;
/// The most seeds: with so many, intervals are narrow enough for a first look.
const MOST: u64 = 10;
/// The first seed.
const FIRST: u64 = 42;

/// The seeds with which `engine` runs a file: its own, or as many as are cheap.
pub fn usual_seeds(file: &ScenarioFile, engine: EngineKind) -> Vec<u64> {
    match file.names_seeds() {
        true => file.scenario.seeds.clone(),
        false => Estimate::of(&file.scenario).several_seeds(engine),
    }
}

impl Estimate<'_> {
    /// The seeds with which `engine` runs the scenario if its file names none: ten, or five if ten
    /// are not cheap, or a single one if five are not. What is cheap depends on the numbers of
    /// agents, requests and policies alone, so it is the same on every machine.
    pub fn several_seeds(&self, engine: EngineKind) -> Vec<u64> {
        let one = self.seconds_per_run(engine) * self.scenario.policies.len().max(1) as f64;
        let affordable = (CHEAP / one.max(f64::MIN_POSITIVE)) as u64;
        let fewest = FEWEST_SEEDS as u64;
        let count = match affordable {
            enough if enough >= MOST => MOST,
            some if some >= fewest => fewest,
            _ => 1,
        };
        (FIRST..FIRST + count).collect()
    }

    /// About how long one run takes on a core of a common machine, in seconds. It is made from the
    /// numbers in the file, and right within a factor of a few.
    fn seconds_per_run(&self, engine: EngineKind) -> f64 {
        let speed = UNITS_PER_SECOND.iter().find(|(kind, _)| *kind == engine);
        self.work() / speed.map_or(1.0, |(_, speed)| *speed)
    }

    /// The work of a run: its requests with the jobs that they make, and the heartbeats of agents.
    fn work(&self) -> f64 {
        let Scenario { duration, membership, agents, workload, .. } = self.scenario;
        let rate = match workload.arrivals.open() {
            Some(open) => mean_and_peak(open, std::time::Duration::ZERO, *duration).0,
            None => self.counted_rate,
        };
        let seconds = duration.as_secs_f64();
        let jobs: f64 = jobs_per_request(self.scenario).iter().sum();
        let beats = agents.len() as f64 / membership.heartbeat.as_secs_f64().max(1e-3);
        (rate * jobs + beats) * seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(rate: u32, agents: u32, engine: EngineKind) -> usize {
        let text = format!(
            "duration = '60s'\npolicies = ['random', 'pull']\n\
             agents = [{{ name = 'a', count = {agents} }}]\n\
             workload = {{ rate = {rate}, demand = '10ms' }}"
        );
        let file = ScenarioFile::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        let own = ScenarioFile::parse(&format!("seeds = [7]\n{text}"), "x.toml").unwrap();
        assert_eq!(usual_seeds(&own, engine), [7]);
        usual_seeds(&file, engine).len()
    }

    #[test]
    fn small_scenarios_run_with_many_seeds_and_large_ones_with_one() {
        assert_eq!(seeds(100, 8, EngineKind::Event), 10);
        assert_eq!(seeds(400, 8, EngineKind::Event), 5);
        assert_eq!(seeds(5_000, 100, EngineKind::Event), 1);
        assert_eq!(seeds(100, 50_000, EngineKind::Event), 1);
        assert_eq!(seeds(100, 8, EngineKind::Turmoil), 1);
        assert_eq!(seeds(1, 8, EngineKind::Turmoil), 10);
    }
}
