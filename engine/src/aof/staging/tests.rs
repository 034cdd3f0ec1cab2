//! Tests of the staging: batches, the read gate, admission.

use super::*;
use crate::effect::Deadline;

fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Effect<'a> {
    Effect::Set { key, value, deadline: Deadline::None }
}

fn body(staging: &mut Staging) -> String {
    let gathered = staging.take(AlignedBuf::new());
    String::from_utf8(gathered.buf.as_slice()[HEADER_BYTES..].to_vec()).unwrap()
}

#[test]
fn a_commit_selects_first_and_whenever_the_database_changes() {
    let mut staging = Staging::new(0, 1);
    for (db, key) in [(0, b"a"), (0, b"b"), (12, b"c")] {
        staging.begin();
        staging.push(db, Effect::Del { key });
        staging.end();
    }
    let expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n\
                    *2\r\n$3\r\nDEL\r\n$1\r\nb\r\n\
                    *2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n";
    assert_eq!(body(&mut staging), expected);
    staging.begin();
    staging.push(12, Effect::Del { key: b"c" });
    staging.end();
    assert!(body(&mut staging).starts_with("*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"));
}

#[test]
fn a_batch_of_several_effects_is_a_transaction_and_one_lsn() {
    let mut staging = Staging::new(0, 1);
    staging.begin();
    staging.push(0, set(b"a", b"1"));
    assert_eq!(staging.end(), 1);
    staging.begin();
    for key in [b"b", b"c", b"d"] {
        staging.push(0, Effect::Del { key });
    }
    assert_eq!(staging.end(), 2);
    let expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
                    *1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n\
                    *2\r\n$3\r\nDEL\r\n$1\r\nd\r\n*1\r\n$4\r\nEXEC\r\n";
    let gathered = staging.take(AlignedBuf::new());
    assert_eq!((gathered.first_lsn, gathered.batches, gathered.last_lsn()), (1, 2, 2));
    assert_eq!(&gathered.buf.as_slice()[HEADER_BYTES..], expected.as_bytes());
    assert_eq!(staging.staged_bytes(), 0);
    assert_eq!(staging.take(AlignedBuf::new()).batches, 0);
}

#[test]
fn a_command_without_effect_takes_no_lsn_and_an_expiry_gates_no_reply() {
    let mut staging = Staging::new(0, 1);
    staging.begin();
    assert_eq!(staging.end(), 0);
    staging.begin();
    staging.push_expiry(0, b"k");
    assert_eq!(staging.end(), 0, "logged, but nobody waits");
    assert_eq!(staging.last_lsn(), 1);
    staging.push_expiry(0, b"k");
    assert_eq!(staging.last_lsn(), 2, "a batch of its own");
    staging.begin();
    staging.push_expiry(0, b"k");
    staging.push(0, set(b"k", b"v"));
    assert_eq!(staging.end(), 3);
}

#[test]
fn replies_wait_for_unsettled_keys_they_touched_while_gating() {
    let mut staging = Staging::new(0, 1);
    staging.set_gating(true);
    staging.begin();
    staging.touch_write(77);
    staging.push(0, Effect::Del { key: b"k" });
    assert_eq!(staging.end(), 1);
    let seen = |staging: &mut Staging, hash| {
        staging.begin();
        staging.touch_read(hash);
        staging.end();
        staging.gate()
    };
    assert_eq!(seen(&mut staging, 77), 1, "an absence is gated too");
    assert_eq!(seen(&mut staging, 78), 0);
    staging.begin();
    staging.touch_everything();
    staging.end();
    assert_eq!(staging.gate(), 1);
    staging.take(AlignedBuf::new());
    assert_eq!(seen(&mut staging, 77), 1);
    staging.settle(1);
    assert_eq!(seen(&mut staging, 77), 0);
}

#[test]
fn writes_are_admitted_against_reserved_space_once_no_more_can_be_had() {
    let mut staging = Staging::new(0, 1);
    staging.set_reserved(2 * LOG_BLOCK_BYTES as u64);
    assert_eq!(staging.admit(1 << 20), Ok(()), "the librarian will prepare more");
    staging.set_space_error(Some("No space left on device".into()));
    assert_eq!(staging.admit(1000), Ok(()));
    assert_eq!(
        staging.admit(LOG_BLOCK_BYTES).unwrap_err().to_string(),
        "MISCONF Errors writing to the AOF file: No space left on device"
    );
    staging.begin();
    staging.push(0, set(b"k", &[b'v'; 4000]));
    staging.end();
    assert!(staging.admit(1000).is_err(), "what is staged counts");
    staging.set_space_error(None);
    assert_eq!(staging.admit(1000), Ok(()));
}

#[test]
fn after_a_failure_unsettled_keys_and_all_writes_are_refused() {
    for gating in [true, false] {
        let mut staging = Staging::new(0, 1);
        staging.set_gating(gating);
        staging.begin();
        staging.touch_write(5);
        staging.push(0, set(b"k", b"v"));
        staging.end();
        assert_eq!(staging.check_read(5), Ok(()));
        staging.set_failed("Input/output error".into());
        let expected = "MISCONF Errors writing to the AOF file: Input/output error";
        assert_eq!(staging.check_read(5).unwrap_err().to_string(), expected);
        assert_eq!(staging.check_read(6), Ok(()));
        assert_eq!(staging.admit(0).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_disabled_log_keeps_nothing() {
    let mut staging = Staging::disabled();
    staging.begin();
    staging.touch_write(1);
    staging.push(0, set(b"k", b"v"));
    staging.push_expiry(0, b"k");
    assert_eq!(staging.end(), 0);
    assert_eq!((staging.staged_bytes(), staging.last_lsn(), staging.gate()), (0, 0, 0));
}

fn transaction(id: u64) -> Option<Transaction> {
    Some(Transaction { id, participants: [0, 2].into_iter().collect() })
}

const LINE_2A: &str = "#T1 000000000000002a 0000000000000000 0000000000000005 \
                       0000000000000000 0000000000000000 0000000000000000\n";

#[test]
fn a_transaction_is_one_batch_whatever_it_consists_of() {
    let mut staging = Staging::new(0, 1);
    staging.begin_transaction(None);
    assert_eq!(staging.end_transaction(), (0, false), "nothing done, nothing logged");
    staging.begin_transaction(None);
    staging.push_expiry(0, b"gone");
    for key in [b"a", b"b"] {
        staging.begin();
        staging.push(0, Effect::Del { key });
        assert_eq!(staging.end(), 0);
    }
    assert_eq!(staging.end_transaction(), (1, true));
    let expected = "*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n\
                    *2\r\n$3\r\nDEL\r\n$4\r\ngone\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n\
                    *2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n";
    assert_eq!(body(&mut staging), expected);
}

#[test]
fn a_part_of_a_transaction_over_several_shards_begins_a_commit_with_its_line() {
    let mut staging = Staging::new(0, 1);
    staging.push(0, Effect::Del { key: b"x" });
    staging.begin_transaction(transaction(0x2a));
    staging.begin();
    staging.push(0, Effect::Del { key: b"a" });
    staging.end();
    assert_eq!(staging.end_transaction(), (2, true));
    staging.push(0, Effect::Del { key: b"y" });
    let gathered = staging.take(AlignedBuf::new());
    assert_eq!((gathered.first_lsn, gathered.batches), (1, 3));
    let [start] = gathered.starts[..] else { panic!("{:?}", gathered.starts) };
    assert_eq!(start.first_lsn, 2);
    let bytes = &gathered.buf.as_slice()[start.at + HEADER_BYTES..];
    let expected = format!(
        "{LINE_2A}*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n\
         *2\r\n$3\r\nDEL\r\n$1\r\ny\r\n"
    );
    assert_eq!(String::from_utf8_lossy(bytes), expected);
}

#[test]
fn a_participant_that_changed_nothing_leaves_a_marker_that_the_reply_waits_for() {
    let mut staging = Staging::new(0, 1);
    staging.begin_transaction(transaction(0x2a));
    staging.begin();
    staging.end();
    assert_eq!(staging.end_transaction(), (1, true));
    let gathered = staging.take(AlignedBuf::new());
    assert_eq!((gathered.batches, gathered.starts.len()), (1, 0));
    assert_eq!(&gathered.buf.as_slice()[HEADER_BYTES..], LINE_2A.as_bytes());
    // One that only expired something waits as well.
    staging.begin_transaction(transaction(0x2b));
    staging.push_expiry(0, b"gone");
    assert_eq!(staging.end_transaction(), (2, true));
}

#[test]
fn a_transaction_waits_for_every_unsettled_key_its_commands_touched() {
    let mut staging = Staging::new(0, 1);
    staging.set_gating(true);
    staging.begin();
    staging.touch_write(7);
    staging.push(0, Effect::Del { key: b"k" });
    staging.end();
    staging.begin_transaction(None);
    for hash in [7, 8] {
        staging.begin();
        staging.touch_read(hash);
        staging.end();
    }
    assert_eq!(staging.end_transaction(), (1, false));
    // What it changes itself is gated for those who come after it.
    staging.begin_transaction(None);
    for hash in [20, 21] {
        staging.begin();
        staging.touch_write(hash);
        staging.push(0, Effect::Del { key: b"k" });
        staging.end();
    }
    assert_eq!(staging.end_transaction(), (2, true));
    staging.begin();
    staging.touch_read(20);
    staging.end();
    assert_eq!(staging.gate(), 2);
}

#[test]
#[should_panic = "3 comes after 3"]
fn transactions_out_of_order_are_not_logged() {
    let mut staging = Staging::new(0, 1);
    for _ in 0..2 {
        staging.begin_transaction(transaction(3));
        staging.end_transaction();
    }
}

#[test]
fn a_disabled_log_marks_nothing() {
    let mut staging = Staging::disabled();
    staging.begin_transaction(transaction(1));
    staging.push(0, Effect::Del { key: b"k" });
    assert_eq!(staging.end_transaction(), (0, false));
    assert_eq!(staging.staged_bytes(), 0);
}
