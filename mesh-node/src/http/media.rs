//! Checks what a request says of its body: that it is JSON, in UTF-8 and not compressed.

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";
/// The media types that are taken: that of JSON, and those of JSON-RPC over HTTP.
const JSON_NAMES: [&str; 3] = [JSON, "application/json-rpc", "application/jsonrequest"];
/// The names of UTF-8, and of ASCII, which is a part of it.
const CHARSETS: [&str; 3] = ["utf-8", "utf8", "us-ascii"];
/// The media types that a form of any web page may post to any address without asking (the Fetch
/// standard, "CORS-safelisted").
const FORM_TYPES: [&str; 3] =
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Checks that these are the header fields of a body that is JSON, in UTF-8 and not compressed.
///
/// The media type must be there, and it must be one of JSON. Any web page can make its reader's
/// browser post a body without a type, or with a type that forms have, to an address inside the
/// reader's network. Before a browser sends another type it asks the server for leave, and here it
/// gets none.
///
/// # Errors
/// A sentence for people that says what is wrong.
pub(super) fn check_json_headers(headers: &HeaderMap) -> Result<(), String> {
    if let Some(coding) = only(headers, &CONTENT_ENCODING)?
        && !(coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    {
        return Err(format!("content-encoding {coding:?} is not accepted: send the body as it is"));
    }
    let send = format!("send the body as content-type: {JSON}");
    let Some(value) = only(headers, &CONTENT_TYPE)? else {
        return Err(format!("no content-type, which any web page could send: {send}"));
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if FORM_TYPES.contains(&&*essence) {
        return Err(format!("content-type {essence:?}, which any web page could send: {send}"));
    }
    if !JSON_NAMES.contains(&&*essence) {
        return Err(format!("content-type {essence:?} is not JSON: {send}"));
    }
    let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match charset.map(str::to_ascii_lowercase) {
        Some(charset) if !CHARSETS.contains(&&*charset) => {
            Err(format!("charset {charset:?} is not accepted: JSON is sent as UTF-8"))
        }
        _ => Ok(()),
    }
}

/// The value of a header field that may occur once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(format!("{name} occurs more than once"));
    }
    let text = first.map(|value| value.to_str().map(str::trim));
    text.transpose().map_err(|_| format!("{name} is not plain text"))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn check(fields: &[(HeaderName, &'static str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        check_json_headers(&headers)
    }

    #[test]
    fn json_is_recognised_by_all_its_names() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json ; a=b; Charset=us-ascii",
            "application/json-rpc",
            "application/jsonrequest",
        ] {
            assert_eq!(check(&[(CONTENT_TYPE, good)]), Ok(()), "{good}");
            assert_eq!(check(&[(CONTENT_TYPE, good), (CONTENT_ENCODING, "identity")]), Ok(()));
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for (bad, why) in [
            ("text/plain", "any web page"),
            ("text/plain; application/json", "any web page"),
            ("multipart/form-data; boundary=x", "any web page"),
            ("application/x-www-form-urlencoded", "any web page"),
            ("application/jsonp", "not JSON"),
            ("application/jsonrpc", "not JSON"),
            ("application/vnd.api+json", "not JSON"),
            ("", "not JSON"),
            ("application/json; charset=utf-16", "\"utf-16\""),
        ] {
            let refusal = check(&[(CONTENT_TYPE, bad)]).expect_err(bad);
            assert!(refusal.contains(why), "{bad}: {refusal}");
        }
        assert!(check(&[]).expect_err("nothing").contains("no content-type"));
        let twice = [(CONTENT_TYPE, JSON), (CONTENT_TYPE, "text/plain")];
        assert!(check(&twice).expect_err("twice").contains("more than once"));
        let packed = [(CONTENT_TYPE, JSON), (CONTENT_ENCODING, "gzip")];
        assert!(check(&packed).expect_err("packed").contains("\"gzip\""));
    }
}
