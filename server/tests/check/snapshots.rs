//! RDB files by themselves, and what `export` makes of directories.

use super::quire_check;
use crate::{
    interchange::fill,
    support::{
        process::{Launch, fresh_dir},
        run,
    },
};
use std::fs;

#[test]
fn an_rdb_file_of_either_server_is_told_and_a_damaged_one_refused() {
    let dir = fresh_dir();
    let path = dir.path().join("dump.rdb");
    let file = path.to_str().expect("test paths are UTF-8");
    let mut digests = Vec::new();
    for (launch, index) in [
        (Launch::redis(dir.path()), "\"chunks\":null"),
        (Launch::quire(dir.path()).with(&["--shards", "2"]), "\"chunks\":"),
    ] {
        let server = launch.with(&["--appendonly", "no"]).start();
        let mut client = server.client();
        if digests.is_empty() {
            fill(&mut client);
        }
        assert!(client.ask(&["SAVE"]).is_ok());
        let digest = client.ask(&["DEBUG", "DIGEST"]).text();
        server.stop();
        let said = quire_check(&[file, "--json"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let found = [index, "\"state\":\"clean\"", "\"type\":\"stream\"", "\"db\":3", &digest];
        for found in found {
            assert!(said.out.contains(found), "{found} is not in {}", said.out);
        }
        let said = quire_check(&[file]);
        assert!(said.out.contains("stream  1 keys, 2 elements"), "{}", said.out);
        digests.push(digest);
    }
    assert_eq!(digests[0], digests[1]);
    let mut bytes = fs::read(&path).expect("it was saved");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("the directory is ours");
    let said = quire_check(&[file, "--json"]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.contains("\"state\":\"damaged\""), "{}", said.out);
    let said = quire_check(&[file, "--fix"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("--fix and --dump are about log directories"), "{}", said.err);
}

#[test]
fn what_is_exported_stock_redis_loads_with_the_same_digest() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    let server = Launch::quire(&data).with(&["--shards", "3", "--appendonly", "yes"]).start();
    let mut client = server.client();
    fill(&mut client);
    let digest = client.ask(&["DEBUG", "DIGEST"]).text();
    server.stop();
    let (first, out) = (dir.path().join("first.rdb"), dir.path().join("dump.rdb"));
    let text = |path: &std::path::Path| path.to_str().expect("test paths are UTF-8").to_owned();
    // A directory, then an RDB file.
    for (from, to) in [(&data, &first), (&first, &out)] {
        let said = quire_check(&["export", &text(from), &text(to)]);
        assert_eq!(said.code, 0, "{}", said.err);
        let checked = run("redis-check-rdb", &[&text(to)]);
        assert!(checked.contains("RDB looks OK!"), "{checked}");
    }
    let redis = Launch::redis(dir.path()).with(&["--appendonly", "no"]).start();
    assert_eq!(redis.client().ask(&["DEBUG", "DIGEST"]).text(), digest);
    let said = quire_check(&["export", &text(&dir.path().join("nothing")), &text(&out)]);
    assert_eq!(said.code, 3);
}
