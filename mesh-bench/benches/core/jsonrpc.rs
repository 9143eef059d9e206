//! How long it takes to read a `work` call and to write its answer.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use mesh_core::codec;
use mesh_core::jsonrpc::{self, Limits};
use mesh_core::protocol::{Reply, WorkReply};
use serde_json::value::to_raw_value;

const REQUEST: &[u8] = br#"{
  "jsonrpc": "2.0",
  "method": "work",
  "params": { "text": "Optimize Kafka consumer throughput" },
  "id": "1234"
}"#;

pub(crate) fn bench(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("jsonrpc");

    group.bench_function("parse_work", |bencher| {
        bencher.iter(|| {
            let incoming = jsonrpc::parse(black_box(REQUEST), &limits);
            let call = incoming.calls().next().expect("one call");
            codec::decode_request(call).expect("a work request")
        });
    });

    let result = to_raw_value("Processed: Optimize Kafka consumer throughput").expect("a string");
    let reply = Reply::Work(WorkReply {
        agent: "agent-214".into(),
        result: result.into(),
        latency: Duration::from_micros(312_400),
    });
    let incoming = jsonrpc::parse(REQUEST, &limits);
    group.bench_function("answer_work", |bencher| {
        bencher.iter_batched(
            || (incoming.clone(), reply.clone()),
            |(incoming, reply)| incoming.answer([codec::encode_reply(reply)]),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
