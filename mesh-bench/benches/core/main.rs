//! How long the hot paths of mesh-core take: `cargo bench -p mesh-bench`.

mod delegation;
mod jsonrpc;
mod registry;
mod routing;
mod telemetry;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // One iteration takes tens of nanoseconds to a few milliseconds, so a second is enough for many.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    routing::bench(&mut criterion);
    delegation::bench(&mut criterion);
    jsonrpc::bench(&mut criterion);
    registry::bench(&mut criterion);
    telemetry::bench(&mut criterion);
    criterion.final_summary();
}
