//! The server's side: the calls in a body, and the body of the answer.

use std::borrow::Cow;
use std::slice;

use serde_json::value::RawValue;

use super::error::Error;
use super::id::Id;
use super::limits::{BodyError, Limits};
use super::members::{Member, elements, members};
use super::response::{Outcome, Response};

/// A call, or a notification: a call without an id, which gets no answer.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method's name; it never begins with `rpc.`.
    pub method: Cow<'a, str>,
    /// An array or an object; `None` if the call has no params.
    pub params: Option<&'a RawValue>,
    /// The id that the answer must repeat; `None` for a notification. Null is an id too, so a call
    /// with the id null is answered.
    pub id: Option<Id>,
}

/// A body as a server has read it: a single call, or a batch of them.
///
/// Every element of the body is in it: calls and notifications, which the server still has to carry
/// out, and invalid elements, whose answer is settled already. [`parse`] makes it, and
/// [`Self::answer`] turns it into the body of the answer.
#[derive(Clone, Debug)]
pub struct Incoming<'a>(IncomingBody<'a>);

#[derive(Clone, Debug)]
enum IncomingBody<'a> {
    Single(BodyElement<'a>),
    Batch(Vec<BodyElement<'a>>),
}

#[derive(Clone, Debug)]
enum BodyElement<'a> {
    /// The server has to carry it out.
    Call(Call<'a>),
    /// There is nothing to carry out, and this is the answer; `None`: it gets no answer.
    Settled(Option<Response>),
}

/// Reads a body. If it can't be read, the result has no calls, and its answer is an error.
pub fn parse<'a>(body: &'a [u8], limits: &Limits) -> Incoming<'a> {
    Incoming(match read(body, limits) {
        Ok(body) => body,
        Err(error) => IncomingBody::Single(refused(Id::NULL, error)),
    })
}

impl<'a> Incoming<'a> {
    /// The calls and notifications in their order in the body. The server may carry them out in any
    /// order, or all at once.
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
    /// The outcome of a notification is dropped, so it may be anything, and need not be waited for.
    /// A call without an outcome is answered with an internal error.
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

    /// For each response in the answer, in their order: the position among [`Self::calls`] of the
    /// call that it answers; `None` if it answers an element that was settled here.
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

    /// As [`Self::answer`], for a server that has each outcome at once.
    pub fn answer_with(self, dispatch: impl FnMut(&Call<'a>) -> Outcome) -> Option<Vec<u8>> {
        let outcomes: Vec<_> = self.calls().map(dispatch).collect();
        self.answer(outcomes)
    }
}

/// A batch's answer: the array of its responses; `None` if there are none.
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
    // An invalid element spoils only its own answer.
    Ok(elements
        .into_iter()
        .map(|raw| read_element(raw.get()).unwrap_or_else(|error| refused(Id::NULL, error)))
        .collect())
}

fn read_element(text: &str) -> Result<BodyElement<'_>, Error> {
    let request = members(text, ["jsonrpc", "method", "params", "id"]);
    let [version, method, params, id] = request.map_err(|error| {
        // JSON that is not an object is an invalid request, and everything else a parse error.
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Error::invalid_request(&error.to_string()),
            Err(error) => Error::parse_error(&error.to_string()),
        }
    })?;
    let known_id = id.json().and_then(Id::from_json);
    // Without an `id` member it is a notification; with an unusable one it is invalid.
    if id.is_present() && known_id.is_none() {
        let reason = "`id` must be one string, number or null";
        return Err(Error::invalid_request(reason));
    }
    Ok(match check(version, method, params) {
        Err(reason) => refused(known_id.unwrap_or(Id::NULL), Error::invalid_request(reason)),
        // Reserved by the specification; answered here, unless it is a notification.
        Ok((method, _)) if method.starts_with("rpc.") => BodyElement::Settled(
            known_id.map(|id| Response { id, outcome: Err(Error::method_not_found()) }),
        ),
        Ok((method, params)) => BodyElement::Call(Call { method, params, id: known_id }),
    })
}

/// The method and the params, or the reason why these members don't make a request.
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
