//! The system calls the standard library has no name for: pinning and epoll.
//!
//! Every unsafe block of the bench is here.

use std::{
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
    time::Duration,
};

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Pins the calling thread (and what it starts) to one CPU.
///
/// # Errors
/// The system's, when the CPU does not exist or is not ours to use.
pub fn pin_thread(cpu: usize) -> io::Result<()> {
    pin_to(&[cpu])
}

fn pin_to(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus {
        // SAFETY: CPU_SET checks the index against the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: `set` is valid for the size given; 0 is the calling thread.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) })?;
    Ok(())
}

/// Makes `command` run on these CPUs (on any, if there are none), and die with us.
pub fn pin_command(command: &mut Command, cpus: &[usize]) {
    let cpus = cpus.to_vec();
    // SAFETY: between fork and exec only async-signal-safe calls are made: two system calls on
    // values that exist already; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if cpus.is_empty() { Ok(()) } else { pin_to(&cpus) }
        });
    }
}

/// Lets timeouts of the calling thread end when they should; the default is 50 us late.
pub fn precise_timers() {
    // SAFETY: sets a number of this thread. It cannot fail with these arguments.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    // SAFETY: sends a signal, touches no memory. A pid of our own child, which is not reaped yet.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
}

/// Clock ticks per second in /proc.
pub fn ticks_per_second() -> f64 {
    // SAFETY: reads a constant of the system.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// Bytes of a memory page in /proc.
pub fn page_bytes() -> u64 {
    // SAFETY: reads a constant of the system.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// Readiness of many sockets, level-triggered, reading only.
pub struct Readiness {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Readiness {
    /// For at most `sockets` sockets.
    ///
    /// # Errors
    /// The system's, when it has no descriptors left.
    pub fn new(sockets: usize) -> io::Result<Self> {
        // SAFETY: creates a descriptor, touches no memory.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; sockets.max(1)] })
    }

    /// Watches `socket`; it is reported as `token`.
    ///
    /// # Errors
    /// The system's.
    pub fn watch(&self, socket: RawFd, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token as u64 };
        let (epoll, add) = (self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD);
        // SAFETY: `event` is valid during the call; the kernel copies it.
        checked(unsafe { libc::epoll_ctl(epoll, add, socket, &mut event) })?;
        Ok(())
    }

    /// Waits for at most `timeout` and puts the tokens of readable sockets into `ready`.
    ///
    /// # Errors
    /// The system's, other than being interrupted.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        let (room, len) = (self.events.as_mut_ptr(), self.events.len() as libc::c_long);
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
        };
        let (epoll, no_mask) = (self.epoll.as_raw_fd(), std::ptr::null::<libc::sigset_t>());
        // epoll_wait counts in milliseconds, which is a long time for a request that is due.
        // SAFETY: the kernel writes at most `len` events into our vector and reads a timespec
        // that lives during the call.
        let count = unsafe {
            libc::syscall(libc::SYS_epoll_pwait2, epoll, room, len, &raw const timeout, no_mask, 0)
        };
        let count = checked(count as libc::c_int);
        match count {
            Ok(count) => {
                ready.extend(self.events[..count as usize].iter().map(|e| e.u64 as usize));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }
}
