//! One kept-alive connection, which sends a request and reads the whole answer.

use std::io;
use std::sync::Arc;

use mesh_node::net::{CallRules, GuardedStream, TlsIdentity};
use mesh_node::{GuardedNet, Net as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The longest answer that is read, head and body together.
const ANSWER_BYTES: usize = 1 << 20;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// What no body but that of a failed JSON-RPC call contains.
const ERROR_MEMBER: &[u8] = b"\"error\":";

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestFailure {
    /// The connection broke or was closed.
    #[error("failed to get an answer: {0}")]
    Io(#[from] io::Error),
    /// The answer is not one that this client can read.
    #[error("failed to read an answer: {0}")]
    Unreadable(&'static str),
    /// The server answered without a result.
    #[error("answered {0}")]
    Refused(String),
}

/// A connection to the server. It does as little per request as possible, because it shares the
/// cores with what it measures.
pub(crate) struct GeneratorConnection {
    stream: GuardedStream,
    buffer: Vec<u8>,
}

impl GeneratorConnection {
    /// Connects, with TLS if there are certificates.
    pub(crate) async fn open(address: &str, tls: Option<&Arc<TlsIdentity>>) -> io::Result<Self> {
        let rules = CallRules { named: vec![address.to_owned()], ..CallRules::default() };
        let net = GuardedNet::new(rules);
        let net = match tls {
            Some(identity) => net.with_tls(identity.clone()),
            None => net,
        };
        let stream = net.connect(address).await?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// Sends a request and reads its answer, which must be 200 with a result. After a failure, the
    /// connection can't be used again.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<(), RequestFailure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if let Some(answer) = HttpAnswer::parse(&self.buffer)? {
                return answer.check();
            }
            if self.buffer.len() > ANSWER_BYTES {
                return Err(RequestFailure::Unreadable("it is too long"));
            }
        }
    }
}

/// An answer that has arrived as a whole.
#[derive(Debug, PartialEq, Eq)]
struct HttpAnswer<'a> {
    status: &'a [u8],
    body: &'a [u8],
}

impl<'a> HttpAnswer<'a> {
    /// Parses an answer. `None` if some of it has not arrived.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>, RequestFailure> {
        let Some(end) = find(bytes, HEAD_END) else { return Ok(None) };
        let (head, body) = (&bytes[..end], &bytes[end + HEAD_END.len()..]);
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = lines.next().and_then(|line| line.split(|byte| *byte == b' ').nth(1));
        let status = status.ok_or(RequestFailure::Unreadable("it has no status"))?;
        let length = lines.find_map(content_length);
        let length = length.ok_or(RequestFailure::Unreadable("it has no content-length"))?;
        match body.len() {
            so_far if so_far < length => Ok(None),
            so_far if so_far > length => {
                Err(RequestFailure::Unreadable("it goes on after its end"))
            }
            _ => Ok(Some(Self { status, body })),
        }
    }

    /// Fails unless the answer is 200 with a JSON-RPC result.
    fn check(&self) -> Result<(), RequestFailure> {
        if self.status == b"200" && find(self.body, ERROR_MEMBER).is_none() {
            return Ok(());
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Err(RequestFailure::Refused(format!("{} {}", text(self.status), text(self.body))))
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    str::from_utf8(value).ok()?.trim().parse().ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 12\r\n\r\n{\"result\":1}";

    #[test]
    fn an_answer_is_read_once_all_of_it_is_there() {
        for cut in 0..WHOLE.len() {
            assert_eq!(HttpAnswer::parse(&WHOLE.as_bytes()[..cut]).expect("a part"), None, "{cut}");
        }
        let answer = HttpAnswer::parse(WHOLE.as_bytes()).expect("an answer").expect("all of it");
        assert_eq!((answer.status, answer.body), (&b"200"[..], &b"{\"result\":1}"[..]));
        answer.check().expect("a result");
    }

    #[test]
    fn errors_of_either_layer_are_failures() {
        let error = WHOLE.replace("\"result\":1", "\"error\":22");
        let error = HttpAnswer::parse(error.as_bytes()).expect("an answer").expect("all of it");
        error.check().expect_err("an error object");
        let status = WHOLE.replace("200", "502");
        let status = HttpAnswer::parse(status.as_bytes()).expect("an answer").expect("all of it");
        assert_eq!(status.check().expect_err("502").to_string(), "answered 502 {\"result\":1}");
        for strange in [WHOLE.replace("Content-Length", "Length"), format!("{WHOLE}x")] {
            HttpAnswer::parse(strange.as_bytes()).expect_err("nothing that it reads");
        }
    }
}
