//! Scripts that run too long: how they are noticed, what others are told, how they are stopped.
//!
//! Lua calls a hook every `HOOK_EVERY` instructions. Once a script has run for
//! `busy-reply-threshold`, its core puts it into the table of busy scripts that all cores see. From
//! then on each call of the hook serves the core's own sockets a little (`dispatch/busy.rs`): clients
//! are told BUSY, and SCRIPT KILL, FUNCTION KILL and SHUTDOWN NOSAVE work. Cores that have lent
//! their shards to the script do the same while they wait; others serve their clients, and answer
//! BUSY only where a command needs a shard that is busy. Whoever wants a script stopped sets a
//! flag that its hook reads. A script that has written is not stopped: half of it would stay.

use super::{
    context::{self, Run, Stop, with_loading, with_run},
    convert::push_error,
    stack::{Raw, Stack},
};
use mlua::ffi;
use quire_engine::command::CommandError;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Instructions between two calls of the hook.
const HOOK_EVERY: i32 = 100_000;

/// While EVAL's script is busy.
const SLOW_SCRIPT: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or \
                           SHUTDOWN NOSAVE.";
/// While a function is.
const SLOW_FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL \
                             or SHUTDOWN NOSAVE.";
const NOT_BUSY: &str = "NOTBUSY No scripts in execution right now.";
const UNKILLABLE: &str = "UNKILLABLE Sorry the script already executed write commands against the \
                          dataset. You can either wait the script termination or kill the server in \
                          a hard way using the SHUTDOWN NOSAVE command.";

/// A script that has run too long.
#[derive(Debug, Clone)]
pub struct Busy {
    /// SHA1 of the script, or name of the function.
    pub name: String,
    /// EVAL, and not a function.
    pub is_eval: bool,
    /// It holds every shard.
    pub holds_all: bool,
    /// The command that runs it.
    pub command: Vec<Vec<u8>>,
    /// When it began.
    pub began: Instant,
}

impl Busy {
    /// What others are told.
    pub fn error(&self) -> CommandError {
        CommandError::new(if self.is_eval { SLOW_SCRIPT } else { SLOW_FUNCTION })
    }
}

#[derive(Debug, Default)]
struct Place {
    script: Mutex<Option<Busy>>,
    has_written: AtomicBool,
    is_to_stop: AtomicBool,
}

impl Place {
    fn script(&self) -> MutexGuard<'_, Option<Busy>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The busy scripts of all cores.
#[derive(Debug)]
pub struct BusyScripts {
    count: AtomicUsize,
    places: Vec<Place>,
}

impl BusyScripts {
    /// For so many cores.
    pub fn new(cores: usize) -> Self {
        let places = (0..cores).map(|_| Place::default()).collect();
        Self { count: AtomicUsize::new(0), places }
    }

    /// True while some script is busy.
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    fn enter(&self, core: u16, busy: Busy, has_written: bool) {
        let place = &self.places[usize::from(core)];
        place.is_to_stop.store(false, Ordering::Relaxed);
        place.has_written.store(has_written, Ordering::Relaxed);
        *place.script() = Some(busy);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self, core: u16) {
        *self.places[usize::from(core)].script() = None;
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    /// What a command that needs that shard (`None`: any, or all) is told, if it is busy.
    #[cold]
    pub fn refusal(&self, shard: Option<u16>) -> Option<CommandError> {
        let of = |at: usize, busy: &Busy| {
            busy.holds_all || shard.is_none_or(|shard| usize::from(shard) == at)
        };
        let mut places = self.places.iter().enumerate();
        places.find_map(|(at, place)| {
            place.script().as_ref().filter(|busy| of(at, busy)).map(Busy::error)
        })
    }

    /// One that runs, if there is any.
    pub fn running(&self) -> Option<Busy> {
        self.places.iter().find_map(|place| place.script().clone())
    }

    /// Has every busy script (every function, unless `is_eval`) end that has not written.
    ///
    /// # Errors
    /// Redis' texts, when there was none to stop.
    pub fn stop(&self, is_eval: bool) -> Result<(), CommandError> {
        let mut result = Err(CommandError::new(NOT_BUSY));
        for place in &self.places {
            let script = place.script();
            let Some(busy) = script.as_ref() else { continue };
            if place.has_written.load(Ordering::Acquire) {
                if result != Ok(()) {
                    result = Err(CommandError::new(UNKILLABLE));
                }
            } else if busy.is_eval != is_eval {
                if result != Ok(()) {
                    result = Err(busy.error());
                }
            } else {
                place.is_to_stop.store(true, Ordering::Release);
                result = Ok(());
            }
        }
        result
    }
}

impl Run<'_> {
    /// From the hook: true when the script is to end.
    fn interrupt(&mut self) -> bool {
        if self.stop.is_some() {
            return true;
        }
        let limit = Duration::from_millis(self.core.live.busy_reply_threshold as u64);
        if !self.is_busy {
            if self.began.elapsed() < limit {
                return false;
            }
            self.become_busy();
        }
        self.core.serve_while_busy();
        self.looks_stopped()
    }

    /// Somebody wants it to end: it does.
    fn looks_stopped(&mut self) -> bool {
        let place = &self.core.shared.busy.places[usize::from(self.core.id)];
        let is_to_stop = place.is_to_stop.load(Ordering::Acquire);
        if is_to_stop {
            tracing::warn!("Lua script killed by user with SCRIPT KILL.");
            self.stop = Some(Stop::Killed);
        }
        is_to_stop
    }

    /// It is about to call its first command that writes: false when it is to end instead.
    pub fn may_begin_to_write(&mut self) -> bool {
        if !self.is_busy {
            return true;
        }
        let shared = std::sync::Arc::clone(&self.core.shared);
        let place = &shared.busy.places[usize::from(self.core.id)];
        // ORDER: whoever stops it holds the place while it looks and asks. So either it sees that
        // something is written, or that is not done.
        let script = place.script();
        let goes_on = !self.looks_stopped();
        place.has_written.store(goes_on, Ordering::Release);
        drop(script);
        goes_on
    }

    fn become_busy(&mut self) {
        self.is_busy = true;
        let name = self.name.to_string();
        let what = if self.is_eval { "SCRIPT KILL" } else { "FUNCTION KILL" };
        tracing::warn!(
            "Slow script detected: still in execution after {} milliseconds. You can try killing \
             the script using the {what} command. Script name is: {name}.",
            self.began.elapsed().as_millis()
        );
        let busy = Busy {
            name,
            is_eval: self.is_eval,
            holds_all: !matches!(self.held, context::Held::One(_)),
            command: self.command.iter_from(0).map(<[u8]>::to_vec).collect(),
            began: self.began,
        };
        self.core.shared.busy.enter(self.core.id, busy, self.has_written);
        self.core.note_busy();
    }

    /// It has ended: it is busy no longer.
    pub fn end(&mut self) {
        if self.is_busy {
            self.is_busy = false;
            self.core.shared.busy.leave(self.core.id);
            self.core.note_busy();
        }
    }
}

/// Looks after a script.
pub fn watch_script(stack: &mut Stack) {
    stack.set_hook(Some(script_hook), ffi::LUA_MASKCOUNT, HOOK_EVERY);
}

/// Looks after a library that is loaded.
pub fn watch_loading(stack: &mut Stack) {
    stack.set_hook(Some(loading_hook), ffi::LUA_MASKCOUNT, HOOK_EVERY);
}

/// Looks no more.
pub fn watch_no_more(stack: &mut Stack) {
    stack.set_hook(None, 0, 0);
}

unsafe extern "C-unwind" fn script_hook(raw: Raw, _: *mut ffi::lua_Debug) {
    let is_to_end = with_run(|run| run.interrupt()).unwrap_or(false);
    if is_to_end {
        // SAFETY: Lua calls hooks with a state that is alive, on its thread. Nothing in this frame
        // has to be dropped.
        unsafe { end(raw, script_hook, b"Script killed by user with SCRIPT KILL...") }
    }
}

unsafe extern "C-unwind" fn loading_hook(raw: Raw, _: *mut ffi::lua_Debug) {
    let is_late = |until: Option<Instant>| until.is_some_and(|until| Instant::now() > until);
    if with_loading(|loading| is_late(loading.until)).unwrap_or(false) {
        // SAFETY: as above.
        unsafe { end(raw, loading_hook, b"FUNCTION LOAD timeout") }
    }
}

/// Raises the error that ends what runs. From now on the hook is called at every line, so that
/// nothing goes on that has caught it.
///
/// # Safety
/// The caller is a hook: its frame may be left by a jump.
unsafe fn end(raw: Raw, hook: ffi::lua_Hook, text: &[u8]) {
    context::stop();
    {
        // SAFETY: the state is alive, this is its thread.
        let mut stack = unsafe { Stack::of(raw) };
        stack.set_hook(Some(hook), ffi::LUA_MASKLINE, 0);
        push_error(&mut stack, text);
    }
    // SAFETY: the error is on top, nothing is left to drop.
    unsafe { ffi::lua_error(raw) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(is_eval: bool, holds_all: bool) -> Busy {
        let (name, command) = ("f".to_owned(), Vec::new());
        Busy { name, is_eval, holds_all, command, began: Instant::now() }
    }

    #[test]
    fn only_what_needs_a_busy_shard_is_refused() {
        let table = BusyScripts::new(3);
        assert!(!table.any() && table.refusal(None).is_none());
        table.enter(1, busy(true, false), false);
        assert!(table.any());
        assert!(table.refusal(Some(1)).is_some() && table.refusal(None).is_some());
        assert!(table.refusal(Some(0)).is_none());
        table.enter(2, busy(false, true), false);
        assert_eq!(table.refusal(Some(0)).unwrap().text(), SLOW_FUNCTION.as_bytes());
        table.leave(2);
        table.leave(1);
        assert!(!table.any());
    }

    #[test]
    fn what_has_written_is_not_stopped() {
        let table = BusyScripts::new(2);
        assert_eq!(table.stop(true).unwrap_err().code(), "NOTBUSY");
        table.enter(0, busy(true, false), false);
        assert_eq!(table.stop(false).unwrap_err().text(), SLOW_SCRIPT.as_bytes());
        table.places[0].has_written.store(true, Ordering::Release);
        assert_eq!(table.stop(true).unwrap_err().code(), "UNKILLABLE");
        table.enter(1, busy(true, false), false);
        assert_eq!(table.stop(true), Ok(()));
        assert!(!table.places[0].is_to_stop.load(Ordering::Acquire));
        assert!(table.places[1].is_to_stop.load(Ordering::Acquire));
    }
}
