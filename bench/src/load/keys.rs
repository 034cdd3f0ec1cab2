//! Which key comes next: numbers 0..count, uniform, sequential or by Zipf's law.
//!
//! Equal seeds give equal sequences. A `listed` set maps the numbers to others, for loads that
//! must hit a part of the keys only (those of one shard).

use std::sync::Arc;

/// Random numbers: xorshift64* (Vigna, 2016). Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for every seed.
    pub fn new(seed: u64) -> Self {
        // splitmix64 (Steele et al., 2014) spreads neighbouring seeds; xorshift must not start
        // at 0.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((z ^ (z >> 31)) | 1)
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// 0..`bound`, each with equal chance (up to 2^-64 of bias per value).
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high bits are the good ones.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// 0 <= x < 1, 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks 1..=n with P(k) proportional to 1/k^s, by rejection-inversion (Hoermann and Derflinger,
/// "Rejection-inversion to generate variates from monotone discrete distributions", 1996): exact
/// for every exponent above 0, constant time, no table.
#[derive(Debug, Clone, Copy)]
pub struct Zipf {
    n: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    squeeze: f64,
}

impl Zipf {
    /// Over `n` >= 1 ranks.
    pub fn new(n: u64, exponent: f64) -> Self {
        let mut zipf = Self {
            n: n.max(1) as f64,
            exponent,
            integral_first: 0.0,
            integral_last: 0.0,
            squeeze: 0.0,
        };
        zipf.integral_first = zipf.integral(1.5) - 1.0;
        zipf.integral_last = zipf.integral(zipf.n + 0.5);
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    fn density(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the density from 1 to x; also right at exponent 1, where it is ln x.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.exponent) * log;
        if t.abs() > 1e-8 { t.exp_m1() / t * log } else { log * (1.0 + t / 2.0) }
    }

    fn inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.exponent)).max(-1.0);
        if t.abs() > 1e-8 { (t.ln_1p() / t * area).exp() } else { (area * (1.0 - t / 2.0)).exp() }
    }

    /// The next rank, 0..n, 0 being the most frequent.
    pub fn next(&self, random: &mut Random) -> u64 {
        loop {
            let area =
                self.integral_last + random.unit() * (self.integral_first - self.integral_last);
            let x = self.inverse(area);
            let k = (x + 0.5).floor().clamp(1.0, self.n);
            if k - x <= self.squeeze || area >= self.integral(k + 0.5) - self.density(k) {
                return k as u64 - 1;
            }
        }
    }
}

/// How keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Each with equal chance.
    Uniform,
    /// Each once, in order, then from the start: to fill a data set.
    Sequential,
    /// By Zipf's law with this exponent; number 0 is the most frequent.
    Zipf(f64),
}

/// The keys of a load; at least one.
#[derive(Debug, Clone)]
pub struct Keys {
    /// How many.
    pub count: u64,
    /// How they are chosen.
    pub order: Order,
    /// Their numbers, if not 0..count; as many as `count` says.
    pub listed: Option<Arc<[u64]>>,
}

impl Keys {
    /// Numbers 0..`count`.
    pub fn new(count: u64, order: Order) -> Self {
        Self { count, order, listed: None }
    }

    /// Only these numbers.
    pub fn listed(numbers: Vec<u64>, order: Order) -> Self {
        Self { count: numbers.len() as u64, order, listed: Some(numbers.into()) }
    }
}

/// A source of key numbers for one connection.
#[derive(Debug, Clone)]
pub struct KeySource {
    keys: Keys,
    zipf: Option<Zipf>,
    random: Random,
    next: u64,
    step: u64,
}

impl KeySource {
    /// For connection `index` of `connections`: sequential ones take turns.
    pub fn new(keys: &Keys, seed: u64, index: usize, connections: usize) -> Self {
        let zipf = match keys.order {
            Order::Zipf(exponent) => Some(Zipf::new(keys.count, exponent)),
            Order::Uniform | Order::Sequential => None,
        };
        let (next, step) = (index as u64, connections.max(1) as u64);
        Self { keys: keys.clone(), zipf, random: Random::new(seed), next, step }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        let index = match (&self.zipf, self.keys.order) {
            (Some(zipf), _) => zipf.next(&mut self.random),
            (None, Order::Sequential) => {
                let index = self.next % self.keys.count;
                self.next += self.step;
                index
            }
            (None, Order::Uniform | Order::Zipf(_)) => self.random.below(self.keys.count),
        };
        self.keys.listed.as_ref().map_or(index, |numbers| numbers[index as usize])
    }

    /// A random number below the number of keys, whatever their order.
    pub fn number(&mut self) -> u64 {
        self.random.below(self.keys.count)
    }

    /// Random numbers for everything else of the same connection.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn take(keys: &Keys, n: usize) -> Vec<u64> {
        let mut source = KeySource::new(keys, 7, 0, 1);
        (0..n).map(|_| source.next()).collect()
    }

    #[test]
    fn sequential_order_names_every_key_and_uniform_order_nearly_all() {
        for (order, least) in [(Order::Sequential, 1000), (Order::Uniform, 600)] {
            let seen: HashSet<u64> = take(&Keys::new(1000, order), 1000).into_iter().collect();
            assert!(seen.len() >= least, "{order:?}: {}", seen.len());
            assert!(seen.iter().all(|&k| k < 1000));
        }
    }

    #[test]
    fn sequential_connections_share_the_keys() {
        let keys = Keys::new(9, Order::Sequential);
        let mut all: Vec<u64> = (0..3)
            .flat_map(|index| {
                let mut source = KeySource::new(&keys, 1, index, 3);
                (0..3).map(move |_| source.next())
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn zipf_frequencies_follow_the_law() {
        const DRAWS: usize = 400_000;
        for exponent in [0.5, 0.99, 1.0, 1.5] {
            let n = 1000u64;
            let mut counts = vec![0f64; n as usize];
            for k in take(&Keys::new(n, Order::Zipf(exponent)), DRAWS) {
                counts[k as usize] += 1.0;
            }
            let weight = |k: u64| (k as f64).powf(-exponent);
            let total: f64 = (1..=n).map(weight).sum();
            // Ranks alone where they are frequent, then ever larger groups of them.
            for (from, to) in [(1, 1), (2, 2), (3, 3), (4, 10), (11, 100), (101, 1000)] {
                let expected = (from..=to).map(weight).sum::<f64>() / total * DRAWS as f64;
                let found: f64 = (from..=to).map(|k| counts[k as usize - 1]).sum();
                // Six standard deviations: a right generator fails once in 10^8 seeds.
                let tolerance = 6.0 * expected.sqrt();
                assert!(
                    (found - expected).abs() < tolerance,
                    "exponent {exponent}, ranks {from}-{to}: {found} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn listed_keys_are_the_only_ones() {
        let numbers = vec![3, 5, 8];
        for order in [Order::Uniform, Order::Sequential, Order::Zipf(0.99)] {
            let seen: HashSet<u64> =
                take(&Keys::listed(numbers.clone(), order), 200).into_iter().collect();
            assert_eq!(seen, numbers.iter().copied().collect(), "{order:?}");
        }
    }
}
