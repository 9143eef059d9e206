//! `mesh-bench calibrate`.

use anyhow::Context as _;
use mesh_sim::publish::write_file;

use super::args::CalibrateArgs;
use super::{ExitReason, binary, print, until_signal};
use crate::calibrate::{measure, render};
use crate::live::HostFacts;

pub(super) fn calibrate(args: &CalibrateArgs) -> anyhow::Result<ExitReason> {
    let mesh = binary(args.mesh.as_deref())?;
    let Some(calibration) = until_signal(measure(&mesh, args.samples, args.peers))? else {
        return Ok(ExitReason::Interrupted);
    };
    let text = render(&calibration, &HostFacts::collect());
    match &args.out {
        Some(path) => {
            write_file(path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        None => print(&text),
    }
    Ok(ExitReason::Done)
}
