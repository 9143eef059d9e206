//! How long one routing decision takes: the policy's shortlist, and its choice.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use mesh_core::Timestamp;
use mesh_core::load::LoadReport;
use mesh_core::protocol::Task;
use mesh_core::roster::{ListedLease, Roster};
use mesh_core::routing::{
    BUILT_IN, Candidate, Eligible, Known, Policy, PolicyFactory as _, Shortlist,
};
use mesh_core::seed::{Rng, Seed};

const NOW: Timestamp = Timestamp::ZERO;
const PEERS: [usize; 4] = [10, 100, 1_000, 10_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    for description in BUILT_IN {
        // With listed reports where the policy can use them, because there are no probes here.
        let reports = description.defaults().with([("signal", "reports".into())]);
        let settings = reports.unwrap_or_else(|_| description.defaults());
        let mut group = criterion.benchmark_group(format!("route/{}", description.name));
        for count in PEERS {
            let mut rng = Seed::root(1).rng();
            let peers = peers(count, &mut rng);
            let mut policy = settings.build(&mut rng);
            let roster = roster(count);
            let (eligible, job) = (Eligible::all(&roster), Task::new("x"));
            let mut scratch = Vec::with_capacity(count);
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| {
                    let shortlist = policy.shortlist(NOW, &job, black_box(&eligible), &mut rng);
                    decide(&mut *policy, shortlist, black_box(&peers), &mut scratch, &mut rng)
                });
            });
        }
        group.finish();
    }
}

/// Peers with random reports, round trips and jobs.
fn peers(count: usize, rng: &mut Rng) -> Vec<Candidate> {
    let roster = roster(count);
    let peer = |lease: &ListedLease| {
        let load = LoadReport {
            cpu_percent: rng.unit() * 100.0,
            memory_percent: rng.unit() * 100.0,
            in_flight: rng.index(20) as u32,
            queued: rng.index(10) as u32,
        };
        let outstanding = rng.index(4) as u32;
        let latency = Duration::from_micros(200 + rng.index(20_000) as u64);
        Candidate::unknown(lease.id())
            .with_load(Some(Known { value: load, age: Duration::ZERO }))
            .with_latency(Some(Known { value: latency, age: Duration::ZERO }))
            .with_outstanding(outstanding)
    };
    roster.iter().map(peer).collect()
}

fn roster(count: usize) -> Roster {
    (0..count).map(|number| ListedLease::new(format!("agent-{number}"), "h:1", 1, None)).collect()
}

/// Lets the policy choose as an agent does: only the peers on the shortlist become candidates.
fn decide(
    policy: &mut dyn Policy,
    shortlist: Shortlist,
    peers: &[Candidate],
    scratch: &mut Vec<Candidate>,
    rng: &mut Rng,
) -> usize {
    scratch.clear();
    match &shortlist {
        Shortlist::All => scratch.extend_from_slice(peers),
        Shortlist::Some(picks) => scratch.extend(picks.as_slice().iter().map(|&at| peers[at])),
        // Nobody is free, so there is nothing to choose.
        Shortlist::Hold => return 0,
    }
    let chosen = policy.choose(NOW, scratch, rng);
    match shortlist {
        Shortlist::All | Shortlist::Hold => chosen,
        Shortlist::Some(picks) => picks.as_slice()[chosen],
    }
}
