//! Keys: made, shown, used, rotated, revoked; and what happens without.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::{Process, Service, mesh, output, raw, until};

/// A folder with the keys of a mesh.
pub(crate) struct KeyFolder(tempfile::TempDir);

impl KeyFolder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    /// Runs `mesh keys` with the file of this folder.
    pub(crate) fn keys(&self, args: &[&str]) -> String {
        let file = self.text("keys.toml");
        let args = [&["keys", args[0], "--keys", &file], &args[1..]].concat();
        let (status, stdout, stderr) = output(&args);
        assert!(status.success(), "{args:?}: {stderr}");
        stdout
    }

    /// Makes a key, and shows it.
    pub(crate) fn key(&self, args: &[&str]) -> String {
        let key = self.keys(&[&["new"], args].concat()).trim().to_owned();
        assert!(key.starts_with("mesh_") && key.len() > 50, "{key}");
        key
    }

    /// A key file of an agent of this name, with a key for its registry and one for its peers.
    pub(crate) fn agent(&self, name: &str) -> String {
        let file = self.text(&format!("{name}.key"));
        self.keys(&["new", "--role", "register", "--names", name, "--to", &file]);
        self.keys(&["new", "--role", "call", "--to", &file]);
        file
    }
}

/// The id of a key.
fn id(key: &str) -> &str {
    key.split('_').nth(2).expect("an id")
}

/// The head of the answer to a request with these header fields.
pub(crate) fn head(address: &str, method: &str, path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
    );
    raw(address, request.as_bytes()).to_ascii_lowercase()
}

/// The status of a request with this key.
fn status(address: &str, method: &str, path: &str, key: &str) -> u16 {
    let body = if method == "POST" { r#"{"jsonrpc":"2.0","id":1,"method":"info"}"# } else { "" };
    let fields = format!("authorization: Bearer {key}\r\n");
    let answer = head(address, method, path, &fields, body);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn keys_are_made_shown_once_listed_and_revoked() {
    let folder = KeyFolder::new();
    let first = folder.key(&["--role", "call", "--note", "of the tests", "--expires", "90d"]);
    let second = folder.key(&["--role", "register", "--names", "a,worker-*", "--owner", "fleet"]);
    let file = fs::read_to_string(folder.path("keys.toml")).expect("a file");
    for key in [&first, &second] {
        let secret = key.rsplit('_').next().expect("a secret");
        assert!(file.contains(id(key)) && !file.contains(secret), "only the hash: {file}");
    }
    let mode = fs::metadata(folder.path("keys.toml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let third = folder.key(&["--rotate", id(&second)]);
    let list: Value = serde_json::from_str(&folder.keys(&["list", "--json"])).expect("JSON");
    let entry = |key: &str| {
        let all = list.as_array().expect("a list").iter();
        all.clone().find(|entry| entry["id"] == id(key)).expect("an entry").clone()
    };
    assert_eq!(entry(&first)["note"], "of the tests");
    assert!(entry(&first)["expires"].is_string() && entry(&second)["expires"].is_null());
    assert_eq!(entry(&third)["owner"], "fleet");
    assert_eq!(entry(&third)["names"], json!(["a", "worker-*"]));
    folder.keys(&["revoke", id(&first), id(&second)]);
    let table = folder.keys(&["list"]);
    assert!(table.contains(id(&third)) && !table.contains(id(&first)), "{table}");
    let keys = folder.text("keys.toml");
    for (args, part) in [
        (&["new"][..], "--role"),
        (&["new", "--role", "root"], "expected register, call, observe or admin"),
        (&["new", "--role", "register"], "needs --names"),
        (&["new", "--role", "call", "--names", "a"], "no effect"),
        (&["new", "--rotate", "nobody"], "there is no key nobody"),
        (&["revoke", "nobody"], "there is no key nobody"),
    ] {
        let (status, _, stderr) = output(&[&["keys"], args, &["--keys", &keys]].concat());
        assert_eq!(status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}

fn expose(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
}

#[test]
fn files_that_cant_be_used_are_named_at_the_start() {
    let folder = KeyFolder::new();
    folder.key(&["--role", "call"]);
    let agent = folder.agent("a");
    let file = folder.text("keys.toml");
    let broken = folder.text("broken");
    fs::write(&broken, "[[key]]\nid = \"x").expect("written");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).expect("a mode");
    let missing = folder.text("missing");
    let refused = |args: &[&str], part: &str| {
        let (status, _, stderr) = output(args);
        assert_eq!(status.code(), Some(1), "{args:?}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.contains(part), "{args:?}: {stderr}");
    };
    let registry = ["registry", "--listen", "127.0.0.1:0", "--keys"];
    refused(&[&registry[..], &[&missing]].concat(), "No such file");
    refused(&[&registry[..], &[&broken]].concat(), "broken: line 2: invalid basic string");
    expose(Path::new(&file));
    refused(&[&registry[..], &[&file]].concat(), "chmod 600");
    expose(Path::new(&agent));
    refused(&["call", "127.0.0.1:1", "info", "--key-file", &agent], "chmod 600");
    let mut command = mesh(&["call", "127.0.0.1:1", "info"]);
    let output = command.env("MESH_KEY", "hunter2").output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("MESH_KEY") && !stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn each_key_opens_its_doors_and_says_so_in_the_right_words() {
    let folder = KeyFolder::new();
    let keys: Vec<String> = ["call", "observe", "admin"]
        .iter()
        .map(|role| folder.key(&["--role", role]))
        .chain([folder.key(&["--role", "register", "--names", "a"])])
        .collect();
    let [call, observe, admin, register] = &keys[..] else { panic!("four keys") };
    let expired = folder.key(&["--role", "call", "--expires", "1s"]);
    let file = folder.text("keys.toml");
    let registry = Service::registry(&["--keys", &file, "--log", "debug"]);
    let agent = Service::unregistered("a", "127.0.0.1:1", &["--keys", &file]);
    for (address, method, path, expected) in [
        (&registry.address, "GET", "/services", [200, 200, 200, 200]),
        (&registry.address, "GET", "/metrics", [403, 200, 200, 403]),
        (&registry.address, "POST", "/register", [403, 403, 400, 400]),
        (&registry.address, "GET", "/nothing", [404, 404, 404, 404]),
        (&agent.address, "POST", "/rpc", [200, 403, 200, 403]),
        (&agent.address, "GET", "/metrics", [403, 200, 200, 403]),
    ] {
        for (key, expected) in keys.iter().zip(expected) {
            assert_eq!(status(address, method, path, key), expected, "{path} with {}", id(key));
        }
    }
    // A new address would have as many failures again, so these are few.
    let body = json!({ "name": "b", "url": "127.0.0.1:1" }).to_string();
    let with = |key: &str| format!("authorization: Bearer {key}\r\n");
    let other = head(&registry.address, "POST", "/register", &with(register), &body);
    assert!(other.starts_with("http/1.1 403 ") && other.contains("insufficient_scope"), "{other}");
    let missing = head(&agent.address, "POST", "/rpc", "", "{}");
    assert!(missing.starts_with("http/1.1 401 "), "{missing}");
    assert!(missing.contains("www-authenticate: bearer realm=\"mesh\"\r\n"), "{missing}");
    let wrong = format!("{}{}", &call[..call.len() - 4], "0000");
    for key in [&*wrong, "hunter2", ""] {
        let answer = head(&agent.address, "POST", "/rpc", &with(key), "{}");
        assert!(answer.starts_with("http/1.1 401 "), "{answer}");
        assert!(answer.contains("error=\"invalid_token\""), "{answer}");
        assert!(!answer.contains("hunter2"), "nothing is repeated: {answer}");
    }
    until("the key expires", || status(&agent.address, "POST", "/rpc", &expired) == 401);
    let alias = head(&agent.address, "GET", "/metrics", &format!("x-api-key: {observe}\r\n"), "");
    assert!(alias.starts_with("http/1.1 200 "), "{alias}");
    let used = format!("mesh_key_last_used_timestamp_seconds{{id=\"{}\"", id(call)).to_lowercase();
    assert!(alias.contains(&used), "{alias}");
    // Refused before the body is read: it never comes.
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: 1000000\r\nexpect: 100-continue\r\n\r\n",
        agent.address
    );
    let answer = raw(&agent.address, request.as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(status(&agent.address, "GET", "/metrics", admin), 200);
    drop(agent);
    let mut registry = registry;
    registry.process.signal("TERM");
    registry.process.end();
    let log = registry.process.rest().join("\n");
    for key in &keys {
        assert!(!log.contains(key.rsplit('_').next().expect("a secret")), "{log}");
    }
}

#[test]
fn whoever_fails_too_often_is_told_to_wait() {
    let folder = KeyFolder::new();
    let good = folder.key(&["--role", "observe"]);
    let registry = Service::registry(&["--keys", &folder.text("keys.toml")]);
    let statuses: Vec<u16> =
        (0..20).map(|_| status(&registry.address, "GET", "/services", "guess")).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[19], 429);
    let answer = head(&registry.address, "GET", "/services", "x-api-key: guess\r\n", "");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(status(&registry.address, "GET", "/services", &good), 200, "others aren't harmed");
}

/// What everybody on the machine can read of a process.
fn command_line(process: &Process) -> String {
    let path = format!("/proc/{}/cmdline", process.id());
    fs::read_to_string(path).expect("a command line").replace('\0', " ")
}

#[test]
fn a_mesh_with_keys_works_and_nobody_else_gets_in() {
    let folder = KeyFolder::new();
    let (ann, bob) = (folder.agent("ann"), folder.agent("bob"));
    let caller = folder.text("caller.key");
    folder.keys(&["new", "--role", "call", "--to", &caller]);
    let file = folder.text("keys.toml");
    let registry = Service::registry(&["--keys", &file]);
    let agent = |name: &str, key: &str| {
        let args = ["--keys", &file, "--key-file", key, "--refresh", "200ms", "--demand", "1ms"];
        Service::agent(name, &registry.address, &args)
    };
    let (first, _second) = (agent("ann", &ann), agent("bob", &bob));
    let orchestrate = |key: &str| {
        let args = ["orchestrate", "--registry", &registry.address, "--key-file", key, "--json"];
        output(&args)
    };
    let mut answer = String::new();
    until("both work", || {
        let (status, stdout, _) = orchestrate(&caller);
        answer = stdout;
        status.success()
    });
    assert!(answer.contains("Processed: parallel workload"), "{answer}");
    let (status, stdout, stderr) =
        output(&["call", &first.address, "info", "--key-file", &caller, "--json"]);
    assert!(status.success() && stdout.contains("\"ann\""), "{stderr}");
    let (status, _, stderr) = output(&["orchestrate", "--registry", &registry.address]);
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("401") && stderr.contains("--key-file"), "{stderr}");
    let (status, _, stderr) = output(&["call", &first.address, "info"]);
    assert!(!status.success() && stderr.contains("401"), "{stderr}");
    for process in [&registry.process, &first.process] {
        let line = command_line(process);
        assert!(line.contains("--keys") && !line.contains("mesh_"), "{line}");
    }
    // A key of another name, and the right key of nobody.
    let other = Service::unregistered("bob", &registry.address, &["--key-file", &ann]);
    other.process.line("is not for that name");
    let none = Service::unregistered("carl", &registry.address, &[]);
    none.process.line("this service asks for a key");
}

#[test]
fn a_held_name_is_its_owners() {
    let folder = KeyFolder::new();
    let new = |owner: &str| {
        let file = folder.text(&format!("{owner}.key"));
        let args = ["new", "--role", "register", "--names", "*", "--owner", owner, "--to", &file];
        folder.keys(&args);
        file
    };
    let (mine, yours) = (new("mine"), new("yours"));
    let registry = Service::registry(&["--keys", &folder.text("keys.toml")]);
    let holder = Service::agent("a", &registry.address, &["--key-file", &mine]);
    let other = Service::unregistered("a", &registry.address, &["--key-file", &yours]);
    let line = registry.process.line("held by somebody else");
    assert!(line.contains(&holder.address) && line.contains(&other.address), "{line}");
    let line = other.process.line("another process has this name");
    assert!(line.contains(&holder.address) && line.contains(&other.address), "{line}");
    // Its own next life takes the name at once, and so does one with another key of its owner.
    let ids = folder.keys(&["list", "--json"]);
    let ids: Value = serde_json::from_str(&ids).expect("JSON");
    let id = ids.as_array().expect("a list").iter().find(|key| key["owner"] == "mine");
    let id = id.and_then(|key| key["id"].as_str()).expect("an id").to_owned();
    folder.keys(&["new", "--rotate", &id, "--to", &mine]);
    registry.process.line("keys read again");
    let next = Service::agent("a", &registry.address, &["--key-file", &mine]);
    registry.process.line("replaced");
    drop(next);
}

#[test]
fn a_registry_with_a_directory_remembers_whose_a_name_is() {
    let folder = KeyFolder::new();
    let key = |owner: &str| folder.key(&["--role", "register", "--names", "*", "--owner", owner]);
    let (mine, yours, admin) = (key("mine"), key("yours"), folder.key(&["--role", "admin"]));
    let (file, data) = (folder.text("keys.toml"), folder.text("data"));
    let args = ["--keys", &file, "--data-dir", &data];
    let answer = |registry: &Service, path: &str, key: &str, body: Value| {
        let fields = format!("authorization: Bearer {key}\r\n");
        let answer = head(&registry.address, "POST", path, &fields, &body.to_string());
        answer["http/1.1 ".len()..].to_owned()
    };
    let lease = |number: u64| json!({ "name": "a", "url": "127.0.0.1:1", "incarnation": number });
    let mut registry = Service::registry(&args);
    assert!(answer(&registry, "/register", &mine, lease(1)).starts_with("200"));
    let mark = json!({ "name": "a", "draining": true });
    assert!(answer(&registry, "/drain", &mine, mark.clone()).starts_with("403"));
    assert!(answer(&registry, "/drain", &admin, mark).starts_with("200"));
    registry.process.signal("KILL");
    registry.process.end();
    let registry = Service::registry(&args);
    let refused = answer(&registry, "/register", &yours, lease(2));
    assert!(refused.starts_with("409") && refused.contains("\"held\""), "{refused}");
    let goodbye = json!({ "name": "a" });
    assert!(answer(&registry, "/deregister", &yours, goodbye.clone()).starts_with("409"));
    assert!(answer(&registry, "/register", &mine, lease(2)).starts_with("200"));
    assert!(answer(&registry, "/deregister", &mine, goodbye).starts_with("200"));
    assert!(answer(&registry, "/register", &yours, lease(3)).starts_with("200"));
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let folder = KeyFolder::new();
    let old = folder.key(&["--role", "observe"]);
    let registry = Service::registry(&["--keys", &folder.text("keys.toml")]);
    let services = |key: &str| status(&registry.address, "GET", "/services", key);
    assert_eq!(services(&old), 200);
    let new = folder.key(&["--rotate", id(&old)]);
    until("the new key is taken", || services(&new) == 200);
    assert_eq!(services(&old), 200, "and the old one still is");
    // Half a file, and none at all, leave things as they are.
    let path = folder.path("keys.toml");
    let whole = fs::read_to_string(&path).expect("a file");
    fs::write(&path, &whole[..whole.len() * 2 / 3]).expect("written");
    registry.process.line("the keys stay as they were");
    fs::write(&path, "").expect("written");
    registry.process.line("the keys stay as they were");
    assert_eq!((services(&old), services(&new)), (200, 200));
    let page = head(&registry.address, "GET", "/metrics", &format!("x-api-key: {new}\r\n"), "");
    assert!(page.contains("mesh_key_reload_failures_total 2"), "{page}");
    fs::write(&path, whole).expect("written");
    folder.keys(&["revoke", id(&old)]);
    until("the old key is not taken", || services(&old) != 200);
    assert_eq!(services(&new), 200);
    folder.keys(&["revoke", id(&new)]);
    until("no key is taken", || services(&new) != 200);
}
