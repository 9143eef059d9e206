//! `POST /rpc`: takes a JSON-RPC body, carries out its calls and answers with a JSON-RPC body.

use std::sync::Arc;

use futures_util::future::join_all;
use mesh_core::agent::Failure;
use mesh_core::codec::{self, Origin};
use mesh_core::jsonrpc::{self, Call, Error, Incoming, Outcome};
use mesh_core::protocol::{self, ForeignCall, Name, Reply, Task, WorkReply};
use mesh_core::sessions::MAX_SESSION_BYTES;
use mesh_core::trace::{TraceContext, TraceId};

use super::driver::{AgentDriver, PendingRequest};
use crate::http::header::HeaderValue;
use crate::http::{Request, Response, StatusCode};
use crate::observer::AnsweredCall;
use crate::rpc::RpcAnswer;
use crate::wire::{
    ERROR_HEADER, NO_ERROR, NO_TRACE, SESSION_HEADER, TRACE_HEADER, TRACEPARENT, TRACESTATE,
};
use crate::{Host, Net, Observer};

/// Answers a body. The calls of a batch run side by side, and are cancelled if the client hangs up.
/// Notifications are not: their senders wait for nothing and may leave at any time.
pub(super) async fn answer<N: Net, H: Host, O: Observer>(
    driver: &Arc<AgentDriver<N, H, O>>,
    request: &Request,
) -> Response {
    let incoming = jsonrpc::parse(&request.body, &driver.json);
    let ambient = AmbientContext::of(request);
    let answered = answer_all(driver, &incoming, &ambient).await;
    let fields = [
        (ERROR_HEADER, origins(&incoming, &answered)),
        (TRACE_HEADER, traces(&incoming, &answered)),
    ];
    let Some(body) = incoming.answer(answered.into_iter().map(|answered| answered.rpc.outcome))
    else {
        return Response::empty();
    };
    let mut response = Response::json(StatusCode::OK, body);
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers.insert(name, value);
        }
    }
    response
}

/// How a call was answered, and the trace that it belongs to.
struct TracedAnswer {
    rpc: RpcAnswer,
    trace: Option<TraceId>,
}

/// What the header fields of a request say of all its calls. A call's own params come first.
struct AmbientContext {
    /// The session that the calls belong to; an error if the header is wrong.
    session: Result<Option<Name>, Error>,
    /// The trace that the calls belong to.
    trace: Option<Arc<TraceContext>>,
}

impl AmbientContext {
    fn of(request: &Request) -> Self {
        let headers = &request.head.headers;
        let trace = headers.contains_key(TRACEPARENT).then(|| {
            let lines = |name| headers.get_all(name).iter();
            TraceContext::from_lines(lines(TRACEPARENT), lines(TRACESTATE)).map(Arc::from)
        });
        Self { session: session(request), trace: trace.flatten() }
    }

    /// The same request; if it is a job, as a part of this session and this trace.
    fn around(&self, request: protocol::Request) -> Result<protocol::Request, Error> {
        let session = self.session.clone()?;
        if session.is_none() && self.trace.is_none() {
            return Ok(request);
        }
        let place = |mut task: Task| {
            if let Some(session) = session {
                task = task.in_session(session);
            }
            match &self.trace {
                Some(trace) => task.in_trace(trace.clone()),
                None => task,
            }
        };
        Ok(match request {
            protocol::Request::Work(task) => protocol::Request::Work(place(task)),
            protocol::Request::Delegate(task) => protocol::Request::Delegate(place(task)),
            other => other,
        })
    }
}

/// The session that the header names, if there is one.
///
/// # Errors
/// If it is no text, or too long.
fn session(request: &Request) -> Result<Option<Name>, Error> {
    let Some(value) = request.head.headers.get(SESSION_HEADER) else { return Ok(None) };
    let name = value.to_str().ok().filter(|name| (1..=MAX_SESSION_BYTES).contains(&name.len()));
    let wrong = || format!("the header {SESSION_HEADER}: expected 1 to {MAX_SESSION_BYTES} bytes");
    name.map(|name| Some(name.into())).ok_or_else(|| Error::invalid_params(&wrong()))
}

/// The value of the header `mesh-error`, which says whose each error is. `None` if the answer has
/// no errors, which is usual and allocates nothing.
fn origins(incoming: &Incoming<'_>, answered: &[TracedAnswer]) -> Option<String> {
    let origin = |call: Option<usize>| match call {
        Some(place) => answered.get(place).and_then(|answered| answered.rpc.origin),
        // An entry of the batch that is no call: the agent itself refused it.
        None => Some(Origin::Agent),
    };
    incoming.answered().any(|call| origin(call).is_some()).then(|| {
        let word = |call| origin(call).map_or(NO_ERROR, Origin::as_str);
        incoming.answered().map(word).collect::<Vec<_>>().join(", ")
    })
}

/// The value of the header `mesh-trace`, which says for each answer what trace its call belongs to.
/// `None` if none belongs to one.
fn traces(incoming: &Incoming<'_>, answered: &[TracedAnswer]) -> Option<String> {
    let trace = |call: Option<usize>| answered.get(call?)?.trace;
    incoming.answered().any(|call| trace(call).is_some()).then(|| {
        let word = |call| trace(call).map_or_else(|| NO_TRACE.to_owned(), |id| id.to_string());
        incoming.answered().map(word).collect::<Vec<_>>().join(", ")
    })
}

/// The answers to all calls of a body, in their order.
async fn answer_all<N: Net, H: Host, O: Observer>(
    driver: &Arc<AgentDriver<N, H, O>>,
    incoming: &Incoming<'_>,
    ambient: &AmbientContext,
) -> Vec<TracedAnswer> {
    let mut calls = incoming.calls();
    match (calls.next(), calls.next()) {
        // One call is the usual case, and does not need the bookkeeping of `join_all`.
        (Some(only), None) => vec![answer_call(driver, only, ambient).await],
        _ => join_all(incoming.calls().map(|call| answer_call(driver, call, ambient))).await,
    }
}

/// Carries out one call, and tells the observers when it is answered.
async fn answer_call<N: Net, H: Host, O: Observer>(
    driver: &Arc<AgentDriver<N, H, O>>,
    call: &Call<'_>,
    ambient: &AmbientContext,
) -> TracedAnswer {
    let received = driver.clock.now();
    let mut trace = None;
    let rpc = match dispatch(driver, call, ambient, &mut trace).await {
        Ok(Ok(result)) => RpcAnswer { outcome: Ok(result), origin: None },
        Ok(Err(error)) => RpcAnswer { outcome: Err(error), origin: Some(Origin::Agent) },
        Err(failure) => {
            let origin = Some(Origin::of(&failure));
            RpcAnswer { outcome: Err(codec::to_error(&failure)), origin }
        }
    };
    let now = driver.clock.now();
    let code = rpc.outcome.as_ref().err().map(|error| error.code);
    let end = (outcome(&rpc), code);
    let call = AnsweredCall::new(&call.method, end, now.since(received));
    driver.observer.call(now, &driver.name, &call);
    TracedAnswer { rpc, trace }
}

/// The word for a call's outcome in metrics and for observers.
fn outcome(answered: &RpcAnswer) -> &'static str {
    match &answered.outcome {
        Ok(_) => "ok",
        Err(error) => match error.code {
            Error::METHOD_NOT_FOUND => "method_not_found",
            Error::INVALID_PARAMS => "invalid_params",
            _ => codec::from_error(error, answered.origin).name(),
        },
    }
}

/// Carries out a call, and puts its trace into `trace`. The inner result is the JSON-RPC outcome that
/// the agent gives; the outer error is a failure of the request, which may be the job's own.
async fn dispatch<N: Net, H: Host, O: Observer>(
    driver: &Arc<AgentDriver<N, H, O>>,
    call: &Call<'_>,
    ambient: &AmbientContext,
    trace: &mut Option<TraceId>,
) -> Result<Outcome, Failure> {
    let decoded = codec::decode_request(call).and_then(|request| ambient.around(request));
    match decoded {
        Ok(request) => {
            let pending = submit(driver, call, request);
            *trace = pending.trace();
            pending.answer().await.map(codec::encode_reply)
        }
        Err(error)
            if error.code == Error::METHOD_NOT_FOUND && driver.host.takes_foreign_calls() =>
        {
            let pending = submit(driver, call, foreign(call, ambient));
            *trace = pending.trace();
            pending.answer().await.map(|reply| match reply {
                // A client that calls a foreign method expects its bare result, without the mesh's
                // fields.
                Reply::Work(WorkReply { result, .. }) => jsonrpc::result(&result),
                other => codec::encode_reply(other),
            })
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Hands the request to the driver. A call without an id is a notification, and goes on when its
/// sender leaves.
fn submit<N: Net, H: Host, O: Observer>(
    driver: &Arc<AgentDriver<N, H, O>>,
    call: &Call<'_>,
    request: protocol::Request,
) -> PendingRequest<N, H, O> {
    let pending = driver.submit(request);
    if call.id.is_some() { pending } else { pending.detach() }
}

/// Makes a job of a call of a foreign method, so that it is admitted, counted, timed and cancelled
/// like any other.
fn foreign(call: &Call<'_>, ambient: &AmbientContext) -> protocol::Request {
    let params = call.params.map(|params| params.to_owned().into());
    let mut task = Task::foreign(ForeignCall { method: (*call.method).into(), params });
    task.set_trace(call.params.and_then(codec::named_trace).or_else(|| ambient.trace.clone()));
    protocol::Request::Work(task)
}
