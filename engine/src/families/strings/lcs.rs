//! LCS: the longest common subsequence of two strings.
//!
//! The classic table of lengths (Wagner, Fischer 1974), of which only one row is kept; to walk
//! back, each cell needs one bit: whether the walk goes up or left there. Which of several
//! longest subsequences is found is part of the contract: on a mismatch the walk goes up only if
//! that is strictly better.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    keyspace::canonical_int,
    limits::STRING_BYTES_MAX,
};
use std::ops::Range;

/// Rows.
pub const SPECS: &[CommandSpec] = &[CommandSpec {
    name: "lcs",
    arity: -3,
    flags: Flags::READONLY,
    keys: KeySpec::Range { first: 1, last: 2, step: 1 },
    group: Group::String,
    acl: &[],
    since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary: "Find longest common substring",
    fanout: Fanout::Whole,
    examples: &["LCS k k2", "LCS k k2 LEN", "LCS k k2 IDX MINMATCHLEN 2 WITHMATCHLEN"],
    run: lcs,
}];

/// Bytes of a cell of the table in Redis, which bounds the whole table like a string.
const CELL_BYTES: usize = 4;

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 3;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("idx") {
                options.idx = true;
            } else if is("len") {
                options.len = true;
            } else if is("withmatchlen") {
                options.with_match_len = true;
            } else if is("minmatchlen") && args.len() > at + 1 {
                at += 1;
                let n = canonical_int(args.get(at)).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.min_match_len = n.max(0) as usize;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if options.idx && options.len {
            return Err(CommandError::new(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// The table: how long the subsequence is, and where the walk back goes.
struct Table {
    len: usize,
    /// One bit per cell, row by row: go up. Empty when nobody will walk.
    up: Vec<u64>,
}

impl Table {
    fn new(a: &[u8], b: &[u8], walk: bool) -> Result<Self, CommandError> {
        let table = (a.len() + 1).saturating_mul(b.len() + 1).saturating_mul(CELL_BYTES);
        if table > STRING_BYTES_MAX {
            return Err(CommandError::new(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let cells = if walk { a.len() * b.len() } else { 0 };
        let mut up = vec![0u64; cells / 64 + 1];
        let mut row = vec![0u32; b.len() + 1];
        for (i, byte) in a.iter().enumerate() {
            // `diagonal` is the cell up and left, `row[j]` still the row above.
            let mut diagonal = 0;
            for j in 1..=b.len() {
                let above = row[j];
                if *byte == b[j - 1] {
                    row[j] = diagonal + 1;
                } else if above > row[j - 1] {
                    if walk {
                        let cell = i * b.len() + j - 1;
                        up[cell / 64] |= 1 << (cell % 64);
                    }
                } else {
                    row[j] = row[j - 1];
                }
                diagonal = above;
            }
        }
        Ok(Self { len: row[b.len()] as usize, up })
    }

    /// Runs of the subsequence, last first: where each lies in `a` and in `b`.
    fn runs(&self, a: &[u8], b: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
        let mut runs = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            let mut run = 0;
            while run < i.min(j) && a[i - run - 1] == b[j - run - 1] {
                run += 1;
            }
            if run > 0 {
                runs.push((i - run..i, j - run..j));
                i -= run;
                j -= run;
                continue;
            }
            let cell = (i - 1) * b.len() + j - 1;
            if self.up[cell / 64] >> (cell % 64) & 1 == 1 {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        runs
    }
}

fn lcs(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let a = text(cx, args.get(1))?;
    let b = text(cx, args.get(2))?;
    answer(&a, &b, args, &mut cx.reply)
}

/// Replies to the command `args` whose keys hold `a` and `b` (empty where there is no key): for
/// whoever has fetched them from two shards.
///
/// # Errors
/// Syntax, or strings that are too long for the table.
pub fn answer(
    a: &[u8],
    b: &[u8],
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    let table = Table::new(a, b, !options.len)?;
    if options.len {
        reply.int(table.len as i64);
        return Ok(());
    }
    let runs = table.runs(a, b);
    if options.idx {
        reply_runs(reply, &options, &runs, table.len);
        return Ok(());
    }
    let mut common = Vec::with_capacity(table.len);
    for (in_a, _) in runs.iter().rev() {
        common.extend_from_slice(&a[in_a.clone()]);
    }
    reply.bulk(&common);
    Ok(())
}

fn text(cx: &mut Ctx<'_>, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    let key = cx.key(key);
    match cx.read(key)?.0 {
        None => Ok(Vec::new()),
        Some(entry) if entry.is_string() => Ok(entry.value().to_vec()),
        Some(_) => Err(CommandError::new("ERR The specified keys must contain string values")),
    }
}

fn reply_runs(
    reply: &mut Reply<'_>,
    options: &Options,
    runs: &[(Range<usize>, Range<usize>)],
    len: usize,
) {
    let shown = || runs.iter().filter(|(in_a, _)| in_a.len() >= options.min_match_len);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(shown().count());
    for (in_a, in_b) in shown() {
        reply.array(2 + usize::from(options.with_match_len));
        for range in [in_a, in_b] {
            reply.array(2);
            reply.int(range.start as i64);
            reply.int(range.end as i64 - 1);
        }
        if options.with_match_len {
            reply.int(in_a.len() as i64);
        }
    }
    reply.bulk(b"len");
    reply.int(len as i64);
}
