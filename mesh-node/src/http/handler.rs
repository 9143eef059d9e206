//! The interface between a server and what answers its requests.

use super::{Head, Request, Response};

/// Answers the requests of a server. Any `async` closure from [`Request`] to [`Response`] is one; a
/// service with several paths has a table of them: see [`RoutedService`](super::RoutedService).
///
/// The future is dropped if the client hangs up before the answer, so whatever it holds must free
/// itself on drop. A client that only closes its sending half still gets its answer: see
/// [`half_closed`](super::ServerLimits::half_closed). There is one exception: if a client has
/// already sent bytes of its next request, the server does not see it hang up until the answer is
/// written.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Decides, before the body is read, whether it shall be. `Ok` holds the most bytes that the
    /// body may have, or `None` for [`body_bytes`](super::ServerLimits::body_bytes).
    ///
    /// # Errors
    /// The answer to a request whose answer does not depend on its body. The body is then not read:
    /// a client that waits for `100 Continue` never sends it.
    fn admit(&self, head: &Head) -> Result<Option<usize>, Box<Response>> {
        let _ = head;
        Ok(None)
    }

    /// Answers a request that has arrived in full.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send {
        self(request)
    }
}
