//! What the kernel is told about this process: its OOM score, huge pages, the CPUs of threads.

use crate::config::{Config, OomScoreAdj};
use std::{fs, io, sync::OnceLock};

const OOM_FILE: &str = "/proc/self/oom_score_adj";

/// Obeys `oom-score-adj`.
///
/// # Errors
/// What the kernel refuses, in Redis' words for the client; the reason is logged.
pub fn apply_oom_score(config: &Config) -> Result<(), String> {
    /// What the process started with: relative values count from there.
    static BASE: OnceLock<i32> = OnceLock::new();
    let read = || fs::read_to_string(OOM_FILE).ok().and_then(|text| text.trim().parse().ok());
    if config.oom_score_adj == OomScoreAdj::No && BASE.get().is_none() {
        return Ok(());
    }
    let base = *BASE.get_or_init(|| read().unwrap_or(0));
    let value = config.oom_score_adj_values[0];
    let score = match config.oom_score_adj {
        OomScoreAdj::No => base,
        OomScoreAdj::Absolute => value,
        OomScoreAdj::Yes | OomScoreAdj::Relative => base + value,
    };
    let score = score.clamp(-1000, 1000);
    if read() == Some(score) {
        return Ok(());
    }
    fs::write(OOM_FILE, score.to_string()).map_err(|error| {
        tracing::warn!(
            "Unable to write oom_score_adj {score}: {error}. A lower score than before takes \
             CAP_SYS_RESOURCE"
        );
        "Failed to set current oom_score_adj. Check server logs.".to_owned()
    })
}

/// Keeps transparent huge pages away from this process (`disable-thp yes`).
pub fn disable_huge_pages() {
    // SAFETY: prctl with this option takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    if result != 0 {
        let error = io::Error::last_os_error();
        tracing::warn!("Cannot keep transparent huge pages away: {error}");
    }
}

/// Lets the calling thread, and those it starts, run behind others that want the same CPU: about a
/// tenth of it is left to them.
pub fn run_behind() {
    const NICE: libc::c_int = 10;
    // SAFETY: takes numbers only; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0 {
        let error = io::Error::last_os_error();
        tracing::warn!("Cannot run a thread behind others: {error}");
    }
}

/// Lets the calling thread, and those it starts, run on these CPUs only.
///
/// # Errors
/// The kernel's: none of them exists or is ours.
pub fn run_on(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is an array of numbers, for which zero is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the index has been checked against the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set is valid for its size; 0 is the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
