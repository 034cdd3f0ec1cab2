//! Lua's stack, as far as this server needs it, behind safe methods.
//!
//! Why not the checked interface of the crate: a script's call of `redis.call` would cost it a
//! protected call, several registry references and a boxed error each time, and errors must be
//! the plain tables that scripts expect.
//!
//! Invariants: a [`Stack`] is made only for a state that is alive, on the thread that owns it.
//! Values are read and written raw, so no metamethod of a script runs, and the allocator ends the
//! process instead of failing: so none of these methods ever leaves by a Lua error. What may (a
//! call, an error that is raised) happens in [`lua_function`]'s frame, which owns nothing, or under
//! [`Stack::protected_call`]. Bytes that are borrowed keep the stack borrowed, so that the value
//! they belong to stays where it is.

use mlua::ffi;
use std::ffi::{CStr, c_int, c_void};

/// A state as Lua hands it to functions.
pub type Raw = *mut ffi::lua_State;

/// The registry.
pub const REGISTRY: c_int = ffi::LUA_REGISTRYINDEX;
/// The globals of the running thread.
pub const GLOBALS: c_int = ffi::LUA_GLOBALSINDEX;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing at that index, or nil.
    Nil,
    /// A truth value.
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A table.
    Table,
    /// A function.
    Function,
    /// A userdata, a thread.
    Other,
}

/// What a function for Lua does when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Returns so many values from the top of the stack.
    Values(c_int),
    /// Raises the value on top of the stack as an error.
    Raise,
}

/// The stack of a state.
pub struct Stack(Raw);

impl Stack {
    /// The stack of a state.
    ///
    /// # Safety
    /// The state is alive as long as this value, and this is its thread.
    pub unsafe fn of(raw: Raw) -> Self {
        Self(raw)
    }

    /// The state itself.
    pub fn raw(&self) -> Raw {
        self.0
    }

    /// Number of values.
    pub fn top(&self) -> c_int {
        // SAFETY: the state is alive.
        unsafe { ffi::lua_gettop(self.0) }
    }

    /// Cuts the stack to so many values.
    pub fn set_top(&mut self, top: c_int) {
        // SAFETY: as above; callers name a place at or below the top.
        unsafe { ffi::lua_settop(self.0, top) }
    }

    /// Takes so many values off.
    pub fn pop(&mut self, n: c_int) {
        self.set_top(-n - 1);
    }

    /// Makes room for `n` more values; false when a script has used up the stack.
    pub fn reserve(&mut self, n: c_int) -> bool {
        // SAFETY: the state is alive; a stack that cannot grow is told as 0.
        unsafe { ffi::lua_checkstack(self.0, n) != 0 }
    }

    /// Pushes nil.
    pub fn push_nil(&mut self) {
        // SAFETY: functions start with room for 20 values, deeper code reserves.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    /// Pushes a truth value.
    pub fn push_bool(&mut self, value: bool) {
        // SAFETY: as for nil.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    /// Pushes a number.
    pub fn push_number(&mut self, value: f64) {
        // SAFETY: as for nil.
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    /// Pushes a string.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        // SAFETY: as for nil; Lua copies the bytes.
        unsafe { ffi::lua_pushlstring_(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Pushes a copy of the value at `index`.
    pub fn push_copy(&mut self, index: c_int) {
        // SAFETY: as for nil; the index is one of the stack's.
        unsafe { ffi::lua_pushvalue(self.0, index) }
    }

    /// Pushes a function that takes the `upvalues` values on top of the stack with it.
    pub fn push_function(&mut self, function: ffi::lua_CFunction, upvalues: c_int) {
        // SAFETY: as for nil; callers have pushed that many values.
        unsafe { ffi::lua_pushcclosure(self.0, function, upvalues) }
    }

    /// Pushes an empty table with room for so many elements and fields.
    pub fn push_table(&mut self, elements: usize, fields: usize) {
        let room = |n: usize| c_int::try_from(n.min(1 << 26)).unwrap_or(0);
        // SAFETY: as for nil.
        unsafe { ffi::lua_createtable(self.0, room(elements), room(fields)) }
    }

    /// Moves the value on top to `index`, those above up.
    pub fn insert(&mut self, index: c_int) {
        // SAFETY: the index is one of the stack's.
        unsafe { ffi::lua_insert(self.0, index) }
    }

    /// Puts the value on top in the place of that at `index`.
    pub fn replace(&mut self, index: c_int) {
        // SAFETY: the index is one of the stack's, or a pseudo index that may be set.
        unsafe { ffi::lua_replace(self.0, index) }
    }

    /// Takes the value at `index` out.
    pub fn remove(&mut self, index: c_int) {
        // SAFETY: the index is one of the stack's.
        unsafe { ffi::lua_remove(self.0, index) }
    }

    /// What is at `index`.
    pub fn kind(&self, index: c_int) -> Kind {
        // SAFETY: any acceptable index may be asked about.
        match unsafe { ffi::lua_type(self.0, index) } {
            ffi::LUA_TNIL | ffi::LUA_TNONE => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::Text,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            _ => Kind::Other,
        }
    }

    /// The bytes of a string; numbers are none.
    pub fn bytes(&self, index: c_int) -> Option<&[u8]> {
        (self.kind(index) == Kind::Text).then(|| self.converted(index))
    }

    /// The bytes of a string, or of a number as Lua writes it, which becomes a string where it is.
    pub fn text(&mut self, index: c_int) -> Option<&[u8]> {
        matches!(self.kind(index), Kind::Text | Kind::Number).then(|| self.converted(index))
    }

    fn converted(&self, index: c_int) -> &[u8] {
        let mut len = 0;
        // SAFETY: the value is a string or a number, so there are `len` bytes; they stay put while
        // the value is on the stack, which is borrowed as long as they are.
        unsafe {
            let bytes = ffi::lua_tolstring(self.0, index, &raw mut len);
            std::slice::from_raw_parts(bytes.cast(), len)
        }
    }

    /// The number at `index`; strings that look like one are too, anything else is 0.
    pub fn number(&self, index: c_int) -> f64 {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_tonumber(self.0, index) }
    }

    /// True for numbers, and for strings that look like one.
    pub fn is_number(&self, index: c_int) -> bool {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_isnumber(self.0, index) != 0 }
    }

    /// Whether the value is anything but false and nil.
    pub fn boolean(&self, index: c_int) -> bool {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_toboolean(self.0, index) != 0 }
    }

    /// Pushes what the table at `index` holds under the key on top, which goes.
    pub fn raw_get(&mut self, index: c_int) {
        // SAFETY: callers name a table.
        unsafe { ffi::lua_rawget_(self.0, index) }
    }

    /// Pushes what the table at `index` holds under that name.
    pub fn raw_field(&mut self, index: c_int, name: &[u8]) {
        let index = self.absolute(index);
        self.push_bytes(name);
        self.raw_get(index);
    }

    /// Pushes element `n` of the table at `index`.
    pub fn raw_element(&mut self, index: c_int, n: c_int) {
        // SAFETY: callers name a table.
        unsafe { ffi::lua_rawgeti_(self.0, index, n) }
    }

    /// Sets a field of the table at `index`: the key is below the value on top; both go. The key
    /// is neither nil nor NaN.
    pub fn raw_set(&mut self, index: c_int) {
        // SAFETY: callers name a table and a key that may be one.
        unsafe { ffi::lua_rawset(self.0, index) }
    }

    /// Sets that field of the table at `index` to the value on top, which goes.
    pub fn set_raw_field(&mut self, index: c_int, name: &[u8]) {
        let index = self.absolute(index);
        self.push_bytes(name);
        self.insert(-2);
        self.raw_set(index);
    }

    /// Sets element `n` of the table at `index` to the value on top, which goes.
    pub fn set_raw_element(&mut self, index: c_int, n: c_int) {
        // SAFETY: callers name a table.
        unsafe { ffi::lua_rawseti_(self.0, index, n) }
    }

    /// Replaces the key on top by the next one of the table at `index` and its value; false when
    /// there is none, and the key is gone. The key is one of the table's, or nil.
    pub fn next(&mut self, index: c_int) -> bool {
        // SAFETY: callers name a table and a key of it.
        unsafe { ffi::lua_next(self.0, index) != 0 }
    }

    /// Elements of the table at `index`, or bytes of a string.
    pub fn len(&self, index: c_int) -> usize {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_objlen(self.0, index) }
    }

    /// True when two values are the same, without asking their metatables.
    pub fn are_same(&self, a: c_int, b: c_int) -> bool {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_rawequal(self.0, a, b) != 0 }
    }

    /// Pushes the metatable of the value at `index`; false, and nothing, when it has none.
    pub fn metatable(&mut self, index: c_int) -> bool {
        // SAFETY: any acceptable index may be asked about.
        unsafe { ffi::lua_getmetatable(self.0, index) != 0 }
    }

    /// Makes the table or nil on top the metatable of the value at `index`.
    pub fn set_metatable(&mut self, index: c_int) {
        // SAFETY: callers have pushed a table or nil.
        unsafe { ffi::lua_setmetatable(self.0, index) };
    }

    /// Keeps the value on top, which goes, in the registry under a number.
    pub fn keep(&mut self) -> c_int {
        // SAFETY: the registry is a table.
        unsafe { ffi::luaL_ref(self.0, REGISTRY) }
    }

    /// Pushes what is kept under that number.
    pub fn push_kept(&mut self, number: c_int) {
        self.raw_element(REGISTRY, number);
    }

    /// Forgets what is kept under that number.
    pub fn forget(&mut self, number: c_int) {
        // SAFETY: the registry is a table.
        unsafe { ffi::luaL_unref(self.0, REGISTRY, number) }
    }

    /// The index from the bottom.
    pub fn absolute(&self, index: c_int) -> c_int {
        if index < 0 && index > REGISTRY { self.top() + index + 1 } else { index }
    }

    /// Compiles source text and pushes the function; or the error text, and false.
    ///
    /// A name that is kept alive by the caller: Lua's parser does not keep it.
    pub fn compile(&mut self, source: &[u8], name: &CStr) -> bool {
        // ORDER: the name is on the stack while the parser runs, which keeps a reference to it that
        // the collector does not see.
        self.push_bytes(name.to_bytes());
        if source.first() == Some(&ffi::LUA_SIGNATURE[0]) {
            // Compiled code is not checked by Lua and could do anything.
            self.pop(1);
            self.push_bytes(b"compiled code is not loaded");
            return false;
        }
        // SAFETY: bytes and name are valid while it runs; errors are returned.
        let failed = unsafe {
            ffi::luaL_loadbuffer(self.0, source.as_ptr().cast(), source.len(), name.as_ptr())
        };
        self.remove(-2);
        failed == 0
    }

    /// Calls the function below the `arguments` values on top; `handler` is the index of the
    /// function that sees an error first, 0 for none. False: the error is on top.
    pub fn protected_call(&mut self, arguments: c_int, results: c_int, handler: c_int) -> bool {
        // SAFETY: errors are caught; callers have pushed function and arguments.
        unsafe { ffi::lua_pcall(self.0, arguments, results, handler) == 0 }
    }

    /// Source and line of the function that called the running one, or of its caller when that is
    /// none of Lua's.
    pub fn caller(&self) -> Option<(Vec<u8>, c_int)> {
        let mut place = self.place(1)?;
        if place.2 {
            place = self.place(2)?;
        }
        Some((place.0, place.1))
    }

    /// Source, line, and whether it is not Lua code, of the function at that level.
    fn place(&self, level: c_int) -> Option<(Vec<u8>, c_int, bool)> {
        // SAFETY: the structure is plain numbers and pointers, filled in by Lua for a level that
        // it says exists; the strings belong to functions that are running.
        unsafe {
            let mut ar: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(self.0, level, &raw mut ar) == 0 {
                return None;
            }
            ffi::lua_getinfo(self.0, c"Sl".as_ptr(), &raw mut ar);
            let is_foreign = CStr::from_ptr(ar.what).to_bytes() == b"C";
            Some((CStr::from_ptr(ar.source).to_bytes().to_vec(), ar.currentline, is_foreign))
        }
    }

    /// Pushes where the function is that called the running one: `user_script:1: `, or nothing.
    pub fn push_where(&mut self) {
        // SAFETY: pushes a string.
        unsafe { ffi::luaL_where(self.0, 1) }
    }

    /// Pushes a text with where it happened in front, as Lua's own functions raise errors.
    pub fn push_complaint(&mut self, text: &[u8]) {
        self.push_where();
        let place = self.bytes(-1).unwrap_or_default().to_vec();
        self.pop(1);
        self.push_bytes(&[&place, text].concat());
    }

    /// A step of the collector.
    pub fn collect_some(&mut self, step: c_int) {
        // SAFETY: finalizers are those of this server's own types, which raise nothing.
        unsafe { ffi::lua_gc(self.0, ffi::LUA_GCSTEP, step) };
    }

    /// Bytes that the state holds.
    pub fn memory_bytes(&self) -> u64 {
        // SAFETY: asks for two numbers.
        let (kib, rest) = unsafe {
            (ffi::lua_gc(self.0, ffi::LUA_GCCOUNT, 0), ffi::lua_gc(self.0, ffi::LUA_GCCOUNTB, 0))
        };
        kib as u64 * 1024 + rest as u64
    }

    /// Has `hook` called on these events, every `count` instructions where that is one.
    pub fn set_hook(&mut self, hook: Option<ffi::lua_Hook>, mask: c_int, count: c_int) {
        // SAFETY: the hook is a function of this server.
        unsafe { ffi::lua_sethook(self.0, hook, mask, count) };
    }

    /// Pushes a light userdata: an address that is compared and not followed.
    pub fn push_address(&mut self, address: *mut c_void) {
        // SAFETY: as for nil.
        unsafe { ffi::lua_pushlightuserdata(self.0, address) }
    }
}

/// The index of a function's `n`-th upvalue.
pub const fn upvalue(n: c_int) -> c_int {
    ffi::lua_upvalueindex(n)
}

/// Makes a function for Lua of one that takes a [`Stack`] and says what comes of it.
macro_rules! lua_function {
    ($(#[$meta:meta])* $name:ident, $body:path) => {
        $(#[$meta])*
        unsafe extern "C-unwind" fn $name(raw: $crate::scripting::stack::Raw) -> std::ffi::c_int {
            // SAFETY: Lua calls it with a state that is alive, on its thread.
            let outcome = $body(&mut unsafe { $crate::scripting::stack::Stack::of(raw) });
            match outcome {
                $crate::scripting::stack::Outcome::Values(n) => n,
                // SAFETY: the value is on top. It leaves this frame by a jump: nothing here has
                // anything left to drop.
                $crate::scripting::stack::Outcome::Raise => unsafe { mlua::ffi::lua_error(raw) },
            }
        }
    };
}
pub(super) use lua_function;
