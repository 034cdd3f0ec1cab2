//! The end of the server, as far as snapshots come before it: SHUTDOWN and signals.

use super::checkpoint::Then;
use crate::runtime::{
    control::{Origin, Purpose},
    core::Core,
};
use std::sync::atomic::Ordering::{Acquire, Release};

impl Core {
    /// Saves, if that is wanted, and ends the server.
    pub(super) fn save_and_leave(
        &mut self,
        save: Option<bool>,
        force: bool,
        origin: Option<Origin>,
    ) {
        let by_points = !self.live.save_points().is_empty();
        if save.unwrap_or(by_points) {
            tracing::info!("Saving the final RDB snapshot before exiting.");
            self.start_checkpoint(Purpose::Dump, origin, Then::Leave { force });
        } else {
            self.leave_now(force);
        }
    }

    /// Ends the server without saving.
    pub(super) fn leave_now(&mut self, force: bool) {
        let has_failed = self.shared.cores.iter().any(|core| core.failed.load(Acquire));
        // After a failed log the process ends with a code that is not 0, unless told otherwise.
        if has_failed && force {
            self.shared.forced.store(true, Release);
        }
        crate::process::notify::stopping();
        self.shared.stopping.store(true, Release);
        self.shared.shut_down();
    }
}
