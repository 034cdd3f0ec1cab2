//! The commands on places, which are sorted sets whose scores are cells of a grid.

mod cells;
pub mod places;
pub mod search;

use crate::{
    command::{Args, CommandError, Reply},
    number::parse_double,
};
use cells::{LATITUDE_MAX, LONGITUDE_MAX, Point};

/// Longitude and latitude, at `at` and behind it.
fn point(args: Args<'_>, at: usize) -> Result<Point, CommandError> {
    let number = |at| parse_double(args.get(at)).ok_or(CommandError::NOT_A_FLOAT);
    let (longitude, latitude) = (number(at)?, number(at + 1)?);
    if longitude.abs() > LONGITUDE_MAX || latitude.abs() > LATITUDE_MAX {
        return Err(CommandError::owned(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        )));
    }
    Ok(Point { longitude, latitude })
}

/// Metres of a unit.
fn unit(text: &[u8]) -> Result<f64, CommandError> {
    match text.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(CommandError::new("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance, with four digits behind the point.
fn reply_distance(reply: &mut Reply<'_>, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    reply.bulk(format!("{}.{:04}", scaled / 10_000, scaled % 10_000).as_bytes());
}

/// A point, as two numbers with up to 17 digits behind the point.
fn reply_point(reply: &mut Reply<'_>, point: Point) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        if reply.is_resp3() {
            reply.raw(format!(",{text}\r\n").as_bytes());
        } else {
            reply.bulk(text.as_bytes());
        }
    }
}
