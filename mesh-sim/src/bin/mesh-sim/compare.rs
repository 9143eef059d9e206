//! `mesh-sim compare`.

use std::error::Error;

use anyhow::Context as _;
use mesh_sim::compare::{
    self, CompareError, CompareSpec, ResultComparison, ResultDirectory, ResultsError,
};
use mesh_sim::publish::write_file;

use super::args::CompareArgs;
use super::{SimExit, print, say};

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<SimExit> {
    let spec = CompareSpec { policies: args.policy.clone(), tolerance_percent: args.tolerance };
    let comparison = match compared(args, &spec) {
        Ok(comparison) => comparison,
        Err(WrongComparison::Results(error @ ResultsError::Missing { .. })) => {
            return Ok(usage(&error));
        }
        Err(WrongComparison::Results(error)) => return Err(error.into()),
        Err(WrongComparison::Choice(error)) => return Ok(usage(&error)),
    };
    let files =
        [(&args.json, ResultComparison::to_json as fn(&_) -> _), (&args.html, compare::page)];
    for (path, text) in files {
        if let Some(path) = path {
            write_file(path, text(&comparison))
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
    }
    print(&compare::table(&comparison));
    // That a policy is worse than another one is no regression.
    let is_worse = comparison.baseline.is_none() && comparison.regressions > 0;
    Ok(if is_worse { SimExit::Worse } else { SimExit::Pass })
}

/// Why there is no comparison.
enum WrongComparison {
    Results(ResultsError),
    Choice(CompareError),
}

fn compared(args: &CompareArgs, spec: &CompareSpec) -> Result<ResultComparison, WrongComparison> {
    let read = |path| ResultDirectory::read(path).map_err(WrongComparison::Results);
    let a = read(&args.a)?;
    match (&args.b, &args.baseline) {
        (Some(b), _) => ResultComparison::of(&a, &read(b)?, spec),
        (None, baseline) => {
            ResultComparison::with_baseline(&a, baseline.as_deref().unwrap_or_default(), spec)
        }
    }
    .map_err(WrongComparison::Choice)
}

fn usage(complaint: &dyn Error) -> SimExit {
    say(&format!("error: {complaint}"));
    SimExit::Usage
}
