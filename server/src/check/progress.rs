//! A progress bar with rate and time left, on standard error, only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use quire_engine::recovery::Progress;
use std::{
    io::IsTerminal,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often it is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// Draws until it is dropped.
pub struct Bar {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows what `progress` says, if anybody can see it.
    pub fn show(progress: &Arc<Progress>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = channel();
        let progress = Arc::clone(progress);
        let draw = move || {
            let bar = ProgressBar::new(0);
            let style = "{msg} {bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                bar.set_length(progress.bytes_total());
                bar.set_message(progress.phase().name());
                bar.set_position(progress.bytes_done());
            }
            bar.finish_and_clear();
        };
        Self { stop: Some(stop), thread: Some(thread::spawn(draw)) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A bar that panicked has been seen; the check goes on.
            let _ = thread.join();
        }
    }
}
