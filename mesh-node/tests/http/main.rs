//! The HTTP layer over the operating system's TCP on the loopback interface.

mod suite;

use std::time::Duration;

use mesh_node::TokioNet;
use suite::{deadline_for, every_case};

fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(deadline_for(case));
}

every_case!(run, TokioNet);

/// Not part of the common suite: a simulated network may take an answer of any size at once.
#[test]
fn a_reader_that_trickles_is_cut_off() {
    run(suite::server::a_reader_that_trickles_is_cut_off(TokioNet));
}

/// The client's books must also balance when its connections live on other threads.
#[test]
fn sequential_calls_reuse_one_connection_on_several_threads() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let case = tokio::spawn(suite::client::many_calls_reuse_one_connection(TokioNet));
            let limit = Duration::from_secs(30);
            tokio::time::timeout(limit, case).await.expect("in time").expect("no panic");
        });
}
