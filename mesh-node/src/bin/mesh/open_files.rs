//! Bounds the connections of a server by the limit of open files.

use mesh_node::http::{ClientLimits, ServerLimits};
use rustix::process::{Resource, getrlimit};

/// How many files a process needs besides its sockets.
const OTHER_FILES: usize = 100;

/// The limits of a server that would like to take `wanted` connections. It takes fewer if there are
/// not enough file descriptors: a server that runs out of them lets clients wait, while a limit
/// turns them away at once.
pub(super) fn server_limits(wanted: usize) -> ServerLimits {
    let usual = ServerLimits::default();
    let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize);
    let others = OTHER_FILES + usual.refusals + ClientLimits::default().idle_total;
    let connections = granted(wanted, files, others);
    if connections < wanted {
        tracing::warn!(wanted, connections, files, "the limit of open files is low");
    }
    ServerLimits { connections, ..usual }
}

/// How many connections there may be if `others` of `files` are needed for something else; at least
/// half of `files`.
fn granted(wanted: usize, files: usize, others: usize) -> usize {
    wanted.min(files.saturating_sub(others).max(files / 2))
}

#[cfg(test)]
mod tests {
    use super::granted;

    #[test]
    fn files_bound_connections() {
        for (files, expected) in [(usize::MAX, 1000), (1200, 1000), (1100, 900), (300, 150)] {
            assert_eq!(granted(1000, files, 200), expected, "{files} files");
        }
    }
}
