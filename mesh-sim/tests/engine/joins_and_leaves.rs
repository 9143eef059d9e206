//! Agents that join and leave in the middle of a run, on both engines.

use super::*;

const BOTH: [EngineKind; 2] = [EngineKind::Event, EngineKind::Turmoil];

/// A fifth agent, with these fields.
fn guest(fields: &str) -> String {
    format!("[[agents]]\nname = \"guest\"\n{fields}\n")
}

/// When something happened at the guest or the registry reported it about the guest, in
/// milliseconds.
fn at_guest(ran: &Ran, kind: &str) -> Vec<f64> {
    let of_guest = ran.events.iter().filter(|event| {
        let subject = if event["host"] == "registry" { "agent" } else { "host" };
        event["event"] == kind && event[subject] == "guest"
    });
    of_guest.filter_map(|event| event["at_ms"].as_f64()).collect()
}

#[test]
fn an_agent_that_joins_gets_work_once_it_is_listed() {
    for engine in BOTH {
        let ran = run_on(engine, r#""round_robin""#, SCENARIO, &guest(r#"joins = "6s""#));
        assert_eq!(at_guest(&ran, "joined"), [6_000.0], "{engine:?}");
        let granted = at_guest(&ran, "lease_granted");
        assert!(granted.len() == 1 && (6_000.0..6_020.0).contains(&granted[0]), "{granted:?}");
        let first = at_guest(&ran, "job_started").into_iter().next().expect("it works");
        // The others fetch the list every second, give or take a tenth.
        assert!((granted[0]..granted[0] + 1_200.0).contains(&first), "{engine:?}: {first}");
        assert_eq!(ran.record.failures.len(), 0, "{engine:?}: {:?}", ran.record.failures);
        let busy = |second: usize| ran.record.timeline[second].cpu_percent[4];
        assert!((0..6).all(|second| busy(second) == 0.0) && busy(10) > 0.0, "{engine:?}");
    }
}

#[test]
fn an_agent_that_leaves_finishes_its_work_and_nobody_misses_it() {
    for engine in BOTH {
        let ran = run_on(engine, r#""round_robin""#, SCENARIO, &guest(r#"leaves = "8s""#));
        assert_eq!(at_guest(&ran, "leaving"), [8_000.0], "{engine:?}");
        let given_up = at_guest(&ran, "lease_given_up");
        assert!(given_up.len() == 1 && (8_000.0..8_010.0).contains(&given_up[0]), "{given_up:?}");
        assert!(at_guest(&ran, "job_started").iter().any(|at| *at > 7_000.0), "{engine:?}");
        assert!(at_guest(&ran, "job_started").iter().all(|at| *at < 8_000.0), "{engine:?}");
        let gone = at_guest(&ran, "gone");
        assert!(gone.len() == 1 && (8_000.0..8_200.0).contains(&gone[0]), "{engine:?}: {gone:?}");
        // What is sent to it afterwards was never begun, and goes to others.
        assert!(ran.count("retrying") > 0, "{engine:?}");
        assert_eq!(ran.record.failures.len(), 0, "{engine:?}: {:?}", ran.record.failures);
    }
}

#[test]
fn work_that_takes_too_long_is_cut_off() {
    let long = SCENARIO
        .replace("rate = 40", "rate = 4")
        .replace(r#"value = "20ms""#, r#"value = "12s""#)
        .replace(r#"deadline = "2s""#, r#"deadline = "20s""#)
        .replace("count = 4", "count = 4\ncores = 32");
    for engine in BOTH {
        let leaves = guest("cores = 32\nleaves = \"5s\"");
        let ran = run_on(engine, r#""round_robin""#, &long, &leaves);
        let gone = at_guest(&ran, "gone");
        // Ten seconds, and one for the last answers.
        assert!(gone.len() == 1 && (15_999.0..16_010.0).contains(&gone[0]), "{engine:?}: {gone:?}");
        assert!(ran.record.failures.contains_key("outcome_unknown"), "{:?}", ran.record.failures);
    }
}

#[test]
fn a_crash_does_not_strike_an_agent_that_is_not_there() {
    let crash = |at: &str, lasts: &str| {
        format!(
            "[[faults]]\nkind = \"crash\"\nat = \"{at}\"\nfor = \"{lasts}\"\nhosts = \"guest\"\n"
        )
    };
    for engine in BOTH {
        let before = guest(r#"joins = "6s""#) + &crash("3s", "1s");
        let ran = run_on(engine, r#""random""#, SCENARIO, &before);
        assert_eq!(at_guest(&ran, "joined"), [6_000.0], "{engine:?}");
        assert_eq!(at_guest(&ran, "registered").len(), 1, "{engine:?}");
        // It starts once its host is up.
        let meanwhile = guest(r#"joins = "6s""#) + &crash("5s", "3s");
        let ran = run_on(engine, r#""random""#, SCENARIO, &meanwhile);
        let registered = at_guest(&ran, "registered");
        assert!(registered.len() == 1 && registered[0] >= 8_000.0, "{engine:?}: {registered:?}");
        // It does not come back.
        let leaves = guest(r#"leaves = "6s""#) + &crash("5s", "3s");
        let ran = run_on(engine, r#""random""#, SCENARIO, &leaves);
        assert_eq!(at_guest(&ran, "gone"), [6_000.0], "{engine:?}");
        assert_eq!(at_guest(&ran, "registered").len(), 1, "{engine:?}");
    }
}

#[test]
fn requests_enter_through_those_that_are_there() {
    let anyone = SCENARIO.replace(r#"entry = "agent-1""#, r#"entry = "random""#);
    for engine in BOTH {
        let visit = guest("joins = \"6s\"\nleaves = \"9s\"");
        let ran = run_on(engine, r#""power_of_two""#, &anyone, &visit);
        let entered = |event: &&Value| event["event"] == "due" && event["entry"] == "guest";
        let times = ran.events.iter().filter(entered).filter_map(|event| event["at_ms"].as_f64());
        let times: Vec<f64> = times.collect();
        assert!(times.len() > 10, "{engine:?}");
        assert!(times.iter().all(|at| (6_000.0..9_000.0).contains(at)), "{engine:?}: {times:?}");
        let again = run_on(engine, r#""power_of_two""#, &anyone, &visit);
        assert_eq!(again.record.event_hash, ran.record.event_hash, "{engine:?}");
    }
}
