//! Commands whose keys are on several shards answer as stock Redis does, and what they did outlives
//! a restart; so do the encodings of collections.

use crate::support::{
    client::Reply,
    process::{Launch, ServerProcess, fresh_dir},
};

/// Thresholds low enough that small and big forms are met.
const LOW: [&str; 6] = [
    "--hash-max-listpack-entries",
    "3",
    "--zset-max-listpack-entries",
    "3",
    "--set-max-intset-entries",
    "3",
];

/// Keys on all four shards, in small and big forms.
const SETTING: &str = "SADD a 1 2 3; SADD b 2 3 4 5; SADD c x y 2; SADD d 3; HSET e f 1 g 2
HSET f f 1 g 2 h 3 i 4; ZADD g 1 x 2 y 2.5 z; ZADD h 1 x -inf y 3e20 w 4 v; SET i text; SET j tent
EXPIRE f 100000; ZADD k 7 only; XADD s 1-1 f v; XADD s 2-1 f v g w; XADD s 3-1 f v; XDEL s 2-1
XGROUP CREATE s grp 0; XREADGROUP GROUP grp alice COUNT 1 STREAMS s >; XGROUP CREATECONSUMER s grp bob";

/// Lines whose keys are on several shards.
const LINES: &str = "SINTER a b; SUNION a b c; SDIFF b a d; SINTERCARD 2 a b LIMIT 1; SINTER a nokey
SINTERSTORE r1 a b; SMEMBERS r1; SUNIONSTORE r2 a b c; SMEMBERS r2; SDIFFSTORE a b a; SMEMBERS a
SINTERSTORE r2 a nokey; EXISTS r2; SUNIONSTORE i b d; SMEMBERS i; SET i text; SINTER a i; SUNIONSTORE r3 a i
ZUNION 2 g h WITHSCORES; ZINTER 2 g h WEIGHTS 2 3 AGGREGATE MAX WITHSCORES; ZDIFF 2 g h; ZINTERCARD 2 g h
ZUNION 2 g h WEIGHTS 1; ZUNION 3 g h; ZUNION 0 g h; ZUNIONSTORE r4 2 g b WEIGHTS 1 0.5; ZRANGE r4 0 -1 WITHSCORES
ZINTERSTORE r5 2 g h; ZRANGE r5 0 -1 WITHSCORES; ZRANGESTORE r6 h 0 1; ZRANGE r6 0 -1; ZRANGESTORE r6 nokey 0 1
EXISTS r6; ZRANGESTORE r6 h 0 x; ZDIFFSTORE g 2 g h; ZRANGE g 0 -1
SMOVE b d 5; SMOVE b d 5; SMOVE nokey e x; SMOVE b e 4; SMOVE e b 4; SMEMBERS b; SMEMBERS d
ZMPOP 3 nokey1 nokey2 k MIN; ZMPOP 3 nokey1 h g MAX COUNT 2; ZMPOP 2 nokey1 i MIN; ZMPOP 2 nokey1 nokey2 MIN
ZMPOP 5 a b MIN; ZMPOP 2 g h MIN COUNT 0; ZMPOP 2 g h UP; ZMPOP x g h MIN
RENAME e e2; HGETALL e2; EXISTS e; RENAMENX f b; RENAMENX f f2; EXPIRETIME f2; HLEN f2; OBJECT ENCODING f2
COPY h h2; ZRANGE h2 0 -1 WITHSCORES; COPY h2 i; COPY h2 i REPLACE; ZCARD i
COPY c c2 DB 3; RENAME nokey x; RENAME c c3; SMEMBERS c3; LCS j i; LCS j nokey; DEL i; SET i text; LCS j i IDX
COPY s t; XRANGE t - +; XPENDING t grp; COPY s t; COPY s v REPLACE; XLEN v; XINFO GROUPS v; RENAME s u; EXISTS s; XRANGE u - +
XREAD COUNT 5 STREAMS t u v 0 2 1-1; XREAD STREAMS t nokey u 0 0 0; RENAME t w; XPENDING w grp - + 9 bob; COPY u w; COPY u w2 DB 3";

fn commands(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split(['\n', ';']).map(|line| line.split_whitespace().collect())
}

/// Sets come in any order.
fn ordered(command: &[&str], reply: &Reply) -> String {
    let text = format!("{reply:?}");
    let any_order = matches!(command[0], "SINTER" | "SUNION" | "SDIFF" | "SMEMBERS" | "HGETALL");
    if !any_order {
        return text;
    }
    let mut letters: Vec<char> = text.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

fn digest(server: &ServerProcess) -> Reply {
    server.client().ask(&["DEBUG", "DIGEST"])
}

#[test]
fn keys_on_several_shards_are_used_together_as_on_one() {
    let dir = fresh_dir();
    let redis_dir = dir.path().join("redis");
    std::fs::create_dir(&redis_dir).expect("the directory is fresh");
    let debug = ["--enable-debug-command", "yes"];
    let ours = Launch::quire(dir.path()).with(&LOW).with(&debug).with(&["--shards", "4"]);
    let server = ours.start();
    let redis = Launch::redis(&redis_dir).with(&LOW).with(&debug).start();
    let (mut client, mut stock) = (server.client(), redis.client());
    for command in commands(SETTING).chain(commands(LINES)) {
        let (ours, theirs) = (client.ask(&command), stock.ask(&command));
        if command[0] == "EXPIRETIME" {
            continue;
        }
        assert_eq!(ordered(&command, &ours), ordered(&command, &theirs), "{command:?}");
    }
    let keys = ["a", "b", "e2", "f2", "r2", "r4", "r5", "g", "c3", "u", "v", "w"];
    let encodings = |server: &ServerProcess| -> Vec<Reply> {
        let mut client = server.client();
        keys.iter().map(|key| client.ask(&["OBJECT", "ENCODING", key])).collect()
    };
    assert_eq!(encodings(&server), encodings(&redis));
    let before = (digest(&server), encodings(&server));
    assert_eq!(before.0, digest(&redis));
    server.stop();
    let server = ours.start();
    assert_eq!((digest(&server), encodings(&server)), before, "after a restart");
}

#[test]
fn what_moves_or_is_made_of_others_reaches_every_shard() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    let mut ask = |line: &str| client.ask(&line.split(' ').collect::<Vec<_>>());
    for line in ["SETBIT bits 3 1", "PFADD sketch a b c", "RPUSH list 2 1", "MSET w_1 9 w_2 1"] {
        ask(line);
    }
    for number in 0..20 {
        let text = |reply: Reply| reply.text();
        ask("RPUSH from x");
        assert_eq!(text(ask(&format!("RPOPLPUSH from to{number}"))), "x");
        assert_eq!(text(ask(&format!("LMOVE to{number} end{number} LEFT LEFT"))), "x");
        assert_eq!(ask(&format!("EXISTS from to{number} end{number}")), Reply::Int(1));
        assert_eq!(ask(&format!("BITOP NOT b{number} bits")), Reply::Int(1));
        assert_eq!(ask(&format!("BITCOUNT b{number}")), Reply::Int(7));
        assert!(ask(&format!("PFMERGE p{number} sketch")).is_ok());
        assert_eq!(ask(&format!("PFCOUNT p{number}")), Reply::Int(3));
        assert_eq!(ask(&format!("SORT list BY w_* STORE s{number}")), Reply::Int(2));
        assert_eq!(text(ask(&format!("LINDEX s{number} 0"))), "2");
    }
}
