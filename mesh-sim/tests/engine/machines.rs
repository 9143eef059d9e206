//! Faults of the machines under the agents, and the workload of clients that wait for each answer.

use super::*;

/// How long a job of 20 ms takes under the fault, at least and at most.
fn slower(fault: &str) -> (Duration, Duration) {
    let rest = |fault: &str| format!("[[faults]]\nkind = {fault}\nat = \"5s\"\nfor = \"5s\"\n");
    // One request at a time, so that nothing queues.
    let light = "rate = 4";
    let text = SCENARIO.replace("rate = 40", light);
    assert_ne!(text, SCENARIO);
    let ran = run_text("\"random\"", &text, &rest(fault));
    assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
    let usual = ran.p99(3).max(ran.p99(4)).max(ran.p99(12));
    assert!(usual < Duration::from_millis(30), "{usual:?}");
    let under = (6..9).map(|second| ran.p99(second));
    (under.clone().min().unwrap_or_default(), under.max().unwrap_or_default())
}

#[test]
fn a_slow_machine_takes_as_much_longer_as_it_is_told() {
    let (least, most) = slower("\"slow_down\"\nagents = \"agent-*\"\nfactor = 0.1");
    assert!(least >= Duration::from_millis(200), "{least:?}");
    assert!(most < Duration::from_millis(450), "{most:?}");
}

#[test]
fn background_load_takes_its_share_of_the_machine() {
    let (least, most) = slower("\"background_load\"\nagents = \"agent-*\"\nload = 0.75");
    assert!(least >= Duration::from_millis(80), "{least:?}");
    assert!(most < Duration::from_millis(200), "{most:?}");
}

#[test]
fn background_load_shows_as_cpu_and_turns_least_loaded_away() {
    let ran = run(
        r#""least_loaded""#,
        r#"
        [[faults]]
        kind = "background_load"
        at = "5s"
        for = "6s"
        agents = "agent-2..3"
        load = 0.9
        "#,
    );
    let cpu = |second: usize| &ran.record.timeline[second].cpu_percent;
    assert!(cpu(8)[1] > 89.9 && cpu(8)[2] > 89.9 && cpu(8)[0] < 60.0, "{:?}", cpu(8));
    assert!(cpu(13)[2] < 90.0, "{:?}", cpu(13));
    let routed = |peer: &str| {
        let inside = |event: &&Value| {
            let at = event["at_ms"].as_f64().unwrap_or_default();
            event["event"] == "routed" && event["peer"] == peer && (7_000.0..11_000.0).contains(&at)
        };
        ran.events.iter().filter(inside).count()
    };
    assert_eq!((routed("agent-2"), routed("agent-3")), (0, 0));
    assert!(routed("agent-4") > 100, "{}", routed("agent-4"));
}

#[test]
fn clients_that_wait_never_have_more_than_one_request_each() {
    let closed = "arrivals = \"closed\"\nclients = 3\n\
                  think = { kind = \"constant\", value = \"50ms\" }";
    let text = SCENARIO.replace("arrivals = \"poisson\"\nrate = 40", closed);
    assert_ne!(text, SCENARIO);
    let crash = "[[faults]]\nkind = \"crash\"\nat = \"5s\"\nfor = \"5s\"\nhosts = \"agent-*\"\n";
    let ran = run_text("\"random\"", &text, crash);
    assert!(ran.record.timeline.iter().all(|second| second.in_flight <= 3));
    assert!(ran.during().requests.answered == 0 && ran.during().requests.lost > 0);
    assert!(ran.outside().requests.success() > 0.8, "{:?}", ran.outside());
}
