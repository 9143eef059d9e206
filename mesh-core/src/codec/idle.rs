//! The method `idle`: asking for a free slot, and giving one back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::millis;
use crate::jsonrpc::Error;
use crate::protocol::{IdleReply, IdleRequest, OfferNumber};

/// How long a slot is held if the caller does not say.
const USUAL_HOLD: Duration = Duration::from_secs(1);

/// Params of `idle`. All may be left out: then the answer comes at once.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct IdleParams {
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<Duration>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    hold_ms: Option<Duration>,
    /// With it, the other params mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<OfferNumber>,
}

/// The result of `idle`. `offer` and `hold_ms` are there if a slot is free.
#[derive(Serialize, Deserialize)]
pub(super) struct IdleResult {
    free: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offer: Option<OfferNumber>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    hold_ms: Option<Duration>,
}

pub(super) fn decode_request(params: Option<&RawValue>) -> Result<IdleRequest, Error> {
    let params = params.map(|params| serde_json::from_str::<IdleParams>(params.get()));
    let params = params.transpose().map_err(|error| Error::invalid_params(&error.to_string()))?;
    let IdleParams { timeout_ms, hold_ms, release } = params.unwrap_or_default();
    Ok(match release {
        Some(offer) => IdleRequest::Release(offer),
        None => IdleRequest::Ask {
            timeout: timeout_ms.unwrap_or_default(),
            hold: hold_ms.unwrap_or(USUAL_HOLD),
        },
    })
}

pub(super) fn params(request: IdleRequest) -> IdleParams {
    match request {
        IdleRequest::Ask { timeout, hold } => {
            IdleParams { timeout_ms: Some(timeout), hold_ms: Some(hold), release: None }
        }
        IdleRequest::Release(offer) => IdleParams { release: Some(offer), ..IdleParams::default() },
    }
}

pub(super) fn result(reply: IdleReply) -> IdleResult {
    match reply {
        IdleReply::Free { offer, hold } => {
            IdleResult { free: true, offer: Some(offer), hold_ms: Some(hold) }
        }
        IdleReply::Full | IdleReply::Unknown => {
            IdleResult { free: false, offer: None, hold_ms: None }
        }
    }
}

pub(super) fn decode_reply(json: &str) -> IdleReply {
    match serde_json::from_str(json) {
        Ok(IdleResult { free: true, offer: Some(offer), hold_ms }) => {
            IdleReply::Free { offer, hold: hold_ms.unwrap_or(USUAL_HOLD) }
        }
        Ok(IdleResult { free: false, .. }) => IdleReply::Full,
        Ok(_) | Err(_) => IdleReply::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec;
    use crate::jsonrpc::{Id, Limits, parse};
    use crate::protocol::{Reply, Request};

    fn ask(params: &str) -> Result<IdleRequest, Error> {
        let params = RawValue::from_string(params.to_owned()).expect("JSON");
        decode_request(Some(&params))
    }

    fn requests() -> impl Strategy<Value = IdleRequest> {
        let day_ns = 24 * 3_600 * 1_000_000_000u64;
        let time = move || (0..=day_ns).prop_map(Duration::from_nanos);
        prop_oneof![
            (time(), time()).prop_map(|(timeout, hold)| IdleRequest::Ask { timeout, hold }),
            (1..=u32::MAX).prop_map(|n| IdleRequest::Release(OfferNumber::new(n).expect("not 0"))),
        ]
    }

    proptest! {
        #[test]
        fn requests_are_read_as_they_are_written(request in requests()) {
            let id = Id::from(1);
            let body = codec::encode_request(&Request::Idle(request), &id).unwrap();
            let limits = Limits::default();
            let incoming = parse(&body, &limits);
            let call = incoming.calls().next().expect("one call");
            let Ok(Request::Idle(read)) = codec::decode_request(call) else { panic!("not idle") };
            prop_assert_eq!(read, request);
        }

        #[test]
        fn replies_are_read_as_they_are_written(number in 1..=u32::MAX, ns in 0..=1u64 << 46) {
            let (offer, hold) = (OfferNumber::new(number).unwrap(), Duration::from_nanos(ns));
            let ask = Request::Idle(IdleRequest::Release(offer));
            for reply in [IdleReply::Free { offer, hold }, IdleReply::Full] {
                let result = codec::encode_reply(Reply::Idle(reply)).unwrap();
                let Ok(Reply::Idle(read)) = codec::decode_reply(&ask, &result) else { panic!() };
                prop_assert_eq!(read, reply);
            }
        }

        /// Whatever a peer answers that does not know the method.
        #[test]
        fn every_other_result_says_that_the_peer_does_not_know_the_method(text in ".*") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decode_reply(&json), IdleReply::Unknown);
        }
    }

    #[test]
    fn params_may_be_left_out_and_must_be_in_range() {
        let at_once = IdleRequest::Ask { timeout: Duration::ZERO, hold: USUAL_HOLD };
        assert_eq!(decode_request(None), Ok(at_once));
        assert_eq!(ask("{}"), Ok(at_once));
        assert_eq!(ask(r#"{"timeout_ms": null, "later": 1}"#), Ok(at_once));
        let offer = OfferNumber::new(7).unwrap();
        assert_eq!(ask(r#"{"release": 7, "timeout_ms": 5}"#), Ok(IdleRequest::Release(offer)));
        for bad in [
            r#"{"timeout_ms": -1}"#,
            r#"{"timeout_ms": 1e12}"#,
            r#"{"hold_ms": "1s"}"#,
            r#"{"release": 0}"#,
            r#"{"release": 4294967296}"#,
            r#"[true]"#,
        ] {
            assert_eq!(ask(bad).unwrap_err().code, Error::INVALID_PARAMS, "{bad}");
        }
    }

    #[test]
    fn a_free_slot_needs_a_number() {
        for (json, expected) in [
            (r#"{"free": false}"#, IdleReply::Full),
            (r#"{"free": false, "offer": 3}"#, IdleReply::Full),
            (r#"{"free": true}"#, IdleReply::Unknown),
            (r#"{"free": true, "offer": 0}"#, IdleReply::Unknown),
            (r#"{"free": 1, "offer": 3}"#, IdleReply::Unknown),
            (r#"{"free": true, "offer": 3, "hold_ms": -1}"#, IdleReply::Unknown),
            (r#"{"agent": "demo", "cpu": 1}"#, IdleReply::Unknown),
            ("null", IdleReply::Unknown),
        ] {
            assert_eq!(decode_reply(json), expected, "{json}");
        }
    }
}
