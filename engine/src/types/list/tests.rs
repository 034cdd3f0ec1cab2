//! A list is what a plain vector of texts is, small or big.

use super::*;
use proptest::prelude::*;

fn content(list: &List) -> Vec<Vec<u8>> {
    let mut content = Vec::new();
    list.as_ref().for_each(&mut |element| content.push(element.to_vec()));
    content
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0i64..6).prop_map(|n| n.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 500..3000),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Push(bool, Vec<u8>, usize),
    Drop(bool, usize),
    Set(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(bool, Vec<u8>, usize),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), text(), 1usize..40).prop_map(|(l, t, n)| Step::Push(l, t, n)),
        2 => (any::<bool>(), 0usize..30).prop_map(|(l, n)| Step::Drop(l, n)),
        2 => (any::<prop::sample::Index>(), text()).prop_map(|(i, t)| Step::Set(i, t)),
        6 => (any::<prop::sample::Index>(), text()).prop_map(|(i, t)| Step::Insert(i, t)),
        2 => (any::<bool>(), text(), 1usize..20).prop_map(|(l, t, n)| Step::Remove(l, t, n)),
        1 => Just(Step::Copy),
    ]
}

fn end(left: bool) -> End {
    if left { End::Left } else { End::Right }
}

fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, step: Step, limits: &Limits) {
    match step {
        Step::Push(left, text, times) => {
            for _ in 0..times {
                list.push(end(left), &text, limits);
                model.insert(if left { 0 } else { model.len() }, text.clone());
            }
        }
        Step::Drop(left, count) => {
            list.drop_from(end(left), count);
            let count = count.min(model.len());
            let from = if left { 0 } else { model.len() - count };
            model.drain(from..from + count);
        }
        Step::Set(index, text) => {
            let index = index.index(model.len() + 1);
            assert_eq!(list.set(index, &text, limits), index < model.len());
            if let Some(element) = model.get_mut(index) {
                *element = text;
            }
        }
        Step::Insert(index, text) => {
            let index = index.index(model.len() + 1);
            list.insert(index, &text, limits);
            model.insert(index, text);
        }
        Step::Remove(left, text, max) => {
            let mut places: Vec<usize> = (0..model.len()).filter(|&i| model[i] == text).collect();
            if !left {
                places.reverse();
            }
            places.truncate(max);
            places.sort_unstable();
            assert_eq!(list.remove(&text, end(left), max, limits), places.len());
            places.iter().rev().for_each(|&at| drop(model.remove(at)));
        }
        Step::Copy => *list = list.clone(),
    }
}

fn check(list: &List, model: &[Vec<u8>], limits: &Limits) {
    assert_eq!(content(list), model);
    let view = list.as_ref();
    assert_eq!(view.len(), model.len());
    if let List::Big(deque) = list {
        deque.check(Some(NodeLimit::of(limits.list_node)));
    }
    for index in [0, model.len() / 3, model.len() / 2, model.len().saturating_sub(1), model.len()] {
        assert_eq!(view.get(index).map(|e| e.to_vec()).as_ref(), model.get(index));
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        view.walk(index, End::Left, |e| {
            forth.push(e.to_vec());
            forth.len() < 5
        });
        view.walk(index, End::Right, |e| {
            back.push(e.to_vec());
            true
        });
        assert_eq!(forth, model.iter().skip(index).take(5).cloned().collect::<Vec<_>>());
        assert_eq!(back, model.iter().rev().skip(index).cloned().collect::<Vec<_>>());
    }
    for text in model.iter().take(3) {
        assert_eq!(view.position(text), model.iter().position(|t| t == text));
    }
}

proptest! {
    #[test]
    fn a_list_is_a_sequence_small_or_big(
        node in prop_oneof![Just(-1i64), Just(-2), Just(0), Just(1), Just(3), 4i64..40],
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let limits = Limits { list_node: node, ..Limits::default() };
        let (mut list, mut model) = (List::empty(Vec::new()), Vec::new());
        for step in steps {
            apply(&mut list, &mut model, step, &limits);
            check(&list, &model, &limits);
        }
    }
}

/// The elements that a frozen list gives out.
fn thawed(mut frozen: Frozen) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    let mut see = |node: Packed<'_>| node.iter().for_each(|item| elements.push(item.to_vec()));
    while frozen.next(&mut see).is_some() {}
    elements
}

proptest! {
    #[test]
    fn a_frozen_list_stays_as_it_was_and_the_list_is_none_the_worse(
        node in prop_oneof![Just(-1i64), Just(1), Just(3), 4i64..40],
        before in prop::collection::vec(step(), 1..40),
        after in prop::collection::vec(step(), 1..40),
    ) {
        let limits = Limits { list_node: node, ..Limits::default() };
        let (mut list, mut model) = (List::empty(Vec::new()), Vec::new());
        for step in before {
            apply(&mut list, &mut model, step, &limits);
        }
        let List::Big(deque) = &list else { return Ok(()) };
        let (mut frozen, was) = (deque.freeze(), model.clone());
        let mut elements = Vec::new();
        for step in after {
            apply(&mut list, &mut model, step, &limits);
            frozen.next(&mut |node| node.iter().for_each(|item| elements.push(item.to_vec())));
            check(&list, &model, &limits);
        }
        elements.extend(thawed(frozen));
        prop_assert_eq!(elements, was);
        check(&list, &model, &limits);
    }
}

#[test]
fn many_chunks_come_and_go() {
    // One element per node, so that a few hundred elements are many chunks.
    let limits = Limits { list_node: 1, ..Limits::default() };
    let (mut list, mut model) = (List::empty(Vec::new()), Vec::new());
    for n in 0..1000u32 {
        let text = (n % 7).to_string().into_bytes();
        let index = (n as usize * 37) % (model.len() + 1);
        apply(&mut list, &mut model, Step::Push(n % 2 == 0, text.clone(), 1), &limits);
        list.insert(index, &text, &limits);
        model.insert(index, text);
    }
    check(&list, &model, &limits);
    for (n, left) in [(3, true), (5, false), (0, true)] {
        let text = n.to_string().into_bytes();
        apply(&mut list, &mut model, Step::Remove(left, text, 200), &limits);
        check(&list, &model, &limits);
    }
    while !model.is_empty() {
        let left = model.len() % 2 == 0;
        apply(&mut list, &mut model, Step::Drop(left, 13), &limits);
        check(&list, &model, &limits);
    }
}

#[test]
fn memory_of_a_long_list_is_that_of_its_elements() {
    let limits = Limits::default();
    let mut list = List::empty(Vec::new());
    for _ in 0..100_000 {
        list.push(End::Right, b"twenty bytes of text", &limits);
    }
    let elements = 22 * 100_000;
    let used = list.memory_bytes();
    assert!(used > elements && used < elements * 103 / 100, "{used}");
    list.drop_from(End::Left, 99_990);
    assert!(list.memory_bytes() < 4096, "memory comes back: {}", list.memory_bytes());
}
