//! Active expiry: removes keys whose deadline has passed although nobody asks for them.

use super::Shard;
use crate::command::EFFECT_FRAME_BYTES;

/// Keys removed at a time, so that the log is asked for room in between.
const STEP_KEYS: usize = 16;
/// Room that one step's longest usual keys take in the log, bytes.
/// LIMIT: keys may be longer; the log keeps a reserve for what a deletion needs.
const STEP_BYTES: usize = STEP_KEYS * (EFFECT_FRAME_BYTES + 1024);

impl Shard {
    /// Removes up to `budget_keys` keys whose deadline has passed, each as a batch of its own
    /// that gates no reply. Nothing is removed while the log admits no writes: the deletion
    /// could not be made to last. Returns the number removed; fewer than the budget although
    /// more are due only if the work was great. To be called again.
    pub fn expire_cycle(&mut self, now_ms: i64, budget_keys: usize) -> usize {
        let mut removed = 0;
        for db in 0..self.keyspace.databases() {
            // A step may remove nothing: it then dealt with deadlines that have been changed.
            let mut steps = budget_keys.div_ceil(STEP_KEYS);
            while removed < budget_keys && steps > 0 {
                steps -= 1;
                let database = self.keyspace.db(db);
                if database.next_due_ms().is_none_or(|due_ms| due_ms > now_ms)
                    || self.staging.admit(STEP_BYTES).is_err()
                {
                    break;
                }
                let (staging, watches) = (&mut self.staging, &mut self.watches);
                let hasher = self.keyspace.hasher().clone();
                let step = STEP_KEYS.min(budget_keys - removed);
                removed += self.keyspace.with_db(db, self.lazy.expire, |database| {
                    database.due(now_ms, step, &mut |key| {
                        if !watches.is_empty() {
                            watches.expired(db, hasher.hash(key));
                        }
                        staging.push_expiry(db as u16, key);
                    })
                });
            }
        }
        self.stats.expired_keys += removed as u64;
        removed
    }
}
