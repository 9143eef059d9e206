//! Workers that stay, and what becomes of commands that don't exist or fail.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::process::{Process, Service, mesh, output, until};
use crate::shutdown::is_alive;

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";

/// Answers each job with its process id, unless the job says that it is to die.
const WORKER: &str = r#"echo '{"ready": true}'
    while read -r job; do
        case $job in *die*) exit 3;; esac
        id=${job#*\"id\":}; echo "{\"id\":${id%%,*},\"result\":$$}"
    done"#;

#[test]
fn a_worker_is_replaced_when_it_dies_and_ends_with_its_agent() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(
        file,
        "[agent]\nname = \"keeper\"\nlisten = \"127.0.0.1:0\"\nregistry = \"{NOWHERE}\"\n\
         work = \"stdio\"\nworkers = 3\nready_timeout = \"60s\"\nworker_grace = \"0s\"\n\
         command = [\"sh\", \"-c\", '''{WORKER}''']\n"
    )
    .expect("a file");
    let mut command = mesh(&["agent", "--config", &file.path().to_string_lossy()]);
    command.env("MESH_WORKERS", "1");
    let mut agent = Service::from(Process::start(command));
    let pid = || agent.call("work", json!({ "text": "x" })).expect("a result")["result"].clone();
    let first = pid();
    assert_eq!(pid(), first);
    let error = agent.call("work", json!({ "text": "die" })).expect_err("it dies");
    assert_eq!(error["data"]["reason"], "outcome_unknown");
    let line = agent.process.line("a worker ended and is started again");
    assert!(line.contains("it ended: exit status: 3"), "{line}");
    let mut second = first.clone();
    until("its successor", || {
        let result = agent.call("work", json!({ "text": "x" }));
        result.is_ok_and(|result| {
            second = result["result"].clone();
            second != first
        })
    });
    let id = second.as_u64().and_then(|id| u32::try_from(id).ok()).expect("an id");
    assert!(is_alive(&id));
    agent.process.signal("KILL");
    agent.process.end();
    until("its end", || !is_alive(&id));
}

#[test]
fn a_command_that_does_not_exist_is_refused_at_start() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_string_lossy();
    for (program, why) in [
        ("no-such-program", "find the command no-such-program in a directory of PATH".to_owned()),
        ("./no/such", "find the command ./no/such: there is no such file".to_owned()),
        (&*path, format!("run the command {path}: it is not an executable file")),
    ] {
        for work in ["exec", "stdio"] {
            let (status, _, stderr) = output(&["agent", "--work", work, "--", program]);
            let expected = (Some(2), format!("error: failed to {why}\n"));
            assert_eq!((status.code(), stderr), expected);
        }
    }
    let args = ["agent", "--work", "stdio", "--ready-timeout", "60s", "--", "sh", "-c", "exit 3"];
    let (status, _, stderr) = output(&args);
    assert_eq!(status.code(), Some(1));
    assert!(
        stderr.ends_with("error: failed to start a worker: it ended: exit status: 3\n"),
        "{stderr}"
    );
}

#[test]
fn a_command_that_vanishes_later_has_not_begun_the_job() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("work.sh");
    std::fs::write(&program, "#!/bin/sh\necho 1\n").expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let agent = Service::unregistered("a", NOWHERE, &["--", &program.to_string_lossy()]);
    assert_eq!(agent.call("work", json!({ "text": "x" })).expect("a result")["result"], 1);
    std::fs::remove_file(&program).expect("it is there");
    let error = agent.call("work", json!({ "text": "x" })).expect_err("it is gone");
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32010), &json!("unavailable")));
    let line = agent.process.line("a job failed");
    assert!(line.contains("failure=\"unavailable\"") && line.contains("No such file"), "{line}");
}

#[test]
fn jobs_that_fail_are_logged_with_their_reason_and_not_without_end() {
    let script = "cat > /dev/null; echo no room >&2; exit 3";
    let mut agent = Service::unregistered("a", NOWHERE, &["--", "sh", "-c", script]);
    let jobs = 30;
    for request in 0..jobs {
        let job = json!({ "text": "a secret", "request": request });
        agent.call("work", job).expect_err("it fails");
    }
    let late = json!({ "text": "a secret", "timeout_ms": 0.001 });
    agent.call("work", late).expect_err("it is late");
    let first = agent.process.line("a job failed");
    for part in ["the command of a", "request=0", "job_failed", "exit status: 3: no room"] {
        assert!(first.contains(part), "{part} in {first}");
    }
    agent.process.signal("TERM");
    agent.process.end();
    let rest = agent.process.rest();
    let logged = rest.iter().filter(|line| line.contains("a job failed")).count();
    assert!(logged < jobs - 1, "{logged} of {jobs}");
    assert!(rest.iter().any(|line| line.contains("a job's deadline passed")), "{rest:?}");
    assert!(!rest.iter().any(|line| line.contains("secret")), "{rest:?}");
}

#[test]
fn an_upstream_is_told_how_to_delegate_further() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/rpc", listener.local_addr().expect("an address"));
    let requests = std::thread::spawn(move || {
        let requests = (0..2).map(|_| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut bytes = [0; 1024];
                let length = stream.read(&mut bytes).expect("a request");
                request.extend_from_slice(&bytes[..length]);
            }
            let body = r#"{"jsonrpc":"2.0","id":1,"result":1}"#;
            let answer = crate::rpc_server::http(200, body);
            let answer = answer.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            stream.write_all(answer.as_bytes()).expect("room");
            String::from_utf8(request).expect("text")
        });
        requests.collect::<Vec<String>>()
    });
    let agent = Service::unregistered("front", NOWHERE, &["--upstream", &url]);
    let job = json!({ "text": "x", "timeout_ms": 60000, "depth": 2, "request": 7 });
    agent.call("work", job).expect("a result");
    agent.call("sing", json!(["high"])).expect("a result");
    let requests = requests.join().expect("no panic");
    for (request, depth, number) in [(&requests[0], 2, 7), (&requests[1], 0, 0)] {
        for field in [
            format!("mesh-agent-url: http://{}/rpc", agent.address),
            format!("mesh-depth: {depth}"),
            format!("mesh-request: {number}"),
        ] {
            assert!(request.contains(&format!("{field}\r\n")), "{field} in {request}");
        }
        let timeout =
            request.split("mesh-timeout-ms: ").nth(1).and_then(|rest| rest.lines().next());
        let timeout: f64 = timeout.expect("a field").parse().expect("a number");
        assert!((1.0..=60_000.0).contains(&timeout), "{timeout}");
    }
    assert!(
        requests[1].contains(r#""params":["high"]"#),
        "params are as they came: {}",
        requests[1]
    );
}
