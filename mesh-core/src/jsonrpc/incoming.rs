//! The server's side: what a body asks for, and the body that answers it.

use std::borrow::Cow;
use std::slice;

use serde_json::value::RawValue;

use super::error::Error;
use super::id::Id;
use super::limits::{BodyError, Limits};
use super::members::{Member, elements, members};
use super::response::{Outcome, Response};

/// A call, or a notification.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Which method; never one that begins with `rpc.`.
    pub method: Cow<'a, str>,
    /// An array or an object.
    pub params: Option<&'a RawValue>,
    /// What the answer must bear; `None`: a notification, which gets no answer. An id of null is
    /// one, and is answered.
    pub id: Option<Id>,
}

/// What a body asks for. Nothing in it is left out: an element is a call or notification, still to
/// be carried out, or invalid and thereby settled.
#[derive(Clone, Debug)]
pub struct Incoming<'a>(IncomingBody<'a>);

#[derive(Clone, Debug)]
enum IncomingBody<'a> {
    Single(BodyElement<'a>),
    Batch(Vec<BodyElement<'a>>),
}

#[derive(Clone, Debug)]
enum BodyElement<'a> {
    Call(Call<'a>),
    /// Needs nobody: already answered, or (`None`) not to be answered.
    Settled(Option<Response>),
}

/// Reads a body. One that can't be read has no calls and an error for its answer.
pub fn parse<'a>(body: &'a [u8], limits: &Limits) -> Incoming<'a> {
    Incoming(match read(body, limits) {
        Ok(body) => body,
        Err(error) => IncomingBody::Single(refused(Id::NULL, error)),
    })
}

impl<'a> Incoming<'a> {
    /// The calls and notifications in the order in which they came. The caller may carry them out
    /// in any order, or all at once.
    pub fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.elements().iter().filter_map(|element| match element {
            BodyElement::Call(call) => Some(call),
            BodyElement::Settled(_) => None,
        })
    }

    fn elements(&self) -> &[BodyElement<'a>] {
        match &self.0 {
            IncomingBody::Single(element) => slice::from_ref(element),
            IncomingBody::Batch(elements) => elements,
        }
    }

    /// The body of the answer, given one outcome for each of [`Self::calls`] in their order; `None`
    /// if there is nothing to answer (HTTP 204).
    ///
    /// A notification's outcome is dropped, so anything will do for one that is not waited for. A
    /// call without an outcome is answered with an internal error.
    pub fn answer(self, outcomes: impl IntoIterator<Item = Outcome>) -> Option<Vec<u8>> {
        let mut outcomes = outcomes.into_iter();
        let mut respond = |element| match element {
            BodyElement::Settled(response) => response,
            BodyElement::Call(call) => {
                let outcome = outcomes.next().unwrap_or(Err(Error::internal_error()));
                call.id.map(|id| Response { id, outcome })
            }
        };
        match self.0 {
            IncomingBody::Single(element) => respond(element).map(|response| response.to_bytes()),
            IncomingBody::Batch(elements) => array(elements.into_iter().filter_map(respond)),
        }
    }

    /// For each response of the answer, in their order: the place among [`Self::calls`] of the call
    /// that it answers; `None` if it was settled here.
    pub fn answered(&self) -> impl Iterator<Item = Option<usize>> {
        let mut places = 0..;
        self.elements().iter().filter_map(move |element| match element {
            BodyElement::Call(call) => {
                let place = places.next();
                call.id.as_ref().map(|_| place)
            }
            BodyElement::Settled(response) => response.as_ref().map(|_| None),
        })
    }

    /// [`Self::answer`], when outcomes are to be had on the spot.
    pub fn answer_with(self, dispatch: impl FnMut(&Call<'a>) -> Outcome) -> Option<Vec<u8>> {
        let outcomes: Vec<_> = self.calls().map(dispatch).collect();
        self.answer(outcomes)
    }
}

/// The array of these responses; `None` if there are none.
fn array(responses: impl Iterator<Item = Response>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for response in responses {
        out.push(if out.is_empty() { b'[' } else { b',' });
        response.write(&mut out);
    }
    if out.is_empty() {
        return None;
    }
    out.push(b']');
    Some(out)
}

fn read<'a>(body: &'a [u8], limits: &Limits) -> Result<IncomingBody<'a>, Error> {
    let text = limits.admit(body)?;
    if text.trim_ascii().is_empty() {
        return Err(Error::parse_error("the body is empty"));
    }
    if text.trim_ascii_start().starts_with('[') {
        return read_batch(text, limits.max_batch).map(IncomingBody::Batch);
    }
    read_element(text).map(IncomingBody::Single)
}

fn read_batch(text: &str, max: usize) -> Result<Vec<BodyElement<'_>>, Error> {
    let (elements, len) =
        elements(text, max).map_err(|error| Error::parse_error(&error.to_string()))?;
    if len == 0 {
        return Err(Error::invalid_request("the batch is empty"));
    }
    if len > max {
        return Err(BodyError::TooMany { len, max }.into());
    }
    Ok(elements
        .into_iter()
        .map(|raw| read_element(raw.get()).unwrap_or_else(|error| refused(Id::NULL, error)))
        .collect())
}

fn read_element(text: &str) -> Result<BodyElement<'_>, Error> {
    let request = members(text, ["jsonrpc", "method", "params", "id"]);
    let [version, method, params, id] = request.map_err(|error| {
        // Text that is JSON but no object is an invalid request rather than a parse error.
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Error::invalid_request(&error.to_string()),
            Err(error) => Error::parse_error(&error.to_string()),
        }
    })?;
    let known_id = id.json().and_then(Id::from_json);
    if id.is_present() && known_id.is_none() {
        let reason = "`id` must be one string, number or null";
        return Err(Error::invalid_request(reason));
    }
    Ok(match check(version, method, params) {
        Err(reason) => refused(known_id.unwrap_or(Id::NULL), Error::invalid_request(reason)),
        Ok((method, _)) if method.starts_with("rpc.") => BodyElement::Settled(
            known_id.map(|id| Response { id, outcome: Err(Error::method_not_found()) }),
        ),
        Ok((method, params)) => BodyElement::Call(Call { method, params, id: known_id }),
    })
}

/// The method and the params, if these members make a request.
fn check<'a>(
    version: Member<'a>,
    method: Member<'a>,
    params: Member<'a>,
) -> Result<(Cow<'a, str>, Option<&'a RawValue>), &'static str> {
    if version.string().as_deref() != Some("2.0") {
        return Err("`jsonrpc` must be \"2.0\", once");
    }
    let method = method.string().ok_or("`method` must be a string, once")?;
    match params {
        Member::Absent => Ok((method, None)),
        Member::Once(raw) if raw.get().starts_with(['[', '{']) => Ok((method, Some(raw))),
        _ => Err("`params` must be an array or an object, once"),
    }
}

fn refused<'a>(id: Id, error: Error) -> BodyElement<'a> {
    BodyElement::Settled(Some(Response { id, outcome: Err(error) }))
}
