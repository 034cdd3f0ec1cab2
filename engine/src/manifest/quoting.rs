//! Redis' argument quoting (`sdssplitargs`, `sdscatrepr`), as the manifest uses it: words apart
//! by blanks, `"..."` with C-like escapes, `'...'` with `\'` only.

/// Splits a line into its words; `None` when a quote is open or a closing one is not followed by
/// a blank.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|b| is_blank(*b)) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let (word, next) = take_word(line, at)?;
        words.push(word);
        at = next;
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn take_word(line: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            _ if is_blank(byte) || byte == 0 => return Some((word, at + 1)),
            b'"' | b'\'' => {
                let next = take_quoted(line, at + 1, byte, &mut word)?;
                // A closing quote ends the word: only a blank or the end may follow.
                return line.get(next).is_none_or(|b| is_blank(*b)).then_some((word, next));
            }
            _ => word.push(byte),
        }
        at += 1;
    }
    Some((word, at))
}

fn take_quoted(line: &[u8], mut at: usize, quote: u8, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        let byte = *line.get(at)?;
        if byte == quote {
            return Some(at + 1);
        }
        if byte != b'\\' {
            word.push(byte);
            at += 1;
            continue;
        }
        let escaped = line.get(at + 1).copied();
        if quote == b'\'' {
            if escaped == Some(b'\'') {
                word.push(b'\'');
                at += 2;
            } else {
                word.push(b'\\');
                at += 1;
            }
            continue;
        }
        let hex = |i: usize| line.get(i).and_then(|b| (*b as char).to_digit(16));
        if let (Some(b'x'), Some(high), Some(low)) = (escaped, hex(at + 2), hex(at + 3)) {
            word.push((high * 16 + low) as u8);
            at += 4;
            continue;
        }
        word.push(match escaped? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            other => other,
        });
        at += 2;
    }
}

/// Appends one word so that [`split`] gives it back.
pub(super) fn push(line: &mut Vec<u8>, word: &str) {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.bytes().all(plain) {
        line.extend_from_slice(word.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in word.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        Some(split(line.as_bytes())?.into_iter().map(|w| String::from_utf8(w).unwrap()).collect())
    }

    #[test]
    fn words_are_split_as_redis_does() {
        for (line, expected) in [
            (r#"file "sp ace.aof" seq 1"#, Some(vec!["file", "sp ace.aof", "seq", "1"])),
            (r"file 'q.aof'", Some(vec!["file", "q.aof"])),
            (r#""\x65.aof""#, Some(vec!["e.aof"])),
            (r#"pre"fix" x"#, Some(vec!["prefix", "x"])),
            (r"'it\'s' '\n'", Some(vec!["it's", r"\n"])),
            ("", Some(vec![])),
            ("  \t a\tb ", Some(vec!["a", "b"])),
            (r#""open"#, None),
            (r#""closed"not"#, None),
            (r#""trailing\"#, None),
        ] {
            let expected = expected.map(|e| e.into_iter().map(str::to_owned).collect());
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn every_word_pushed_comes_back() {
        for word in ["plain", "sp ace", "", "qu\"ote", "back\\slash", "tab\t", "\u{e4}", "'"] {
            let mut line = Vec::new();
            push(&mut line, word);
            assert_eq!(split(&line).unwrap(), vec![word.as_bytes().to_vec()], "{word:?}");
        }
    }
}
