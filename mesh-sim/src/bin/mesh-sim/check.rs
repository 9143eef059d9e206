//! `mesh-sim check`.

use std::path::PathBuf;

use mesh_sim::estimate::{Estimate, usual_seeds};
use mesh_sim::format::counted;
use mesh_sim::scenario::ScenarioFile;

use super::{SimExit, complain, print};

/// Checks every file, also after one with mistakes.
pub(super) fn check(files: &[PathBuf]) -> SimExit {
    let mut exit = SimExit::Pass;
    for file in files {
        let checked = ScenarioFile::read(file)
            .and_then(|loaded| loaded.check_engine(loaded.scenario.engine).map(|()| loaded));
        match checked {
            Ok(mut loaded) => {
                loaded.scenario.seeds = usual_seeds(&loaded, loaded.scenario.engine);
                let scenario = &loaded.scenario;
                let (policies, seeds) = (scenario.policies.len(), scenario.seeds.len());
                print(&format!(
                    "{}: ok, {} ({} x {}, engine {})\n{}",
                    loaded.name(),
                    counted(policies * seeds, "run"),
                    counted(policies, "policy"),
                    counted(seeds, "seed"),
                    scenario.engine.name(),
                    Estimate::of(scenario).report()
                ));
            }
            Err(diagnostics) => exit = complain(&diagnostics),
        }
    }
    exit
}
