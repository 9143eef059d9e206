//! A table of all agents, drawn again and again.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use futures_util::future::join_all;
use mesh_node::process::console::{is_open, print};
use mesh_node::process::signals::Stop;
use serde_json::Value;

use super::{ListedAgent, MeshClient, figure, plain};

/// Time between two drawings.
const PERIOD: Duration = Duration::from_secs(1);
/// Another screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top; and clear what is below or to the right.
const HOME: &str = "\x1b[H";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_LINE: &str = "\x1b[K";

/// Draws until a signal comes or the output is closed; once if the output is not a terminal.
pub(super) async fn run(mesh: &MeshClient, stop: Stop) -> anyhow::Result<()> {
    if !stdout().is_terminal() {
        print(&table(&look(mesh).await?));
        return Ok(());
    }
    print(ENTER);
    let drawing = async {
        while is_open() {
            let text = match look(mesh).await {
                Ok(rows) => table(&rows),
                Err(error) => format!("{error:#}\n"),
            };
            let text = text.replace('\n', &format!("{CLEAR_LINE}\n"));
            print(&format!("{HOME}{text}{CLEAR_BELOW}"));
            tokio::time::sleep(PERIOD).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.requested() => {}
        () = drawing => {}
    }
    print(LEAVE);
    Ok(())
}

/// An agent, its answer to `info`, and the round trip of that call.
struct AgentStatus {
    agent: ListedAgent,
    info: Option<(Value, Duration)>,
}

async fn look(mesh: &MeshClient) -> anyhow::Result<Vec<AgentStatus>> {
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
        let ListedAgent { name, url } = agent;
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
