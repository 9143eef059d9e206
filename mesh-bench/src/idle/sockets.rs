//! Counts the connections of a server in the kernel's list.

use std::fs;
use std::net::SocketAddr;

use serde::Serialize;

/// States in `/proc/net/tcp`: see proc_net_tcp(5), and `include/net/tcp_states.h` of the kernel.
const ESTABLISHED: &str = "01";
const TIME_WAIT: &str = "06";

/// The connections that a server has accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sockets {
    /// Connections that are open.
    pub(crate) open: usize,
    /// Connections that either side closed within the last minute. The kernel remembers them for
    /// that long.
    pub(crate) closed: usize,
}

impl Sockets {
    /// The connections of the server that listens on this IPv4 address; `None` if the kernel does
    /// not tell.
    pub(super) fn of(address: &str) -> Option<Self> {
        let port = address.parse::<SocketAddr>().ok()?.port();
        Some(Self::listed(&fs::read_to_string("/proc/net/tcp").ok()?, port))
    }

    /// Counts in the kernel's list. On loopback both ends of a connection are listed: of open ones,
    /// the server's end is counted; of closed ones only the end that closed first is listed.
    fn listed(list: &str, port: u16) -> Self {
        let port = format!(":{port:04X}");
        let mut sockets = Self::default();
        for line in list.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            let (Some(local), Some(remote), Some(state)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            match state {
                ESTABLISHED if local.ends_with(&port) => sockets.open += 1,
                TIME_WAIT if local.ends_with(&port) || remote.ends_with(&port) => {
                    sockets.closed += 1;
                }
                _ => {}
            }
        }
        sockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_connection_count_once() {
        let list = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000
   2: 0100007F:C001 0100007F:1F90 01 00000000:00000000
   3: 0100007F:C002 0100007F:1F90 06 00000000:00000000
   4: 0100007F:1F90 0100007F:C003 06 00000000:00000000
   5: 0100007F:1F91 0100007F:C004 01 00000000:00000000
";
        assert_eq!(Sockets::listed(list, 0x1F90), Sockets { open: 1, closed: 2 });
        assert_eq!(Sockets::listed(list, 1), Sockets::default());
    }
}
