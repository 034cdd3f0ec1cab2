//! Is there one order of these operations that explains every answer?
//!
//! The search of Wing and Gong with Lowe's memory: operations are taken one after the other, each
//! of those that had begun before the first of the others ended; what leads nowhere is taken back,
//! and no set of operations with the state it leads to is looked at twice. Sets are known by sums
//! of random numbers of 128 bits, so a mistake is less likely than a broken machine.
//!
//! Operations that touch no common key, directly or through others, are searched apart: that an
//! order exists for each part means that one exists for all (linearizability is local). Operations
//! on several keys are one operation, so the order found is strictly serializable.

use super::operations::{Answer, Operation, State};
use std::collections::{BTreeMap, HashMap, HashSet};

/// One operation of one connection, with when it was on its way.
#[derive(Debug, Clone)]
pub struct Event {
    /// Before it was sent, on a clock that all connections share.
    pub begin_ns: u64,
    /// After its answer had come.
    pub end_ns: u64,
    /// Who.
    pub connection: usize,
    /// What was asked.
    pub operation: Operation,
    /// What was answered.
    pub answer: Answer,
}

/// Looks for an order; every key is absent at first.
///
/// # Errors
/// A text that shows the operations around the place that no order gets beyond.
pub fn check(events: &[Event]) -> Result<(), String> {
    parts(events).into_iter().try_for_each(|part| search(&part))
}

/// The events in groups that have no key in common.
fn parts(events: &[Event]) -> Vec<Vec<Event>> {
    let mut leaders: HashMap<u8, u8> = HashMap::new();
    fn leader(leaders: &HashMap<u8, u8>, key: u8) -> u8 {
        match leaders.get(&key) {
            Some(&next) if next != key => leader(leaders, next),
            _ => key,
        }
    }
    for event in events {
        let keys = event.operation.keys();
        for key in &keys {
            let (a, b) = (leader(&leaders, keys[0]), leader(&leaders, *key));
            leaders.insert(a.max(b), a.min(b));
        }
    }
    let mut groups: BTreeMap<u8, Vec<Event>> = BTreeMap::new();
    for event in events {
        let group = leader(&leaders, event.operation.keys()[0]);
        groups.entry(group).or_default().push(event.clone());
    }
    groups.into_values().collect()
}

/// The list of begins and ends that are still to be explained, in the order of time.
struct Timeline {
    /// Event and whether this is its end.
    points: Vec<(usize, bool)>,
    next: Vec<usize>,
    previous: Vec<usize>,
    begins: Vec<usize>,
    ends: Vec<usize>,
}

/// Before the first and behind the last point.
const HEAD: usize = 0;

impl Timeline {
    fn new(events: &[Event]) -> Self {
        let mut points: Vec<(u64, bool, usize)> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            points.push((event.begin_ns, false, at));
            points.push((event.end_ns, true, at));
        }
        // At one time begins come first: then the two overlap, which proves less.
        points.sort_unstable();
        let count = points.len() + 1;
        let (mut begins, mut ends) = (vec![0; events.len()], vec![0; events.len()]);
        for (at, (_, is_end, event)) in points.iter().enumerate() {
            let places = if *is_end { &mut ends } else { &mut begins };
            places[*event] = at + 1;
        }
        let points = std::iter::once((usize::MAX, true))
            .chain(points.iter().map(|(_, is_end, event)| (*event, *is_end)))
            .collect();
        let next = (0..count).map(|at| (at + 1) % count).collect();
        let previous = (0..count).map(|at| (at + count - 1) % count).collect();
        Self { points, next, previous, begins, ends }
    }

    fn take(&mut self, event: usize) {
        for at in [self.begins[event], self.ends[event]] {
            let (before, after) = (self.previous[at], self.next[at]);
            self.next[before] = after;
            self.previous[after] = before;
        }
    }

    /// Undoes the last [`Timeline::take`].
    fn put_back(&mut self, event: usize) {
        for at in [self.ends[event], self.begins[event]] {
            let (before, after) = (self.previous[at], self.next[at]);
            self.next[before] = at;
            self.previous[after] = at;
        }
    }
}

/// A fixed random number of an operation.
fn mark(event: usize) -> u128 {
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let low = mix((event as u64).wrapping_add(0x9e37_79b9_7f4a_7c15));
    u128::from(mix(low ^ 0x5851_f42d_4c95_7f2d)) << 64 | u128::from(low)
}

fn search(events: &[Event]) -> Result<(), String> {
    let mut line = Timeline::new(events);
    let mut state = State::default();
    let (mut taken, mut set): (Vec<(usize, State)>, u128) = (Vec::new(), 0);
    let mut known: HashSet<(u128, State)> = HashSet::new();
    let mut furthest = (0, Vec::new());
    let mut at = line.next[HEAD];
    while line.next[HEAD] != HEAD {
        let (event, is_end) = line.points[at];
        if !is_end {
            let mut after = state;
            let fits = events[event].operation.apply(&mut after) == events[event].answer;
            if fits && known.insert((set.wrapping_add(mark(event)), after)) {
                set = set.wrapping_add(mark(event));
                taken.push((event, std::mem::replace(&mut state, after)));
                line.take(event);
                if taken.len() > furthest.0 {
                    furthest = (taken.len(), taken.iter().map(|(event, _)| *event).collect());
                }
                at = line.next[HEAD];
            } else {
                at = line.next[at];
            }
            continue;
        }
        // What ends here has not been taken, and nothing else can come before it.
        let Some((event, before)) = taken.pop() else {
            return Err(story(events, &furthest.1));
        };
        state = before;
        set = set.wrapping_sub(mark(event));
        line.put_back(event);
        at = line.next[line.begins[event]];
    }
    Ok(())
}

/// The end of the longest order, and what cannot follow.
fn story(events: &[Event], order: &[usize]) -> String {
    let mut state = State::default();
    let mut lines = vec![format!("no order of {} operations; the longest ends so:", events.len())];
    for (number, event) in order.iter().enumerate() {
        events[*event].operation.apply(&mut state);
        if number + 12 >= order.len() {
            lines.push(format!("  {}", line_of(&events[*event])));
        }
    }
    lines.push(format!("  {state:?}"));
    lines.push("and none of these can be next:".to_owned());
    let left = events.iter().enumerate().filter(|(at, _)| !order.contains(at));
    let end = left.clone().map(|(_, event)| event.end_ns).min().unwrap_or(0);
    let candidates = left.filter(|(_, event)| event.begin_ns <= end);
    lines.extend(candidates.map(|(_, event)| format!("  {}", line_of(event))));
    lines.join("\n")
}

fn line_of(event: &Event) -> String {
    let (us, from) = (event.end_ns.saturating_sub(event.begin_ns) / 1000, event.begin_ns / 1000);
    format!(
        "{from} us, for {us} us, connection {}: {:?} -> {:?}",
        event.connection, event.operation, event.answer
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Done, List, Number, Value};
    use Operation::{Get, Increment, Pairs, Rename, Set, Transaction, Values};

    /// Begin, end, operation, answer.
    fn history(lines: Vec<(u64, u64, Operation, Answer)>) -> Vec<Event> {
        let event = |(connection, (begin_ns, end_ns, operation, answer))| Event {
            begin_ns,
            end_ns,
            connection,
            operation,
            answer,
        };
        lines.into_iter().enumerate().map(event).collect()
    }

    fn is_explained(lines: Vec<(u64, u64, Operation, Answer)>) -> bool {
        check(&history(lines)).is_ok()
    }

    fn values(values: [i64; 2]) -> Answer {
        List(values.into_iter().map(|value| Value(Some(value))).collect())
    }

    #[test]
    fn answers_that_one_order_gives_are_explained() {
        assert!(is_explained(vec![
            (0, 9, Set(0, 1), Done),
            (1, 2, Get(0), Value(None)),
            (3, 4, Get(0), Value(Some(1))),
            (5, 20, Increment(0), Number(2)),
            (10, 20, Get(0), Value(Some(1))),
            (21, 22, Get(0), Value(Some(2))),
        ]));
        // Two writes at once, seen in either order by all.
        for last in [1, 2] {
            assert!(is_explained(vec![
                (0, 9, Pairs(vec![(0, 1), (1, 1)]), Done),
                (0, 9, Pairs(vec![(0, 2), (1, 2)]), Done),
                (10, 11, Values(vec![0, 1]), values([last; 2])),
                (10, 11, Get(1), Value(Some(last))),
            ]));
        }
        let both = Transaction(vec![Increment(0), Increment(1)]);
        assert!(is_explained(vec![
            (0, 1, Pairs(vec![(0, 1), (1, 5)]), Done),
            (2, 9, both, List(vec![Number(2), Number(6)])),
            (3, 4, Values(vec![0, 1]), values([1, 5])),
            (5, 6, Values(vec![0, 1]), values([2, 6])),
            (10, 11, Rename(0, 1), Done),
            (12, 13, Get(1), Value(Some(2))),
        ]));
    }

    #[test]
    fn a_value_that_is_older_than_one_already_read_is_not() {
        assert!(!is_explained(vec![
            (0, 9, Set(0, 1), Done),
            (1, 2, Get(0), Value(Some(1))),
            (3, 4, Get(0), Value(None)),
        ]));
        assert!(!is_explained(vec![(0, 1, Set(0, 1), Done), (2, 3, Get(0), Value(None))]));
    }

    #[test]
    fn a_lost_increment_is_not() {
        assert!(!is_explained(vec![
            (0, 9, Increment(0), Number(1)),
            (0, 9, Increment(0), Number(1)),
        ]));
    }

    #[test]
    fn a_read_that_is_torn_between_two_keys_is_not() {
        let torn = |end| {
            is_explained(vec![
                (0, 1, Pairs(vec![(0, 1), (1, 1)]), Done),
                (2, 9, Pairs(vec![(0, 2), (1, 2)]), Done),
                (3, end, Values(vec![0, 1]), values([1, 2])),
            ])
        };
        assert!(!torn(4) && !torn(20));
        // Single writes one after the other, and the second without the first.
        assert!(!is_explained(vec![
            (0, 1, Pairs(vec![(0, 1), (1, 1)]), Done),
            (2, 3, Set(0, 2), Done),
            (4, 5, Set(1, 2), Done),
            (0, 9, Values(vec![0, 1]), values([1, 2])),
        ]));
    }

    #[test]
    fn two_readers_that_see_two_writes_in_different_orders_are_not() {
        assert!(!is_explained(vec![
            (0, 1, Pairs(vec![(0, 0), (1, 0)]), Done),
            (2, 30, Set(0, 1), Done),
            (2, 30, Set(1, 1), Done),
            (3, 29, Values(vec![0, 1]), values([1, 0])),
            (3, 29, Values(vec![0, 1]), values([0, 1])),
        ]));
    }

    #[test]
    fn a_transaction_with_something_in_between_is_not() {
        let twice = Transaction(vec![Get(0), Get(1)]);
        assert!(!is_explained(vec![
            (0, 1, Pairs(vec![(0, 1), (1, 1)]), Done),
            (2, 9, Pairs(vec![(0, 2), (1, 2)]), Done),
            (2, 9, twice, values([1, 2])),
        ]));
    }

    #[test]
    fn keys_that_nothing_connects_are_searched_apart() {
        let lines = vec![
            (0, 1, Set(0, 1), Done),
            (0, 1, Set(2, 1), Done),
            (2, 3, Values(vec![0, 1]), List(vec![Value(Some(1)), Value(None)])),
            (2, 3, Rename(2, 3), Done),
        ];
        let events = history(lines);
        assert_eq!(parts(&events).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert!(check(&events).is_ok());
    }

    #[test]
    fn a_long_history_with_a_slow_operation_takes_no_long_search() {
        let mut lines = vec![(0, 1_000_000, Increment(0), Number(1501))];
        lines.extend((0..3000).map(|n| {
            let value = if n < 1500 { n + 1 } else { n + 2 };
            (n as u64 * 10 + 1, n as u64 * 10 + 25, Increment(0), Number(value))
        }));
        assert!(is_explained(lines.clone()));
        lines[2000].3 = Number(7);
        assert!(!is_explained(lines));
    }
}
