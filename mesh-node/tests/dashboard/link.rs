//! A link to an agent that can be made slow.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::process::pause;

/// Passes on what comes to its address, each piece after a delay.
pub(crate) struct SlowLink {
    /// Where it listens, `host:port`.
    pub(crate) address: String,
    delay_ms: Arc<AtomicU64>,
    to: Arc<std::sync::OnceLock<String>>,
}

impl SlowLink {
    /// A link that leads nowhere yet.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let to = Arc::new(std::sync::OnceLock::<String>::new());
        let (delay, end) = (delay_ms.clone(), to.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Some(far) = end.get().and_then(|end| TcpStream::connect(end).ok()) else {
                    continue;
                };
                let copy = |stream: &TcpStream| stream.try_clone().expect("a copy");
                pass_on(copy(&near), copy(&far), delay.clone());
                pass_on(far, near, Arc::default());
            }
        });
        Self { address, delay_ms, to }
    }

    /// Where it leads.
    pub(crate) fn lead_to(&self, address: &str) {
        self.to.set(address.to_owned()).expect("only once");
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay_ms: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut piece = [0; 1 << 14];
        while let Ok(length) = from.read(&mut piece)
            && length > 0
        {
            pause(Duration::from_millis(delay_ms.load(Ordering::Relaxed)));
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
