//! A viewer without a browser: reads the stream of events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::process::PATIENCE;

/// The stream of `GET /dashboard/events`.
pub(crate) struct Viewer {
    reader: BufReader<TcpStream>,
    /// The head of the answer, in lower case.
    pub(crate) head: String,
}

impl Viewer {
    /// Opens a stream with these header fields.
    pub(crate) fn open(address: &str, fields: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let fields = format!("host: {address}\r\nconnection: close\r\n{fields}");
        let request = format!("GET /dashboard/events HTTP/1.1\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "closed: {head}");
        }
        Self { reader, head: head.to_ascii_lowercase() }
    }

    pub(crate) fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1);
        status.and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The next update; `None` when the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(json) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(json).expect("an update"));
            }
        }
    }

    /// The first update that meets this.
    pub(crate) fn find(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..PATIENCE.as_secs() {
            let update = self.next().unwrap_or_else(|| panic!("the stream ended before {what}"));
            if is_it(&update) {
                return update;
            }
        }
        panic!("waited in vain for {what}");
    }
}

/// What an update says of an agent; null if it says nothing.
pub(crate) fn agent<'a>(update: &'a Value, name: &str) -> &'a Value {
    let agents = update["agents"].as_array().expect("agents");
    agents.iter().find(|agent| agent["name"] == name).unwrap_or(&Value::Null)
}
