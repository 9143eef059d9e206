//! Every example of section 7 of the specification, in its order.

use serde_json::Value;

use super::answer;

/// Removes `data` from error objects: the specification leaves it to the server, and its examples
/// show none.
fn without_data(mut answer: Value) -> Value {
    let responses = match &mut answer {
        Value::Array(responses) => responses.as_mut_slice(),
        response => std::slice::from_mut(response),
    };
    for error in responses.iter_mut().filter_map(|response| response.get_mut("error")) {
        error.as_object_mut().unwrap().remove("data");
    }
    answer
}

#[track_caller]
fn assert_example(request: &str, expected: &str) {
    let answer = answer(request).expect("an answer");
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(without_data(serde_json::from_str(&answer).unwrap()), expected);
}

#[test]
fn positional_parameters() {
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#,
    );
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
        r#"{"jsonrpc": "2.0", "result": -19, "id": 2}"#,
    );
}

#[test]
fn named_parameters() {
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "subtract",
            "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 3}"#,
    );
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "subtract",
            "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 4}"#,
    );
}

#[test]
fn a_notification() {
    assert_eq!(answer(r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#), None);
    assert_eq!(answer(r#"{"jsonrpc": "2.0", "method": "foobar"}"#), None);
}

#[test]
fn call_of_a_non_existent_method() {
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"},
            "id": "1"}"#,
    );
}

#[test]
fn call_with_invalid_json() {
    assert_example(
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    );
}

#[test]
fn call_with_invalid_request_object() {
    assert_example(
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"},
            "id": null}"#,
    );
}

#[test]
fn batch_with_invalid_json() {
    assert_example(
        r#"[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    );
}

#[test]
fn empty_array() {
    assert_example(
        "[]",
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"},
            "id": null}"#,
    );
}

#[test]
fn invalid_batch_that_is_not_empty() {
    assert_example(
        "[1]",
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
    );
}

#[test]
fn invalid_batch() {
    assert_example(
        "[1,2,3]",
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
    );
}

#[test]
fn batch_of_every_kind() {
    assert_example(
        r#"[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
  {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
  {"foo": "boo"},
  {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
  {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
]"#,
        r#"[
  {"jsonrpc": "2.0", "result": 7, "id": "1"},
  {"jsonrpc": "2.0", "result": 19, "id": "2"},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
  {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
]"#,
    );
}

#[test]
fn batch_of_notifications() {
    assert_eq!(
        answer(
            r#"[
  {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
  {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
]"#
        ),
        None
    );
}
