//! Values in table bytes that are no plain integers: dates, text, digits. The twin of `python/osgp_fast/codec/values.py`.

/// A date that does not exist, such as a 30th of February or hour 24; its fields, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpossibleDate(pub String);

/// Seconds since 1970-01-01 of an STIME_DATE (5 bytes) or LTIME_DATE (6 bytes): 2-digit year, month, day, hour, minute
/// and, in the long one, second. `None` if it is all zero or all FF: not set. Source: Optical guide pp. 5-6.
pub fn seconds(raw: &[u8]) -> Result<Option<i64>, ImpossibleDate> {
    if raw.iter().all(|b| *b == 0) || raw.iter().all(|b| *b == 0xFF) {
        return Ok(None);
    }
    let impossible = || ImpossibleDate(describe(raw));
    let &[year, month, day, hour, minute, ref second @ ..] = raw else { return Err(impossible()) };
    let second = match second {
        [] => 0,
        [second] => *second,
        _ => return Err(impossible()),
    };
    let days = days(2000 + i64::from(year), month, day).ok_or_else(impossible)?;
    if hour > 23 || minute > 59 || second > 59 {
        return Err(impossible());
    }
    Ok(Some(days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)))
}

/// Whether there is such a day.
pub(crate) fn exists(year: i64, month: u8, day: u8) -> bool {
    days(year, month, day).is_some()
}

/// Days since 1970-01-01 of a date from 2000 to 2255; `None` if it does not exist.
fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const LENGTH: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let m = usize::from(month).checked_sub(1)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = *LENGTH.get(m)? + u8::from(leap && month == 2);
    if day == 0 || day > last {
        return None;
    }
    let y = year - 1;
    let leaps = (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    Some((year - 1970) * 365 + leaps + BEFORE[m] + i64::from(leap && month > 2) + i64::from(day) - 1)
}

/// A date as its fields stand, possible or not: `2024-13-01 00:15`.
fn describe(raw: &[u8]) -> String {
    let field = |i: usize| raw.get(i).copied().unwrap_or(0);
    let time: Vec<String> = raw.iter().skip(3).map(|b| format!("{b:02}")).collect();
    format!("{}-{:02}-{:02} {}", 2000 + i32::from(field(0)), field(1), field(2), time.join(":"))
}

/// A UTC time as people write it: `2024-03-14T10:07:30Z`, with a fraction where there is one.
pub fn describe_time(microseconds: i64) -> String {
    let (seconds, micros) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from days, in eras of 400 years that begin on 1 March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{fraction}Z")
}

/// CHAR: cut at NUL and stripped. ASCII (BT00.0 = 1) is a part of Latin-1 (2), which can read any byte.
pub fn text(raw: &[u8]) -> String {
    let cut = raw.split(|b| *b == 0).next().unwrap_or(&[]);
    let text: String = cut.iter().map(|b| char::from(*b)).collect();
    // What Python's str.strip() takes for space among the Latin-1 characters.
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)).to_owned()
}

/// BCD, two digits a byte, high one first; a nibble that is no digit stays a hex letter.
pub fn digits(raw: &[u8]) -> String {
    raw.iter().map(|b| format!("{b:02X}")).collect()
}

/// `3.50.01` for the packed number of BT01: bits 15..12, 11..5, 4..0. Source: Optical guide p. 19.
pub fn firmware(packed: i64) -> String {
    format!("{}.{:02}.{:02}", packed >> 12, packed >> 5 & 0x7F, packed & 0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(seconds(&[0; 5]), Ok(None));
        assert_eq!(seconds(&[0xFF; 6]), Ok(None));
        assert_eq!(seconds(&[24, 3, 14, 10, 7, 30]), Ok(Some(1_710_410_850)));
        assert_eq!(seconds(&[24, 2, 29, 23, 59]), Ok(Some(1_709_251_140)));
        assert_eq!(seconds(&[100, 2, 28, 0, 0]), Ok(Some(4_107_456_000)));
        for bad in [
            [23, 2, 29, 0, 0],
            [24, 13, 1, 0, 0],
            [24, 0, 1, 0, 0],
            [24, 1, 0, 0, 0],
            [24, 1, 1, 24, 0],
            [100, 2, 29, 0, 0],
        ] {
            assert!(seconds(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(seconds(&[24, 13, 1, 0, 15]), Err(ImpossibleDate("2024-13-01 00:15".into())));
    }

    #[test]
    fn every_day_reads_back() {
        for day in 10_957..103_000 {
            let text = describe_time(day * 86_400_000_000);
            let part = |a: usize, b: usize| text[a..b].parse::<i64>().unwrap();
            if part(0, 4) > 2255 {
                break;
            }
            assert_eq!(days(part(0, 4), part(5, 7) as u8, part(8, 10) as u8), Some(day), "{text}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(text(b" NES \0x"), "NES");
        assert_eq!(text(b"\xD8\x1f\x85"), "Ø");
        assert_eq!(digits(&[0x12, 0xAF]), "12AF");
        assert_eq!(firmware(0x3155), "3.10.21");
        assert_eq!(firmware(0x3018), "3.00.24");
        assert_eq!(describe_time(-1), "1969-12-31T23:59:59.999999Z");
    }
}
