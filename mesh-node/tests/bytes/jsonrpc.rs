//! Any bytes as the body of a request, and as the body of an answer.

use mesh_core::codec;
use mesh_core::jsonrpc::{
    Call, Error, Id, Limits, Response, notification, parse, parse_response, request, result,
};
use serde_json::value::RawValue;

use crate::json;
use crate::limits::JSON as LIMITS;

/// Checks what comes of this body, and returns whether it is refused as a whole.
pub(crate) fn check(body: &[u8]) -> bool {
    check_response(body);
    check_request(body)
}

fn check_request(body: &[u8]) -> bool {
    let incoming = parse(body, &LIMITS);
    let calls: Vec<Call<'_>> = incoming.calls().cloned().collect();
    // Each call is answered with its own id, so that a mix-up shows.
    let answer = incoming.answer_with(|call| result(&call.id.as_ref().map(Id::as_json)));
    let responses = answer.as_deref().map(json::responses).unwrap_or_default();
    for response in &responses {
        if let Ok(told) = response.outcome {
            let told: String = serde_json::from_str(told).expect("an id");
            assert_eq!(told, response.id);
        }
        check_response(response.text.as_bytes());
    }
    let required = required(body);
    let got: Vec<&str> = responses.iter().map(|response| response.id).collect();
    assert_eq!(got, required.ids, "the ids owed");
    if let Some(code) = required.refusal {
        assert_eq!(responses[0].outcome, Err(code));
        assert!(calls.is_empty(), "a body that is refused is not carried out");
    }
    calls.iter().for_each(check_call);
    required.refusal.is_some()
}

/// What the specification and the limits require as the answer to a body.
struct Required<'a> {
    /// The ids of the answers, in their order.
    ids: Vec<&'a str>,
    /// The error code of the only answer, if the body is refused as a whole.
    refusal: Option<i64>,
}

fn required(body: &[u8]) -> Required<'_> {
    let refused = |code| Required { ids: vec!["null"], refusal: Some(code) };
    if body.len() > LIMITS.max_bytes {
        return refused(Error::INVALID_REQUEST);
    }
    let Ok(text) = std::str::from_utf8(body) else { return refused(Error::PARSE_ERROR) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Ok(whole) = serde_json::from_str::<&RawValue>(text) else {
        // The body may nest too deep before the place where it is malformed: then either answer is
        // right.
        let is_deep = parse(body, &LIMITS).answer(None).is_some_and(|answer| {
            json::responses(&answer)[0].outcome == Err(Error::INVALID_REQUEST)
        });
        return refused(if is_deep { Error::INVALID_REQUEST } else { Error::PARSE_ERROR });
    };
    if depth(whole.get()) > LIMITS.max_depth {
        return refused(Error::INVALID_REQUEST);
    }
    match serde_json::from_str::<Vec<&RawValue>>(whole.get()) {
        Ok(batch) if batch.is_empty() || batch.len() > LIMITS.max_batch => {
            refused(Error::INVALID_REQUEST)
        }
        Ok(batch) => Required {
            ids: batch.iter().filter_map(|raw| json::owed(raw.get())).collect(),
            refusal: None,
        },
        Err(_) => Required { ids: json::owed(whole.get()).into_iter().collect(), refusal: None },
    }
}

/// How deep arrays and objects nest in valid JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut is_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => depth += 1,
            b']' | b'}' if !is_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Checks that a call that was parsed can be written, and is the same when it is parsed again.
fn check_call(call: &Call<'_>) {
    assert!(!call.method.starts_with("rpc."), "reserved");
    let written = match &call.id {
        Some(id) => request(&call.method, &call.params, id),
        None => notification(&call.method, &call.params),
    };
    let written = written.expect("params that were read can be written");
    let again = parse(&written, &Limits::default());
    let again: Vec<_> = again.calls().collect();
    let [again] = again[..] else { panic!("{} calls", again.len()) };
    assert_eq!((&again.method, &again.id), (&call.method, &call.id));
    assert_eq!(again.params.map(RawValue::get), call.params.map(RawValue::get));
    check_message(call);
}

/// Checks the same for the mesh's own messages.
fn check_message(call: &Call<'_>) {
    let Ok(message) = codec::decode_request(call) else { return };
    let id = Id::from(1);
    let written = codec::encode_request(&message, &id).expect("a message");
    let again = parse(&written, &Limits::default());
    let again = codec::decode_request(again.calls().next().expect("a call")).expect("a message");
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
}

/// Checks that a response that was parsed can be written, and is the same when it is parsed again.
fn check_response(body: &[u8]) {
    let sought = Id::from(1);
    let Ok(outcome) = parse_response(body, &LIMITS, &sought) else { return };
    let written = Response { id: sought.clone(), outcome: outcome.clone() }.to_bytes();
    let again = parse_response(&written, &Limits::default(), &sought);
    match (outcome, again.expect("what was written can be read")) {
        (Ok(result), Ok(again)) => assert_eq!(again.get(), result.get()),
        (Err(error), Err(again)) => assert_eq!(again, error),
        (outcome, again) => panic!("{again:?} instead of {outcome:?}"),
    }
}
