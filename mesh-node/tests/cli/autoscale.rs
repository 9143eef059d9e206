//! `mesh autoscale`, and what it does to real agents under load.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Process, Service, json_at, mesh, output, pause, until};

/// Heartbeats and lists that come ten times a second.
const OFTEN: [&str; 4] = ["--heartbeat", "100ms", "--refresh", "100ms"];

/// Kills the agents of a set, which outlive their autoscaler.
struct Reaper(String);

impl Drop for Reaper {
    fn drop(&mut self) {
        let mark = format!("--set\0{}\0", self.0);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            if line.contains(&mark) && line.contains("\0agent\0") {
                let id = entry.file_name().to_string_lossy().into_owned();
                let _ = Command::new("kill").args(["-s", "KILL", &id]).status();
            }
        }
    }
}

/// Ends a loop in another thread, also if this one panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the board says of the only set; null before there is one.
fn set_at(registry: &str) -> Value {
    json_at(registry, "/dashboard/state")["sets"][0].clone()
}

fn count(set: &Value, field: &str) -> u64 {
    set[field].as_u64().unwrap_or_default()
}

/// Has the entry agent delegate jobs, one after the other, until told to stop. None may fail.
fn client(entry: &Service, demand_ms: u64, is_over: &AtomicBool, done: &AtomicUsize) {
    while !is_over.load(Ordering::Relaxed) {
        let job = json!({ "text": "x", "demand_ms": demand_ms, "timeout_ms": 30_000 });
        let answer = entry.call("delegate", job);
        assert!(answer.is_ok(), "a job was lost: {answer:?}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// An autoscaler for 1 to 4 agents of two slots, which are quick to report.
fn autoscaler(set: &str, registry: &str) -> Process {
    let args = [
        "autoscale",
        "--set",
        set,
        "--registry",
        registry,
        "--min",
        "1",
        "--max",
        "4",
        "--window",
        "1s",
        "--panic-window",
        "500ms",
        "--calm",
        "2s",
        "--interval",
        "100ms",
        "--",
        "--listen",
        "127.0.0.1:0",
        "--concurrency",
        "2",
        "--drain",
        "60s",
    ];
    Process::start(mesh(&[&args[..], &OFTEN].concat()))
}

/// Looks again and again whether the set keeps its bounds.
fn watch_bounds(registry: &str, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let now = set_at(registry);
        let capacity = count(&now, "ready") + count(&now, "starting");
        assert!((1..=4).contains(&capacity), "{now}");
        pause(Duration::from_millis(20));
    }
}

#[test]
fn a_set_follows_its_load_and_loses_no_job() {
    let set = format!("set-{}", std::process::id());
    let registry = Service::registry(&[]);
    let entry = Service::agent("entry", &registry.address, &OFTEN);
    let _reaper = Reaper(set.clone());
    let autoscaler = || autoscaler(&set, &registry.address);
    let first = autoscaler();
    let listed = || set_at(&registry.address);
    until("the minimum", || count(&listed(), "ready") == 1);
    entry.await_peers(1);

    let (few, all, watched) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_bounds(&registry.address, &watched));
        // Four jobs at a time are as much as three agents of two slots should have at 70 %.
        for _ in 0..3 {
            scope.spawn(|| client(&entry, 200, &few, &done));
        }
        let last = scope.spawn(|| client(&entry, 700, &all, &done));
        let _release = (Over(&few), Over(&all), Over(&watched));
        let grown = first.line("grow to 2");
        assert!(grown.contains("times as busy as it should be (CPU "), "it says why: {grown}");
        until("three agents", || count(&listed(), "ready") == 3);
        first.signal("KILL");
        let second = autoscaler();
        let line = second.line("the set is this autoscaler's");
        assert!(line.contains("members=3"), "its agents are found again: {line}");
        autoscaler().line("another autoscaler has the set");
        // The load stays the same for longer than the calm: nothing changes.
        pause(Duration::from_secs(3));
        assert_eq!(count(&listed(), "ready"), 3, "{}", listed());
        few.store(true, Ordering::Relaxed);
        second.line("shrink to 2");
        second.line("shrink to 1");
        until("one agent", || {
            let now = listed();
            (count(&now, "ready"), count(&now, "draining")) == (1, 0)
        });
        all.store(true, Ordering::Relaxed);
        last.join().expect("no job was lost");
        watched.store(true, Ordering::Relaxed);
        watcher.join().expect("the bounds were kept");
        let set = listed();
        let decisions = set["decisions"].as_array().expect("decisions");
        let is_shrink =
            |one: &Value| one["text"].as_str().is_some_and(|it| it.starts_with("shrink"));
        assert!(decisions.iter().all(is_shrink), "one direction: {set}");
    });
    assert!(done.load(Ordering::Relaxed) > 20);
}

#[test]
fn starts_that_fail_are_told_and_tried_ever_more_rarely() {
    let registry = Service::registry(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let released = folder.path().join("released");
    let release = format!("echo $MESH_SET $MESH_NAME >> {}", released.display());
    for (set, command, why) in [
        ("fails", "exit 3", "did not start: the command failed: exit status: 3; the next try in"),
        ("hangs", "sleep 60", "took longer than 300ms, and was killed; the next try in"),
        ("mute", "true", "did not start: it has not registered within 500ms; the next try in"),
    ] {
        let args = [
            "autoscale",
            "--set",
            set,
            "--registry",
            &registry.address,
            "--min",
            "2",
            "--max",
            "2",
            "--interval",
            "100ms",
            "--out-command",
            command,
            "--in-command",
            &release,
            "--command-timeout",
            "300ms",
            "--start-timeout",
            "500ms",
        ];
        let autoscaler = Process::start(mesh(&args));
        for wait in ["100ms", "200ms", "400ms"] {
            let line = autoscaler.line(&format!("{why} {wait}"));
            assert!(line.contains(&format!("{set}-")), "{line}");
            let state = json_at(&registry.address, "/dashboard/state");
            let sets = state["sets"].as_array().expect("sets");
            let own = sets.iter().find(|one| one["set"] == set).expect("it is shown");
            assert!(count(own, "starting") <= 2, "{own}");
        }
        until("its release", || {
            fs::read_to_string(&released).unwrap_or_default().contains(&format!("{set} {set}-"))
        });
    }
}

#[test]
fn settings_that_can_not_work_are_refused() {
    let nowhere = "127.0.0.1:1";
    let refused = |args: &[&str], expected: &str| {
        let (status, _, stderr) = output(&[args, &["--registry", nowhere]].concat());
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    refused(&["autoscale", "--min", "3", "--max", "2"], "--max: it is less than --min; expected 3");
    refused(&["autoscale", "--signal", "mood"], "expected larger, cpu, slots");
    refused(&["autoscale", "--out-command", "x"], "--in-command");
    let after = |options: &[&str], expected: &str| {
        let args = [&["autoscale", "--registry", nowhere, "--"], options].concat();
        let (status, _, stderr) = output(&args);
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    after(&["--name", "x"], "--name: each agent gets a name of its own");
    after(&["--listen", "127.0.0.1:8600"], "only port 0 can be that of many agents");
    after(&["--concurency", "2"], "the options after --: error: unexpected argument");
    let full = ["autoscale", "--slots-target", "0.95", "--", "--concurrency", "4", "--queue", "0"];
    let (status, _, stderr) = output(&full);
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--slots-target: agents never hold so many jobs"), "{stderr}");
    let (status, _, stderr) = output(&["up", "--autoscale", "8..2"]);
    assert_eq!(status.code(), Some(2));
    assert!(stderr.contains("expected MIN..MAX with 2 <= MIN <= MAX <= 100"), "{stderr}");
}

#[test]
fn a_mesh_in_one_process_scales_too() {
    let up = Process::start(mesh(&["up", "--autoscale", "2..3", "--listen", "127.0.0.1:0"]));
    let line = up.line("/services");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
    until("the set", || count(&set_at(&address), "ready") == 2);
    let set = set_at(&address);
    assert!(set["set"].as_str().is_some_and(|name| name.starts_with("up-")), "{set}");
    assert_eq!((count(&set, "min"), count(&set, "max")), (2, 3));
    // One that is drained by hand is replaced: the set has a minimum.
    let agents = json_at(&address, "/services");
    let name = agents.as_object().and_then(|all| all.keys().next().cloned()).expect("an agent");
    let (status, _, stderr) = output(&["drain", &name, "--registry", &address]);
    assert!(status.success(), "{stderr}");
    until("another one", || json_at(&address, "/services").to_string().contains("up-"));
}
