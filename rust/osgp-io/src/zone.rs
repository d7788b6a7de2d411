//! `--tz`: the zone of naive time stamps in text logs.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A time zone by name; the database is compiled in, so that every machine agrees.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// Parse `UTC`, `Europe/Berlin`, `+02:00` or `-0330`.
    pub fn parse(name: &str) -> Result<Self, String> {
        if let Some(zone) = fixed(name) {
            return Ok(Self(zone));
        }
        if name.eq_ignore_ascii_case("utc") || name == "Z" {
            return Ok(Self::default());
        }
        TimeZone::get(name).map(Self).map_err(|_| {
            format!("unknown time zone {name:?}; give a name such as Europe/Berlin, or an offset such as +02:00")
        })
    }

    /// A wall-clock time, as microseconds since 1970-01-01 00:00 on that clock, to microseconds UTC. A time that the
    /// clock skipped is taken as if it had not jumped yet, of one that it showed twice the first is taken.
    pub fn to_utc(&self, local: i64) -> i64 {
        if self.0 == TimeZone::UTC {
            return local;
        }
        Timestamp::from_microsecond(local)
            .ok()
            .map(|t| Offset::UTC.to_datetime(t))
            .and_then(|civil| self.0.to_ambiguous_timestamp(civil).compatible().ok())
            .map_or(local, Timestamp::as_microsecond)
    }
}

fn fixed(name: &str) -> Option<TimeZone> {
    let (sign, digits) = match name.as_bytes().first()? {
        b'+' => (1, &name[1..]),
        b'-' => (-1, &name[1..]),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits.get(2..).unwrap_or("").parse().unwrap_or(0));
    (minutes < 60)
        .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())
        .flatten()
        .map(Offset::to_time_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        let noon = 1_710_417_600_000_000; // 2024-03-14 12:00
        let hour = 3_600_000_000;
        for (name, hours) in [("UTC", 0), ("Europe/Berlin", 1), ("+02:00", 2), ("-0330", 0), ("+05", 5)] {
            let zone = Zone::parse(name).unwrap();
            if name != "-0330" {
                assert_eq!(noon - zone.to_utc(noon), hours * hour, "{name}");
            }
        }
        assert_eq!(Zone::parse("-0330").unwrap().to_utc(noon) - noon, 7 * hour / 2);
        for name in ["", "Nowhere/City", "+25:00:00", "+9", "+01:60"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }
}
