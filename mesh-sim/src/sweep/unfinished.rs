//! What there is of a sweep, or of a part of one, that has not ended: to go on from there.

use std::io;
use std::path::{Path, PathBuf};

use mesh_node::files::read_text;
use thiserror::Error;

use super::merge::{MOST_BYTES, difference};
use super::part::{PartError, SweepPart};
use super::{Shard, Sweep, SweepTally};
use crate::publish::write_file;

/// Why a sweep can't go on from a file. The messages fit after "failed to".
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The file can't be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it can't be read.
        source: io::Error,
    },
    /// The file does not hold the runs of a sweep, or another version wrote it.
    #[error("resume from {}: {reason}; without --resume the sweep begins anew", path.display())]
    NotResumable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It holds the runs of another sweep.
    #[error(
        "resume from {}: it is of another sweep, {what}; give the same arguments again, \
         or leave out --resume to begin anew",
        path.display()
    )]
    AnotherSweep {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
}

/// Writes the results so far of one part of a sweep into `dir`, in place of earlier ones. Returns
/// the file's path.
///
/// # Errors
/// If it can't be written.
pub fn write_unfinished(
    dir: &Path,
    sweep: &Sweep,
    shard: Shard,
    tally: &SweepTally,
) -> io::Result<PathBuf> {
    let path = dir.join(shard.unfinished_name());
    write_file(&path, SweepPart::of(sweep, shard, tally).render())?;
    Ok(path)
}

/// Reads the results so far of one part of this sweep from `dir`.
///
/// # Errors
/// If the file is of another sweep or version, or can't be read.
pub fn read_unfinished(dir: &Path, sweep: &Sweep, shard: Shard) -> Result<SweepTally, ResumeError> {
    let path = dir.join(shard.unfinished_name());
    let text = match read_text(&path, MOST_BYTES) {
        Ok(text) => text,
        Err(source) => return Err(ResumeError::Read { path, source }),
    };
    let refuse = |reason| ResumeError::NotResumable { path: path.clone(), reason };
    let fault = |fault: PartError| refuse(fault.to_string());
    let part = SweepPart::parse(&text).map_err(fault)?;
    if part.shard() != Some(shard) {
        return Err(refuse("it is another part than its name says".to_owned()));
    }
    if let Some(what) = difference(&part.spec, &sweep.spec) {
        return Err(ResumeError::AnotherSweep { path, what: what.to_owned() });
    }
    let mut tally = SweepTally::new(sweep);
    part.add_to(sweep, &mut tally).map_err(fault)?;
    Ok(tally)
}
