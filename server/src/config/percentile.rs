//! Percentiles, as `latency-tracking-info-percentiles` lists them.

use std::fmt;

/// A percentile in millionths of a percent: what Redis shows of one, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentile(u32);

const MILLION: f64 = 1_000_000.0;
const NO_NUMBER: &str = "Invalid latency-tracking-info-percentiles parameters";
const OUT_OF_RANGE: &str =
    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";

/// Shown unless told otherwise.
pub(super) const DEFAULTS: [Percentile; 3] =
    [Percentile(50_000_000), Percentile(99_000_000), Percentile(99_900_000)];

impl Percentile {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let percent: f64 = text.parse().ok().filter(|p: &f64| !p.is_nan()).ok_or(NO_NUMBER)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(OUT_OF_RANGE);
        }
        Ok(Self((percent * MILLION).round() as u32))
    }

    /// Percent, 0 to 100.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / MILLION
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.6}", self.percent());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The list as CONFIG GET shows it.
pub(super) fn show(list: &[Percentile]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The list from its words; one empty word is no percentile.
///
/// # Errors
/// Redis' text of what is wrong.
pub(super) fn parse_all(words: &[&str]) -> Result<Vec<Percentile>, String> {
    let words = if words == [""] { &[] } else { words };
    words.iter().map(|word| Percentile::parse(word).map_err(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_shown_as_they_were_written() {
        let all = parse_all(&["50", "99", "99.9", "0", "100", "12.345678"]).unwrap();
        assert_eq!(show(&all), "50 99 99.9 0 100 12.345678");
        assert_eq!(parse_all(&[""]).unwrap(), []);
        assert_eq!(show(&DEFAULTS), "50 99 99.9");
        for wrong in ["-1", "101", "x", "nan"] {
            assert!(parse_all(&["50", wrong]).is_err(), "{wrong}");
        }
    }
}
