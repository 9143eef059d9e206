//! `mesh-sim validate`.

use mesh_sim::validate::{Validation, render};

use super::args::ValidateArgs;
use super::progress::RunsBar;
use super::{SimExit, print};

pub(super) fn validate(args: &ValidateArgs) -> anyhow::Result<SimExit> {
    let validation = Validation::new(args.quick)?;
    let mut bar = RunsBar::new(&validation.runs());
    let outcome = validation.execute(|progress| bar.update(progress));
    bar.finish();
    let outcome = outcome?;
    print(&render(&outcome));
    Ok(outcome.verdict().into())
}
