//! `mesh-sim init`: writes a scenario for a fleet that somebody describes in a few answers.

mod answers;
mod template;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mesh_core::routing::{BUILT_IN, STARTER_POLICIES};
use mesh_sim::estimate::{Estimate, usual_seeds};
use mesh_sim::format::shell_word;
use mesh_sim::publish::write_file;
use mesh_sim::scenario::ScenarioFile;

use self::answers::{FleetAnswers, Questions};
use super::args::InitArgs;
use super::{SimExit, complain, print, say};

/// The file if the command line names none.
const DEFAULT_FILE: &str = "fleet.toml";
/// Stands for the standard output.
const STDOUT: &str = "-";

pub(super) fn init(args: &InitArgs) -> anyhow::Result<SimExit> {
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let to_stdout = file.as_os_str() == STDOUT;
    // Before any question, so that no answer is in vain.
    if !to_stdout && !args.force && file.exists() {
        return Ok(exists(&file));
    }
    let mut stdin = io::stdin().lock();
    let questions = match stdin.is_terminal() {
        true => Questions::asking(&mut stdin),
        false => Questions::silent(),
    };
    let answers = match FleetAnswers::collect(args, questions) {
        Ok(answers) => answers,
        Err(mistake) => {
            say(&format!("error: {mistake}"));
            return Ok(SimExit::Usage);
        }
    };
    let name = if to_stdout { Path::new(DEFAULT_FILE) } else { &file };
    let text = template::scenario(&answers, &shell_word(&name.display().to_string()));
    let scenario = match ScenarioFile::parse(&text, &name.display().to_string()) {
        Ok(mut loaded) => {
            loaded.scenario.seeds = usual_seeds(&loaded, loaded.scenario.engine);
            loaded.scenario
        }
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    if to_stdout {
        print(&text);
        // The standard output is the file, so what is wrong goes elsewhere.
        Estimate::of(&scenario).warnings().iter().for_each(|text| say(&format!("warning: {text}")));
        return Ok(SimExit::Pass);
    }
    match write(&file, args.force, &text) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(exists(&file)),
        written => written.with_context(|| format!("failed to write {}", file.display()))?,
    }
    print(&closing(&file, &Estimate::of(&scenario)));
    Ok(SimExit::Pass)
}

fn exists(file: &Path) -> SimExit {
    let file = file.display();
    say(&format!("error: {file} exists; name another file, or replace it with --force"));
    SimExit::Usage
}

/// Writes the file, and never over another one unless that is wanted.
fn write(file: &Path, over: bool, text: &str) -> io::Result<()> {
    if over {
        return write_file(file, text);
    }
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())
}

/// What was written, and what to do next.
fn closing(file: &Path, estimate: &Estimate<'_>) -> String {
    let file = shell_word(&file.display().to_string());
    format!(
        "written to {file}:\n{}\nNext:\n  edit {file}, whose comments say what each number is\n  \
         mesh-sim check {file}      what the program understood\n  \
         mesh-sim {file}            compare {listed} policies\n  \
         mesh-sim recommend {file} --quick   the best of {all}, also in trouble\n",
        estimate.report(),
        listed = STARTER_POLICIES.len(),
        all = BUILT_IN.len(),
    )
}
