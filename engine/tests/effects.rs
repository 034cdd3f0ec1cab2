//! What is logged makes the same state again, for every command that may change something.

use super::commands_driver::{Driver, content, writing_commands};

#[test]
fn every_writing_command_has_examples_that_replay_to_the_same_state() {
    for spec in writing_commands() {
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        let mut changes = 0;
        for example in spec.examples {
            let mut driver = Driver::new(false);
            for line in ["SET k abcdef PX 5000000", "SET k2 abc", "SET n 10", "SET gone v PXAT 1"] {
                driver.line(line);
            }
            let before = content(&driver.shard);
            let reply = driver.line(example);
            assert!(!reply.starts_with('-'), "{example}: {reply}");
            changes += usize::from(content(&driver.shard) != before);
            assert_eq!(content(&driver.replayed()), content(&driver.shard), "{example}");
        }
        assert!(changes > 0, "no example of {} changes anything", spec.name);
    }
}
