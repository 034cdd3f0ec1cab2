//! The title of the process, as ps and top show it: written over the memory where the kernel put
//! the program's arguments and environment, after the environment has moved elsewhere.

use crate::config::{Config, title};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The memory the kernel shows as the command line.
struct Area {
    start: *mut u8,
    len: usize,
    /// How the program was called.
    called: String,
}

// SAFETY: the memory belongs to the process for its whole life; the lock around the area lets one
// thread write at a time, and nothing but the kernel reads it.
unsafe impl Send for Area {}

static AREA: Mutex<Option<Area>> = Mutex::new(None);

/// Takes the memory over. To be called before any thread starts, with all arguments read already:
/// afterwards they are gone. Where the memory cannot be found the title stays as it is.
pub fn claim(called: &str) {
    let Some([arg_start, arg_end, env_start, env_end]) = own_bounds() else { return };
    let end = if arg_end == env_start && move_environment(env_start, env_end) {
        env_end
    } else {
        arg_end
    };
    let area = Area {
        start: arg_start as *mut u8,
        len: end.saturating_sub(arg_start),
        called: called.to_owned(),
    };
    *AREA.lock().unwrap_or_else(PoisonError::into_inner) = Some(area);
}

/// Shows what `proc-title-template` says.
pub fn show(config: &Config, config_file: Option<&Path>) {
    let area = AREA.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(area) = area.as_ref() else { return };
    let path = |path: Option<&Path>| path.map(|p| p.display().to_string());
    let (file, socket) = (path(config_file), path(config.unixsocket.as_deref()));
    let facts = title::Facts {
        title: &area.called,
        address: config.bind.first().map(String::as_str),
        port: config.port,
        unixsocket: socket.as_deref().unwrap_or_default(),
        config_file: file.as_deref(),
    };
    // The directive has been checked: it expands.
    let text = title::expand(&config.proc_title_template, facts).unwrap_or_default();
    let shown = text.len().min(area.len.saturating_sub(1));
    // SAFETY: the area is `len` writable bytes that only this function touches, under the lock;
    // `shown` is less than `len`.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), area.start, shown);
        std::ptr::write_bytes(area.start.add(shown), 0, area.len - shown);
    }
}

/// Where arguments and environment begin and end: fields 48 to 51 of /proc/self/stat.
fn own_bounds() -> Option<[usize; 4]> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, field 2, may hold anything but ends at the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let bounds: Option<Vec<usize>> =
        fields.get(45..49)?.iter().map(|field| field.parse().ok()).collect();
    let bounds: [usize; 4] = bounds?.try_into().ok()?;
    let is_sound = bounds[0] != 0 && bounds.is_sorted();
    is_sound.then_some(bounds)
}

/// Copies the environment's strings, so that nobody looks for them between the two addresses.
fn move_environment(start: usize, end: usize) -> bool {
    // SAFETY: no other thread runs yet, so nobody changes the environment meanwhile.
    let mut entry = unsafe { libc::environ };
    if entry.is_null() {
        return true;
    }
    loop {
        // SAFETY: environ is an array of pointers to strings that ends with a null pointer.
        let string = unsafe { *entry };
        if string.is_null() {
            return true;
        }
        if (start..end).contains(&(string as usize)) {
            // SAFETY: the string is valid and ends in NUL; the copy lives for ever.
            let copy = unsafe { libc::strdup(string) };
            if copy.is_null() {
                return false;
            }
            // SAFETY: the array is writable memory of this process, and nobody else looks at it.
            unsafe { *entry = copy };
        }
        // SAFETY: the end of the array has not been reached.
        entry = unsafe { entry.add(1) };
    }
}
