//! Cases that implementations of JSON-RPC get wrong; each test names one.

use serde_json::{Value, json};

use super::{answer, answer_value, answer_within, assert_error};
use crate::jsonrpc::{Error, Limits, parse, result};

const NULL: &Value = &Value::Null;

#[test]
fn the_version_is_exactly_a_string() {
    for version in [r#""1.0""#, r#""2""#, r#""2.0 ""#, "2.0", "2", "null", r#"["2.0"]"#] {
        let body = format!(r#"{{"jsonrpc":{version},"method":"echo","id":7}}"#);
        let reason = assert_error(&body, Error::INVALID_REQUEST, &json!(7));
        assert_eq!(reason, "`jsonrpc` must be \"2.0\", once");
    }
    assert_error(r#"{"method":"echo","id":7}"#, Error::INVALID_REQUEST, &json!(7));
}

#[test]
fn an_id_of_null_is_answered() {
    let answer = answer(r#"{"jsonrpc":"2.0","method":"echo","id":null}"#).unwrap();
    assert_eq!(answer, r#"{"jsonrpc":"2.0","result":null,"id":null}"#);
}

#[test]
fn ids_are_echoed_verbatim() {
    for id in [
        "0",
        "-0",
        "-7",
        "1.50",
        "1e400",
        "1E+2",
        "123456789012345678901234567890",
        r#""""#,
        r#""1234""#,
        r#""\u0041\/\n""#,
        r#""\ud800""#,
        "\"naïve 🕸\"",
        r#""],[{\"""#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"echo","params":[],"id": {id} }}"#);
        let expected = format!(r#"{{"jsonrpc":"2.0","result":[],"id":{id}}}"#);
        assert_eq!(answer(&body).unwrap(), expected);
        assert_eq!(answer(&format!("[{body}]")).unwrap(), format!("[{expected}]"));
    }
}

#[test]
fn an_id_of_another_type_is_no_id() {
    for id in ["true", "false", "[1]", "{}"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"echo","id":{id}}}"#);
        assert_error(&body, Error::INVALID_REQUEST, NULL);
    }
}

#[test]
fn params_are_an_array_or_an_object() {
    for params in ["null", "1", "\"bar\"", "true"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"echo","params":{params},"id":1}}"#);
        let reason = assert_error(&body, Error::INVALID_REQUEST, &json!(1));
        assert_eq!(reason, "`params` must be an array or an object, once");
    }
    for params in ["[]", "{}", " [1] ", r#"{"a":[null]}"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"echo","params":{params},"id":1}}"#);
        let expected: Value = serde_json::from_str(params).unwrap();
        assert_eq!(answer_value(&body)["result"], expected);
    }
}

#[test]
fn a_method_is_a_string() {
    for method in ["1", "null", "[]", r#""\udc00""#] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":{method},"id":1}}"#);
        assert_error(&body, Error::INVALID_REQUEST, &json!(1));
    }
    assert_error(r#"{"jsonrpc":"2.0","id":1}"#, Error::INVALID_REQUEST, &json!(1));
}

#[test]
fn an_invalid_request_without_an_id_is_answered_all_the_same() {
    assert_error(r#"{"jsonrpc":"2.0","params":[]}"#, Error::INVALID_REQUEST, NULL);
    assert_error(r#"{"jsonrpc":"2.0","method":"echo","params":3}"#, Error::INVALID_REQUEST, NULL);
}

#[test]
fn json_that_is_no_object_is_an_invalid_request() {
    for body in ["1", "null", "true", "\"text\"", " -1.5e3 "] {
        assert_error(body, Error::INVALID_REQUEST, NULL);
    }
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for body in ["", " ", "{", "[", "nul", "01", "{}{}", "[] []", "1 2", "{}\u{feff}", "[1,]"] {
        assert_error(body, Error::PARSE_ERROR, NULL);
    }
    let call = r#"{"jsonrpc":"2.0","method":"echo","id":1}"#;
    assert_error(&format!("{call} x"), Error::PARSE_ERROR, NULL);
    assert_error(&format!("[{call}"), Error::PARSE_ERROR, NULL);
}

#[test]
fn what_is_not_utf_8_is_a_parse_error() {
    let body = b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}";
    let answer = parse(body, &Limits::default()).answer_with(|_| result(&())).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["error"]["code"], Error::PARSE_ERROR);
}

#[test]
fn a_batch_of_one_gets_an_array() {
    let body = r#" [ {"jsonrpc":"2.0","method":"echo","id":1} ] "#;
    assert_eq!(answer(body).unwrap(), r#"[{"jsonrpc":"2.0","result":null,"id":1}]"#);
}

#[test]
fn a_batch_in_a_batch_is_an_invalid_request() {
    let body = r#"[[{"jsonrpc":"2.0","method":"echo","id":1}]]"#;
    let answer = answer_value(body);
    assert_eq!(answer.as_array().unwrap().len(), 1);
    assert_eq!(answer[0]["error"]["code"], Error::INVALID_REQUEST);
}

#[test]
fn repeated_members_are_refused() {
    let once = [r#""jsonrpc":"2.0""#, r#""method":"echo""#, r#""params":[]"#, r#""id":1"#];
    for (repeated, id) in once.iter().zip([json!(1), json!(1), json!(1), Value::Null]) {
        let body = format!("{{{},{repeated}}}", once.join(","));
        let reason = assert_error(&body, Error::INVALID_REQUEST, &id);
        let name = repeated.split('"').nth(1).unwrap();
        assert!(reason.starts_with(&format!("`{name}`")), "{reason}");
    }
}

#[test]
fn other_members_are_ignored() {
    let body = r#"{"trace":{"a":[1e999]},"jsonrpc":"2.0","method":"echo","id":1,"trace":0}"#;
    assert_eq!(answer(body).unwrap(), r#"{"jsonrpc":"2.0","result":null,"id":1}"#);
}

#[test]
fn a_bad_member_name_spoils_its_own_call_only() {
    let body = r#"[{"\ud800":0,"id":1}, {"jsonrpc":"2.0","method":"echo","id":2}]"#;
    let answer = answer_value(body);
    assert_eq!(answer[0]["error"]["code"], Error::INVALID_REQUEST);
    assert_eq!(answer[1], json!({"jsonrpc": "2.0", "result": null, "id": 2}));
}

#[test]
fn escapes_in_names_and_methods_are_read() {
    let body = r#"{"json\u0072pc":"2\u002e0","\u006dethod":"ec\u0068o","id":1}"#;
    assert_eq!(answer(body).unwrap(), r#"{"jsonrpc":"2.0","result":null,"id":1}"#);
}

#[test]
fn reserved_methods_never_reach_the_dispatcher() {
    let limits = Limits::default();
    for method in ["rpc.", "rpc.discover", "\\u0072pc.x"] {
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","id":1}}"#);
        assert_error(&call, Error::METHOD_NOT_FOUND, &json!(1));
        let notification = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
        let incoming = parse(notification.as_bytes(), &limits);
        assert_eq!(incoming.calls().count(), 0);
        assert_eq!(incoming.answer([]), None);
    }
    assert_eq!(answer(r#"{"jsonrpc":"2.0","method":"rpc.note"}"#), None);
    assert_eq!(parse(br#"{"jsonrpc":"2.0","method":"rpcx"}"#, &limits).calls().count(), 1);
}

#[test]
fn a_success_may_be_null_and_has_no_error_member() {
    let answer = answer_value(r#"{"jsonrpc":"2.0","method":"echo","id":1}"#);
    assert_eq!(answer, json!({"jsonrpc": "2.0", "result": null, "id": 1}));
}

#[test]
fn messages_and_data_of_errors_are_escaped() {
    let body = br#"{"jsonrpc":"2.0","method":"x","id":1}"#;
    let error = Error { message: "a \"b\"\n\u{1}".into(), ..Error::new(-32010, "") };
    let answer = parse(body, &Limits::default())
        .answer([Err(error.with_data(&json!({ "tab": "\t" })))])
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let expected = json!({ "code": -32010, "message": "a \"b\"\n\u{1}", "data": { "tab": "\t" } });
    assert_eq!(answer["error"], expected);
}

#[test]
fn a_call_without_an_outcome_gets_an_internal_error() {
    let body = br#"[{"jsonrpc":"2.0","method":"a","id":1},{"jsonrpc":"2.0","method":"b","id":2}]"#;
    let answer = parse(body, &Limits::default()).answer([result(&1)]).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer[0]["result"], 1);
    assert_eq!(answer[1]["error"]["code"], Error::INTERNAL_ERROR);
    assert_eq!(answer[1]["id"], 2);
}

/// The name of the limit that an answer says was exceeded.
#[track_caller]
fn exceeded(body: &str, limits: &Limits) -> Option<String> {
    let answer: Value = serde_json::from_str(&answer_within(body, limits).unwrap()).unwrap();
    if answer.get("error").is_some() {
        assert_eq!(answer["error"]["code"], Error::INVALID_REQUEST);
        assert_eq!(answer["id"], Value::Null);
    }
    answer["error"]["data"]["limit"].as_str().map(str::to_owned)
}

#[test]
fn length_is_limited() {
    let body = r#"{"jsonrpc":"2.0","method":"echo","id":1}"#;
    let limits = Limits { max_bytes: body.len(), ..Limits::default() };
    assert_eq!(exceeded(body, &limits), None);
    assert_eq!(exceeded(&format!("{body} "), &limits).as_deref(), Some("max_bytes"));
}

#[test]
fn depth_is_limited_in_params_and_in_ignored_members() {
    let limits = Limits { max_depth: 3, ..Limits::default() };
    for member in ["params", "ignored"] {
        let nested = |value: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"echo","id":1,"{member}":{value}}}"#)
        };
        assert_eq!(exceeded(&nested(r#"[[],{},"[[[[\"[[["]"#), &limits), None);
        assert_eq!(exceeded(&nested("[[[]]]"), &limits).as_deref(), Some("max_depth"));
        assert_eq!(exceeded(&nested(r#"["\\",{"a":{}}]"#), &limits).as_deref(), Some("max_depth"));
    }
}

#[test]
fn depth_costs_no_stack() {
    let body = "[".repeat(1 << 19) + &"]".repeat(1 << 19);
    let generous = Limits { max_depth: usize::MAX, ..Limits::default() };
    assert_eq!(exceeded(&body, &Limits::default()).as_deref(), Some("max_depth"));
    let answer: Value = serde_json::from_str(&answer_within(&body, &generous).unwrap()).unwrap();
    assert_eq!(answer[0]["error"]["code"], Error::INVALID_REQUEST);
}

#[test]
fn batches_are_limited() {
    let limits = Limits { max_batch: 2, ..Limits::default() };
    assert_eq!(exceeded("[1,2]", &limits), None);
    assert_eq!(exceeded("[1,2,3]", &limits).as_deref(), Some("max_batch"));
}
