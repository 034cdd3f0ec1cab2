//! From a name to its number, without allocation.
//!
//! A name of up to 16 bytes is two words, case is one OR, and the index is built at compile time
//! with several places a name, so a lookup is one probe and one comparison, rarely two. The few
//! names that are longer stand in a list of their own. Knows names only: the engine and the server each build one over their commands.

/// Longest name that two words hold, bytes. The few longer ones are compared byte by byte.
pub const NAME_BYTES_MAX: usize = 16;

/// Sets the lower-case bit of letters; maps no other byte onto a letter.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// A name in two words: enough to compare it with any other of the same length.
#[derive(Clone, Copy)]
struct Folded {
    head: u64,
    tail: u64,
    len: u8,
}

const fn word(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut word = 0u64;
    let mut i = 0;
    while i < len {
        word |= (bytes[at + i] as u64) << (8 * i);
        i += 1;
    }
    word
}

impl Folded {
    const EMPTY: Self = Self { head: 0, tail: 0, len: 0 };

    /// `name` must have 1 to [`NAME_BYTES_MAX`] bytes. The two words overlap where the name is
    /// shorter than both.
    #[inline]
    const fn new(name: &[u8]) -> Self {
        let len = name.len();
        let (head, tail) = if len >= 8 {
            (word(name, 0, 8), word(name, len - 8, 8))
        } else if len >= 4 {
            (word(name, 0, 4), word(name, len - 4, 4))
        } else {
            (word(name, 0, len), 0)
        };
        Self { head: head | LOWER, tail: tail | LOWER, len: len as u8 }
    }

    #[inline]
    const fn place(self, places: usize) -> usize {
        let mixed = (self.head ^ self.tail.rotate_left(29) ^ self.len as u64).wrapping_mul(MIX);
        (mixed >> 32) as usize & (places - 1)
    }
}

/// 2^64 divided by the golden ratio: spreads neighbouring words (Knuth, TAOCP 3, 6.4).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Clone, Copy)]
struct Place {
    name: Folded,
    id: u16,
}

/// Finds the number of a name; `PLACES` is a power of two, a few times the number of names.
pub struct NameIndex<const PLACES: usize> {
    places: [Place; PLACES],
    /// Names that no place can hold; empty ones at the end.
    long: [(&'static str, u16); LONG_NAMES_MAX],
}

/// Most names beyond [`NAME_BYTES_MAX`]. Rows with more do not compile.
const LONG_NAMES_MAX: usize = 4;

impl<const PLACES: usize> NameIndex<PLACES> {
    /// An index over `names`, whose numbers are their positions. Names are lower-case, rarely
    /// longer than [`NAME_BYTES_MAX`] and different from each other; those with a `|`
    /// (sub-commands) are left out. Panics, at compile time if used there, when there are too
    /// few places.
    pub const fn new(names: &[&'static str]) -> Self {
        assert!(PLACES.is_power_of_two() && names.len() < PLACES, "use more places");
        let mut places = [Place { name: Folded::EMPTY, id: 0 }; PLACES];
        let mut long = [("", 0); LONG_NAMES_MAX];
        let (mut id, mut long_names) = (0, 0);
        while id < names.len() {
            let bytes = names[id].as_bytes();
            let plain = position(bytes, b'|').is_none();
            if plain && bytes.len() > NAME_BYTES_MAX {
                assert!(long_names < LONG_NAMES_MAX, "more long names");
                long[long_names] = (names[id], id as u16);
                long_names += 1;
            } else if plain {
                assert!(!bytes.is_empty());
                let name = Folded::new(bytes);
                let mut at = name.place(PLACES);
                while places[at].name.len != 0 {
                    at = (at + 1) & (PLACES - 1);
                }
                places[at] = Place { name, id: id as u16 };
            }
            id += 1;
        }
        Self { places, long }
    }

    /// The number of this name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u16> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return self.find_long(name);
        }
        let folded = fold(name);
        let mut at = folded.place(PLACES);
        loop {
            let place = &self.places[at];
            let same = place.name.head == folded.head
                && place.name.tail == folded.tail
                && place.name.len == folded.len;
            if same {
                return Some(place.id);
            }
            if place.name.len == 0 {
                return None;
            }
            at = (at + 1) & (PLACES - 1);
        }
    }
}

impl<const PLACES: usize> NameIndex<PLACES> {
    #[cold]
    fn find_long(&self, name: &[u8]) -> Option<u16> {
        let mut long = self.long.iter().filter(|(long, _)| !long.is_empty());
        long.find(|(long, _)| name.eq_ignore_ascii_case(long.as_bytes())).map(|(_, id)| *id)
    }
}

/// [`Folded::new`] for run time: whole words where the name has them.
#[inline]
fn fold(name: &[u8]) -> Folded {
    let len = name.len() as u8;
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        let (head, tail) = (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
        return Folded { head: head | LOWER, tail: tail | LOWER, len };
    }
    if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let head = u64::from(u32::from_le_bytes(*head));
        let tail = u64::from(u32::from_le_bytes(*tail));
        return Folded { head: head | LOWER, tail: tail | LOWER, len };
    }
    Folded::new(name)
}

const fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == wanted {
            return Some(i);
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_run_time_are_those_of_compile_time() {
        for len in 1..=NAME_BYTES_MAX {
            let name: Vec<u8> = (b'a'..).take(len).collect();
            let (run, compile) = (fold(&name), Folded::new(&name));
            assert_eq!((run.head, run.tail), (compile.head, compile.tail), "{len}");
        }
    }

    #[test]
    fn any_case_is_found_and_nothing_else_is() {
        static INDEX: NameIndex<16> = NameIndex::new(&[
            "get",
            "a",
            "config",
            "config|get",
            "mset",
            "georadiusbymember_ro",
            "georadiusbymember",
        ]);
        assert_eq!(INDEX.find(b"geoRADIUSbymember"), Some(6));
        assert_eq!(INDEX.find(b"GEORADIUSBYMEMBER_RO"), Some(5));
        assert_eq!(INDEX.find(b"georadiusbymembers"), None);
        for (name, id) in [("GET", 0), ("get", 0), ("gEt", 0), ("A", 1), ("Config", 2), ("MSET", 4)]
        {
            assert_eq!(INDEX.find(name.as_bytes()), Some(id), "{name}");
        }
        for name in ["", "ge", "gett", "\u{7}et", "config|get", "averyveryverylongname"] {
            assert_eq!(INDEX.find(name.as_bytes()), None, "{name:?}");
        }
    }
}
