//! Redis and etcd as processes, on ports of the loopback interface.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use mesh_node::process::console::say;
use mesh_node::registry::store::{StoreCertificates, StorePlace};
use tempfile::TempDir;

use crate::authority::StoreAuthority;
use crate::subject::LONG;

/// If it is set, all programs that tests use must be there. Without it, people without them can
/// run the other tests.
const DEMANDED: &str = "MESH_TEST_PROGRAMS";

/// Ends its program when the tests end, however they do: then the pipe is closed.
const GUARD: &str = "\"$@\" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $!";

/// A server that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Redis,
    Etcd,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Etcd => "etcd",
        }
    }
}

/// Whether the program is there. If it must be and is not, the test fails.
pub(crate) fn is_there(program: Program) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let name = program.name();
    let is_there = env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if !is_there {
        assert!(env::var_os(DEMANDED).is_none(), "{DEMANDED} is set, but there is no {name}");
        say(&format!("skipped: there is no `{name}` on the search path"));
    }
    is_there
}

/// The server that tests share which don't kill it.
pub(crate) fn shared(program: Program) -> &'static Server {
    static REDIS: LazyLock<Server> = LazyLock::new(|| Server::start(Program::Redis));
    static ETCD: LazyLock<Server> = LazyLock::new(|| Server::start(Program::Etcd));
    match program {
        Program::Redis => &REDIS,
        Program::Etcd => &ETCD,
    }
}

/// A running server.
pub(crate) struct Server {
    program: Program,
    port: u16,
    other_port: u16,
    directory: TempDir,
    guard: Child,
    pid: String,
    /// With what others call it; `None` if it has no TLS.
    certificates: Option<StoreCertificates>,
}

impl Server {
    /// Starts a server with an empty directory, and waits until it answers.
    pub(crate) fn start(program: Program) -> Self {
        let (port, other_port) = (free_port(), free_port());
        let directory = TempDir::new().expect("a directory");
        let (guard, pid) = spawn(plain(program, port, other_port, &directory));
        let server = Self { program, port, other_port, directory, guard, pid, certificates: None };
        server.wait();
        server
    }

    /// As [`Self::start`], for a server with TLS that asks for certificates and has that of the name
    /// "store".
    pub(crate) fn start_with_tls(program: Program, authority: &StoreAuthority) -> Self {
        let (port, other_port) = (free_port(), free_port());
        let directory = TempDir::new().expect("a directory");
        let (guard, pid) = spawn(with_tls(program, port, (other_port, &directory), authority));
        let certificates = Some(authority.files("registry"));
        let server = Self { program, port, other_port, directory, guard, pid, certificates };
        server.wait();
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn place(&self, mesh: &str) -> StorePlace {
        let url = format!("{}{}?mesh={mesh}", self.scheme(), self.address());
        url.parse().expect("a place")
    }

    pub(crate) fn program(&self) -> Program {
        self.program
    }

    /// How urls of such stores begin.
    pub(crate) fn scheme(&self) -> &'static str {
        match (self.program, self.certificates.is_some()) {
            (Program::Redis, false) => "redis://",
            (Program::Redis, true) => "rediss://",
            (Program::Etcd, false) => "etcd://",
            (Program::Etcd, true) => "etcds://",
        }
    }

    /// Ends it at once, as a power cut does, but for what the operating system writes later.
    pub(crate) fn kill(&mut self) {
        let killed = Command::new("kill").args(["-9", &self.pid]).status().expect("kill");
        assert!(killed.success());
        drop(self.guard.stdin.take());
        self.guard.wait().expect("the guard's end");
    }

    /// Starts it again with what it has on its disk.
    pub(crate) fn restart(&mut self) {
        let command = plain(self.program, self.port, self.other_port, &self.directory);
        (self.guard, self.pid) = spawn(command);
        self.wait();
    }

    fn wait(&self) {
        let (place, tls) = (self.place("waiting"), self.certificates.clone().unwrap_or_default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // On a thread of its own, because the caller may be in a runtime.
        let waited = std::thread::spawn(move || {
            runtime.expect("a runtime").block_on(async {
                crate::until("the server", async || place.open_with(LONG, &tls).await.ok()).await;
            });
        });
        waited.join().expect("a server");
    }

    /// Sends commands to Redis, and gives back its answer to the last one.
    pub(crate) fn redis(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        answer
    }

    /// Calls a method of etcd.
    pub(crate) fn etcd(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        let length = body.len();
        let head = format!("POST {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

/// The command that starts a server.
fn plain(program: Program, port: u16, other_port: u16, directory: &TempDir) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh", program.name()]);
    match program {
        Program::Redis => {
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
            command.arg(directory.path());
        }
        Program::Etcd => {
            let (client, peer) = (address(port), address(other_port));
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.args(["--initial-cluster", &format!("default={peer}"), "--data-dir"]);
            command.arg(directory.path().join("data"));
        }
    }
    command
}

/// As [`plain`], where both ends show certificates.
fn with_tls(
    program: Program,
    port: u16,
    (other_port, directory): (u16, &TempDir),
    authority: &StoreAuthority,
) -> Command {
    let [cert, key, ca] = authority.paths("store");
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "sh", program.name()]);
    match program {
        Program::Redis => {
            command.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1"]);
            command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
            command.args(["--tls-cert-file", &cert, "--tls-key-file", &key]);
            command.args(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "yes", "--dir"]);
            command.arg(directory.path());
        }
        Program::Etcd => {
            let (client, peer) = (format!("https://127.0.0.1:{port}"), address(other_port));
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.args(["--initial-cluster", &format!("default={peer}")]);
            command.args(["--cert-file", &cert, "--key-file", &key]);
            command.args(["--trusted-ca-file", &ca, "--client-cert-auth", "--data-dir"]);
            command.arg(directory.path().join("data"));
        }
    }
    command
}

fn spawn(mut command: Command) -> (Child, String) {
    let mut guard = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut pid = String::new();
    let output = guard.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut pid).expect("a process");
    (guard, pid.trim().to_owned())
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
