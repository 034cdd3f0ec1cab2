//! Arguments of one command: byte spans into the buffer they arrived in. Nothing is copied.

/// Where one argument lies in its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The arguments of one command, the command's name first.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Arguments that lie at `spans` of `buf`. Every span must be inside `buf`.
    #[inline]
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        debug_assert!(spans.iter().all(|s| s.start as usize + s.len as usize <= buf.len()));
        Self { buf, spans }
    }

    /// Number of arguments, the name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is not even a name.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `index`; 0 is the command's name. Panics past the end: arity is checked before.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        let s = self.spans[index];
        &self.buf[s.start as usize..s.start as usize + s.len as usize]
    }

    /// Argument `index`, if there is one.
    #[inline]
    pub fn try_get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.spans.len()).then(|| self.get(index))
    }

    /// All arguments from `from` on.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let this = *self;
        (from..this.len()).map(move |i| this.get(i))
    }

    /// The arguments without the first `n` (for sub-commands).
    pub fn skip(&self, n: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[n.min(self.spans.len())..] }
    }

    /// The position behind the last STORE or STOREDIST from `from` on that has an argument.
    pub fn stored_at(&self, from: usize) -> Option<usize> {
        (from + 1..self.len()).rev().find(|at| {
            let word = self.get(at - 1);
            word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist")
        })
    }

    /// Bytes of all arguments together.
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(|s| s.len as usize).sum()
    }
}

/// Arguments that own their bytes; reusable.
#[derive(Debug, Default, Clone)]
pub struct OwnedArgs {
    buf: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// An empty command.
    pub fn new() -> Self {
        Self::default()
    }

    /// From slices.
    pub fn from_slices<T: AsRef<[u8]>>(parts: &[T]) -> Self {
        let mut owned = Self::new();
        for part in parts {
            owned.push(part.as_ref());
        }
        owned
    }

    /// Appends one argument.
    pub fn push(&mut self, arg: &[u8]) {
        self.spans.push(Span { start: self.buf.len() as u32, len: arg.len() as u32 });
        self.buf.extend_from_slice(arg);
    }

    /// Forgets all arguments, keeps the memory.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.spans.clear();
    }

    /// A borrowed view.
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.buf, &self.spans)
    }
}
