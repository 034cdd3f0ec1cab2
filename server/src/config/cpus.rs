//! Lists of CPUs as Redis' `..._cpulist` directives write them: `0,2-7`, `0-15:2`.

/// Highest CPU number that can be named.
const CPU_MAX: usize = 4095;

/// The CPUs of a list, in its order; `None` if it is none.
pub fn parse(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once(':') {
            Some((range, step)) => (range, step.parse().ok().filter(|&s| s > 0)?),
            None => (part, 1),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > CPU_MAX {
            return None;
        }
        cpus.extend(
            (first..=last).step_by(step).filter(|cpu| !cpus.contains(cpu)).collect::<Vec<_>>(),
        );
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_redis_reads_them() {
        assert_eq!(parse("3"), Some(vec![3]));
        assert_eq!(parse("0,2-4,3"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse("0-7:2,1"), Some(vec![0, 2, 4, 6, 1]));
        for odd in ["", "a", "3-1", "0-", "0-3:0", "1,,2", "5000"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
