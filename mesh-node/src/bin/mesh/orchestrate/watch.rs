//! `mesh orchestrate --watch`: a table of all agents and one of who sends jobs to whom, drawn again
//! every second.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use futures_util::future::join_all;
use mesh_core::telemetry::{Edge, Telemetry};
use mesh_node::dashboard::BoardUpdate;
use mesh_node::process::console::{is_open, print};
use mesh_node::process::signals::Stop;
use mesh_node::security::Credentials;
use serde_json::Value;

use super::super::remote_text::harmless;
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
    stop: Stop,
) -> anyhow::Result<()> {
    let draw = async || {
        let (rows, board) = tokio::join!(ask_all(mesh), mesh.board(credentials));
        rows.map(|rows| harmless(&(table(&rows, board.as_ref()) + &edges(board.as_ref()))))
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
                |telemetry| rate(count(telemetry), telemetry.window_ms),
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
fn edges(board: Option<&BoardUpdate>) -> String {
    let agents = board.map(|board| &board.agents[..]).unwrap_or_default();
    let edges = agents.iter().filter_map(|agent| Some((agent, agent.telemetry.as_deref()?)));
    let edges = edges.flat_map(|(agent, telemetry)| {
        telemetry.edges.iter().map(move |edge| (&*agent.name, telemetry.window_ms, edge))
    });
    let sent = |edge: &Edge| u64::from(edge.jobs.done) + u64::from(edge.jobs.failed);
    let mut busy: Vec<_> = edges.filter(|(.., edge)| sent(edge) > 0).collect();
    if busy.is_empty() {
        return String::new();
    }
    busy.sort_by_key(|(.., edge)| Reverse(sent(edge)));
    let mut text = format!(
        "\n{:<18} {:<18} {:>6} {:>7} {:>7} {:>7} {:>7}\n",
        "from", "to", "jobs/s", "done", "p50", "p99", "rtt"
    );
    for (from, window_ms, edge) in busy.iter().take(MOST_EDGES) {
        // Rounded down, so that 100 % means all of them.
        let done = (f64::from(edge.jobs.done) / sent(edge) as f64 * 1000.0).floor() / 10.0;
        let _ = writeln!(
            text,
            "{:<18} {:<18} {:>6} {:>5} % {:>7} {:>7} {:>7}",
            cut(from, 18),
            cut(&edge.to, 18),
            rate(edge.jobs.done, *window_ms),
            done,
            millis(edge.jobs.p50_ms),
            millis(edge.jobs.p99_ms),
            millis(edge.rtt_ms),
        );
    }
    text
}

/// The beginning of a text, with a mark if it is cut.
fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() > letters {
        true => text.chars().take(letters - 1).chain(['~']).collect(),
        false => text.to_owned(),
    }
}

/// Jobs per second of a window, in six letters.
fn rate(count: u32, window_ms: f64) -> String {
    let rate = f64::from(count) / (window_ms / 1e3).max(1.0);
    if rate < 1000.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A time in at most seven letters.
fn millis(ms: Option<f64>) -> String {
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
        let text = table(&rows, Some(&board)) + &edges(Some(&board));
        assert_eq!(text.lines().count(), 3 + 2 + MOST_EDGES, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} letters: {line}", line.chars().count());
        }
        let alone = table(&rows, None) + &edges(None);
        assert_eq!(alone.lines().count(), 3, "{alone}");
        assert!(alone.lines().all(|line| line.chars().count() <= 80), "{alone}");
    }
}
