//! Adding, counting and merging.
//!
//! A value that becomes dense because of `hll-sparse-max-bytes` is logged whole and replay knows no
//! such limit, so that what is replayed does not depend on the directive.

use super::{bytes_of, corrupt, put, put_whole};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    types::hyperloglog::{self as hll, Encoding, Raised},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "pfadd",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hyperloglog,
        acl: &[],
        since: "2.8.9",
        complexity: "O(1) to add every element.",
        summary: "Adds the specified elements to the specified HyperLogLog.",
        fanout: Fanout::Whole,
        examples: &["PFADD nokey a b c", "PFADD nokey2"],
        run: pfadd,
    },
    CommandSpec {
        name: "pfcount",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ALL,
        group: Group::Hyperloglog,
        acl: &[],
        since: "2.8.9",
        complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
        summary: "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
        fanout: Fanout::Whole,
        examples: &["PFCOUNT nokey", "PFCOUNT hll", "PFCOUNT hll hll2 nokey"],
        run: pfcount,
    },
    CommandSpec {
        name: "pfmerge",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ALL,
        group: Group::Hyperloglog,
        acl: &[],
        since: "2.8.9",
        complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
        summary: "Merge N different HyperLogLogs into a single one.",
        fanout: Fanout::Merge,
        examples: &["PFMERGE nokey hll hll2", "PFMERGE hll hll2"],
        run: pfmerge,
    },
];

/// Longest sparse value that the command may make, bytes.
fn sparse_bytes_max(cx: &Ctx<'_>) -> usize {
    if cx.is_live() { cx.limits.hll_sparse_bytes } else { usize::MAX }
}

fn pfadd(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let elements = || args.iter_from(2).map(hll::place);
    let sparse = match cx.find_string(key)? {
        None => None,
        Some(mut entry) => match bytes_of(entry.value())? {
            (bytes, Encoding::Sparse) => Some(bytes.to_vec()),
            (_, Encoding::Dense) => {
                let mut raised = false;
                if let Some(bytes) = entry.bytes_mut() {
                    for (index, value) in elements() {
                        raised |= hll::dense_raise(bytes, index, value);
                    }
                    if raised {
                        hll::forget_cached(bytes);
                    }
                }
                if raised {
                    cx.effect(key.hash, Effect::Verbatim { args });
                }
                cx.reply.int(i64::from(raised));
                return Ok(());
            }
        },
    };
    let mut raised = sparse.is_none();
    let mut too_long = false;
    let mut value = sparse.unwrap_or_else(hll::empty);
    let bytes_max = sparse_bytes_max(cx);
    let mut broken = None;
    for (index, register) in elements() {
        match hll::raise(&mut value, index, register, bytes_max) {
            Ok(done) => {
                raised |= done != Raised::No;
                too_long |= done == Raised::TooLong;
            }
            // What came before it counts, as in Redis.
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    if raised {
        hll::forget_cached(&mut value);
        if too_long || broken.is_some() {
            cx.admit(value.len())?;
            put_whole(cx, key, &value);
        } else {
            put(cx, key, &value);
            cx.effect(key.hash, Effect::Verbatim { args });
        }
    }
    if let Some(error) = broken {
        return Err(corrupt(error));
    }
    cx.reply.int(i64::from(raised));
    Ok(())
}

fn pfcount(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() == 2 {
        return count_one(cx, args);
    }
    let (registers, _) = union(cx, args)?;
    cx.reply.int(hll::count_registers(&registers) as i64);
    Ok(())
}

/// The highest registers of all keys, and whether a value is dense.
fn union(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
) -> Result<(Box<[u8; hll::REGISTERS]>, bool), CommandError> {
    let mut registers = Box::new([0; hll::REGISTERS]);
    let mut dense = false;
    for key in args.iter_from(1) {
        let key = cx.key(key);
        let Some(entry) = cx.read_string(key)?.0 else { continue };
        let (bytes, encoding) = bytes_of(entry.value())?;
        dense |= encoding == Encoding::Dense;
        hll::merge(&mut registers, bytes).map_err(corrupt)?;
    }
    Ok((registers, dense))
}

/// The cardinality of one key, which is kept in its header if the log has room to say so.
fn count_one(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let Some(entry) = cx.read_string(key)?.0 else {
        cx.reply.int(0);
        return Ok(());
    };
    let (bytes, _) = bytes_of(entry.value())?;
    let count = match hll::cached(bytes) {
        Some(count) => count,
        None => {
            let count = hll::count(bytes).map_err(corrupt)?;
            if cx.is_live() && !cx.keeps_expired && cx.admit(args.bytes()).is_ok() {
                let header = count.to_le_bytes();
                cx.database().write_range(key, 8, &header);
                let parts: [&[u8]; 4] = [b"SETRANGE", key.bytes, b"8", &header];
                cx.effect(key.hash, Effect::Parts { parts: &parts });
            }
            count
        }
    };
    cx.reply.int(count as i64);
    Ok(())
}

fn pfmerge(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (registers, dense) = union(cx, args)?;
    let key = cx.key(args.get(1));
    let mut value = match cx.find_string(key)? {
        Some(entry) => bytes_of(entry.value())?.0.to_vec(),
        None => hll::empty(),
    };
    if dense {
        value = hll::to_dense(&value).map_err(corrupt)?;
    }
    let bytes_max = sparse_bytes_max(cx);
    for (index, register) in registers.iter().enumerate().filter(|(_, register)| **register > 0) {
        hll::raise(&mut value, index, *register, bytes_max).map_err(corrupt)?;
    }
    hll::forget_cached(&mut value);
    cx.admit(value.len())?;
    put_whole(cx, key, &value);
    cx.reply.ok();
    Ok(())
}
