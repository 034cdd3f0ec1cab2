//! Commands about connections and the server, compared with stock Redis reply by reply.

use crate::support::{
    client::{Client, Reply},
    process::{Launch, ServerProcess, fresh_dir},
};

/// Lines that both servers answer alike. `;` separates commands of one connection; words may be
/// in double quotes.
const ALIKE: &str = r#"
select abc; select 16; select -1; select 99999999999; select 15; select 0
auth a; auth a b; auth default x; auth a b c; auth
hello 4; hello x; hello 3 foo; hello 2 auth a; hello 2 auth a b; hello 2 setname
hello 2 setname "a b"; client getname; client setname x; client getname; reset; client getname
ping a b; ping a; PING; echo; echo a; echo a b
client; client foo; client foo bar; client id x; client getname x
client kill; client kill a; client kill id 0; client kill id x; client kill id 99999
client kill type x y; client kill type foo id 3; client kill user nobody skipme no
client kill skipme maybe id 3; client kill id 3 skipme; client kill laddr x type normal
client list x; client list type foo; client list type pubsub; client list id x; client list id
client setname; client setname "a b"; client setname ""; client getname
client reply; client reply x
config; config foo; config get; config set a; config set a b c; config set a b
config set maxclients x; config set maxclients 0; config set timeout -1
config set timeout 1 timeout 2; config set TIMEOUT 1 Timeout 2; config set appendfilename x
config set loglevel loud; config set protected-mode 1
config set hz 100; config get hz; config set hz 1000; config get hz; config set hz 10
config set client-output-buffer-limit "normal 1 2"
config set client-output-buffer-limit "foo 1 2 3"
config set client-output-buffer-limit "normal a 2 3"
config set client-output-buffer-limit "normal 0 0 0 replica 1mb 2k 3"
config get client-output-buffer-limit
config set proto-max-bulk-len 1mb; config get proto-max-bulk-len
config get save; config get maxmemory; config get MAXMEMORY; config get timeout timeout
config get Timeout timeout; config get TIMEOUT tim[e]out
config get nope; config get databases; config get unixsocketperm
config set protected-mode no; config get protected-mode; config set protected-mode yes
command foo; command count x; command info nope; command info nope nope2; command docs nope
command getkeys; command getkeys get; command getkeys nope a; command getkeys ping a
command getkeys get a b; command getkeys mset a b c d; command getkeys del a b c
command getkeysandflags set k v; command getkeysandflags set k v get; command getkeysandflags
command getkeysandflags mset a 1 b 2; command getkeysandflags rename a b; command getkeysandflags copy a b
command getkeysandflags del a b; command getkeysandflags get a; command getkeysandflags ping a
command getkeysandflags object encoding x; command getkeysandflags append a b
command getkeys object encoding x; command getkeys config get x
command getkeys eval x 0; command getkeys eval x y a; command getkeys fcall f 2 a; command getkeys eval x 1 a b
command getkeysandflags eval x 0; command getkeys zunion 0 a
command getkeysandflags bitfield k get u8 0; command getkeysandflags bitfield k nope
command getkeysandflags bitfield k overflow sat get u8 0; command getkeysandflags bitfield k set u8 0 1
command getkeysandflags bitfield k get u8; command getkeysandflags bitfield k get u8 set get u8 0
command list filterby foo; command list filterby foo bar; command list filterby pattern xge*
command list filterby pattern GETRAN*; command list filterby pattern config|get
command list filterby aclcat nope; command list filterby module nope
xadd w 1-1 f v; watch w; xsetid w 9-0; xgroup create w g 0; xgroup setid w g 0; multi; ping; exec
watch w; xreadgroup group g c streams w >; xack w g 1-1; xgroup createconsumer w g d; multi; ping; exec
watch w; xclaim w g d 0 1-1 force; xgroup delconsumer w g d; xgroup destroy w g; multi; ping; exec
watch w; xadd w 99-1 f v; multi; ping; exec; watch w; xdel w 1-1; multi; ping; exec
watch w; xtrim w maxlen 0; multi; ping; exec; del w; watch w; xgroup create w g 0 mkstream; multi; ping; exec
debug; debug foo; debug sleep; debug sleep x; debug sleep 0.01; debug digest x; debug digest
debug digest-value; debug digest-value nokey nokey2
set a hello; set b world; select 3; set c 1; select 0; debug digest; debug digest-value a b c d
expire a 100; debug digest; debug digest-value a; flushall; debug digest
slowlog; slowlog foo; slowlog get -2; slowlog get a; slowlog len x; slowlog reset x; slowlog get 1 2
slowlog help; latency help; latency foo; latency history nosuch; latency reset nosuch; latency reset
latency graph nosuch; latency history; latency latest x; latency histogram nosuch nosuch2
client tracking foo; client tracking off; client trackinginfo; client getredir; client caching yes
client no-evict x; client no-evict on; client no-evict off; client pause x; client pause -1
client pause 0 foo; client pause 0 write x; client pause 0; client unpause; client unpause x
client unblock x; client unblock 5 foo; client unblock 99999; client unblock 1 timeout x
wait x 1; wait 0 x; wait 0 -1; wait 0 0; wait -1 0; wait 1 1; lastsave x; monitor x
config resetstat x; config resetstat; debug object nokey; debug set-active-expire 1
time x; info nosuch; reset; reset x; shutdown foo; shutdown abort
foo; foo bar baz; "" a; get; object foo
"#;

/// Words of a command line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.trim().split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn both(dir: &std::path::Path) -> [ServerProcess; 2] {
    let no_log = ["--appendonly", "no", "--save", ""];
    let redis_dir = dir.join("redis");
    std::fs::create_dir(&redis_dir).expect("the directory is fresh");
    [
        Launch::quire(dir).with(&no_log).with(&["--shards", "2"]).start(),
        Launch::redis(&redis_dir).with(&no_log).start(),
    ]
}

#[test]
fn replies_are_those_of_stock_redis() {
    let dir = fresh_dir();
    let servers = both(dir.path());
    let mut different = Vec::new();
    for line in ALIKE.lines().filter(|line| !line.is_empty()) {
        let [mut ours, mut theirs] = servers.each_ref().map(ServerProcess::client);
        for command in line.split(';').map(words) {
            let (ours, theirs) = (ours.ask(&command), theirs.ask(&command));
            if ours != theirs {
                different.push(format!("{command:?}\n  quire {ours:?}\n  redis {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn passwords_guard_as_in_stock_redis() {
    let dir = fresh_dir();
    let servers = both(dir.path());
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut first = server.client();
        let mut replies = vec![first.ask(&["config", "set", "requirepass", "foo"])];
        // Whoever was connected stays in.
        replies.push(first.ask(&["ping"]));
        let mut second = server.client();
        let lines = "ping; get a; select 1; hello; nosuch; get; auth bar; auth x foo; \
                     hello 2 auth default bar; ping; auth foo; ping; reset; ping; \
                     auth default foo; ping; config get requirepass";
        for line in lines.split(';') {
            replies.push(second.ask(&words(line)));
        }
        // Strangers may send only small commands, and are thrown out otherwise.
        let mut third = server.client();
        third.send(b"*11\r\n").expect("it is connected");
        replies.push(third.receive().expect("an answer before it is closed"));
        assert!(third.receive().is_err());
        // Without a password everybody is in, whoever was kept out included.
        let mut fourth = server.client();
        replies.push(fourth.ask(&["get", "a"]));
        replies.push(second.ask(&["config", "set", "requirepass", ""]));
        replies.push(second.ask(&["auth", "foo"]));
        replies.push(fourth.ask(&["get", "a"]));
        replies
    });
    assert_eq!(ours, theirs);
}

/// The names a COMMAND INFO reply gives at `place`, in any order.
fn sorted(info: &Reply, place: usize) -> Vec<String> {
    let Reply::Array(parts) = info else { panic!("{info:?}") };
    let Reply::Array(names) = &parts[place] else { panic!("{info:?}") };
    let mut names: Vec<String> = names.iter().map(Reply::text).collect();
    names.sort();
    names
}

/// What a COMMAND INFO reply says is done with keys: words of every key specification.
fn key_words(info: &Reply) -> Vec<Vec<String>> {
    let Reply::Array(parts) = info else { panic!("{info:?}") };
    let Reply::Array(specs) = &parts[8] else { panic!("{info:?}") };
    let words = |spec: &Reply| {
        let Reply::Array(fields) = spec else { panic!("{spec:?}") };
        let flags = fields.chunks(2).find(|pair| pair[0].text() == "flags").expect("flags");
        let Reply::Array(words) = &flags[1] else { panic!("{spec:?}") };
        let mut words: Vec<String> = words.iter().map(Reply::text).collect();
        words.sort();
        words
    };
    specs.iter().map(words).collect()
}

#[test]
fn command_info_is_that_of_stock_redis() {
    let dir = fresh_dir();
    let servers = both(dir.path());
    let [mut ours, mut theirs] = servers.each_ref().map(ServerProcess::client);
    let Reply::Array(names) = ours.ask(&["command", "list"]) else { panic!("no list") };
    assert!(names.len() > 80);
    let mut unknown = Vec::new();
    for name in names.iter().map(Reply::text) {
        let first = |client: &mut Client| match client.ask(&["command", "info", &name]) {
            Reply::Array(mut infos) => infos.remove(0),
            other => panic!("{other:?}"),
        };
        let (ours, theirs) = (first(&mut ours), first(&mut theirs));
        if theirs == Reply::Null {
            unknown.push(name);
            continue;
        }
        let (Reply::Array(a), Reply::Array(b)) = (&ours, &theirs) else { panic!("{ours:?}") };
        // Name, arity; first key, last key, step.
        assert_eq!((&a[..2], &a[3..6]), (&b[..2], &b[3..6]), "{name}");
        assert_eq!(sorted(&ours, 2), sorted(&theirs, 2), "flags of {name}");
        assert_eq!(sorted(&ours, 6), sorted(&theirs, 6), "categories of {name}");
        assert_eq!(key_words(&ours), key_words(&theirs), "key flags of {name}");
    }
    // Those of newer versions.
    let (backup, unknown): (Vec<&str>, Vec<&str>) =
        unknown.iter().map(String::as_str).partition(|name| name.starts_with("backup"));
    assert_eq!(backup.len(), 5, "{backup:?}");
    assert_eq!(unknown, ["client|setinfo", "client|no-touch", "waitaof"]);
}

#[test]
fn replies_can_be_switched_off() {
    let dir = fresh_dir();
    let servers = both(dir.path());
    for server in &servers {
        let mut client = server.client();
        let mut said = |lines: &[&str]| {
            for line in lines {
                let mut request = Vec::new();
                crate::support::client::push_command(&mut request, &words(line));
                client.send(&request).expect("it is connected");
            }
            // The answer to the last one.
            client.receive().expect("an answer")
        };
        assert!(
            said(&["client reply off", "ping", "set a 1", "nosuch", "client reply on"]).is_ok()
        );
        assert_eq!(said(&["client reply skip", "ping", "echo b"]), Reply::Bulk(b"b".to_vec()));
        assert_eq!(said(&["client reply skip", "set a 2", "get a"]), Reply::Bulk(b"2".to_vec()));
    }
}

#[test]
fn clients_of_all_shards_are_listed_and_killed() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path())
        .with(&["--appendonly", "no", "--save", "", "--shards", "2"])
        .start();
    let mut clients: Vec<Client> = (0..6).map(|_| server.client()).collect();
    let mut ids = Vec::new();
    for (index, client) in clients.iter_mut().enumerate() {
        assert!(client.ask(&["client", "setname", &format!("c{index}")]).is_ok());
        let Reply::Int(id) = client.ask(&["client", "id"]) else { panic!("no id") };
        ids.push(id);
    }
    let mut asker = clients.pop().expect("there are six");
    let list = asker.ask(&["client", "list"]).text();
    // Shards give out ids in parallel, so not quite in the order in which clients came.
    let mut names: Vec<&str> =
        list.lines().filter_map(|line| line.split(' ').find(|f| f.starts_with("name="))).collect();
    names.sort_unstable();
    assert_eq!(names, ["name=c0", "name=c1", "name=c2", "name=c3", "name=c4", "name=c5"]);
    for shard in ["shard=0", "shard=1"] {
        assert!(list.lines().any(|line| line.ends_with(shard)), "{list}");
    }
    // By id on either shard, by address, then all but the asker, then the asker.
    for id in &ids[..2] {
        assert_eq!(asker.ask(&["client", "kill", "id", &id.to_string()]), Reply::Int(1));
    }
    let line = list.lines().find(|line| line.contains(" name=c2 ")).expect("six lines");
    let address = line.split(' ').find_map(|f| f.strip_prefix("addr=")).expect("an address");
    assert!(asker.ask(&["client", "kill", address]).is_ok());
    for client in &mut clients[..3] {
        assert!(client.try_ask(&["ping"]).is_err());
    }
    assert_eq!(asker.ask(&["client", "kill", "type", "normal"]), Reply::Int(2));
    assert_eq!(asker.ask(&["client", "list"]).text().lines().count(), 1);
    assert_eq!(asker.ask(&["client", "kill", "skipme", "no"]), Reply::Int(1));
    assert!(asker.try_ask(&["ping"]).is_err());
}

#[test]
fn info_counts_what_this_client_did_a_moment_ago() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path())
        .with(&["--appendonly", "no", "--save", "", "--shards", "2"])
        .start();
    let mut client = server.client();
    for key in ["a", "b", "c", "d", "e"] {
        assert!(client.ask(&["set", key, "1"]).is_ok());
    }
    assert_eq!(client.ask(&["expire", "a", "100"]), Reply::Int(1));
    let errors = |info: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix("total_error_replies:"));
        line.and_then(|value| value.parse().ok()).expect("there is such a line")
    };
    let before = errors(&client.ask(&["info", "stats"]).text());
    assert!(client.ask(&["nosuch"]).is_error("ERR"));
    assert!(client.ask(&["set", "text", "x"]).is_ok());
    assert!(client.ask(&["incr", "text"]).is_error("ERR"));
    assert_eq!(client.ask(&["del", "text"]), Reply::Int(1));
    // EXEC fails by itself without MULTI, and for a command that could not be queued.
    assert!(client.ask(&["exec"]).is_error("ERR"));
    assert!(client.ask(&["multi"]).is_ok());
    assert!(client.ask(&["set"]).is_error("ERR"));
    assert!(client.ask(&["exec"]).is_error("EXECABORT"));
    let info = client.ask(&["info", "everything"]).text();
    for expected in [
        "redis_version:7.0.15",
        "aof_enabled:0",
        "rdb_changes_since_last_save:8",
        "shards:2",
        "errorstat_ERR:count=4",
        "errorstat_EXECABORT:count=1",
    ] {
        assert!(info.lines().any(|line| line == expected), "{expected} is not in {info}");
    }
    for beginning in [
        "db0:keys=5,expires=1,avg_ttl=",
        "cmdstat_set:calls=6,usec=",
        "cmdstat_expire:calls=1,usec=",
        "latency_percentiles_usec_set:p50=",
    ] {
        assert!(info.lines().any(|line| line.starts_with(beginning)), "{beginning} in {info}");
    }
    let line = |beginning| info.lines().find(|line| line.starts_with(beginning));
    let incr = line("cmdstat_incr:").expect("it was called");
    assert!(incr.ends_with("rejected_calls=0,failed_calls=1"), "{incr}");
    let exec = line("cmdstat_exec:calls=2,").expect("it was called twice");
    assert!(exec.ends_with("rejected_calls=0,failed_calls=2"), "{exec}");
    assert_eq!(errors(&info), before + 5);
    let field = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {info}"))
    };
    assert!(field("used_memory:") > 100_000 && field("used_memory_rss:") > 1_000_000);
    assert!(field("used_memory_peak:") >= field("used_memory:"));
}

#[test]
fn settings_change_while_the_server_runs() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    let mut client = server.client();
    assert!(client.ask(&["config", "set", "appendfsync", "always", "maxclients", "3"]).is_ok());
    let info = client.ask(&["info", "shards"]).text();
    assert_eq!(info.matches("fsync=always").count(), 2, "{info}");
    assert!(
        client.ask(&["config", "set", "appendfsync-shard", "1/2 no"]).is_ok(),
        "a policy for one shard"
    );
    let info = client.ask(&["info", "shards"]).text();
    assert!(info.contains("fsync=always") && info.contains("fsync=no"), "{info}");
    // Longer arguments than connections were made with.
    let long = "x".repeat(2 << 20);
    assert!(client.ask(&["config", "set", "proto-max-bulk-len", "1mb"]).is_ok());
    let mut cut = server.client();
    cut.send(b"*2\r\n$4\r\nECHO\r\n$2097152\r\n").expect("it is connected");
    assert!(cut.receive().expect("an answer").is_error("ERR Protocol error: invalid bulk length"));
    assert!(client.ask(&["config", "set", "proto-max-bulk-len", "4mb"]).is_ok());
    assert_eq!(client.ask(&["echo", &long]).text(), long);
    drop(cut);
    let _others = [server.client(), server.client()];
    let mut fourth = server.client();
    let refusal = fourth.try_ask(&["ping"]).expect("a refusal");
    assert_eq!(refusal, Reply::Error("ERR max number of clients reached".to_owned()));
}
