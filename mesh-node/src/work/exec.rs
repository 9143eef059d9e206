//! Runs a command per job: JSON on its standard input, JSON from its standard output.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::process::ExitStatus;
use std::sync::Arc;

use mesh_core::agent::ObservedEnd;
use mesh_core::codec::limits::OUTPUT_LEVELS;
use mesh_core::jsonrpc::is_deeper;
use mesh_core::protocol::Task;
use mesh_core::text;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

use super::Executor;
use super::job_command::{JobCommand, JobInput, JobProcess, environment};
use super::report::{FailureReport, JobNumber, JobTrouble};
use crate::host::JobResult;

/// How many bytes of standard error are kept: the last ones.
const STDERR_BYTES: usize = 4096;
/// How many lines of standard error a failure quotes: the last ones.
const STDERR_LINES: usize = 5;

/// Runs a command for each job.
///
/// The command reads `{"text", "skill", "request", "attempt", "timeout_ms", "depth", "agent_url"}`
/// from its standard input, and the JSON that it writes to its standard output is the result. The
/// command and everything that it starts are killed when the job ends, in whatever way.
#[derive(Debug)]
pub struct Exec {
    command: JobCommand,
    output_bytes: usize,
    report: FailureReport,
}

impl Exec {
    /// An executor that runs `command`. A job with more than `output_bytes` of output has failed,
    /// and its command is killed. Errors call the command `name_for_clients`, which should contain
    /// the agent's name, because clients may be many hops away.
    pub fn new(command: JobCommand, output_bytes: usize, name_for_clients: String) -> Self {
        Self { command, output_bytes, report: FailureReport::new(name_for_clients) }
    }
}

impl Executor for Exec {
    async fn run(&self, task: Task) -> JobResult {
        let job = JobNumber::from(&task);
        let output = self.output_for(&task).await;
        output.map_err(|trouble| self.report.failure(job, trouble))
    }
}

impl Exec {
    /// Runs the command for a task.
    async fn output_for(&self, task: &Task) -> Result<Arc<RawValue>, JobTrouble> {
        let program = &self.command.program;
        let process = self.command.start(&environment(task));
        let process =
            process.map_err(|error| JobTrouble::not_sent(format!("start {program}: {error}")))?;
        let JobProcess { mut child, mut group, mut stdin, stdout, stderr } = process;
        let input = JobInput::new(task, &self.command).to_json();
        let feed = async {
            // An error is ignored: a command may leave its input unread.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            pending::<Infallible>().await
        };
        let ended = async {
            let ended = self.wait(&mut child).await;
            // The command's own children may hold the pipes open, and reading would never end.
            group.kill();
            ended
        };
        let read = async { tokio::try_join!(self.output(stdout), tail(stderr), ended) };
        // Input and output go at the same time: a command that writes before it has read everything
        // would otherwise wait for ever.
        let (output, stderr_tail, status) = tokio::select! {
            biased;
            read = read => read?,
            never = feed => match never {},
        };
        if !status.success() {
            return Err(trouble_of_exit(status, &stderr_tail));
        }
        // From here on the command has succeeded, and another agent's would print the same. So an
        // output that can't be used is the job's failure.
        let failed = JobTrouble::failed;
        let text = text::read(&output).map_err(|error| failed(format!("its output: {error}")))?;
        if is_deeper(text.as_bytes(), OUTPUT_LEVELS) {
            let reason = format!("its output nests deeper than {OUTPUT_LEVELS} levels");
            return Err(failed(format!("{reason}, the most there may be")));
        }
        let output = RawValue::from_string(text.trim().to_owned());
        output.map(Arc::from).map_err(|error| failed(format!("its output is not JSON: {error}")))
    }

    /// Waits for the end of the command.
    async fn wait(&self, child: &mut Child) -> Result<ExitStatus, JobTrouble> {
        let program = &self.command.program;
        let lost = |error| JobTrouble::no_answer(format!("wait for {program}: {error}"));
        child.wait().await.map_err(lost)
    }

    /// Reads the standard output up to its limit.
    async fn output(&self, from: impl AsyncRead + Unpin) -> Result<Vec<u8>, JobTrouble> {
        let mut output = Vec::new();
        let mut limited = from.take((self.output_bytes as u64).saturating_add(1));
        let read = limited.read_to_end(&mut output).await;
        read.map_err(|error| JobTrouble::no_answer(format!("read its output: {error}")))?;
        if output.len() > self.output_bytes {
            let limit = self.output_bytes;
            let why = format!("its output exceeds {limit} bytes (--output-limit)");
            return Err(JobTrouble::failed(why));
        }
        Ok(output)
    }
}

/// What it means that a command did not succeed. One that ended by itself has answered, also if its
/// exit status says that it failed. Of one that a signal killed (out of memory, say) nobody knows how
/// far it had come.
fn trouble_of_exit(status: ExitStatus, stderr_tail: &str) -> JobTrouble {
    let seen = if status.code().is_some() { ObservedEnd::Answer } else { ObservedEnd::NoAnswer };
    JobTrouble { seen, why: explain(status, stderr_tail), retry_after: None }
}

/// Reads a stream to its end and keeps its last bytes.
async fn tail(mut from: impl AsyncRead + Unpin) -> Result<String, JobTrouble> {
    let mut last = VecDeque::with_capacity(STDERR_BYTES);
    let mut buffer = [0; STDERR_BYTES];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        last.extend(&buffer[..length]);
        last.drain(..last.len().saturating_sub(STDERR_BYTES));
    }
    Ok(String::from_utf8_lossy(last.make_contiguous()).into_owned())
}

/// The exit status and the last lines of standard error.
fn explain(status: ExitStatus, stderr_tail: &str) -> String {
    let lines: Vec<&str> = stderr_tail.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n");
    if last.is_empty() { status.to_string() } else { format!("{status}: {last}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::agent::Failure;
    use mesh_core::protocol::JobDetails;
    use rustix::process::Pid;
    use serde_json::json;

    use super::*;

    fn exec(program: &str, args: &[&str]) -> Exec {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let agent_url = "http://a:1/rpc".to_owned();
        let command = JobCommand { program: program.to_owned(), args, agent_url };
        Exec::new(command, 1000, "the command".to_owned())
    }

    fn shell(script: &str) -> Exec {
        exec("sh", &["-c", script])
    }

    fn task() -> Task {
        let details = JobDetails { skill: Some("summarise".into()), ..JobDetails::default() };
        Task {
            timeout: Some(Duration::from_millis(1500)),
            details: Some(details.into()),
            depth: 2,
            request: 7,
            attempt: 1,
            ..Task::new("x")
        }
    }

    async fn failure(script: &str) -> String {
        match shell(script).run(task()).await {
            Err(Failure::JobFailed(reason)) => reason,
            other => panic!("{script}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_task_goes_in_and_any_json_comes_out() {
        let output = shell("cat").run(task()).await.expect("output");
        let expected = json!({
            "text": "x", "skill": "summarise", "request": 7, "attempt": 1, "timeout_ms": 1500.0,
            "depth": 2, "agent_url": "http://a:1/rpc",
        });
        let value: serde_json::Value = serde_json::from_str(output.get()).expect("JSON");
        assert_eq!(value, expected);
        let script = r#"echo "[\"$MESH_AGENT_URL\", $MESH_JOB_TIMEOUT_MS, $MESH_JOB_DEPTH,
            $MESH_JOB_REQUEST]""#;
        let output = shell(script).run(task()).await.expect("output");
        let value: serde_json::Value = serde_json::from_str(output.get()).expect("JSON");
        assert_eq!(value, json!(["http://a:1/rpc", 1500, 2, 7]));
        let output = shell("echo ' 1.50 '").run(task()).await.expect("output");
        assert_eq!(output.get(), "1.50", "its input may stay unread");
        let output = shell(r"printf '\357\273\2771'").run(task()).await.expect("output");
        assert_eq!(output.get(), "1", "a byte order mark is skipped");
        assert!(failure(r"printf '\377\3761\0'").await.contains("UTF-16"));
    }

    #[tokio::test]
    async fn a_failure_says_why() {
        let reason = failure("seq 1 9 >&2; exit 3").await;
        assert_eq!(reason, "exit status: 3: 5\n6\n7\n8\n9");
        assert!(failure("echo hello").await.starts_with("its output is not JSON"));
        assert!(failure("true").await.starts_with("its output is not JSON"));
        assert_eq!(failure("yes").await, "its output exceeds 1000 bytes (--output-limit)");
        // More than a pipe holds, and nobody reads it.
        let long = Task { text: "x".repeat(1 << 20).into(), ..task() };
        let output = shell("echo 1").run(long.clone()).await.expect("output");
        assert_eq!(output.get(), "1");
        let failed = shell("exec yes").run(long).await;
        assert!(matches!(failed, Err(Failure::JobFailed(why)) if why.contains("exceeds")));
    }

    #[tokio::test]
    async fn an_output_may_nest_so_deep_and_no_deeper() {
        let nested = |levels: usize| {
            shell(&format!("printf '[%.0s' $(seq {levels}); printf ']%.0s' $(seq {levels})"))
        };
        let output = nested(OUTPUT_LEVELS).run(task()).await.expect("output");
        assert_eq!(output.get().len(), 2 * OUTPUT_LEVELS);
        let failed = nested(OUTPUT_LEVELS + 1).run(task()).await;
        assert!(matches!(failed, Err(Failure::JobFailed(why)) if why.contains("64 levels")));
    }

    #[tokio::test]
    async fn what_can_not_be_started_has_not_begun() {
        let directory = tempfile::tempdir().expect("a directory");
        let no_program = directory.path().join("text");
        std::fs::write(&no_program, "no program").expect("a file");
        for program in ["/no/such", &no_program.to_string_lossy(), "/"] {
            let result = exec(program, &[]).run(task()).await;
            assert!(
                matches!(&result, Err(Failure::Unavailable(end)) if end.why.contains(program)),
                "{result:?}"
            );
        }
    }

    #[tokio::test]
    async fn of_a_command_that_is_killed_nobody_knows_how_far_it_came() {
        let result = shell("kill -KILL $$").run(task()).await;
        let expected = Failure::OutcomeUnknown { peer: "the command".to_owned() };
        assert_eq!(result.map(|_| ()), Err(expected));
    }

    /// Waits until no process of the group is left, not even a zombie.
    async fn until_gone(leader: Pid) {
        for _ in 0..400 {
            if rustix::process::test_kill_process_group(leader).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{leader:?} lives");
    }

    #[tokio::test]
    async fn a_job_that_is_dropped_is_killed_with_its_children() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let endless = shell(&format!("echo $$ > {}; sleep 600 & sleep 600", file.display()));
        let running = endless.run(task());
        let leader = async {
            loop {
                let written = std::fs::read_to_string(&file).unwrap_or_default();
                if let Ok(id) = written.trim().parse() {
                    return Pid::from_raw(id).expect("an id");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let leader = tokio::select! {
            biased;
            leader = leader => leader,
            result = running => panic!("it ended: {result:?}"),
        };
        until_gone(leader).await;
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_does_not_hold_its_answer_up() {
        let clock = crate::Clock::start();
        let output = shell("sleep 600 & echo 1").run(task()).await.expect("output");
        assert_eq!(output.get(), "1");
        assert!(clock.now().elapsed() < Duration::from_secs(60));
    }
}
