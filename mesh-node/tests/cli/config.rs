//! Flags, environment, file.

use std::io::Write as _;
use std::net::TcpStream;

use crate::process::{Process, Service, free_address, json_at, mesh, output, until};

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file
}

/// The TTL in seconds of a registry with these settings.
fn ttl(file: &str, environment: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = mesh(&[&["registry", "--config", file], args].concat());
    command.envs(environment.iter().copied());
    let process = Process::start(command);
    let line = process.line("listens");
    line.split("ttl=").nth(1).expect("a TTL").to_owned()
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let file = file("log-format = \"text\"\n[registry]\nlisten = \"127.0.0.1:0\"\nttl = \"7s\"\n");
    let path = file.path().to_str().expect("a path");
    assert_eq!(ttl(path, &[], &[]), "7s");
    assert_eq!(ttl(path, &[("MESH_TTL", "8s")], &[]), "8s");
    assert_eq!(ttl(path, &[("MESH_TTL", "8s")], &["--ttl", "9s"]), "9s");
}

#[test]
fn variables_are_read_as_env_files_write_them() {
    let file = file("[registry]\nlisten = \"localhost:0\"\nttl = \"7s\"\n");
    let path = file.path().to_str().expect("a path");
    assert_eq!(ttl(path, &[("MESH_TTL", "")], &[]), "7s", "an empty one is not set");
    assert_eq!(ttl(path, &[("MESH_TTL", "\"8s\" ")], &[]), "8s");
    assert_eq!(ttl(path, &[("MESH_TTL", "'8s'")], &["--ttl", "9s"]), "9s");
    assert_eq!(ttl(path, &[("MESH_TTL", "8s"), ("MESH_LOG", "INFO")], &[]), "8s");

    let registry = Service::registry(&[]);
    let mut command = mesh(&["agent", "--listen", "127.0.0.1:0"]);
    command.env("MESH_REGISTRY", format!("\"http://{}/\"", registry.address));
    command.envs([("MESH_NAME", "agent_1"), ("MESH_BURN", "yes"), ("MESH_DEMAND", "0s")]);
    command.envs([("MESH_LOG", ""), ("MESH_ADVERTISE", " localhost ")]);
    let agent = Service::from(Process::start(command));
    agent.process.line("registered");
    let url = json_at(&registry.address, "/services")["agent_1"]["url"].to_string();
    assert!(url.starts_with("\"localhost:"), "{url}");
    let mut command = mesh(&["agent"]);
    let output = command.env("MESH_BURN", "maybe").output().expect("the binary");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("'maybe' for '--burn'"), "{error}");
}

#[test]
fn a_file_may_hold_numbers_switches_and_a_command() {
    let file = file(
        "[agent]\nname = \"filed\"\nlisten = \"127.0.0.1:0\"\nconcurrency = 2\n\
         command = [\"sh\", \"-c\", \"echo 7\"]\n[orchestrate]\njson = true\n",
    );
    let path = file.path().to_str().expect("a path");
    let process = Process::start(mesh(&["agent", "--config", path]));
    let line = process.line("listens");
    let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
    let address = address.expect("an address");
    assert_eq!(json_at(address, "/healthz")["agent"], "filed");
    let result = crate::process::call(address, "work", serde_json::json!({ "text": "x" }));
    assert_eq!(result.expect("a result")["result"], 7);
}

/// The settings that an agent says that it has.
fn told(file: &str, environment: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = mesh(
        &[&["agent", "--listen", "127.0.0.1:0", "--log", "debug", "--config", file], args].concat(),
    );
    command.envs(environment.iter().copied());
    Process::start(command).line("settings config=")
}

#[test]
fn a_former_name_of_an_option_is_one_in_the_environment_and_in_the_file_too() {
    let file = file("[delegation]\nmax_attempts = 4\n[agent]\nattempts = 5\n");
    let path = file.path().to_str().expect("a path");
    let attempts = |environment: &[(&str, &str)], args: &[&str]| {
        let told = told(path, environment, args);
        let attempts = told.split("max_attempts: ").nth(1).and_then(|rest| rest.split(',').next());
        attempts.expect("a number").to_owned()
    };
    assert_eq!(attempts(&[], &[]), "5", "the command's table comes first");
    assert_eq!(attempts(&[("MESH_ATTEMPTS", "\"6\"")], &[]), "6");
    let both = [("MESH_ATTEMPTS", "6"), ("MESH_MAX_ATTEMPTS", "7")];
    assert_eq!(attempts(&both, &["--attempts", "8"]), "8");
}

#[test]
fn two_names_of_one_setting_in_one_place_are_refused() {
    let ending = "are two names of one setting: keep one of them\n";
    for (text, keys) in [
        ("[agent]\nattempts = 5\nmax_attempts = 4\n", "[agent]: attempts and max_attempts"),
        ("[up]\nattempts = 5\nmax-attempts = 5\n", "[up]: attempts and max-attempts"),
        (
            "[delegation]\nmax-attempts = 5\nmax_attempts = 4\n",
            "[delegation]: max-attempts and max_attempts",
        ),
        ("log-format = 'text'\nlog_format = 'json'\n", "log-format and log_format"),
    ] {
        let file = file(text);
        let path = file.path().to_str().expect("a path");
        let (status, _, stderr) = output(&["agent", "--config", path]);
        let expected = format!("error: {path}: {keys} {ending}");
        assert_eq!((status.code(), stderr), (Some(2), expected));
    }

    let empty = file("");
    let path = empty.path().to_str().expect("a path");
    let mut command = mesh(&["agent", "--config", path]);
    command.envs([("MESH_ATTEMPTS", "6"), ("MESH_MAX_ATTEMPTS", "7")]);
    let output = command.output().expect("the binary");
    let expected = format!("error: MESH_MAX_ATTEMPTS and MESH_ATTEMPTS {ending}");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    // An empty variable is not set, so there is only one name here.
    let one = [("MESH_ATTEMPTS", "6"), ("MESH_MAX_ATTEMPTS", "")];
    assert!(told(path, &one, &[]).contains("max_attempts: 6,"));
}

#[test]
fn a_mistake_in_the_file_is_named() {
    for (text, expected) in [
        (
            "[agent]\nhearbeat = \"1s\"\n",
            "[agent]: no setting hearbeat; did you mean heartbeat? settings here are name,",
        ),
        (
            "[agnet]\n",
            "no table [agnet]; did you mean [agent]? tables are registry, agent, orchestrate, call, drain",
        ),
        ("[agent]\nheartbeat = \"1\"\n", "'--heartbeat <TIME>': it needs a unit"),
        ("[agent]\nname = { a = 1 }\n", "[agent]: name: expected one value"),
        ("[agent\n", "TOML parse error at line 1"),
        (
            "[delegation]\nmax_atempts = 3\n",
            "[delegation]: no setting max_atempts; did you mean max_attempts? settings here",
        ),
        (
            "[delegation]\nmax_attempts = 0\n",
            "'--max-attempts <N>': expected a number from 1 to 100",
        ),
        ("[delegation]\nattempt_timeout = '1s'\n", "more than --connect-timeout, which is 1s"),
        (
            "[registry]\nheartbeet = '1s'\n",
            "[registry]: no setting heartbeet; did you mean heartbeat? settings here are",
        ),
        (
            "[agent]\npolicy = { name = 'random', seed = 1 }\n",
            "[agent]: no setting seed; did you mean speed? settings",
        ),
    ] {
        let file = file(text);
        let path = file.path().to_str().expect("a path");
        let (status, _, stderr) = output(&["agent", "--config", path]);
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {path}: ")), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    let large = file(&"#".repeat((1 << 20) + 1));
    let path = large.path().to_str().expect("a path");
    let (_, _, stderr) = output(&["agent", "--config", path]);
    assert!(
        stderr.starts_with(&format!("error: failed to read {path}: it is larger than 1 MiB")),
        "{stderr}"
    );
    let (status, _, stderr) = output(&["agent", "--config", "/no/such/file"]);
    assert_eq!(status.code(), Some(2));
    assert!(stderr.starts_with("error: failed to read /no/such/file: "), "{stderr}");
}

#[test]
fn the_help_has_examples_and_names_the_environment() {
    let (status, stdout, _) = output(&["--help"]);
    assert!(status.success());
    assert!(stdout.contains("mesh up --agents 4"), "{stdout}");
    let (_, stdout, _) = output(&["agent", "--help"]);
    assert!(stdout.contains("MESH_POLICY"), "{stdout}");
}

#[test]
fn logs_are_lines_of_json_if_wanted_and_bear_their_level() {
    let mut process =
        Process::start(mesh(&["registry", "--listen", "127.0.0.1:0", "--log-format", "json"]));
    let line = process.line("listens");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(entry["level"], "INFO");
    assert!(entry["address"].is_string(), "{line}");
    process.signal("TERM");
    assert!(process.end().success());

    let address = free_address();
    let mut silent = Process::start(mesh(&["registry", "--listen", &address, "--log", "warn"]));
    until("it listens", || TcpStream::connect(&address).is_ok());
    silent.signal("TERM");
    assert!(silent.end().success());
    assert_eq!(silent.rest(), Vec::<String>::new());
}
