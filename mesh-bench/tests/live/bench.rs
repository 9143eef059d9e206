//! Runs `mesh-bench` and `mesh` as processes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use mesh_sim::report::summary::{self, ExperimentSummary};
use tempfile::TempDir;

/// Longer than anything takes that goes well, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// The `mesh` binary beside `mesh-bench`, built from the present source. Cargo knows it only as a
/// binary of another package, so it is built here if need be.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_mesh-bench")).with_file_name("mesh");
        if is_current(&path) {
            return path;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "mesh-node", "--bin", "mesh"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
        path
    })
}

/// Whether the binary was built after the last change of its sources, as it was if all tests are
/// run. Cargo is not asked, because it would compile the binary once more, with the features that
/// the package has on its own.
fn is_current(binary: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let changed =
        ["mesh-core/src", "mesh-node/src", "Cargo.lock"].map(|part| newest(&root.join(part)));
    let built = fs::metadata(binary).and_then(|file| file.modified());
    built.is_ok_and(|built| changed.iter().all(|changed| *changed < built))
}

/// The time of the latest change of a file, or of any file in a directory.
fn newest(path: &Path) -> SystemTime {
    let own = fs::metadata(path).and_then(|file| file.modified()).unwrap();
    if !path.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| newest(&entry.unwrap().path()));
    entries.fold(own, SystemTime::max)
}

/// A scenario file in a directory of its own.
pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new(scenario: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("small.toml"), scenario).unwrap();
        Self(dir)
    }

    fn command(&self, options: &[&str]) -> Command {
        binary();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-bench"));
        command.args(["live", "small.toml", "--out", "out"]).args(options);
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs `mesh-bench live` with the scenario to its end.
    pub(crate) fn live(&self, options: &[&str]) -> Output {
        self.command(options).output().unwrap()
    }

    /// Runs any command of `mesh-bench` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        binary();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-bench"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    /// Starts `mesh-bench live` with the scenario.
    pub(crate) fn start(&self) -> Child {
        self.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.0.path().join("out").join(name)
    }

    pub(crate) fn summary(&self) -> ExperimentSummary {
        summary::parse(&fs::read_to_string(self.out("summary.json")).unwrap()).unwrap()
    }
}

/// A process of `mesh` that serves, killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `mesh` and waits until it listens.
pub(crate) fn mesh(args: &[&str]) -> Service {
    let mut command = Command::new(binary());
    command.args(args).args(["--log", "info"]).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listens")).expect("it listens");
    let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
    // Somebody must go on reading its log, or it would lose lines.
    std::thread::spawn(move || lines.for_each(drop));
    Service { child, address }
}

/// The processes that a process has started, in the order of their ids.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut children: Vec<u32> =
        ids.filter(|id| status(*id).is_some_and(|(_, of)| of == parent)).collect();
    children.sort_unstable();
    children
}

/// Whether a process is there and is more than a zombie.
pub(crate) fn is_alive(id: u32) -> bool {
    status(id).is_some_and(|(state, _)| state != 'Z')
}

/// The state and the parent of a process: proc_pid_stat(5).
fn status(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

pub(crate) fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args(["-s", name, &id.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if is_so() {
            return;
        }
        pause();
    }
    panic!("waited in vain for {what}");
}

/// Gives a run the time to begin.
pub(crate) fn let_it_begin() {
    (0..100).for_each(|_| pause());
}

#[expect(clippy::disallowed_methods, reason = "these tests live in real time")]
fn pause() {
    std::thread::sleep(STEP);
}
