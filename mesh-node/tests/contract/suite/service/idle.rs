//! Free slots: agents that offer theirs, and agents that ask for them.

use mesh_core::agent::config::Concurrency;
use mesh_node::http::{Request, Response};
use serde_json::Value;

use super::*;

/// The demand in milliseconds of a job that outlasts everything that a case does meanwhile.
const ENDLESS: u64 = 3_600_000;
/// The times in milliseconds of a call that should not be answered without a reason.
const PATIENT: u64 = 20_000;

/// Starts an agent that does one job at a time.
async fn with_one_slot<N: Net>(mesh: &Mesh<N>, name: &str, registry: &str) -> Running {
    let one = Concurrency::Limit(1);
    mesh.agent(name, registry, |setup| setup.config.admission.concurrency = one).await
}

/// Sends a call and leaves the connection open.
async fn send<N: Net>(net: &N, agent: &str, method: &str, params: Value) -> N::Stream {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    raw(net, agent, post("/rpc", "application/json", &call.to_string())).await
}

async fn until_metric<N: Net>(mesh: &Mesh<N>, agent: &str, line: &str) {
    until(line, async || {
        let answer = mesh.ask(agent, Method::GET, "/metrics", "").await;
        let page = String::from_utf8(answer.body.to_vec()).expect("text");
        page.lines().any(|found| found == line)
    })
    .await;
}

pub(crate) async fn idle_is_answered_when_a_slot_is_free<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let agent = with_one_slot(&mesh, "a", NOWHERE).await.address;
    let ask = |timeout: u64| json!({ "timeout_ms": timeout, "hold_ms": 5_000 });
    let offer = mesh.call(&agent, "idle", ask(0)).await.expect("an answer");
    assert_eq!((&offer["free"], &offer["hold_ms"]), (&json!(true), &json!(5_000.0)), "{offer}");
    let full = json!({ "free": false });
    assert_eq!(mesh.call(&agent, "idle", ask(0)).await, Ok(full.clone()), "it is held");
    assert_eq!(mesh.call(&agent, "idle", ask(30)).await, Ok(full.clone()));
    let release = json!({ "release": offer["offer"] });
    assert_eq!(mesh.call(&agent, "idle", release).await, Ok(full));
    let work = json!({ "text": "x", "demand_ms": 100 });
    let (done, next) = tokio::join!(mesh.call(&agent, "work", work), async {
        mesh.until_info(&agent, "in_flight", 1).await;
        mesh.call(&agent, "idle", ask(PATIENT)).await
    });
    assert_eq!(
        (done.expect("it is done")["agent"].as_str(), next.unwrap()["free"].as_bool()),
        (Some("a"), Some(true))
    );
    let (code, _) = mesh.failure(&agent, "idle", json!({ "timeout_ms": -1 })).await;
    assert_eq!(code, -32602);
    mesh.has_metrics(&agent, &["mesh_idle_callers 0"]).await;
}

pub(crate) async fn a_caller_that_leaves_waits_no_longer<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let agent = with_one_slot(&mesh, "a", NOWHERE).await.address;
    let work = send(&net, &agent, "work", json!({ "text": "x", "demand_ms": ENDLESS })).await;
    mesh.until_info(&agent, "in_flight", 1).await;
    let ask = json!({ "timeout_ms": PATIENT, "hold_ms": PATIENT });
    let waits = send(&net, &agent, "idle", ask).await;
    until_metric(&mesh, &agent, "mesh_idle_callers 1").await;
    drop(waits);
    until_metric(&mesh, &agent, "mesh_idle_callers 0").await;
    drop(work);
    // Nobody holds the slot for the caller that has left.
    let free =
        mesh.call(&agent, "idle", json!({ "timeout_ms": PATIENT })).await.expect("an answer");
    assert_eq!(free["free"], true);
}

/// Starts an agent that holds its jobs until a peer has a free slot.
async fn pulling<N: Net>(mesh: &Mesh<N>, registry: &str) -> Running {
    mesh.agent("a", registry, |setup| setup.config.policy = built_in("pull")).await
}

pub(crate) async fn a_job_waits_for_a_peer_and_leaves_nothing_waiting<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    let a = pulling(&mesh, &registry).await;
    let b = with_one_slot(&mesh, "b", &registry).await;
    until("b is known", async || a.noted.view() == ["b"]).await;
    let taken = send(&net, &b.address, "work", json!({ "text": "x", "demand_ms": ENDLESS })).await;
    mesh.until_info(&b.address, "in_flight", 1).await;
    let job = json!({ "text": "x", "timeout_ms": PATIENT });
    let (done, ()) = tokio::join!(mesh.call(&a.address, "delegate", job.clone()), async {
        until_metric(&mesh, &a.address, "mesh_delegations_held 1").await;
        until_metric(&mesh, &b.address, "mesh_idle_callers 1").await;
        drop(taken);
    });
    assert_eq!(done.expect("a result")["delegated_to"]["agent"], "b");
    mesh.has_metrics(&a.address, &["mesh_delegations_held 0", "mesh_holds_total 1"]).await;
    until_metric(&mesh, &b.address, "mesh_idle_callers 0").await;
    // The agent that asks is killed.
    let taken = send(&net, &b.address, "work", json!({ "text": "x", "demand_ms": ENDLESS })).await;
    mesh.until_info(&b.address, "in_flight", 1).await;
    let waits = send(&net, &a.address, "delegate", job).await;
    until_metric(&mesh, &b.address, "mesh_idle_callers 1").await;
    a.kill().await;
    until_metric(&mesh, &b.address, "mesh_idle_callers 0").await;
    drop((taken, waits));
    mesh.until_info(&b.address, "in_flight", 0).await;
    // The agent that is asked is killed: the job ends with the other one.
    let c = with_one_slot(&mesh, "c", &registry).await;
    let d = mesh
        .agent("d", &registry, |setup| {
            setup.config.policy = built_in("pull asked_per_job=256");
            setup.config.delegation.modifiers = Default::default();
        })
        .await;
    until("both are known", async || d.noted.view() == ["a", "b", "c"]).await;
    let busy = json!({ "text": "x", "demand_ms": ENDLESS });
    let taken = [
        send(&net, &b.address, "work", busy.clone()).await,
        send(&net, &c.address, "work", busy).await,
    ];
    mesh.until_info(&c.address, "in_flight", 1).await;
    let job = json!({ "text": "x", "timeout_ms": PATIENT });
    let (done, ()) = tokio::join!(mesh.call(&d.address, "delegate", job), async {
        until_metric(&mesh, &c.address, "mesh_idle_callers 1").await;
        b.kill().await;
        drop(taken);
    });
    assert_eq!(done.expect("a result")["delegated_to"]["agent"], "c");
}

/// A listed peer that answers `work` as an agent does, and knows no other method.
async fn stranger<N: Net>(mesh: &Mesh<N>, registry: &str) {
    let listener = mesh.net.bind("127.0.0.1:0").await.expect("a free port");
    let lease = json!({ "name": "stranger", "url": address_of::<N>(&listener) });
    let handler = |request: Request| {
        let call: Value = serde_json::from_slice(&request.body).expect("JSON");
        let mut answer = json!({ "jsonrpc": "2.0", "id": call["id"] });
        if call["method"] == "work" {
            answer["result"] = json!({ "agent": "stranger", "result": 1, "rpc_latency_ms": 0 });
        } else {
            answer["error"] = json!({ "code": -32601, "message": "Method not found" });
        }
        std::future::ready(Response::json(StatusCode::OK, answer.to_string()))
    };
    let limits = ServerLimits::default();
    let serve = mesh_node::http::serve::<N, _>(listener, handler, limits, std::future::pending());
    tokio::spawn(serve);
    let (status, _) = mesh.post(registry, "/register", &lease).await;
    assert_eq!(status, StatusCode::OK);
}

pub(crate) async fn a_peer_that_does_not_know_idle_is_served<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    stranger(&mesh, &registry).await;
    for (name, policy) in [("a", "pull"), ("b", "join_idle_queue")] {
        let set = |setup: &mut Setup| setup.config.policy = built_in(policy);
        let agent = mesh.agent(name, &registry, set).await;
        until("it is known", async || agent.noted.view().contains(&"stranger".into())).await;
        for _ in 0..5 {
            let job = json!({ "text": "x" });
            let done = mesh.call(&agent.address, "delegate", job).await.expect("a result");
            assert_eq!(done["delegated_to"]["agent"], "stranger", "{policy}");
        }
        agent.stop().await;
        until("it has left", async || mesh.names(&registry).await == ["stranger"]).await;
    }
}
