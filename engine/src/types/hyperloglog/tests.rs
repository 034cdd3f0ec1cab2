//! What a HyperLogLog promises, beside the comparison with Redis.

use super::*;
use proptest::prelude::*;

const NO_LIMIT: usize = usize::MAX;

#[test]
fn an_empty_value_counts_nothing_in_either_form() {
    let value = empty();
    assert_eq!((value.len(), encoding(&value)), (18, Some(Encoding::Sparse)));
    assert_eq!((count(&value), cached(&value)), (Ok(0), Some(0)));
    let dense = to_dense(&value).expect("it makes sense");
    assert_eq!((encoding(&dense), count(&dense)), (Some(Encoding::Dense), Ok(0)));
}

#[test]
fn bytes_that_make_no_sense_are_refused() {
    let mut value = empty();
    value.push(0);
    assert_eq!(count(&value), Err(Corrupt), "too many registers");
    value.truncate(17);
    assert_eq!(raise(&mut value, 9, 3, NO_LIMIT), Err(Corrupt), "half a run");
    value.truncate(16);
    assert_eq!(to_dense(&value), Err(Corrupt), "no registers");
    for bad in [&b"HYLL"[..], b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0", b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0"] {
        assert_eq!(encoding(bad), None);
    }
}

proptest! {
    #[test]
    fn both_forms_hold_the_highest_value_of_each_register(
        raises in prop::collection::vec((0..40usize, 1..40u8), 0..200),
        spread in prop_oneof![Just(1usize), Just(409)],
        limit in prop_oneof![Just(NO_LIMIT), Just(60)],
    ) {
        let mut model = [0u8; REGISTERS];
        let mut value = empty();
        for (index, register) in raises {
            let index = index * spread;
            let raised = raise(&mut value, index, register, limit).expect("it makes sense");
            prop_assert_eq!(raised != Raised::No, register > model[index]);
            model[index] = model[index].max(register);
        }
        let mut merged = [0u8; REGISTERS];
        merge(&mut merged, &value).expect("it makes sense");
        prop_assert!(merged == model);
        let dense = to_dense(&value).expect("it makes sense");
        prop_assert!((0..REGISTERS).all(|index| dense_get(&dense, index) == model[index]));
        prop_assert_eq!(count(&dense), count(&value));
        prop_assert_eq!(count_registers(&model), count(&value).expect("it makes sense"));
    }
}
