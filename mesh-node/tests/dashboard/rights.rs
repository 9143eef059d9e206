//! Who may see the dashboard, and who may send jobs from it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::process::{Service, output, raw, until};
use crate::viewer::{Viewer, agent};

/// A folder with the keys of a mesh.
pub(crate) struct Keys(tempfile::TempDir);

impl Keys {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self) -> String {
        self.path("keys.toml").to_str().expect("text").to_owned()
    }

    fn run(&self, args: &[&str]) -> String {
        let file = self.file();
        let (status, stdout, stderr) =
            output(&[&["keys", args[0], "--keys", &file], &args[1..]].concat());
        assert!(status.success(), "{args:?}: {stderr}");
        stdout.trim().to_owned()
    }

    /// Makes a key of this role.
    pub(crate) fn key(&self, role: &str) -> String {
        self.run(&["new", "--role", role])
    }

    /// The file with the keys of an agent.
    pub(crate) fn agent(&self, name: &str) -> String {
        let file = self.path(&format!("{name}.key")).to_str().expect("text").to_owned();
        self.run(&["new", "--role", "register", "--names", name, "--to", &file]);
        self.run(&["new", "--role", "call", "--to", &file]);
        file
    }
}

/// An answer: its status, its head in lower case, and its body.
struct Answered(u16, String, String);

fn ask(address: &str, method: &str, path: &str, fields: &str, body: &str) -> Answered {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
    );
    let answer = raw(address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answered(status.unwrap_or_default(), head.to_owned(), body.to_owned())
}

/// Signs in with a key, and with the pass that there is already. The cookie, as a header field.
fn sign_in(address: &str, key: &str, before: &str) -> String {
    let body = json!({ "key": key }).to_string();
    let Answered(status, head, body) = ask(address, "POST", "/dashboard/sign-in", before, &body);
    assert_eq!(status, 204, "{body}");
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: "));
    let (_, cookie) = line.expect("a cookie").split_once(": ").expect("a field");
    let port = address.rsplit(':').next().expect("a port");
    assert!(cookie.starts_with(&format!("mesh_pass_{port}=")), "{cookie}");
    for part in ["; Path=/dashboard", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().expect("a pair");
    assert_eq!(pair.split('=').nth(1).map(str::len), Some(64), "256 bits");
    format!("cookie: {pair}\r\n")
}

fn rights(address: &str, fields: &str) -> (bool, bool) {
    let Answered(status, _, body) = ask(address, "GET", "/dashboard/rights", fields, "");
    assert_eq!(status, 200, "{body}");
    let rights: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(rights["asks_keys"], true);
    (rights["observe"] == true, rights["call"] == true)
}

const JOB: &str = r#"{"agent": "a", "method": "work", "text": "hello"}"#;

#[test]
fn a_pass_may_do_what_its_keys_may_and_nothing_else() {
    let keys = Keys::new();
    let [observe, call, admin] = ["observe", "call", "admin"].map(|role| keys.key(role));
    let registry = Service::registry(&["--keys", &keys.file()]);
    let agent_keys = keys.agent("a");
    let options = ["--keys", &keys.file(), "--key-file", &agent_keys, "--demand", "1ms"];
    let _agent = Service::agent("a", &registry.address, &options);
    let address = &registry.address;
    assert_eq!(ask(address, "GET", "/dashboard", "", "").0, 200, "the page has no data in it");
    assert_eq!(rights(address, ""), (false, false));
    assert_eq!(ask(address, "GET", "/dashboard/events", "", "").0, 401);
    assert_eq!(ask(address, "POST", "/dashboard/send", "", JOB).0, 401);

    let sees = sign_in(address, &observe, "");
    assert_eq!(rights(address, &sees), (true, false));
    assert_eq!(ask(address, "GET", "/dashboard/state", &sees, "").0, 200);
    assert_eq!(ask(address, "POST", "/dashboard/send", &sees, JOB).0, 401);
    // A second key adds to the first one.
    let both = sign_in(address, &call, &sees);
    assert_eq!(rights(address, &both), (true, true));
    assert_eq!(rights(address, &sees), (false, false), "the text of a pass is used up");
    let Answered(status, _, body) = ask(address, "POST", "/dashboard/send", &both, JOB);
    assert!(status == 200 && body.contains("Processed: hello"), "{status} {body}");
    // An admin key is shown to no agent.
    let all = sign_in(address, &admin, "");
    assert_eq!(rights(address, &all), (true, false));
    let Answered(status, _, body) = ask(address, "POST", "/dashboard/send", &all, JOB);
    assert!(status == 403 && body.contains("role `call`"), "{status} {body}");
    assert_eq!(rights(address, &sign_in(address, &call, &all)), (true, true));
    // Programs show their keys themselves.
    let bearer = format!("authorization: Bearer {observe}\r\n");
    assert_eq!(ask(address, "GET", "/dashboard/state", &bearer, "").0, 200);

    let Answered(status, head, _) = ask(address, "POST", "/dashboard/sign-out", &both, "{}");
    assert!(status == 204 && head.contains("Max-Age=0"), "{head}");
    assert_eq!(rights(address, &both), (false, false));
}

#[test]
fn a_pass_is_for_the_dashboard_alone() {
    let keys = Keys::new();
    let observe = keys.key("observe");
    let registry = Service::registry(&["--keys", &keys.file()]);
    let sees = sign_in(&registry.address, &observe, "");
    for (method, path) in [("GET", "/services"), ("GET", "/metrics"), ("POST", "/drain")] {
        assert_eq!(ask(&registry.address, method, path, &sees, "{}").0, 401, "{path}");
    }
}

#[test]
fn a_key_that_opens_nothing_here_gets_no_pass() {
    let keys = Keys::new();
    let register = keys.run(&["new", "--role", "register", "--names", "a"]);
    let registry = Service::registry(&["--keys", &keys.file()]);
    let body = json!({ "key": register }).to_string();
    let Answered(status, head, body) =
        ask(&registry.address, "POST", "/dashboard/sign-in", "", &body);
    assert!(status == 403 && body.contains("role `register`"), "{status} {body}");
    assert!(!head.to_lowercase().contains("set-cookie"), "{head}");
}

#[test]
fn only_its_owner_tells_for_an_agent() {
    let keys = Keys::new();
    let key = |owner: &str| {
        let key = keys.run(&["new", "--role", "register", "--names", "team-*", "--owner", owner]);
        format!("authorization: Bearer {key}\r\n")
    };
    let (ann, bob) = (key("ann"), key("bob"));
    let registry = Service::registry(&["--keys", &keys.file()]);
    let lease = r#"{"name": "team-a", "url": "127.0.0.1:1"}"#;
    let Answered(status, _, body) = ask(&registry.address, "POST", "/register", &ann, lease);
    assert_eq!(status, 200, "{body}");
    let told = r#"{"name": "team-a", "url": "127.0.0.1:1", "telemetry": {"window_ms": 1}}"#;
    for (fields, expected) in [(&bob, 404), (&ann, 200)] {
        let Answered(status, _, body) = ask(&registry.address, "POST", "/telemetry", fields, told);
        assert_eq!(status, expected, "{body}");
    }
}

#[test]
fn a_revoked_key_ends_its_passes_and_their_views() {
    let keys = Keys::new();
    let (observe, _other) = (keys.key("observe"), keys.key("call"));
    let registry = Service::registry(&["--keys", &keys.file()]);
    let pass = sign_in(&registry.address, &observe, "");
    let mut viewer = Viewer::open(&registry.address, &pass);
    assert!(viewer.next().is_some());
    let id = observe.split('_').nth(2).expect("an id");
    keys.run(&["revoke", id]);
    while viewer.next().is_some() {}
    assert_eq!(rights(&registry.address, &pass), (false, false));
}

#[test]
fn a_process_of_its_own_has_its_own_keys_and_shows_agents_those_of_its_callers() {
    let keys = Keys::new();
    let (observe, call, file) = (keys.key("observe"), keys.key("call"), keys.file());
    let own = keys.path("own.key").to_str().expect("text").to_owned();
    keys.run(&["new", "--role", "observe", "--to", &own]);
    let registry = Service::registry(&["--keys", &file]);
    let agent_keys = keys.agent("a");
    let options = ["--keys", &file, "--key-file", &agent_keys, "--demand", "1ms"];
    let _agent = Service::agent("a", &registry.address, &options);
    let usual = [
        "dashboard",
        "--listen",
        "127.0.0.1:0",
        "--registry",
        &registry.address,
        "--key-file",
        &own,
    ];
    let dashboard = Service::start(&[&usual[..], &["--keys", &file]].concat());
    let address = &dashboard.address;
    assert_eq!(ask(address, "GET", "/dashboard/state", "", "").0, 401);
    let sees = sign_in(address, &observe, "");
    let mut viewer = Viewer::open(address, &sees);
    viewer.find("the agent", |update| agent(update, "a").is_object());
    let both = sign_in(address, &call, &sees);
    let Answered(status, _, body) = ask(address, "POST", "/dashboard/send", &both, JOB);
    assert!(status == 200 && body.contains("Processed: hello"), "{status} {body}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["trace"].as_str().map(str::len), Some(32), "{body}");
    // One that asks for no keys shows its own, and this one may only observe.
    let open = Service::start(&usual);
    assert!(ask(&open.address, "GET", "/dashboard/state", "", "").2.contains("\"a\""));
    let Answered(status, _, body) = ask(&open.address, "POST", "/dashboard/send", "", JOB);
    assert!(status == 502 && body.contains("401"), "{status} {body}");
}

#[test]
fn what_is_no_key_gets_no_pass_and_is_not_repeated() {
    let keys = Keys::new();
    let good = keys.key("observe");
    let registry = Service::registry(&["--keys", &keys.file()]);
    let address = &registry.address;
    let wrong = format!("{}{}", &good[..good.len() - 8], "AAAAAAAA");
    let mut last = 0;
    for (body, expected) in [
        (json!({ "key": wrong }).to_string(), 401),
        (json!({ "key": "hunter2" }).to_string(), 401),
        (json!({ "key": 7 }).to_string(), 400),
        ("hunter2".to_owned(), 400),
        (json!({ "key": "x".repeat(200_000) }).to_string(), 413),
    ] {
        let Answered(status, head, answer) = ask(address, "POST", "/dashboard/sign-in", "", &body);
        assert_eq!(status, expected, "{answer}");
        assert!(!head.to_lowercase().contains("set-cookie"), "{head}");
        assert!(!answer.contains("AAAAAAAA") && !answer.contains("hunter2"), "{answer}");
    }
    let body = json!({ "key": wrong }).to_string();
    for _ in 0..20 {
        last = ask(address, "POST", "/dashboard/sign-in", "", &body).0;
    }
    assert_eq!(last, 429, "who tries too often has to wait");
    assert!(sign_in(address, &good, "").len() > 64, "a good key is taken all the same");
    // A form of another page can't sign anybody in: it can't send JSON.
    let fields = "content-type: text/plain\r\n";
    let request = format!(
        "POST /dashboard/sign-in HTTP/1.1\r\nhost: {address}\r\n{fields}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    assert!(raw(address, request.as_bytes()).starts_with("HTTP/1.1 415"));
}

#[test]
fn jobs_go_to_listed_agents_only_and_have_limits() {
    let registry = Service::registry(&[]);
    let _agent = Service::agent("a", &registry.address, &["--demand", "1ms"]);
    let send = |body: &str| {
        let Answered(status, _, body) = ask(&registry.address, "POST", "/dashboard/send", "", body);
        (status, body)
    };
    let (status, body) = send(JOB);
    assert!(status == 200 && body.contains("Processed: hello"), "{body}");
    let long = json!({ "agent": "a", "method": "work", "text": "x".repeat(70_000) }).to_string();
    for (body, expected, part) in [
        (JOB.replace("\"a\"", "\"b\""), 404, "no agent b is listed"),
        (JOB.replace("\"a\"", "\"127.0.0.1:1\""), 404, "no name of an agent"),
        (JOB.replace("\"a\"", "\"<b>\""), 404, "no name of an agent"),
        (JOB.replace("work", "info"), 400, "unknown variant"),
        (JOB.replace("hello\"", "hello\", \"url\": \"127.0.0.1:1\""), 400, "unknown field"),
        (JOB.replace("hello\"", "hello\", \"timeout_ms\": 0"), 400, "a timeout may be"),
        (JOB.replace("hello\"", "hello\", \"timeout_ms\": 300001"), 400, "a timeout may be"),
        (long, 400, "a text may have"),
    ] {
        let (status, answer) = send(&body);
        assert_eq!(status, expected, "{body}: {answer}");
        assert!(answer.contains(part), "{answer}");
    }
    let (status, answer) = send(&JOB.replace("hello\"", "hello\", \"skill\": \"none\""));
    assert!(status == 200 && answer.contains("no agent has the skill"), "{answer}");
    // An agent that is listed and does not answer is named.
    let lease = r#"{"name": "dead", "url": "127.0.0.1:1"}"#;
    assert_eq!(ask(&registry.address, "POST", "/register", "", lease).0, 200);
    until("an answer for the dead one", || {
        let (status, answer) = send(&JOB.replace("\"a\"", "\"dead\""));
        status == 502 && answer.contains("dead did not answer")
    });
}
