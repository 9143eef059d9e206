//! Those who look at the board: each gets everything once, and then what changes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_core::Timestamp;
use tokio::sync::{Notify, mpsc};

use crate::http::Response;

/// How many updates may wait for a viewer. One that takes none for longer is cut off.
const QUEUE: usize = 8;
/// For how long a viewer may look before its browser has to connect again.
const LONGEST_VIEW: Duration = Duration::from_secs(3600);
/// The time between two looks at whether a viewer still may see.
const RIGHTS_PERIOD: Duration = Duration::from_secs(2);
/// The most bytes of one view: more than an hour of a mesh of thousands.
const MOST_BYTES: u64 = 1 << 36;
/// The media type of a stream of events.
const EVENT_STREAM: &str = "text/event-stream";

/// Whether somebody still may see what he sees.
pub(super) type MaySee = Box<dyn Fn() -> bool + Send>;

/// Writes what a viewer gets first, as JSON.
pub(super) type FirstUpdate = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// What waits for a viewer.
enum ViewPiece {
    /// It is written only when the connection takes it.
    First(FirstUpdate),
    Event(Bytes),
}

impl ViewPiece {
    fn into_event(self) -> Bytes {
        match self {
            Self::First(write) => event(&write()),
            Self::Event(event) => event,
        }
    }
}

/// The viewers of a board.
#[derive(Default)]
pub(super) struct Viewers {
    all: Mutex<ViewerList>,
    /// Wakes whoever keeps the board up to date.
    came: Notify,
}

#[derive(Default)]
struct ViewerList {
    viewers: VecDeque<Viewer>,
    is_closed: bool,
}

struct Viewer {
    queue: mpsc::Sender<ViewPiece>,
    until: Timestamp,
    may_see: MaySee,
    looked: Timestamp,
}

impl Viewer {
    /// How many updates wait for the viewer.
    fn behind(&self) -> usize {
        QUEUE - self.queue.capacity()
    }

    fn stays(&mut self, now: Timestamp) -> bool {
        if now >= self.until || self.queue.is_closed() {
            return false;
        }
        if now.since(self.looked) < RIGHTS_PERIOD {
            return true;
        }
        self.looked = now;
        (self.may_see)()
    }
}

/// One event of a stream. JSON has no line breaks in it.
fn event(json: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(json.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(json);
    event.extend_from_slice(b"\n\n");
    event.into()
}

impl Viewers {
    /// Answers a new viewer with `first`, and then with what is published. If there are `most`
    /// already, the one that is furthest behind makes room; `None` if nobody is behind.
    pub(super) fn open(
        &self,
        now: Timestamp,
        most: usize,
        first: FirstUpdate,
        may_see: MaySee,
    ) -> Option<Response> {
        let (queue, mut updates) = mpsc::channel(QUEUE);
        // It can't be full yet.
        let _ = queue.try_send(ViewPiece::First(first));
        let mut all = self.lock();
        if all.is_closed {
            return None;
        }
        all.viewers.retain_mut(|viewer| viewer.stays(now));
        if all.viewers.len() >= most {
            let slowest = (0..all.viewers.len()).max_by_key(|at| all.viewers[*at].behind())?;
            if all.viewers[slowest].behind() < 2 {
                return None;
            }
            all.viewers.remove(slowest);
        }
        all.viewers.push_back(Viewer { queue, until: now + LONGEST_VIEW, may_see, looked: now });
        drop(all);
        self.came.notify_one();
        Some(Response::stream(EVENT_STREAM, MOST_BYTES, move |cx| {
            updates.poll_recv(cx).map(|piece| piece.map(|piece| Ok(piece.into_event())))
        }))
    }

    /// Sends an update to all, and cuts off those that are too far behind.
    pub(super) fn publish(&self, now: Timestamp, json: &[u8]) {
        let event = event(json);
        let mut all = self.lock();
        all.viewers.retain_mut(|viewer| {
            viewer.stays(now) && viewer.queue.try_send(ViewPiece::Event(event.clone())).is_ok()
        });
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().viewers.iter().filter(|viewer| !viewer.queue.is_closed()).count()
    }

    /// Waits until there is one.
    pub(super) async fn come(&self) {
        while self.count() == 0 {
            self.came.notified().await;
        }
    }

    /// Ends all views, and lets nobody in any more.
    pub(super) fn close(&self) {
        let mut all = self.lock();
        all.is_closed = true;
        all.viewers.clear();
    }

    fn lock(&self) -> MutexGuard<'_, ViewerList> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::http::ResponseBody;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    fn nothing() -> FirstUpdate {
        Box::new(|| b"{}".to_vec())
    }

    fn anybody() -> MaySee {
        Box::new(|| true)
    }

    /// The next piece of a view, as text; `None` at its end.
    async fn next(view: &mut Response) -> Option<String> {
        let ResponseBody::Stream(stream) = &mut view.body else { panic!("a stream") };
        let piece = poll_fn(|cx| (stream.next)(cx)).await;
        piece.map(|piece| String::from_utf8(piece.expect("a piece").to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn viewers_get_updates_and_slow_ones_are_cut() {
        let viewers = Viewers::default();
        let mut quick = viewers.open(at(0), 2, nothing(), anybody()).expect("room");
        let mut slow = viewers.open(at(0), 2, nothing(), anybody()).expect("room");
        assert!(viewers.open(at(0), 2, nothing(), anybody()).is_none(), "nobody is behind");
        assert_eq!(next(&mut quick).await.as_deref(), Some("data: {}\n\n"));
        for number in 0..8_u64 {
            viewers.publish(at(number), format!("[{number}]").as_bytes());
            let expected = format!("data: [{number}]\n\n");
            assert_eq!(next(&mut quick).await, Some(expected));
        }
        assert_eq!(viewers.count(), 1, "one of them took nothing");
        for _ in 0..QUEUE {
            assert!(next(&mut slow).await.is_some(), "what waited is still sent");
        }
        assert_eq!(next(&mut slow).await, None);
        viewers.close();
        assert_eq!(next(&mut quick).await, None);
        assert!(viewers.open(at(9), 2, nothing(), anybody()).is_none());
    }

    #[tokio::test]
    async fn the_slowest_makes_room_and_rights_end_views() {
        let viewers = Viewers::default();
        let may_see = Arc::new(AtomicBool::new(true));
        let still = may_see.clone();
        let rights: MaySee = Box::new(move || still.load(Ordering::Relaxed));
        let mut one = viewers.open(at(0), 2, nothing(), rights).expect("room");
        let mut other = viewers.open(at(0), 2, nothing(), anybody()).expect("room");
        viewers.publish(at(1), b"[]");
        assert!(next(&mut one).await.is_some() && next(&mut one).await.is_some());
        let mut new = viewers.open(at(2), 2, nothing(), anybody()).expect("the slowest goes");
        assert!(next(&mut other).await.is_some() && next(&mut other).await.is_some());
        assert_eq!(next(&mut other).await, None);
        may_see.store(false, Ordering::Relaxed);
        viewers.publish(at(5000), b"[]");
        assert_eq!(next(&mut one).await, None, "its key was revoked");
        assert!(next(&mut new).await.is_some());
        viewers.publish(at(4_000_000), b"[]");
        assert!(next(&mut new).await.is_some());
        assert_eq!(next(&mut new).await, None, "it has to connect again");
        drop(new);
        assert_eq!(viewers.count(), 0);
    }

    #[tokio::test]
    async fn who_has_gone_is_not_asked_for_rights() {
        let viewers = Viewers::default();
        let asked = Arc::new(AtomicBool::new(false));
        let seen = asked.clone();
        let rights: MaySee = Box::new(move || !seen.swap(true, Ordering::Relaxed));
        drop(viewers.open(at(0), 2, nothing(), rights).expect("room"));
        viewers.publish(at(5000), b"[]");
        assert!(!asked.load(Ordering::Relaxed));
    }
}
