//! The pages as a browser draws them: on a phone and on a desk, light and dark.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::TestDir;

/// If it is set, the browser must be there. Without it, people without the browser can run the
/// tests.
const DEMANDED: &str = "MESH_TEST_PROGRAMS";

/// Nine policies on unequal agents, with a burst and a fault.
const SCENARIO: &str = r#"
name = "drawn"
description = "Nine policies for some seconds"
duration = "8s"
warm_up = "1s"
drain = "2s"
seeds = [1, 2, 3, 4, 5]
agents = [{ name = "small", count = 4 }, { name = "big", count = 2, cores = 4, concurrency = 4 }]
workload = { arrivals = "poisson", rate = 40, bursts = [{ at = "3s", for = "1s", factor = 2.0 }], demand = { kind = "exponential", mean = "80ms" }, deadline = "2s" }
faults = [{ kind = "crash", at = "5s", for = "1s", hosts = "small-2" }]
policies = [
  "random", "round_robin", "least_loaded", "weighted", "power_of_two",
  { name = "power_of_two", choices = 3, label = "three" },
  { name = "power_of_two", choices = 4, label = "four" },
  { name = "power_of_two", signal = "own", label = "own" },
  { name = "least_loaded", signal = "reports", label = "least_stale" },
]
"#;

const POLICIES: u64 = 9;

/// What is measured of one page at one width.
struct Drawn(Value);

impl Drawn {
    fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| panic!("no {field} in {}", self.0))
    }

    fn titles(&self) -> Vec<&str> {
        let titles = self.0["titles"].as_array().expect("titles").iter();
        titles.map(|title| title.as_str().expect("a text")).collect()
    }

    /// What holds of every page. The first chart with lines has so many.
    fn check(&self, lines: u64) {
        let Self(drawn) = self;
        let name = &drawn["name"];
        assert!(self.number("scroll_width") <= self.number("width"), "{name} is too wide: {drawn}");
        let smallest = drawn["smallest_text"].as_f64().expect("texts");
        assert!(smallest >= 11.0, "{name} has text of {smallest} px");
        assert_eq!(self.number("outside"), 0, "{name} has text beyond its edge");
        assert_eq!(drawn["overlapping"], Value::Array(Vec::new()), "{name} has text on text");
        assert_eq!(self.number("flat_lines"), 0, "{name} has lines that do not show");
        assert!(drawn["answer"].is_string(), "{name} does not answer");
        assert_eq!([self.number("lines"), self.number("styles")], [lines; 2], "{name}");
        assert_ne!(drawn["switched"], false, "{name}: the first line can't be switched off");
        assert_eq!(drawn["switched"].is_null(), lines == 0, "{name}");
    }
}

/// Draws each page at each width and in each scheme, with one start of the browser.
fn drawn(dir: &TestDir, pages: &[(&str, &str)]) -> Vec<Drawn> {
    let script = format!("<script>{}</script>", include_str!("measure.js"));
    let mut frames = String::new();
    let mut expected = 0;
    for (name, file) in pages {
        let page = fs::read_to_string(dir.path(file)).expect(file);
        for (scheme, width) in [("light", 400), ("light", 1200), ("dark", 400)] {
            let page = match scheme {
                "dark" => page.replace("screen and (prefers-color-scheme: dark)", "screen"),
                _ => page.replace("screen and (prefers-color-scheme: dark)", "tty"),
            };
            let copy = format!("{name}-{scheme}-{width}.html");
            dir.write(&copy, &(page + &script));
            frames.push_str(&format!(
                "<iframe src=\"{copy}#{name}-{scheme}\" style=\"width:{width}px;border:0\"></iframe>"
            ));
            expected += 1;
        }
    }
    let collect = "<pre id=\"drawn\"></pre><script>addEventListener('message', event => \
                   document.getElementById('drawn').append(event.data + '\\n'))</script>";
    dir.write("all.html", &format!("<!DOCTYPE html>{collect}{frames}"));
    let profile = format!("--user-data-dir={}", dir.path("profile").display());
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"]);
    browser.args([&*profile, "--virtual-time-budget=10000", "--dump-dom"]);
    let output = browser.arg(dir.path("all.html")).output().expect("chromium runs");
    let dom = String::from_utf8(output.stdout).expect("a page");
    let measured =
        dom.split("<pre id=\"drawn\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let unescaped = measured.expect("what was measured").replace("&gt;", ">").replace("&lt;", "<");
    let lines = unescaped.replace("&amp;", "&");
    let drawn: Vec<Drawn> = lines
        .lines()
        .map(|line| Drawn(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))))
        .collect();
    assert_eq!(drawn.len(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    drawn
}

/// Whether the browser is on the search path.
fn has_browser() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .any(|dir: std::path::PathBuf| Path::new(&dir).join("chromium").is_file())
}

#[test]
fn a_browser_draws_everything_on_the_pages() {
    if !has_browser() {
        assert!(env::var_os(DEMANDED).is_none(), "{DEMANDED} is set, but there is no chromium");
        println!("skipped: there is no `chromium` on the search path");
        return;
    }
    let dir = TestDir::new();
    dir.write("drawn.toml", SCENARIO);
    let (code, _, err) = dir.ran(&["drawn.toml", "--engine", "event", "--out", "run"]);
    assert_eq!(code, 0, "{err}");
    let vary = "workload.rate=20,30,40";
    let sweep = ["sweep", "drawn.toml", "--engine", "event", "--vary", vary, "--out", "sweep"];
    assert_eq!(dir.ran(&sweep).0, 0);
    let chosen = ["recommend", "drawn.toml", "--quick", "--out", "advice", "--policy", "random"];
    assert_eq!(dir.ran(&[&chosen[..], &["--policy", "power_of_two"]].concat()).0, 0);
    dir.ran(&["compare", "run", "--baseline", "random", "--html", "compare.html"]);
    let pages = [
        ("run", "run/report.html"),
        ("sweep", "sweep/sweep.html"),
        ("advice", "advice/recommendation.html"),
        ("compare", "compare.html"),
    ];
    let all = drawn(&dir, &pages);
    let of = |page: &str| -> Vec<&Drawn> {
        all.iter().filter(|drawn| drawn.0["name"].as_str().unwrap().starts_with(page)).collect()
    };
    for (page, lines) in [("run", POLICIES), ("sweep", POLICIES), ("advice", 2), ("compare", 0)] {
        assert_eq!(of(page).len(), 3, "{page}");
        of(page).into_iter().for_each(|drawn| drawn.check(lines));
    }
    for Drawn(page) in &all {
        let is_dark = page["name"].as_str().is_some_and(|name| name.ends_with("dark"));
        let is_white = page["background"] == "rgb(255, 255, 255)";
        assert_ne!(is_dark, is_white, "{}: {}", page["name"], page["background"]);
    }
    for run in of("run") {
        assert_eq!(run.titles()[..2], ["Verdict", "What was simulated"]);
        assert_eq!(run.number("panels"), 5 * POLICIES);
        assert_eq!(run.number("parts"), 6 * POLICIES, "six phases");
        assert_eq!(run.number("whiskers"), 3 * (POLICIES - 1), "three figures less the first");
        assert!(run.number("values") > 3 * 10 * POLICIES, "values show on hover");
    }
    for advice in of("advice") {
        assert_eq!(advice.titles()[..2], ["Score card", "What was simulated"]);
        assert!(advice.number("best") >= 2 * 9, "each situation has a best policy");
        assert!(advice.number("bands") >= 2, "figures by load have bands");
    }
    for compare in of("compare") {
        assert_eq!(compare.titles(), ["What is compared", "What was simulated", "Differences"]);
        assert_eq!(compare.number("whiskers"), 6 * (POLICIES - 1), "six figures");
    }
    for sweep in of("sweep") {
        assert_eq!(sweep.titles()[0], "Score card");
        assert_eq!(sweep.number("bands"), 3 * POLICIES);
        assert_eq!(sweep.number("marks"), 3 * 3 * POLICIES, "three figures in three cells");
        assert_eq!(sweep.number("folded"), 3 + 1, "three cells and the file");
        assert!(sweep.number("best") >= 3, "each column of latencies has a best policy");
    }
}
