//! Promises of one shard about commands that wait.

use super::*;
use crate::{
    aof::{CommandReader, Staging},
    keyspace::KeyHasher,
};

const NOW_MS: i64 = 1_700_000_000_000;

struct Scene {
    shard: Shard,
    claims: Arc<Claims>,
}

impl Scene {
    fn new() -> Self {
        let mut shard = Shard::new(0, 1, 16, KeyHasher::fixed(), Staging::new(0, 1), 1);
        let claims = Arc::new(Claims::new(1));
        shard.share_claims(Arc::clone(&claims));
        Self { shard, claims }
    }

    fn ask(&mut self, conn: u32, line: &str) -> (Waiter, Attempt, String) {
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        let spec = crate::families::table::lookup(args.as_args().get(0)).unwrap();
        let waiter = self.claims.open(0, conn);
        let args = args.as_args();
        let (resp3, is_contested) = (false, true);
        let request = Request { spec, db: 0, args, resp3, waiter, is_contested };
        let mut out = Vec::new();
        let attempt = self.shard.attempt(request, NOW_MS, &mut out);
        (waiter, attempt, String::from_utf8(out).unwrap().replace("\r\n", " "))
    }

    fn waits(&mut self, conn: u32, line: &str) -> Waiter {
        let (waiter, attempt, reply) = self.ask(conn, line);
        assert!(matches!(attempt, Attempt::Waits { .. }), "{line}: {attempt:?}");
        assert_eq!(reply, "");
        waiter
    }

    fn run(&mut self, line: &str) -> Lsn {
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        let spec = crate::families::table::resolve(args.as_args()).unwrap();
        self.shard.execute(spec, 0, NOW_MS, false, args.as_args(), &mut Vec::new())
    }

    fn served(&mut self) -> Vec<(u32, String, Lsn)> {
        let show = |s: Served| {
            let reply = String::from_utf8(s.reply).unwrap().replace("\r\n", " ");
            (s.waiter.conn, reply, s.gate)
        };
        self.shard.take_served().into_iter().map(show).collect()
    }

    fn logged(&self) -> Vec<String> {
        let mut reader = CommandReader::new(self.shard.staging.staged());
        let mut lines = Vec::new();
        while let Some(args) = reader.next_command().unwrap() {
            let words: Vec<_> = args.iter_from(0).map(String::from_utf8_lossy).collect();
            lines.push(words.join(" "));
        }
        lines
    }
}

#[test]
fn each_serve_is_a_batch_of_its_own_behind_that_of_the_command_that_caused_it() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP l 0");
    scene.waits(2, "BLMOVE l m LEFT RIGHT 0");
    scene.waits(3, "BRPOP m 0");
    scene.waits(4, "BZPOPMIN z 0");
    assert_eq!(scene.run("RPUSH l a b c"), 1);
    assert_eq!(scene.run("ZADD z 1 x"), 5);
    let served = scene.served();
    let expected = [
        (1, "*2 $1 l $1 a ".to_owned(), 2),
        (2, "$1 b ".to_owned(), 3),
        (3, "*2 $1 m $1 b ".to_owned(), 4),
        (4, "*3 $1 z $1 x $1 1 ".to_owned(), 6),
    ];
    assert_eq!(served, expected);
    let logged = [
        "SELECT 0",
        "RPUSH l a b c",
        "LPOP l",
        "MULTI",
        "LPOP l",
        "RPUSH m b",
        "EXEC",
        "RPOP m",
        "ZADD z 1 x",
        "ZPOPMIN z 1",
    ];
    assert_eq!(scene.logged(), logged);
    assert_eq!(scene.shard.waiting(), 0);
}

#[test]
fn whoever_has_lost_the_claim_takes_nothing() {
    let mut scene = Scene::new();
    let waiter = scene.waits(1, "BLPOP l k 0");
    assert!(scene.claims.take(waiter), "another shard has served the client");
    scene.run("RPUSH l a");
    assert!(scene.served().is_empty());
    assert_eq!(scene.logged(), ["SELECT 0", "RPUSH l a"]);
    assert_eq!(scene.shard.waiting(), 0, "it is forgotten under its other key, too");
    // The same while it asks: neither an element nor an error is for it.
    scene.run("SET text x");
    for line in ["BLPOP l 0", "BLPOP text 0"] {
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        let spec = crate::families::table::lookup(b"blpop").unwrap();
        let waiter = scene.claims.open(0, 2);
        assert!(scene.claims.take(waiter));
        let args = args.as_args();
        let (resp3, is_contested) = (false, true);
        let request = Request { spec, db: 0, args, resp3, waiter, is_contested };
        let mut out = Vec::new();
        assert_eq!(scene.shard.attempt(request, NOW_MS, &mut out), Attempt::Lost);
        assert!(out.is_empty());
    }
    assert_eq!(scene.shard.stats.errors.total(), 0);
    assert_eq!(scene.logged(), ["SELECT 0", "RPUSH l a", "SET text x"]);
}

#[test]
fn who_stops_waiting_is_passed_over_and_leaves_nothing_behind() {
    let mut scene = Scene::new();
    let first = scene.waits(1, "BLPOP a b c 0");
    scene.waits(2, "BLPOP b 0");
    scene.shard.stop_waiting(first);
    scene.shard.stop_waiting(first);
    assert_eq!(scene.shard.waiting(), 1);
    scene.run("RPUSH a 1");
    scene.run("RPUSH b 2");
    assert_eq!(scene.served(), [(2, "*2 $1 b $1 2 ".to_owned(), 3)]);
    assert!(scene.shard.queues.keys.iter().all(HashMap::is_empty));
    scene.run("DEL a");
    scene.run("RPUSH a 1");
    assert!(scene.shard.keyspace.db_mut(0).take_signalled().is_empty(), "nobody listens any more");
}

#[test]
fn who_waits_for_the_end_of_a_stream_hears_of_it_however_it_ends() {
    for end in ["DEL x", "SET x v", "RENAME x y", "PEXPIRE x -1", "RENAME other x"] {
        let mut scene = Scene::new();
        scene.run("SET other v");
        scene.run("XGROUP CREATE x g $ MKSTREAM");
        scene.waits(1, "XREADGROUP GROUP g c BLOCK 0 STREAMS x >");
        scene.waits(2, "XREAD BLOCK 0 STREAMS x $");
        scene.run(end);
        let reply = "-UNBLOCKED the stream key no longer exists ".to_owned();
        let served: Vec<_> = scene.served().into_iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(served, [(1, reply)], "{end}");
        assert_eq!(scene.shard.waiting(), 1, "the other waits for a stream to come");
    }
}

#[test]
fn waiters_stay_with_their_database_when_its_contents_go_elsewhere() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP l 0");
    let args = OwnedArgs::from_slices(&["RPUSH", "l", "x"]);
    let spec = crate::families::table::lookup(b"rpush").unwrap();
    scene.shard.execute(spec, 1, NOW_MS, false, args.as_args(), &mut Vec::new());
    assert!(scene.served().is_empty(), "another database");
    scene.shard.swap_databases(0, 1, NOW_MS);
    scene.shard.serve_ready(NOW_MS);
    assert_eq!(scene.served()[0].1, "*2 $1 l $1 x ");
    scene.waits(2, "BLPOP l 0");
    scene.shard.flush(0..16, NOW_MS, true).unwrap();
    scene.run("RPUSH l y");
    assert_eq!(scene.served()[0].1, "*2 $1 l $1 y ", "through a flush");
}

#[test]
fn nobody_is_served_of_half_a_transaction() {
    let mut scene = Scene::new();
    scene.waits(1, "BLPOP l 0");
    scene.shard.begin_transaction(None);
    scene.run("RPUSH l a");
    scene.run("DEL l");
    scene.shard.end_transaction();
    assert!(scene.served().is_empty());
    scene.shard.begin_transaction(None);
    scene.run("RPUSH l b");
    scene.run("RPUSH l c");
    assert!(scene.served().is_empty());
    scene.shard.end_transaction();
    assert_eq!(scene.served(), [(1, "*2 $1 l $1 b ".to_owned(), 3)]);
    let logged = scene.logged();
    assert_eq!(logged.last().map(String::as_str), Some("LPOP l"), "{logged:?}");
    assert_eq!(logged[logged.len() - 2], "EXEC");
}
