//! Rounds: all subjects in turns, A B A B, so that what the machine does meanwhile hits all;
//! disturbed measurements are repeated.

use std::io;

use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::Sample;

/// How often things are measured.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Rounds.
    pub runs: usize,
    /// How often a disturbed measurement is repeated before the quietest one is taken.
    pub repeats: usize,
}

/// Progress on stderr, with the time that is left.
pub fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    // The template is a constant of ours: should it be refused, the plain bar will do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}") {
        bar.set_style(style);
    }
    bar
}

impl Rounds {
    fn undisturbed(self, mut measure: impl FnMut() -> io::Result<Sample>) -> io::Result<Sample> {
        let mut best = measure()?;
        for _ in 0..self.repeats {
            if !best.disturbed {
                break;
            }
            let again = measure()?;
            if again.foreign() < best.foreign() {
                best = again;
            }
        }
        Ok(best)
    }

    /// Measures `subjects` subjects in turns; the samples of each, in order. `measured` hears of
    /// every sample with its subject and round.
    ///
    /// # Errors
    /// The first one.
    pub fn interleave(
        self,
        subjects: usize,
        mut measure: impl FnMut(usize) -> io::Result<Sample>,
        mut measured: impl FnMut(usize, usize, &Sample) -> io::Result<()>,
    ) -> io::Result<Vec<Vec<Sample>>> {
        let mut samples = vec![Vec::new(); subjects];
        for round in 0..self.runs {
            for (subject, samples) in samples.iter_mut().enumerate() {
                let sample = self.undisturbed(|| measure(subject))?;
                measured(subject, round, &sample)?;
                samples.push(sample);
            }
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sample(foreign_share: f64) -> Sample {
        Sample {
            values: BTreeMap::new(),
            load_share: 0.0,
            foreign_share: Some(foreign_share),
            steal_share: 0.0,
            disturbed: foreign_share > 0.1,
            errors: 0,
            first_error: None,
        }
    }

    #[test]
    fn subjects_take_turns() {
        let mut order = Vec::new();
        let rounds = Rounds { runs: 2, repeats: 0 };
        let quiet = |subject| {
            order.push(subject);
            Ok(sample(0.0))
        };
        let samples = rounds.interleave(3, quiet, |_, _, _| Ok(())).expect("measured");
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
        assert!(samples.iter().all(|s| s.len() == 2));
    }

    #[test]
    fn a_disturbed_measurement_is_repeated_and_the_quietest_is_taken() {
        let mut shares = [0.5, 0.3, 0.4, 0.05, 0.0].into_iter();
        let rounds = Rounds { runs: 1, repeats: 3 };
        let noisy = |_| Ok(sample(shares.next().expect("five")));
        let samples = rounds.interleave(1, noisy, |_, _, _| Ok(())).expect("measured");
        assert_eq!(samples[0][0].foreign_share, Some(0.05));
        assert_eq!(shares.next(), Some(0.0), "a quiet one ends it");
        let mut shares = [0.5, 0.3, 0.4, 0.6].into_iter();
        let noisy = |_| Ok(sample(shares.next().expect("four")));
        let samples = rounds.interleave(1, noisy, |_, _, _| Ok(())).expect("measured");
        assert_eq!(samples[0][0].foreign_share, Some(0.3));
    }
}
