//! `crash-log-enabled`: when a signal says that the program is wrong, the log says which signal,
//! at which address and where the program was; then the signal has its way (a core dump).
//!
//! The handler calls only what is allowed in a handler: it takes no lock and asks for no memory.
//! Addresses are relative to the program (`quire-server(+0x1234)`), fit for addr2line.

use std::{
    ffi::{CString, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
];
/// Callers that are reported at most.
const FRAMES_MAX: usize = 64;

/// The log file's name; null = standard output.
static LOG_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// Where reports go; an empty name is standard output. At start, once.
pub fn report_to(logfile: &str) {
    if logfile.is_empty() {
        return;
    }
    let path = std::path::absolute(logfile).unwrap_or_else(|_| Path::new(logfile).to_owned());
    if let Ok(name) = CString::new(path.as_os_str().as_bytes()) {
        LOG_FILE.store(name.into_raw(), Ordering::Release);
    }
}

/// Reports crashes from now on, or no longer.
pub fn enable(on: bool) {
    if on {
        // The first call loads a library, which must not happen in the handler.
        let mut frame = [ptr::null_mut(); 1];
        // SAFETY: the buffer has room for one address.
        unsafe { libc::backtrace(frame.as_mut_ptr(), 1) };
    }
    for (signal, _) in SIGNALS {
        // SAFETY: sigaction is plain numbers and pointers, for which zero is a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = libc::SIG_DFL;
        if on {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = crashed;
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            // ONSTACK: a stack that overflowed cannot run a handler. RESETHAND: a crash inside
            // of the handler is the end.
            action.sa_flags =
                libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
        }
        // SAFETY: the action is valid, and its handler has the signature that SA_SIGINFO asks for.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

extern "C" fn crashed(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let name = LOG_FILE.load(Ordering::Acquire);
    let file = if name.is_null() {
        libc::STDOUT_FILENO
    } else {
        // SAFETY: the name ends in NUL and is never freed; open may be called in handlers.
        unsafe { libc::open(name, libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT, 0o644) }
    };
    // SAFETY: the kernel gives handlers with SA_SIGINFO a valid siginfo.
    let address = unsafe { (*info).si_addr() } as usize;
    let signal_name = SIGNALS.iter().find(|(s, _)| *s == signal).map_or("?", |(_, name)| name);
    let mut text = Line { bytes: [0; 160], len: 0 };
    text.push(b"\n=== QUIRE BUG REPORT START: pid ");
    // SAFETY: getpid may be called in handlers.
    text.push_number(unsafe { libc::getpid() } as usize, 10);
    text.push(b" crashed by ");
    text.push(signal_name.as_bytes());
    text.push(b", address 0x");
    text.push_number(address, 16);
    text.push(b". Backtrace:\n");
    text.write(file);
    let mut frames = [ptr::null_mut(); FRAMES_MAX];
    // SAFETY: the buffer has room for that many addresses; the library is loaded already.
    let count = unsafe { libc::backtrace(frames.as_mut_ptr(), FRAMES_MAX as c_int) };
    // SAFETY: backtrace has filled in `count` addresses; this variant asks for no memory.
    unsafe { libc::backtrace_symbols_fd(frames.as_ptr(), count, file) };
    let mut text = Line { bytes: [0; 160], len: 0 };
    text.push(b"=== QUIRE BUG REPORT END. Resolve addresses with: addr2line -Cfie quire-server\n");
    text.write(file);
    // The handler is gone by SA_RESETHAND: the signal now ends the process, wherever it came from.
    // SAFETY: raise may be called in handlers.
    unsafe { libc::raise(signal) };
}

/// Text without memory to ask for.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, mut number: usize, radix: usize) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[number % radix];
            number /= radix;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    fn write(&self, file: c_int) {
        // SAFETY: the bytes are valid for their length. Nobody is left to tell of an error.
        unsafe { libc::write(file, self.bytes.as_ptr().cast(), self.len) };
    }
}
