//! `mesh-bench live`.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::format::counted;
use mesh_sim::publish::output_folder::OutputFolder;
use mesh_sim::record::RunRecord;
use mesh_sim::report::{RESULTS, check_folder, table, write_live};
use mesh_sim::scenario::{Scenario, ScenarioFile};
use serde::Serialize;

use super::args::LiveArgs;
use super::{ExitReason, binary, print, say, until_signal};
use crate::live::{HostFacts, MeshUnderTest, UnsupportedField, notes, run, unsupported_fields};

/// The version of `host.json`. It rises whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// The file `host.json`: what a live run ran on, and how it differs from what the scenario says.
#[derive(Serialize)]
struct HostFile<'a> {
    schema_version: u32,
    host: &'a HostFacts,
    /// Whether the agents were those of another mesh, named with `--registry`.
    running_mesh: bool,
    notes: &'a [String],
}

pub(super) fn live(args: &LiveArgs) -> anyhow::Result<ExitReason> {
    let (scenario, text) = match ScenarioFile::read(&args.scenario) {
        Ok(file) => (file.scenario.clone(), file.whole_text().to_owned()),
        Err(diagnostics) => {
            say(&diagnostics.render(false));
            return Ok(ExitReason::Usage);
        }
    };
    let seeds: Vec<u64> = args.seed.iter().flat_map(|seeds| seeds.0.iter().copied()).collect();
    let (scenario, mesh) = match scenario
        .select(&seeds, &args.policy)
        .and_then(|s| mesh_under_test(&s, args).map(|mesh| (s, mesh)))
    {
        Ok(selected) => selected,
        Err(complaint) => {
            say(&format!("error: {complaint}"));
            return Ok(ExitReason::Usage);
        }
    };
    let name = format!("{}-live", scenario.name);
    let folder = OutputFolder::open(args.out.as_deref(), &name)
        .map_err(|error| anyhow!("failed to {error}"))?;
    let out = folder.path();
    check_folder(out, &text).with_context(|| not_written(out))?;
    let (facts, notes) = (HostFacts::collect(), notes_of(&scenario, &mesh));
    print(&opening(&scenario, &facts, &notes));
    let runs = until_signal(all(&scenario, &mesh))?;
    let Some(runs) = runs else { return Ok(ExitReason::Interrupted) };
    let report = Report { scenario, scenario_text: Some(text), ran_by: RanBy::Live, runs };
    let host = HostFile {
        schema_version: SCHEMA_VERSION,
        host: &facts,
        running_mesh: matches!(mesh, MeshUnderTest::AlreadyRunning(_)),
        notes: &notes,
    };
    let host = serde_json::to_string_pretty(&host)? + "\n";
    let written = write_live(out, &report, host);
    // Shown before the error, if there is one: what was measured must not be lost.
    print(&table::render(&report, &args.scenario.display().to_string()));
    written.with_context(|| not_written(out))?;
    let spared = folder.written(RESULTS, args.keep).context("failed to remove old results")?;
    for file in spared {
        say(&format!("note: {} is none of the results, so its folder stays", file.display()));
    }
    print(&format!(" written to {}\n", folder.in_words()));
    Ok(ExitReason::Done)
}

fn not_written(out: &Path) -> String {
    format!("failed to write the results to {}", out.display())
}

/// All runs: each policy with each seed.
async fn all(scenario: &Scenario, mesh: &MeshUnderTest) -> anyhow::Result<Vec<RunRecord>> {
    let mut runs = Vec::new();
    let count = scenario.policies.len() * scenario.seeds.len();
    for policy in &scenario.policies {
        for &seed in &scenario.seeds {
            say(&format!(" run {} of {count}: {}, seed {seed}", runs.len() + 1, policy.label));
            let record = run(scenario, mesh, policy, seed).await;
            runs.push(record.with_context(|| format!("failed to run {}", policy.label))?);
        }
    }
    Ok(runs)
}

/// Which mesh gets the requests, if it can do everything that the scenario asks for.
fn mesh_under_test(scenario: &Scenario, args: &LiveArgs) -> Result<MeshUnderTest, String> {
    if let Some(registry) = &args.registry {
        if scenario.policies.len() != 1 {
            return Err("running agents have one policy: name it with --policy".into());
        }
        if !scenario.faults.is_empty() || !scenario.random_faults.is_empty() {
            return Err("a mesh that is already running can't honour `faults`".to_owned());
        }
        if !scenario.providers.is_empty() {
            return Err("a mesh that is already running can't honour `providers`".to_owned());
        }
        return Ok(MeshUnderTest::AlreadyRunning(registry.clone()));
    }
    let refused: Vec<String> = unsupported_fields(scenario)
        .into_iter()
        .map(|UnsupportedField { field, why }| format!("a live mesh can't honour `{field}`: {why}"))
        .collect();
    if !refused.is_empty() {
        return Err(refused.join("\nerror: "));
    }
    binary(args.mesh.as_deref())
        .map(MeshUnderTest::NewProcesses)
        .map_err(|error| format!("{error:#}"))
}

/// How the run differs from what the scenario says.
fn notes_of(scenario: &Scenario, mesh: &MeshUnderTest) -> Vec<String> {
    match mesh {
        MeshUnderTest::NewProcesses(_) => notes(scenario),
        MeshUnderTest::AlreadyRunning(registry) => {
            vec![format!("agents, network and policy are those of the mesh of {registry}")]
        }
    }
}

/// What is printed before the runs: the scenario, the machine and the notes.
fn opening(scenario: &Scenario, facts: &HostFacts, notes: &[String]) -> String {
    let unknown = "unknown";
    let mut text = format!(
        "{}: {}, live (wall clock)\n {} of {}, {} MiB, kernel {}\n",
        scenario.name,
        counted(scenario.agents.len(), "agent"),
        counted(facts.cores, "core"),
        facts.cpu.as_deref().unwrap_or(unknown),
        facts.memory_mib,
        facts.kernel.as_deref().unwrap_or(unknown),
    );
    for note in notes {
        text.push_str(&format!(" note: {note}\n"));
    }
    text + "\n"
}
