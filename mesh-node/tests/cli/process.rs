//! Starts processes of the `mesh` binary and talks to them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything takes that goes well, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// A command that starts `mesh`, without settings from the environment of the tests.
pub(crate) fn mesh(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESH_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs `mesh` to its end: exit status, standard output, standard error.
pub(crate) fn output(args: &[&str]) -> (ExitStatus, String, String) {
    let Output { status, stdout, stderr } = mesh(args).output().expect("the binary");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status, text(stdout), text(stderr))
}

/// A running process, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Mutex<Receiver<String>>,
}

impl Process {
    /// Starts a command. Its standard output and error are read together, line by line.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        let (sender, lines) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("a pipe")),
            Box::new(child.stderr.take().expect("a pipe")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines: Mutex::new(lines) }
    }

    /// A process whose output somebody else reads.
    pub(crate) fn from(child: Child) -> Self {
        Self { child, lines: Mutex::new(channel().1) }
    }

    fn lines(&self) -> MutexGuard<'_, Receiver<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line that contains `what`.
    pub(crate) fn line(&self, what: &str) -> String {
        let lines = self.lines();
        let mut seen = Vec::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line with {what:?}: {error}; seen:\n{}", seen.join("\n")),
            }
        }
    }

    /// All further lines up to the end of the process.
    pub(crate) fn rest(&self) -> Vec<String> {
        let lines = self.lines();
        std::iter::from_fn(|| lines.recv_timeout(PATIENCE).ok()).collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`"TERM"`, `"KILL"` ...).
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Writes to its standard input, which is a pipe.
    pub(crate) fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(text.as_bytes()).expect("written");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("its end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that serves, and its address.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) address: String,
}

impl Service {
    /// Starts `mesh` and waits until it says where it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::from(Process::start(mesh(args)))
    }

    /// Waits until this process says where it listens.
    pub(crate) fn from(process: Process) -> Self {
        let line = process.line("listens");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
        Self { process, address }
    }

    pub(crate) fn registry(args: &[&str]) -> Self {
        Self::start(&[&["registry", "--listen", "127.0.0.1:0"], args].concat())
    }

    /// Starts an agent and waits until it has registered.
    pub(crate) fn agent(name: &str, registry: &str, args: &[&str]) -> Self {
        let agent = Self::unregistered(name, registry, args);
        agent.process.line("registered");
        agent
    }

    /// Starts an agent without waiting for its registration.
    pub(crate) fn unregistered(name: &str, registry: &str, args: &[&str]) -> Self {
        let first = ["agent", "--name", name, "--registry", registry, "--listen", "127.0.0.1:0"];
        Self::start(&[&first, args].concat())
    }

    /// The result or error of a JSON-RPC call.
    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        call(&self.address, method, params)
    }

    /// Waits until the agent knows this many peers.
    pub(crate) fn await_peers(&self, count: usize) {
        let line = format!("mesh_peers {count}\n");
        until(&line, || get(&self.address, "/metrics").1.contains(&line));
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if is_so() {
            return;
        }
        pause(STEP);
    }
    panic!("waited in vain for {what}");
}

#[expect(clippy::disallowed_methods, reason = "these tests live in real time")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// One HTTP exchange: status and body.
pub(crate) fn http(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    try_http(address, method, path, body).expect("an answer")
}

pub(crate) fn try_http(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
}

/// Sends bytes, and returns what comes until the connection closes or the time is over.
pub(crate) fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The server may have refused before the last byte.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    http(address, "GET", path, "")
}

/// The JSON of a `GET`.
pub(crate) fn json_at(address: &str, path: &str) -> Value {
    let (status, body) = get(address, path);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// One JSON-RPC call.
pub(crate) fn call(address: &str, method: &str, params: Value) -> Result<Value, Value> {
    try_call(address, method, params).expect("an answer")
}

pub(crate) fn try_call(
    address: &str,
    method: &str,
    params: Value,
) -> std::io::Result<Result<Value, Value>> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let (status, answer) = try_http(address, "POST", "/rpc", &body.to_string())?;
    let mut answer: Value = serde_json::from_str(&answer)
        .map_err(|_| std::io::Error::other(format!("HTTP status {status}: {answer}")))?;
    Ok(match answer.get_mut("error").map(Value::take) {
        Some(error) => Err(error),
        None => Ok(answer["result"].take()),
    })
}
