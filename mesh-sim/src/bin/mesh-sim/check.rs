//! `mesh-sim check`.

use std::path::PathBuf;

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
            Ok(loaded) => {
                let runs = loaded.scenario.policies.len() * loaded.scenario.seeds.len();
                print(&format!("{}: ok, {}\n", loaded.name(), counted(runs, "run")));
            }
            Err(diagnostics) => exit = complain(&diagnostics),
        }
    }
    exit
}
