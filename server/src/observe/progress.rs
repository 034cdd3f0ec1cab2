//! Recovery's progress for the operator: a line every few seconds with rate and time left.

use crate::{process::notify, runtime::shared::Shared};
use quire_engine::recovery::{Pace, Progress};
use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Time between two lines.
const PERIOD: Duration = Duration::from_secs(2);

/// A running watch.
pub struct Watch {
    stop: mpsc::Sender<()>,
}

impl Watch {
    /// Ends it.
    pub fn stop(self) {
        // Nobody listens only if the watch could not start.
        let _ = self.stop.send(());
    }
}

/// To the log, and to who supervises us: a long start is no reason to end it.
fn say(line: &str) {
    tracing::info!("{line}");
    notify::loading(line);
}

/// Where recovery is, how fast, and how long it still takes.
fn line(progress: &Progress) -> String {
    let mib = |bytes: u64| bytes / (1 << 20);
    let phase = progress.phase().name();
    let (done, total) = (mib(progress.bytes_done()), mib(progress.bytes_total()));
    let Some(Pace { bytes_per_second, left }) = progress.pace() else {
        return format!("{phase}: {done} of {total} MiB");
    };
    format!(
        "{phase}: {done} of {total} MiB, {} keys and {} commands loaded, {:.0} MiB/s, {} s left",
        progress.keys(),
        progress.commands(),
        bytes_per_second / f64::from(1 << 20),
        left.as_secs(),
    )
}

/// Logs the progress of `shared` until stopped.
pub fn watch(shared: Arc<Shared>) -> Watch {
    let (stop, stopped) = mpsc::channel();
    let run = move || {
        while stopped.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(&line(&shared.progress));
        }
    };
    // Without the thread there are no lines, and recovery goes on.
    let _ = thread::Builder::new().name("progress".to_owned()).spawn(run);
    Watch { stop }
}
