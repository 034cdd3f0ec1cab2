//! Makes a script that shows a difference as short as it gets: removes runs of items, shorter and
//! shorter ones, as long as a difference remains.

use std::time::{Duration, Instant};

use super::{pair::Pair, script::Script};

/// When to be content with what there is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shorter script with a difference, and that difference's text.
pub fn shrink(pair: &mut Pair, script: Script, at: usize, text: String) -> (Script, String) {
    let deadline = Instant::now() + PATIENCE;
    let (mut script, mut text) = (script, text);
    script.items.truncate(at + 1);
    let mut run = script.items.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let mut shorter = false;
        while start < script.items.len() && Instant::now() < deadline {
            let mut candidate = script.clone();
            let end = (start + run).min(candidate.items.len());
            candidate.items.drain(start..end);
            match pair.run(&candidate) {
                Err(difference) => {
                    candidate.items.truncate(difference.at + 1);
                    (script, text) = (candidate, difference.text);
                    shorter = true;
                }
                Ok(()) => start += run,
            }
        }
        if Instant::now() >= deadline || (run == 1 && !shorter) {
            return (script, text);
        }
        if !shorter {
            run = (run / 2).max(1);
        }
    }
}
