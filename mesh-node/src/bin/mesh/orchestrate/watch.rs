//! `mesh orchestrate --watch`: tables of all agents, of what they do in all and by policy, and of
//! who sends jobs to whom, drawn again every second.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use mesh_core::telemetry::Telemetry;
use mesh_node::dashboard::BoardUpdate;
use mesh_node::process::console::{is_open, print};
use mesh_node::process::signals::Stop;
use mesh_node::security::Credentials;
use serde_json::Value;

use super::super::remote_text::harmless;
use super::totals::{EdgeTotals, MeshTotals, per_second};
use super::{ListedAgent, MeshClient};

/// The time between two drawings.
const PERIOD: Duration = Duration::from_secs(1);
/// Escape sequence: switch to the terminal's other screen and hide the cursor.
const ENTER_SCREEN: &str = "\x1b[?1049h\x1b[?25l";
/// Escape sequence: show the cursor and switch back.
const LEAVE_SCREEN: &str = "\x1b[?25h\x1b[?1049l";
/// Escape sequence: move the cursor to the top left corner.
const CURSOR_HOME: &str = "\x1b[H";
/// Escape sequence: clear everything below the cursor.
const CLEAR_BELOW: &str = "\x1b[J";
/// Escape sequence: clear the rest of the line.
const CLEAR_LINE: &str = "\x1b[K";

/// How many edges are shown: the busiest.
const MOST_EDGES: usize = 10;

/// Draws until a signal comes or the output is closed. Draws once if the output is not a terminal.
pub(super) async fn run(
    mesh: &MeshClient,
    credentials: &Credentials,
    is_json: bool,
    stop: Stop,
) -> anyhow::Result<()> {
    if is_json {
        return print_totals(mesh, credentials, stop).await;
    }
    let draw = async || {
        let (rows, board) = tokio::join!(ask_all(mesh), mesh.board(credentials));
        rows.map(|rows| harmless(&drawing(&rows, board.as_ref())))
    };
    if !stdout().is_terminal() {
        print(&draw().await?);
        return Ok(());
    }
    print(ENTER_SCREEN);
    let drawing = async {
        while is_open() {
            let text = draw().await.unwrap_or_else(|error| harmless(&format!("{error:#}\n")));
            let text = text.replace('\n', &format!("{CLEAR_LINE}\n"));
            print(&format!("{CURSOR_HOME}{text}{CLEAR_BELOW}"));
            tokio::time::sleep(PERIOD).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.requested() => {}
        () = drawing => {}
    }
    print(LEAVE_SCREEN);
    Ok(())
}

/// Prints the totals as one line of JSON; every second if the output is a terminal.
async fn print_totals(
    mesh: &MeshClient,
    credentials: &Credentials,
    stop: Stop,
) -> anyhow::Result<()> {
    let line = async || {
        let board = mesh.board(credentials).await;
        let board = board.context("no registry tells what its agents do")?;
        serde_json::to_string(&MeshTotals::of(&board)).context("failed to write JSON")
    };
    let mut stopped = pin!(stop.requested());
    loop {
        print(&(line().await? + "\n"));
        if !stdout().is_terminal() || !is_open() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// All tables.
fn drawing(rows: &[AgentStatus], board: Option<&BoardUpdate>) -> String {
    let totals = board.map(MeshTotals::of);
    let totals = totals.map(|totals| totals.table() + &edges(&totals));
    table(rows, board) + &totals.unwrap_or_default()
}

/// An agent, with its answer to `info`; `None` if it did not answer.
struct AgentStatus {
    agent: ListedAgent,
    info: Option<Value>,
}

/// Asks all listed agents at once.
async fn ask_all(mesh: &MeshClient) -> anyhow::Result<Vec<AgentStatus>> {
    let agents = mesh.discover().await?;
    let rows = agents.into_iter().map(async |agent| {
        let info = mesh.info(&agent).await.ok();
        AgentStatus { agent, info }
    });
    Ok(join_all(rows).await)
}

/// The agents with their load, and how the jobs went in the last 30 s that they did; 80 columns.
fn table(rows: &[AgentStatus], board: Option<&BoardUpdate>) -> String {
    let told = |name: &str| {
        let agents = board.map(|board| &board.agents[..]).unwrap_or_default();
        agents.iter().find(|agent| *agent.name == *name)?.telemetry.as_deref()
    };
    let mut text = format!(
        "{:<14} {:>5} {:>5} {:>4} {:>5} {:>6} {:>6} {:>7} {:>7} {}\n",
        "agent", "cpu", "mem", "run", "queue", "jobs/s", "fail/s", "p50", "p99", "policy"
    );
    for AgentStatus { agent, info } in rows {
        let name = cut(&agent.name, 14);
        let Some(info) = info else {
            let _ = writeln!(text, "{name:<14} no answer at {}", cut(&agent.url, 50));
            continue;
        };
        let telemetry = told(&agent.name);
        let per_second = |count: fn(&Telemetry) -> u32| {
            telemetry.map_or_else(
                || "-".to_owned(),
                |telemetry| {
                    per_second(f64::from(count(telemetry)) / (telemetry.window_ms / 1e3).max(1.0))
                },
            )
        };
        let served = telemetry.map(|telemetry| telemetry.served).unwrap_or_default();
        let policy = telemetry.and_then(|telemetry| telemetry.policy.as_deref());
        let _ = writeln!(
            text,
            "{name:<14} {:>5} {:>5} {:>4} {:>5} {:>6} {:>6} {:>7} {:>7} {}",
            percent(&info["cpu"]),
            percent(&info["mem"]),
            count(&info["in_flight"]),
            count(&info["queued"]),
            per_second(|telemetry| telemetry.served.done),
            per_second(|telemetry| telemetry.served.failed),
            millis(served.p50_ms),
            millis(served.p99_ms),
            cut(policy.unwrap_or("-"), 12),
        );
    }
    if rows.is_empty() {
        text.push_str("no agents\n");
    }
    text
}

/// Who sends jobs to whom, the busiest first; 80 columns. Empty if nobody tells.
fn edges(totals: &MeshTotals) -> String {
    if totals.edges().is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<18} {:<18} {:>6} {:>7} {:>7} {:>7} {:>7}\n",
        "from", "to", "jobs/s", "done", "p50", "p99", "rtt"
    );
    for EdgeTotals { from, to, sent, rtt_ms } in totals.edges().iter().take(MOST_EDGES) {
        let _ = writeln!(
            text,
            "{:<18} {:<18} {:>6} {:>5} % {:>7} {:>7} {:>7}",
            cut(from, 18),
            cut(to, 18),
            per_second(sent.done_per_s),
            sent.done_percent().unwrap_or_default(),
            millis(sent.p50_ms),
            millis(sent.p99_ms),
            millis(*rtt_ms),
        );
    }
    text
}

/// The beginning of a text, with a mark if it is cut.
pub(super) fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() > letters {
        true => text.chars().take(letters - 1).chain(['~']).collect(),
        false => text.to_owned(),
    }
}

/// A time in at most seven letters.
pub(super) fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1}ms"),
        Some(ms) if ms < 1e3 => format!("{ms:.0}ms"),
        Some(ms) if ms < 1e5 => format!("{:.1}s", ms / 1e3),
        Some(ms) => format!("{:.0}s", ms / 1e3),
    }
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.0}%"))
}

fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_fits_eighty_columns_whatever_is_told() {
        let name = "x".repeat(64);
        let jobs = json!({ "done": 4_000_000_u32, "failed": 1, "p50_ms": 1e8, "p99_ms": 1e8 });
        let mut edge = jobs.clone();
        (edge["to"], edge["rtt_ms"]) = (name.as_str().into(), 1e8.into());
        let telemetry = json!({
            "window_ms": 30_000, "served": jobs, "policy": name, "edges": vec![edge; 20],
        });
        let agent = json!({ "name": name, "url": "h:1", "telemetry": telemetry });
        let board = serde_json::from_value(json!({ "agents": [agent] })).expect("an update");
        let agent =
            |url: &str| ListedAgent { name: name.clone(), url: url.to_owned(), is_listed: true };
        let info = json!({ "cpu": 100, "mem": 100.0, "in_flight": 9999, "queued": 99_999 });
        let rows = [
            AgentStatus { agent: agent("h:1"), info: Some(info) },
            AgentStatus { agent: agent(&"h".repeat(200)), info: None },
        ];
        let text = drawing(&rows, Some(&board));
        assert_eq!(text.lines().count(), 3 + 4 + 2 + MOST_EDGES, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} letters: {line}", line.chars().count());
        }
        let alone = drawing(&rows, None);
        assert_eq!(alone.lines().count(), 3, "{alone}");
        assert!(alone.lines().all(|line| line.chars().count() <= 80), "{alone}");
    }
}
