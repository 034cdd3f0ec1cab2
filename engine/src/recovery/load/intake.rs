//! What a reader says of an RDB file -> batches of keys for the shards that own them.
//!
//! Refuses what is not loaded (deadlines of fields, databases there are not)
//! and what makes no value; passes over what Redis passes over: empty collections and, in a
//! snapshot, keys whose deadline lies behind.

use super::{
    Rules,
    batch::{About, Batch, Use},
};
use crate::{
    elements::{Builder, Built, Refused},
    keyspace::{Key, KeyHasher},
    rdb::{Element, Event, KeyHead, Kind, Text},
    recovery::{RecoveryError, Refusal, functions::FunctionChanges},
    slot::{group_of_slot, shard_of_group},
    types::Limits,
};

/// Puts a batch in, or hands it to who does.
pub trait Hand {
    /// Takes a batch of keys of `shard` and leaves an empty one.
    ///
    /// # Errors
    /// A key comes twice; somebody else has failed.
    fn hand(&mut self, shard: usize, batch: &mut Batch) -> Result<(), RecoveryError>;
}

/// What keys become values with.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What is loaded.
    pub rules: Rules,
    /// Number of shards.
    pub shards: usize,
    /// Their hasher.
    pub hasher: KeyHasher,
    /// Their limits.
    pub limits: Limits,
    /// Takes function libraries.
    pub functions: FunctionChanges,
}

/// Slot groups that keys may be of, the last included.
pub type Span = (u8, u8);

/// Every slot group.
pub const ALL: Span = (0, u8::MAX);

/// The key that is being read.
#[derive(Default)]
struct Open {
    key: Vec<u8>,
    hash: u64,
    slot: u16,
    text: bool,
    /// It is passed over.
    skipped: bool,
}

/// Takes events of one file.
pub struct Intake<'n> {
    /// The file, for messages.
    name: &'n str,
    terms: &'n Terms,
    pending: Vec<Batch>,
    open: Open,
    about: About,
    builder: Builder,
    span: Span,
    keys: u64,
}

impl<'n> Intake<'n> {
    /// Takes events of file `name`.
    pub fn new(name: &'n str, terms: &'n Terms) -> Self {
        Self {
            name,
            terms,
            pending: (0..terms.shards).map(|_| Batch::default()).collect(),
            open: Open::default(),
            about: About { db: 0, deadline: None, used: Use::Unsaid, offset: 0 },
            builder: Builder::new(),
            span: ALL,
            keys: 0,
        }
    }

    /// From now on keys must be of these slot groups; none has been taken yet.
    pub fn expect(&mut self, span: Span) {
        self.span = span;
        self.keys = 0;
    }

    /// The file.
    pub fn name(&self) -> &'n str {
        self.name
    }

    /// Keys taken, those passed over included.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    fn refuse<T>(&self, kind: Refusal) -> Result<T, RecoveryError> {
        Err(RecoveryError::new(self.name, kind).at(self.about.offset))
    }

    /// Takes an event that is neither [`Event::More`] nor [`Event::End`].
    ///
    /// # Errors
    /// What is not loaded, or cannot be; what `to` says.
    pub fn take(
        &mut self,
        event: Event<Text<'_>>,
        to: &mut impl Hand,
    ) -> Result<(), RecoveryError> {
        match event {
            Event::Key(head) => self.begin(&head),
            Event::Element(_) | Event::KeyEnd if self.open.skipped => Ok(()),
            Event::Element(Element::Value(text)) if self.open.text => self.string(text, to),
            Event::Element(element) => {
                let Terms { limits, hasher, .. } = self.terms;
                match self.builder.take(element, limits, hasher) {
                    Ok(()) => Ok(()),
                    Err(refused) => self.refuse(refusal(&refused)),
                }
            }
            Event::KeyEnd if self.open.text => Ok(()),
            Event::KeyEnd => match self.builder.finish() {
                Ok(Some(value)) => self.value(value, to),
                Ok(None) => Ok(()),
                Err(refused) => self.refuse(refusal(&refused)),
            },
            Event::Function(source) => {
                self.terms.functions.library(&source.to_vec());
                Ok(())
            }
            Event::Aux(..) | Event::Resize { .. } | Event::Slot { .. } => Ok(()),
            Event::More | Event::End { .. } => Ok(()),
        }
    }

    fn begin(&mut self, head: &KeyHead<Text<'_>>) -> Result<(), RecoveryError> {
        let mut digits = itoa::Buffer::new();
        let bytes = head.key.bytes(&mut digits);
        let key = self.terms.hasher.key(bytes);
        self.about = About {
            db: head.db as usize,
            deadline: head.expires_ms,
            used: match (head.idle_s, head.freq) {
                (Some(seconds), _) => Use::Idle(seconds),
                (None, Some(count)) => Use::Frequency(count),
                (None, None) => Use::Unsaid,
            },
            offset: head.offset,
        };
        self.keys += 1;
        let Rules { databases, alive_at_ms } = self.terms.rules;
        if head.db >= databases as u64 {
            return self.refuse(Refusal::RdbContent(format!(
                "key '{}' is in database {}, and `databases` is {databases}",
                bytes.escape_ascii(),
                head.db,
            )));
        }
        let group = key.group();
        if group < self.span.0 || group > self.span.1 {
            return self.refuse(Refusal::Chunk(format!(
                "key '{}' is of slot group {group}, and the index has groups {} to {} here",
                bytes.escape_ascii(),
                self.span.0,
                self.span.1,
            )));
        }
        self.open.text = head.kind == Kind::String;
        let passed = |now_ms| head.expires_ms.is_some_and(|at_ms| at_ms < now_ms);
        self.open.skipped = alive_at_ms.is_some_and(passed);
        self.open.key.clear();
        self.open.key.extend_from_slice(bytes);
        (self.open.hash, self.open.slot) = (key.hash, key.slot);
        if !self.open.text && !self.open.skipped {
            self.builder.begin(head.kind, head.packed);
        }
        Ok(())
    }

    fn string(&mut self, text: Text<'_>, to: &mut impl Hand) -> Result<(), RecoveryError> {
        self.push(to, |batch, key, about| match text {
            Text::Int(n) => batch.push_int(key, about, n),
            Text::Bytes(text) => batch.push_text(key, about, text),
        })
    }

    fn value(&mut self, value: Built, to: &mut impl Hand) -> Result<(), RecoveryError> {
        self.push(to, |batch, key, about| batch.push_built(key, about, value))
    }

    fn push(
        &mut self,
        to: &mut impl Hand,
        push: impl FnOnce(&mut Batch, Key<'_>, About),
    ) -> Result<(), RecoveryError> {
        let Open { key, hash, slot, .. } = &self.open;
        let key = Key { bytes: key, hash: *hash, slot: *slot };
        let shard = shard_of_group(group_of_slot(*slot), self.terms.shards);
        let batch = &mut self.pending[shard];
        push(batch, key, self.about);
        if batch.is_full() { to.hand(shard, batch) } else { Ok(()) }
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// As [`Intake::take`].
    pub fn flush(&mut self, to: &mut impl Hand) -> Result<(), RecoveryError> {
        for (shard, batch) in self.pending.iter_mut().enumerate() {
            if !batch.is_empty() {
                to.hand(shard, batch)?;
            }
        }
        Ok(())
    }
}

fn refusal(refused: &Refused) -> Refusal {
    match refused {
        Refused::FieldDeadline => Refusal::RdbContent(refused.to_string()),
        Refused::Twice(_) | Refused::Wrong(_) => Refusal::RdbValue(refused.to_string()),
    }
}
