//! LATENCY GRAPH: the samples of an event as a picture of letters.
//!
//! Columns are samples, oldest first, `COLUMNS` to a block. Each row divides its share of the
//! range from lowest to highest into as many steps as there are characters to draw with; what
//! reaches above a row fills it. Below stands, letter under letter, how long ago each one was.

use super::latency::{Event, Series};

const COLUMNS: usize = 80;
const ROWS: usize = 4;
/// The steps of a row, lowest first.
const STEPS: [u8; 3] = *b"_o#";

/// The picture of an event's samples, seen at the second `now_s`.
pub fn draw(event: Event, series: &Series, now_s: i64) -> String {
    let values: Vec<u64> = series.samples.iter().map(|sample| sample.ms).collect();
    let labels: Vec<String> =
        series.samples.iter().map(|sample| age((now_s - sample.time_s).max(0))).collect();
    let low = values.iter().copied().min().unwrap_or(0);
    let high = values.iter().copied().max().unwrap_or(0);
    let mut text = format!(
        "{} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.name(),
        series.longest_ms,
        "-".repeat(COLUMNS)
    );
    for (block, (values, labels)) in values.chunks(COLUMNS).zip(labels.chunks(COLUMNS)).enumerate()
    {
        if block > 0 {
            text.push('\n');
        }
        draw_block(values, labels, (low, high), &mut text);
    }
    text
}

fn draw_block(values: &[u64], labels: &[String], (low, high): (u64, u64), text: &mut String) {
    let steps = ROWS * STEPS.len();
    let range = (high - low).max(1) as f64;
    for row in 0..ROWS {
        let below = (ROWS - row - 1) * STEPS.len();
        for value in values {
            let step = ((value - low) as f64 * steps as f64 / range) as usize;
            let character = match step.min(steps - 1).checked_sub(below) {
                None => b' ',
                Some(own) => STEPS.get(own).copied().unwrap_or(b'|'),
            };
            text.push(char::from(character));
        }
        text.push('\n');
    }
    text.extend(std::iter::repeat_n(' ', values.len()));
    text.push('\n');
    let depth = labels.iter().map(String::len).max().unwrap_or(0);
    for at in 0..depth {
        for label in labels {
            text.push(label.as_bytes().get(at).map_or(' ', |b| char::from(*b)));
        }
        text.push('\n');
    }
}

/// Seconds in the largest unit that fits.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::latency::Sample;

    #[test]
    fn the_picture_is_that_of_redis() {
        let samples = [(100, 1), (130, 12), (190, 6), (200, 25)];
        let series = Series {
            samples: samples.iter().map(|&(time_s, ms)| Sample { time_s, ms }).collect(),
            longest_ms: 40,
        };
        let expected = format!(
            "command - high 25 ms, low 1 ms (all time high 40 ms)\n{}\n   #\n   |\n # |\n_|#|\n    \n",
            "-".repeat(80)
        );
        let drawn = draw(Event::Command, &series, 210);
        assert!(drawn.starts_with(&expected), "{drawn}");
        assert!(drawn.ends_with("\n1121\nmm00\n  ss\n"), "{drawn}");
    }
}
