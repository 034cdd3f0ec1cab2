//! A clock for durations of commands: the processor's own counter where it runs steadily on all
//! cores, the kernel's monotonic clock otherwise.
//!
//! A reading costs a third of the kernel clock's, which is why every command can be timed. Ticks
//! are for differences only; readings on two cores may be out of step by less than a command
//! takes, so differences are never negative but may be cut to zero.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long the counter is watched once, to learn its speed.
const CALIBRATION: Duration = Duration::from_millis(2);

/// The clock, copied to every core.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    is_counter: bool,
    /// Nanoseconds a tick, in units of 2^-32.
    scale: u64,
}

impl Ticks {
    /// The clock of this machine; the first call takes 2 ms.
    pub fn new() -> Self {
        static CLOCK: OnceLock<Ticks> = OnceLock::new();
        *CLOCK.get_or_init(|| if has_steady_counter() { calibrate() } else { Self::kernel() })
    }

    fn kernel() -> Self {
        Self { is_counter: false, scale: 1 << 32 }
    }

    /// Where the clock comes from, for INFO.
    pub fn name(&self) -> &'static str {
        if self.is_counter { "processor counter" } else { "POSIX clock_gettime" }
    }

    /// Reads it.
    #[inline]
    pub fn read(&self) -> u64 {
        if self.is_counter { counter() } else { kernel_ns() }
    }

    /// Ticks as nanoseconds.
    #[inline]
    pub fn to_ns(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }

    /// Nanoseconds as ticks.
    pub fn of_ns(&self, ns: u64) -> u64 {
        let ticks = (u128::from(ns) << 32) / u128::from(self.scale.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

impl Default for Ticks {
    fn default() -> Self {
        Self::new()
    }
}

fn calibrate() -> Ticks {
    let (from, start) = (counter(), Instant::now());
    let mut elapsed = Duration::ZERO;
    while elapsed < CALIBRATION {
        elapsed = start.elapsed();
    }
    let ticks = counter().saturating_sub(from);
    let scale = (elapsed.as_nanos() << 32).checked_div(u128::from(ticks));
    match scale.and_then(|scale| u64::try_from(scale).ok()) {
        Some(scale) if scale > 0 => Ticks { is_counter: true, scale },
        // It stands still: not a counter to go by.
        _ => Ticks::kernel(),
    }
}

fn kernel_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec at the given address, which is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every processor of this architecture has the instruction; it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The processor says that its counter neither changes its speed nor stops.
#[cfg(target_arch = "x86_64")]
fn has_steady_counter() -> bool {
    use core::arch::x86_64::__cpuid;
    const LEAF: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & INVARIANT != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    kernel_ns()
}

#[cfg(not(target_arch = "x86_64"))]
fn has_steady_counter() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_agree_with_the_clock_on_the_wall() {
        for clock in [Ticks::new(), Ticks::kernel()] {
            // Whoever is not scheduled in between is not wrong: the kernel's clock is read
            // around the ticks and bounds them from both sides.
            let outer = Instant::now();
            let from = clock.read();
            let inner = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let at_least = inner.elapsed().as_nanos() as f64;
            let ns = clock.to_ns(clock.read() - from) as f64;
            let at_most = outer.elapsed().as_nanos() as f64;
            assert!(ns > at_least * 0.99 && ns < at_most * 1.01, "{at_least} {ns} {at_most}");
            let there_and_back = clock.to_ns(clock.of_ns(10_000_000));
            assert!((9_990_000..=10_010_000).contains(&there_and_back), "{there_and_back}");
        }
    }
}
