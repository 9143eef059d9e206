//! What an agent promises to its clients.

use std::future::pending;

use mesh_core::agent::config::Concurrency;
use mesh_node::http::{Request, Response, serve};

use super::*;

/// The demand in milliseconds of a job that no case waits for.
const ENDLESS: u64 = 3_600_000;

/// An agent without a registry.
async fn alone<N: Net>(mesh: &Mesh<N>, set: impl FnOnce(&mut Setup)) -> Running {
    mesh.agent("alone", NOWHERE, set).await
}

fn work(demand_ms: u64) -> Value {
    json!({ "text": "x", "demand_ms": demand_ms, "timeout_ms": ENDLESS })
}

pub(crate) async fn info_has_the_demos_fields<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    mesh.until_info(&agent, "cpu", 12.5).await;
    let mut info = mesh.call(&agent, "info", json!({})).await.expect("info");
    assert!(info["uptime_s"].take().as_f64().expect("a time") < 60.0, "{info}");
    let expected = json!({
        "agent": "alone", "cpu": 12.5, "mem": 40.0, "in_flight": 0, "queued": 0,
        "version": mesh_core::VERSION, "uptime_s": null,
    });
    assert_eq!(info, expected);
}

pub(crate) async fn work_has_the_demos_fields<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    let params = json!({ "text": "Optimize Kafka consumer throughput", "demand_ms": 20 });
    let result = mesh.call(&agent, "work", params).await.expect("a result");
    assert_eq!(result["agent"], "alone");
    assert_eq!(result["result"], "Processed: Optimize Kafka consumer throughput");
    assert!(result["rpc_latency_ms"].as_f64().expect("a number") >= 20.0);
}

pub(crate) async fn ids_come_back_as_they_came<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    for id in ["\"1234\"", "-7", "1.50", "123456789012345678901234567890", "null"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"info","id":{id}}}"#);
        let answer = mesh.ask(&agent, Method::POST, "/rpc", &body).await;
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(text.contains(&format!("\"id\":{id}")), "{text}");
    }
}

pub(crate) async fn a_batch_answers_calls_and_not_notifications<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let host = TestHost::default();
    let agent = alone(&mesh, |setup| setup.host = host.clone()).await.address;
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "work", "params": { "text": "one" } },
        { "jsonrpc": "2.0", "method": "work", "params": { "text": "unasked" } },
        { "jsonrpc": "2.0", "id": 2, "method": "info" },
        7,
        { "jsonrpc": "2.0", "id": 3, "method": "nothing" },
    ]);
    let answer = mesh.exchange(&agent, &batch.to_string()).await;
    let answers = answer.as_array().expect("an array");
    assert_eq!(answers.len(), 4, "{answer}");
    let by_id = |id: Value| answers.iter().find(|answer| answer["id"] == id).expect("its answer");
    assert_eq!(by_id(json!(1))["result"]["result"], "Processed: one");
    assert_eq!(by_id(json!(2))["result"]["agent"], "alone");
    assert_eq!(by_id(Value::Null)["error"]["code"], -32600);
    assert_eq!(by_id(json!(3))["error"]["code"], -32601);
    assert_eq!(host.counts().1, 2, "a notification is carried out");
}

pub(crate) async fn notifications_alone_are_answered_with_nothing<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let host = TestHost::default();
    let agent = alone(&mesh, |setup| setup.host = host.clone()).await.address;
    let one = json!({ "jsonrpc": "2.0", "method": "work", "params": { "text": "x" } });
    for body in [one.clone(), json!([one.clone(), one])] {
        let answer = mesh.ask(&agent, Method::POST, "/rpc", &body.to_string()).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, &b""[..]));
    }
    assert_eq!(host.counts().1, 3);
}

/// Nobody waits for a notification, so its sender may leave. A call in the same body is cancelled.
pub(crate) async fn a_notification_outlives_its_sender<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let host = TestHost::default();
    let running = alone(&mesh, |setup| {
        setup.host = host.clone();
        setup.server.drain = millis(100);
    });
    let running = running.await;
    let agent = running.address.clone();
    let batch = json!([
        { "jsonrpc": "2.0", "method": "work", "params": work(300) },
        { "jsonrpc": "2.0", "id": 1, "method": "work", "params": work(ENDLESS) },
    ]);
    let sender = raw(&net, &agent, post("/rpc", "application/json", &batch.to_string())).await;
    mesh.until_info(&agent, "in_flight", 2).await;
    drop(sender);
    until("one is done, the other killed", async || host.counts() == (2, 1, 1)).await;

    // It does not outlive the agent.
    let endless = json!({ "jsonrpc": "2.0", "method": "work", "params": work(ENDLESS) });
    let sender = raw(&net, &agent, post("/rpc", "application/json", &endless.to_string())).await;
    mesh.until_info(&agent, "in_flight", 1).await;
    drop(sender);
    running.stop().await;
    until("it is killed", async || host.counts() == (3, 1, 2)).await;
}

/// Forms of a call that the specifications allow and clients of other languages send, and the byte
/// order mark of some editors.
pub(crate) async fn a_call_may_come_in_many_forms<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let agent = alone(&mesh, |_| {}).await.address;
    let call = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"}";
    let marked = format!("\u{feff}{call}");
    for (target, content_type, body) in [
        ("/rpc?key=a", "application/json; charset=utf-8", call),
        ("/rpc/", "application/json-rpc", call),
        ("http://agent:80/rpc", "Application/JSON;charset=\"UTF-8\"", &marked),
    ] {
        let mut stream = raw(&net, &agent, post(target, content_type, body)).await;
        let answer = rest(&mut stream).await;
        assert!(answer.contains("\"result\":{\"agent\":\"alone\""), "{target}: {answer}");
    }
    for (content_type, why) in [
        ("text/plain", "any web page"),
        ("application/x-www-form-urlencoded", "any web page"),
        ("application/json; charset=utf-16", "sent as UTF-8"),
        (
            "application/json\r\ncontent-encoding: gzip",
            "content-encoding \\\"gzip\\\" is not accepted",
        ),
    ] {
        let mut stream = raw(&net, &agent, post("/rpc", content_type, call)).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains(why), "{answer}");
    }
    let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let head = post("/rpc", "application/json", "").replace("length: 0", "length: 6");
    let mut stream = raw(&net, &agent, [head.as_bytes(), &utf_16].concat()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.contains("-32700") && answer.contains("it is UTF-16"), "{answer}");
}

pub(crate) async fn errors_are_told_apart<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    for (body, code, id) in [
        ("{\"jsonrpc\"", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"{"id": 1, "method": "info"}"#, -32600, json!(1)),
    ] {
        let answer = mesh.exchange(&agent, body).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{body}");
    }
    assert_eq!(mesh.failure(&agent, "rpc.discover", json!({})).await.0, -32601);
    assert_eq!(mesh.failure(&agent, "dance", json!({})).await.0, -32601);
    for params in [
        json!({}),
        json!({ "text": 1 }),
        json!({ "text": "x", "timeout_ms": -1 }),
        json!({ "text": "x", "demand_ms": "1" }),
        json!([1, 2]),
    ] {
        for method in ["work", "delegate"] {
            let (code, _) = mesh.failure(&agent, method, params.clone()).await;
            assert_eq!(code, -32602, "{method} {params}");
        }
    }
}

pub(crate) async fn bodies_beyond_the_limits_are_refused<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |setup| {
        setup.json = jsonrpc::Limits { max_bytes: 1000, max_depth: 5, max_batch: 2 };
        setup.server.body_bytes = 2000;
    });
    let agent = agent.await.address;
    let info = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"info"{params}}}"#);
    let nested = info(&format!(",\"params\":{}{}", "[".repeat(5), "]".repeat(5)));
    let batch = format!("[{}]", [(); 3].map(|()| info("")).join(","));
    let long = info(&" ".repeat(1000));
    for (body, limit) in [(long, "max_bytes"), (nested, "max_depth"), (batch, "max_batch")] {
        let answer = mesh.exchange(&agent, &body).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &Value::Null));
        assert_eq!(answer["error"]["data"]["limit"], limit);
    }
    let answer = mesh.ask(&agent, Method::POST, "/rpc", &" ".repeat(2001)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

pub(crate) async fn a_full_agent_is_busy<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let agent = alone(&mesh, |setup| {
        setup.config.admission.concurrency = Concurrency::Limit(1);
        setup.config.admission.queue = 1;
    });
    let agent = agent.await.address;
    let _running = post_work(&net, &agent).await;
    mesh.until_info(&agent, "in_flight", 1).await;
    let _queued = post_work(&net, &agent).await;
    mesh.until_info(&agent, "queued", 1).await;
    let (code, data) = mesh.failure(&agent, "work", work(0)).await;
    assert_eq!((code, &data["reason"]), (-32010, &json!("busy")));
    mesh.until_info(&agent, "in_flight", 2).await;
}

/// Sends a job that never ends, and leaves the connection open.
async fn post_work<N: Net>(net: &N, agent: &str) -> N::Stream {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "work", "params": work(ENDLESS) });
    raw(net, agent, post("/rpc", "application/json", &call.to_string())).await
}

pub(crate) async fn a_client_that_leaves_frees_its_places<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let host = TestHost::default();
    let agent = alone(&mesh, |setup| {
        setup.config.admission.concurrency = Concurrency::Limit(1);
        setup.host = host.clone();
    });
    let agent = agent.await.address;
    let running = post_work(&net, &agent).await;
    mesh.until_info(&agent, "in_flight", 1).await;
    let queued = post_work(&net, &agent).await;
    mesh.until_info(&agent, "queued", 1).await;
    drop(queued);
    mesh.until_info(&agent, "queued", 0).await;
    assert_eq!(host.counts(), (1, 0, 0));
    drop(running);
    mesh.until_info(&agent, "in_flight", 0).await;
    until("the job is killed", async || host.counts() == (1, 0, 1)).await;
    mesh.call(&agent, "work", work(0)).await.expect("a free slot");
}

pub(crate) async fn a_job_is_killed_at_its_deadline<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let host = TestHost::default();
    let agent = alone(&mesh, |setup| setup.host = host.clone()).await.address;
    let start = mesh.clock.now();
    let params = json!({ "text": "x", "demand_ms": ENDLESS, "timeout_ms": 100 });
    let (code, data) = mesh.failure(&agent, "work", params).await;
    assert_eq!((code, &data["reason"]), (-32014, &json!("deadline_exceeded")));
    assert!(since(mesh.clock, start) >= millis(100));
    until("the job is killed", async || host.counts() == (1, 0, 1)).await;
    mesh.until_info(&agent, "in_flight", 0).await;
}

pub(crate) async fn a_job_that_fails_says_why<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    let (code, data) = mesh.failure(&agent, "work", json!({ "text": "fail" })).await;
    assert_eq!((code, &data["detail"]), (-32018, &json!("it was told to")));
}

pub(crate) async fn a_job_that_panics_frees_its_place<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |setup| setup.config.admission.concurrency = Concurrency::Limit(1))
        .await
        .address;
    for _ in 0..2 {
        let (code, data) = mesh.failure(&agent, "work", json!({ "text": "panic" })).await;
        assert_eq!((code, &data["reason"]), (-32018, &json!("job_failed")));
    }
    mesh.call(&agent, "work", work(0)).await.expect("a free slot");
}

pub(crate) async fn only_what_is_served_is_answered<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let agent = alone(&mesh, |_| {}).await.address;
    for (path, allowed, other) in [
        ("/rpc", "POST, OPTIONS", Method::GET),
        ("/rpc/", "POST, OPTIONS", Method::HEAD),
        ("/healthz", "GET, HEAD, OPTIONS", Method::POST),
        ("/metrics", "GET, HEAD, OPTIONS", Method::POST),
    ] {
        mesh.is_not_allowed(&agent, path, allowed, other).await;
    }
    for path in ["/healthz", "/metrics", "/healthz/?from=a-container"] {
        mesh.head_is_like_get(&net, &agent, path).await;
    }
    let answer = mesh.ask(&agent, Method::GET, "/services", "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let reason = parsed(&answer)["error"].to_string();
    assert!(reason.contains("POST /rpc, GET /healthz"), "{reason}");
    assert_eq!(post_as_text(&net, &agent, "/rpc").await, 415);
    let health = json!({ "status": "ok", "agent": "alone", "in_flight": 0 });
    assert_eq!(mesh.get(&agent, "/healthz").await, health);
}

pub(crate) async fn nobody_to_delegate_to_is_an_error_of_its_own<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    let (code, data) = mesh.failure(&agent, "delegate", json!({ "text": "x" })).await;
    assert_eq!((code, &data["reason"]), (-32011, &json!("no_peers")));
    let deep = json!({ "text": "x", "depth": 4 });
    let (code, data) = mesh.failure(&agent, "delegate", deep).await;
    assert_eq!((code, &data["max"]), (-32016, &json!(4)));
}

pub(crate) async fn a_strange_sample_is_brought_into_range<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let strange = [
        ("a", TestHost::with_load(100.000_1, f64::NAN)),
        ("b", TestHost::with_load(-0.000_1, f64::INFINITY)),
    ];
    for (name, host) in strange {
        mesh.agent(name, &registry, |setup| setup.host = host).await;
    }
    // A registry that refused them would lose them.
    until("heartbeats report it", async || {
        let services = mesh.get(&registry, "/services").await;
        services["a"]["load"]["cpu"] == 100.0 && services["b"]["load"]["mem"] == 100.0
    })
    .await;
    let services = mesh.get(&registry, "/services").await;
    let load = |name: &str, field: &str| services[name]["load"][field].as_f64();
    assert_eq!((load("a", "mem"), load("b", "cpu")), (Some(0.0), Some(0.0)));
}

pub(crate) async fn foreign_methods_are_jobs_of_a_host_that_takes_them<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let host = TestHost::taking_foreign_calls();
    let agent = alone(&mesh, |setup| setup.host = host.clone()).await.address;
    let result = mesh.call(&agent, "summarise", json!(["a", 1.50])).await.expect("a result");
    assert_eq!(result, json!({ "method": "summarise", "params": ["a", 1.50] }));
    assert_eq!(host.counts(), (1, 1, 0));
    assert_eq!(mesh.failure(&agent, "rpc.discover", json!({})).await.0, -32601);
    let body = r#"{"jsonrpc":"2.0","method":"note"}"#;
    let answer = mesh.ask(&agent, Method::POST, "/rpc", body).await;
    assert_eq!((answer.status, host.counts().1), (StatusCode::NO_CONTENT, 2));
}

/// The line of a page of metrics that counts calls which were answered, with this error if with one.
pub(super) fn answered(method: &str, code: Option<&str>, count: u32) -> String {
    let code = code.map(|code| format!(",rpc_status_code=\"{code}\",error_type=\"{code}\""));
    let labels = format!("rpc_system_name=\"jsonrpc\",rpc_method=\"{method}\"");
    let code = code.unwrap_or_default();
    format!("rpc_server_call_duration_seconds_count{{{labels}{code}}} {count}")
}

pub(crate) async fn its_metrics_count_what_happened<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = alone(&mesh, |_| {}).await.address;
    mesh.call(&agent, "work", work(0)).await.expect("a result");
    mesh.failure(&agent, "work", json!({ "text": "fail" })).await;
    mesh.failure(&agent, "delegate", json!({ "text": "x" })).await;
    mesh.failure(&agent, "dance", json!({})).await;
    mesh.has_metrics(
        &agent,
        &[
            "mesh_jobs_in_flight 0",
            "mesh_peers 0",
            "mesh_registered 0",
            &answered("work", None, 1),
            &answered("work", Some("-32018"), 1),
            &answered("delegate", Some("-32011"), 1),
            &answered("_OTHER", Some("-32601"), 1),
            "mesh_jobs_total{outcome=\"done\"} 1",
            "mesh_delegations_total{outcome=\"no_peers\"} 1",
        ],
    )
    .await;
}

/// The answers of such a registry have no epoch, no index and no TTL, and it lists urls with their
/// scheme.
pub(crate) async fn a_registry_after_the_demos_is_enough<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let peer = alone(&mesh, |_| {}).await.address;
    let listener = net.bind("127.0.0.1:0").await.expect("a free port");
    let registry = address_of::<N>(&listener);
    let list = json!({ "peer": { "url": format!("http://{peer}"), "last_heartbeat": 17.25 } });
    let handler = move |request: Request| {
        let body = match request.path() {
            "/register" => json!({ "message": "ok" }),
            _ => list.clone(),
        };
        async move { Response::json(StatusCode::OK, body.to_string()) }
    };
    let server = serve::<N, _>(listener, handler, ServerLimits::default(), pending());
    let server = tokio::spawn(server);
    let agent = mesh.agent("guest", &registry, |_| {}).await;
    until("it is registered", async || !agent.noted.notes("Registered").is_empty()).await;
    until("it knows the peer", async || !agent.noted.notes("ViewChanged").is_empty()).await;
    let params = json!({ "text": "x" });
    let result = mesh.call(&agent.address, "delegate", params).await.expect("a result");
    assert_eq!(result["delegated_to"]["url"], peer);
    assert!(agent.noted.notes("LeaseLost").is_empty());
    server.abort();
}
