//! Promises of the configuration.

use super::*;
use std::{ffi::OsString, path::Path};

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_lines(&read_text(text.as_bytes(), Origin::StandardInput)?)
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

fn run(arguments: &[&str]) -> (Option<PathBuf>, Config) {
    match parse_arguments(arguments.iter().map(OsString::from).collect()).unwrap() {
        Invocation::Run { file, lines } => (file, Config::from_lines(&lines).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn live(text: &str) -> LiveConfig {
    let mut config = load(text).unwrap();
    config.resolve(4).unwrap();
    LiveConfig::new(config)
}

fn get(live: &LiveConfig, patterns: &[&str]) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let found = live.get(patterns.iter().map(|p| p.as_bytes()));
    found.into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn set(live: &LiveConfig, pairs: &[(&str, &str)]) -> Result<(), String> {
    let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    live.set(&pairs, false, |_, _| Ok(())).map_err(|error| error.to_string())
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs").join(name)
}

#[test]
fn every_sample_file_is_accepted() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(sample("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let lines = read_file(&path).unwrap();
        let mut config = Config::from_lines(&lines).unwrap_or_else(|e| panic!("{e}"));
        config.resolve(4).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["cache.conf", "default.conf", "durable.conf", "mixed.conf"]);
}

#[test]
fn default_sample_spells_out_the_defaults() {
    let lines = read_file(&sample("default.conf")).unwrap();
    let written = Config::from_lines(&lines).unwrap();
    let expected = Config { dir: "./".into(), ..Config::default() };
    assert_eq!(written, expected);
    // ... and nearly every directive that has one.
    let missing: Vec<_> = table()
        .filter(|row| !lines.iter().any(|line| line.words[0] == row.name.as_bytes()))
        .map(|row| row.name)
        .collect();
    let commented = ["unixsocket", "unixsocketperm", "requirepass", "appendfsync-shard", "save"];
    assert_eq!(missing, commented);
}

#[test]
fn names_are_unique_and_every_default_can_be_set() {
    let mut names: Vec<_> =
        table().map(|r| r.name).chain(foreign::TABLE.iter().map(|r| r.name)).collect();
    names.extend(alias::ALIASES.iter().map(|(old, _)| *old));
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for row in table() {
        let mut config = Config { shards: 1, ..Config::default() };
        let value = row.get(&config);
        row.set_from_client(&mut config, &value).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        assert_eq!(row.get(&config), value, "{}", row.name);
        assert!(row.doc.ends_with('.') && row.doc.is_ascii(), "{}", row.name);
    }
}

#[test]
fn errors_name_the_place_the_directive_and_what_is_allowed() {
    let cases = [
        (
            "\n port x",
            "standard input:2: port: argument couldn't be parsed into an integer; \
            allowed: a number from 0 to 65535",
        ),
        (
            "port 65536",
            "standard input:1: port: argument must be between 0 and 65535 inclusive; \
            allowed: a number from 0 to 65535",
        ),
        (
            "port",
            "standard input:1: port: wrong number of arguments; allowed: a number from 0 to \
            65535",
        ),
        (
            "protected-mode maybe",
            "standard input:1: protected-mode: argument must be 'yes' or \
            'no'",
        ),
        (
            "appendfsync sometimes",
            "standard input:1: appendfsync: argument(s) must be one of the \
            following: everysec, always, no",
        ),
        (
            "unixsocketperm 999",
            "standard input:1: unixsocketperm: argument couldn't be parsed as \
            an octal number; allowed: an octal number from 0 to 777",
        ),
        (
            "aof-segment-size 1kb",
            "standard input:1: aof-segment-size: argument must be between \
            65536 and 17179869184 inclusive; allowed: bytes from 65536 to 17179869184, units k \
            kb m mb g gb",
        ),
        (
            "bind localhost",
            "standard input:1: bind: 'localhost' is not an IP address, nor * nor \
            ::*",
        ),
        ("prot 1", "standard input:1: prot: there is no such directive; did you mean `port`?"),
        ("xyzzy 1", "standard input:1: xyzzy: there is no such directive (--help lists all)"),
        ("port \"6379", "standard input:1: unbalanced quotes in `port \"6379`"),
        (
            "maxmemory-policy lru",
            "standard input:1: maxmemory-policy: argument(s) must be one of the following: \
            volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, \
            allkeys-random, noeviction",
        ),
        ("save 900", "standard input:1: save: Invalid save parameters"),
        (
            "aof-load-truncated no",
            "standard input:1: aof-load-truncated: only yes is accepted: an unsynced tail is always \
            cut, and said to be",
        ),
        (
            "replicaof h 1",
            "standard input:1: replicaof: only \"\" is accepted: Quire does not replicate \
            yet",
        ),
        (
            "tls-cert-file x",
            "standard input:1: tls-cert-file: only \"\" is accepted: Quire does not \
            speak TLS",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn directives_that_ask_for_nothing_are_accepted() {
    let text = "save \"\"\nmaxmemory 0mb\nMAXMEMORY-POLICY noeviction\ndaemonize no\n\
                supervised no\nappendonly no # not a comment, as in Redis";
    assert!(load(text).is_err());
    let config = load(text.rsplit_once(" #").unwrap().0).unwrap();
    assert!(!config.appendonly);
}

#[test]
fn included_files_count_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let write = |name: &str, text: String| std::fs::write(path(name), text).unwrap();
    write("inner.conf", "port 2\nhz 50\n".to_owned());
    write("outer.conf", format!("port 1\ninclude {}\nhz 60\n", path("inner.conf").display()));
    let config = Config::from_lines(&read_file(&path("outer.conf")).unwrap()).unwrap();
    assert_eq!((config.port, config.hz), (2, 60));

    write("inner.conf", "\nport x\n".to_owned());
    let lines = read_file(&path("outer.conf")).unwrap();
    let error = Config::from_lines(&lines).unwrap_err();
    assert_eq!(error.origin, Origin::File(path("inner.conf"), 2));

    write("inner.conf", format!("include {}\n", path("outer.conf").display()));
    let error = read_file(&path("outer.conf")).unwrap_err();
    assert_eq!(error.origin, Origin::File(path("inner.conf"), 1));
    let [outer, inner] = ["outer.conf", "inner.conf"].map(|name| path(name).display().to_string());
    let chain = format!("a file includes itself: {outer} -> {inner} -> {outer}");
    assert_eq!(error.reason, chain);
    for n in 0..20 {
        write(&n.to_string(), format!("include {}", path(&(n + 1).to_string()).display()));
    }
    let error = read_file(&path("0")).unwrap_err().to_string();
    assert!(error.contains("more than 16 deep"), "{error}");
    let error = read_file(&path("none.conf")).unwrap_err().to_string();
    assert!(error.ends_with("none.conf: No such file or directory"), "{error}");
}

#[test]
fn patterns_include_every_file_they_match_in_order_and_may_match_none() {
    let dir = tempfile::Builder::new().prefix("odd[1]").tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    write("conf.d/20-b.conf", "port 20\n");
    write("conf.d/10-a.conf", "port 10\nhz 30\n");
    write("conf.d/.hidden.conf", "port 99\n");
    write("conf.d/readme", "no directive\n");
    // As in Redis relative names start from where the lines before have moved the server to.
    let here = dir.path().display();
    let lines = |text: String| read_text(text.as_bytes(), Origin::StandardInput);
    let text = format!("dir \"{here}\"\ninclude conf.d/*.conf\ninclude conf.d/[xy]*\ntimeout 3");
    let config = Config::from_lines(&lines(text).unwrap()).unwrap();
    assert_eq!((config.port, config.hz, config.timeout), (20, 30, 3));
    let text = format!("dir \"{here}/conf.d\"\ninclude 10-a.conf");
    assert_eq!(Config::from_lines(&lines(text).unwrap()).unwrap().port, 10);
    let error = lines(format!("dir \"{here}\"\ninclude 10-a.conf")).unwrap_err().to_string();
    assert!(error.starts_with("standard input:2: include: cannot read"), "{error}");
}

#[test]
fn renamed_commands_are_checked_when_they_are_read() {
    let names = |text: &str| command_names(&load(text).unwrap()).unwrap();
    let renamed = names(
        "rename-command FLUSHALL \"\"\nrename-command get Fetch\n\
                         rename-command fetch get",
    );
    assert_eq!(renamed.get(b"get".as_slice()), Some(&"get"));
    assert!(!renamed.contains_key(b"flushall".as_slice()));
    assert!(!renamed.contains_key(b"fetch".as_slice()));
    let swapped = names("rename-command get x\nrename-command set get\nrename-command x set");
    assert_eq!(swapped.get(b"get".as_slice()), Some(&"set"));
    for (text, reason) in [
        ("rename-command nothing x", "No such command in rename-command"),
        ("rename-command get set", "Target command name already exists"),
        ("rename-command config|get x", "No such command in rename-command"),
        ("rename-command get", "wrong number of arguments"),
    ] {
        assert!(refusal(text).ends_with(reason), "{}", refusal(text));
    }
}

#[test]
fn old_names_mean_what_the_new_ones_mean() {
    let live = live(
        "slave-read-only yes\nlua-time-limit 5000\nhash-max-ziplist-value 64\n\
                     ignore-warnings ARM64-COW-BUG\nlist-max-ziplist-value 7",
    );
    let found = get(&live, &["*of", "slave-priority", "key-load-delay"]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("replicaof", ""),
        pair("slaveof", ""),
        pair("slave-priority", "100"),
        pair("key-load-delay", "0"),
    ];
    assert_eq!(found, expected);
    assert!(get(&live, &["*"]).iter().all(|(name, _)| name != "key-load-delay"));
    set(&live, &[("slave-priority", "100")]).unwrap();
    assert!(set(&live, &[("slave-priority", "100"), ("replica-priority", "100")]).is_err());
}

#[test]
fn the_documented_directives_are_those_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == markdown(),
        "bring it up to date: cargo run -- --reference > docs/configuration.md"
    );
}

#[test]
fn command_line_is_read_as_redis_reads_it() {
    let (file, config) = run(&["--port", "7000", "--save", "", "--bind", "127.0.0.1", "::1"]);
    assert_eq!((file, config.port), (None, 7000));
    assert_eq!(config.bind, ["127.0.0.1", "::1"]);
    // A value may look like a directive, a directive may bring its value along, --save may stand
    // alone, and later words count over the file's.
    let (_, config) = run(&["--requirepass", "--x", "--save", "--port 7001", "--hz", "20"]);
    assert_eq!((config.port, config.hz), (7001, 20));
    assert_eq!(config.requirepass, b"--x");
    let path = sample("durable.conf");
    let (file, config) = run(&[path.to_str().unwrap(), "--appendfsync", "no", "--save"]);
    assert_eq!(file, Some(path));
    assert_eq!(config.appendfsync, FsyncPolicy::No);
    assert_eq!(config.aof_segment_size, 256 << 20);
    let ask = |words: &[&str]| parse_arguments(words.iter().map(OsString::from).collect());
    assert_eq!(ask(&["--version"]), Ok(Invocation::Version));
    assert_eq!(ask(&["-h"]), Ok(Invocation::Help));
    assert_eq!(
        ask(&["-x"]).unwrap_err().to_string(),
        "command line: `-x` is neither a configuration file nor a --directive"
    );
    assert!(table().all(|row| usage().contains(row.doc)));
}

#[test]
fn shard_policies_hold_only_for_the_number_of_shards_they_were_written_for() {
    use FsyncPolicy::{Always, EverySec, No};
    let text = "shards 4\nappendfsync-shard 0,2-3/4 always\nappendfsync-shard \"3/4 no\"";
    let mut config = load(text).unwrap();
    config.resolve(1).unwrap();
    assert_eq!(config.fsync_policies(), [Always, EverySec, Always, No]);
    assert_eq!(
        find(b"appendfsync-shard").unwrap().get(&config),
        b"0,2-3/4 always 3/4 no".as_slice()
    );
    let mut config = load("appendfsync-shard 0-1/4 always").unwrap();
    let error = config.resolve(2).unwrap_err().to_string();
    assert_eq!(
        error,
        "configuration: appendfsync-shard: '0-1/4 always' was written for 4 shards, but there \
         are 2: keys live on other shards now, so decide anew which ones it is for (or set \
         shards 4)"
    );
    for (value, part) in [
        ("0-4/4 always", "not among the shards 0-3"),
        ("0 always", "must be <list>/"),
        ("1-0/4 no", "not among"),
        ("0/0 no", "not among"),
        ("0/4 maybe", "everysec, always, no"),
        ("0/4", "pairs"),
    ] {
        let error = refusal(&format!("appendfsync-shard {value}"));
        assert!(error.contains(part), "{value}: {error}");
    }
}

#[test]
fn a_server_that_nobody_could_reach_does_not_start() {
    let mut config = load("port 0").unwrap();
    assert!(config.resolve(1).unwrap_err().reason.starts_with("nowhere to listen"));
    load("port 0\nunixsocket /tmp/x.sock").unwrap().resolve(1).unwrap();
}

#[test]
fn config_get_shows_values_as_redis_does() {
    let live = live("requirepass \"a b\"\nunixsocketperm 770\nbind 127.0.0.1 -::1");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(get(&live, &["PORT", "port"]), [pair("PORT", "6379")]);
    assert_eq!(get(&live, &["requirep?ss"]), [pair("requirepass", "a b")]);
    assert_eq!(get(&live, &["unixsocketperm"]), [pair("unixsocketperm", "770")]);
    assert_eq!(get(&live, &["bind", "bin?"]), [pair("bind", "127.0.0.1 -::1")]);
    assert_eq!(get(&live, &["shards"]), [pair("shards", "4")]);
    assert_eq!(get(&live, &["save", "nothing"]), [pair("save", "")]);
    assert_eq!(
        get(&live, &["maxmemory*"]),
        [
            pair("maxmemory", "0"),
            pair("maxmemory-policy", "noeviction"),
            pair("maxmemory-samples", "5"),
            pair("maxmemory-eviction-tenacity", "10"),
            pair("maxmemory-clients", "0")
        ]
    );
    assert_eq!(
        get(&live, &["client-output*"]),
        [pair(
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
        )]
    );
}

#[test]
fn config_set_is_all_or_nothing() {
    let live = live("");
    let before = live.generation();
    assert!(set(&live, &[("timeout", "5"), ("hz", "x")]).is_err());
    assert!(set(&live, &[("timeout", "5"), ("shards", "1")]).is_err());
    let refuse = live.set(&[(b"timeout", b"5")], false, |_, new| {
        assert_eq!(new.timeout, 5);
        Err(("timeout", "no".to_owned()))
    });
    assert!(refuse.is_err());
    assert_eq!((live.generation(), live.load().timeout), (before, 0));
    set(&live, &[("timeout", "5"), ("HZ", "1000"), ("maxmemory", "0")]).unwrap();
    let config = live.load();
    assert_eq!((config.timeout, config.hz), (5, 500));
    assert_ne!(live.generation(), before);
}

#[test]
fn what_a_start_decides_may_be_written_back_but_not_changed() {
    let live = live("shards 3\naof-segment-size 1mb");
    for (name, value) in [("shards", "3"), ("AOF-segment-size", "1048576")] {
        set(&live, &[(name, value)]).unwrap();
    }
    for (name, value) in [("shards", "2"), ("AOF-segment-size", "2mb")] {
        let error = set(&live, &[(name, value)]).unwrap_err().to_string();
        assert!(error.ends_with(&format!("'{name}') - can't set immutable config")), "{error}");
    }
    // Where Redis says so whatever the value is, so does Quire.
    assert!(set(&live, &[("databases", "16")]).is_err());
}

#[test]
fn config_set_errors_are_redis_own() {
    let live = live("");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("foo", "1")], "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (
            &[("SHARDS", "2")],
            "ERR CONFIG SET failed (possibly related to argument 'SHARDS') - can't set \
             immutable config",
        ),
        (
            &[("daemonize", "yes")],
            "ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set \
             immutable config",
        ),
        (
            &[("dir", "/tmp")],
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected \
             config",
        ),
        (
            &[("hz", "1"), ("hz", "2")],
            "ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter",
        ),
        (
            &[("maxclients", "abc")],
            "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument \
             couldn't be parsed into an integer",
        ),
        (
            &[("maxclients", "0")],
            "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument must \
             be between 1 and 4294967295 inclusive",
        ),
        (
            &[("loglevel", "loud")],
            "ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must \
             be one of the following: debug, verbose, notice, warning",
        ),
        (
            &[("client-query-buffer-limit", "1x")],
            "ERR CONFIG SET failed (possibly related to argument 'client-query-buffer-limit') - \
             argument must be a memory value",
        ),
        (
            &[("client-output-buffer-limit", "normal 1 2")],
            "ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') \
             - Wrong number of arguments in buffer limit configuration.",
        ),
        (
            &[("maxmemory-samples", "0")],
            "ERR CONFIG SET failed (possibly related to argument 'maxmemory-samples') - argument \
             must be between 1 and 2147483647 inclusive",
        ),
    ];
    for (pairs, expected) in cases {
        assert_eq!(set(&live, pairs).unwrap_err(), *expected);
    }
}

#[test]
fn shard_policies_change_at_run_time() {
    let live = live("appendfsync-shard 0/4 no");
    set(&live, &[("appendfsync-shard", "1-2/4 always")]).unwrap();
    let policies = live.load().fsync_policies();
    assert_eq!(
        policies.iter().map(|p| p.name()).collect::<Vec<_>>(),
        ["everysec", "always", "always", "everysec"]
    );
    assert!(set(&live, &[("appendfsync-shard", "1-2/8 always")]).unwrap_err().contains("8 shards"));
    set(&live, &[("appendfsync-shard", "")]).unwrap();
    assert_eq!(live.load().appendfsync_shard, []);
}
