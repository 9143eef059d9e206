use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::jsonrpc::{Id, Limits, parse, parse_response, result};

/// So small that random bodies exceed them now and then.
const LIMITS: Limits = Limits { max_bytes: 600, max_depth: 5, max_batch: 12 };

/// One element of a random batch, and what must come of it.
#[derive(Clone, Debug)]
struct RandomElement {
    json: String,
    /// The id, as JSON, that its answer must have; `None`: no answer.
    id: Option<String>,
    is_valid: bool,
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |x| x.is_finite())
            .prop_map(|x| x.to_string()),
        ".{0,6}".prop_map(|text| Value::from(text).to_string()),
        Just("null".to_owned()),
        Just("-0.00E+7".to_owned()),
    ]
}

fn params() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(r#""params":[1,"]"],"#), Just(r#""params":{"a":{}},"#)]
}

fn call() -> impl Strategy<Value = RandomElement> {
    (id(), params(), "[a-z\"é]{0,5}").prop_map(|(id, params, method)| {
        let method = Value::from(method);
        let json = format!(r#"{{"id":{id},{params}"method":{method},"jsonrpc":"2.0"}}"#);
        RandomElement { json, id: Some(id), is_valid: true }
    })
}

fn notification() -> impl Strategy<Value = RandomElement> {
    params().prop_map(|params| {
        let json = format!(r#"{{{params}"method":"note","jsonrpc":"2.0"}}"#);
        RandomElement { json, id: None, is_valid: true }
    })
}

fn garbage() -> impl Strategy<Value = RandomElement> {
    let null = || Just("null".to_owned());
    let with_id = (id(), 0..4_usize).prop_map(|(id, kind)| {
        let rest = [
            r#""method":"m""#,
            r#""jsonrpc":"2.0","method":{}"#,
            r#""jsonrpc":"2.0","method":"m","params":7"#,
            r#""jsonrpc":"2.0","jsonrpc":"2.0","method":"m""#,
        ][kind];
        (format!(r#"{{{rest},"id":{id}}}"#), id)
    });
    let without = prop_oneof![
        Just("1"),
        Just("null"),
        Just("[]"),
        Just("{}"),
        Just(r#""text""#),
        Just(r#"{"jsonrpc":"2.0","method":"m","id":{}}"#),
        Just(r#"{"jsonrpc":"2.0","method":"m","id":1,"id":2}"#),
    ];
    prop_oneof![with_id, (without.prop_map(str::to_owned), null())]
        .prop_map(|(json, id)| RandomElement { json, id: Some(id), is_valid: false })
}

fn element() -> impl Strategy<Value = RandomElement> {
    prop_oneof![call(), notification(), garbage()]
}

fn batch(elements: &[RandomElement]) -> String {
    let all: Vec<_> = elements.iter().map(|element| element.json.as_str()).collect();
    format!("[{}]", all.join(" ,\n"))
}

/// Asserts that no `body` leads to a panic, and that its answer is JSON.
fn survives(body: &[u8]) {
    let id = Id::from(7);
    let incoming = parse(body, &LIMITS);
    if let Some(answer) = incoming.answer_with(|_| result(&())) {
        // As raw text: an id may be a number that JSON allows and no double can hold.
        let answer: &RawValue = serde_json::from_slice(&answer).unwrap();
        assert_ne!(answer.get(), "[]");
    }
    drop(parse_response(body, &LIMITS, &id));
}

/// Replaces, inserts or removes a few bytes.
fn mutate(body: &mut Vec<u8>, mutations: &[(prop::sample::Index, u8, u8)]) {
    for (place, kind, byte) in mutations {
        let at = place.index(body.len() + 1);
        match kind {
            0 => body.insert(at, *byte),
            1 if at < body.len() => body[at] = *byte,
            2 if at < body.len() => drop(body.remove(at)),
            _ => body.truncate(at),
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#"[]{}",:\0"#.to_vec())];
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, byte), 1..4)
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        survives(&body);
    }

    #[test]
    fn no_json_like_text_panics(body in r#"[\[\]{}":,\\ a0-]{0,64}"#) {
        survives(body.as_bytes());
    }

    #[test]
    fn no_mutated_request_panics(
        elements in prop::collection::vec(element(), 1..4),
        mutations in mutations(),
    ) {
        let mut body = batch(&elements).into_bytes();
        mutate(&mut body, &mutations);
        survives(&body);
    }

    #[test]
    fn no_mutated_response_panics(id in id(), is_error: bool, mutations in mutations()) {
        let outcome =
            if is_error { r#""error":{"code":-1,"message":"m"}"# } else { r#""result":[1]"# };
        let mut body = format!(r#"{{"jsonrpc":"2.0",{outcome},"id":{id}}}"#).into_bytes();
        mutate(&mut body, &mutations);
        survives(&body);
    }

    #[test]
    fn every_element_of_a_batch_gets_its_due(elements in prop::collection::vec(element(), 1..12)) {
        let body = batch(&elements);
        let limits = Limits::default();
        let incoming = parse(body.as_bytes(), &limits);
        prop_assert_eq!(incoming.calls().count(), elements.iter().filter(|e| e.is_valid).count());
        // Each outcome is the id of its call, so that a mix-up shows.
        let answer = incoming.answer_with(|call| result(&call.id.as_ref().map(Id::as_json)));
        let due: Vec<_> = elements.iter().filter(|element| element.id.is_some()).collect();
        let Some(answer) = answer else {
            prop_assert!(due.is_empty());
            return Ok(());
        };
        let answers: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&answer).unwrap();
        prop_assert_eq!(answers.len(), due.len());
        for (answer, element) in answers.iter().zip(due) {
            let id = element.id.as_ref().unwrap();
            if element.is_valid {
                let result = Value::from(id.as_str());
                let expected = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#);
                prop_assert_eq!(answer.get(), expected);
            } else {
                let refusal = r#"{"jsonrpc":"2.0","error":{"code":-32600,"#;
                prop_assert!(answer.get().starts_with(refusal), "{}", answer);
                prop_assert!(answer.get().ends_with(&format!(r#","id":{id}}}"#)), "{}", answer);
            }
        }
    }
}
