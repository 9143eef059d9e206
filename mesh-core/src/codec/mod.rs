//! The codec: the messages of [`protocol`](crate::protocol) as JSON-RPC methods, params, results
//! and errors.
//!
//! The fields are those of the Python demo that the mesh grew out of. Fields that the mesh has
//! added are optional, so that agents of the demo and of this mesh understand each other.

mod details;
mod error;
mod idle;
pub mod limits;
mod meta;
mod millis;
pub mod parts;
mod service;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::error::{Origin, from_error, to_error};
pub use self::meta::{named_trace, trace_fields};
pub use self::millis::in_millis;

use self::details::{DetailFields, SessionParams, SubjobParams};
use self::meta::MetaParams;
use self::service::ServiceFields;
use crate::jsonrpc::{self, Call, Error, Outcome};
use crate::load::LoadReport;
use crate::profile::{Profile, Weight};
use crate::protocol::{
    ChosenPeer, DelegateReply, InfoReply, Name, OfferNumber, Reply, Request, ServiceReply, Task,
    WorkReply,
};
use crate::skills::Skills;

/// Params of `work` and `delegate`.
#[derive(Serialize, Deserialize)]
struct Params {
    text: Arc<str>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skill: Option<Name>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    demand_ms: Option<Duration>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    wait_ms: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionParams>,
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    meta: Option<MetaParams>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<SubjobParams>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    join: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    in_turn: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    idempotent: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    depth: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    request: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offer: Option<OfferNumber>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Params of `info`.
#[derive(Serialize, Deserialize)]
struct InfoParams {
    #[serde(default)]
    service: bool,
}

#[derive(Serialize, Deserialize)]
struct InfoResult {
    agent: Name,
    #[serde(flatten)]
    load: LoadReport,
    #[serde(default, skip_serializing_if = "Skills::is_empty")]
    skills: Skills,
    #[serde(default, skip_serializing_if = "is_default")]
    weight: Weight,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uptime_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<ServiceFields>,
}

#[derive(Serialize, Deserialize)]
struct WorkResult {
    agent: Name,
    result: Arc<RawValue>,
    #[serde(rename = "rpc_latency_ms", with = "millis")]
    latency: Duration,
}

#[derive(Serialize, Deserialize)]
struct DelegateResult {
    delegated_to: ChosenPeerResult,
    peer_result: WorkResult,
    #[serde(rename = "rpc_latency_ms", with = "millis")]
    latency: Duration,
}

/// The chosen peer. `cpu`, `mem` and `latency_ms` are null if the choice did not know them.
#[derive(Serialize, Deserialize)]
struct ChosenPeerResult {
    agent: Name,
    cpu: Option<f64>,
    mem: Option<f64>,
    #[serde(default)]
    in_flight: Option<u32>,
    #[serde(default)]
    queued: Option<u32>,
    #[serde(with = "millis::option")]
    latency_ms: Option<Duration>,
    url: Arc<str>,
}

/// Reads a JSON-RPC call as a request to an agent.
///
/// # Errors
/// "Method not found" for a method that agents don't have; "Invalid params" with the reason if the
/// params are missing, of a wrong type, out of range or too long to be passed on.
pub fn decode_request(call: &Call<'_>) -> Result<Request, Error> {
    match &*call.method {
        "info" => {
            // Other params never were an error.
            let params = call.params.and_then(|params| serde_json::from_str(params.get()).ok());
            let wants_service = params.is_some_and(|params: InfoParams| params.service);
            Ok(if wants_service { Request::Service } else { Request::Info })
        }
        "idle" => idle::decode_request(call.params).map(Request::Idle),
        "work" => task(call.params).map(Request::Work),
        "delegate" => {
            // Refused here, before a peer refuses it: the peer's limit is on the whole body.
            let bytes = call.params.map_or(0, |params| params.get().len());
            if bytes > limits::DELEGATE_PARAMS_BYTES {
                let max = limits::DELEGATE_PARAMS_BYTES;
                let reason = format!("a job of {bytes} bytes can't be passed on: {max} at most");
                return Err(Error::invalid_params(&reason));
            }
            task(call.params).map(Request::Delegate)
        }
        _ => Err(Error::method_not_found()),
    }
}

fn task(params: Option<&RawValue>) -> Result<Task, Error> {
    let params = params.ok_or_else(|| Error::invalid_params("`text` is missing"))?;
    let params: Params = serde_json::from_str(params.get())
        .map_err(|error| Error::invalid_params(&error.to_string()))?;
    let Params { skill, wait_ms, session, meta, calls, join, in_turn, .. } = params;
    let MetaParams { context, trace } = meta.unwrap_or_default();
    let fields = DetailFields { skill, wait_ms, session, context, trace, calls, join, in_turn };
    let details = details::decode(fields)?;
    Ok(Task {
        text: params.text,
        timeout: params.timeout_ms,
        demand: params.demand_ms,
        details,
        idempotent: params.idempotent,
        depth: params.depth,
        request: params.request,
        attempt: params.attempt,
        offer: params.offer,
    })
}

/// The body of a JSON-RPC call that makes a request.
///
/// # Errors
/// Those of the JSON writer. Requests don't lead to any.
pub fn encode_request(
    request: &Request,
    id: &jsonrpc::Id,
) -> Result<Vec<u8>, jsonrpc::RequestError> {
    let (method, task) = match request {
        Request::Info => return jsonrpc::request("info", &(), id),
        Request::Service => return jsonrpc::request("info", &InfoParams { service: true }, id),
        Request::Idle(request) => return jsonrpc::request("idle", &idle::params(*request), id),
        Request::Work(task) => ("work", task),
        Request::Delegate(task) => ("delegate", task),
    };
    let DetailFields { skill, wait_ms, session, context, trace, calls, join, in_turn } =
        details::encode(task.details.as_deref());
    let params = Params {
        text: task.text.clone(),
        timeout_ms: task.timeout,
        skill,
        demand_ms: task.demand,
        wait_ms,
        session,
        meta: MetaParams::of(context, trace),
        calls,
        join,
        in_turn,
        idempotent: task.idempotent,
        depth: task.depth,
        request: task.request,
        attempt: task.attempt,
        offer: task.offer,
    };
    jsonrpc::request(method, &params, id)
}

/// An agent's answer as the result of a JSON-RPC call.
pub fn encode_reply(reply: Reply) -> Outcome {
    match reply {
        Reply::Info(info) => jsonrpc::result(&InfoResult::new(info, None)),
        Reply::Service(reply) => {
            jsonrpc::result(&InfoResult::new(reply.info, Some(reply.service.into())))
        }
        Reply::Idle(reply) => jsonrpc::result(&idle::result(reply)),
        Reply::Work(reply) => jsonrpc::result(&WorkResult::from(reply)),
        Reply::Delegate(reply) => {
            let DelegateReply { delegated_to, peer_result, latency } = *reply;
            let ChosenPeer { agent, url, load, latency: latency_ms } = delegated_to;
            let delegated_to = ChosenPeerResult {
                agent,
                cpu: load.map(|load| load.cpu_percent),
                mem: load.map(|load| load.memory_percent),
                in_flight: load.map(|load| load.in_flight),
                queued: load.map(|load| load.queued),
                latency_ms,
                url,
            };
            let peer_result = peer_result.into();
            jsonrpc::result(&DelegateResult { delegated_to, peer_result, latency })
        }
    }
}

/// Reads the result of a JSON-RPC call that made `request`.
///
/// # Errors
/// If it is not a result of that request's method. Any result of `idle` can be read: it may come from
/// a peer that does not know the method and had somebody else answer it.
pub fn decode_reply(request: &Request, result: &RawValue) -> Result<Reply, serde_json::Error> {
    let json = result.get();
    Ok(match request {
        Request::Info => Reply::Info(serde_json::from_str::<InfoResult>(json)?.into_reply().0),
        Request::Service => match serde_json::from_str::<InfoResult>(json)?.into_reply() {
            (info, None) => Reply::Info(info),
            (info, Some(fields)) => {
                Reply::Service(Box::new(ServiceReply { info, service: fields.into() }))
            }
        },
        Request::Idle(_) => Reply::Idle(idle::decode_reply(json)),
        Request::Work(_) => Reply::Work(serde_json::from_str::<WorkResult>(json)?.into()),
        Request::Delegate(_) => {
            let DelegateResult { delegated_to, peer_result, latency } = serde_json::from_str(json)?;
            let ChosenPeerResult { agent, cpu, mem, in_flight, queued, latency_ms, url } =
                delegated_to;
            // Null unless the choice was made on a load report.
            let load = cpu.zip(mem).map(|(cpu_percent, memory_percent)| LoadReport {
                cpu_percent,
                memory_percent,
                in_flight: in_flight.unwrap_or_default(),
                queued: queued.unwrap_or_default(),
            });
            let delegated_to = ChosenPeer { agent, url, load, latency: latency_ms };
            let peer_result = peer_result.into();
            Reply::Delegate(Box::new(DelegateReply { delegated_to, peer_result, latency }))
        }
    })
}

impl InfoResult {
    fn new(info: InfoReply, service: Option<ServiceFields>) -> Self {
        let InfoReply { agent, load, profile, version, uptime } = info;
        let (skills, weight) = (profile.skills().clone(), profile.weight());
        let site = profile.site().cloned();
        let uptime_s = uptime.map(|uptime| uptime.as_secs_f64());
        Self { agent, load, skills, weight, site, version, uptime_s, service }
    }

    fn into_reply(self) -> (InfoReply, Option<ServiceFields>) {
        let Self { agent, load, skills, weight, site, version, uptime_s, service } = self;
        let profile = Profile::new(skills, weight, site);
        // A peer's odd number, such as -1, counts as none.
        let uptime = uptime_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        (InfoReply { agent, load, profile, version, uptime }, service)
    }
}

impl From<WorkReply> for WorkResult {
    fn from(WorkReply { agent, result, latency }: WorkReply) -> Self {
        Self { agent, result, latency }
    }
}

impl From<WorkResult> for WorkReply {
    fn from(WorkResult { agent, result, latency }: WorkResult) -> Self {
        Self { agent, result, latency }
    }
}

#[cfg(test)]
mod tests;
