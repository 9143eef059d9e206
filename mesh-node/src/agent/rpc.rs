//! `POST /rpc`: a JSON-RPC body in, a JSON-RPC body out.

use std::sync::Arc;

use futures_util::future::join_all;
use mesh_core::codec;
use mesh_core::jsonrpc::{self, Call, Outcome};

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
        return refusal;
    }
    let incoming = jsonrpc::parse(&request.body, &driver.json);
    let outcomes = join_all(incoming.calls().map(|call| dispatch(driver, call))).await;
    match incoming.answer(outcomes) {
        Some(body) => Response::json(StatusCode::OK, body),
        None => Response::empty(),
    }
}

async fn dispatch<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    call: &Call<'_>,
) -> Outcome {
    let request = codec::decode_request(call)?;
    let answer = driver.submit(request).answer().await;
    answer.map_err(|failure| codec::to_error(&failure)).and_then(codec::encode_reply)
}
