//! A headless Chromium that is driven by its DevTools protocol, over a pair of pipes.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

/// If this variable is set, there must be a browser.
const DEMANDED: &str = "MESH_TEST_PROGRAMS";

/// A browser with one page. It ends when it is dropped.
pub(crate) struct Chromium {
    child: Child,
    commands: File,
    answers: BufReader<File>,
    number: u64,
    session: String,
    // Removed at the end.
    _folder: tempfile::TempDir,
}

fn has_browser() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| Path::new(&dir).join("chromium").is_file())
}

impl Chromium {
    /// Starts the browser; `None` if there is none, which only the tests of CI must have.
    pub(crate) fn start() -> Option<Self> {
        if !has_browser() {
            assert!(env::var_os(DEMANDED).is_none(), "{DEMANDED} is set, but there is no chromium");
            eprintln!("skipped: there is no `chromium` on the search path");
            return None;
        }
        let folder = tempfile::tempdir().expect("a directory");
        let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        let (commands, answers) = (path("commands"), path("answers"));
        let made = Command::new("mkfifo").args([&commands, &answers]).status();
        assert!(made.expect("mkfifo").success());
        // The browser reads commands from descriptor 3 and writes to descriptor 4.
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec chromium \"$@\" 3<\"$COMMANDS\" 4>\"$ANSWERS\"", "sh"]);
        shell.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server"]);
        shell.args(["--remote-debugging-pipe", "--hide-scrollbars"]);
        shell.arg(format!("--user-data-dir={}", path("profile")));
        shell.env("COMMANDS", &commands).env("ANSWERS", &answers);
        let child = shell.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
        // Each waits for the other end.
        let commands = OpenOptions::new().write(true).open(&commands).expect("a pipe");
        let answers = BufReader::new(File::open(&answers).expect("a pipe"));
        let (number, session) = (0, String::new());
        let mut this = Self { child, commands, answers, number, session, _folder: folder };
        let target = this.command("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = this.command("Target.attachToTarget", target);
        this.session = attached["sessionId"].as_str().expect("a session").to_owned();
        this.command("Page.enable", json!({}));
        Some(this)
    }

    /// Sends a command, and gives back its result.
    pub(crate) fn command(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.as_str().into();
        }
        let bytes = [command.to_string().as_bytes(), &[0]].concat();
        self.commands.write_all(&bytes).expect("the browser takes commands");
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).expect("the browser answers");
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
            // Everything else is an event.
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// Opens a page of this size, in CSS pixels.
    pub(crate) fn open(&mut self, url: &str, width: u32, height: u32, is_dark: bool) {
        self.show(width, height, is_dark);
        self.command("Page.navigate", json!({ "url": url }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Changes the size and the scheme of the page.
    pub(crate) fn show(&mut self, width: u32, height: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.command("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.command("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// The value of an expression on the page, which may be a promise.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.command("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "these tests live in real time")]
    pub(crate) fn until(&mut self, expression: &str) {
        for _ in 0..600 {
            if self.value(&format!("Boolean({expression})")) == true {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("still not true: {expression}");
    }

    /// Writes what the page looks like to a folder, if the variable MESH_TEST_PICTURES names one.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = env::var_os("MESH_TEST_PICTURES") else { return };
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.command("Page.captureScreenshot", params);
        let text = picture["data"].as_str().expect("a picture").to_owned();
        let path = Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, text).expect("written");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its own processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
