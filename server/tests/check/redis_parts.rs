//! What stock Redis wrote: torn last commands, damage in its part, appends over a torn log.

use super::{Directory, Place, Segment, builder, finding, two_commits};
use builder::{body, resp};
use quire_engine::manifest::Kind;

const FIRST: &str = "appendonly.aof.1.s0.incr.aof";

#[test]
fn a_torn_last_command() {
    let mut directory = Directory::new();
    let whole = body(&["SET a 1"]);
    let torn = resp("SET b 2");
    let bytes = [&whole[..], &torn[..torn.len() - 3]].concat();
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &bytes);
    let place = Place::of(&directory.stocks());
    let what = finding("torn", "torn-command", "appendonly.aof.1.incr.aof", Some(whole.len()));
    place.expect(1, &[&what, "foreign-manifest"]);
    place.repaired(&[], &[("a", "1")]);
}

#[test]
fn commands_behind_the_end_line_and_a_torn_one_behind_them() {
    let segment = two_commits().end().raw(&body(&["SET a new"])).raw(b"*3\r\n$3\r\nSET");
    let at = segment.bytes.len() - 11;
    let place = Place::of(&Directory::of([segment]).ours());
    place.expect(1, &[&finding("torn", "torn-command", FIRST, Some(at))]);
    place.repaired(&[], &[("a", "new"), ("b", "2")]);
}

#[test]
fn garbage_behind_the_end_line() {
    let segment = two_commits().end();
    let at = segment.bytes.len();
    let place = Place::of(&Directory::of([segment.raw(b"garbage")]).ours());
    place.expect(2, &[&finding("damage", "damaged-redis-part", FIRST, Some(at))]);
    place.not_repaired(&["--accept-loss"], &["damaged-redis-part", "redis-check-aof --fix"]);
}

#[test]
fn a_redis_server_that_appended_over_a_torn_log() {
    let torn = Segment::new(1, 1).commit(&["SET x 1"]).torn(3);
    let taken = Segment::new(0, 2).commit(&["SET a 1"]).raw(&body(&["SET a new"]));
    let place = Place::of(&Directory::of([torn, taken]).ours());
    let file = "appendonly.aof.2.s0.incr.aof";
    place.expect(2, &[&finding("damage", "redis-over-torn", file, None), "BGREWRITEAOF"]);
    place.not_repaired(&["--accept-loss"], &["redis-over-torn"]);
}

#[test]
fn a_base_that_is_cut_off() {
    let mut directory = Directory::new();
    let base = b"REDIS0010\xfa\x09redis-ver\x067.0";
    directory.add_file("appendonly.aof.1.base.rdb", Kind::Base, base);
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &body(&["SET a 1"]));
    let place = Place::of(&directory.stocks());
    let what = "\"kind\":\"damaged-rdb\",\"file\":\"appendonly.aof.1.base.rdb\"";
    place.expect(2, &[what]);
    place.not_repaired(&["--accept-loss"], &["damaged-rdb"]);
}

#[test]
fn a_command_nobody_knows_is_found_by_loading() {
    let mut directory = Directory::new();
    let known = body(&["SET a 1"]);
    let bytes = [&known[..], &resp("NOSUCH x")].concat();
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &bytes);
    let place = Place::of(&directory.stocks());
    let said = place.run(&["--load", "--json"]);
    let what = finding("damage", "unknown-command", "appendonly.aof.1.incr.aof", Some(known.len()));
    assert!(said.code == 2 && said.out.contains(&what), "{}", said.out);
    place.agrees_with_the_server(2);
}
