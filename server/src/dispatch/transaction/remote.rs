//! A transaction all of whose keys are on one other shard: one message to it.
//!
//! ```text
//! resp3, watched, (database, key, changes, expiries, was expired) each, commands,
//!        (database, arguments, argument ..) each              as arguments of one request
//! ```

use super::{
    super::{
        account::Slow,
        everywhere::Task,
        hop::{RequestHead, Return, Written, put_reply, put_slow},
        table::{self, Target},
    },
    Work,
    watch::{WatchedKey, seen_from, seen_words},
    write_null,
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    aof::Lsn,
    command::{Args, OwnedArgs, Reply},
};

struct Words<'a> {
    args: Args<'a>,
    at: usize,
}

impl<'a> Words<'a> {
    fn bytes(&mut self) -> &'a [u8] {
        self.at += 1;
        self.args.get(self.at - 1)
    }

    fn number(&mut self) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(self.bytes());
        u64::from_ne_bytes(word)
    }

    fn take(&mut self, n: usize) -> OwnedArgs {
        let mut own = OwnedArgs::new();
        (0..n).for_each(|_| own.push(self.bytes()));
        own
    }
}

impl Core {
    /// Sends work to the one shard it is about.
    pub(super) fn send_work(&mut self, conn: &mut Connection, work: &Work, shard: u16) {
        let mut message = OwnedArgs::new();
        let number = |message: &mut OwnedArgs, n: u64| message.push(&n.to_ne_bytes());
        number(&mut message, u64::from(conn.session.resp3));
        number(&mut message, work.watched.len() as u64);
        for key in &work.watched {
            number(&mut message, u64::from(key.db));
            message.push(&key.key);
            // A key that was never seen has not been answered for: it cannot be unchanged.
            let words = key.seen.map_or([u64::MAX, u64::MAX, 0], seen_words);
            words.into_iter().for_each(|word| number(&mut message, word));
        }
        number(&mut message, work.commands.len() as u64);
        for args in &work.commands {
            let args = args.as_args();
            number(&mut message, args.len() as u64);
            args.iter_from(0).for_each(|arg| message.push(arg));
        }
        let seq = conn.open_slot(shard);
        if Self::muted(conn)
            && let Some(slot) = conn.slot(seq)
        {
            slot.silent = true;
        }
        let to = Return { seq, ..self.return_to(conn) };
        self.send_part(
            conn,
            shard,
            Task::Transaction.number(),
            to,
            false,
            message.as_args().iter_from(0),
        );
        self.timings.start();
    }

    /// Runs it there; the answer goes into `replies`, with what was slow.
    pub fn run_sent_work(&mut self, head: RequestHead, args: Args<'_>, replies: &mut Vec<u8>) {
        let mut slow = Vec::new();
        put_reply(replies, head.to, |out| {
            let gate = self.run_sent(usize::from(head.db), args, out, &mut slow);
            // ORDER: WAITAOF waits for all that its connection has written, in transactions too.
            let wrote = gate != 0;
            Written { gate, wrote, ticks: self.timings.lap(), ..Written::default() }
        });
        for (us, args) in slow {
            put_slow(replies, head.to, us, args.into_iter());
        }
    }

    fn run_sent(
        &mut self,
        db: usize,
        args: Args<'_>,
        out: &mut Vec<u8>,
        slow: &mut Vec<Slow>,
    ) -> Lsn {
        let mut words = Words { args, at: 0 };
        let resp3 = words.number() != 0;
        let now = self.now_ms;
        let Some(shard) = self.shard.as_mut() else { return 0 };
        let mut is_unchanged = true;
        for _ in 0..words.number() {
            let (db, key) = (words.number() as u16, words.bytes());
            let seen = [words.number(), words.number(), words.number()];
            let key =
                WatchedKey { db, key: key.to_vec(), shard: self.id, seen: Some(seen_from(seen)) };
            is_unchanged &= key.holds(shard, now);
            shard.unwatch(usize::from(db), &key.key);
        }
        if !is_unchanged {
            write_null(out, resp3);
            return 0;
        }
        let count = words.number();
        shard.begin_transaction(None);
        Reply::new(out, resp3).array(count as usize);
        self.timings.start();
        for _ in 0..count {
            let len = words.number() as usize;
            let command = words.take(len);
            if let Some(Target::Shard { spec, id }) = table::lookup(command.as_args())
                && let Some(shard) = self.shard.as_mut()
            {
                shard.execute(spec, db, now, resp3, command.as_args(), out);
                let ticks = self.timings.lap();
                slow.extend(self.account_as_part(id, command.as_args(), ticks));
            }
        }
        self.shard.as_mut().map_or(0, |shard| shard.end_transaction().0)
    }
}
