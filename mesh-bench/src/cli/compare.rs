//! `mesh-bench compare`.

use anyhow::Context as _;
use mesh_bench::compare::{ResultComparison, ResultDirectory, table};
use mesh_sim::publish::write_file;

use super::args::CompareArgs;
use super::print;

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let (a, b) = (ResultDirectory::read(&args.a)?, ResultDirectory::read(&args.b)?);
    let comparison = ResultComparison::of(&a, &b, &args.policy)?;
    if let Some(path) = &args.json {
        write_file(path, comparison.to_json())
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    print(&table::render(&comparison));
    Ok(())
}
