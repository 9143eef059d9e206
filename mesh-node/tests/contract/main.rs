//! The contract suite over the operating system's TCP on the loopback interface.

mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
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

/// A client that always takes a little of an answer may still not hold it for ever. Not part of the
/// common suite, because a simulated network may take an answer of any size at once.
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

/// A streamed answer waits for its client, but not for ever. Not part of the common suite for the
/// same reason.
#[test]
fn a_stream_waits_for_its_reader_and_then_cuts_it_off() {
    const PIECE: usize = 64 << 10;
    let pulled = Arc::new(AtomicUsize::new(0));
    let held = Arc::new(());
    let (counter, holder) = (pulled.clone(), Arc::downgrade(&held));
    let handler = move |_: Request| {
        let (counter, held) = (counter.clone(), holder.upgrade());
        let next = move |_: &mut Context<'_>| {
            assert!(held.is_some(), "the test goes on");
            counter.fetch_add(1, Ordering::SeqCst);
            Poll::Ready(Some(Ok(Bytes::from(vec![b' '; PIECE]))))
        };
        async move { Response::stream("text/plain", u64::MAX, next) }
    };
    let limits = ServerLimits { write: Duration::from_millis(400), ..ServerLimits::default() };
    run(async {
        let server = Running::start(&TokioNet, limits, handler).await;
        let mut stream = raw(&TokioNet, &server.address, "GET / HTTP/1.1\r\n\r\n").await;
        // As long as the client takes some bytes from time to time, the whole may last as long as
        // it likes.
        let mut some = vec![0; 1 << 20];
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.read_exact(&mut some).await.expect("more of it");
        }
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let produced = pulled.load(Ordering::SeqCst) * PIECE;
        // The stream may be ahead of the client by the buffers of two sockets.
        assert!(produced < 64 << 20, "{produced} bytes");
        assert!(!rest(&mut stream).await.ends_with("0\r\n\r\n"));
        server.stop().await;
    });
}

fn run_on_two_threads(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(deadline_for(case));
}

/// The pool's counts must also be right when connections are used on several threads.
#[test]
fn sequential_calls_reuse_one_connection_on_several_threads() {
    run_on_two_threads(async {
        let case = tokio::spawn(suite::http::client::many_calls_reuse_one_connection(TokioNet));
        case.await.expect("no panic");
    });
}

/// A job may end on one thread while its caller leaves on another.
#[test]
fn a_mesh_works_on_several_threads() {
    run_on_two_threads(suite::service::mesh::a_days_work_is_all_noted(TokioNet));
    run_on_two_threads(suite::service::agent::a_client_that_leaves_frees_its_places(TokioNet));
}
