//! Tests of the keyspace as a whole.

mod changes;
mod model;
mod shape;
mod stored;
mod trash;
mod walk;

/// Random bits from a seed (xorshift64*, Vigna 2016).
fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
