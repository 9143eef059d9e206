//! Python and Node with the packages that the tests need, installed once under `target/`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
const TARGET: &str = env!("CARGO_TARGET_TMPDIR");

/// The path of an installed runtime, or the reason why it can't be used.
type Runtime = Result<PathBuf, String>;

/// A Python with the packages of `requirements.txt`.
pub(crate) fn python() -> Option<Command> {
    static PYTHON: OnceLock<Runtime> = OnceLock::new();
    let python = available("Python", PYTHON.get_or_init(install_python))?;
    Some(Command::new(python))
}

/// A Python without any packages: the name of the program.
pub(crate) fn plain_python() -> Option<&'static str> {
    const PROGRAM: &str = "python3";
    static PYTHON: OnceLock<Runtime> = OnceLock::new();
    let find = || run(Command::new(PROGRAM).arg("--version")).map(|()| PROGRAM.into());
    available("Python", PYTHON.get_or_init(find))?.to_str()
}

/// A Node that finds the packages of `package.json`.
pub(crate) fn node() -> Option<Command> {
    static NODE: OnceLock<Runtime> = OnceLock::new();
    let modules = available("Node", NODE.get_or_init(install_node))?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    Some(command)
}

/// The path of a source file of these tests.
pub(crate) fn source(name: &str) -> String {
    format!("{SOURCES}/{name}")
}

fn available<'a>(name: &str, runtime: &'a Runtime) -> Option<&'a Path> {
    match runtime {
        Ok(path) => Some(path),
        Err(reason) => {
            assert!(std::env::var_os("MESH_REQUIRE_INTEROP").is_none(), "{name}: {reason}");
            // Written directly, because the test harness hides what a passing test prints.
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED an interoperability test: {name} is not available: {reason}\n"
            );
            None
        }
    }
}

fn install_python() -> Runtime {
    let home = Path::new(TARGET).join("interop-python");
    let python = home.join("bin/python");
    install("requirements.txt", &home, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&python).args(pip).arg(source("requirements.txt")))
    })?;
    Ok(python)
}

fn install_node() -> Runtime {
    let home = Path::new(TARGET).join("interop-node");
    run(Command::new("node").arg("--version"))?;
    install("package.json", &home, || {
        fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        fs::copy(source("package.json"), home.join("package.json"))
            .map_err(|error| error.to_string())?;
        let npm = ["install", "--silent", "--no-fund", "--no-audit", "--prefix"];
        run(Command::new("npm").args(npm).arg(&home))
    })?;
    Ok(home.join("node_modules"))
}

/// Installs packages, unless the same list has been installed before.
fn install(
    list: &str,
    home: &Path,
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let wanted = fs::read(source(list)).map_err(|error| error.to_string())?;
    let done = home.join("installed");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(done, wanted).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {}", output.status, complaint.trim_end()))
}
