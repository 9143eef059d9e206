use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::agent::{Failure, TriedPeers};
use crate::jsonrpc::{Id, Limits, parse, parse_response};
use crate::load::ServiceReport;
use crate::protocol::{JobDetails, Subjob};
use crate::sessions::SessionTurn;
use crate::trace::TraceContext;

fn decode(body: &str) -> Result<Request, Error> {
    let incoming = parse(body.as_bytes(), &Limits::default());
    decode_request(incoming.calls().next().expect("a call"))
}

#[test]
fn a_session_is_named_in_the_meta_data_and_passed_on() {
    let task = |meta: &str| {
        let params = format!(r#"{{"text": "x", "_meta": {meta}}}"#);
        super::task(Some(&*RawValue::from_string(params).expect("JSON")))
    };
    let named = task(r#"{"contextId": "c-7", "progressToken": 3}"#).expect("a job");
    assert_eq!(named.session_key(), Some(crate::sessions::session_key("c-7")));
    assert_eq!(task(r#"{"sessionId": "c-7"}"#).expect("a job").session_key(), named.session_key());
    assert_eq!(task(r#"{"other": 1}"#).expect("a job").session_key(), None);
    assert!(task("7").is_err() && task(r#"{"contextId": 7}"#).is_err());
    assert!(task(&format!(r#"{{"contextId": "{}"}}"#, "x".repeat(257))).is_err());
    let body = encode_request(&Request::Work(named), &Id::NULL).expect("a body");
    let body = String::from_utf8(body).expect("text");
    assert!(body.contains(r#""_meta":{"contextId":"c-7"}"#), "{body}");
    let elsewhere = task(r#"{"contextId": "a"}"#).expect("a job").in_session("b".into());
    assert_eq!(
        elsewhere.session_key(),
        Some(crate::sessions::session_key("a")),
        "the first counts"
    );
}

#[test]
fn the_demos_work_request_is_understood() {
    let body = r#"{"jsonrpc": "2.0", "method": "work",
        "params": {"text": "Optimize Kafka consumer throughput"}, "id": "1234"}"#;
    let Ok(Request::Work(task)) = decode(body) else { panic!("a work request") };
    assert_eq!(&*task.text, "Optimize Kafka consumer throughput");
    assert_eq!((task.timeout, task.demand, task.idempotent), (None, None, false));
}

#[test]
fn the_demos_fields_are_in_the_answers() {
    let work = WorkReply {
        agent: "agent-992".into(),
        result: RawValue::from_string("\"Processed: x\"".into()).expect("JSON").into(),
        latency: Duration::from_micros(309_800),
    };
    let load = LoadReport { cpu_percent: 8.7, memory_percent: 47.3, in_flight: 1, queued: 0 };
    let delegated_to = ChosenPeer {
        agent: "agent-992".into(),
        url: "127.0.0.1:8612".into(),
        load: Some(load),
        latency: Some(Duration::from_micros(7_400)),
    };
    let latency = Duration::from_micros(512_600);
    let reply = DelegateReply { delegated_to, peer_result: work, latency };
    let result = encode_reply(Reply::Delegate(reply.into())).expect("JSON");
    let value: serde_json::Value = serde_json::from_str(result.get()).expect("JSON");
    let expected = json!({
        "delegated_to": {"agent": "agent-992", "cpu": 8.7, "mem": 47.3, "in_flight": 1,
            "queued": 0, "latency_ms": 7.4, "url": "127.0.0.1:8612"},
        "peer_result": {"agent": "agent-992", "result": "Processed: x", "rpc_latency_ms": 309.8},
        "rpc_latency_ms": 512.6,
    });
    assert_eq!(value, expected);
    let request = Request::Delegate(task_with(None, None));
    assert!(matches!(decode_reply(&request, &result), Ok(Reply::Delegate(_))));
}

#[test]
fn an_info_answer_of_the_demo_is_understood() {
    let result = RawValue::from_string(r#"{"agent":"a","cpu":1.5,"mem":20}"#.into()).expect("JSON");
    let Ok(Reply::Info(info)) = decode_reply(&Request::Info, &result) else { panic!("info") };
    assert_eq!((info.load.cpu_percent, info.load.memory_percent), (1.5, 20.0));
}

#[test]
fn an_info_answer_survives_the_wire() {
    let load = LoadReport { cpu_percent: 8.7, memory_percent: 47.3, in_flight: 3, queued: 1 };
    // Longer than the durations that a request may ask for.
    let uptime = Some(Duration::from_millis(40 * 86_400_000 + 1));
    let info = InfoReply {
        agent: "a".into(),
        load,
        profile: Profile::new(
            ["draw"].into_iter().collect(),
            Weight::of_hundredths(250),
            Some("eu".into()),
        ),
        version: Some("1.2.3".into()),
        uptime,
    };
    let result = encode_reply(Reply::Info(info)).expect("JSON");
    let Ok(Reply::Info(got)) = decode_reply(&Request::Info, &result) else { panic!("info") };
    assert_eq!((&*got.agent, got.load, got.version.as_deref()), ("a", load, Some("1.2.3")));
    assert_eq!(got.uptime, uptime);
}

#[test]
fn bad_params_are_refused_with_a_reason() {
    for (params, reason) in [
        ("{}", "missing field `text`"),
        (r#"{"text": 1}"#, "invalid type"),
        (r#"{"text": "x", "timeout_ms": -1}"#, "not between"),
        (r#"{"text": "x", "timeout_ms": 1e300}"#, "not between"),
        (r#"{"text": "x", "demand_ms": "1"}"#, "invalid type"),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"work","params":{params},"id":1}}"#);
        let error = decode(&body).expect_err(params);
        assert_eq!(error.code, Error::INVALID_PARAMS, "{params}");
        let told =
            format!("{} {}", error.message, error.data.map_or(String::new(), |d| d.to_string()));
        assert!(told.contains(reason), "{params}: {told}");
    }
    let unknown = decode(r#"{"jsonrpc":"2.0","method":"sing","id":1}"#).expect_err("unknown");
    assert_eq!(unknown.code, Error::METHOD_NOT_FOUND);
}

/// One of each kind.
fn failures() -> [Failure; 16] {
    let tried = TriedPeers { busy: 2, unreachable: 3 };
    [
        Failure::Busy,
        Failure::BusyFor(Duration::from_millis(250)),
        Failure::Throttled { retry_after: Duration::from_millis(1_500) },
        Failure::NoPeers,
        Failure::NoSkill { skill: "model:x".into() },
        Failure::NoReachablePeers(tried),
        Failure::AllBusy(tried),
        Failure::DeadlineExceeded,
        Failure::OutcomeUnknown { peer: "b".into() },
        Failure::TooDeep { max: 4 },
        Failure::ShuttingDown,
        Failure::JobFailed("no such file".into()),
        Failure::RetriesExhausted(tried),
        Failure::Unavailable("connection refused".into()),
        Failure::Unavailable("HTTP status 429".into())
            .with_retry_after(Some(Duration::from_millis(1_500))),
        Failure::Other(Error::new(7, "odd").with_data(&json!({ "why": [1, 2] }))),
    ]
}

/// The error object that a failure becomes, after it was written and read again.
fn over_the_wire(failure: &Failure) -> Error {
    let outcome = Err(to_error(failure));
    let response = jsonrpc::Response { id: Id::from(1), outcome }.to_bytes();
    let outcome = parse_response(&response, &Limits::default(), &Id::from(1)).expect("valid");
    outcome.expect_err("an error")
}

#[test]
fn every_failure_survives_the_wire() {
    for failure in failures() {
        let error = over_the_wire(&failure);
        // Agents of earlier versions don't name the origin.
        for origin in [Some(Origin::of(&failure)), None] {
            assert_eq!(from_error(&error, origin), failure);
        }
    }
}

#[test]
fn a_jobs_own_error_is_never_taken_for_the_meshs() {
    for failure in failures() {
        // A perfect imitation: the service that did the job is an agent itself.
        let imitation = Failure::Other(to_error(&failure));
        assert_eq!(Origin::of(&imitation), Origin::Job);
        assert_eq!(from_error(&over_the_wire(&imitation), Some(Origin::Job)), imitation);
    }
    // Other servers use these codes for errors of their own.
    for error in [
        Error::new(-32010, "charged, but declined"),
        Error::new(-32015, "VM execution error.").with_data("Reverted 0x08c379a0"),
        Error::new(-32017, "closed").with_data(&json!({ "reason": "busy" })),
    ] {
        assert_eq!(from_error(&error, None), Failure::Other(error.clone()));
    }
    for origin in [Origin::Agent, Origin::Job] {
        assert_eq!(Origin::parse(origin.as_str()), Some(origin));
    }
    assert_eq!(Origin::parse("none"), None);
}

#[test]
fn a_job_that_a_peer_would_refuse_as_too_long_is_not_delegated() {
    let call = |method: &str, length: usize| {
        let text = "x".repeat(length);
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": { "text": text } });
        decode(&body.to_string())
    };
    let most = limits::DELEGATE_PARAMS_BYTES - r#"{"text":""}"#.len();
    let Ok(Request::Delegate(mut task)) = call("delegate", most) else { panic!("it fits") };
    // The longest body that the mesh can make of it.
    let day = Some(Duration::from_nanos(86_399_999_999_999));
    (task.timeout, task.demand, task.idempotent) = (day, day, true);
    (task.depth, task.request, task.attempt) = (u32::MAX, u64::MAX, u32::MAX);
    let body = encode_request(&Request::Work(task), &Id::from(1)).expect("JSON");
    assert!(body.len() <= Limits::default().max_bytes);
    let error = call("delegate", most + 1).expect_err("too long");
    let told = format!("{:?}", error.data);
    assert!(error.code == Error::INVALID_PARAMS && told.contains("1044480 at most"), "{told}");
    call("work", most + 1).expect("it goes no further");
}

#[test]
fn details_that_make_no_sense_are_refused_with_the_reason() {
    for (params, reason) in [
        (json!({ "join": 2, "calls": [{ "text": "y" }] }), "`join` is 2, but there are 1 `calls`"),
        (json!({ "calls": [{ "text": "y", "join": 1 }] }), "`join` is 1, but there are 0 `calls`"),
        (json!({ "calls": [{ "text": "y", "skill": "a b" }] }), "is no skill"),
        (json!({ "wait_ms": 1e300 }), "1e300 ms is not between 0 and 24 hours"),
    ] {
        let mut params = params;
        params["text"] = "x".into();
        let body = json!({ "jsonrpc": "2.0", "method": "work", "params": params });
        let error = decode(&body.to_string()).expect_err("it is refused");
        let told = format!("{:?}", error.data);
        assert!(error.code == Error::INVALID_PARAMS && told.contains(reason), "{told}");
    }
}

fn trace() -> TraceContext {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    TraceContext::parse(text, Some("a=\"1\\,b=2")).expect("a context")
}

/// A job that waits, and has two others done, one of which has details, too.
fn details() -> JobDetails {
    let below = JobDetails {
        skill: Some("search".into()),
        calls: vec![Subjob::new("deep")],
        in_turn: true,
        ..JobDetails::default()
    };
    let search = Subjob {
        demand: Some(Duration::from_nanos(5)),
        details: Some(below.into()),
        idempotent: true,
        ..Subjob::new("search")
    };
    let calls = vec![search, Subjob::new("y")];
    let session = Some(SessionTurn { session: u64::MAX, turn: 3, warm: 0.4 });
    JobDetails {
        skill: Some("model:x".into()),
        foreign: None,
        wait: Duration::from_nanos(7),
        session,
        context: Some("c \"1\"".into()),
        trace: Some(trace().into()),
        calls,
        join: Some(1),
        in_turn: false,
    }
}

fn task_with(timeout: Option<Duration>, demand: Option<Duration>) -> Task {
    Task {
        text: "x".into(),
        timeout,
        demand,
        details: Some(details().into()),
        idempotent: true,
        depth: 1,
        request: u64::MAX,
        attempt: 2,
        offer: OfferNumber::new(u32::MAX),
    }
}

proptest! {
    /// To the nanosecond, up to the 24 hours that a request may ask for.
    #[test]
    fn tasks_survive_the_wire(timeout in 0u64..86_400_000_000_000, demand in any::<u32>()) {
        let sent = task_with(
            Some(Duration::from_nanos(timeout)),
            Some(Duration::from_nanos(demand.into())),
        );
        let body = encode_request(&Request::Work(sent.clone()), &Id::from(1)).expect("JSON");
        let incoming = parse(&body, &Limits::default());
        let call = incoming.calls().next().expect("a call");
        let Ok(Request::Work(got)) = decode_request(call) else { panic!("a work request") };
        prop_assert_eq!(got.timeout, sent.timeout);
        prop_assert_eq!((got.demand, got.details), (sent.demand, sent.details));
        prop_assert_eq!(
            (got.idempotent, got.depth, got.request, got.attempt, got.offer),
            (sent.idempotent, sent.depth, sent.request, sent.attempt, sent.offer)
        );
    }
}

#[test]
fn how_jobs_went_is_told_only_if_asked_for_and_survives_the_wire() {
    let ask = |params: &str| {
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"info","params":{params}}}"#);
        decode(&json).expect("never refused")
    };
    assert!(matches!(ask(r#"{"service":true}"#), Request::Service));
    for other in ["{}", "[]", r#"{"service":false}"#, r#"{"service":7}"#] {
        assert!(matches!(ask(other), Request::Info), "{other}");
    }
    let service = ServiceReport {
        expected: Some(Duration::from_micros(80_125)),
        service_time: Some(Duration::from_millis(3 * 86_400_000)),
        served_per_s: 12.5,
        failed_per_s: 0.0,
        slots: Some(4),
    };
    let info = InfoReply {
        agent: "a".into(),
        load: LoadReport::default(),
        profile: Profile::default(),
        version: None,
        uptime: None,
    };
    let reply = Reply::Service(Box::new(ServiceReply { info, service }));
    let result = encode_reply(reply).expect("JSON");
    let Ok(Reply::Service(got)) = decode_reply(&Request::Service, &result) else { panic!("info") };
    let day = Some(Duration::from_secs(86_400));
    assert_eq!(got.service, ServiceReport { service_time: day, ..service }, "24 h at most");
    // An agent that doesn't know the param answers as it does to anybody.
    let demo = RawValue::from_string(r#"{"agent":"a","cpu":1.5,"mem":20}"#.into()).expect("JSON");
    assert!(matches!(decode_reply(&Request::Service, &demo), Ok(Reply::Info(_))));
    for bad in [r#"{"expected_ms":-1}"#, r#"{"served_per_s":-1}"#, r#"{"slots":-1}"#, "7"] {
        let json = format!(r#"{{"agent":"a","cpu":1.5,"mem":20,"service":{bad}}}"#);
        let bad = RawValue::from_string(json).expect("JSON");
        assert!(decode_reply(&Request::Service, &bad).is_err(), "{}", bad.get());
    }
}
