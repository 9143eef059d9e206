//! The contract of mesh-node over turmoil's simulated sockets; its own tests check it over real
//! ones.
//!
//! No case is left out. All sockets of a case are on one simulated host, so they use turmoil's
//! loopback device. The engine's own tests check links between hosts.

#[path = "../../../mesh-node/tests/contract/suite/mod.rs"]
mod suite;

use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use mesh_core::Timestamp;
use mesh_sim::engine::turmoil::TurmoilNet;
use suite::service::mesh::days_work;
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

every_case!(crate::run, mesh_sim::engine::turmoil::TurmoilNet::default());

/// One simulated day at work: what was noted, and when.
fn notes() -> Vec<(Timestamp, String)> {
    let (sender, receiver) = mpsc::channel();
    run(
        async move { sender.send(days_work(TurmoilNet::default()).await).expect("somebody listens") },
    );
    receiver.recv().expect("the case has ended")
}

#[test]
fn the_same_seeds_give_the_same_notes_at_the_same_times() {
    let first = notes();
    let second = notes();
    let differs = first.iter().zip(&second).position(|(a, b)| a != b);
    assert_eq!(differs.map(|at| (&first[at], &second[at])), None, "the first that differs");
    assert_eq!(first.len(), second.len());
}
