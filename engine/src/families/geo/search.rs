//! Searching for places within a circle or a box.

use super::{
    cells::{self, Point, Region, Shape},
    point, reply_distance, reply_point, unit,
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    families::zsets::range::store,
    number::{canonical_int, parse_double},
    types::{Collection, Zset, ZsetRef, zset::ScoreBound},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "geosearch",
        arity: -7,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        summary: "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.",
        fanout: Fanout::Whole,
        examples: &[
            "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST",
            "GEOSEARCH g FROMMEMBER p BYBOX 400 400 km COUNT 1 ANY",
        ],
        run: geosearch,
    },
    CommandSpec {
        name: "geosearchstore",
        arity: -8,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::Geo,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        summary: "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, and store the result in another key.",
        fanout: Fanout::Store,
        examples: &[
            "GEOSEARCHSTORE nokey g FROMLONLAT 15 37 BYRADIUS 200 km",
            "GEOSEARCHSTORE g2 g FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST",
        ],
        run: geosearchstore,
    },
    CommandSpec {
        name: "georadius",
        arity: -6,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Stored { from: 6 },
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a point",
        fanout: Fanout::StoreOption,
        examples: &[
            "GEORADIUS g 15 37 200 km WITHCOORD WITHHASH",
            "GEORADIUS g 15 37 200 km STORE nokey",
            "GEORADIUS g 15 37 200 km STOREDIST nokey",
        ],
        run: georadius,
    },
    CommandSpec {
        name: "georadius_ro",
        arity: -6,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.10",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "A read-only variant for GEORADIUS",
        fanout: Fanout::Whole,
        examples: &["GEORADIUS_RO g 15 37 200 km DESC"],
        run: georadius_ro,
    },
    CommandSpec {
        name: "georadiusbymember",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Stored { from: 5 },
        group: Group::Geo,
        acl: &[],
        since: "3.2.0",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a member",
        fanout: Fanout::StoreOption,
        examples: &["GEORADIUSBYMEMBER g p 200 km", "GEORADIUSBYMEMBER g p 200 km STORE nokey"],
        run: georadiusbymember,
    },
    CommandSpec {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Geo,
        acl: &[],
        since: "3.2.10",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "A read-only variant for GEORADIUSBYMEMBER",
        fanout: Fanout::Whole,
        examples: &["GEORADIUSBYMEMBER_RO g p 200 km COUNT 1"],
        run: georadiusbymember_ro,
    },
];

/// Members looked at before the search asks whether it has enough.
const BATCH: usize = 64;

/// Which command this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS: around a point; whether it may store.
    Point { stores: bool },
    /// GEORADIUSBYMEMBER: around a member; whether it may store.
    Member { stores: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// What a command line asks for.
#[derive(Default)]
struct Request<'a> {
    centre: Option<Point>,
    /// The centre is given, if only by a member of a set that does not exist.
    centred: Option<Origin>,
    shape: Option<(Shape, f64)>,
    order: Option<Order>,
    count: usize,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    target: Option<&'a [u8]>,
    store_distance: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Member,
    Point,
}

/// A place that was found.
struct Found {
    member: Vec<u8>,
    score: f64,
    point: Point,
    distance: f64,
}

/// A length, refused with `not_a_number` or `negative`.
fn length(text: &[u8], not_a_number: &'static str) -> Result<f64, CommandError> {
    parse_double(text).ok_or(CommandError::new(not_a_number))
}

fn radius(args: Args<'_>, at: usize) -> Result<(Shape, f64), CommandError> {
    let radius = length(args.get(at), "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(CommandError::new("ERR radius cannot be negative"));
    }
    Ok((Shape::Circle(radius), unit(args.get(at + 1))?))
}

fn rectangle(args: Args<'_>, at: usize) -> Result<(Shape, f64), CommandError> {
    let width = length(args.get(at), "ERR need numeric width")?;
    let height = length(args.get(at + 1), "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(CommandError::new("ERR height or width cannot be negative"));
    }
    Ok((Shape::Box(width, height), unit(args.get(at + 2))?))
}

/// Where a member is; None when there is no set at all.
fn member_point(zset: Option<ZsetRef<'_>>, member: &[u8]) -> Result<Option<Point>, CommandError> {
    let Some(zset) = zset else { return Ok(None) };
    let score = zset
        .score(member)
        .ok_or(CommandError::new("ERR could not decode requested zset member"))?;
    Ok(Some(cells::point(score)))
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, form: Form, zset: Option<ZsetRef<'_>>) -> Result<Self, CommandError> {
        let mut request = Self::default();
        let at = match form {
            Form::Point { .. } => {
                request.centre = Some(point(args, 2)?);
                request.shape = Some(radius(args, 4)?);
                6
            }
            Form::Member { .. } => {
                request.centre = member_point(zset, args.get(2))?;
                if zset.is_some() {
                    request.shape = Some(radius(args, 3)?);
                }
                5
            }
            Form::Search => 2,
            Form::SearchStore => {
                request.target = Some(args.get(1));
                3
            }
        };
        request.options(args, at, form, zset)?;
        request.check(args, form)?;
        Ok(request)
    }

    fn options(
        &mut self,
        args: Args<'a>,
        mut at: usize,
        form: Form,
        zset: Option<ZsetRef<'_>>,
    ) -> Result<(), CommandError> {
        let searches = matches!(form, Form::Search | Form::SearchStore);
        let stores = matches!(form, Form::Point { stores: true } | Form::Member { stores: true });
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let left = args.len() - at - 1;
            let circle = matches!(self.shape, Some((Shape::Circle(_), _)));
            let used = if is("withdist") {
                self.with_distance = true;
                0
            } else if is("withhash") {
                self.with_hash = true;
                0
            } else if is("withcoord") {
                self.with_point = true;
                0
            } else if is("any") {
                self.any = true;
                0
            } else if is("asc") {
                self.order = Some(Order::Nearest);
                0
            } else if is("desc") {
                self.order = Some(Order::Farthest);
                0
            } else if is("count") && left >= 1 {
                let count = canonical_int(args.get(at + 1)).ok_or(CommandError::NOT_AN_INTEGER)?;
                if count <= 0 {
                    return Err(CommandError::new("ERR COUNT must be > 0"));
                }
                self.count = count as usize;
                1
            } else if stores && left >= 1 && (is("store") || is("storedist")) {
                self.target = Some(args.get(at + 1));
                self.store_distance = is("storedist");
                1
            } else if form == Form::SearchStore && is("storedist") {
                self.store_distance = true;
                0
            } else if searches
                && is("frommember")
                && left >= 1
                && self.centred != Some(Origin::Point)
            {
                self.centre = member_point(zset, args.get(at + 1))?;
                self.centred = Some(Origin::Member);
                1
            } else if searches
                && is("fromlonlat")
                && left >= 2
                && self.centred != Some(Origin::Member)
            {
                self.centre = Some(point(args, at + 1)?);
                self.centred = Some(Origin::Point);
                2
            } else if searches && is("byradius") && left >= 2 && (self.shape.is_none() || circle) {
                self.shape = Some(radius(args, at + 1)?);
                2
            } else if searches && is("bybox") && left >= 3 && !circle {
                self.shape = Some(rectangle(args, at + 1)?);
                3
            } else {
                return Err(CommandError::SYNTAX);
            };
            at += 1 + used;
        }
        Ok(())
    }

    fn check(&self, args: Args<'_>, form: Form) -> Result<(), CommandError> {
        let detailed = self.with_distance || self.with_hash || self.with_point;
        if self.target.is_some() && detailed {
            let what = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(CommandError::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if matches!(form, Form::Search | Form::SearchStore) {
            let missing = if self.centred.is_none() {
                Some("FROMMEMBER or FROMLONLAT")
            } else if self.shape.is_none() {
                Some("BYRADIUS and BYBOX")
            } else {
                None
            };
            if let Some(options) = missing {
                let name = String::from_utf8_lossy(args.get(0));
                return Err(CommandError::owned(format!(
                    "ERR exactly one of {options} can be specified for {name}"
                )));
            }
        }
        if self.any && self.count == 0 {
            return Err(CommandError::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The places, ordered and counted as wanted.
    fn search(&self, zset: ZsetRef<'_>) -> Vec<Found> {
        let (Some(centre), Some((shape, unit))) = (self.centre, self.shape) else {
            return Vec::new();
        };
        let region = Region { centre, shape, unit };
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        for cell in region.cells() {
            let (min, max) = cell.scores();
            let min = ScoreBound { score: min, exclusive: false };
            let max = ScoreBound { score: max, exclusive: true };
            let (first, count) = zset.ranks_by_score(min, max);
            let mut done = 0;
            while done < count && found.len() < enough {
                let batch = if self.any { BATCH.min(count - done) } else { count - done };
                zset.upwards(first + done, batch, &mut |member, score| {
                    let point = cells::point(score);
                    if found.len() < enough
                        && let Some(distance) = region.distance(point)
                    {
                        let member = member.to_vec();
                        let distance = distance / unit;
                        found.push(Found { member, score, point, distance });
                    }
                });
                done += batch;
            }
        }
        // Without ANY, those that are counted are the nearest.
        let nearest = (self.count > 0 && !self.any).then_some(Order::Nearest);
        match self.order.or(nearest) {
            Some(Order::Nearest) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Farthest) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }
}

fn search(cx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> Result<(), CommandError> {
    let key = cx.key(args.get(if form == Form::SearchStore { 2 } else { 1 }));
    let zset = cx.view::<ZsetRef<'_>>(key)?.0;
    let request = Request::parse(args, form, zset)?;
    let found = zset.map_or_else(Vec::new, |zset| request.search(zset));
    if let Some(target) = request.target {
        let mut result = Zset::empty(Vec::new());
        let (limits, hasher) = (cx.limits, cx.keyspace.hasher());
        for place in &found {
            let score = if request.store_distance { place.distance } else { place.score };
            result.set(&place.member, score, limits, hasher);
        }
        return store(cx, target, result);
    }
    let details = [request.with_distance, request.with_hash, request.with_point];
    let details = details.iter().filter(|wanted| **wanted).count();
    let reply = &mut cx.reply;
    reply.array(found.len());
    for place in &found {
        if details > 0 {
            reply.array(1 + details);
        }
        reply.bulk(&place.member);
        if request.with_distance {
            reply_distance(reply, place.distance);
        }
        if request.with_hash {
            reply.int(place.score as i64);
        }
        if request.with_point {
            reply_point(reply, place.point);
        }
    }
    Ok(())
}

fn geosearch(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Search)
}

fn geosearchstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::SearchStore)
}

fn georadius(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Point { stores: true })
}

fn georadius_ro(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Point { stores: false })
}

fn georadiusbymember(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Member { stores: true })
}

fn georadiusbymember_ro(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    search(cx, args, Form::Member { stores: false })
}
