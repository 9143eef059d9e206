//! What an answer says of its job, and what an agent makes of answers that are not an agent's.

use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::agent::Failure;
use mesh_core::codec;
use mesh_node::http::{Request, Response, ResponseBody, serve};
use mesh_node::wire::ERROR_HEADER;

use super::*;

/// An agent that chooses without asking its peers, and never passes one over.
async fn entry<N: Net>(mesh: &Mesh<N>, registry: &str, peers: &[&str]) -> Running {
    let entry = mesh.agent("entry", registry, |setup| {
        setup.config.policy = built_in("round_robin");
        setup.config.delegation.health.max_failures = 0;
    });
    let entry = entry.await;
    until(&format!("{peers:?} are known"), async || entry.noted.view() == peers).await;
    entry
}

/// A listed peer that is not an agent, and answers whatever it is told to.
#[derive(Clone)]
struct Stranger(Arc<Mutex<(Response, usize)>>);

impl Stranger {
    async fn start<N: Net>(mesh: &Mesh<N>, registry: &str) -> Self {
        let listener = mesh.net.bind("127.0.0.1:0").await.expect("a free port");
        let lease = json!({ "name": "stranger", "url": address_of::<N>(&listener) });
        let stranger = Self(Arc::new(Mutex::new((Response::empty(), 0))));
        let served = stranger.clone();
        let handler = move |_: Request| {
            let (response, calls) = &mut *served.0.lock().unwrap_or_else(PoisonError::into_inner);
            *calls += 1;
            std::future::ready(copy(response))
        };
        let limits = ServerLimits::default();
        tokio::spawn(serve::<N, _>(listener, handler, limits, std::future::pending()));
        let (status, _) = mesh.post(registry, "/register", &lease).await;
        assert_eq!(status, StatusCode::OK);
        stranger
    }

    /// From now on it answers with this.
    fn answer(&self, response: Response) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = response;
    }

    /// How many calls came since this was last asked.
    fn calls(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

/// A copy of an answer, whose body must be whole.
fn copy(response: &Response) -> Response {
    let ResponseBody::Whole(body) = &response.body else { panic!("a stream can't be sent twice") };
    let (status, content_type) = (response.status, response.content_type);
    let headers = response.headers.clone();
    Response { status, content_type, body: body.clone().into(), headers }
}

fn with_error(error: &Value, origin: Option<&'static str>) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "error": error });
    let mut response = Response::json(StatusCode::OK, body.to_string());
    if let Some(origin) = origin {
        response.headers.insert(ERROR_HEADER, origin.parse().expect("a value"));
    }
    response
}

/// The error of [`Failure::Busy`].
fn busy() -> Value {
    let error = codec::to_error(&Failure::Busy);
    let data: Value = serde_json::from_str(error.data.expect("data").get()).expect("JSON");
    json!({ "code": error.code, "message": error.message, "data": data })
}

pub(crate) async fn an_answer_says_whose_its_errors_are<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let agent = mesh.agent("alone", NOWHERE, |_| {}).await.address;
    let work = |id: Value, text: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "work", "params": { "text": text } });
    let note = json!({ "jsonrpc": "2.0", "method": "work", "params": { "text": "imitate" } });
    let unknown = json!({ "jsonrpc": "2.0", "id": 9, "method": "dance" });
    let (well, fails, imitates) =
        (work(json!(1), "x"), work(json!(2), "fail"), work(json!(3), "imitate"));
    for (body, expected) in [
        (well.clone(), None),
        (note.clone(), None),
        (json!([well, note]), None),
        (fails.clone(), Some("agent")),
        (unknown.clone(), Some("agent")),
        (json!([]), Some("agent")),
        (imitates.clone(), Some("job")),
        (
            json!([note, imitates, 7, well, unknown, note, fails]),
            Some("job, agent, none, agent, agent"),
        ),
    ] {
        let answer = mesh.ask(&agent, Method::POST, "/rpc", &body.to_string()).await;
        assert_eq!(answer.header(ERROR_HEADER), expected, "{body}");
    }
    let error = mesh.call(&agent, "work", json!({ "text": "imitate" })).await;
    assert_eq!(error, Err(busy()), "the body says nothing of it");
    mesh.has_metrics(&agent, &["mesh_jobs_total{outcome=\"other_error\"} 7"]).await;
}

pub(crate) async fn a_jobs_own_error_is_passed_on_and_nothing_is_done_twice<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let host = TestHost::default();
    for name in ["a", "b"] {
        mesh.agent(name, &registry, |setup| setup.host = host.clone()).await;
    }
    let entry = entry(&mesh, &registry, &["a", "b"]).await.address;
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "delegate",
        "params": { "text": "imitate", "idempotent": true }
    });
    let answer = mesh.ask(&entry, Method::POST, "/rpc", &body.to_string()).await;
    assert_eq!(parsed(&answer)["error"], busy());
    assert_eq!(answer.header(ERROR_HEADER), Some("job"), "the next one can tell, too");
    assert_eq!(host.counts().0, 1);
}

pub(crate) async fn an_error_is_the_meshs_if_its_agent_says_so_or_it_looks_like_it<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let stranger = Stranger::start(&mesh, &registry).await;
    let entry = entry(&mesh, &registry, &["stranger"]).await.address;
    let declined = json!({ "code": -32010, "message": "charged, but declined" });
    let all_busy = json!({ "reason": "all_busy", "tried": { "busy": 1, "unreachable": 0 } });
    for (error, origin, refuses) in [
        (busy(), Some("agent"), true),
        (busy(), None, true),
        (busy(), Some("job"), false),
        (declined.clone(), None, false),
        (declined, Some("job"), false),
    ] {
        stranger.answer(with_error(&error, origin));
        let end = mesh.call(&entry, "delegate", json!({ "text": "x" })).await;
        let got = end.expect_err("an error");
        if refuses {
            assert_eq!((&got["code"], &got["data"]), (&json!(-32013), &all_busy), "{origin:?}");
        } else {
            assert_eq!(got, error, "{origin:?}");
        }
        assert_eq!(stranger.calls(), 1);
    }
}

pub(crate) async fn a_status_without_an_answer_says_what_has_become_of_the_job<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let stranger = Stranger::start(&mesh, &registry).await;
    let entry = entry(&mesh, &registry, &["stranger"]).await.address;
    let work = json!({ "agent": "stranger", "result": 1, "rpc_latency_ms": 1 });
    let answer = |id: u64, result: &Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
    let no_job = answer(1, &json!("no answer to work"));
    let another = answer(2, &work);
    let never_begun = [404, 405, 429, 501, 503].map(|status| (status, json!("no"), -32012));
    let unknown = [200, 302, 400, 500, 502, 504].map(|status| (status, json!("no"), -32015));
    let unreadable = [no_job, another].map(|body| (200, body, -32015));
    for (status, body, code) in never_begun.into_iter().chain(unknown).chain(unreadable) {
        let status = StatusCode::from_u16(status).expect("a status");
        stranger.answer(Response::json(status, body.to_string()));
        let (got, _) = mesh.failure(&entry, "delegate", json!({ "text": "x" })).await;
        assert_eq!(got, code, "{status} {body}");
    }
    stranger.answer(Response::json(StatusCode::PAYLOAD_TOO_LARGE, "{}"));
    assert_eq!(mesh.failure(&entry, "delegate", json!({ "text": "x" })).await.0, -32018);
    // An answer counts, whatever the status.
    let mut declined = with_error(&json!({ "code": -7, "message": "declined" }), None);
    declined.status = StatusCode::SERVICE_UNAVAILABLE;
    stranger.answer(declined);
    assert_eq!(mesh.failure(&entry, "delegate", json!({ "text": "x" })).await.0, -7);
    stranger.answer(Response::json(StatusCode::BAD_REQUEST, answer(1, &work).to_string()));
    mesh.call(&entry, "delegate", json!({ "text": "x" })).await.expect("a result");
}

pub(crate) async fn what_a_host_says_of_a_job_decides_where_it_is_done<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let host = TestHost::default();
    for name in ["a", "b"] {
        mesh.agent(name, &registry, |setup| setup.host = host.clone()).await;
    }
    let entry = entry(&mesh, &registry, &["a", "b"]).await.address;
    let mut begun = 0;
    for (text, idempotent, code, attempts) in [
        ("be down", false, -32012, 2),
        ("lose", false, -32015, 1),
        ("lose", true, -32012, 2),
        ("fail", true, -32018, 1),
    ] {
        let params = json!({ "text": text, "idempotent": idempotent });
        let (got, _) = mesh.failure(&entry, "delegate", params).await;
        assert_eq!(got, code, "{text}");
        begun += attempts;
        assert_eq!(host.counts().0, begun, "{text}");
    }
}
