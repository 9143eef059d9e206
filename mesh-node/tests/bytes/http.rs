//! Any bytes as a client's half of a connection with an agent.

use std::iter::once;

use serde_json::Value;

use crate::agent::{Agent, JOB_ERROR, Then, in_virtual_time};
use crate::answers::{self, Answer};
use crate::{json, limits};

/// The shortest input that is answered. It bounds the number of answers.
const SHORTEST_REQUEST: usize = "GET / HTTP/1.0\n\n".len();
/// How long any answer may be, whatever was asked.
const BODY_BYTES: usize = 32 << 10;
/// How many times as long as the input an answer may be on top of that: it may quote the input, and
/// escapes make that longer.
const ECHO: usize = 8;
/// The length of a piece. A prime, so that the cuts fall everywhere.
const PIECE: usize = 7;
const METRICS: &[u8] = b"GET /metrics HTTP/1.0\r\n\r\n";

/// Checks how an agent answers these bytes, and returns the statuses.
pub(crate) fn check(input: &[u8]) -> Vec<u16> {
    let whole = output(once(input), Then::Waits);
    let answers = answers::read(&whole);
    // Each request gets one answer, and perhaps a "100 Continue" before it.
    assert!(answers.len() <= 2 * (1 + input.len() / SHORTEST_REQUEST), "{} answers", answers.len());
    for answer in &answers {
        assert!(
            answer.body.len() <= BODY_BYTES + ECHO * input.len(),
            "{} bytes",
            answer.body.len()
        );
        check_answer(answer);
    }
    let in_pieces = output(input.chunks(PIECE), Then::Waits);
    assert_eq!(before_the_end(&answers::read(&in_pieces)), before_the_end(&answers));
    // A client that leaves early may get fewer answers, but those must be well-formed too.
    answers::read(&output(once(input), Then::Leaves)).iter().for_each(check_answer);
    answers.iter().map(|answer| answer.status).collect()
}

/// All answers, without a last one to a head that could not be parsed: hyper looks at a head that
/// comes in pieces only when it is complete, and so finds it late instead of malformed.
fn before_the_end<'a, 'b>(answers: &'b [Answer<'a>]) -> &'b [Answer<'a>] {
    match answers {
        [before @ .., Answer { status: 400 | 408 | 431 | 505, .. }] => before,
        all => all,
    }
}

/// What a new agent answers. Checks that nothing is left behind in the agent.
fn output<'a>(pieces: impl Iterator<Item = &'a [u8]>, then: Then) -> Vec<u8> {
    in_virtual_time(async {
        let agent = Agent::start().await;
        let output = agent.exchange(pieces, then).await;
        let page = agent.exchange(once(METRICS), Then::Waits).await;
        let page = String::from_utf8(page).expect("text");
        for idle in ["mesh_calls_open 0\n", "mesh_jobs_in_flight 0\n", "mesh_jobs_queued 0\n"] {
            assert!(page.contains(idle), "no {idle} in {page}");
        }
        let served = agent.stop().await;
        assert_eq!((served.connections, served.cut_off, served.panicked), (2, 0, 0));
        output
    })
}

fn check_answer(answer: &Answer<'_>) {
    let Answer { status, content_type, errors, body } = answer;
    match (status, content_type) {
        (100 | 204, None) => assert!(body.is_empty()),
        // hyper answers what it can't parse by itself, without a body.
        (400 | 414 | 431, None) => assert!(body.is_empty()),
        (200, Some("text/plain; version=0.0.4; charset=utf-8")) => check_page(body),
        // An answer to HEAD.
        (200 | 400 | 404 | 405 | 408 | 413, Some("application/json")) if body.is_empty() => {}
        (200, Some("application/json")) => check_json(body, *errors),
        (400 | 404 | 405 | 408 | 413 | 415 | 505, Some("application/json")) => {
            let refusal: Value = serde_json::from_slice(body).expect("JSON");
            assert!(refusal["error"].is_string(), "{refusal}");
        }
        _ => panic!("no answer of an agent: {answer:?}"),
    }
}

fn check_page(body: &[u8]) {
    let page = std::str::from_utf8(body).expect("text");
    for line in page.lines() {
        let is_sample = line.starts_with("mesh_") && line.contains(' ');
        assert!(is_sample || line.starts_with("# HELP ") || line.starts_with("# TYPE "), "{line}");
    }
}

/// Checks an answer of `/rpc` or of `/healthz`.
fn check_json(body: &[u8], errors: Option<&str>) {
    if let Ok(health) = serde_json::from_slice::<Value>(body)
        && health.get("status").is_some()
    {
        assert!(health["agent"].is_string() && health["in_flight"].is_u64(), "{health}");
        return;
    }
    let responses = json::responses(body);
    assert!(responses.len() <= limits::JSON.max_batch, "{} responses", responses.len());
    check_errors(&responses, errors);
}

/// Checks the header `mesh-error`: each error is the agent's or the job's, and a result is
/// nobody's.
fn check_errors(responses: &[json::Response<'_>], errors: Option<&str>) {
    let whose = |response: &json::Response<'_>| match response.outcome {
        Ok(_) => "none",
        Err(JOB_ERROR) => "job",
        Err(_) => "agent",
    };
    let words: Vec<&str> = responses.iter().map(whose).collect();
    let expected = words.iter().any(|word| *word != "none").then(|| words.join(", "));
    assert_eq!(errors, expected.as_deref(), "{responses:?}");
}
