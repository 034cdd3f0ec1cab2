//! What a command that finds nothing may do: wait.
//!
//! The handler of a blocking command looks, and calls [`Ctx::claim`] once it has found something
//! and before it changes anything; when there is nothing it says with [`Ctx::block`] what it waits
//! for. The same handler runs again when a key may have become what it waits for, so it is written
//! once. Where a command may not wait (inside a transaction, in a script, in replay), it gets told.

use super::{CommandError, Ctx, OwnedArgs};
use crate::{
    claims::{Claims, Waiter},
    keyspace::Key,
    types::ValueType,
};
use std::sync::Arc;

/// What a command waits for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Type of the value that its keys must have.
    pub kind: ValueType,
    /// How long, ms; 0 = for ever.
    pub timeout_ms: u64,
    /// Only the first key is waited for (BLMOVE).
    pub first_key_only: bool,
    /// A stream's group: the wait ends in an error when the stream goes.
    pub in_group: bool,
    /// The arguments to run with later, where they are not those of now (`$` in XREAD).
    pub args: Option<OwnedArgs>,
}

impl Wanted {
    /// A value of this type at any of the keys.
    pub fn new(kind: ValueType, timeout_ms: u64) -> Self {
        Self { kind, timeout_ms, first_key_only: false, in_group: false, args: None }
    }
}

/// A command's permission to wait.
#[derive(Debug, Default)]
pub struct Wait {
    /// Whose wait it is, where others may end it too.
    claim: Option<(Arc<Claims>, Waiter)>,
    claimed: bool,
    lost: bool,
    /// The command has run before and been told to wait.
    is_again: bool,
    wanted: Option<Wanted>,
}

impl Wait {
    /// Nobody else can serve the client yet.
    pub fn alone() -> Self {
        Self::default()
    }

    /// Others may: the claim decides.
    pub fn contested(claims: Arc<Claims>, waiter: Waiter) -> Self {
        Self { claim: Some((claims, waiter)), ..Self::default() }
    }

    /// As [`Wait::contested`], for a command that waits already.
    pub fn again(claims: Arc<Claims>, waiter: Waiter) -> Self {
        Self { is_again: true, ..Self::contested(claims, waiter) }
    }

    /// What the command waits for; none: it is over.
    pub fn wanted(&mut self) -> Option<Wanted> {
        self.wanted.take()
    }

    /// Takes the claim, unless it is taken already; false when somebody else has it.
    pub fn claim(&mut self) -> bool {
        if let (false, Some((claims, waiter))) = (self.claimed, &self.claim) {
            self.lost = !claims.take(*waiter);
        }
        self.claimed = true;
        !self.lost
    }
}

/// Somebody else has served the client; no client ever reads this.
const SERVED_ELSEWHERE: CommandError = CommandError::new("ERR the client has been served");

impl Ctx<'_> {
    /// The command has found what it wants and is about to take it.
    ///
    /// # Errors
    /// Somebody else serves the client: nothing may be changed.
    pub fn claim(&mut self) -> Result<(), CommandError> {
        match self.wait.as_mut() {
            Some(wait) => wait.claim().then_some(()).ok_or(SERVED_ELSEWHERE),
            None => Ok(()),
        }
    }

    /// The command has found nothing: it waits, and replies later. False when it may not wait and
    /// has to reply now.
    pub fn block(&mut self, wanted: Wanted) -> bool {
        match self.wait.as_mut() {
            Some(wait) => {
                wait.wanted = Some(wanted);
                true
            }
            None => false,
        }
    }

    /// True when the command has waited, and one of its keys may now be what it waits for.
    pub fn is_again(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.is_again)
    }

    /// A key has changed so that commands which wait for it should look again, and that cannot be
    /// seen from keys coming and going (an entry of a stream, a group that goes).
    pub fn signal(&mut self, key: Key<'_>) {
        self.database().signal(key);
    }
}
