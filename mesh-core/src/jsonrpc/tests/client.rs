use serde_json::{Value, json};

use super::methods;
use crate::jsonrpc::{
    BodyError, Error, Id, Limits, Outcome, RequestError, ResponseError, notification, parse,
    parse_response, request,
};

fn read(body: &str, id: &Id) -> Result<Outcome, ResponseError> {
    parse_response(body.as_bytes(), &Limits::default(), id)
}

#[track_caller]
fn assert_malformed(body: &str) {
    let outcome = read(body, &Id::from(1));
    assert!(matches!(outcome, Err(ResponseError::Malformed(_))), "{body}: {outcome:?}");
}

#[test]
fn requests_have_the_members_that_they_need() {
    let call = request("work", &json!({"text": "a\"b"}), &Id::from("x")).unwrap();
    assert_eq!(call, br#"{"jsonrpc":"2.0","method":"work","params":{"text":"a\"b"},"id":"x"}"#);
    let bare = request("in\"fo", &(), &Id::from(u64::MAX)).unwrap();
    assert_eq!(bare, br#"{"jsonrpc":"2.0","method":"in\"fo","id":18446744073709551615}"#);
    let note = notification("note", &[1, 2]).unwrap();
    assert_eq!(note, br#"{"jsonrpc":"2.0","method":"note","params":[1,2]}"#);
}

#[test]
fn params_that_are_not_structured_are_not_sent() {
    for params in [json!(1), json!("text"), json!(true)] {
        let refused = request("work", &params, &Id::from(1));
        assert!(matches!(refused, Err(RequestError::Params)), "{params}");
    }
    let keys_are_arrays = std::collections::BTreeMap::from([([1], 2)]);
    assert!(matches!(notification("work", &keys_are_arrays), Err(RequestError::Json(_))));
}

#[test]
fn a_call_comes_back_answered() {
    for id in [Id::from(7), Id::from("seven \"7\" 🕸"), Id::NULL] {
        let body = request("subtract", &[42, 23], &id).unwrap();
        let answer = parse(&body, &Limits::default()).answer_with(methods).unwrap();
        let outcome = parse_response(&answer, &Limits::default(), &id).unwrap();
        assert_eq!(outcome.unwrap().get(), "19");
    }
}

#[test]
fn null_is_a_result() {
    let outcome = read(r#"{"jsonrpc":"2.0","result":null,"id":1}"#, &Id::from(1)).unwrap();
    assert_eq!(outcome.unwrap().get(), "null");
}

#[test]
fn errors_are_read_whole() {
    let body =
        r#"{"jsonrpc":"2.0","error":{"code":-32010,"message":"b\u0075sy","data":[1]},"id":1}"#;
    let error = read(body, &Id::from(1)).unwrap().unwrap_err();
    assert_eq!(error, Error::new(-32010, "busy").with_data(&[1]));
    assert_eq!(error.to_string(), "JSON-RPC error -32010: busy");
}

#[test]
fn a_response_has_either_a_result_or_an_error() {
    assert_malformed(r#"{"jsonrpc":"2.0","id":1}"#);
    assert_malformed(r#"{"jsonrpc":"2.0","result":1,"result":1,"id":1}"#);
    assert_malformed(r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":"m"},"id":1}"#);
}

#[test]
fn a_null_beside_the_outcome_is_taken_for_absent() {
    let body = r#"{"jsonrpc":"2.0","result":1,"error":null,"id":1}"#;
    assert_eq!(read(body, &Id::from(1)).unwrap().unwrap().get(), "1");
    let body = r#"{"jsonrpc":"2.0","result":null,"error":{"code":1,"message":"m"},"id":1}"#;
    assert_eq!(read(body, &Id::from(1)).unwrap().unwrap_err(), Error::new(1, "m"));
    let body = r#"{"jsonrpc":"2.0","result":null,"error":null,"id":1}"#;
    assert_eq!(read(body, &Id::from(1)).unwrap().unwrap().get(), "null");
}

#[test]
fn a_response_says_its_version() {
    assert_malformed(r#"{"result":1,"id":1}"#);
    assert_malformed(r#"{"jsonrpc":2.0,"result":1,"id":1}"#);
    assert_malformed(r#"{"jsonrpc":"2.0","jsonrpc":"2.0","result":1,"id":1}"#);
}

#[test]
fn an_error_has_an_integer_code_and_a_message() {
    for error in [
        r#"{"message":"m"}"#,
        r#"{"code":1.5,"message":"m"}"#,
        r#"{"code":"1","message":"m"}"#,
        r#"{"code":99999999999999999999,"message":"m"}"#,
        r#"{"code":1}"#,
        r#"{"code":1,"message":null}"#,
        r#"{"code":1,"message":"m","data":1,"data":1}"#,
    ] {
        assert_malformed(&format!(r#"{{"jsonrpc":"2.0","error":{error},"id":1}}"#));
    }
    let outcome = read(r#"{"jsonrpc":"2.0","error":[],"id":1}"#, &Id::from(1));
    assert!(matches!(outcome, Err(ResponseError::Json(_))));
}

#[test]
fn the_id_is_the_one_sent() {
    for id in ["2", "\"1\"", "null", "1.0", "-1"] {
        let body = format!(r#"{{"jsonrpc":"2.0","result":1,"id":{id}}}"#);
        let outcome = read(&body, &Id::from(1));
        assert!(matches!(outcome, Err(ResponseError::Id { .. })), "{id}: {outcome:?}");
    }
    assert_malformed(r#"{"jsonrpc":"2.0","result":1}"#);
    assert_malformed(r#"{"jsonrpc":"2.0","result":1,"id":[1]}"#);
    assert_malformed(r#"{"jsonrpc":"2.0","result":1,"id":1,"id":1}"#);
}

#[test]
fn an_id_may_come_back_with_other_escapes() {
    let body = r#"{"jsonrpc":"2.0","result":1,"id":"na\u00efve\/"}"#;
    assert!(read(body, &Id::from("naïve/")).is_ok());
    assert!(read(body, &Id::from("naive/")).is_err());
}

#[test]
fn an_error_without_an_id_is_ours() {
    let body = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}"#;
    let error = read(body, &Id::from(1)).unwrap().unwrap_err();
    assert_eq!(error.code, Error::PARSE_ERROR);
}

#[test]
fn what_is_no_object_or_exceeds_a_limit_is_an_error() {
    let id = Id::from(1);
    for body in ["", "[]", "null", r#"{"jsonrpc":"2.0","result":1,"id":1} x"#] {
        assert!(matches!(read(body, &id), Err(ResponseError::Json(_))), "{body}");
    }
    let deep = format!(r#"{{"jsonrpc":"2.0","result":{}}}"#, "[".repeat(64));
    assert!(matches!(read(&deep, &id), Err(ResponseError::Body(BodyError::TooDeep { max: 64 }))));
    let long = vec![b' '; Limits::default().max_bytes + 1];
    let outcome = parse_response(&long, &Limits::default(), &id);
    assert!(matches!(outcome, Err(ResponseError::Body(BodyError::TooLong { .. }))));
    let outcome = parse_response(b"\xff", &Limits::default(), &id);
    assert!(matches!(outcome, Err(ResponseError::Body(BodyError::Text(_)))));
}

#[test]
fn ids_of_ours_are_json() {
    assert_eq!(Id::from(7).as_json(), "7");
    assert_eq!(Id::from("a\"b").as_json(), r#""a\"b""#);
    assert_eq!(Id::NULL.to_string(), "null");
    assert_eq!(serde_json::from_str::<Value>(Id::from("\n").as_json()).unwrap(), "\n");
}
