//! `POST /rpc`: a JSON-RPC body in, a JSON-RPC body out.

use std::sync::Arc;

use futures_util::future::join_all;
use mesh_core::codec;
use mesh_core::jsonrpc::{self, Call, Error, Incoming, Outcome};
use mesh_core::protocol::{self, ForeignCall, Reply, Task, WorkReply};

use super::driver::Driver;
use crate::http::{Request, Response, StatusCode};
use crate::{Host, Net, Observer};

/// Answers a body. The calls of a batch run side by side; if the client hangs up, all are
/// cancelled.
pub(super) async fn answer<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    request: &Request,
) -> Response {
    if let Err(refusal) = request.require_json() {
        return *refusal;
    }
    let incoming = jsonrpc::parse(&request.body, &driver.json);
    let outcomes = outcomes(driver, &incoming).await;
    match incoming.answer(outcomes) {
        Some(body) => Response::json(StatusCode::OK, body),
        None => Response::empty(),
    }
}

async fn outcomes<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    incoming: &Incoming<'_>,
) -> Vec<Outcome> {
    let mut calls = incoming.calls();
    match (calls.next(), calls.next()) {
        // The usual case, without what it takes to run several side by side.
        (Some(only), None) => vec![counted(driver, only).await],
        _ => join_all(incoming.calls().map(|call| counted(driver, call))).await,
    }
}

async fn counted<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    call: &Call<'_>,
) -> Outcome {
    let received = driver.clock.now();
    let outcome = dispatch(driver, call).await;
    let took = driver.clock.now().since(received);
    driver.metrics().answered(&call.method, &outcome, took);
    outcome
}

async fn dispatch<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    call: &Call<'_>,
) -> Outcome {
    let answer = match codec::decode_request(call) {
        Ok(request) => driver.submit(request).answer().await.map(codec::encode_reply),
        Err(error)
            if error.code == Error::METHOD_NOT_FOUND && driver.host.takes_foreign_calls() =>
        {
            let answer = driver.submit(foreign(call)).answer().await;
            answer.map(|reply| match reply {
                // The caller knows nothing of the mesh: it gets the bare result.
                Reply::Work(WorkReply { result, .. }) => jsonrpc::result(&result),
                other => codec::encode_reply(other),
            })
        }
        Err(error) => return Err(error),
    };
    answer.unwrap_or_else(|failure| Err(codec::to_error(&failure)))
}

/// A method that is none of ours, as a job: so it is admitted, counted, timed and cancelled.
fn foreign(call: &Call<'_>) -> protocol::Request {
    let params = call.params.map(|params| params.to_owned().into());
    protocol::Request::Work(Task::foreign(ForeignCall { method: (*call.method).into(), params }))
}
