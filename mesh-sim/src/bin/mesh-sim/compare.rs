//! `mesh-sim compare`.

use std::error::Error;
use std::path::Path;

use anyhow::Context as _;
use mesh_sim::compare::{
    self, CompareError, CompareSpec, ResultComparison, ResultDirectory, ResultsError,
};
use mesh_sim::format::shell_word;
use mesh_sim::publish::write_file;

use super::args::CompareArgs;
use super::{SimExit, print_text, say};

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<SimExit> {
    let spec = CompareSpec { policies: args.policy.clone(), tolerance_percent: args.tolerance };
    let (a, b) = match read(args) {
        Ok(read) => read,
        Err(error @ ResultsError::Missing { .. }) => return Ok(usage(&error)),
        Err(error) => return Err(error.into()),
    };
    let comparison = match compared(args, &a, b.as_ref(), &spec) {
        Ok(comparison) => comparison,
        Err(error) => return Ok(usage(&error)),
    };
    let write = |path: &Path, text: String| {
        write_file(path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    if let Some(path) = &args.json {
        write(path, comparison.to_json())?;
    }
    if let Some(path) = &args.html {
        write(path, compare::page(&comparison, &a, b.as_ref(), &command(args)))?;
    }
    print_text(&compare::table(&comparison));
    // That a policy is worse than another one is no regression.
    let is_worse = comparison.baseline.is_none() && comparison.regressions > 0;
    Ok(if is_worse { SimExit::Worse } else { SimExit::Pass })
}

/// The command that compares the same again.
fn command(args: &CompareArgs) -> String {
    let path = |path: &Path| shell_word(&path.display().to_string());
    let mut words = vec!["mesh-sim compare".to_owned(), path(&args.a)];
    words.extend(args.b.as_deref().map(path));
    words.extend(args.baseline.iter().map(|label| format!("--baseline {}", shell_word(label))));
    words.extend(args.policy.iter().map(|label| format!("--policy {}", shell_word(label))));
    if args.tolerance != 0.0 {
        words.push(format!("--tolerance {}", args.tolerance));
    }
    words.join(" ")
}

/// The results that are compared.
fn read(args: &CompareArgs) -> Result<(ResultDirectory, Option<ResultDirectory>), ResultsError> {
    let b = args.b.as_ref().map(|b| ResultDirectory::read(b));
    Ok((ResultDirectory::read(&args.a)?, b.transpose()?))
}

fn compared(
    args: &CompareArgs,
    a: &ResultDirectory,
    b: Option<&ResultDirectory>,
    spec: &CompareSpec,
) -> Result<ResultComparison, CompareError> {
    match b {
        Some(b) => ResultComparison::of(a, b, spec),
        None => {
            let baseline = args.baseline.as_deref().unwrap_or_default();
            ResultComparison::with_baseline(a, baseline, spec)
        }
    }
}

fn usage(complaint: &dyn Error) -> SimExit {
    say(&format!("error: {complaint}"));
    SimExit::Usage
}
