//! The librarian's thread: requests in by a channel, answers out by a callback. It sleeps when
//! nobody asks.
//!
//! Owns one storage executor (glommio). Requests that wait while one is handled are handled
//! together, so that shards that rotate at the same time share a manifest switch.

use super::{Event, Librarian, Request};
use crate::{error::StorageError, io::glommio::GlommioStorage};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{Builder, JoinHandle},
};

/// Memory glommio pins per ring, bytes; an executor has three.
const RING_MEMORY_BYTES: usize = 1 << 20;

/// A storage executor on the calling thread; `run` it.
///
/// # Errors
/// The kernel has no io_uring for us.
pub fn storage_executor(name: &str) -> Result<LocalExecutor, StorageError> {
    let made = LocalExecutorBuilder::new(Placement::Unbound)
        .name(name)
        .io_memory(RING_MEMORY_BYTES)
        .make();
    made.map_err(|error| StorageError {
        op: "io_uring_setup",
        path: name.into(),
        offset: None,
        errno: error.raw_os_error().unwrap_or(libc::ENOSYS),
    })
}

/// Work that needs the directory to stand still.
pub type Errand = Box<dyn FnOnce() + Send>;

enum Ask {
    Request(Request),
    Errand(Errand),
}

/// Asks the librarian; one per thread that needs it.
#[derive(Clone)]
pub struct LibrarianDesk {
    asks: Sender<Ask>,
}

impl LibrarianDesk {
    /// Hands a request over. The answer comes through the callback; none comes after the thread
    /// was stopped.
    pub fn ask(&self, request: Request) {
        // The thread lives as long as the server; when it has gone nobody waits for answers.
        let _ = self.asks.send(Ask::Request(request));
    }

    /// Has an errand run on the librarian's thread, after everything asked before and before
    /// everything asked later. It may block.
    pub fn run(&self, errand: Errand) {
        // As above.
        let _ = self.asks.send(Ask::Errand(errand));
    }
}

/// The running thread.
#[derive(Debug)]
pub struct LibrarianThread {
    thread: JoinHandle<()>,
}

impl LibrarianThread {
    /// Starts it. `answer` is called on the librarian's thread; it must not block. The thread ends
    /// when every desk is gone and everything asked has been answered.
    ///
    /// # Errors
    /// The thread or its executor could not be made.
    pub fn spawn(
        librarian: Librarian<GlommioStorage>,
        answer: impl FnMut(Event) + Send + 'static,
    ) -> Result<(Self, LibrarianDesk), StorageError> {
        let failed = |error: &io::Error| StorageError::new("start of thread", "librarian", error);
        let (asks, inbox) = channel();
        let (started, has_started) = channel();
        let run = move || match storage_executor("librarian") {
            Ok(executor) => {
                let _ = started.send(Ok(()));
                serve(&executor, librarian, &inbox, answer);
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        };
        let thread =
            Builder::new().name("librarian".to_owned()).spawn(run).map_err(|e| failed(&e))?;
        match has_started.recv() {
            Ok(result) => result?,
            Err(_) => return Err(failed(&io::Error::from_raw_os_error(libc::ESRCH))),
        }
        Ok((Self { thread }, LibrarianDesk { asks }))
    }

    /// Waits until every desk is gone and the last answer given.
    pub fn join(self) {
        // A panic there has aborted the process already.
        let _ = self.thread.join();
    }
}

fn serve(
    executor: &LocalExecutor,
    mut librarian: Librarian<GlommioStorage>,
    inbox: &Receiver<Ask>,
    mut answer: impl FnMut(Event),
) {
    while let Ok(first) = inbox.recv() {
        let mut requests = Vec::new();
        let mut errand = None;
        for ask in std::iter::once(first).chain(inbox.try_iter()) {
            match ask {
                Ask::Request(request) => requests.push(request),
                Ask::Errand(next) => {
                    errand = Some(next);
                    break;
                }
            }
        }
        let events = executor.run(librarian.handle(requests));
        events.into_iter().for_each(&mut answer);
        if let Some(errand) = errand {
            errand();
        }
    }
}
