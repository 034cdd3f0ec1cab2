//! A sorted set against a plain list that is sorted anew after every change.

use super::*;
use proptest::prelude::*;

type Model = Vec<(f64, Vec<u8>)>;

fn set(model: &mut Model, member: &[u8], score: f64) -> Option<f64> {
    let before = remove(model, member);
    model.push((score, member.to_vec()));
    model.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    before
}

fn remove(model: &mut Model, member: &[u8]) -> Option<f64> {
    let at = model.iter().position(|(_, other)| other == member)?;
    Some(model.remove(at).0)
}

fn content(zset: &Zset) -> Model {
    let mut content = Model::new();
    zset.as_ref().for_each(&mut |member, score| content.push((score, member.to_vec())));
    content
}

fn reversed(zset: &Zset) -> Model {
    let mut content = Model::new();
    let top = zset.as_ref().len().saturating_sub(1);
    zset.as_ref().downwards(top, usize::MAX, &mut |m, score| content.push((score, m.to_vec())));
    content
}

fn check(zset: &Zset) {
    if let Zset::Big(ranked) = zset {
        ranked.tree.check();
        ranked.table.check();
        assert_eq!(ranked.tree.len(), ranked.table.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn it_is_a_sorted_list_of_members(
        entries in 0usize..30,
        steps in prop::collection::vec(
            (0u8..8, 0u32..400, prop_oneof![
                (-20i32..20).prop_map(f64::from),
                -1e3f64..1e3,
                Just(f64::INFINITY),
                Just(f64::NEG_INFINITY),
            ]), 1..700)
    ) {
        let limits = Limits { zset_entries: entries, ..Limits::default() };
        let hasher = KeyHasher::fixed();
        let (mut zset, mut model) = (Zset::empty(Vec::new()), Model::new());
        for (kind, member, score) in steps {
            let member = member.to_string().into_bytes();
            match kind {
                0 => prop_assert_eq!(zset.remove(&member), remove(&mut model, &member)),
                1 => {
                    let start = score.abs().min(30.0) as usize;
                    zset.remove_ranks(start, 3);
                    let end = (start + 3).min(model.len());
                    model.drain(start.min(end)..end);
                }
                _ => {
                    let before = zset.set(&member, score, &limits, &hasher);
                    prop_assert_eq!(before, set(&mut model, &member, score));
                }
            }
            prop_assert_eq!(zset.as_ref().len(), model.len());
        }
        check(&zset);
        prop_assert_eq!(&content(&zset), &model);
        prop_assert_eq!(&content(&zset.clone()), &model);
        let mut backwards = reversed(&zset);
        backwards.reverse();
        prop_assert_eq!(&backwards, &model);
        for (rank, (score, member)) in model.iter().enumerate() {
            prop_assert_eq!(zset.as_ref().rank(member), Some((rank, *score)));
            prop_assert_eq!(zset.as_ref().score(member), Some(*score));
        }
        for (min, max) in [(-5.0, 5.0), (0.0, 0.0), (3.0, 1.0), (f64::NEG_INFINITY, f64::INFINITY)] {
            for (min_out, max_out) in [(false, false), (true, false), (false, true), (true, true)] {
                let inside = |score: f64| {
                    (if min_out { score > min } else { score >= min })
                        && (if max_out { score < max } else { score <= max })
                };
                let expected: Vec<usize> =
                    (0..model.len()).filter(|&i| inside(model[i].0)).collect();
                let (start, count) = zset.as_ref().ranks_by_score(
                    ScoreBound { score: min, exclusive: min_out },
                    ScoreBound { score: max, exclusive: max_out },
                );
                prop_assert_eq!((start..start + count).collect::<Vec<_>>(), expected);
            }
        }
    }
}

#[test]
fn a_large_tree_grows_and_shrinks_in_every_direction() {
    let (limits, hasher) = (Limits { zset_entries: 0, ..Limits::default() }, KeyHasher::fixed());
    for order in 0..3u64 {
        let n = 20_000u64;
        let nth = |i: u64| match order {
            0 => i,
            1 => n - 1 - i,
            _ => i * 7_919 % n,
        };
        let mut zset = Zset::empty(Vec::new());
        for i in 0..n {
            zset.set(format!("m{}", nth(i)).as_bytes(), nth(i) as f64 / 4.0, &limits, &hasher);
        }
        check(&zset);
        if order == 0 {
            let per_member = zset.memory_bytes() as f64 / n as f64;
            assert!(per_member < 80.0, "{per_member} bytes per member");
        }
        assert!(content(&zset).windows(2).all(|pair| pair[0].0 < pair[1].0));
        for i in 0..n {
            let at = nth((i * 31) % n);
            assert_eq!(zset.remove(format!("m{at}").as_bytes()), Some(at as f64 / 4.0));
            if i % 1_500 == 0 {
                check(&zset);
            }
        }
        assert!(zset.is_empty());
        check(&zset);
    }
}

#[test]
fn texts_of_equal_score_make_ranges() {
    let (limits, hasher) = (Limits::default(), KeyHasher::fixed());
    for entries in [0, 128] {
        let limits = Limits { zset_entries: entries, ..limits };
        let mut zset = Zset::empty(Vec::new());
        for member in ["a", "b", "c", "d", "10"] {
            zset.set(member.as_bytes(), 0.0, &limits, &hasher);
        }
        let ranks = |min, max| zset.as_ref().ranks_by_text(min, max);
        assert_eq!(ranks(LexBound::Lowest, LexBound::Highest), (0, 5));
        assert_eq!(ranks(LexBound::Inclusive(b"a"), LexBound::Exclusive(b"c")), (1, 2));
        assert_eq!(ranks(LexBound::Exclusive(b"a"), LexBound::Inclusive(b"c")), (2, 2));
        assert_eq!(ranks(LexBound::Highest, LexBound::Lowest).1, 0);
    }
}
