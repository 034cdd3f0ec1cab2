//! Accounts on all shards whose sum never changes: money is moved, never made or lost. Whoever sees
//! another sum has seen a transfer in half.

use super::{
    client::Client,
    load::Dice,
    process::{Launch, ServerProcess, fresh_dir},
};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What each account has at first.
const EACH: i64 = 100;
/// Connections that move money.
const MOVERS: usize = 4;

/// A seed for [`Dice`], printed so that a failure can be had again.
pub fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    println!("seed {}", now.as_nanos() as u64);
    now.as_nanos() as u64
}

/// Connections for [`Bank::moves_during`].
pub fn movers(server: &ServerProcess) -> Vec<Client> {
    (0..MOVERS).map(|_| server.client()).collect()
}

/// The key of an account.
pub fn account(n: u64) -> String {
    format!("account:{n}")
}

/// The accounts `0..accounts`, and how their money is moved and counted.
pub struct Bank<'a> {
    /// How many there are.
    pub accounts: u64,
    /// Moves money until the server is gone or somebody says stop; the number of acknowledged
    /// transfers.
    pub transfer: &'a (dyn Fn(Client, Dice, &AtomicBool) -> u64 + Sync),
    /// All balances added up, as one moment has them; the number chooses among the ways to look.
    pub sum: &'a dyn Fn(&mut Client, u64) -> i64,
}

impl Bank<'_> {
    /// What every sum must be.
    pub fn total(&self) -> i64 {
        EACH * self.accounts as i64
    }

    /// Opens the accounts.
    pub fn fill(&self, server: &ServerProcess) {
        let mut line = vec!["MSET".to_owned()];
        (0..self.accounts).for_each(|n| line.extend([account(n), EACH.to_string()]));
        assert!(server.client().ask(&line).is_ok());
    }

    /// Moves money on these connections while `work` runs; the number of transfers.
    pub fn moves_during<T>(
        &self,
        movers: Vec<Client>,
        seed: u64,
        work: impl FnOnce() -> T,
    ) -> (u64, T) {
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let result = thread::scope(|scope| {
            for (n, client) in movers.into_iter().enumerate() {
                let (stop, done, transfer) = (&stop, &done, self.transfer);
                let dice = Dice(seed.wrapping_add(n as u64));
                scope
                    .spawn(move || done.fetch_add(transfer(client, dice, stop), Ordering::Relaxed));
            }
            let result = work();
            stop.store(true, Ordering::Relaxed);
            result
        });
        let done = done.into_inner();
        assert!(done > 0, "nothing was transferred");
        (done, result)
    }

    /// Every one of `looks` readers' sums is right while money moves, with every number of shards.
    pub fn looks_the_same_to_every_reader(&self, shards: &[&str], looks: u64) {
        for shards in shards {
            let dir = fresh_dir();
            let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
            self.fill(&server);
            self.moves_during(movers(&server), seed(), || {
                let mut reader = server.client();
                for look in 0..looks {
                    assert_eq!((self.sum)(&mut reader, look), self.total(), "{shards} shards");
                }
            });
            server.stop();
        }
    }

    /// Rounds of transfers, kill -9 and a restart with the next number of `shards`: the sum is right
    /// after each. As many as `QUIRE_KILL_ROUNDS` says, or `rounds`.
    pub fn survives_kills(&self, rounds: usize, shards: &[&str], directives: &[&str]) {
        let rounds = match std::env::var("QUIRE_KILL_ROUNDS") {
            Ok(text) => text.parse().expect("QUIRE_KILL_ROUNDS is a number"),
            Err(_) => rounds,
        };
        let dir = fresh_dir();
        let mut dice = Dice(seed());
        let launch = |round: usize| {
            let shards = shards[round % shards.len()];
            Launch::quire(dir.path()).with(&["--shards", shards]).with(directives)
        };
        let mut server = launch(0).start();
        self.fill(&server);
        for round in 1..=rounds {
            let seed = dice.roll(u64::MAX);
            let work = Duration::from_millis(50 + dice.roll(200));
            self.moves_during(movers(&server), seed, || {
                thread::sleep(work);
                server.kill();
            });
            server = launch(round).start();
            let sum = (self.sum)(&mut server.client(), round as u64);
            assert_eq!(sum, self.total(), "round {round}\n{}", server.said());
        }
        server.stop();
    }
}
