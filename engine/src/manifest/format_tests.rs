//! The manifest's text against Redis' rules.

use super::*;

fn error(text: &str) -> FormatError {
    parse(text.as_bytes()).expect_err(text)
}

fn sample() -> Manifest {
    let mut base = Entry::new("appendonly.aof.1.base.rdb", 1, Kind::Base);
    base.extra.push(("startoffset".into(), "0".into()));
    let mut segment = Entry::new("appendonly.aof.3.s0.incr.aof", 9, Kind::Incr);
    segment.epoch = Some(4);
    segment.run = Some(0xfeed);
    segment.method = Some(Method::Direct);
    segment.bytes = Some(1 << 20);
    segment.first_lsn = Some(501);
    Manifest { files: vec![base, segment], next_number: 10, epoch: 4 }
}

#[test]
fn the_text_is_fixed() {
    let expected = "file appendonly.aof.1.base.rdb seq 1 type b startoffset 0\n\
         file appendonly.aof.3.s0.incr.aof seq 9 type i q-epoch 4 q-run 000000000000feed \
         q-method direct q-bytes 1048576 q-first 501\n\
         # quire next 10 epoch 4 crc32c ";
    let text = String::from_utf8(sample().print()).unwrap();
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(text.len(), expected.len() + 9);
}

#[test]
fn what_is_printed_is_parsed_back() {
    let mut manifest = sample();
    manifest.files.push(Entry::new("sp ace \"q\" \u{e4}.aof", 11, Kind::Incr));
    assert_eq!(parse(&manifest.print()).unwrap(), (manifest, Trailer::Valid));
    let empty = Manifest { files: vec![], next_number: 1, epoch: 0 };
    assert_eq!(parse(&empty.print()).unwrap(), (empty, Trailer::Valid));
}

#[test]
fn a_changed_byte_before_the_trailer_is_noticed() {
    let text = String::from_utf8(sample().print()).unwrap();
    let edited = text.replace("seq 9", "seq 8");
    assert_eq!(parse(edited.as_bytes()).unwrap().1, Trailer::Mismatch);
    let behind = format!("{text}file x seq 20 type i\n");
    assert_eq!(parse(behind.as_bytes()).unwrap().1, Trailer::Mismatch);
    let (manifest, trailer) = parse(b"file x seq 20 type i\n").unwrap();
    assert_eq!((manifest.next_number, trailer), (0, Trailer::Missing));
}

#[test]
fn what_stock_accepts_is_accepted() {
    for (line, name, seq) in [
        ("file a.aof seq 1 type i\n", "a.aof", 1),
        ("FILE a.aof SEQ 007 TYPE incr\n", "a.aof", 7),
        ("seq 2 type i file a.aof\n", "a.aof", 2),
        ("  file 'q.aof' seq 3 type i \r\n", "q.aof", 3),
        ("file \"sp ace.aof\" seq 4 type i\n", "sp ace.aof", 4),
        ("file a seq 5 type i startoffset 1 endoffset 2\n", "a", 5),
        ("# comment\nfile a seq 6 type i\n# end without newline", "a", 6),
    ] {
        let (manifest, _) = parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!((manifest.files[0].name.as_str(), manifest.files[0].seq), (name, seq));
    }
}

#[test]
fn what_stock_refuses_is_refused_with_its_line() {
    let invalid = "Invalid AOF manifest file format";
    for (text, line, what) in [
        ("", 0, "Found an empty AOF manifest"),
        ("file a seq 1 type i\n\n", 2, invalid),
        (" # indented\n", 1, invalid),
        ("file a seq 1 type\n", 1, invalid),
        ("file a seq 1 type i odd\n", 1, invalid),
        ("file a seq 1\n", 1, invalid),
        ("file a seq 0 type i\n", 1, invalid),
        ("file a seq 0x10 type i\n", 1, invalid),
        ("file a seq -1 type i\n", 1, invalid),
        ("file a seq 9223372036854775807 type i\n", 1, invalid),
        ("file \"a seq 1 type i\n", 1, invalid),
        ("file a seq 1 type x\n", 1, "Unknown AOF file type"),
        ("file d/a seq 1 type i\n", 1, "File can't be a path, just a filename"),
        ("file .. seq 1 type i\n", 1, "File can't be a path, just a filename"),
        ("file a seq 1 type b\nfile b seq 2 type b\n", 2, "Found duplicate base file information"),
        ("file a seq 2 type i\nfile b seq 2 type i\n", 2, "Found a non-monotonic sequence number"),
        ("file a seq 2 type i\nfile b seq 1 type i\n", 2, "Found a non-monotonic sequence number"),
        ("file a seq 1 type i\nfile a seq 2 type i\n", 2, "the file is listed twice"),
        ("file a seq 1 type i\nfile b seq 2 ty", 2, "the line has no end: the file is cut short"),
        ("file a seq 1 type i\n\0\0", 2, "the line has no end: the file is cut short"),
    ] {
        assert_eq!(error(text), FormatError { line, what }, "{text:?}");
    }
    let long = format!("file {} seq 1 type i\n", "a".repeat(1100));
    assert_eq!(error(&long).what, "The AOF manifest file contains too long line");
    let comment = format!("#{}\nfile a seq 1 type i\n", "x".repeat(1100));
    assert_eq!(error(&comment).line, 1);
    // 1023 bytes and the newline are the longest line.
    let name = "a".repeat(1023 - "file  seq 1 type i".len());
    assert!(parse(format!("file {name} seq 1 type i\n").as_bytes()).is_ok());
    assert!(parse(format!("file a{name} seq 1 type i\n").as_bytes()).is_err());
    // What is read can be written: bytes that need escapes count as long as they get.
    let pair = |n: usize| format!("file a seq 1 type i k \"{}\"\n", "\u{1}".repeat(n));
    assert!(parse(pair(249).as_bytes()).is_ok_and(|(m, _)| parse(&m.print()).is_ok()));
    assert_eq!(error(&pair(250)).what, "the line is too long when it is written again: shorten it");
}
