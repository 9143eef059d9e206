//! Policies that ask peers for free slots, on both engines.

use super::*;

const BOTH: [EngineKind; 2] = [EngineKind::Event, EngineKind::Turmoil];
const POLICIES: [&str; 2] = [r#""pull""#, r#""join_idle_queue""#];

/// One slot at each agent, busy for 80 % of the time, and jobs of 50 ms.
fn busy() -> String {
    SCENARIO.replace("rate = 40", "rate = 48").replace("20ms", "50ms")
}

/// Requests that are not lost to a fault, as a share of those of a window.
fn success(window: &WindowCounts) -> f64 {
    window.requests.success()
}

#[test]
fn a_job_goes_to_a_peer_with_a_free_slot() {
    for engine in BOTH {
        let pull = run_on(engine, POLICIES[0], &busy(), "");
        // No job ever waits at a peer: those that wait do so at the delegating agent.
        assert_eq!(pull.count("job_queued"), 0, "{engine:?}");
        assert!(pull.count("held") > 100, "{engine:?}: {}", pull.count("held"));
        let idle = run_on(engine, POLICIES[1], &busy(), "");
        let random = run_on(engine, r#""random""#, &busy(), "");
        let (waiting, blind) = (idle.count("job_queued"), random.count("job_queued"));
        // All three peers are busy for 0.65 of the jobs at best (Erlang C), a random one for 0.8: a
        // ratio of 0.81. Some 540 jobs wait at random, so five standard errors are 0.2.
        let ratio = waiting as f64 / blind as f64;
        assert!((0.65..0.9).contains(&ratio), "{engine:?}: {waiting} of {blind} jobs wait");
        assert_eq!(idle.count("held"), 0, "{engine:?}");
    }
}

/// After a peer has crashed and come back, and after the delegating agent has, nothing waits any
/// more and all is as before. The oracles look for leaks.
#[test]
fn crashes_of_either_side_leave_nothing_waiting() {
    for (engine, policy) in BOTH.into_iter().flat_map(|engine| POLICIES.map(|it| (engine, it))) {
        for mode in ["machine", "process"] {
            let of_a_peer = format!(
                r#"
                [[faults]]
                kind = "crash"
                mode = "{mode}"
                at = "5s"
                for = "2s"
                hosts = "agent-2"
                "#
            );
            let ran = run_on(engine, policy, &busy(), &of_a_peer);
            let outside = success(ran.outside());
            assert!(outside > 0.97, "{engine:?} {policy} {mode}: {:?}", ran.outside());
            let again = ran.events.iter().any(|event| {
                event["event"] == "job_started"
                    && event["host"] == "agent-2"
                    && event["at_ms"].as_f64() > Some(10_000.0)
            });
            assert!(again, "{engine:?} {policy} {mode}: it works again");
            let of_the_caller = of_a_peer.replace("agent-2", "agent-1");
            let ran = run_on(engine, policy, &busy(), &of_the_caller);
            // Slots that were offered to the agent before it crashed are held no longer than that.
            assert!(success(ran.outside()) > 0.95, "{engine:?} {policy}: {:?}", ran.outside());
        }
    }
}
