//! The way in: from a file's bytes to a checked scenario, or to everything that is wrong with it.
//!
//! Three passes, each of which needs the one before: syntax (TOML), structure (the JSON Schema) and
//! meaning (how fields go together). A pass reports all of its problems; the next one runs only if
//! there were none, because a half-read file would make it report nonsense.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use mesh_core::text::{self, TextError};
use mesh_node::files::read_bytes;
use serde::Deserialize as _;
use sha2::{Digest as _, Sha256};

use super::check::{NamedFile, check};
use super::diagnostic::{Diagnostics, Problem};
use super::draft::Draft;
use super::edit::set_fields;
use super::limited_fields::LimitedFields;
use super::shape::{Shape, compile};
use super::source::Source;
use super::walk::{Findings, walk};
use super::{AgentSpec, Scenario, json_schema, raw};
use crate::host::{AgentId, Id as _};

/// The schema that every file is checked against.
static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    // Fails only for a type in this crate that breaks our own conventions; a unit test compiles it.
    compile(&json_schema()).unwrap_or_else(|error| panic!("{error}"))
});

/// A scenario together with the file that it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file says.
    pub scenario: Scenario,
    file: String,
    text: Arc<str>,
    whole: Arc<str>,
    limited: LimitedFields,
}

/// Room for the largest mesh, each agent with fields of its own and files in the scenario's text.
const MOST_BYTES: u64 = 16 << 20;

impl Loaded {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// Every problem of the first pass (syntax, structure, meaning) that finds any.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let file = path.display().to_string();
        let bytes = read_bytes(path, MOST_BYTES).map_err(|error| {
            Diagnostics::of_file(&file, format!("failed to read the scenario: {error}"))
        })?;
        let text = text::read(&bytes).map_err(|error| {
            let problem = match error {
                TextError::Foreign(_) => format!("failed to read the scenario: {error}"),
                TextError::Utf8(error) => {
                    let valid = &text::without_mark(&bytes)[..error.valid_up_to()];
                    let line = valid.iter().filter(|&&byte| byte == b'\n').count();
                    format!("line {} is not UTF-8 text", line + 1)
                }
            };
            Diagnostics::of_file(&file, problem)
        })?;
        Self::from_text(text, &file)
    }

    /// Checks the text of a scenario file; `file` is only its name in messages.
    ///
    /// # Errors
    /// As [`Loaded::load`].
    pub fn from_text(text: &str, file: &str) -> Result<Self, Diagnostics> {
        let text: Arc<str> = text.into();
        let directory = Path::new(file).parent().unwrap_or(Path::new(""));
        match read(&text, directory) {
            Ok((scenario, whole, limited)) => {
                Ok(Self { scenario, file: file.to_owned(), text, whole: whole.into(), limited })
            }
            Err(problems) => Err(Diagnostics::new(file, text, problems)),
        }
    }

    /// The text with the lines of files that it names in their places, which means the same in any
    /// directory.
    pub fn whole_text(&self) -> &str {
        &self.whole
    }

    /// The whole file as data, to be edited.
    pub fn draft(&self) -> Draft {
        // The text has passed the checks, so it parses.
        Draft::parse(&self.whole).unwrap_or_default()
    }

    /// The fields that an engine may be unable to honour.
    pub(crate) const fn limited_fields(&self) -> &LimitedFields {
        &self.limited
    }

    /// Shows `problems` in the lines of the file.
    pub(crate) fn diagnostics(&self, problems: Vec<Problem>) -> Diagnostics {
        Diagnostics::new(&self.file, Arc::clone(&self.text), problems)
    }
}

impl Scenario {
    /// An agent of this scenario.
    ///
    /// # Panics
    /// If the scenario has fewer agents.
    pub fn agent(&self, id: AgentId) -> &AgentSpec {
        &self.agents[id.index()]
    }

    /// The scenario with these seeds and the policies with these labels; none of them means all.
    ///
    /// # Errors
    /// Names a label that no policy has, and those that there are.
    pub fn select(mut self, seeds: &[u64], labels: &[String]) -> Result<Self, String> {
        if !seeds.is_empty() {
            self.seeds = seeds.to_vec();
            self.seeds.sort_unstable();
            self.seeds.dedup();
        }
        if !labels.is_empty() {
            let known: Vec<&str> = self.policies.iter().map(|policy| &*policy.label).collect();
            if let Some(unknown) = labels.iter().find(|label| !known.contains(&&***label)) {
                return Err(format!("no policy `{unknown}` here; there are: {}", known.join(", ")));
            }
            self.policies.retain(|policy| labels.contains(&policy.label));
        }
        Ok(self)
    }

    /// Reads and checks a scenario file. Which engine can run it, [`Loaded::check_engine`] says.
    ///
    /// # Errors
    /// As [`Loaded::load`].
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        Loaded::load(path).map(|loaded| loaded.scenario)
    }

    /// Checks the text of a scenario file; `file` is only its name in messages.
    ///
    /// # Errors
    /// As [`Loaded::load`].
    pub fn from_str(text: &str, file: &str) -> Result<Self, Diagnostics> {
        Loaded::from_text(text, file).map(|loaded| loaded.scenario)
    }
}

/// The three passes: a scenario, its whole text and where things stand in `text`.
fn read(text: &str, directory: &Path) -> Result<(Scenario, String, LimitedFields), Vec<Problem>> {
    let source = Source::parse(text)?;
    let Findings { problems, durations } = walk(&source, &SHAPE);
    stop_at(problems)?;
    let tree = toml::Spanned::new(0..text.len(), source.tree.clone());
    let raw = raw::Scenario::deserialize(toml::de::Deserializer::from(tree))
        .map_err(|error| vec![Problem::at(error.span().unwrap_or(0..0), error.message(), "")])?;
    let (mut scenario, files, problems) = check(&raw, &source, &durations, directory);
    stop_at(problems)?;
    let whole = with_files(text, &files).map_err(|reason| vec![Problem::of_file(reason)])?;
    scenario.sha256 = hex(&Sha256::digest(whole.as_bytes()));
    Ok((scenario, whole, LimitedFields::find(&raw, &source, durations)))
}

/// The text with the lines of `files` in the place of their names.
fn with_files(text: &str, files: &[NamedFile]) -> Result<String, String> {
    if files.is_empty() {
        return Ok(text.to_owned());
    }
    let paths: Vec<String> = files.iter().map(|file| file.path.dotted()).collect();
    let fields: Vec<(&str, &str)> =
        paths.iter().map(|path| &**path).zip(files.iter().map(|file| &*file.text)).collect();
    set_fields(text, &fields)
}

fn stop_at(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
name = 'x'
description = 'an x'
duration = '1s'
agents = [{ name = 'a', count = 2 }]
policies = ['random']
workload = { rate = 1, arrivals = 'poisson', demand = { kind = 'constant', value = '1ms' } }
[network]
";

    #[test]
    fn a_file_that_names_another_means_the_same_in_any_directory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.toml");
        let text =
            format!("{BEFORE}latency = {{ kind = 'empirical', quantiles = 'a.csv' }} # measured\n");
        std::fs::write(&file, text).unwrap();
        let lines = "share,latency\n# by hand\n0, 1ms\r\n1, 2ms";
        std::fs::write(directory.path().join("a.csv"), lines).unwrap();
        let loaded = Loaded::load(&file).unwrap();
        assert!(loaded.whole_text().ends_with("# measured\n"));
        let elsewhere = Scenario::from_str(loaded.whole_text(), "elsewhere.toml").unwrap();
        assert_eq!(elsewhere, loaded.scenario);
        let drafted = loaded.draft().load("elsewhere.toml").unwrap().scenario;
        assert_eq!(drafted.network, loaded.scenario.network);

        std::fs::write(directory.path().join("a.csv"), "0, 1ms\n1, 3ms").unwrap();
        assert_ne!(Scenario::load(&file).unwrap().sha256, loaded.scenario.sha256);
    }
}
