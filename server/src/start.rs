//! From a configuration to a running server, and to its end.
//!
//! Threads: one per shard (its loop and ring), one librarian (recovery first, then the manifest
//! and its segments), and the main thread, which waits for signals and for the others to leave.

use crate::{
    config::{Config, cpus},
    dispatch::hop::Mesh,
    families,
    net::listener,
    observe::{account, memory},
    options::Options,
    process::{kernel, notify, pidfile::PidFile},
    runtime::{
        control::{Control, Opening, Wish},
        core::Core,
        librarian::{self, Librarian},
        scribe::{self, Scribe},
        shared::Shared,
    },
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Bytes on the main thread's pipe.
const SIGNAL: u8 = b'X';
const LEFT: u8 = b'L';

/// Runs a server until it is told to stop; the process' exit code.
///
/// # Errors
/// One sentence for the operator: what could not be done, where, and the way out.
pub fn run(
    config: Config,
    config_file: Option<PathBuf>,
    cpus: Vec<Option<usize>>,
) -> Result<i32, String> {
    let options = Options::new(&config, cpus, config_file);
    let run = random_u64()?;
    // Not derived from the log's run id: whoever knew that one could put lines into values that
    // pass for commits.
    let ids = [random_id()?, random_id()?];
    let listeners = listener::open(&config).map_err(|e| e.to_string())?;
    if listeners.is_empty() {
        return Err("nothing to listen on: port is 0 and there is no unixsocket".to_owned());
    }
    let shared = Shared::new(options, config, ids).map_err(|e| format!("eventfd: {e}"))?;
    let shared = Arc::new(shared);
    let (mut pipe, waker) = UnixStream::pair().map_err(|e| format!("socketpair: {e}"))?;
    let last_signal = Arc::new(AtomicUsize::new(0));
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // ORDER: before the pipe's handler, so that its byte finds the number written.
        signal_hook::flag::register_usize(signal, Arc::clone(&last_signal), signal as usize)
            .map_err(|e| format!("cannot handle signals: {e}"))?;
        let end = waker.try_clone().map_err(|e| format!("dup: {e}"))?;
        signal_hook::low_level::pipe::register(signal, end)
            .map_err(|e| format!("cannot handle signals: {e}"))?;
    }
    let (tasks, inbox) = std::sync::mpsc::channel();
    let librarian = Librarian::new(tasks);
    *shared.listeners() = listeners;
    let (scribe, notes) = Scribe::new();
    scribe::remove_leftovers(&shared.options.dir);
    let scribe_thread = scribe::spawn(Arc::clone(&shared), notes)
        .map_err(|e| format!("cannot start a thread: {e}"))?;
    let mut threads = Vec::new();
    for (id, mesh) in Mesh::connect(shared.shards()).into_iter().enumerate() {
        let shared = Arc::clone(&shared);
        let librarian = librarian.clone();
        let scribe = scribe.clone();
        let mut waker = waker.try_clone().map_err(|e| format!("dup: {e}"))?;
        let thread = thread::Builder::new().name(format!("shard-{id}")).spawn(move || {
            account::claim(id);
            if let Some(cpu) = shared.options.cpus.get(id).copied().flatten() {
                core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
            }
            let mut core = match Core::new(id as u16, Arc::clone(&shared), mesh, librarian, scribe)
            {
                Ok(core) => core,
                Err(e) => {
                    tracing::error!("Cannot set up io_uring: {e}");
                    std::process::exit(1);
                }
            };
            core.run();
            drop(core);
            // The main thread counts us out; if it is gone, so is the process.
            let _ = waker.write_all(&[LEFT]);
        });
        threads.push(thread.map_err(|e| format!("cannot start a thread: {e}"))?);
    }
    drop(librarian);
    drop(scribe);
    // After the sockets: who reads it finds a server that listens.
    let pidfile = PidFile::write(&shared.config.load().pidfile)?;
    let keeper = {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .name("librarian".to_owned())
            .spawn(move || {
                if let Some(cpus) = cpus::parse(&shared.config.load().bio_cpulist)
                    && let Err(error) = kernel::run_on(&cpus)
                {
                    tracing::warn!("bio_cpulist cannot be obeyed: {error}");
                }
                if let Err(text) = open_data(&shared, run, &inbox) {
                    tracing::error!("{text}");
                    eprintln!("quire-server: {text}");
                    std::process::exit(1);
                }
            })
            .map_err(|e| format!("cannot start a thread: {e}"))?
    };
    wait_for_the_end(&shared, &mut pipe, &last_signal);
    for thread in threads {
        // panic = abort: a thread that can be joined has left in order.
        let _ = thread.join();
    }
    let _ = keeper.join();
    let _ = scribe_thread.join();
    drop(pidfile);
    tracing::info!("Quire is now ready to exit, bye bye...");
    Ok(shared.exit_code.load(Ordering::Acquire))
}

/// Recovers the data set, opens the shards, then keeps the manifest until the end.
fn open_data(
    shared: &Arc<Shared>,
    run: u64,
    inbox: &std::sync::mpsc::Receiver<librarian::Task>,
) -> Result<(), String> {
    memory::note_startup();
    if shared.options.appendonly {
        let kept = librarian::open(shared, run)?;
        librarian::keep(shared, run, inbox, Some(kept));
        return Ok(());
    }
    let (keyspaces, functions) = librarian::load_snapshot(shared)?;
    if !functions.is_empty() {
        shared.libraries.replace(families::functions::replayed(&functions)?, 0);
    }
    for (cell, keyspace) in shared.cores.iter().zip(keyspaces) {
        cell.mailbox.post(Control::Open(Box::new(Opening {
            keyspace,
            run,
            seed: random_u64()?,
            segments: None,
        })));
    }
    shared.loading.store(false, Ordering::Release);
    tracing::info!("Ready to accept connections (no persistence)");
    notify::ready();
    librarian::keep(shared, run, inbox, None);
    Ok(())
}

fn wait_for_the_end(shared: &Shared, pipe: &mut UnixStream, signal: &AtomicUsize) {
    let mut left = 0;
    let mut byte = [0u8];
    while left < shared.shards() {
        match pipe.read(&mut byte) {
            Ok(1) if byte[0] == LEFT => left += 1,
            Ok(1) if byte[0] == SIGNAL => {
                if shared.loading.load(Ordering::Acquire) {
                    tracing::warn!("Received a signal during loading, exiting now.");
                    std::process::exit(0);
                }
                let is_interrupt = signal.load(Ordering::Acquire) == libc::SIGINT as usize;
                if shared.stopping.swap(true, Ordering::AcqRel) {
                    // Ctrl-C once more: somebody does not want to wait. Service managers repeat
                    // SIGTERM without meaning that.
                    if is_interrupt {
                        tracing::warn!("You insist... exiting now.");
                        std::process::exit(1);
                    }
                    continue;
                }
                let config = shared.config.load();
                let (name, options) = if is_interrupt {
                    ("SIGINT", config.shutdown_on_sigint)
                } else {
                    ("SIGTERM", config.shutdown_on_sigterm)
                };
                tracing::warn!("Received {name} scheduling shutdown...");
                let wish = Wish::Leave { save: options.save(), force: options.force };
                shared.cores[0].mailbox.post(Control::Wish(wish, None));
            }
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// 40 random hex digits.
fn random_id() -> Result<String, String> {
    Ok(format!("{:016x}{:016x}{:08x}", random_u64()?, random_u64()?, random_u64()? as u32))
}

/// Eight bytes from the kernel's generator.
pub fn random_u64() -> Result<u64, String> {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is valid for eight bytes.
    let n = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if n == 8 { Ok(u64::from_ne_bytes(bytes)) } else { Err("getrandom failed".to_owned()) }
}
