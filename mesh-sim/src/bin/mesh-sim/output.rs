//! Where commands write their results: the options, and what is said of it.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args as ClapArgs;
use mesh_node::process::interrupt::Interrupt;
use mesh_sim::publish::output_folder::{OutputFolder, OutputFolderError, ResultKind};
use mesh_sim::units::at_least_one;

use super::say;

#[derive(Debug, ClapArgs)]
pub(super) struct OutputArgs {
    /// Write the results into this folder, in place of older ones there [default: a new folder,
    /// results/runs/NAME/1, 2, 3 ...; `latest` leads to the last one].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Of the numbered folders with results, keep only the N newest [default: all].
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "out")]
    pub(super) keep: Option<NonZero<usize>>,
}

impl OutputArgs {
    /// The folder for the results, which was written to for a trial. `name` is that of the folder
    /// of numbered ones; `check` refuses a folder that has something in the way.
    pub(super) fn open(
        &self,
        name: &str,
        check: impl Fn(&Path) -> io::Result<()>,
    ) -> anyhow::Result<OutputFolder> {
        checked(OutputFolder::open(self.out.as_deref(), name), check)
    }

    /// Says that results of this kind were written into `folder`, and removes old ones if that is
    /// asked for.
    pub(super) fn written(&self, folder: &OutputFolder, kind: ResultKind) -> anyhow::Result<()> {
        let spared = folder
            .written(kind, self.keep)
            .map_err(|error| anyhow!("failed to remove old results: {error}"))?;
        for file in spared {
            say(&format!("note: {} is none of the results, so its folder stays", file.display()));
        }
        Ok(())
    }
}

/// The folder, unless `check` refuses it.
pub(super) fn checked(
    folder: Result<OutputFolder, OutputFolderError>,
    check: impl Fn(&Path) -> io::Result<()>,
) -> anyhow::Result<OutputFolder> {
    let folder = folder.map_err(|error| anyhow!("failed to {error}"))?;
    let shown = folder.path().display();
    check(folder.path())
        .map_err(|error| anyhow!("failed to write the results to {shown}: {error}"))?;
    Ok(folder)
}

/// Takes the signals that interrupt the work.
pub(super) fn listen() -> anyhow::Result<Interrupt> {
    Interrupt::listen().map_err(|error| anyhow!("failed to listen for signals: {error}"))
}
