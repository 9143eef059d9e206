//! The units of systemd in `packaging`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, mesh};

/// Where the units expect the program.
const INSTALLED: &str = "/usr/local/bin/mesh";

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let files = fs::read_dir(dir).expect("the units");
    let mut units: Vec<PathBuf> = files.map(|file| file.expect("a unit").path()).collect();
    units.sort();
    assert_eq!(units.len(), 2, "{units:?}");
    units
}

#[test]
fn the_commands_of_the_units_start() {
    for unit in units() {
        let text = fs::read_to_string(&unit).expect("its text");
        let command = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let command = command.expect("a command").replace("%i", "first");
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some(INSTALLED));
        let args: Vec<&str> = words.collect();
        Process::start(mesh(&[&args[..], &["--listen", "0"]].concat())).line("listens");
    }
}

#[test]
fn systemd_finds_no_mistake_in_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    for unit in units() {
        let text = fs::read_to_string(&unit).expect("its text");
        // It must be where the unit says that it is.
        let text = text.replace(INSTALLED, env!("CARGO_BIN_EXE_mesh"));
        // And so must the manual.
        let text: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("Documentation=")).collect();
        let name = unit.file_name().expect("a name").to_string_lossy().replace("@.", "@first.");
        let copy = dir.path().join(name);
        fs::write(&copy, text.join("\n")).expect("a file");
        let verify = Command::new("systemd-analyze").arg("verify").arg(&copy).output();
        let verify = verify.expect("it runs");
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        let own =
            |line: &&str| line.contains(&*dir.path().to_string_lossy()) || line.contains("mesh-");
        let complaints: Vec<&str> = said.lines().filter(own).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
