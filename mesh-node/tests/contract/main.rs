//! The contract over the operating system's TCP on the loopback interface.

mod suite;

use std::time::Duration;

use mesh_node::TokioNet;
use mesh_node::http::{Bytes, Request, Response, ServerLimits, StatusCode};
use suite::http::{Running, raw, rest};
use suite::{deadline_for, every_case};
use tokio::io::AsyncReadExt as _;

fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(deadline_for(case));
}

every_case!(crate::run, mesh_node::TokioNet);

/// A reader that always makes a little progress still may not hold an answer for ever. Not part of
/// the common suite: a simulated network may take an answer of any size at once.
#[test]
fn a_reader_that_trickles_is_cut_off() {
    const SIZE: usize = 64 << 20;
    let big = Bytes::from(vec![b' '; SIZE]);
    let handler = move |_: Request| {
        let big = big.clone();
        async move { Response::text(StatusCode::OK, big) }
    };
    let limits = ServerLimits { write: Duration::from_millis(400), ..ServerLimits::default() };
    run(async {
        let server = Running::start(&TokioNet, limits, handler).await;
        let mut stream = raw(&TokioNet, &server.address, "GET / HTTP/1.1\r\n\r\n").await;
        let mut buffer = vec![0; 16 << 10];
        let mut total = 0;
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            total += stream.read(&mut buffer).await.unwrap_or(0);
        }
        total += rest(&mut stream).await.len();
        assert!((1..SIZE).contains(&total), "read {total} bytes");
        server.stop().await;
    });
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
            let case = tokio::spawn(suite::http::client::many_calls_reuse_one_connection(TokioNet));
            let limit = Duration::from_secs(30);
            tokio::time::timeout(limit, case).await.expect("in time").expect("no panic");
        });
}
