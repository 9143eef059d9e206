//! The contract of mesh-node, which its own tests hold against real sockets, over turmoil.

#[path = "../../../mesh-node/tests/contract/suite/mod.rs"]
mod suite;

use std::time::{Duration, UNIX_EPOCH};

use suite::{deadline_for, every_case};
use turmoil::{Builder, Sim};

fn simulation() -> Sim<'static> {
    Builder::new()
        .tick_duration(Duration::from_millis(1))
        .epoch(UNIX_EPOCH)
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(60))
        .tcp_capacity(1024)
        .build()
}

fn run(case: impl Future<Output = ()> + 'static) {
    let mut sim = simulation();
    sim.client("test", async {
        deadline_for(case).await;
        Ok(())
    });
    sim.run().expect("the case holds");
}

every_case!(crate::run, mesh_sim::engine::turmoil::TurmoilNet);
