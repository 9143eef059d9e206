//! An observer that writes everything down.

use std::sync::{Arc, Mutex};

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::protocol::Name;
use mesh_core::registry;
use mesh_node::Observer;

/// What was noted so far, one line each; copies write into the same book.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    notes: Vec<(Timestamp, String)>,
    views: Vec<Vec<String>>,
}

impl Watch {
    /// The notes with their times.
    pub(crate) fn timed(&self) -> Vec<(Timestamp, String)> {
        self.book(|book| book.notes.clone())
    }

    /// The notes that contain `what`.
    pub(crate) fn notes(&self, what: &str) -> Vec<String> {
        let notes = self.timed().into_iter().map(|(_, note)| note);
        notes.filter(|note| note.contains(what)).collect()
    }

    /// How many samples of the view have been taken.
    pub(crate) fn views(&self) -> usize {
        self.book(|book| book.views.len())
    }

    /// The samples of the view from this one on.
    pub(crate) fn views_from(&self, first: usize) -> Vec<Vec<String>> {
        self.book(|book| book.views[first..].to_vec())
    }

    /// The last sample of the view.
    pub(crate) fn view(&self) -> Vec<String> {
        self.book(|book| book.views.last().cloned().unwrap_or_default())
    }

    fn book<R>(&self, act: impl FnOnce(&mut Book) -> R) -> R {
        act(&mut self.0.lock().expect("no panic while it was locked"))
    }

    fn write(&self, now: Timestamp, note: String) {
        self.book(|book| book.notes.push((now, note)));
    }
}

impl Observer for Watch {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        self.write(now, format!("{agent}: {note:?}"));
    }

    fn view(&self, _: Timestamp, _: &Name, peers: &Peers) {
        let peers = peers.names().map(ToString::to_string).collect();
        self.book(|book| book.views.push(peers));
    }

    fn registry(&self, now: Timestamp, note: &registry::LeaseNote) {
        self.write(now, format!("registry: {note:?}"));
    }
}
