//! The log on standard error.

use std::io::{self, IsTerminal as _, stderr};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note};
use mesh_core::protocol::Name;
use mesh_core::registry::HEARTBEATS_PER_TTL;
use mesh_core::registry::{self, Deafness, LeaseNoteKind};
use mesh_core::trace::TraceId;
use mesh_node::Observer;
use mesh_node::process::log_throttle::LogThrottle;
use tracing::level_filters::LevelFilter;

use super::args::{Cli, Command, Level, LogFormat};
use super::log_queue::LogQueue;

/// Starts the log with the level and format of the command line. Flush the queue before the process
/// ends.
///
/// # Errors
/// If the thread that writes the log can't be started.
pub(crate) fn start(cli: &Cli) -> io::Result<LogQueue> {
    let usual = match cli.command {
        Command::Registry(_)
        | Command::Agent(_)
        | Command::Autoscale(_)
        | Command::Dashboard(_) => Level::Info,
        Command::Orchestrate(_)
        | Command::Call(_)
        | Command::Drain(_)
        | Command::Up(_)
        | Command::Keys(_)
        | Command::Certs(_)
        | Command::Completions(_)
        | Command::Man(_) => Level::Warn,
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

/// A pause of the registry that is longer than this is logged as a warning.
const NOTEWORTHY: Duration = Duration::from_millis(500);

/// The end of a job whose deadline has passed.
const TOO_LATE: Ending = Ending::Failed(FailureKind::DeadlineExceeded);

/// The observer that logs what agents and registry note. Jobs that fail are logged by the executor,
/// which knows the reason, except those that it does not see fail: jobs whose deadline has passed.
#[derive(Debug, Default)]
pub(crate) struct Log {
    too_late: LogThrottle,
}

impl Log {
    /// Logs what is noted about a job, with its trace if it belongs to one.
    fn job(&self, now: Timestamp, agent: &Name, note: &Note, trace: Option<TraceId>) {
        let trace_id = trace.map(tracing::field::display);
        match note {
            Note::Retrying { request, attempt, reason } => {
                let reason = reason.name();
                tracing::info!(%agent, request, attempt, trace_id, reason, "retrying");
            }
            Note::Routed { request, attempt, peer, .. } => {
                tracing::debug!(%agent, request, attempt, trace_id, %peer, "routed");
            }
            Note::Delegated { request, outcome } => {
                tracing::debug!(%agent, request, trace_id, outcome = outcome.name(), "delegated");
            }
            Note::JobEnded { request, attempt, outcome: TOO_LATE } => {
                if let Some(permit) = self.too_late.admit(now) {
                    let left_out = permit.left_out;
                    tracing::warn!(
                        %agent, request, attempt, trace_id, left_out, "a job's deadline passed"
                    );
                }
            }
            Note::JobEnded { request, attempt, outcome } => {
                let outcome = outcome.name();
                tracing::debug!(%agent, request, attempt, trace_id, outcome, "job ended");
            }
            Note::CopyWon { request, attempt } => {
                tracing::debug!(%agent, request, attempt, trace_id, "the copy was faster");
            }
            Note::CopyDropped { request, attempt } => {
                tracing::debug!(
                    %agent, request, attempt, trace_id, "given up: another attempt was faster"
                );
            }
            Note::Delegating { request } => {
                tracing::trace!(%agent, request, trace_id, "delegating");
            }
            Note::Held { request } => {
                tracing::trace!(%agent, request, trace_id, "waits for a free slot");
            }
            Note::JobQueued { request, attempt } => {
                tracing::trace!(%agent, request, attempt, trace_id, "job queued");
            }
            Note::JobStarted { request, attempt } => {
                tracing::trace!(%agent, request, attempt, trace_id, "job started");
            }
            // The other notes are about no job.
            _ => {}
        }
    }
}

impl Observer for Log {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        match note {
            Note::Registered { incarnation } => tracing::info!(%agent, incarnation, "registered"),
            Note::LeaseLost { incarnation } => tracing::warn!(%agent, incarnation, "lease lost"),
            Note::HeartbeatShortened { ttl, heartbeat, period } => tracing::warn!(
                %agent, ?ttl, ?heartbeat, ?period,
                "the registry's TTL is shorter than three heartbeats, so they come more often than \
                 set: {}", ttl_advice(*ttl, *heartbeat, *period)
            ),
            Note::Draining { jobs } => {
                tracing::info!(%agent, jobs, "draining: takes no more jobs, and ends when it has none");
            }
            Note::DrainCancelled => {
                tracing::info!(%agent, "the drain is cancelled: takes jobs again");
            }
            Note::NameTaken { own, holder } => tracing::warn!(
                %agent, %own, %holder,
                "another process has this name and is listed instead of this one: \
                 stop one of them, or start it with another --name"
            ),
            Note::NameContested { own, rival } => tracing::warn!(
                %agent, %own, %rival,
                "another process asks for this name; it is not listed: \
                 stop one of them, or start it with another --name"
            ),
            Note::ViewChanged { peers } => tracing::info!(%agent, peers, "peers changed"),
            Note::PassedOver { peer, reason, penalty } => {
                tracing::warn!(%agent, %peer, reason = reason.name(), ?penalty, "passed over: the peer fails");
            }
            Note::Recovered { peer } => tracing::info!(%agent, %peer, "the peer works again"),
            Note::Probing { peers } => tracing::trace!(%agent, peers, "calls peers without a job"),
            Note::Retrying { .. }
            | Note::Routed { .. }
            | Note::Delegated { .. }
            | Note::JobEnded { .. }
            | Note::CopyWon { .. }
            | Note::CopyDropped { .. }
            | Note::Delegating { .. }
            | Note::Held { .. }
            | Note::JobQueued { .. }
            | Note::JobStarted { .. } => self.job(now, agent, note, None),
        }
    }

    fn traced(&self, now: Timestamp, agent: &Name, note: &Note, trace: TraceId) {
        self.job(now, agent, note, Some(trace));
    }

    fn registry(&self, _: Timestamp, note: &registry::LeaseNote) {
        let registry::LeaseNote { name, incarnation, url, kind, revision: _ } = note;
        match kind {
            LeaseNoteKind::Granted => {
                tracing::info!(agent = %name, incarnation, %url, "registered");
            }
            LeaseNoteKind::Restored => {
                tracing::info!(agent = %name, incarnation, %url, "taken over from the store");
            }
            LeaseNoteKind::Drained(draining) => {
                tracing::info!(agent = %name, incarnation, %url, draining, "draining changed");
            }
            LeaseNoteKind::Refused(error) => {
                tracing::warn!(agent = %name, incarnation, %url, %error, "registration refused");
            }
            LeaseNoteKind::Moved { from } => tracing::warn!(
                agent = %name, %url, %from,
                "renewed from another address; if this goes on, two processes have this name"
            ),
            LeaseNoteKind::Replaced => tracing::info!(agent = %name, incarnation, %url, "replaced"),
            LeaseNoteKind::Deregistered => {
                tracing::info!(agent = %name, incarnation, %url, "deregistered");
            }
            LeaseNoteKind::Expired { .. } => {
                tracing::warn!(agent = %name, incarnation, %url, "expired");
            }
        }
    }

    fn deafness(&self, _: Timestamp, deafness: Deafness) {
        match deafness {
            // Too short to have cost anybody anything.
            Deafness::Slept(length) if length < NOTEWORTHY => tracing::debug!(?length, "slept"),
            Deafness::Slept(length) => tracing::warn!(
                ?length,
                "the registry was paused or starved; that time counts for no lease"
            ),
            Deafness::Silence(length) => tracing::warn!(
                ?length,
                "no agent was heard for this long; now one is heard, and every lease gets a whole TTL"
            ),
        }
    }
}

/// Advice on a TTL that is too short for the heartbeats.
fn ttl_advice(ttl: Duration, heartbeat: Duration, period: Duration) -> String {
    let least = |period: Duration| period.saturating_mul(HEARTBEATS_PER_TTL);
    if least(period) > ttl {
        return format!(
            "leases can't be kept; give the registry a --ttl of {:?} or more",
            least(period)
        );
    }
    format!(
        "give the agent a --heartbeat of {period:?} or less, or the registry a --ttl of {:?} or more",
        least(heartbeat)
    )
}
