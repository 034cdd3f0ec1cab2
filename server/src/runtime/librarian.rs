//! The way to the librarian: requests out, events to the mailboxes of those concerned.

use super::control::Control;
use super::shared::Shared;
use quire_engine::{
    aof::WantSegment,
    error::StorageError,
    manifest::{Event, Request, Wanted},
};
use std::sync::{Arc, mpsc};

/// Sends requests to the librarian's thread.
#[derive(Clone)]
pub struct Librarian {
    requests: Option<mpsc::Sender<Request>>,
}

impl Librarian {
    /// No log, no librarian.
    pub fn none() -> Self {
        Self { requests: None }
    }

    /// Requests go to `requests`.
    pub fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests: Some(requests) }
    }

    /// Sends a request. Its events come by mail.
    pub fn send(&self, request: Request) {
        if let Some(requests) = &self.requests
            && requests.send(request).is_err()
        {
            // The thread leaves only after every sender has; it would have to have panicked,
            // and a panic ends the process.
            tracing::error!("the librarian is gone");
        }
    }

    /// Asks for a shard's next segment.
    pub fn prepare(&self, shard: u16, want: WantSegment) {
        self.send(Request::Prepare(Wanted { shard, method: want.method, bytes: want.bytes }));
    }
}

/// Placeholder.
pub fn keep(
    _shared: &Arc<Shared>,
    _run: u64,
    _inbox: &mpsc::Receiver<Request>,
) -> Result<(), String> {
    Err("no log".into())
}
