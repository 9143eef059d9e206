//! `mesh-sim check`.

use std::path::PathBuf;

use mesh_sim::format::counted;
use mesh_sim::scenario::ScenarioFile;

use super::{Exit, complain, print};

/// Checks every file, whatever is wrong with the others.
pub(super) fn check(files: &[PathBuf]) -> Exit {
    let mut exit = Exit::Pass;
    for file in files {
        let checked = ScenarioFile::read(file)
            .and_then(|loaded| loaded.check_engine(loaded.scenario.engine).map(|()| loaded));
        match checked {
            Ok(loaded) => {
                let runs = loaded.scenario.policies.len() * loaded.scenario.seeds.len();
                print(&format!("{}: ok, {}\n", file.display(), counted(runs, "run")));
            }
            Err(diagnostics) => exit = complain(&diagnostics),
        }
    }
    exit
}
