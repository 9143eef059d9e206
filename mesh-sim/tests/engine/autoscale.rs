//! A set of agents that grows and shrinks, on both engines.

use super::*;

/// Two agents that stay, and a set of four; the load triples for ten seconds.
const STEP: &str = r#"
name = "scaled"
duration = "30s"
warm_up = "2s"
drain = "8s"
registry = { ttl = "3s", heartbeat = "500ms", refresh = "500ms", sweep = "200ms" }
agents = [{ name = "front", count = 2 }, { name = "worker", count = 4, concurrency = 2, queue = 20 }]

[workload]
arrivals = "poisson"
rate = 3
steps = [{ at = "5s", rate = 12 }, { at = "15s", rate = 2 }]
entry = ["front-1", "front-2"]
demand = "5ms"
wait = "400ms"
deadline = "10s"

[autoscale]
agents = "worker-*"
every = "500ms"
start_up = "1s"
window = "1s"
panic_window = "1s"
calm = "3s"
report_age = "3s"
"#;

fn ran(engine: EngineKind, changed: &[(&str, &str)]) -> Ran {
    let text = changed.iter().fold(STEP.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    run_on(engine, r#""power_of_two""#, &text, "")
}

/// The decisions to change the set: the second, and how many agents it should have then.
fn decisions(ran: &Ran) -> Vec<(u64, u64)> {
    let scaled = ran.events.iter().filter(|event| event["event"] == "scaled");
    scaled
        .map(|event| {
            let at = event["at_ms"].as_f64().expect("a time") as u64 / 1000;
            (at, event["desired"].as_u64().expect("a number"))
        })
        .collect()
}

#[test]
fn a_set_follows_its_load_and_no_job_is_lost() {
    let mut both = Vec::new();
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let ran = ran(engine, &[]);
        assert_eq!(ran.record.violations, [], "{engine:?}");
        let decided = decisions(&ran);
        let most = decided.iter().map(|(_, desired)| *desired).max();
        assert_eq!(most, Some(4), "{engine:?}: {decided:?}");
        let first = decided.first().expect("a decision");
        assert!((5..=9).contains(&first.0), "soon after the step: {decided:?}");
        let last = decided.last().expect("a decision");
        assert!(last.1 < 4 && last.0 >= 18, "it shrinks when the load has gone: {decided:?}");
        // Agents that drain end, and those that are needed again come back.
        assert!(ran.count("draining") > 0 && ran.count("gone") > 0, "{engine:?}");
        assert_eq!(ran.record.requests.failed(), 0, "{engine:?}: {:?}", ran.record.failures);
        let usage = ran.record.scaling.clone().expect("a set");
        assert!(usage.agents.iter().all(|(_, count)| (1..=4).contains(count)), "{usage:?}");
        // By hand: the area under the steps.
        let end = (30 + 8) as f64;
        let mut steps: Vec<(f64, f64)> = usage
            .agents
            .iter()
            .map(|(at, n)| (at.elapsed().as_secs_f64(), f64::from(*n)))
            .collect();
        steps.push((end, 0.0));
        let area: f64 = steps.windows(2).map(|pair| pair[0].1 * (pair[1].0 - pair[0].0)).sum();
        assert!((usage.agent_seconds - area).abs() < 2.0, "{} and {area}", usage.agent_seconds);
        both.push(usage.agent_seconds);
    }
    // The engines differ by milliseconds, so a decision may fall half a second later or earlier.
    assert!((both[0] - both[1]).abs() < 10.0, "{both:?}");
}

#[test]
fn without_reports_nothing_is_done_and_without_a_drain_jobs_are_lost() {
    let silent = ran(
        EngineKind::Event,
        &[("[autoscale]", "[autoscale]\noutages = [{ at = \"0s\", for = \"38s\" }]")],
    );
    assert_eq!(decisions(&silent), []);
    assert_eq!(silent.record.scaling.as_ref().expect("a set").most(), 1);
    let slow = [("wait = \"400ms\"", "wait = { kind = \"exponential\", mean = \"400ms\" }")];
    let cut = [slow[0], ("[autoscale]", "[autoscale]\ndrain = \"0s\"")];
    let (patient, cut) = (ran(EngineKind::Event, &slow), ran(EngineKind::Event, &cut));
    assert_eq!(patient.record.requests.failed(), 0, "{:?}", patient.record.failures);
    assert_eq!(cut.record.violations, []);
    assert!(cut.count("gone") > 0 && cut.count("draining") == 0, "they end at once");
}

#[test]
fn a_set_that_can_not_be_is_refused() {
    let refused = |from: &str, to: &str| {
        let found = ScenarioFile::parse(&STEP.replace(from, to), "scaled.toml").expect_err(to);
        found.render(false)
    };
    for (from, to, why) in [
        ("\"worker-*\"", "\"*\"", "requests have no way in"),
        ("\"worker-*\"", "\"nobody-*\"", "nobody"),
        ("[autoscale]", "[autoscale]\nmax = 5", "expected at most 4"),
        ("[autoscale]", "[autoscale]\nmin = 3\nmax = 2", "less than `min`"),
        ("[autoscale]", "[autoscale]\nstart = 9", "outside of its bounds"),
        ("[autoscale]", "[autoscale]\nsignal = \"cpu\"\ncpu_target = 95", "never gets beyond it"),
        ("calm = \"3s\"", "calm = \"100ms\"", "never comes to rest"),
        ("every = \"500ms\"", "every = \"20s\"", "hardly anything is decided"),
        ("\"front-2\"]", "\"worker-1\"]", "during the whole run"),
        ("[autoscale]", "[autoscale]\nspeed = 2", "unknown field"),
    ] {
        let text = refused(from, to);
        assert!(text.contains(why), "{to}: {text}");
    }
}
