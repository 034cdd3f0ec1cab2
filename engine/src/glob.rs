//! Redis' glob patterns on bytes: `*`, `?`, `[a-z]`, `[^..]`, `\` escapes.
//!
//! Owns: the exact acceptance of Redis 7.0, oddities included: an unterminated class ends with
//! the pattern; a reversed range is turned round; a pattern of stars does not match the empty
//! string, which only `KEYS *` and `SCAN`, who know that pattern by heart, list; what takes more
//! than a thousand stars to match does not.
//! Cost: at most `pattern * text` steps. Every construct except `*` takes exactly one byte of
//! text, so when a match fails only the last `*` seen has to take one byte more: a longer match
//! of an earlier one could not help the rest that the later one already failed on.

/// Stars (runs of them) before another part of the pattern that a match may pass, as in Redis.
const STARS_MAX: u32 = 1000;

/// The construct at the head of a pattern, judged against one byte.
struct Step {
    matches: bool,
    /// Bytes of pattern it takes.
    len: usize,
}

/// A class: `pattern` is what follows `[`; the length includes it.
fn class(pattern: &[u8], byte: u8) -> Step {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at..] {
            // Past the end, or at the bracket: both end the class.
            [] => return Step { matches: found != negated, len: at + 1 },
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => return Step { matches: found != negated, len: at + 2 },
            [first, b'-', last, ..] => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
}

fn step(pattern: &[u8], byte: u8) -> Step {
    match pattern {
        [b'?', ..] => Step { matches: true, len: 1 },
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, ..] => Step { matches: *escaped == byte, len: 2 },
        [literal, ..] => Step { matches: *literal == byte, len: 1 },
        [] => Step { matches: false, len: 0 },
    }
}

/// True when the whole of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where the pattern goes on behind the last star, and where that star's text ends.
    let mut star: Option<(usize, usize)> = None;
    let mut stars = 0;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            if pattern[p] != b'*' {
                stars += 1;
                if stars > STARS_MAX {
                    return false;
                }
            }
            star = Some((p, t));
            continue;
        }
        let step = step(&pattern[p..], text[t]);
        if step.matches {
            p += step.len;
            t += 1;
        } else if let Some((after, end)) = star {
            star = Some((after, end + 1));
            (p, t) = (after, end + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        // Each verdict is redis-server 7.0.15's (KEYS with the pattern on that one key).
        for (pattern, text, verdict) in [
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("*b*c*", "abxcx", true),
            ("?", "", false),
            ("**", "", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[b-a]llo", "hallo", true),
            ("[", "[", false),
            ("[^", "x", true),
            ("[abc", "b", true),
            ("[a-", "-", true),
            ("[a-]", "a]", false),
            ("[]a]", "a", false),
            ("[\\]]", "]", true),
            ("[\\", "\\", true),
            ("\\", "\\", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("a***", "a", true),
            ("a*?", "a", false),
            ("*?", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), verdict, "{pattern} {text}");
        }
    }

    #[test]
    fn a_match_passes_a_thousand_stars_and_no_more() {
        let text = vec![b'a'; 3000];
        for (stars, tail, verdict) in
            [(1000, "", true), (1001, "", false), (1000, "*", true), (1000, "**", true)]
        {
            let pattern = ["*?".repeat(stars).as_bytes(), tail.as_bytes()].concat();
            assert_eq!(matches(&pattern, &text), verdict, "{stars} stars, {tail}");
            let pattern = [b"**?".repeat(stars), tail.into()].concat();
            assert_eq!(matches(&pattern, &text), verdict, "{stars} double stars, {tail}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let text = vec![b'a'; 4000];
        let pattern = [b"a*".repeat(60), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text));
    }
}
