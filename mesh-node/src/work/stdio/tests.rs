//! Workers that are shell scripts.

use std::path::Path;

use mesh_core::agent::Failure;
use rustix::process::Pid;
use tempfile::TempDir;

use super::*;

/// Answers each job with its own line, except those whose text the script's `case` knows. `$id` is
/// the id of the job.
fn script(cases: &str) -> String {
    format!(
        r#"while read -r job; do
            id=${{job#*\"id\":}}; id=${{id%%,*}}
            case $job in {cases}
                *) printf '{{"id":%s,"result":{{"by":%s,"job":%s}}}}\n' "$id" $$ "$job";;
            esac
        done"#
    )
}

fn settings(script: &str, workers: u32) -> StdioSettings {
    StdioSettings {
        command: JobCommand {
            program: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            agent_url: "http://a:1/rpc".to_owned(),
        },
        workers,
        ready_timeout: None,
        grace: Duration::ZERO,
        output_bytes: 1000,
        name_for_clients: "the worker".to_owned(),
    }
}

async fn started(script: &str, workers: u32) -> StdioWorkers {
    StdioWorkers::start(settings(script, workers)).await.expect("workers")
}

/// What a worker answers to a job with this text.
async fn answer(workers: &StdioWorkers, text: &str) -> Result<serde_json::Value, Failure> {
    let timeout = Some(Duration::from_secs(60));
    let result = workers.run(Task { timeout, request: 7, ..Task::new(text) }).await;
    result.map(|json| serde_json::from_str(json.get()).expect("JSON"))
}

/// Asks until a worker answers, and says which one does.
async fn pid(workers: &StdioWorkers) -> u64 {
    for _ in 0..400 {
        if let Ok(result) = answer(workers, "x").await {
            return result["by"].as_u64().expect("an id");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no worker answers");
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

fn is_alive(id: u64) -> bool {
    let id = Pid::from_raw(id as i32).expect("an id");
    rustix::process::test_kill_process_group(id).is_ok()
}

/// A file that a script can make, and its path in the script.
fn mark(directory: &TempDir) -> (std::path::PathBuf, String) {
    let path = directory.path().join("mark");
    let text = path.display().to_string();
    (path, text)
}

#[tokio::test]
async fn a_worker_does_one_job_after_the_other() {
    let workers = started(&script(""), 1).await;
    let first = answer(&workers, "a \"b\"\nc").await.expect("a result");
    assert_eq!(first["job"]["text"], "a \"b\"\nc");
    assert_eq!((&first["job"]["id"], &first["job"]["request"]), (&1.into(), &7.into()));
    assert_eq!(first["job"]["agent_url"], "http://a:1/rpc");
    let left = first["job"]["timeout_ms"].as_f64().expect("a time");
    assert!(left > 0.0 && left <= 60_000.0, "{left}");
    let second = answer(&workers, "b").await.expect("a result");
    assert_eq!((&second["by"], &second["job"]["id"]), (&first["by"], &2.into()));
}

#[tokio::test]
async fn a_job_that_fails_leaves_its_worker_alone() {
    let cases = r#"
        *bad*) echo "{\"id\":$id,\"error\":\"no such model\"}";;
        *long*) printf '{"id":%s,"result":"%01500d"}\n' $id 0;;"#;
    let workers = started(&script(cases), 1).await;
    let worker = pid(&workers).await;
    let failed = |why: &str| Err(Failure::JobFailed(why.to_owned()));
    assert_eq!(answer(&workers, "bad").await, failed("no such model"));
    let why = "its result exceeds 1000 bytes (--output-limit)";
    assert_eq!(answer(&workers, "long").await, failed(why));
    assert_eq!(pid(&workers).await, worker);
}

#[tokio::test]
async fn of_a_job_without_an_answer_nobody_knows_the_outcome_and_another_worker_takes_over() {
    let cases = r#"
        *dies*) exit 3;;
        *stale*) echo '{"id":1,"result":1}';;
        *prints*) echo 'loading ...';;
        *floods*) yes | tr -d '\n';;"#;
    let workers = started(&script(cases), 1).await;
    let mut last = pid(&workers).await;
    for text in ["dies", "stale", "prints"] {
        let unknown = Failure::OutcomeUnknown { peer: "the worker".to_owned() };
        assert_eq!(answer(&workers, text).await, Err(unknown), "{text}");
        let next = pid(&workers).await;
        assert_ne!(next, last, "{text}");
        until("its end", || !is_alive(last)).await;
        last = next;
    }
    assert!(matches!(answer(&workers, "floods").await, Err(Failure::JobFailed(_))));
    assert_ne!(pid(&workers).await, last);
}

#[tokio::test]
async fn a_worker_that_dies_without_a_job_is_replaced() {
    let workers = started(&script(""), 1).await;
    let worker = pid(&workers).await;
    rustix::process::kill_process(
        Pid::from_raw(worker as i32).expect("an id"),
        rustix::process::Signal::KILL,
    )
    .expect("it lives");
    until("its end", || !is_alive(worker)).await;
    assert_ne!(pid(&workers).await, worker);
}

#[tokio::test]
async fn a_job_that_is_cut_off_costs_its_worker_unless_that_answers_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let (begun, path) = mark(&directory);
    let cases =
        format!("*slow*) touch {path}; sleep 0.3; echo \"{{\\\"id\\\":$id,\\\"result\\\":1}}\";;");
    for (grace, survives) in [(Duration::ZERO, false), (Duration::from_secs(60), true)] {
        let workers = StdioWorkers::start(StdioSettings { grace, ..settings(&script(&cases), 1) });
        let workers = workers.await.expect("workers");
        let worker = pid(&workers).await;
        tokio::select! {
            biased;
            () = until("the job", || begun.exists()) => {}
            answer = answer(&workers, "slow") => panic!("it is slow: {answer:?}"),
        }
        std::fs::remove_file(&begun).expect("it is there");
        // The next job waits for the worker or its successor, and gets its own answer.
        assert_eq!(pid(&workers).await == worker, survives);
    }
}

#[tokio::test]
async fn while_no_worker_can_be_started_jobs_are_not_begun() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("worker.sh");
    let write = || {
        use std::os::unix::fs::PermissionsExt as _;
        let text = format!("#!/bin/sh\n{}", script("*dies*) exit 3;;"));
        std::fs::write(&program, text).expect("a file");
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, permissions).expect("a file of ours");
    };
    write();
    let command = |program: &Path| JobCommand {
        program: program.display().to_string(),
        args: Vec::new(),
        agent_url: String::new(),
    };
    let settings = StdioSettings { command: command(&program), ..settings("", 1) };
    let workers = StdioWorkers::start(settings.clone()).await.expect("workers");
    std::fs::remove_file(&program).expect("it is there");
    answer(&workers, "dies").await.expect_err("it dies");
    let refused = answer(&workers, "x").await;
    assert!(
        matches!(&refused, Err(Failure::Unavailable(end)) if end.why.contains("No such file")),
        "{refused:?}"
    );
    write();
    pid(&workers).await;

    let none = StdioSettings { command: command(Path::new("/no/such")), ..settings };
    let error = StdioWorkers::start(none).await.expect_err("no program").to_string();
    assert!(error.starts_with("start a worker: /no/such: "), "{error}");
}

#[tokio::test]
async fn a_worker_gets_no_job_before_it_is_ready() {
    let directory = tempfile::tempdir().expect("a directory");
    let (ready, path) = mark(&directory);
    let loading = format!("sleep 0.1; touch {path}; echo '{{\"ready\": true}}'; {}", script(""));
    let patient = Some(Duration::from_secs(60));
    let with_limit =
        |script: &str, ready_timeout| StdioSettings { ready_timeout, ..settings(script, 2) };
    let workers = StdioWorkers::start(with_limit(&loading, patient)).await.expect("workers");
    assert!(ready.exists());
    pid(&workers).await;
    // Nobody has to wait for it.
    pid(&started(&loading, 1).await).await;
    for (script, limit, expected) in [
        ("sleep 600", Duration::from_millis(50), "did not write {\"ready\": true} within 50ms"),
        ("echo hello", Duration::from_secs(60), "a line that is no answer"),
        ("exit 3", Duration::from_secs(60), "it ended: exit status: 3"),
    ] {
        let started = StdioWorkers::start(with_limit(script, Some(limit))).await;
        let error = started.expect_err(script).to_string();
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[tokio::test]
async fn workers_share_the_jobs_and_end_with_their_executor() {
    let directory = tempfile::tempdir().expect("a directory");
    let (go, path) = mark(&directory);
    let cases = format!(
        "*wait*) while [ ! -e {path} ]; do sleep 0.02; done; \
                         echo \"{{\\\"id\\\":$id,\\\"result\\\":$$}}\";;"
    );
    let workers = started(&script(&cases), 2).await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(&go, "").expect("a file");
    };
    let (first, second, third, ()) = tokio::join!(
        answer(&workers, "wait"),
        answer(&workers, "wait"),
        answer(&workers, "wait"),
        release
    );
    let ids = [first, second, third].map(|id| id.expect("a result").as_u64().expect("an id"));
    assert_ne!(ids[0], ids[1], "two at once");
    assert!(ids[..2].contains(&ids[2]), "the third has waited for one of them");
    drop(workers);
    until("their end", || !ids.iter().any(|id| is_alive(*id))).await;
}
