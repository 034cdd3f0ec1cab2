//! One call of a library function by a script: arguments, results, errors.
//!
//! Functions are plain C functions of the interpreter, not callbacks of the binding: only so is an
//! error a string with the position of the caller (`user_script:1: ...`), as scripts expect that
//! compare or forward it, also behind `return f(x)` and inside `pcall`.
//!
//! Invariants:
//! * Rust values are dropped before an error is raised: [`enter`] has nothing left but the
//!   interpreter's stack when it jumps.
//! * Nothing here calls back into Lua: tables are read and written raw, so no metamethod runs, no
//!   table changes while it is walked, and no error of a script passes through Rust.
//! * Arguments stay on the stack for the whole call, which is what keeps the bytes of
//!   [`Call::bytes`] alive.
//! * Every push has a free slot ([`Call::reserve`]).
//!
//! LIMIT: the interpreter raises errors of its own only when its allocator fails. Do not set a memory limit for
//! it: such an error would jump over Rust values, which would not be freed.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;

use mlua::ffi;
use mlua::lua_State;

/// Most bytes one result may have; a longer one is an error. Bounds what a small table that claims
/// to be long can cost.
pub(super) const RESULT_BYTES_MAX: usize = 4 << 30;

/// Why a function has no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// An error with the position of the caller in front.
    Error(Vec<u8>),
    /// The same without the position, as the interpreter itself complains.
    Plain(&'static str),
    /// `bad argument #n to 'function' (text)`.
    Argument(c_int, Vec<u8>),
}

/// What a function gives: the number of results on top of the stack.
pub(super) type Outcome = Result<c_int, Fault>;

/// A function of a library whose functions share an `S`.
pub(super) type Routine<S> = fn(&mut Call<'_, S>) -> Outcome;

/// What is in a library beside its functions.
pub(super) enum Constant {
    /// A string.
    Text(&'static str),
    /// The light userdata that stands for no value.
    Null,
}

/// Name and content of a library.
pub(super) struct Library<S: 'static> {
    /// Its functions.
    pub(super) routines: &'static [(&'static CStr, Routine<S>)],
    /// Its other fields.
    pub(super) constants: &'static [(&'static CStr, Constant)],
}

/// Kind of a Lua value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// No value, or nil.
    Nil,
    /// A boolean.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// A table.
    Table,
    /// The light userdata that stands for no value.
    Null,
    /// Anything else.
    Other,
}

impl Fault {
    /// An error with a text.
    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into().into_bytes())
    }

    /// A complaint about an argument.
    pub(super) fn argument(number: c_int, text: impl Into<String>) -> Self {
        Self::Argument(number, text.into().into_bytes())
    }

    /// The stack of the interpreter is full.
    pub(super) fn stack(whose: &str) -> Self {
        Self::error(format!("stack overflow ({whose})"))
    }
}

/// The stack of one call.
pub(super) struct Call<'call, S> {
    state: *mut lua_State,
    arguments: c_int,
    /// Slots above the top that are known to be there.
    free: c_int,
    /// What the functions of the library share.
    pub(super) shared: &'call mut S,
    // The stack is this call's alone.
    _stack: PhantomData<*mut ()>,
}

/// Puts a library into the globals of `lua` under `name`; its functions share `shared`.
pub(super) fn install<S: 'static>(
    lua: &mlua::Lua,
    name: &CStr,
    library: &Library<S>,
    shared: S,
) -> mlua::Result<()> {
    let mut shared = Some(shared);
    // SAFETY: the closure runs protected on a stack of its own with at least 20 free slots, of
    // which it uses 5; it owns nothing that an error could leave behind but `shared`, which stays
    // here until it has been moved into the interpreter.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            push_library(state, library, &mut shared);
            ffi::lua_setglobal(state, name.as_ptr());
        })
    }
}

/// Pushes a new table with the content of `library`.
///
/// # Safety
/// `state` must be a running state with five free slots.
unsafe fn push_library<S: 'static>(
    state: *mut lua_State,
    library: &Library<S>,
    shared: &mut Option<S>,
) {
    // SAFETY: as the caller promises; slots: table, userdata, then key side: pointer, userdata.
    unsafe {
        let fields = library.routines.len() + library.constants.len();
        ffi::lua_createtable(state, 0, fields as c_int);
        let place = ffi::lua_newuserdata(state, size_of::<S>().max(1)).cast::<S>();
        // A block of the interpreter is aligned to 8 bytes, and to 16 where its allocator does so.
        const { assert!(align_of::<S>() <= 8) };
        // The metatable is there before the value, so that no error loses it.
        ffi::lua_createtable(state, 0, 1);
        ffi::lua_pushcclosure(state, release::<S>, 0);
        ffi::lua_setfield(state, -2, c"__gc".as_ptr());
        if let Some(shared) = shared.take() {
            place.write(shared);
        }
        ffi::lua_setmetatable(state, -2);
        for (name, routine) in library.routines {
            ffi::lua_pushlightuserdata(state, *routine as *mut c_void);
            ffi::lua_pushvalue(state, -2);
            ffi::lua_pushcclosure(state, enter::<S>, 2);
            ffi::lua_setfield(state, -3, name.as_ptr());
        }
        ffi::lua_settop(state, -2);
        for (name, constant) in library.constants {
            match constant {
                Constant::Text(text) => {
                    ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
                }
                Constant::Null => ffi::lua_pushlightuserdata(state, std::ptr::null_mut()),
            }
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
    }
}

/// Drops what the functions of a library share, when the interpreter gives them up.
unsafe extern "C-unwind" fn release<S>(state: *mut lua_State) -> c_int {
    // SAFETY: the collector calls this once, with the userdata `push_library` has filled; scripts
    // have no way to the userdata or to its metatable.
    unsafe { ffi::lua_touserdata(state, 1).cast::<S>().drop_in_place() };
    0
}

/// What the interpreter calls: finds the function, lets it run, raises its error.
unsafe extern "C-unwind" fn enter<S: 'static>(state: *mut lua_State) -> c_int {
    // SAFETY: `push_library` has made this closure with these two upvalues: the routine, and the
    // userdata that holds the `S`. No function calls back into Lua, so no second reference to
    // the `S` comes up while this one lives. Every path to a jump (`lua_error`, `luaL_argerror`)
    // has moved its text to the stack and dropped it before; the block's values are gone.
    unsafe {
        let argument = match run::<S>(state) {
            Ok(results) => return results,
            Err(fault) => raise(state, fault),
        };
        match argument {
            Some(number) => {
                let text = ffi::lua_tolstring(state, -1, std::ptr::null_mut());
                ffi::luaL_argerror(state, number, text)
            }
            None => ffi::lua_error(state),
        }
    }
}

/// Runs the function of this closure.
///
/// # Safety
/// As in [`enter`].
unsafe fn run<S: 'static>(state: *mut lua_State) -> Outcome {
    // SAFETY: the upvalues are the ones that `push_library` gave, so the pointer is a `Routine<S>`
    // and the userdata a live `S`.
    unsafe {
        let routine = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        let routine = std::mem::transmute::<*mut c_void, Routine<S>>(routine);
        let shared = ffi::lua_touserdata(state, ffi::lua_upvalueindex(2)).cast::<S>();
        let mut call = Call {
            state,
            arguments: ffi::lua_gettop(state),
            free: ffi::LUA_MINSTACK,
            shared: &mut *shared,
            _stack: PhantomData,
        };
        routine(&mut call)
    }
}

/// Leaves the text of `fault` on top of the stack; gives the argument it complains about.
///
/// # Safety
/// `state` must be a running state.
unsafe fn raise(state: *mut lua_State, fault: Fault) -> Option<c_int> {
    // SAFETY: results that had been pushed are given up, so there are free slots again.
    unsafe {
        ffi::lua_settop(state, 0);
        let push = |text: &[u8]| {
            ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
        };
        match fault {
            Fault::Error(text) => {
                ffi::luaL_where(state, 1);
                push(&text);
                ffi::lua_concat(state, 2);
                None
            }
            Fault::Plain(text) => {
                push(text.as_bytes());
                None
            }
            Fault::Argument(number, text) => {
                push(&text);
                Some(number)
            }
        }
    }
}

impl<'call, S> Call<'call, S> {
    /// Number of arguments.
    pub(super) fn arguments(&self) -> c_int {
        self.arguments
    }

    /// Position of the topmost value.
    pub(super) fn top(&self) -> c_int {
        // SAFETY: the state runs this call.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// Kind of the value at `position` (negative: from the top).
    pub(super) fn kind(&self, position: c_int) -> Kind {
        // SAFETY: any position is valid to ask for that is at most one above the top or within
        // the free slots; callers name arguments or values they have pushed.
        match unsafe { ffi::lua_type(self.state, position) } {
            ffi::LUA_TNONE | ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TLIGHTUSERDATA => {
                // SAFETY: as above.
                let pointer = unsafe { ffi::lua_touserdata(self.state, position) };
                if pointer.is_null() { Kind::Null } else { Kind::Other }
            }
            _ => Kind::Other,
        }
    }

    /// The interpreter's name of a value's type.
    pub(super) fn type_name(&self, position: c_int) -> String {
        // SAFETY: as in `kind`; names of types are static strings.
        let name = unsafe {
            CStr::from_ptr(ffi::lua_typename(self.state, ffi::lua_type(self.state, position)))
        };
        name.to_string_lossy().into_owned()
    }

    fn wrong_type(&self, argument: c_int, wanted: &str) -> Fault {
        // Above the arguments there may be results already.
        let got = if argument > self.arguments {
            "no value".to_owned()
        } else {
            self.type_name(argument)
        };
        Fault::argument(argument, format!("{wanted} expected, got {got}"))
    }

    /// Argument as bytes; numbers are written as Lua writes them.
    pub(super) fn bytes(&self, argument: c_int) -> Result<&'call [u8], Fault> {
        if argument < 1 || argument > self.arguments {
            return Err(self.wrong_type(argument, "string"));
        }
        let mut length = 0;
        // SAFETY: the string is an argument, which stays on the stack until the call ends, and
        // `'call` ends before.
        unsafe {
            let start = ffi::lua_tolstring(self.state, argument, &raw mut length);
            if start.is_null() {
                return Err(self.wrong_type(argument, "string"));
            }
            Ok(std::slice::from_raw_parts(start.cast(), length))
        }
    }

    /// Argument as a number; strings that are numbers count.
    pub(super) fn number(&self, argument: c_int) -> Result<f64, Fault> {
        if argument <= self.arguments && self.is_numeric(argument) {
            Ok(self.to_number(argument))
        } else {
            Err(self.wrong_type(argument, "number"))
        }
    }

    /// Argument as an integer, fractions cut off.
    pub(super) fn integer(&self, argument: c_int) -> Result<i64, Fault> {
        self.number(argument).map(super::numbers::to_i64)
    }

    /// Argument as an integer, `default` if it is nil or missing.
    pub(super) fn integer_or(&self, argument: c_int, default: i64) -> Result<i64, Fault> {
        if argument > self.arguments || self.kind(argument) == Kind::Nil {
            Ok(default)
        } else {
            self.integer(argument)
        }
    }

    /// Whether the value is a number or a string that is one.
    pub(super) fn is_numeric(&self, position: c_int) -> bool {
        // SAFETY: as in `kind`.
        unsafe { ffi::lua_isnumber(self.state, position) != 0 }
    }

    /// The value as a number, 0 if it is none.
    pub(super) fn to_number(&self, position: c_int) -> f64 {
        // SAFETY: as in `kind`.
        unsafe { ffi::lua_tonumber(self.state, position) }
    }

    /// The value as a boolean.
    pub(super) fn to_boolean(&self, position: c_int) -> bool {
        // SAFETY: as in `kind`.
        unsafe { ffi::lua_toboolean(self.state, position) != 0 }
    }

    /// Lets `look` see the bytes of a string; of anything else, none.
    pub(super) fn with_bytes<R>(&self, position: c_int, look: impl FnOnce(&[u8]) -> R) -> R {
        if self.kind(position) != Kind::String {
            return look(&[]);
        }
        let mut length = 0;
        // SAFETY: it is a string, so it is not converted, and it stays where it is while `look`
        // runs, which cannot reach the stack.
        unsafe {
            let start = ffi::lua_tolstring(self.state, position, &raw mut length);
            look(std::slice::from_raw_parts(start.cast(), length))
        }
    }

    /// Whether `count` more values fit; false at the interpreter's limit.
    pub(super) fn reserve(&mut self, count: c_int) -> bool {
        // SAFETY: the state runs this call.
        if unsafe { ffi::lua_checkstack(self.state, count) } == 0 {
            return false;
        }
        self.free = self.free.max(count);
        true
    }

    /// Takes one free slot.
    fn take_slot(&mut self) -> Result<(), Fault> {
        if self.free == 0 && !self.reserve(1) {
            return Err(Fault::stack("too many values"));
        }
        self.free -= 1;
        Ok(())
    }

    /// Removes the topmost `count` values; arguments stay.
    pub(super) fn pop(&mut self, count: c_int) {
        let top = self.top();
        let target = (top - count).max(self.arguments);
        // SAFETY: `target` is between the arguments and the top.
        unsafe { ffi::lua_settop(self.state, target) };
        self.free += top - target;
    }

    /// Pushes nil.
    pub(super) fn push_nil(&mut self) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot.
        unsafe { ffi::lua_pushnil(self.state) };
        Ok(())
    }

    /// Adds an argument that is nil, before anything else is pushed.
    pub(super) fn push_argument_nil(&mut self) -> Result<(), Fault> {
        self.push_nil()?;
        self.arguments = self.top();
        Ok(())
    }

    /// Pushes the light userdata that stands for no value.
    pub(super) fn push_null(&mut self) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot.
        unsafe { ffi::lua_pushlightuserdata(self.state, std::ptr::null_mut()) };
        Ok(())
    }

    /// Pushes a boolean.
    pub(super) fn push_boolean(&mut self, value: bool) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(value)) };
        Ok(())
    }

    /// Pushes a number.
    pub(super) fn push_number(&mut self, value: f64) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot.
        unsafe { ffi::lua_pushnumber(self.state, value) };
        Ok(())
    }

    /// Pushes a string.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot; the interpreter copies the bytes.
        unsafe { ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len()) };
        Ok(())
    }

    /// Pushes an empty table.
    pub(super) fn push_table(&mut self) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot.
        unsafe { ffi::lua_createtable(self.state, 0, 0) };
        Ok(())
    }

    /// Pushes a copy of the value at `position`.
    pub(super) fn push_copy(&mut self, position: c_int) -> Result<(), Fault> {
        self.take_slot()?;
        // SAFETY: there is a slot, and the position is one the caller knows to be taken.
        unsafe { ffi::lua_pushvalue(self.state, position) };
        Ok(())
    }

    /// Pushes a new library whose functions share `shared`.
    pub(super) fn push_library<T: 'static>(
        &mut self,
        library: &Library<T>,
        shared: T,
    ) -> Result<(), Fault> {
        if !self.reserve(5) {
            return Err(Fault::stack("too many upvalues"));
        }
        // SAFETY: there are five slots.
        unsafe { push_library(self.state, library, &mut Some(shared)) };
        self.free -= 1;
        Ok(())
    }

    /// Moves the topmost value below the results that start at `position`.
    pub(super) fn insert(&mut self, position: c_int) {
        // SAFETY: there is a topmost value and `position` is at most its place.
        unsafe { ffi::lua_insert(self.state, position) };
    }

    /// Length of the table at `position`, as the interpreter has it.
    pub(super) fn length(&self, position: c_int) -> usize {
        // SAFETY: as in `kind`.
        unsafe { ffi::lua_objlen(self.state, position) }
    }

    /// Pushes element `index` of the table at `position`.
    pub(super) fn push_element(&mut self, position: c_int, index: c_int) -> Result<(), Fault> {
        self.expect_table(position)?;
        self.take_slot()?;
        // SAFETY: it is a table, and there is a slot.
        unsafe { ffi::lua_rawgeti_(self.state, position, index) };
        Ok(())
    }

    /// Pops a value and makes it element `index` of the table at `position`.
    pub(super) fn set_element(&mut self, position: c_int, index: c_int) -> Result<(), Fault> {
        self.expect_table(position)?;
        // SAFETY: it is a table; the value on top is one of this call's.
        unsafe { ffi::lua_rawseti_(self.state, position, index) };
        self.free += 1;
        Ok(())
    }

    /// Pops a value and below it a key, and sets the pair in the table at `position`.
    pub(super) fn set_pair(&mut self, position: c_int) -> Result<(), Fault> {
        self.expect_table(position)?;
        match self.kind(-2) {
            Kind::Nil => return Err(Fault::Plain("table index is nil")),
            Kind::Number if self.to_number(-2).is_nan() => {
                return Err(Fault::Plain("table index is NaN"));
            }
            _ => {}
        }
        // SAFETY: it is a table, the key is a valid one.
        unsafe { ffi::lua_rawset(self.state, position) };
        self.free += 2;
        Ok(())
    }

    /// Pops a key of the table at `position` and pushes the next one and its value, or nothing at
    /// the end. The first key is nil.
    pub(super) fn next(&mut self, position: c_int) -> Result<bool, Fault> {
        self.expect_table(position)?;
        self.take_slot()?;
        // SAFETY: it is a table that nothing has changed since the key was given, and the slot of
        // the value is there.
        let more = unsafe { ffi::lua_next(self.state, position) } != 0;
        if !more {
            self.free += 2;
        }
        Ok(more)
    }

    fn expect_table(&self, position: c_int) -> Result<(), Fault> {
        if self.kind(position) == Kind::Table {
            Ok(())
        } else {
            Err(Fault::error("table expected"))
        }
    }
}
