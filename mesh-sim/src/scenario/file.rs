//! Reading scenario files: from a file's bytes to a checked scenario, or to all problems of the
//! file.
//!
//! There are three passes: syntax (TOML), structure (the JSON Schema) and meaning (how fields go
//! together). A pass reports all of its problems. The next pass runs only if there were none,
//! because on a file that is only partly understood it would report problems that are none.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize as _;

use super::check::{IncludedFile, check};
use super::diagnostic::{Diagnostics, Problem};
use super::draft::Draft;
use super::edit_in_place::set_fields;
use super::label::find_label;
use super::limited_fields::LimitedFields;
use super::parsed_toml::{FieldPath, ParsedToml};
use super::shape::{Shape, compile};
use super::structure::{StructureFindings, check_structure};
use super::text::scenario_name;
use super::variants::add_variants;
use super::{AgentSpec, Scenario, json_schema, raw, source};
use crate::format::sha256_hex;
use crate::host::{AgentId, IndexedId as _};

/// The schema that every file is checked against.
pub(super) static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    // This fails only if a type in this crate breaks our own conventions; a unit test compiles it.
    compile(&json_schema()).unwrap_or_else(|error| panic!("{error}"))
});

/// A scenario together with the file from which it was read.
///
/// The file's text is kept so that an engine which can't honour a field can show the field in its
/// line, and so that the file can be edited and written again.
///
/// ```
/// use mesh_sim::scenario::{EngineKind, ScenarioFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = ScenarioFile::read("../scenarios/baseline.toml".as_ref())?;
/// file.check_engine(EngineKind::Event)?;
/// assert_eq!(file.scenario.name, "baseline");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ScenarioFile {
    /// The scenario that the file describes.
    pub scenario: Scenario,
    /// The file's name, for messages.
    file: String,
    /// The file's text, as its author wrote it.
    text: Arc<str>,
    /// The text with all names and with the lines of the files that it names.
    whole: Arc<str>,
    limited: LimitedFields,
}

impl ScenarioFile {
    /// Reads and checks a scenario file. The path `-` stands for standard input; files that such a
    /// scenario names are looked for in the working directory.
    ///
    /// # Errors
    /// Every problem of the first pass (syntax, structure, meaning) that finds any.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let file = source::name(path);
        let text = source::read(path).map_err(|problem| Diagnostics::of_file(&file, problem))?;
        Self::parse(&text, &file)
    }

    /// Parses and checks the text of a scenario file. `file` is the file's name in messages; files
    /// that the scenario names are looked for in its directory.
    ///
    /// # Errors
    /// As [`ScenarioFile::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Diagnostics> {
        let text: Arc<str> = text.into();
        let checked = check_text(&text, Path::new(file));
        let loaded = checked.and_then(|CheckedText { scenario, whole, limited, raw }| {
            let (file, text) = (file.to_owned(), Arc::clone(&text));
            let mut loaded = Self { scenario, file, text, whole: whole.into(), limited };
            stop_at(add_variants(&mut loaded, &raw)?)?;
            Ok(loaded)
        });
        loaded.map_err(|problems| Diagnostics::new(file, text, problems))
    }

    /// The same scenario with other fields, for one of its policies. The policies of this one have
    /// no variants.
    pub(super) fn parse_variant(text: String, file: String) -> Result<Self, Diagnostics> {
        let text: Arc<str> = text.into();
        match check_text(&text, Path::new(&file)) {
            Ok(CheckedText { scenario, whole, limited, .. }) => {
                Ok(Self { scenario, file, text, whole: whole.into(), limited })
            }
            Err(problems) => Err(Diagnostics::new(&file, text, problems)),
        }
    }

    /// The file's name, for messages: its path, or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.file
    }

    /// The text as it was read, with the file's name.
    pub(super) fn source(&self) -> (&str, &str) {
        (&self.text, &self.file)
    }

    /// The text in which the names of other files are replaced by their lines. It also has the names of
    /// the scenario, its agents and its policies, if its author left them out. So it means the same
    /// in any file.
    pub fn whole_text(&self) -> &str {
        &self.whole
    }

    /// The file as data that can be edited, with the lines of files that it names.
    pub fn draft(&self) -> Draft {
        // The text has passed the checks, so it parses.
        Draft::parse(&self.whole).unwrap_or_default()
    }

    /// Whether the file says with which seeds to run.
    pub fn names_seeds(&self) -> bool {
        self.draft().get(&["seeds"]).is_some()
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

    /// The scenario with only these seeds, and only the policies with these labels, as
    /// [`find_label`] finds them. An empty list leaves them as they are.
    ///
    /// # Errors
    /// If no policy has one of the labels: names it, and the labels that there are.
    pub fn select(mut self, seeds: &[u64], labels: &[String]) -> Result<Self, String> {
        if !seeds.is_empty() {
            self.seeds = seeds.to_vec();
            self.seeds.sort_unstable();
            self.seeds.dedup();
        }
        if !labels.is_empty() {
            let known = || self.policies.iter().map(|policy| &*policy.label);
            let find = |label: &String| find_label(label, known(), "here").map(str::to_owned);
            let chosen: Vec<String> = labels.iter().map(find).collect::<Result<_, _>>()?;
            self.policies.retain(|policy| chosen.contains(&policy.label));
        }
        Ok(self)
    }

    /// Reads and checks a scenario file. [`ScenarioFile::check_engine`] says whether an engine can
    /// run it.
    ///
    /// # Errors
    /// As [`ScenarioFile::read`].
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        ScenarioFile::read(path).map(|parsed| parsed.scenario)
    }

    /// Parses and checks the text of a scenario file, as [`ScenarioFile::parse`] does.
    ///
    /// # Errors
    /// As [`ScenarioFile::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Diagnostics> {
        ScenarioFile::parse(text, file).map(|parsed| parsed.scenario)
    }
}

/// The three passes, for the text of `file`. Returns the scenario, the text with what it has from
/// outside of it, and the places of the fields that not every engine can honour.
fn check_text(text: &str, file: &Path) -> Result<CheckedText, Vec<Problem>> {
    let source = ParsedToml::parse(text)?;
    let StructureFindings { problems, durations } = check_structure(&source, &SHAPE);
    stop_at(problems)?;
    let tree = toml::Spanned::new(0..text.len(), source.tree.clone());
    let mut raw = raw::Scenario::deserialize(toml::de::Deserializer::from(tree))
        .map_err(|error| vec![Problem::at(error.span().unwrap_or(0..0), error.message(), "")])?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    raw.name.get_or_insert_with(|| scenario_name(&stem));
    let directory = file.parent().unwrap_or(Path::new(""));
    let (mut scenario, files, problems) = check(&raw, &source, &durations, directory);
    stop_at(problems)?;
    let whole = complete(text, &scenario, &raw, &source, &files);
    let whole = whole.map_err(|reason| vec![Problem::of_file(reason)])?;
    scenario.sha256 = sha256_hex(whole.as_bytes());
    let limited = LimitedFields::find(&raw, &source, durations);
    Ok(CheckedText { scenario, whole, limited, raw })
}

/// A text that passed all checks.
struct CheckedText {
    scenario: Scenario,
    /// The text with all names and with the lines of the files that it names.
    whole: String,
    limited: LimitedFields,
    raw: raw::Scenario,
}

/// The text in which the names of `files` are replaced by their lines. It also gets the name of the
/// scenario, which may be that of its file, and the names of agents and policies, by which programs
/// edit it.
fn complete(
    text: &str,
    scenario: &Scenario,
    raw: &raw::Scenario,
    source: &ParsedToml<'_>,
    files: &[IncludedFile],
) -> Result<String, String> {
    let is_stated = |field: &str| source.tree.contains_key(field);
    let mut fields: Vec<(String, String)> = Vec::new();
    if !is_stated("name") {
        fields.push(("name".to_owned(), format!("{:?}", scenario.name)));
    }
    if !is_stated("policies") {
        let labels: Vec<&str> = scenario.policies.iter().map(|policy| &*policy.label).collect();
        fields.push(("policies".to_owned(), format!("{labels:?}")));
    }
    for (position, group) in raw.agents.iter().enumerate() {
        let path = FieldPath::field("agents").index(position);
        if !source.states(&path, "name") {
            fields.push((path.key("name").dotted(), format!("{:?}", group.name)));
        }
    }
    fields.extend(files.iter().map(|file| (file.path.dotted(), file.text.clone())));
    if fields.is_empty() {
        return Ok(text.to_owned());
    }
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(path, value)| (&**path, &**value)).collect();
    set_fields(text, &fields)
}

/// An error if there are any problems.
fn stop_at(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
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
        let parsed = ScenarioFile::read(&file).unwrap();
        assert!(parsed.whole_text().ends_with("# measured\n"));
        let elsewhere = Scenario::parse(parsed.whole_text(), "elsewhere.toml").unwrap();
        assert_eq!(elsewhere, parsed.scenario);
        let drafted = parsed.draft().check("elsewhere.toml").unwrap().scenario;
        assert_eq!(drafted.network, parsed.scenario.network);

        std::fs::write(directory.path().join("a.csv"), "0, 1ms\n1, 3ms").unwrap();
        assert_ne!(Scenario::read(&file).unwrap().sha256, parsed.scenario.sha256);
    }
}
