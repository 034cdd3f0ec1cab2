//! Adding places, and telling them and their distances.

use super::{
    cells::{self, Cell},
    point, reply_distance, reply_point, unit,
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, OwnedArgs},
    families::zsets::write::zadd,
    types::ZsetRef,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "geoadd",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Add one or more geospatial items in the geospatial index represented using a sorted set",
        fanout: Fanout::Whole,
        examples: &[
            "GEOADD nokey 13.361389 38.115556 p 15.087269 37.502669 c",
            "GEOADD g NX CH 2.35 48.85 q",
        ],
        run: geoadd,
    },
    CommandSpec {
        name: "geopos",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(N) where N is the number of members requested.",
        summary: "Returns longitude and latitude of members of a geospatial index",
        fanout: Fanout::Whole,
        examples: &["GEOPOS g p nomember"],
        run: geopos,
    },
    CommandSpec {
        name: "geodist",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(log(N))",
        summary: "Returns the distance between two members of a geospatial index",
        fanout: Fanout::Whole,
        examples: &["GEODIST g p c", "GEODIST g p c km"],
        run: geodist,
    },
    CommandSpec {
        name: "geohash",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
        summary: "Returns members of a geospatial index as standard geohash strings",
        fanout: Fanout::Whole,
        examples: &["GEOHASH g p c"],
        run: geohash,
    },
];

/// Letters of the standard geohash.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Letters of a geohash as replied; the last one is always the first of the alphabet.
const LETTERS: usize = 11;

/// Executed, and logged, as ZADD.
fn geoadd(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut line = OwnedArgs::new();
    line.push(b"ZADD");
    line.push(args.get(1));
    let (mut at, mut nx, mut xx) = (2, false, false);
    while let Some(option) = args.try_get(at) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        nx |= is("nx");
        xx |= is("xx");
        if !is("nx") && !is("xx") && !is("ch") {
            break;
        }
        line.push(option);
        at += 1;
    }
    if !(args.len() - at).is_multiple_of(3) || at == args.len() || nx && xx {
        return Err(CommandError::SYNTAX);
    }
    for at in (at..args.len()).step_by(3) {
        let score = cells::score(point(args, at)?);
        line.push(itoa::Buffer::new().format(score).as_bytes());
        line.push(args.get(at + 2));
    }
    zadd(cx, line.as_args())
}

fn geopos(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_point(reply, cells::point(score)),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn geodist(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let unit = match args.len() {
        4 => 1.0,
        5 => unit(args.get(4))?,
        _ => return Err(CommandError::SYNTAX),
    };
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    let place = |at| Some(cells::point(zset?.score(args.get(at))?));
    match (place(2), place(3)) {
        (Some(from), Some(to)) => reply_distance(reply, cells::distance(from, to) / unit),
        _ => reply.null(),
    }
    Ok(())
}

fn geohash(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        let Some(score) = zset.and_then(|zset| zset.score(member)) else {
            reply.null();
            continue;
        };
        // The standard's grid reaches the poles.
        let cell = Cell::of(cells::point(score), cells::STEPS_MAX, 90.0);
        let mut text = [ALPHABET[0]; LETTERS];
        for (at, letter) in text[..LETTERS - 1].iter_mut().enumerate() {
            *letter = ALPHABET[(cell.bits() >> (52 - 5 * (at + 1))) as usize & 31];
        }
        reply.bulk(&text);
    }
    Ok(())
}
