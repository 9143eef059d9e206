//! Faults of the links between hosts.

use super::*;

/// The events of attempts that were sent to a peer.
fn routed_to<'a>(ran: &'a Ran, peer: &'a str) -> impl Iterator<Item = &'a Value> {
    ran.events.iter().filter(move |event| event["event"] == "routed" && event["peer"] == peer)
}

#[test]
fn a_partition_fails_only_work_across_it() {
    let ran = run(
        r#""round_robin""#,
        r#"
        [[faults]]
        kind = "partition"
        at = "5s"
        for = "2s"
        groups = [["client", "registry", "agent-1..2"], "agent-3..4"]
        "#,
    );
    // No lease ends in 2 s, so the agents beyond the cut stay known. The attempts that they had are
    // lost, and peers that can't be reached are passed over.
    let during = ran.during();
    assert!((1..10).contains(&during.requests.failed()), "{during:?}");
    let over = |peer: &str| {
        let said = |event: &&Value| event["event"] == "passed_over" && event["peer"] == peer;
        ran.events.iter().filter(said).count()
    };
    assert!(over("agent-3") > 0 && over("agent-4") > 0 && over("agent-2") == 0);
    assert!(during.requests.answered > 10, "{during:?}");
    assert!(ran.outside().requests.success() > 0.99, "{:?}", ran.outside());
    let beyond: Vec<f64> = ran
        .events
        .iter()
        .filter(|event| event["event"] == "job_ended" && event["outcome"] == "done")
        .filter(|event| event["host"] == "agent-3" || event["host"] == "agent-4")
        .filter_map(|event| event["at_ms"].as_f64())
        .collect();
    assert!(!beyond.iter().any(|at| (5_100.0..7_000.0).contains(at)), "work got across");
    assert!(beyond.iter().any(|at| *at > 8_000.0), "work goes on after the heal");
    assert!(routed_to(&ran, "agent-3").count() > 50);
}

#[test]
fn a_one_way_partition_lets_the_other_way_through() {
    let ran = run(
        r#""round_robin""#,
        r#"
        [[faults]]
        kind = "partition"
        at = "5s"
        for = "2s"
        groups = ["agent-2", "agent-1"]
        one_way = true
        "#,
    );
    // agent-1's jobs reach agent-2 over connections that are open, and are done there; the answers
    // are lost. No new one opens: that takes an answer, too.
    let done_by_2 = ran.events.iter().filter(|event| {
        event["event"] == "job_ended"
            && event["host"] == "agent-2"
            && event["outcome"] == "done"
            && (5_100.0..6_900.0).contains(&event["at_ms"].as_f64().unwrap_or_default())
    });
    assert!((1..5).contains(&done_by_2.count()));
    let during = ran.during();
    assert!((1..5).contains(&during.requests.timed_out), "{during:?}");
    let not_sent = |event: &&Value| event["event"] == "retrying" && event["reason"] == "not_sent";
    assert!(ran.events.iter().filter(not_sent).count() > 0);
    // These were on their way when the fault began.
    assert!(ran.outside().requests.failed() < 5, "{:?}", ran.outside());
}

#[test]
fn a_hold_delays_and_loses_nothing() {
    let ran = run(
        r#""random""#,
        r#"
        [[faults]]
        kind = "hold"
        at = "5s"
        for = "1s"
        between = ["client", "agent-1"]
        "#,
    );
    assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
    // What was due first waited longest.
    assert!(ran.p99(6) > Duration::from_millis(800), "{:?}", ran.p99(6));
    assert!(ran.p99(6) < Duration::from_millis(1_500), "{:?}", ran.p99(6));
    let answered = |second: usize| ran.record.timeline[second].ended.answered;
    assert!(answered(5) <= 2 && answered(6) > 60, "{} {}", answered(5), answered(6));
    for calm in [3, 4, 8, 9] {
        assert!(ran.p99(calm) < Duration::from_millis(300), "{calm}: {:?}", ran.p99(calm));
    }
}

#[test]
fn a_one_way_cut_outlives_a_hold_of_the_same_link() {
    let ran = run(
        r#""random""#,
        r#"
        [[faults]]
        kind = "partition"
        at = "4s"
        for = "4s"
        groups = ["agent-1", "client"]
        one_way = true

        [[faults]]
        kind = "hold"
        at = "5s"
        for = "1s"
        between = ["client", "agent-1"]
        "#,
    );
    let answered = |second: usize| ran.record.timeline[second].ended.answered;
    assert!(answered(3) > 20, "{}", answered(3));
    assert_eq!((4..8).map(answered).sum::<u64>(), 0);
    assert!(answered(9) > 20, "{}", answered(9));
}

#[test]
fn added_latency_counts_both_ways_and_ends() {
    let ran = run(
        r#""random""#,
        r#"
        [network]
        latency = "2ms"

        [[network.links]]
        from = "client"
        to = "agent-*"
        latency = "5ms"

        [[faults]]
        kind = "add_latency"
        at = "5s"
        for = "4s"
        between = ["client", "*"]
        latency = "100ms"
        "#,
    );
    assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
    // There and back by the client's link and the peer's, and 20 ms of work.
    let least = Duration::from_nanos(ran.record.latency.min_ns());
    assert!(least >= Duration::from_millis(34), "{least:?}");
    assert!(least < Duration::from_millis(45), "{least:?}");
    let fastest = |from: f64, until: f64| {
        let due = |request: &Value| {
            let of = |event: &&Value| event["event"] == "due" && event["request"] == *request;
            ran.events.iter().find(of).and_then(|event| event["at_ms"].as_f64())
        };
        let answers = ran.events.iter().filter(|event| event["event"] == "answered");
        let took =
            answers.filter_map(|event| Some((due(&event["request"])?, event["at_ms"].as_f64()?)));
        let inside = took.filter(|(due, _)| (from..until).contains(due));
        inside.map(|(due, end)| end - due).fold(f64::MAX, f64::min)
    };
    assert!(fastest(5_000.0, 8_500.0) >= 234.0, "{}", fastest(5_000.0, 8_500.0));
    assert!(fastest(5_000.0, 8_500.0) < 260.0, "{}", fastest(5_000.0, 8_500.0));
    assert!(fastest(9_500.0, 15_000.0) < 45.0, "{}", fastest(9_500.0, 15_000.0));
}
