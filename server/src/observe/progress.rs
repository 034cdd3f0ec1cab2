//! Recovery's progress for the operator: a line every few seconds with rate and time left.

use crate::{process::notify, runtime::shared::Shared};
use quire_engine::recovery::Phase;
use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
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

/// Logs the progress of `shared` until stopped.
pub fn watch(shared: Arc<Shared>) -> Watch {
    let (stop, stopped) = mpsc::channel();
    let run = move || {
        let mut replaying: Option<Instant> = None;
        while stopped.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
            let progress = &shared.progress;
            let phase = progress.phase();
            let total = progress.bytes_total();
            let done = match phase {
                Phase::Scan => progress.bytes_scanned(),
                Phase::Plan | Phase::Seal | Phase::Replay | Phase::Open | Phase::Done => {
                    progress.bytes_replayed()
                }
            };
            let mib = |bytes: u64| bytes / (1 << 20);
            if phase == Phase::Replay {
                let elapsed = replaying.get_or_insert_with(Instant::now).elapsed();
                let rate = done as f64 / elapsed.as_secs_f64().max(0.001) / f64::from(1 << 20);
                let left = progress.remaining(elapsed).map_or(0, |d| d.as_secs());
                let commands = progress.commands();
                say(&format!(
                    "{}: {} of {} MiB, {commands} commands, {rate:.0} MiB/s, {left} s left",
                    phase.name(),
                    mib(done),
                    mib(total),
                ));
            } else {
                say(&format!("{}: {} of {} MiB", phase.name(), mib(done), mib(total)));
            }
        }
    };
    // Without the thread there are no lines, and recovery goes on.
    let _ = thread::Builder::new().name("progress".to_owned()).spawn(run);
    Watch { stop }
}
