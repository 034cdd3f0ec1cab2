//! Places on the globe as numbers: cells of a grid whose numbers interleave latitude and
//! longitude, so that a cell is a range of scores of a sorted set.
//!
//! Owns the arithmetic, whose every rounding is Redis': replies must have the same digits. Knows
//! no key and no reply.

/// Degrees of longitude, and of latitude, that can be encoded: up to here, east and west (north
/// and south).
pub(super) const LONGITUDE_MAX: f64 = 180.0;
pub(super) const LATITUDE_MAX: f64 = 85.051_128_78;

/// Halvings of each axis that a score holds.
pub(super) const STEPS_MAX: u32 = 26;

const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Half the length of the Mercator projection's axes, m.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
const DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Longitude and latitude, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

/// A cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    steps: u32,
}

/// What a cell covers, degrees.
#[derive(Debug, Clone, Copy)]
struct Area {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

/// Moves the lower 32 bits apart, to the even places.
fn spread(n: u32) -> u64 {
    let mut x = u64::from(n);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333_3333_3333;
    (x | x << 1) & EVEN
}

/// The inverse of [`spread`].
fn gather(x: u64) -> u32 {
    let mut x = x & EVEN;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) as u32
}

/// Bits of the latitude.
const EVEN: u64 = 0x5555_5555_5555_5555;
/// Bits of the longitude.
const ODD: u64 = !EVEN;

impl Cell {
    /// The cell of a point on a grid that goes up to `latitude_max`.
    pub(super) fn of(point: Point, steps: u32, latitude_max: f64) -> Self {
        let cells = (1u64 << steps) as f64;
        let y = (point.latitude + latitude_max) / (latitude_max + latitude_max) * cells;
        let x = (point.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX) * cells;
        Self { bits: spread(y as u32) | spread(x as u32) << 1, steps }
    }

    /// The cell's number.
    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    /// The scores of the members in this cell: from, and up to but not including.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }

    fn area(self) -> Area {
        let (y, x) = (gather(self.bits), gather(self.bits >> 1));
        let cells = (1u64 << self.steps) as f64;
        let at = |n: u32, max: f64| -max + (f64::from(n) / cells) * (max + max);
        Area {
            west: at(x, LONGITUDE_MAX),
            east: at(x.wrapping_add(1), LONGITUDE_MAX),
            south: at(y, LATITUDE_MAX),
            north: at(y.wrapping_add(1), LATITUDE_MAX),
        }
    }

    /// The cell so many cells to the east and to the north, around the globe.
    fn neighbour(self, east: i64, north: i64) -> Self {
        let moved = |bits: u64, by: i64| {
            let mask = (1u64 << self.steps) - 1;
            spread((u64::from(gather(bits)).wrapping_add_signed(by) & mask) as u32)
        };
        let x = if east == 0 { self.bits & ODD } else { moved(self.bits >> 1, east) << 1 };
        let y = if north == 0 { self.bits & EVEN } else { moved(self.bits, north) };
        Self { bits: x | y, steps: self.steps }
    }
}

/// The score of a point.
pub(super) fn score(point: Point) -> u64 {
    Cell::of(point, STEPS_MAX, LATITUDE_MAX).bits
}

/// The point that a score stands for: the middle of its cell.
pub(super) fn point(score: f64) -> Point {
    // As C on this machine converts a double that does not fit.
    let bits = if score < 0.0 {
        score as i64 as u64
    } else if score >= 18_446_744_073_709_551_616.0 {
        0
    } else {
        score as u64
    };
    let area = Cell { bits, steps: STEPS_MAX }.area();
    Point {
        longitude: ((area.west + area.east) / 2.0).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
        latitude: ((area.south + area.north) / 2.0).clamp(-LATITUDE_MAX, LATITUDE_MAX),
    }
}

/// Metres between two latitudes.
fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (b * DEGREE - a * DEGREE).abs()
}

/// Metres between two points along a great circle (haversine).
pub(super) fn distance(a: Point, b: Point) -> f64 {
    let v = ((b.longitude * DEGREE - a.longitude * DEGREE) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (from, to) = (a.latitude * DEGREE, b.latitude * DEGREE);
    let u = ((to - from) / 2.0).sin();
    let h = u * u + from.cos() * to.cos() * v * v;
    2.0 * EARTH_RADIUS_M * h.sqrt().asin()
}

/// What is searched: all within it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// Radius, in units.
    Circle(f64),
    /// Width and height, in units.
    Box(f64, f64),
}

/// A search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub centre: Point,
    pub shape: Shape,
    /// Metres of a unit.
    pub unit: f64,
}

impl Region {
    /// How far from the centre a point is, m; None when it is outside.
    pub(super) fn distance(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle(radius) => {
                let distance = distance(self.centre, point);
                (distance <= radius * self.unit).then_some(distance)
            }
            Shape::Box(width, height) => {
                if latitude_distance(point.latitude, self.centre.latitude)
                    > height * self.unit / 2.0
                {
                    return None;
                }
                let beside = Point { longitude: self.centre.longitude, latitude: point.latitude };
                if distance(point, beside) > width * self.unit / 2.0 {
                    return None;
                }
                Some(distance(self.centre, point))
            }
        }
    }

    /// The box around it, degrees.
    fn bounds(&self) -> Area {
        let (width, height) = match self.shape {
            Shape::Circle(radius) => (self.unit * radius, self.unit * radius),
            Shape::Box(width, height) => (self.unit * (width / 2.0), self.unit * (height / 2.0)),
        };
        let Point { longitude, latitude } = self.centre;
        let high = height / EARTH_RADIUS_M / DEGREE;
        // A degree of longitude is shortest where the box is nearest to a pole.
        let edge = if latitude < 0.0 { latitude - high } else { latitude + high };
        let wide = width / EARTH_RADIUS_M / (edge * DEGREE).cos() / DEGREE;
        Area {
            west: longitude - wide,
            east: longitude + wide,
            south: latitude - high,
            north: latitude + high,
        }
    }

    /// Halvings after which a cell is still as big as the region.
    fn steps(&self) -> u32 {
        let mut radius = match self.shape {
            Shape::Circle(radius) => radius,
            Shape::Box(width, height) => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        } * self.unit;
        if radius == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while radius < MERCATOR_MAX_M {
            radius *= 2.0;
            steps += 1;
        }
        steps -= 2;
        // Cells are narrower near the poles.
        let latitude = self.centre.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cells that cover it, in the order of the search: the centre's first.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        let mut centre = Cell::of(self.centre, steps, LATITUDE_MAX);
        let too_small = centre.neighbour(0, 1).area().north < bounds.north
            || centre.neighbour(0, -1).area().south > bounds.south
            || centre.neighbour(1, 0).area().east < bounds.east
            || centre.neighbour(-1, 0).area().west > bounds.west;
        if steps > 1 && too_small {
            steps -= 1;
            centre = Cell::of(self.centre, steps, LATITUDE_MAX);
        }
        let area = centre.area();
        let wanted = |east: i64, north: i64| {
            steps < 2
                || !(north < 0 && area.south < bounds.south
                    || north > 0 && area.north > bounds.north
                    || east < 0 && area.west < bounds.west
                    || east > 0 && area.east > bounds.east)
        };
        let around = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut cells = vec![centre];
        for (east, north) in around {
            let cell = centre.neighbour(east, north);
            // A big region's neighbours may be the same cell. Only runs of it are looked for, so
            // that members come as often as in Redis.
            let repeated = cells.len() > 1 && cells.last() == Some(&cell);
            if wanted(east, north) && !repeated {
                cells.push(cell);
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_that_are_spread_come_back(n: u32) {
            prop_assert_eq!(gather(spread(n)), n);
            prop_assert_eq!(gather(spread(n) | spread(!n) << 1), n);
        }

        #[test]
        fn a_score_tells_its_point_within_a_metre(
            longitude in -180.0..180.0,
            latitude in -85.0..85.0,
        ) {
            let place = Point { longitude, latitude };
            let score = score(place);
            prop_assert!(score < 1 << 52);
            prop_assert!(distance(place, point(score as f64)) < 1.0);
        }

        #[test]
        fn the_cells_of_a_region_hold_every_point_within_it(
            longitude in -170.0..170.0,
            latitude in -60.0..60.0,
            radius in 1.0..300_000.0,
            x in -1.0..1.0,
            y in -1.0..1.0,
        ) {
            let centre = Point { longitude, latitude };
            let region = Region { centre, shape: Shape::Circle(radius), unit: 1.0 };
            let near = radius / 111_000.0;
            let place = Point { longitude: longitude + x * near, latitude: latitude + y * near };
            let score = score(place) as f64;
            if region.distance(point(score)).is_some() {
                let within = |cell: &Cell| (cell.scores().0..cell.scores().1).contains(&score);
                prop_assert!(region.cells().iter().any(within));
            }
        }
    }
}
