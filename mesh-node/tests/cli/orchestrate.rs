//! `mesh orchestrate` and `mesh up`.

use serde_json::{Value, json};

use crate::process::{Process, Service, mesh, output, until};

fn two_agents(registry: &str) -> [Service; 2] {
    ["a", "b"]
        .map(|name| Service::agent(name, registry, &["--refresh", "200ms", "--demand", "5ms"]))
}

#[test]
fn it_shows_the_demos_fields() {
    let registry = Service::registry(&[]);
    let agents = two_agents(&registry.address);
    agents.iter().for_each(|agent| agent.await_peers(1));
    let base = ["orchestrate", "--registry", &registry.address, "--agent", "a", "--text", "x y"];
    let (status, stdout, stderr) = output(&[&base[..], &["--json"]].concat());
    assert!(status.success(), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&json["discovered"], &json["asked"]), (&json!(["a", "b"]), &json!("a")));
    let target = &json["result"]["delegated_to"];
    assert_eq!((&target["agent"], &target["url"]), (&json!("b"), &json!(agents[1].address)));
    assert!(target["cpu"].is_number() && target["mem"].is_number());
    assert!(target["latency_ms"].as_f64().expect("a figure") > 0.0);
    assert_eq!(json["result"]["peer_result"]["result"], "Processed: x y");
    assert!(json["result"]["rpc_latency_ms"].as_f64().expect("a figure") >= 5.0);
    assert!(json["network_latency_ms"].as_f64().expect("a figure") >= 0.0);

    let (status, _, stderr) = output(&[&base[..2], &[&registry.address, "--agent", "c"]].concat());
    assert!(!status.success() && stderr.contains("lists no agent c"), "{stderr}");

    let (status, stdout, _) = output(&["orchestrate", "--registry", &registry.address]);
    assert!(status.success());
    assert!(stdout.starts_with("discovered    a, b\n"), "{stdout}");
    assert!(stdout.contains("result        \"Processed: parallel workload\"\n"), "{stdout}");
}

#[test]
fn many_jobs_are_counted_and_summed_up() {
    let registry = Service::registry(&[]);
    let agents = two_agents(&registry.address);
    agents.iter().for_each(|agent| agent.await_peers(1));
    let base = ["orchestrate", "--registry", &registry.address, "--json", "--repeat", "40"];
    for args in [&["--rate", "200"][..], &[]] {
        let (status, stdout, stderr) = output(&[&base[..], args].concat());
        assert!(status.success(), "{stderr}");
        let json: Value = serde_json::from_str(&stdout).expect("JSON");
        let counts = (&json["sent"], &json["answered"], &json["unfinished"]);
        assert_eq!(counts, (&json!(40), &json!(40), &json!(0)), "{json}");
        assert!(json["latency_ms"]["p50"].as_f64().expect("a figure") >= 5.0, "{json}");
        assert!(json["seconds"].as_f64().expect("a figure") >= 0.19, "{json}");
    }
}

#[test]
fn a_job_goes_to_another_agent_if_one_is_not_reached() {
    let registry = Service::registry(&[]);
    let third = Service::agent("c", &registry.address, &["--refresh", "200ms"]);
    let [mut dead, second] = two_agents(&registry.address);
    [&dead, &second, &third].iter().for_each(|agent| agent.await_peers(2));
    dead.process.signal("KILL");
    dead.process.end();
    let base = [
        "orchestrate",
        "--registry",
        &registry.address,
        "--json",
        "--repeat",
        "20",
        "--demand",
        "1ms",
    ];
    for args in [&["--rate", "200"][..], &[]] {
        let (status, stdout, stderr) = output(&[&base[..], args].concat());
        assert!(status.success(), "{stdout}{stderr}");
    }
    // One job alone, a few times, because its agent is chosen at random.
    for _ in 0..5 {
        let (status, stdout, stderr) = output(&[&base[..3], &["--demand", "1ms"]].concat());
        assert!(status.success(), "{stdout}{stderr}");
    }
    // Only this one may be asked.
    let (status, stdout, _) = output(&[&base[..], &["--agent", "a", "--timeout", "1s"]].concat());
    assert_eq!(status.code(), Some(1));
    assert!(stdout.contains("\"not_sent\": 20"), "{stdout}");
}

#[test]
fn the_table_has_a_line_for_each_agent() {
    let registry = Service::registry(&[]);
    let agents = two_agents(&registry.address);
    let (status, stdout, _) = output(&["orchestrate", "--registry", &registry.address, "--watch"]);
    assert!(status.success());
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{stdout}");
    assert!(lines[0].starts_with("agent ") && lines[0].contains("jobs/s"), "{stdout}");
    assert!(
        lines[4].starts_with("in all ") && lines[5].starts_with("jobs where done "),
        "{stdout}"
    );
    assert!(lines[6].starts_with("sent by power_of_two  "), "{stdout}");
    for line in &lines[1..3] {
        assert!(line.contains('%') && line.contains("power_of_two"), "{stdout}");
        assert!(line.chars().count() <= 80, "{stdout}");
    }
    let totals = ["orchestrate", "--registry", &registry.address, "--watch", "--json"];
    let (status, stdout, stderr) = output(&totals);
    assert!(status.success(), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).expect("one line of JSON");
    assert_eq!((&json["agents"], &json["jobs"]), (&2.into(), &0.into()), "{stdout}");
    assert_eq!(json["policies"]["power_of_two"]["agents"], 2, "{stdout}");
    drop(agents);
}

#[test]
fn an_empty_or_absent_mesh_is_an_error() {
    let registry = Service::registry(&[]);
    let (status, _, stderr) = output(&["orchestrate", "--registry", &registry.address]);
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("lists no agents"), "{stderr}");
    let (status, _, stderr) = output(&["orchestrate", "--registry", "127.0.0.1:1"]);
    assert_eq!(status.code(), Some(1));
    let expected =
        "error: no registry answers (to start one there: mesh registry --listen 127.0.0.1:1): ";
    assert!(stderr.starts_with(expected), "{stderr}");
}

#[test]
fn up_is_a_whole_mesh_until_it_is_interrupted() {
    let args = ["up", "--agents", "3", "--listen", "127.0.0.1:0", "--demand", "1ms"];
    let mut up = Process::start(mesh(&args));
    let registry = up.line("registry ");
    let address = registry.split("http://").nth(1).and_then(|rest| rest.strip_suffix("/services"));
    let address = address.expect("an address").to_owned();
    up.line("Processed: parallel workload");
    let (status, stdout, stderr) = output(&["orchestrate", "--registry", &address, "--json"]);
    assert!(status.success(), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(json["discovered"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["mesh"]["agents"], 3, "{stdout}");
    up.signal("INT");
    assert!(up.end().success());
    assert_eq!(up.rest().last().map(String::as_str), Some("stopped"));
}

#[test]
fn up_finds_another_port_if_the_usual_one_is_taken() {
    // If this fails, somebody else has taken it, which is as good.
    let _taken = std::net::TcpListener::bind("127.0.0.1:8500");
    let mut up = Process::start(mesh(&["up", "--agents", "2", "--demand", "0s"]));
    let registry = up.line("registry ");
    assert!(registry.contains("http://127.0.0.1:") && !registry.contains(":8500/"), "{registry}");
    up.line("Processed: parallel workload");
    up.signal("TERM");
    assert!(up.end().success());
}

/// Whoever sits at a terminal opens the page with one key, and is told its address if that fails.
#[cfg(target_os = "linux")]
#[test]
fn up_opens_its_page_at_a_terminal() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let opener = folder.path().join("xdg-open");
    let write = |script: &str| {
        std::fs::write(&opener, script).expect("written");
        std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o700))
            .expect("executable");
    };
    write("#!/bin/sh\necho \"$1\" > \"$0.opened\"\n");
    let up = format!("{} up --listen 127.0.0.1:0 --demand 1ms", env!("CARGO_BIN_EXE_mesh"));
    // It gives the command a terminal.
    let mut command = std::process::Command::new("script");
    command.args(["--quiet", "--return", "--command", &up, "/dev/null"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.stdin(std::process::Stdio::piped());
    command.env("PATH", format!("{}:{path}", folder.path().display()));
    let mut up = Process::start(command);
    let page = up.line("dashboard ");
    let page = page.split_whitespace().nth(1).expect("an address").to_owned();
    up.line("Enter opens the dashboard");
    up.write("\n");
    let opened = folder.path().join("xdg-open.opened");
    until("the page is opened", || {
        std::fs::read_to_string(&opened).is_ok_and(|opened| opened.trim() == page)
    });
    write("#!/bin/sh\nexit 3\n");
    up.write("\n");
    let said = up.line("did not open a browser");
    assert!(said.contains(&page), "{said}");
    up.signal("TERM");
    up.end();
}
