//! `mesh orchestrate --watch`: a table of all agents, drawn again every second.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use futures_util::future::join_all;
use mesh_node::process::console::{is_open, print};
use mesh_node::process::signals::Stop;
use serde_json::Value;

use super::super::remote_text::harmless;
use super::{ListedAgent, MeshClient, figure, plain};

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

/// Draws until a signal comes or the output is closed. Draws once if the output is not a terminal.
pub(super) async fn run(mesh: &MeshClient, stop: Stop) -> anyhow::Result<()> {
    if !stdout().is_terminal() {
        print(&harmless(&table(&ask_all(mesh).await?)));
        return Ok(());
    }
    print(ENTER_SCREEN);
    let drawing = async {
        while is_open() {
            let text = match ask_all(mesh).await {
                Ok(rows) => table(&rows),
                Err(error) => format!("{error:#}\n"),
            };
            let text = harmless(&text).replace('\n', &format!("{CLEAR_LINE}\n"));
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

/// An agent, with its answer to `info` and that call's round trip; `None` if it did not answer.
struct AgentStatus {
    agent: ListedAgent,
    info: Option<(Value, Duration)>,
}

/// Asks all listed agents at once.
async fn ask_all(mesh: &MeshClient) -> anyhow::Result<Vec<AgentStatus>> {
    let agents = mesh.discover().await?;
    let rows = agents.into_iter().map(async |agent| {
        let sent = mesh.clock.now();
        let info = mesh.info(&agent).await.ok();
        let info = info.map(|info| (info, mesh.clock.now().since(sent)));
        AgentStatus { agent, info }
    });
    Ok(join_all(rows).await)
}

fn table(rows: &[AgentStatus]) -> String {
    let mut text = format!(
        "{:<20} {:<21} {:>8} {:>8} {:>9} {:>6} {:>9} {:>9} {}\n",
        "agent", "address", "cpu", "memory", "in flight", "queued", "rtt", "uptime", "version"
    );
    for AgentStatus { agent, info } in rows {
        let ListedAgent { name, url, .. } = agent;
        let _ = match info {
            None => writeln!(text, "{name:<20} {url:<21} no answer"),
            Some((info, rtt)) => writeln!(
                text,
                "{name:<20} {url:<21} {:>8} {:>8} {:>9} {:>6} {:>6.1} ms {:>9} {}",
                figure(&info["cpu"], "%"),
                figure(&info["mem"], "%"),
                count(&info["in_flight"]),
                count(&info["queued"]),
                rtt.as_secs_f64() * 1e3,
                figure(&info["uptime_s"], "s"),
                plain(&info["version"]),
            ),
        };
    }
    if rows.is_empty() {
        text.push_str("no agents\n");
    }
    text
}

fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string())
}
