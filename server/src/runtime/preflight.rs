//! Does the system let us run? Asked before any thread starts, because afterwards the answer
//! would be a panic of a library. Each refusal is one sentence that says the way out.
//!
//! Decisions are pure functions of what was measured; measuring is beside them.

use std::{fmt, io};

/// Oldest kernel that has all we use: multishot accept and recv into provided buffers,
/// DEFER_TASKRUN.
const KERNEL_MIN: (u32, u32) = (6, 1);
/// Memory a storage executor locks at least, bytes; it refuses to start below.
const MEMLOCK_BYTES_PER_EXECUTOR: u64 = 512 * 1024;
/// Descriptors besides clients': listeners, standard streams, directories, as Redis reserves.
const FILES_RESERVED: u64 = 32;
/// Descriptors of one shard or storage executor: rings, doorbells, log files.
const FILES_PER_THREAD: u64 = 16;

/// Why the server cannot run here; one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// What the configuration needs of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Shard threads.
    pub shards: u32,
    /// Storage executors.
    pub storage_threads: u32,
    /// Clients at a time.
    pub maxclients: u32,
}

/// What the system grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Clients at a time, at most what was asked for.
    pub maxclients: u32,
    /// What the operator should know: sentences for the log.
    pub notes: Vec<String>,
}

/// Checks everything and raises the limits that can be raised.
///
/// # Errors
/// The first thing without which the server cannot run.
pub fn check(needs: Needs) -> Result<Granted, Refusal> {
    check_kernel(&kernel_release())?;
    check_memlock(raise_memlock(), needs.storage_threads)?;
    try_ring().map_err(|error| explain_ring(&error, io_uring_disabled()))?;
    fit_files(needs)
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn check_kernel(release: &str) -> Result<(), Refusal> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        // Not a Linux we know how to read: the ring will tell.
        _ => return Ok(()),
    };
    if version >= KERNEL_MIN {
        return Ok(());
    }
    let (major, minor) = KERNEL_MIN;
    Err(Refusal(format!(
        "Linux {release} is too old: Quire needs {major}.{minor} or newer for its io_uring \
         network loop; upgrade the kernel"
    )))
}

/// A ring as the shards will have theirs.
fn try_ring() -> io::Result<()> {
    io_uring::IoUring::<io_uring::squeue::Entry, io_uring::cqueue::Entry>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .build(8)
        .map(drop)
}

/// The sysctl of that name; 0 where there is none.
fn io_uring_disabled() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn explain_ring(error: &io::Error, disabled: u32) -> Refusal {
    let way_out = match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), 1) => {
            "kernel.io_uring_disabled is 1: run as root or as a member of \
             kernel.io_uring_group, or set it to 0 with `sysctl kernel.io_uring_disabled=0`"
        }
        (Some(libc::EPERM), 2..) => {
            "io_uring is switched off for everybody: set `sysctl kernel.io_uring_disabled=0`"
        }
        (Some(libc::EPERM | libc::ENOSYS | libc::EACCES), _) => {
            "a seccomp filter or a security module forbids io_uring, as container runtimes do by \
             default: allow the system calls io_uring_setup, io_uring_enter and \
             io_uring_register (docker: --security-opt seccomp=unconfined or a profile of your \
             own)"
        }
        (Some(libc::EINVAL), _) => {
            "this kernel lacks SINGLE_ISSUER or DEFER_TASKRUN: upgrade to Linux 6.1 or newer"
        }
        (Some(libc::ENOMEM), _) => {
            "not enough memory may be locked: raise `ulimit -l` (systemd: LimitMEMLOCK=infinity)"
        }
        (Some(libc::EMFILE | libc::ENFILE), _) => "too few open files are allowed: raise ulimit -n",
        _ => "see io_uring_setup(2)",
    };
    Refusal(format!("cannot set up io_uring ({}): {way_out}", reason(error)))
}

/// The system's words for an error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    soft: u64,
    hard: u64,
}

fn limit(resource: libc::__rlimit_resource_t) -> Limit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one rlimit at the given address, which is valid.
    let done = unsafe { libc::getrlimit(resource, &raw mut limit) };
    // It fails for bad arguments only.
    debug_assert_eq!(done, 0);
    Limit { soft: limit.rlim_cur, hard: limit.rlim_max }
}

fn set_limit(resource: libc::__rlimit_resource_t, to: Limit) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: to.soft, rlim_max: to.hard };
    // SAFETY: setrlimit reads one rlimit at the given address, which is valid.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Raises the soft limit of locked memory to the hard one; returns what holds now, bytes.
fn raise_memlock() -> u64 {
    let old = limit(libc::RLIMIT_MEMLOCK);
    match set_limit(libc::RLIMIT_MEMLOCK, Limit { soft: old.hard, hard: old.hard }) {
        Ok(()) => old.hard,
        Err(_) => old.soft,
    }
}

fn check_memlock(bytes: u64, storage_threads: u32) -> Result<(), Refusal> {
    let needed = u64::from(storage_threads) * MEMLOCK_BYTES_PER_EXECUTOR;
    if bytes >= needed {
        return Ok(());
    }
    Err(Refusal(format!(
        "this process may lock only {} KiB of memory, {} storage threads need {} KiB: raise \
         `ulimit -l` (systemd: LimitMEMLOCK=infinity, docker: --ulimit memlock=-1)",
        bytes >> 10,
        storage_threads,
        needed >> 10
    )))
}

/// Makes room for the descriptors of `maxclients` clients, or finds out for how many there is.
/// CONFIG SET maxclients asks again.
///
/// # Errors
/// Not even one client would fit.
pub fn fit_files(needs: Needs) -> Result<Granted, Refusal> {
    let threads = u64::from(needs.shards) + u64::from(needs.storage_threads);
    let reserved = FILES_RESERVED + threads * FILES_PER_THREAD;
    let wanted = reserved + u64::from(needs.maxclients);
    let old = limit(libc::RLIMIT_NOFILE);
    let mut error = None;
    if old.soft < wanted {
        error = raise_files(old, wanted).err();
    }
    judge_files(needs.maxclients, reserved, old.soft, limit(libc::RLIMIT_NOFILE).soft, error)
}

fn raise_files(old: Limit, wanted: u64) -> io::Result<()> {
    let hard = old.hard.max(wanted);
    set_limit(libc::RLIMIT_NOFILE, Limit { soft: wanted, hard }).inspect_err(|_| {
        // The privilege to go beyond the hard limit is missing: take what is there. If even
        // that fails the old limit stays, which is what counts afterwards.
        let _ = set_limit(libc::RLIMIT_NOFILE, Limit { soft: old.hard, hard: old.hard });
    })
}

fn judge_files(
    maxclients: u32,
    reserved: u64,
    before: u64,
    now: u64,
    error: Option<io::Error>,
) -> Result<Granted, Refusal> {
    let wanted = reserved + u64::from(maxclients);
    if now >= wanted {
        let notes = if now > before {
            vec![format!(
                "Increased maximum number of open files to {now} (it was originally set to \
                 {before})."
            )]
        } else {
            Vec::new()
        };
        return Ok(Granted { maxclients, notes });
    }
    if now <= reserved {
        return Err(Refusal(format!(
            "your current 'ulimit -n' of {now} is not enough for the server to start: increase \
             your open file limit to at least {wanted}"
        )));
    }
    // Less than maxclients, which is 32 bits wide.
    let granted = (now - reserved) as u32;
    let error = error.map_or_else(|| "it stays below".to_owned(), |error| reason(&error));
    Ok(Granted {
        maxclients: granted,
        notes: vec![
            format!(
                "You requested maxclients of {maxclients} requiring at least {wanted} max file \
                 descriptors."
            ),
            format!(
                "Server can't set maximum open files to {wanted} because of OS error: {error}."
            ),
            format!(
                "Current maximum open files is {now}. maxclients has been reduced to {granted} \
                 to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_named() {
        for fine in ["6.1.0", "6.18.44-generic", "7.0", "10.2-rc1", "unreadable"] {
            assert_eq!(check_kernel(fine), Ok(()), "{fine}");
        }
        for old in ["6.0.9", "5.15.0-91-generic", "4.18.0"] {
            let refusal = check_kernel(old).unwrap_err().to_string();
            assert!(refusal.contains(old) && refusal.contains("6.1"), "{refusal}");
        }
    }

    #[test]
    fn every_failure_of_the_ring_has_a_way_out() {
        let cases = [
            (libc::EPERM, 1, "kernel.io_uring_group"),
            (libc::EPERM, 2, "sysctl kernel.io_uring_disabled=0"),
            (libc::EPERM, 0, "seccomp"),
            (libc::ENOSYS, 0, "seccomp"),
            (libc::EINVAL, 0, "upgrade"),
            (libc::ENOMEM, 0, "ulimit -l"),
            (libc::EMFILE, 0, "ulimit -n"),
        ];
        for (errno, disabled, part) in cases {
            let error = io::Error::from_raw_os_error(errno);
            let text = explain_ring(&error, disabled).to_string();
            assert!(text.contains(part), "{text}");
            assert!(!text.contains("os error") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn locked_memory_must_do_for_every_storage_thread() {
        assert_eq!(check_memlock(1 << 20, 2), Ok(()));
        assert_eq!(check_memlock(u64::MAX, 64), Ok(()));
        let text = check_memlock((1 << 20) - 1, 2).unwrap_err().to_string();
        assert!(text.contains("1023 KiB") && text.contains("1024 KiB"), "{text}");
    }

    #[test]
    fn clients_are_as_many_as_there_are_files_for() {
        let judge = |before, now| judge_files(100, 50, before, now, None);
        assert_eq!(judge(1024, 1024), Ok(Granted { maxclients: 100, notes: vec![] }));
        let raised = judge(120, 150).unwrap();
        assert_eq!(raised.maxclients, 100);
        assert_eq!(raised.notes.len(), 1);
        let lowered = judge(120, 149).unwrap();
        assert_eq!(lowered.maxclients, 99);
        assert!(lowered.notes[2].contains("reduced to 99"));
        assert_eq!(judge(51, 51).unwrap().maxclients, 1);
        assert!(judge(50, 50).unwrap_err().to_string().contains("at least 150"));
    }

    #[test]
    fn the_limit_of_open_files_is_really_raised_or_lowers_maxclients() {
        let old = limit(libc::RLIMIT_NOFILE);
        let needs = Needs { shards: 1, storage_threads: 1, maxclients: 200 };
        let granted = fit_files(needs).unwrap();
        let now = limit(libc::RLIMIT_NOFILE).soft;
        assert_eq!(granted.maxclients, 200);
        assert!(now >= old.soft.min(264) && now >= 264);
    }

    #[test]
    fn this_machine_passes() {
        let needs = Needs { shards: 1, storage_threads: 1, maxclients: 10 };
        check(needs).unwrap_or_else(|refusal| panic!("{refusal}"));
    }
}
