//! PFDEBUG and PFSELFTEST: looks behind the format.

use super::{bytes_of, corrupt, put_whole};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    types::hyperloglog::{self as hll, Encoding, sparse},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "pfdebug",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::ADMIN),
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Hyperloglog,
        acl: &["@dangerous"],
        since: "2.8.9",
        complexity: "N/A",
        summary: "Internal commands for debugging HyperLogLog values",
        fanout: Fanout::Whole,
        examples: &[
            "PFDEBUG TODENSE hll",
            "PFDEBUG GETREG hll",
            "PFDEBUG DECODE hll",
            "PFDEBUG ENCODING hll",
        ],
        run: pfdebug,
    },
    CommandSpec {
        name: "pfselftest",
        arity: 1,
        flags: Flags::ADMIN,
        keys: KeySpec::None,
        group: Group::Hyperloglog,
        acl: &["@dangerous"],
        since: "2.8.9",
        complexity: "N/A",
        summary: "An internal command for testing HyperLogLog values",
        fanout: Fanout::Whole,
        examples: &["PFSELFTEST"],
        run: pfselftest,
    },
];

fn pfdebug(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(2));
    let Some(entry) = cx.find_string(key)? else {
        return Err(CommandError::new("ERR The specified key does not exist"));
    };
    let (bytes, encoding) = bytes_of(entry.value())?;
    let is = |name: &str| args.get(1).eq_ignore_ascii_case(name.as_bytes());
    if is("encoding") {
        cx.reply.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" });
        return Ok(());
    }
    if is("decode") {
        if encoding == Encoding::Dense {
            return Err(CommandError::new("ERR HLL encoding is not sparse"));
        }
        let runs: Vec<String> = sparse::runs(bytes).map(text_of).collect();
        cx.reply.bulk(runs.join(" ").as_bytes());
        return Ok(());
    }
    let registers = is("getreg");
    if !registers && !is("todense") {
        let name = String::from_utf8_lossy(args.get(1));
        return Err(CommandError::owned(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
    }
    let dense = hll::to_dense(bytes).map_err(corrupt)?;
    if encoding == Encoding::Sparse {
        cx.admit(dense.len())?;
        put_whole(cx, key, &dense);
    }
    if registers {
        cx.reply.array(hll::REGISTERS);
        (0..hll::REGISTERS).for_each(|at| cx.reply.int(i64::from(hll::dense_get(&dense, at))));
    } else {
        cx.reply.int(i64::from(encoding == Encoding::Sparse));
    }
    Ok(())
}

fn text_of(run: sparse::Run) -> String {
    match run {
        sparse::Run { value: 0, bytes: 1, len } => format!("z:{len}"),
        sparse::Run { value: 0, len, .. } => format!("Z:{len}"),
        sparse::Run { value, len, .. } => format!("v:{value},{len}"),
    }
}

/// Elements that the self-test adds: powers of ten up to this are checked.
const TESTED: u64 = 1_000_000;

fn failed(what: &str) -> CommandError {
    CommandError::owned(format!("ERR TESTFAILED {what}"))
}

fn pfselftest(cx: &mut Ctx<'_>, _: Args<'_>) -> Result<(), CommandError> {
    let mut dense = hll::to_dense(&hll::empty()).map_err(corrupt)?;
    let mut value = hll::empty();
    let seed = cx.random.next();
    let mut checkpoint = 1;
    for number in 1..=TESTED {
        let (index, register) = hll::place(&(number ^ seed).to_le_bytes());
        hll::dense_raise(&mut dense, index, register);
        hll::raise(&mut value, index, register, cx.limits.hll_sparse_bytes).map_err(corrupt)?;
        if number != checkpoint {
            continue;
        }
        let count = hll::count(&dense).map_err(corrupt)?;
        if count != hll::count(&value).map_err(corrupt)? {
            return Err(failed("dense/sparse disagree"));
        }
        // Six standard errors, and one of ten since two may fall on one register.
        let allowed = (1.04 / (hll::REGISTERS as f64).sqrt() * 6.0 * checkpoint as f64).ceil();
        let allowed = if checkpoint == 10 { 1 } else { allowed as u64 };
        let off = count.abs_diff(checkpoint);
        if off > allowed {
            return Err(failed(&format!("Too big error. card:{checkpoint} abserr:{off}")));
        }
        checkpoint *= 10;
    }
    let mut registers = [0; hll::REGISTERS];
    for (at, register) in registers.iter_mut().enumerate() {
        *register = (cx.random.next() & 63) as u8;
        hll::dense_raise(&mut dense, at, *register);
        *register = (*register).max(hll::dense_get(&dense, at));
    }
    for (at, register) in registers.iter().enumerate() {
        let found = hll::dense_get(&dense, at);
        if found != *register {
            let what = format!("Register {at} should be {register} but is {found}");
            return Err(failed(&what));
        }
    }
    cx.reply.ok();
    Ok(())
}
