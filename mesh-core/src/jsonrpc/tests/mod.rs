mod client;
mod properties;
mod specification;
mod traps;

use serde_json::{Value, json};

use super::{Call, Error, Limits, Outcome, parse, result};

/// The methods that the specification's examples call, and `echo`, which returns its params.
fn methods(call: &Call<'_>) -> Outcome {
    let params = call.params.map(|raw| serde_json::from_str(raw.get()).unwrap());
    match (&*call.method, params) {
        ("subtract", Some(Value::Array(p))) => {
            result(&(p[0].as_i64().zip(p[1].as_i64()).map(minus)))
        }
        ("subtract", Some(Value::Object(p))) => {
            result(&(p["minuend"].as_i64().zip(p["subtrahend"].as_i64()).map(minus)))
        }
        ("sum", Some(Value::Array(p))) => result(&p.iter().filter_map(Value::as_i64).sum::<i64>()),
        ("get_data", _) => result(&json!(["hello", 5])),
        ("echo", params) => result(&params),
        _ => Err(Error::method_not_found()),
    }
}

fn minus((a, b): (i64, i64)) -> i64 {
    a - b
}

/// The answer of these methods to `body`, as text.
fn answer(body: &str) -> Option<String> {
    answer_within(body, &Limits::default())
}

fn answer_within(body: &str, limits: &Limits) -> Option<String> {
    let answer = parse(body.as_bytes(), limits).answer_with(methods)?;
    Some(String::from_utf8(answer).unwrap())
}

/// The answer of these methods to `body`, as a JSON value.
fn answer_value(body: &str) -> Value {
    serde_json::from_str(&answer(body).expect("an answer")).unwrap()
}

/// Asserts that `body` gets one error with this code and id, and returns the reason given.
#[track_caller]
fn assert_error(body: &str, code: i64, id: &Value) -> String {
    let answer = answer_value(body);
    assert_eq!(answer["error"]["code"], json!(code), "{body} -> {answer}");
    assert_eq!(&answer["id"], id, "{body} -> {answer}");
    assert_eq!(answer.get("result"), None, "{body} -> {answer}");
    answer["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned()
}
