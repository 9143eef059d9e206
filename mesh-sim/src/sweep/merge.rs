//! Joins the parts of a sweep into the whole sweep.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_node::files::read_text;
use thiserror::Error;

use super::part::{PartError, SweepPart};
use super::{Shard, Sweep, SweepError, SweepSpec, SweepTally};
use crate::publish::output_folder::{AmbiguousResults, results_in};

/// The most bytes that are read of a part. A part has some hundred bytes per run, and a histogram
/// per cell and policy.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// Why the parts of a sweep can't be joined. The messages fit after "failed to".
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A directory or a file can't be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The directory or the file.
        path: PathBuf,
        /// Why it can't be read.
        source: io::Error,
    },
    /// A directory has no parts.
    #[error("find a shard-K-of-N.json in {0}")]
    NoParts(String),
    /// A file has the name of a part, but is not a valid one.
    #[error("read {} as a part of a sweep: {reason}", path.display())]
    NotAPart {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The same part is there twice.
    #[error("join parts that overlap: part {shard} is {} and {}", first.display(), second.display())]
    Twice {
        /// Which part it is.
        shard: Shard,
        /// The file that was found first.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// A part belongs to another sweep.
    #[error("join {} to {}: {what}", second.display(), first.display())]
    Foreign {
        /// The file of the first part.
        first: PathBuf,
        /// The file of a part that does not fit the first.
        second: PathBuf,
        /// What differs between the two.
        what: String,
    },
    /// Parts are missing.
    #[error("join an incomplete sweep: missing {0}")]
    Missing(String),
    /// A directory could stand for two sets of parts.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousResults),
    /// The sweep that the parts name can't be carried out.
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

/// Joins the parts that are in `dirs`. The result is the same as that of a single process that
/// carries out the whole sweep.
///
/// # Errors
/// If a part can't be read, is missing, is there twice or belongs to another sweep.
pub fn merge(dirs: &[PathBuf]) -> Result<(Sweep, SweepTally), MergeError> {
    let files = find(dirs)?;
    let missing = missing(&files);
    let mut joined: Option<(PathBuf, Sweep, SweepTally)> = None;
    // Parts are read and added one by one, because all of them together may not fit into memory.
    for path in files.into_values() {
        let part = read(&path)?;
        let (first, sweep, tally) = match &mut joined {
            Some(joined) => joined,
            None => {
                let sweep = Sweep::new(part.spec.clone(), &path.display().to_string())?;
                let tally = SweepTally::new(&sweep);
                joined.insert((path.clone(), sweep, tally))
            }
        };
        if let Some(what) = difference(&sweep.spec, &part.spec) {
            let first = first.clone();
            return Err(MergeError::Foreign { first, second: path, what: what.to_owned() });
        }
        let added = part.check_whole(sweep).and_then(|()| part.add_to(sweep, tally));
        added.map_err(|fault| not_a_part(&path, fault))?;
    }
    // Mistakes in the parts that are there come first, and only then the parts that are not.
    match (joined, missing) {
        (Some((_, sweep, tally)), None) => Ok((sweep, tally)),
        (_, Some(missing)) => Err(MergeError::Missing(missing)),
        (None, None) => Err(MergeError::NoParts(list(dirs.iter().map(|dir| dir.display())))),
    }
}

/// The file of every part in `dirs`. A directory that is named twice counts once.
fn find(dirs: &[PathBuf]) -> Result<BTreeMap<Shard, PathBuf>, MergeError> {
    let mut files: BTreeMap<Shard, PathBuf> = BTreeMap::new();
    let mut seen = Vec::new();
    for dir in dirs {
        let dir = &results_in(dir, has_parts)?;
        let read_error = |source| MergeError::Read { path: dir.clone(), source };
        let real = fs::canonicalize(dir).map_err(read_error)?;
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        let mut any = false;
        for entry in fs::read_dir(dir).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let name = entry.file_name();
            let Some(shard) = name.to_str().and_then(Shard::from_file_name) else { continue };
            any = true;
            let second = entry.path();
            if let Some(first) = files.insert(shard, second.clone()) {
                return Err(MergeError::Twice { shard, first, second });
            }
        }
        if !any {
            return Err(MergeError::NoParts(dir.display().to_string()));
        }
    }
    check_split(&files)?;
    Ok(files)
}

/// Whether there are parts in `dir`.
fn has_parts(dir: &Path) -> bool {
    let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names = fs::read_dir(dir).into_iter().flatten().filter_map(name);
    names.any(|name| Shard::from_file_name(&name).is_some())
}

/// Checks that all parts are of a sweep with the same number of parts.
fn check_split(files: &BTreeMap<Shard, PathBuf>) -> Result<(), MergeError> {
    let Some((shard, first)) = files.first_key_value() else { return Ok(()) };
    let Some((other, second)) = files.iter().find(|(other, _)| other.of() != shard.of()) else {
        return Ok(());
    };
    let what = format!("a sweep in {} parts and one in {}", shard.of(), other.of());
    Err(MergeError::Foreign { first: first.clone(), second: second.clone(), what })
}

/// A list of the missing parts; `None` if none is missing.
fn missing(files: &BTreeMap<Shard, PathBuf>) -> Option<String> {
    /// The most parts that the list names: enough to see a pattern.
    const SHOWN: usize = 10;
    let of = files.keys().next()?.of();
    let all = (1..=of).filter_map(|number| Shard::new(number, of));
    let missing: Vec<Shard> = all.filter(|shard| !files.contains_key(shard)).collect();
    match missing.len() {
        0 => None,
        count if count <= SHOWN => Some(list(missing.iter())),
        count => Some(format!("{} and {} more", list(missing[..SHOWN].iter()), count - SHOWN)),
    }
}

fn read(path: &Path) -> Result<SweepPart, MergeError> {
    let text = read_text(path, MOST_BYTES)
        .map_err(|source| MergeError::Read { path: path.to_owned(), source })?;
    let part = SweepPart::parse(&text).map_err(|fault| not_a_part(path, fault))?;
    let named = path.file_name().and_then(|name| Shard::from_file_name(name.to_str()?));
    if part.shard() != named {
        return Err(not_a_part(path, PartError::Content("it is another part than its name says")));
    }
    Ok(part)
}

fn not_a_part(path: &Path, fault: PartError) -> MergeError {
    MergeError::NotAPart { path: path.to_owned(), reason: fault.to_string() }
}

/// The first difference between two sweeps; `None` if they are equal.
pub(super) fn difference(a: &SweepSpec, b: &SweepSpec) -> Option<&'static str> {
    let differences = [
        (a.scenario != b.scenario, "the scenario files differ"),
        (a.engine != b.engine, "the engines differ"),
        (a.seeds != b.seeds, "the seeds differ"),
        (a.policies != b.policies, "the policies differ"),
        (a.vary != b.vary, "the varied values differ"),
        (a.baseline != b.baseline, "the baselines differ"),
    ];
    differences.into_iter().find_map(|(differ, what)| differ.then_some(what))
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
