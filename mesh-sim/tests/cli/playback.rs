//! The playback of a run, in a browser: what it shows is what the events of the run say.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use self::chromium::Chromium;
use super::TestDir;

#[path = "../../../mesh-node/tests/dashboard/chromium.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "it is shared with the tests of the dashboard")]
mod chromium;

/// A crash that is not mended, and a link that is slow for a while.
const SCENARIO: &str = r#"
name = "played"
duration = "10s"
drain = "2s"
seeds = [3]
registry = { ttl = "1s", sweep = "100ms", heartbeat = "300ms" }
agents = [{ name = "a", count = 4, refresh = "300ms" }]
workload = { arrivals = "poisson", rate = 20, demand = { kind = "exponential", mean = "40ms" }, deadline = "1s" }
network = { latency = "2ms" }
faults = [
  { kind = "crash", at = "3s", hosts = "a-2" },
  { kind = "add_latency", at = "5s", for = "3s", between = ["a-1", "a-3"], latency = "150ms" },
]
policies = ["random", "round_robin"]
"#;

/// The events of one policy, as the event log has them.
struct Events(Vec<Value>);

impl Events {
    fn read(dir: &TestDir, policy: &str) -> Self {
        let text = fs::read_to_string(dir.path("run/events.jsonl")).expect("events");
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        Self(all.filter(|event| event["policy"] == policy).collect())
    }

    fn until(&self, ms: f64) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |event| event["at_ms"].as_f64().expect("a time") <= ms)
    }

    fn count(&self, ms: f64, kinds: &[&str]) -> usize {
        let is_one = |event: &&Value| kinds.iter().any(|kind| event["event"] == *kind);
        self.until(ms).filter(|event| event["host"] == "client").filter(is_one).count()
    }

    /// The jobs that agents had answers to, by sender and peer.
    fn edges(&self, ms: f64) -> BTreeMap<(String, String), usize> {
        let text = |event: &Value, field: &str| event[field].as_str().expect("a text").to_owned();
        let mut peers = BTreeMap::new();
        let mut edges = BTreeMap::new();
        for event in self.until(ms) {
            if event["event"] == "routed" {
                peers.insert(event["request"].as_u64(), text(event, "peer"));
            } else if event["event"] == "delegated" && event["outcome"] == "done" {
                let peer = peers[&event["request"].as_u64()].clone();
                *edges.entry((text(event, "host"), peer)).or_default() += 1;
            }
        }
        edges
    }
}

/// What one picture shows at a time.
fn check(picture: &Value, events: &Events, ms: f64) {
    let number = |field: &str| picture[field].as_u64().expect("a number") as usize;
    let due = events.count(ms, &["due"]);
    let ended = events.count(ms, &["answered", "timed_out", "refused", "lost"]);
    assert!(due > 40, "{due} requests by {ms} ms");
    assert_eq!((number("ended"), number("under_way")), (ended, due - ended), "at {ms} ms");
    // "a-1 to a-3: 12 jobs, 0 failed, told 0 s ago", of agents that are listed.
    let mut shown = BTreeMap::new();
    for title in picture["edges"].as_array().expect("edges") {
        let title = title.as_str().expect("a title");
        let (pair, rest) = title.split_once(": ").expect("a pair");
        let (from, to) = pair.split_once(" to ").expect("two agents");
        let words: Vec<usize> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
        shown.insert((from.to_owned(), to.to_owned()), words[0] - words[1]);
    }
    let listed = |pair: &(String, String)| pair.0 != "a-2" && pair.1 != "a-2";
    let mut expected = events.edges(ms);
    expected.retain(|pair, _| listed(pair));
    shown.retain(|pair, done| listed(pair) && *done > 0);
    assert_eq!(shown, expected, "at {ms} ms");
}

#[test]
fn a_playback_shows_what_the_events_say() {
    let Some(mut browser) = Chromium::start() else { return };
    let dir = TestDir::new();
    dir.write("played.toml", SCENARIO);
    let (code, _, err) = dir.ran(&["played.toml", "--trace", "--out", "run"]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = dir.ran(&["view", "run", "--out", "view.html"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("random beside round_robin"), "{out}");
    let page = fs::read_to_string(dir.path("view.html")).expect("a page");
    // The same run gives the same page, be it asked for by its results or by its scenario.
    assert_eq!(dir.ran(&["view", "played.toml"]).0, 0);
    assert_eq!(fs::read_to_string(dir.path("results/view/played.html")).expect("a page"), page);

    browser.open(&format!("file://{}", dir.path("view.html").display()), 1300, 900, false);
    let told = browser.value(include_str!("playback.js"));
    let policies = ["random", "round_robin"].map(|policy| Events::read(&dir, policy));
    for (ms, is_down, faults) in [(2500, false, 0), (7500, true, 2), (11_000, true, 1)] {
        assert_eq!(told["faults"][ms.to_string()], faults);
        for (number, events) in policies.iter().enumerate() {
            let picture = &told["pictures"][ms.to_string()][number];
            check(picture, events, f64::from(ms));
            let gone = picture["gone"].as_array().expect("agents");
            let expected: &[&str] = if is_down { &["a-2"] } else { &[] };
            assert_eq!(gone, expected, "at {ms} ms");
            let is_slow = picture["bands"]["bad"].as_u64() > Some(0);
            assert_eq!(is_slow, ms == 7500, "an arrow is red while the link is slow: {picture}");
        }
    }
    assert_eq!(told["pictures"]["2500 again"], told["pictures"]["2500"], "back and forth");
    let request = told["request"].as_u64();
    let own = policies[0].0.iter().filter(|event| event["request"].as_u64() == request).count();
    let way = told["way"].as_array().expect("steps");
    assert!(own >= 6 && way.len() == own, "request {request:?} has {own} events: {way:?}");
    assert!(way[0].to_string().contains("client →"), "{way:?}");
    let played = told["played"].as_str().expect("a time");
    assert!(!played.starts_with("7.5") && played.ends_with("of 12.00 s"), "{played}");
    assert!(told["width"][0].as_f64() <= told["width"][1].as_f64(), "{}", told["width"]);
}

#[test]
fn what_can_not_be_played_back_is_said() {
    let dir = TestDir::new();
    let mistake = |args: &[&str]| {
        let (code, _, err) = dir.ran(&[&["view"], args].concat());
        assert_eq!(code, 2, "{err}");
        err
    };
    assert!(mistake(&["smal.toml"]).contains("small.toml"), "similar names are told");
    assert!(mistake(&["small.toml", "--policy", "randm"]).contains("random"));
    dir.write("many.toml", &super::SCENARIO.replace("count = 3", "count = 2001"));
    assert!(mistake(&["many.toml", "--engine", "event"]).contains("2000 at most"));
    let vary = ["sweep", "small.toml", "--vary", "workload.rate=20,30", "--out", "sweep"];
    assert_eq!(dir.ran(&vary).0, 0);
    let err = mistake(&["sweep"]);
    let cell = err.trim().rsplit(' ').next().expect("a path").to_owned();
    assert_eq!(dir.ran(&["view", &cell, "--out", "cell.html"]).0, 0, "{err}");
    fs::remove_file(dir.path("sweep/sweep.json")).expect("a file");
}
