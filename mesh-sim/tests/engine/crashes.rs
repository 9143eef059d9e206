//! Crashes of agents and of the registry.

use super::*;

#[test]
fn a_crashed_agent_loses_its_work_and_comes_back_as_another() {
    let ran = run(
        r#""round_robin""#,
        r#"
        [[faults]]
        kind = "crash"
        at = "5s"
        for = "4s"
        hosts = "agent-2"
        "#,
    );
    // It crashes without a word, so those who wait for its answers wait until their deadlines.
    assert!(ran.during().requests.timed_out > 0, "{:?}", ran.during());
    let at_2 = |kind| {
        let of_2 = ran.events.iter().filter(move |event| {
            let subject = if event["host"] == "registry" { "agent" } else { "host" };
            event["event"] == kind && event[subject] == "agent-2"
        });
        of_2.filter_map(|event| event["at_ms"].as_f64()).collect::<Vec<f64>>()
    };
    assert_eq!((at_2("crashed"), at_2("restarted")), (vec![5_000.0], vec![9_000.0]));
    let silent = |at: &f64| (5_001.0..9_000.0).contains(at);
    assert!(!at_2("job_started").iter().any(silent));
    assert!(at_2("job_started").iter().any(|at| *at > 10_000.0), "it works again");
    // Its last heartbeat was at most 1.1 s before the crash, and the TTL is 3 s.
    let expired = at_2("lease_expired");
    assert!(expired.len() == 1 && (6_900.0..8_600.0).contains(&expired[0]), "{expired:?}");
    let granted = at_2("lease_granted");
    assert!(granted.len() == 2 && granted[1] > 9_000.0, "{granted:?}");
}

#[test]
fn a_killed_process_is_missed_at_once_and_waited_for_by_nobody() {
    // Its lease lasts longer than the run.
    let scenario = SCENARIO.replace("ttl = \"3s\"", "ttl = \"60s\"");
    let killed = r#"
        [[faults]]
        kind = "crash"
        mode = "process"
        at = "5s"
        for = "4s"
        hosts = "agent-2"
    "#;
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let ran = run_on(engine, r#""random""#, &scenario, killed);
        assert_eq!((ran.count("killed"), ran.count("crashed"), ran.count("restarted")), (1, 0, 1));
        // Only what it had begun is lost. The others find out by a connection that is refused.
        let during = ran.during();
        assert!(during.requests.failed() <= 2, "{engine:?}: {during:?}");
        assert_eq!(during.requests.timed_out, 0, "{engine:?}: {during:?}");
        let over = ran.events.iter().find(|event| event["event"] == "passed_over");
        let over = over.expect("it is passed over");
        assert_eq!((&over["peer"], &over["reason"]), (&"agent-2".into(), &"not_sent".into()));
        let at = over["at_ms"].as_f64().expect("a time");
        assert!((5_000.0..5_400.0).contains(&at), "{engine:?}: {at}");
        let works_again = ran.events.iter().any(|event| {
            event["event"] == "job_started"
                && event["host"] == "agent-2"
                && event["at_ms"].as_f64() > Some(9_000.0)
        });
        assert!(works_again, "{engine:?}");
    }
}

#[test]
fn requests_are_lost_while_their_entry_is_down() {
    let ran = run(
        r#""random""#,
        r#"
        [[faults]]
        kind = "crash"
        at = "5s"
        for = "4s"
        hosts = "agent-1"
        "#,
    );
    assert!(ran.during().requests.lost > 80, "{:?}", ran.during());
    assert!(ran.record.failures.contains_key("connect"), "{:?}", ran.record.failures);
    assert_eq!(ran.outside().requests.timed_out, 0, "{:?}", ran.outside());
    assert!(ran.outside().requests.success() > 0.9, "{:?}", ran.outside());
}

#[test]
fn agents_go_on_without_their_registry() {
    let ran = run(
        r#""power_of_two""#,
        r#"
        [[faults]]
        kind = "crash"
        at = "4s"
        for = "6s"
        hosts = "registry"
        "#,
    );
    assert_eq!(ran.during().requests.failed(), 0, "{:?}", ran.during());
    // They had four leases and get four again. Nothing ends: the registry has forgotten the first.
    assert_eq!((ran.count("lease_granted"), ran.count("lease_expired")), (8, 0));
    assert_eq!(ran.count("lease_lost"), 4);
}

/// The first partition lasts longer than a lease; the second so long that the registry ends all
/// leases.
#[test]
fn agents_go_on_while_nobody_reaches_the_registry() {
    for (lasts, expired) in [("4s", 0), ("7s", 4)] {
        let cut = format!(
            r#"
            [[faults]]
            kind = "partition"
            at = "4s"
            for = "{lasts}"
            groups = ["registry", "agent-1..4"]
            "#
        );
        for engine in [EngineKind::Event, EngineKind::Turmoil] {
            let ran = run_on(engine, r#""power_of_two""#, SCENARIO, &cut);
            assert_eq!(ran.record.requests.failed(), 0, "{engine:?} {lasts}");
            assert_eq!(ran.count("lease_expired"), expired, "{engine:?} {lasts}");
            assert_eq!(ran.count("lease_granted"), 4 + expired, "{engine:?} {lasts}");
        }
    }
}

#[test]
fn a_silent_peer_is_tried_seldom_and_costs_few_requests() {
    // Its lease lasts longer than the run.
    let scenario = SCENARIO.replace("ttl = \"3s\"", "ttl = \"60s\"");
    let crash = r#"
        [[faults]]
        kind = "crash"
        at = "5s"
        hosts = "agent-2"
    "#;
    let policies = [
        r#""random""#,
        r#""least_loaded""#,
        r#""power_of_two""#,
        r#"{ name = "shortest_queue", signal = "own" }"#,
        r#"{ name = "weighted", signal = "reports" }"#,
    ];
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        for policy in policies {
            let ran = run_on(engine, policy, &scenario, crash);
            let over = ran.events.iter().filter(|event| event["event"] == "passed_over");
            let over = over.map(|event| &event["peer"]).collect::<Vec<_>>();
            // In 10 s: at once, and after 5 s.
            assert!((1..=2).contains(&over.len()), "{engine:?} {policy}: {over:?}");
            assert!(over.iter().all(|peer| **peer == "agent-2"), "{engine:?} {policy}: {over:?}");
            // Of 400, of which it would get a quarter to a third.
            let failed = ran.record.requests.failed();
            assert!(failed <= 8, "{engine:?} {policy}: {failed}");
        }
    }
}
