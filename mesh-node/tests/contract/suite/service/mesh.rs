//! What agents and a registry promise together.

use std::collections::BTreeSet;

use mesh_core::resilience::RetryConfig;

use super::*;

/// The demand in milliseconds of a job that outlasts everything that a case does meanwhile.
const ENDLESS: u64 = 3_600_000;

/// Starts an agent that reports this CPU load.
async fn loaded<N: Net>(mesh: &Mesh<N>, name: &str, registry: &str, cpu: f64) -> AgentOnHost {
    let host = TestHost::with_load(cpu, 40.0);
    let agent = mesh.agent(name, registry, |setup| setup.host = host.clone()).await;
    mesh.until_info(&agent.address, "cpu", cpu).await;
    AgentOnHost { agent, host }
}

/// A running agent and its host.
struct AgentOnHost {
    agent: Running,
    host: TestHost,
}

async fn knows(agent: &Running, peers: &[&str]) {
    until(&format!("{peers:?} are known"), async || agent.noted.view() == peers).await;
}

/// Three agents: `a`, which delegates; `b`, which `a` prefers; and `c`.
async fn three<N: Net>(mesh: &Mesh<N>, registry: &str) -> [AgentOnHost; 3] {
    let all = [
        loaded(mesh, "a", registry, 5.0).await,
        loaded(mesh, "b", registry, 10.0).await,
        loaded(mesh, "c", registry, 20.0).await,
    ];
    knows(&all[0].agent, &["b", "c"]).await;
    all
}

/// Delegates a job that goes to `machine`, whose agent is killed while it runs.
async fn delegate_and_kill<N: Net>(
    mesh: &Mesh<N>,
    entry: &Running,
    machine: AgentOnHost,
    params: Value,
) -> Result<Value, Value> {
    let kill = async {
        until("the job runs", async || machine.host.counts().0 == 1).await;
        machine.agent.kill().await;
        until("the job is killed", async || machine.host.counts() == (1, 0, 1)).await;
    };
    tokio::join!(mesh.call(&entry.address, "delegate", params), kill).0
}

pub(crate) async fn a_delegation_ends_at_the_other_agent<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let a = loaded(&mesh, "a", &registry, 5.0).await.agent;
    let b = loaded(&mesh, "b", &registry, 8.5).await.agent;
    knows(&a, &["b"]).await;
    let params = json!({ "text": "parallel workload", "demand_ms": 30 });
    let result = mesh.call(&a.address, "delegate", params).await.expect("a result");
    let chosen = &result["delegated_to"];
    assert_eq!((&chosen["agent"], &chosen["url"]), (&json!("b"), &json!(b.address)));
    assert_eq!((&chosen["cpu"], &chosen["mem"]), (&json!(8.5), &json!(40.0)));
    assert!(chosen["latency_ms"].as_f64().expect("measured") >= 0.0);
    assert_eq!(result["peer_result"]["agent"], "b");
    assert_eq!(result["peer_result"]["result"], "Processed: parallel workload");
    let at_peer = result["peer_result"]["rpc_latency_ms"].as_f64().expect("a number");
    assert!(at_peer >= 30.0);
    assert!(result["rpc_latency_ms"].as_f64().expect("a number") >= at_peer);
}

pub(crate) async fn the_least_loaded_peer_is_chosen<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, c] = three(&mesh, &registry).await;
    for _ in 0..3 {
        let delegate = json!({ "text": "x" });
        mesh.call(&a.agent.address, "delegate", delegate).await.expect("a result");
    }
    let done = |machine: &AgentOnHost| machine.host.counts().1;
    assert_eq!([done(&a), done(&b), done(&c)], [0, 3, 0]);
}

pub(crate) async fn a_header_names_the_session_of_a_body<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    let gate = mesh.agent("gate", &registry, |setup| setup.config.policy = built_in("affinity"));
    let gate = gate.await;
    let peers = ["peer-1", "peer-2", "peer-3", "peer-4"];
    for peer in peers {
        mesh.agent(peer, &registry, |_| ()).await;
    }
    knows(&gate, &peers).await;
    let delegate = async |session: &str, meta: Value, calls: u32| {
        let call = |id: u32| {
            let params = json!({ "text": "x", "_meta": meta });
            json!({ "jsonrpc": "2.0", "id": id, "method": "delegate", "params": params })
        };
        let body = Value::from_iter((0..calls).map(call)).to_string();
        let with_header = format!("application/json\r\nmesh-session: {session}");
        let mut stream = raw(&net, &gate.address, post("/rpc", &with_header, &body)).await;
        let answer = rest(&mut stream).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str::<Vec<Value>>(body).expect("the answers of a batch")
    };
    let done_by = async |session: &str, meta: Value| {
        let answers = delegate(session, meta, 1).await;
        answers[0]["result"]["delegated_to"]["agent"].as_str().expect("a peer").to_owned()
    };
    let mut used = BTreeSet::new();
    for session in 0..12 {
        let session = format!("s-{session}");
        let peer = done_by(&session, json!({})).await;
        // The name in the params wins, and both name the same session.
        let meta = json!({ "contextId": session });
        assert_eq!(done_by("another", meta).await, peer, "{session}");
        used.insert(peer);
    }
    assert!(used.len() > 1, "sessions have different peers: {used:?}");
    let refused = delegate(&"x".repeat(257), json!({}), 2).await;
    let codes: Vec<&Value> = refused.iter().map(|answer| &answer["error"]["code"]).collect();
    assert_eq!(codes, [-32602, -32602]);
}

pub(crate) async fn an_agent_killed_at_work_leaves_the_outcome_unknown<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, c] = three(&mesh, &registry).await;
    let params = json!({ "text": "x", "demand_ms": ENDLESS });
    let error = delegate_and_kill(&mesh, &a.agent, b, params).await.expect_err("nobody knows");
    assert_eq!((&error["code"], &error["data"]["peer"]), (&json!(-32015), &json!("b")));
    assert_eq!(c.host.counts(), (0, 0, 0));
}

pub(crate) async fn an_idempotent_job_of_a_killed_agent_is_done_elsewhere<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, c] = three(&mesh, &registry).await;
    let params = json!({ "text": "x", "demand_ms": 2000, "idempotent": true });
    let result = delegate_and_kill(&mesh, &a.agent, b, params).await.expect("a result");
    assert_eq!(result["peer_result"]["agent"], "c");
    assert_eq!(c.host.counts(), (1, 1, 0));
}

pub(crate) async fn a_dead_peer_that_is_still_listed_is_passed_over<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, c] = three(&mesh, &registry).await;
    b.agent.kill().await;
    let call = async || mesh.call(&a.agent.address, "delegate", json!({ "text": "x" })).await;
    assert_eq!(call().await.expect("a result")["peer_result"]["agent"], "c");
    c.agent.kill().await;
    let error = call().await.expect_err("nobody is there");
    let tried = json!({ "busy": 0, "unreachable": 2 });
    assert_eq!((&error["code"], &error["data"]["tried"]), (&json!(-32012), &tried));
    assert_eq!(a.agent.noted.view(), ["b", "c"], "their leases have not ended");
}

pub(crate) async fn a_cancelled_delegation_is_cancelled_at_the_peer<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    let [a, b, _c] = three(&mesh, &registry).await;
    let params = json!({ "text": "x", "demand_ms": ENDLESS, "timeout_ms": ENDLESS });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "delegate", "params": params });
    let request = post("/rpc", "application/json", &call.to_string());
    let client = raw(&net, &a.agent.address, request).await;
    until("the job runs", async || b.host.counts().0 == 1).await;
    drop(client);
    until("the job is killed", async || b.host.counts() == (1, 0, 1)).await;
    mesh.until_info(&b.agent.address, "in_flight", 0).await;
}

pub(crate) async fn a_registry_that_forgot_everything_is_told_again<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await;
    let address = registry.address.clone();
    let [a, b, c] = three(&mesh, &address).await;
    knows(&b.agent, &["a", "c"]).await;
    knows(&c.agent, &["a", "b"]).await;
    let first = [&a, &b, &c].map(|machine| machine.agent.noted.views());
    registry.kill().await;
    // Long enough for every agent to find it gone.
    tokio::time::sleep(millis(300)).await;
    let registry = mesh.registry_at(&address, 8, patient()).await;
    until("all are listed", async || mesh.names(&registry.address).await == ["a", "b", "c"]).await;
    for (machine, first) in [&a, &b, &c].into_iter().zip(first) {
        let noted = &machine.agent.noted;
        until("the new life is noted", async || {
            noted.notes("Registered").len() == 2 && noted.notes("LeaseLost").len() == 1
        })
        .await;
        for view in noted.views_from(first) {
            assert_eq!(view.len(), 2, "nobody's view shrinks");
        }
    }
    let delegate = json!({ "text": "x" });
    mesh.call(&a.agent.address, "delegate", delegate).await.expect("business as usual");
}

pub(crate) async fn an_agent_comes_up_before_its_registry<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    // The address of a registry that is gone is free, as long as nobody else asks for a port.
    let registry = mesh.registry(patient()).await;
    let address = registry.address.clone();
    registry.kill().await;
    let agent = mesh.agent("a", &address, |_| {}).await;
    mesh.until_info(&agent.address, "cpu", 12.5).await;
    let _registry = mesh.registry_at(&address, 8, patient()).await;
    until("it is listed", async || mesh.names(&address).await == ["a"]).await;
    assert!(agent.noted.notes("LeaseLost").is_empty());
}

pub(crate) async fn a_later_life_replaces_an_earlier_one<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, _c] = three(&mesh, &registry).await;
    b.agent.kill().await;
    let set = |setup: &mut Setup| setup.identity.incarnation = 2;
    let second = mesh.agent("b", &registry, set).await;
    mesh.until_info(&second.address, "cpu", 12.5).await;
    until("it is listed", async || {
        mesh.get(&registry, "/services").await["b"]["url"] == second.address
    })
    .await;
    // Agents that knew the earlier process learn of the later one.
    until("it is known", async || {
        let result = mesh.call(&a.agent.address, "delegate", json!({ "text": "x" })).await;
        result.is_ok_and(|result| result["delegated_to"]["url"] == second.address)
    })
    .await;
}

pub(crate) async fn shutdown_gives_up_the_lease_and_ends_what_is_under_way<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let AgentOnHost { agent, host } = loaded(&mesh, "a", &registry, 5.0).await;
    until("it is listed", async || mesh.names(&registry).await == ["a"]).await;
    let address = agent.address.clone();
    let work = json!({ "text": "x", "demand_ms": 3000 });
    let stopping = async {
        until("the job runs", async || host.counts().0 == 1).await;
        let stop = tokio::spawn(agent.stop());
        until("its lease is over", async || mesh.names(&registry).await.is_empty()).await;
        let (code, data) = mesh.failure(&address, "work", json!({ "text": "y" })).await;
        assert_eq!((code, &data["reason"]), (-32017, &json!("shutting_down")));
        let answer = mesh.ask(&address, Method::GET, "/healthz", "").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(parsed(&answer)["status"], "stopping");
        assert!(!stop.is_finished());
        stop.await.expect("no panic")
    };
    let (result, served) = tokio::join!(mesh.call(&address, "work", work), stopping);
    assert_eq!(result.expect("a result")["result"], "Processed: x");
    assert_eq!((served.cut_off, served.panicked), (0, 0));
    assert_eq!(host.counts(), (1, 1, 0));
    assert!(mesh.net.connect(&address).await.is_err(), "nobody listens any more");
}

pub(crate) async fn shutdown_cuts_off_what_outlasts_the_drain<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    let host = TestHost::default();
    let agent = mesh.agent("a", &registry, |setup| {
        setup.host = host.clone();
        setup.server.drain = millis(200);
    });
    let agent = agent.await;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "work",
        "params": { "text": "x", "demand_ms": ENDLESS, "timeout_ms": ENDLESS }
    });
    let request = post("/rpc", "application/json", &call.to_string());
    let mut client = raw(&net, &agent.address, request).await;
    until("the job runs", async || host.counts().0 == 1).await;
    assert_eq!(agent.stop().await.cut_off, 1);
    assert_eq!(rest(&mut client).await, "");
    until("the job is killed", async || host.counts() == (1, 0, 1)).await;
}

pub(crate) async fn shutdown_does_not_wait_for_a_registry_that_is_gone<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await;
    let address = registry.address.clone();
    let agent = loaded(&mesh, "a", &address, 5.0).await.agent;
    until("it is listed", async || mesh.names(&address).await == ["a"]).await;
    registry.kill().await;
    assert_eq!(agent.stop().await.cut_off, 0);
}

pub(crate) async fn all_notes_of_a_delegation_come_in_order<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let [a, b, _c] = three(&mesh, &registry).await;
    let params = json!({ "text": "x", "request": 42 });
    mesh.call(&a.agent.address, "delegate", params).await.expect("a result");
    let noted = |machine: &AgentOnHost| machine.agent.noted.notes("request: 42");
    assert_eq!(
        noted(&a),
        [
            "a: Delegating { request: 42 }",
            r#"a: Routed { request: 42, attempt: 0, peer: "b", incarnation: 1 }"#,
            "a: Delegated { request: 42, outcome: Done }",
        ]
    );
    assert_eq!(
        noted(&b),
        [
            "b: JobStarted { request: 42, attempt: 0 }",
            "b: JobEnded { request: 42, attempt: 0, outcome: Done }",
        ]
    );
}

pub(crate) async fn a_days_work_is_all_noted<N: Net>(net: N) {
    let notes: Vec<String> = days_work(net).await.into_iter().map(|(_, note)| note).collect();
    let count = |what: &str| notes.iter().filter(|note| note.contains(what)).count();
    for request in 1..=DAYS_REQUESTS {
        for what in ["Delegating { request: ", "Delegated { request: "] {
            let what = format!("{what}{request}");
            assert!(notes.iter().any(|note| note.contains(&what)), "{what}");
        }
    }
    let requests = DAYS_REQUESTS as usize;
    assert_eq!(count("Delegating {"), requests);
    assert_eq!(count("Delegated {"), requests);
    assert_eq!(count("JobStarted {"), count("JobEnded {"), "no place is left taken");
    assert!(count("Routed {") >= requests);
    assert!(count("Granted") >= 3, "the registry notes its leases");
}

const DAYS_REQUESTS: u64 = 12;

/// Three agents delegate to each other while one of them dies. Returns all notes of the surviving
/// agents and of the registry with their times, one agent after the other.
pub(crate) async fn days_work<N: Net>(net: N) -> Vec<(Timestamp, String)> {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(lasting(millis(2000))).await;
    let mut agents = Vec::new();
    for name in ["a", "b", "c"] {
        let set = |setup: &mut Setup| {
            setup.config.policy = built_in("random");
            // So many retries that every request may meet the dead agent first.
            setup.config.delegation.retry = RetryConfig { ratio: 1.0, floor: 10.0 };
        };
        agents.push(mesh.agent(name, &registry.address, set).await);
    }
    for agent in &agents {
        until("both others are known", async || agent.noted.view().len() == 2).await;
    }
    let mortal = agents.pop().expect("three agents");
    let delegate = async |request: u64| {
        let entry = &agents[request as usize % agents.len()].address;
        let demand_ms = 10 + 7 * request;
        let params = json!({
            "text": "x", "request": request, "demand_ms": demand_ms, "idempotent": true
        });
        mesh.call(entry, "delegate", params).await.expect("a result");
    };
    for request in 1..=DAYS_REQUESTS / 2 {
        delegate(request).await;
    }
    mortal.kill().await;
    for request in DAYS_REQUESTS / 2 + 1..=DAYS_REQUESTS {
        delegate(request).await;
    }
    let forgotten = async || mesh.names(&registry.address).await == ["a", "b"];
    until("its lease has ended", forgotten).await;
    let recorders = agents.iter().map(|agent| &agent.noted).chain([&registry.noted]);
    recorders.flat_map(NoteRecorder::timed).collect()
}
