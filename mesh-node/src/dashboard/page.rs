//! The page: one document with its style sheet and its scripts in it, and the headers that forbid
//! it everything else.

use std::sync::LazyLock;

use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::http::{Bytes, Response, StatusCode};

/// The parts of the script that every page has, in their order.
const SCRIPTS: [&str; 8] = [
    include_str!("page/model.js"),
    include_str!("page/text.js"),
    include_str!("page/graph.js"),
    include_str!("page/cards.js"),
    include_str!("page/tables.js"),
    include_str!("page/sets.js"),
    include_str!("page/forms.js"),
    include_str!("page/main.js"),
];
/// The last part of a page that shows a live mesh.
const LIVE: &str = include_str!("page/live.js");
/// The last part of a page that shows a recorded run.
const PLAYBACK: &str = include_str!("page/playback.js");
const STYLE: &str = include_str!("page/style.css");
const DOCUMENT: &str = include_str!("page/page.html");

struct DashboardPage {
    html: Bytes,
    headers: HeaderMap,
}

/// The script with this last part. One function is around all of it, so that nothing is a global.
fn script(last: &str) -> String {
    format!("\"use strict\";\n(() => {{\n{}\n{last}}})();\n", SCRIPTS.join("\n"))
}

fn document(script: &str) -> String {
    DOCUMENT.replace("STYLE", STYLE).replace("SCRIPT", script)
}

/// The page for a frame that plays a recorded run back. It has no data and loads none: whoever
/// frames it calls `playback.load(run)` of its window, and then `playback.showAt(ms)`. A run is an
/// object with `frames` (each with `at_ms` and a [`BoardUpdate`](super::BoardUpdate) as `update`),
/// `requests` and a `note` on them.
pub fn playback_page() -> String {
    document(&script(PLAYBACK))
}

static PAGE: LazyLock<DashboardPage> = LazyLock::new(|| {
    let script = script(LIVE);
    let html = document(&script);
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        base64(&Sha256::digest(script.as_bytes())),
        base64(&Sha256::digest(STYLE.as_bytes())),
    );
    let mut headers = common_headers();
    // This can't fail: the policy is plain text.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    DashboardPage { html: html.into(), headers }
});

/// The page as an answer.
pub(super) fn page() -> Response {
    Response {
        status: StatusCode::OK,
        content_type: "text/html; charset=utf-8",
        body: PAGE.html.clone().into(),
        headers: PAGE.headers.clone(),
    }
}

/// The header fields of every answer of a dashboard: nobody stores it, guesses its type, frames it
/// or learns from where it was left.
pub(super) fn common_headers() -> HeaderMap {
    let fields = [
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

/// Base64 with its usual letters and padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let of = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let html = std::str::from_utf8(&PAGE.html).expect("text");
        for foreign in ["http:", "https:", "//cdn", "url(", "@import", "src=", "innerHTML"] {
            // The name of the namespace of SVG is an address that nobody opens.
            let without = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!without.contains(foreign), "{foreign}");
        }
        for inline in ["style=\"", "onclick", "eval(", "document.write"] {
            assert!(!html.contains(inline), "{inline} is forbidden by the policy of the page");
        }
        let policy = PAGE.headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_parts_of_the_page_are_short_files() {
        for (number, part) in
            SCRIPTS.iter().chain([&LIVE, &PLAYBACK, &STYLE, &DOCUMENT]).enumerate()
        {
            let lines = part.lines().count();
            assert!(lines < 500, "part {number} has {lines} lines");
        }
    }
}
