//! `mesh-sim compare`.

use anyhow::Context as _;
use mesh_sim::compare::{self, CompareSpec, ResultComparison, ResultDirectory};
use mesh_sim::publish::write_file;

use super::args::CompareArgs;
use super::{SimExit, print, say};

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<SimExit> {
    let spec = CompareSpec { policies: args.policy.clone(), tolerance_percent: args.tolerance };
    let a = ResultDirectory::read(&args.a)?;
    let compared = match (&args.b, &args.baseline) {
        (Some(b), _) => ResultComparison::of(&a, &ResultDirectory::read(b)?, &spec),
        (None, baseline) => {
            ResultComparison::with_baseline(&a, baseline.as_deref().unwrap_or_default(), &spec)
        }
    };
    let comparison = match compared {
        Ok(comparison) => comparison,
        Err(error) => {
            say(&format!("error: {error}"));
            return Ok(SimExit::Usage);
        }
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
