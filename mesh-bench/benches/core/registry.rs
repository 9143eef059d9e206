//! How long the calls of a registry with 10,000 leases take.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use mesh_core::Timestamp;
use mesh_core::load::LoadReport;
use mesh_core::registry::{Registration, Registry, RegistryConfig};

const LEASES: usize = 10_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    one_renewal(criterion);

    // The other benches handle all leases in one iteration; criterion's throughput is per lease.
    let mut group = criterion.benchmark_group(format!("registry/{LEASES}"));
    group.throughput(Throughput::Elements(LEASES as u64));
    let agents = agents();
    group.bench_function("register_all", |bencher| {
        bencher.iter_batched_ref(
            || Registry::new(RegistryConfig::default()),
            |registry| fill(registry, &agents),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("expire_all", |bencher| {
        bencher.iter_batched_ref(
            || full(&agents),
            |registry| {
                while let Some(due) = registry.poll_timeout() {
                    registry.handle_timeout(due);
                }
                drain(registry)
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("list", |bencher| {
        let mut registry = full(&agents);
        bencher.iter(|| black_box(&mut registry).list(Timestamp::ZERO).map(black_box).count());
    });
    group.finish();
}

/// Measures one heartbeat; most of a registry's traffic is heartbeats.
fn one_renewal(criterion: &mut Criterion) {
    let agents = agents();
    let mut registry = full(&agents);
    let mut now = Timestamp::ZERO;
    let mut turn = 0;
    criterion.bench_function(&format!("registry/{LEASES}/renew_one"), |bencher| {
        bencher.iter(|| {
            // One heartbeat per millisecond renews every lease in 10 s.
            now += Duration::from_millis(1);
            turn = (turn + 1) % LEASES;
            let renewal = Registration { renew: true, ..agents[turn].clone() };
            registry.handle_register(now, renewal).expect("a live lease")
        });
    });
}

fn agents() -> Vec<Registration> {
    let agent = |number: usize| Registration {
        name: format!("agent-{number}").into(),
        url: format!("10.0.{}.{}:8600", number / 250, number % 250).into(),
        incarnation: Some(1),
        renew: false,
        profile: mesh_core::profile::Profile::default(),
        load: Some(LoadReport::default()),
        owner: None,
        draining: false,
    };
    (0..LEASES).map(agent).collect()
}

fn full(agents: &[Registration]) -> Registry {
    let mut registry = Registry::new(RegistryConfig::default());
    fill(&mut registry, agents);
    registry
}

fn fill(registry: &mut Registry, agents: &[Registration]) {
    for agent in agents {
        registry.handle_register(Timestamp::ZERO, agent.clone()).expect("room for all");
    }
    drain(registry);
}

fn drain(registry: &mut Registry) -> usize {
    std::iter::from_fn(|| registry.poll_effect()).count()
}
