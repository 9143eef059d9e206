//! How an agent ends, what happens to its commands then, and what commands get from their agent.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::process::{Process, Service, call, get, http, json_at, mesh, output, try_call, until};

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";

/// A job that never ends by itself, with a child process that doesn't, either.
struct Endless {
    directory: tempfile::TempDir,
}

impl Endless {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn script(&self) -> String {
        let file = self.directory.path().join("ids");
        format!("sleep 600 & echo $$ $! > {0}.new; mv {0}.new {0}; wait", file.display())
    }

    /// Has the agent begin the job, and returns the ids of its processes.
    fn begin(&self, address: &str) -> (Vec<u32>, JoinHandle<()>) {
        let address = address.to_owned();
        let caller = std::thread::spawn(move || {
            // Its answer is lost with the agent.
            let _ = try_call(&address, "work", json!({ "text": "x" }));
        });
        let file = self.directory.path().join("ids");
        until("the job", || file.exists());
        let ids = fs::read_to_string(&file).expect("ids");
        (ids.split_whitespace().map(|id| id.parse().expect("an id")).collect(), caller)
    }
}

/// Whether a process is there and is more than a zombie.
pub(crate) fn is_alive(id: &u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The ids of a process's children, including zombies.
fn children(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("its threads");
    let lists = threads.map(|thread| {
        let path = thread.expect("a thread").path().join("children");
        fs::read_to_string(path).unwrap_or_default()
    });
    let ids = |list: String| list.split_whitespace().map(|id| id.parse().expect("an id")).collect();
    lists.flat_map(|list| -> Vec<u32> { ids(list) }).collect()
}

#[test]
fn commands_end_with_their_agent_on_every_way_out() {
    let registry = Service::registry(&[]);
    for (signals, code) in [
        (&["TERM", "TERM"][..], Some(143)),
        (&["INT", "HUP", "QUIT"], Some(131)),
        (&["HUP"], Some(0)),
        (&["KILL"], None),
    ] {
        let job = Endless::new();
        // If no second signal ends the drain, it must be over before the job is.
        let drain = if signals.len() > 1 { "60s" } else { "100ms" };
        let script = job.script();
        let args = ["--drain", drain, "--", "sh", "-c", &script];
        let mut agent = Service::agent("ends", &registry.address, &args);
        let (ids, caller) = job.begin(&agent.address);
        assert!(ids.iter().all(is_alive), "{signals:?}");
        agent.process.signal(signals[0]);
        if signals[0] != "KILL" {
            until("the lease's end", || json_at(&registry.address, "/services") == json!({}));
            agent.process.line("stopping");
        }
        signals[1..].iter().for_each(|name| agent.process.signal(name));
        assert_eq!(agent.process.end().code(), code, "{signals:?}");
        until("the end of the job", || !ids.iter().any(is_alive));
        caller.join().expect("no panic");
    }
}

#[test]
fn an_agent_whose_guard_was_killed_has_another() {
    let job = Endless::new();
    let script = job.script();
    let mut agent = Service::unregistered("guarded", NOWHERE, &["--", "sh", "-c", &script]);
    until("the guard", || children(agent.process.id()).len() == 1);
    let guards = children(agent.process.id());
    let kill = Command::new("kill").args(["-s", "KILL", &guards[0].to_string()]).status();
    assert!(kill.expect("kill").success());
    until("its end", || !is_alive(&guards[0]));
    let (ids, caller) = job.begin(&agent.address);
    agent.process.signal("KILL");
    agent.process.end();
    until("the end of the job", || !ids.iter().any(is_alive));
    caller.join().expect("no panic");
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_mesh")]);
    command.args(["registry", "--listen", "127.0.0.1:0"]).stdin(Stdio::null());
    let mut registry = Service::from(Process::start(command));
    registry.process.signal("HUP");
    registry.process.signal("HUP");
    assert_eq!(json_at(&registry.address, "/healthz")["status"], "ok");
    registry.process.signal("TERM");
    assert!(registry.process.end().success());
}

/// As the first process of a container, an agent inherits every orphan.
#[test]
fn what_commands_leave_behind_is_reaped() {
    // Of the two orphans, one is killed with the group; the other one has left it.
    let script = "read -r job; sleep 600 & setsid sleep 0.1 & echo 1";
    let agent = Service::unregistered("reaper", NOWHERE, &["--", "sh", "-c", script]);
    for _ in 0..3 {
        let result = agent.call("work", json!({ "text": "x" })).expect("a result");
        assert_eq!(result["result"], 1);
    }
    until("only the guard is left", || children(agent.process.id()).len() == 1);
}

/// A command gets none of the agent's sockets, nor its limit of open files, nor what it does with
/// signals.
#[test]
fn a_command_gets_what_the_agent_was_started_with() {
    // The script reads its input first, because its limit is set by then. The shell lists the files
    // itself, because the pipes of another command would be among them.
    let script = "read -r job; cd /proc/$$; set -- fd/*; echo \"[\\\"$*\\\", \
                  \\\"$(ulimit -Sn)\\\", \\\"$(grep Sig[BI] status | tr -d '\\t\\n')\\\"]\"";
    let limited = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -Sn 300; exec \"$0\" \"$@\""]).args(args);
        command
    };
    let mut plain = limited(&["sh", "-c", script]);
    let output = plain.stdin(Stdio::null()).stderr(Stdio::piped()).output().expect("a shell");
    let expected: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(expected[1], "300", "{expected}");

    let mesh_args = mesh(&["agent", "--name", "giver", "--registry", NOWHERE, "--listen"]);
    let program = mesh_args.get_program().to_str().expect("a path").to_owned();
    let args: Vec<&str> = mesh_args.get_args().map(|arg| arg.to_str().expect("text")).collect();
    let args = [&[&*program], &args[..], &["127.0.0.1:0", "--", "sh", "-c", script]].concat();
    let mut command = limited(&args);
    command.stdin(Stdio::null());
    let agent = Service::from(Process::start(command));
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.process.id()));
    let files = limits.expect("its limits");
    let files = files.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let numbers: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(numbers[3], numbers[4], "the agent has taken all: {files}");
    let result = agent.call("work", json!({ "text": "x" })).expect("a result");
    assert_eq!(result["result"], expected);
}

/// Nobody waits for a notification: its sender is answered when it is done, or leaves before.
#[test]
fn a_notification_is_carried_out_after_its_sender_has_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.05; done; touch {}; echo 1",
        path("begun").display(),
        path("go").display(),
        path("done").display()
    );
    let agent = Service::unregistered("lone", NOWHERE, &["--", "sh", "-c", &script]);
    let body = json!({ "jsonrpc": "2.0", "method": "work", "params": { "text": "x" } }).to_string();
    let length = body.len();
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut sender = std::net::TcpStream::connect(&agent.address).expect("a connection");
    std::io::Write::write_all(&mut sender, request.as_bytes()).expect("room");
    until("its begin", || path("begun").exists());
    drop(sender);
    // Another exchange gives the agent time to notice that the sender has left.
    http(&agent.address, "GET", "/healthz", "");
    fs::write(path("go"), "").expect("written");
    until("its end", || Path::new(&path("done")).exists());
}

#[test]
fn a_drained_agent_ends_when_its_job_is_done() {
    let registry = Service::registry(&[]);
    let often = ["--heartbeat", "100ms", "--refresh", "100ms", "--drain", "60s"];
    let mut worker = Service::agent("worker", &registry.address, &often);
    let other = Service::agent("other", &registry.address, &often);
    other.await_peers(1);
    let drain =
        |args: &[&str]| output(&[&["drain", "--registry", &registry.address][..], args].concat());
    let (status, _, stderr) = drain(&["wroker"]);
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("lists no agent wroker; did you mean worker?"), "{stderr}");

    let job = |ms: u64| json!({ "text": "x", "demand_ms": ms });
    let (status, stdout, stderr) = drain(&["worker"]);
    assert_eq!((status.code(), &*stdout), (Some(0), "worker drains\n"), "{stderr}");
    let state = || json_at(&registry.address, "/services")["worker"]["state"].clone();
    assert_eq!(state(), "draining");
    // Idle, it would leave a refresh after it has heard of it; a cancel comes in time only by luck,
    // so here it has a job.
    let _ = worker.process.end();
    worker = Service::agent("worker", &registry.address, &often);
    assert_eq!(state(), Value::Null, "a new process begins without the mark");
    other.await_peers(1);

    std::thread::scope(|scope| {
        let long = scope.spawn(|| call(&worker.address, "work", job(3_000)));
        until("the job", || json_at(&worker.address, "/healthz")["in_flight"] == 1);
        drain(&["worker"]);
        until("the drain", || get(&worker.address, "/healthz").0 == 503);
        let refused = worker.call("work", job(0)).expect_err("it drains");
        assert_eq!(refused["code"], -32017, "{refused}");
        assert_eq!(drain(&["worker", "--cancel"]).1, "worker takes jobs again\n");
        until("the cancel", || get(&worker.address, "/healthz").0 == 200);
        assert!(worker.call("work", job(0)).is_ok());
        drain(&["worker"]);
        until("the drain", || get(&worker.address, "/healthz").0 == 503);
        assert!(other.call("delegate", job(0)).is_err(), "its only peer drains");
        assert!(long.join().expect("no panic").is_ok(), "a job that was there is finished");
    });
    assert!(worker.process.end().success());
    assert_eq!(state(), Value::Null);
}
