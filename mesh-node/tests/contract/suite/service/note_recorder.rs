//! An observer that records what it is told.

use std::sync::{Arc, Mutex};

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::protocol::Name;
use mesh_core::registry;
use mesh_node::Observer;

/// Records all notes, one line each, and all views. Copies share what they record.
#[derive(Clone, Default)]
pub(crate) struct NoteRecorder(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    notes: Vec<(Timestamp, String)>,
    views: Vec<Vec<String>>,
}

impl NoteRecorder {
    /// All notes with their times.
    pub(crate) fn timed(&self) -> Vec<(Timestamp, String)> {
        self.records(|records| records.notes.clone())
    }

    /// The notes that contain `what`.
    pub(crate) fn notes(&self, what: &str) -> Vec<String> {
        let notes = self.timed().into_iter().map(|(_, note)| note);
        notes.filter(|note| note.contains(what)).collect()
    }

    /// How many views have been recorded.
    pub(crate) fn views(&self) -> usize {
        self.records(|records| records.views.len())
    }

    /// The views from this one on.
    pub(crate) fn views_from(&self, first: usize) -> Vec<Vec<String>> {
        self.records(|records| records.views[first..].to_vec())
    }

    /// The latest view.
    pub(crate) fn view(&self) -> Vec<String> {
        self.records(|records| records.views.last().cloned().unwrap_or_default())
    }

    fn records<R>(&self, act: impl FnOnce(&mut Records) -> R) -> R {
        act(&mut self.0.lock().expect("no panic while it was locked"))
    }

    fn write(&self, now: Timestamp, note: String) {
        self.records(|records| records.notes.push((now, note)));
    }
}

impl Observer for NoteRecorder {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        self.write(now, format!("{agent}: {note:?}"));
    }

    fn view(&self, _: Timestamp, _: &Name, peers: &Peers) {
        let peers = peers.names().map(ToString::to_string).collect();
        self.records(|records| records.views.push(peers));
    }

    fn registry(&self, now: Timestamp, note: &registry::LeaseNote) {
        self.write(now, format!("registry: {note:?}"));
    }
}
