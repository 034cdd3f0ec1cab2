//! Memory as the allocator and the kernel see it.

use super::account;
use std::sync::atomic::{AtomicU64, Ordering};
use tikv_jemalloc_ctl::{epoch, stats};

/// Highest [`Memory::used`] any sample has seen, bytes.
static PEAK: AtomicU64 = AtomicU64::new(0);

/// What was allocated when the server started, bytes.
static STARTUP: AtomicU64 = AtomicU64::new(0);

/// Remembers what is allocated now as what the server takes without keys and clients.
pub fn note_startup() {
    STARTUP.store(account::allocated(), Ordering::Relaxed);
}

/// One sample, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Allocated by the program, by its own account.
    pub used: u64,
    /// `used` when the server had started, before it held any key.
    pub startup: u64,
    /// Handed out by the allocator, what threads cache included.
    pub allocated: u64,
    /// Highest `used` of all samples.
    pub peak: u64,
    /// In pages the allocator uses.
    pub active: u64,
    /// In pages the allocator holds physically.
    pub resident: u64,
    /// Physical memory of the process.
    pub rss: u64,
    /// Physical memory of the machine.
    pub total: u64,
}

impl Memory {
    /// Measures now; `used` bytes were allocated before whoever asks began to: what a report
    /// takes itself is not what it is about.
    pub fn sample(used: u64) -> Self {
        let peak = PEAK.fetch_max(used, Ordering::Relaxed).max(used);
        // The allocator's figures are those of the last epoch. Errors mean another allocator.
        let _ = epoch::advance();
        let read = |figure: Result<usize, _>| figure.unwrap_or(0) as u64;
        Self {
            used,
            startup: STARTUP.load(Ordering::Relaxed),
            peak,
            allocated: read(stats::allocated::read()),
            active: read(stats::active::read()),
            resident: read(stats::resident::read()),
            rss: rss(),
            total: total(),
        }
    }
}

/// Remembers the allocator's figure if it is the highest so far. Called a few times a second.
pub fn note_peak() {
    PEAK.fetch_max(account::allocated(), Ordering::Relaxed);
}

/// The second figure of statm: resident pages.
fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * system_value(libc::_SC_PAGESIZE)
}

fn total() -> u64 {
    system_value(libc::_SC_PHYS_PAGES) * system_value(libc::_SC_PAGESIZE)
}

fn system_value(name: libc::c_int) -> u64 {
    // SAFETY: sysconf takes no pointers.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0)
}

/// Bytes as Redis writes them for people: `512B`, `1.50M`.
pub fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit < 4 {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.2}{}", ["K", "M", "G", "T", "P"][unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_bytes_as_redis_writes_them() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_572_864, "1.50M"), (1 << 40, "1.00T")]
        {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn the_process_takes_some_of_the_machines_memory() {
        let memory = Memory::sample(1 << 20);
        assert!(memory.rss > 1 << 20 && memory.total > memory.rss);
        assert!(memory.peak >= memory.used);
    }
}
