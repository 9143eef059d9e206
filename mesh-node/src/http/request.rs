//! HTTP requests as services see them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};

use crate::security::PeerCertificate;

/// A request without its body: all that [`RequestChecks`](super::RequestChecks) and
/// [`Route`](super::Route)s decide by.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method, such as GET.
    pub method: Method,
    /// The request's target as the client sent it: a path with an optional query, or a whole URL.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
    /// The address of the client, or of the last proxy before this server.
    pub client: SocketAddr,
    /// The client's certificate, whose chain has been verified; `None` if it has shown none.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Head {
    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The path as tables of routes name it: without the slash that some clients put at its end,
    /// and with one at its beginning. A path gets two when a client joins it to a URL that ends in
    /// a slash.
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

    /// The query, which follows the `?`; undecoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The value of a header field; `None` if it is missing or not plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A request that has arrived in full.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, target, header fields and sender.
    pub head: Head,
    /// The whole body, empty if the request had none.
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
            client: SocketAddr::from(([127, 0, 0, 1], 1)),
            certificate: None,
        };
        let posted = head("http://host/rpc/?a=1");
        assert_eq!((posted.path(), posted.route(), posted.query()), ("/rpc/", "/rpc", Some("a=1")));
        for (path, route) in [("/", "/"), ("//", "/"), ("//rpc", "/rpc"), ("//a//b//", "/a//b")] {
            assert_eq!(head(path).route(), route);
        }
    }
}
