//! Requests as services see them.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};

/// A request before its body has been read: all that [`RequestChecks`](super::RequestChecks) and
/// [`Routes`](super::Route) go by.
#[derive(Clone, Debug)]
pub struct Head {
    /// GET, POST ...
    pub method: Method,
    /// The target as it was sent.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
    /// Who sent it.
    pub peer: SocketAddr,
}

impl Head {
    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The path as services know it: without the slash that some clients put at its end, or before
    /// it when they join it to a URL that ends in one.
    pub fn route(&self) -> &str {
        let path = self.path();
        match path.trim_start_matches('/') {
            "" => "/",
            name => {
                let start = (path.len() - name.len()).saturating_sub(1);
                path[start..].trim_end_matches('/')
            }
        }
    }

    /// What follows the `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The value of a header field, if it is there and plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A request that has arrived in full.
#[derive(Clone, Debug)]
pub struct Request {
    /// All but the body.
    pub head: Head,
    /// The whole body; empty if there was none.
    pub body: Bytes,
}

impl Request {
    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.head.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_splits_at_its_question_mark() {
        let head = |uri| Head {
            method: Method::POST,
            uri: Uri::from_static(uri),
            headers: HeaderMap::new(),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        };
        let posted = head("http://host/rpc/?a=1");
        assert_eq!((posted.path(), posted.route(), posted.query()), ("/rpc/", "/rpc", Some("a=1")));
        for (path, route) in [("/", "/"), ("//", "/"), ("//rpc", "/rpc"), ("//a//b//", "/a//b")] {
            assert_eq!(head(path).route(), route);
        }
    }
}
