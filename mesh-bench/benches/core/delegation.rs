//! How long an agent takes for a whole delegation, from the request to the answer: the choice with
//! all that combines with the policy, the messages and the timers. The difference between the two
//! groups is what the modifiers cost.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use mesh_core::Timestamp;
use mesh_core::agent::{
    Agent, AgentConfig, CallError, CallId, Effect, Failure, Identity, RegistryReply,
    RegistryRequest,
};
use mesh_core::protocol::{Reply, Request, Task, WorkReply};
use mesh_core::resilience::{
    EjectionConfig, HealthConfig, ModifierConfig, SlowStartConfig, ThrottleConfig,
};
use mesh_core::roster::{ListedLease, Listing, Roster};
use mesh_core::routing::{BUILT_IN, PolicySettings};
use mesh_core::seed::Seed;
use serde_json::value::RawValue;

const PEERS: [usize; 4] = [10, 100, 1_000, 10_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    let modified = ModifierConfig {
        ejection: EjectionConfig {
            eject: true,
            eject_errors: 1,
            eject_base: Duration::from_secs(86_400),
            eject_max: Duration::from_secs(86_400),
            ..EjectionConfig::default()
        },
        throttle: ThrottleConfig { throttle: true, ..ThrottleConfig::default() },
        slow_start: SlowStartConfig {
            slow_start: Some(Duration::from_secs(3_600)),
            ..SlowStartConfig::default()
        },
        ..ModifierConfig::default()
    };
    let kinds = [("plain", ModifierConfig::default()), ("modified", modified)];
    // Those that go by the agent's own counters: others would have to wait for probes.
    let by_own = BUILT_IN.iter().filter_map(|description| {
        let policy = description.defaults().with([("signal", "own".into())]).ok()?;
        Some((description.name, policy))
    });
    for ((policy_name, policy), (kind, modifiers)) in
        by_own.flat_map(|it| kinds.map(|kind| (it.clone(), kind)))
    {
        let mut group = criterion.benchmark_group(format!("delegation/{policy_name}/{kind}"));
        for count in PEERS {
            let mut caller = DelegatingCaller::new(count, &policy, modifiers);
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| black_box(caller.delegate(true)));
            });
        }
        group.finish();
    }
}

/// An agent that delegates. It has ejected one peer, and another one has just joined, if its
/// modifiers see to that.
struct DelegatingCaller {
    agent: Agent,
    now: Timestamp,
    output: Arc<RawValue>,
}

impl DelegatingCaller {
    fn new(peers: usize, policy: &PolicySettings, modifiers: ModifierConfig) -> Self {
        let mut config = AgentConfig { policy: Arc::new(policy.clone()), ..AgentConfig::default() };
        config.delegation.health = HealthConfig { max_failures: 0, ..HealthConfig::default() };
        config.delegation.modifiers = modifiers;
        let identity = Identity { name: "me".into(), url: "me:1".into(), incarnation: 1 };
        let now = Timestamp::ZERO;
        let mut caller = Self {
            agent: Agent::new(now, identity, config, &Seed::root(1)),
            now,
            output: RawValue::from_string("1".into()).expect("JSON").into(),
        };
        caller.list(peers - 1);
        caller.delegate(false);
        caller.list(peers);
        caller
    }

    /// Hands in the next list.
    fn list(&mut self, peers: usize) {
        let leases: Roster = (0..peers)
            .map(|number| ListedLease::new(format!("agent-{number}"), "h:1", 1, None))
            .collect();
        let call = loop {
            self.now = self.now.max(self.agent.poll_timeout());
            self.agent.handle_timeout(self.now);
            let effects = std::iter::from_fn(|| self.agent.poll_effect());
            let mut lists = effects.filter_map(|effect| match effect {
                Effect::Registry { call, request: RegistryRequest::List, .. } => Some(call),
                _ => None,
            });
            if let Some(call) = lists.next() {
                break call;
            }
        };
        let listed = RegistryReply::Listed(Listing { epoch: 1, leases });
        self.agent.handle_registry_reply(self.now, call, listed);
        while self.agent.poll_effect().is_some() {}
    }

    /// One delegation; the peer does the job, or fails. Whether it was answered with a result.
    fn delegate(&mut self, is_well: bool) -> bool {
        // So far apart that timers and steps of the windows take part.
        self.now += Duration::from_micros(100);
        self.agent.handle_request(self.now, 1, Request::Delegate(Task::new("")));
        let mut called: Option<CallId> = None;
        while let Some(effect) = self.agent.poll_effect() {
            if let Effect::Call { call, .. } = effect {
                called = Some(call);
            }
        }
        let result = if is_well {
            let (agent, latency) = ("x".into(), Duration::ZERO);
            Ok(Reply::Work(WorkReply { agent, result: self.output.clone(), latency }))
        } else {
            Err(CallError::Answered(Failure::JobFailed("x".into())))
        };
        let Some(call) = called else { return false };
        self.agent.handle_call_result(self.now, call, result);
        let mut is_answered = false;
        while let Some(effect) = self.agent.poll_effect() {
            is_answered |= matches!(effect, Effect::Reply { answer: Ok(_), .. });
        }
        is_answered
    }
}
