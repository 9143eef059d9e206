//! One worker: its process, and the lines that go to and fro.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use mesh_core::protocol::Task;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::super::job_command::{JobCommand, JobInput, JobProcess};
use super::super::report::JobTrouble;
use super::message::{WorkerMessage, too_long};
use super::queue::WorkerResult;
use crate::process::children::ProcessGroup;

/// How many bytes of an answer may be around its result.
const ENVELOPE_BYTES: usize = 1024;
/// The most bytes of a line of standard error in the log; a longer one is cut into several.
const STDERR_LINE_BYTES: usize = 1024;
/// How long a worker that has closed its output may take to end, so that its exit status can be
/// told.
const STATUS_TIME: Duration = Duration::from_millis(200);
/// What to do about output that no job asked for.
const ADVICE: &str = "only answers may go to standard output; write all else to standard error";

/// A worker that runs. Dropping it kills it, with everything that it has started.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    child: Child,
    group: ProcessGroup,
    stdin: ChildStdin,
    stdout: LineReader<BufReader<ChildStdout>>,
    /// How it ended, once that is known.
    status: Option<ExitStatus>,
    output_bytes: usize,
    last_id: u64,
}

impl WorkerProcess {
    /// Starts a worker whose results may have `output_bytes`. Its standard error goes to the log.
    pub(super) fn start(command: &JobCommand, output_bytes: usize) -> Result<Self, String> {
        let process = command.start(&[]);
        let process = process.map_err(|error| format!("{}: {error}", command.program))?;
        let JobProcess { child, group, stdin, stdout, stderr } = process;
        let id = child.id().unwrap_or_default();
        // Ends by itself, because whoever holds the pipe is killed with the worker.
        tokio::spawn(log_lines(id, stderr));
        let stdout =
            LineReader::new(BufReader::new(stdout), output_bytes.saturating_add(ENVELOPE_BYTES));
        Ok(Self { child, group, stdin, stdout, status: None, output_bytes, last_id: 0 })
    }

    /// The process id, for the log.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the worker says that it is ready, if there is a limit to that; else returns at
    /// once.
    ///
    /// # Errors
    /// If the worker does not say so in time; the text says what happened instead.
    pub(super) async fn until_ready(&mut self, limit: Option<Duration>) -> Result<(), String> {
        let Some(limit) = limit else { return Ok(()) };
        match timeout(limit, self.message()).await {
            Ok(Ok(WorkerMessage::Ready)) => Ok(()),
            Ok(Ok(WorkerMessage::Answer { .. })) => Err(format!("its first line is no {READY}")),
            Ok(Err(trouble)) => Err(trouble.why),
            Err(_) => Err(format!("it did not write {READY} within {limit:?}")),
        }
    }

    /// Reads while the worker has no job. Ready once the worker can't be used any more; the text
    /// says why. Nothing is lost if the future is dropped.
    pub(super) async fn until_unusable(&mut self) -> String {
        loop {
            match self.message().await {
                Ok(WorkerMessage::Ready) => {}
                Ok(WorkerMessage::Answer { .. }) => {
                    return "it has answered without a job".to_owned();
                }
                Err(trouble) => return trouble.why,
            }
        }
    }

    /// Has the worker do a task.
    ///
    /// # Errors
    /// If there is no answer. Then the worker can't be used any more.
    pub(super) async fn do_job(
        &mut self,
        task: &Task,
        command: &JobCommand,
    ) -> Result<WorkerResult, JobTrouble> {
        self.last_id += 1;
        let input = JobInput::new(task, command).named(self.last_id, task);
        let line = format!("{}\n", input.to_json());
        // A worker that has not got the whole line has not begun the job.
        let written = self.stdin.write_all(line.as_bytes()).await;
        if let Err(error) = written {
            let ended = self.how_it_ended().await;
            return Err(JobTrouble::not_sent(format!("{ended} before it took the job: {error}")));
        }
        loop {
            match self.message().await? {
                WorkerMessage::Ready => {}
                WorkerMessage::Answer { id, result } if id == self.last_id => return Ok(result),
                WorkerMessage::Answer { id, .. } => {
                    let expected = self.last_id;
                    let why = format!("it has answered job {id} instead of {expected}");
                    return Err(JobTrouble::no_answer(why));
                }
            }
        }
    }

    /// Reads the next message. Nothing is lost if the future is dropped.
    async fn message(&mut self) -> Result<WorkerMessage, JobTrouble> {
        let line = loop {
            tokio::select! {
                biased;
                line = self.stdout.next() => break line,
                status = self.child.wait(), if self.status.is_none() => {
                    self.status = status.ok();
                    // Its children may hold the pipe open, and reading would never end.
                    self.group.kill();
                }
            }
        };
        match line {
            Ok(line) => WorkerMessage::read(&line, self.output_bytes).map_err(|why| {
                JobTrouble::no_answer(format!(
                    "it has written a line that is no answer ({ADVICE}): {why}"
                ))
            }),
            Err(LineEnd::TooLong) => Err(too_long(self.output_bytes)),
            Err(LineEnd::Closed) => {
                let ended = self.how_it_ended().await;
                Err(JobTrouble::no_answer(ended))
            }
        }
    }

    /// A sentence on how a worker ended that takes or writes no more lines.
    async fn how_it_ended(&mut self) -> String {
        if self.status.is_none() {
            self.status = timeout(STATUS_TIME, self.child.wait()).await.ok().and_then(Result::ok);
        }
        match self.status {
            Some(status) => format!("it ended: {status}"),
            None => "it closed its standard input or output".to_owned(),
        }
    }

    /// Kills the worker with everything that it has started, and waits for its end.
    pub(super) async fn kill(mut self) {
        self.group.kill();
        // It fails only if somebody else has waited for it.
        let _ = self.child.wait().await;
    }
}

/// What a worker that is ready writes.
const READY: &str = "{\"ready\": true}";

/// Why there is no next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// The line is longer than the limit.
    TooLong,
    /// The other side has closed the stream, or it can't be read.
    Closed,
}

/// Reads lines of bounded length.
#[derive(Debug)]
struct LineReader<R> {
    from: R,
    /// What has been read of the next line.
    begun: Vec<u8>,
    most_bytes: usize,
}

impl<R: AsyncBufRead + Unpin> LineReader<R> {
    fn new(from: R, most_bytes: usize) -> Self {
        Self { from, begun: Vec::new(), most_bytes }
    }

    /// The next line, without its line feed. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Result<Vec<u8>, LineEnd> {
        loop {
            let read: io::Result<&[u8]> = self.from.fill_buf().await;
            let bytes = read.map_err(|_| LineEnd::Closed)?;
            if bytes.is_empty() {
                return Err(LineEnd::Closed);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(bytes.len());
            if self.begun.len() + length > self.most_bytes {
                return Err(LineEnd::TooLong);
            }
            self.begun.extend_from_slice(&bytes[..length]);
            self.from.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(std::mem::take(&mut self.begun));
            }
        }
    }
}

/// Logs what a worker writes to its standard error.
async fn log_lines(worker: u32, from: impl AsyncRead + Unpin) {
    let mut from = BufReader::with_capacity(STDERR_LINE_BYTES, from);
    loop {
        let mut line = Vec::new();
        while line.len() < STDERR_LINE_BYTES && !line.ends_with(b"\n") {
            let Ok(bytes) = from.fill_buf().await else { return };
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = end.unwrap_or(bytes.len());
            line.extend_from_slice(&bytes[..length]);
            from.consume(length);
        }
        if line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        tracing::info!(worker, "{}", text.trim_end());
    }
}
