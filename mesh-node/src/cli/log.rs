//! Logs on standard error.

use std::io::{self, IsTerminal as _, stderr};

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, NoteKind};
use mesh_node::Observer;
use tracing::level_filters::LevelFilter;

use super::args::{Cli, Command, Level, LogFormat};
use super::log_queue::LogQueue;

/// Begins to log as the command line says. The queue is to be flushed in the end.
///
/// # Errors
/// If the thread that writes the log can't be started.
pub(crate) fn start(cli: &Cli) -> io::Result<LogQueue> {
    let usual = match cli.command {
        Command::Registry(_) | Command::Agent(_) => Level::Info,
        Command::Orchestrate(_) | Command::Up(_) => Level::Warn,
    };
    let level = match cli.log.unwrap_or(usual) {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let queue = LogQueue::start()?;
    let writer = queue.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .with_target(false)
        .with_ansi(stderr().is_terminal());
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(queue)
}

/// Logs what the state machines note.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Observer for Log {
    fn agent(&self, _: Timestamp, agent: &Name, note: &Note) {
        match note {
            Note::Registered { incarnation } => tracing::info!(%agent, incarnation, "registered"),
            Note::LeaseLost { incarnation } => tracing::warn!(%agent, incarnation, "lease lost"),
            Note::ViewChanged { peers } => tracing::info!(%agent, peers, "peers changed"),
            Note::Retrying { request, attempt, reason } => {
                tracing::info!(%agent, request, attempt, reason, "retrying");
            }
            Note::PassedOver { peer, reason, penalty } => {
                tracing::warn!(%agent, %peer, reason, ?penalty, "passed over: the peer fails");
            }
            Note::Recovered { peer } => tracing::info!(%agent, %peer, "the peer works again"),
            Note::Routed { request, attempt, peer, .. } => {
                tracing::debug!(%agent, request, attempt, %peer, "routed");
            }
            Note::Delegated { request, outcome } => {
                tracing::debug!(%agent, request, outcome, "delegated");
            }
            Note::JobEnded { request, attempt, outcome } => {
                tracing::debug!(%agent, request, attempt, outcome, "job ended");
            }
            Note::Delegating { request } => tracing::trace!(%agent, request, "delegating"),
            Note::JobQueued { request, attempt } => {
                tracing::trace!(%agent, request, attempt, "job queued");
            }
            Note::JobStarted { request, attempt } => {
                tracing::trace!(%agent, request, attempt, "job started");
            }
        }
    }

    fn registry(&self, _: Timestamp, note: &registry::Note) {
        let registry::Note { name, incarnation, kind } = note;
        match kind {
            NoteKind::Granted => tracing::info!(agent = %name, incarnation, "registered"),
            NoteKind::Refused(error) => {
                tracing::warn!(agent = %name, incarnation, %error, "registration refused");
            }
            NoteKind::Replaced => tracing::info!(agent = %name, incarnation, "replaced"),
            NoteKind::Deregistered => tracing::info!(agent = %name, incarnation, "deregistered"),
            NoteKind::Expired { .. } => tracing::warn!(agent = %name, incarnation, "expired"),
        }
    }
}
