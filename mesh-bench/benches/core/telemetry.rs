//! What telemetry costs an agent of 200 that has 20 edges, and a registry.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use mesh_core::Timestamp;
use mesh_core::histogram::Histogram;
use mesh_core::protocol::Name;
use mesh_core::routing::DEFAULT_POLICY;
use mesh_core::telemetry::{AttemptEnd, Telemetry, TelemetryBook};

const EDGES: usize = 20;
const AGENTS: usize = 200;
/// Jobs that the agent sends in the 30 s of its window: 50 in a second.
const JOBS: usize = 1500;

pub(crate) fn bench(criterion: &mut Criterion) {
    let names: Vec<Name> = (0..AGENTS).map(|number| format!("agent-{number:03}").into()).collect();
    let mut now = Timestamp::ZERO;
    let mut book = TelemetryBook::new(now).with_policy(DEFAULT_POLICY.name);
    let mut jobs = 0;
    // A job of its own and one at a peer, with its round trip.
    let mut job = |book: &mut TelemetryBook| {
        now += Duration::from_millis(20);
        jobs += 1;
        let (peer, took) = (&names[jobs % EDGES], Duration::from_micros(5_000 + jobs as u64 % 997));
        book.served(now, true, took);
        book.attempt_ended(now, peer, (AttemptEnd::Done, None), took);
        book.round_trip(now, peer, Duration::from_micros(300));
        now
    };
    for _ in 0..JOBS {
        job(&mut book);
    }
    let mut group = criterion.benchmark_group("telemetry");
    group.bench_function("job", |bencher| bencher.iter(|| job(black_box(&mut book))));
    let now = job(&mut book);
    group.bench_function("report", |bencher| {
        bencher.iter(|| black_box(&mut book).report(now).to_json());
    });
    let json = book.report(now).to_json();
    group.bench_function("read", |bencher| bencher.iter(|| Telemetry::read(black_box(&json))));
    group.bench_function("list", |bencher| {
        bencher.iter(|| black_box(&mut book).keep_only(|name| names.binary_search(name).is_ok()));
    });
    let mut ages = Histogram::default();
    group.bench_function("signal_age", |bencher| {
        bencher.iter(|| black_box(&mut ages).record(black_box(Duration::from_millis(700))));
    });
    group.finish();
}
