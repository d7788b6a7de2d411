//! M-Bus telegrams (EN 13757-3) as billing reads hold them: a head, then data records of DIF, VIF and data.
//!
//! ```text
//! head:    serial(4, BCD) manufacturer(2) version(1) medium(1) access(1) status(1) signature(2)
//! record:  DIF [DIFE...10] VIF [VIFE...10] data        0F, 1F: the rest is the manufacturer's   2F: filler
//! end:     a single 0
//! fixed:   serial(4, BCD) access(1) status(1) units(2) counter(4) counter(4)
//! ```
//!
//! Damage: a record that reaches beyond the telegram, or whose length cannot be told, ends it; what came before stands.
//! The names and scales of values are the catalogue's. Source: MEP guide pp. 93-95, and the M-Bus documentation 4.8 that
//! the guides refer to, sections 6.2 to 8.4. The twin of `python/osgp_fast/records/_telegram.py`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::catalog::Catalog;
use crate::catalog::mbus::{Codes, Effect, Kind, Modifier, Vif};
use crate::values;

const HEAD_SIZE: usize = 12;
const FIXED_SIZE: usize = 16;
/// The most DIFE, and the most VIFE, of a record. M-Bus documentation, 6.3.2.
const MAX_EXTENSIONS: usize = 10;
/// Modes of the configuration word that mean encrypted data; others are old devices' own signatures. EN 13757-7.
const ENCRYPTED: [u16; 10] = [1, 2, 3, 4, 5, 7, 8, 9, 10, 13];
/// The modes that use DES, whose clear text has no check bytes; that of the others begins with two fillers.
const DES: [u16; 2] = [2, 3];
const CHECK: [u8; 2] = [0x2F, 0x2F];
const FUNCTIONS: [&str; 4] = ["", "max", "min", "error"];
/// The longest text that is looked for right behind a VIF of FC.
const LONGEST_UNIT: usize = 31;

/// Who sent a telegram. `identity` are its bytes that do not change from one telegram to the next.
pub(super) struct Head {
    pub(super) manufacturer: Option<String>,
    pub(super) serial: String,
    pub(super) medium: Cow<'static, str>,
    pub(super) version: Option<i16>,
    pub(super) status: i16,
    pub(super) identity: Vec<u8>,
}

/// One reading: `raw` are all its bytes.
pub(super) struct Record<'t> {
    pub(super) quantity: String,
    pub(super) raw: &'t [u8],
    pub(super) unit: Option<String>,
    pub(super) value: Option<f64>,
    pub(super) text: Option<String>,
}

impl<'t> Record<'t> {
    /// A reading without a value.
    pub(super) fn bare(quantity: &str, raw: &'t [u8]) -> Self {
        Self { quantity: quantity.to_owned(), raw, unit: None, value: None, text: None }
    }
}

/// Where a telegram cannot be read on, and why.
pub(super) struct Break {
    pub(super) at: usize,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

type Broken = (&'static str, String);

/// A telegram: its head, its records, and where it breaks off before its end.
pub(super) struct Telegram<'t> {
    pub(super) head: Head,
    pub(super) records: Vec<Record<'t>>,
    pub(super) broken: Option<Break>,
}

/// The least that a telegram has: a head, or all of a fixed one.
pub(super) fn head_size(response_info: u8) -> usize {
    if response_info & 2 != 0 { FIXED_SIZE } else { HEAD_SIZE }
}

/// Read a telegram; `None` where it is shorter than [`head_size`].
///
/// `response_info`: bit 0 set: most significant byte first; bit 1: fixed structure; bits 2 and 5: see [`is_encrypted`].
/// `whole`: the telegram is all there, so that its last byte is the 0 that ends it.
pub(super) fn parse(body: &[u8], response_info: u8, whole: bool) -> Option<Telegram<'_>> {
    let backwards = response_info & 1 != 0;
    if response_info & 2 != 0 {
        let (head, records) = fixed(body.first_chunk::<FIXED_SIZE>()?, body, backwards)?;
        return Some(Telegram { head, records, broken: None });
    }
    let (first, rest) = body.split_first_chunk::<HEAD_SIZE>()?;
    let head = head(first, backwards);
    if is_encrypted(first, rest, response_info) {
        return Some(Telegram { head, records: vec![Record::bare("encrypted", body)], broken: None });
    }
    let (records, broken) = records(rest, backwards, whole);
    let broken = broken.map(|b| Break { at: b.at + HEAD_SIZE, ..b });
    Some(Telegram { head, records, broken })
}

/// Bytes with the least significant one first.
fn ordered(data: &[u8], backwards: bool) -> Cow<'_, [u8]> {
    if backwards { data.iter().rev().copied().collect() } else { Cow::Borrowed(data) }
}

fn medium(name: Option<&'static str>, code: u8) -> Cow<'static, str> {
    name.map_or_else(|| format!("medium {code}").into(), Cow::Borrowed)
}

fn head(body: &[u8; HEAD_SIZE], backwards: bool) -> Head {
    let &[s0, s1, s2, s3, m0, m1, version, what, _, status, _, _] = body;
    let number = if backwards { u16::from_be_bytes([m0, m1]) } else { u16::from_le_bytes([m0, m1]) };
    let letters = [10, 5, 0].map(|shift| char::from(64 + (number >> shift & 0x1F) as u8));
    Head {
        manufacturer: (number != 0).then(|| letters.iter().collect()),
        serial: digits(&ordered(&[s0, s1, s2, s3], backwards)),
        medium: medium(Catalog::get().mbus.medium(what), what),
        version: Some(i16::from(version)),
        status: i16::from(status),
        identity: vec![s0, s1, s2, s3, m0, m1, version, what],
    }
}

/// Whether the records are encrypted still: by the configuration word, and what the meter says of keys.
///
/// Response info bit 2: the meter had the key and decrypted where necessary; bit 5: that failed.
fn is_encrypted(head: &[u8; HEAD_SIZE], rest: &[u8], response_info: u8) -> bool {
    let word = [head[10], head[11]];
    let word = if response_info & 1 != 0 { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) };
    let mode = word >> 8 & 0x1F;
    if !ENCRYPTED.contains(&mode) {
        return false;
    }
    let decrypted = response_info & 0x04 != 0 && response_info & 0x20 == 0;
    !(decrypted && (DES.contains(&mode) || rest.starts_with(&CHECK)))
}

fn fixed<'t>(head: &[u8; FIXED_SIZE], body: &'t [u8], backwards: bool) -> Option<(Head, Vec<Record<'t>>)> {
    let (status, unit_1, unit_2) = (head[5], head[6], head[7]);
    let what = unit_1 >> 6 | unit_2 >> 6 << 2;
    let catalog = &Catalog::get().mbus;
    let mut identity = head[..4].to_vec();
    identity.extend([unit_1, unit_2]);
    let who = Head {
        manufacturer: None,
        serial: digits(&ordered(&head[..4], backwards)),
        medium: medium(catalog.fixed_medium(what), what),
        version: None,
        status: i16::from(status),
        identity,
    };
    let mut records = Vec::with_capacity(2);
    for (i, unit) in [unit_1, unit_2].into_iter().enumerate() {
        let raw = body.get(8 + 4 * i..12 + 4 * i)?;
        let (mut code, mut stored) = (unit & 0x3F, status & 2 != 0);
        if i == 1 && code == 0x3E {
            (code, stored) = (unit_1 & 0x3F, true);
        }
        let vif = catalog.vif(Codes::Fixed, code);
        let mut meaning =
            vif.map_or_else(|| Meaning::unknown(format!("unit {code:02X}")), |vif| Meaning::new(vif, code));
        meaning.storage = u64::from(stored);
        let counter = ordered(raw, backwards);
        let (value, text) = if status & 1 != 0 { meaning.integer(&counter) } else { meaning.bcd(&counter) };
        records.push(Record { quantity: meaning.name(), raw, unit: meaning.unit, value, text });
    }
    Some((who, records))
}

/// The data records behind a head, up to where they break off; `whole` as in [`parse`].
fn records(data: &[u8], backwards: bool, whole: bool) -> (Vec<Record<'_>>, Option<Break>) {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest @ [dif, ..]) = data.get(at..) {
        match dif {
            0x2F => {
                at += 1;
                continue;
            }
            0 if rest.iter().all(|b| *b == 0) => break,
            0x0F | 0x1F => {
                let end = match rest {
                    [own @ .., 0] if whole && !own.is_empty() => own,
                    all => all,
                };
                out.push(Record::bare("manufacturer data", end));
                break;
            }
            _ => {}
        }
        let mut bytes = Bytes { data, at };
        match record(&mut bytes, backwards) {
            Ok(record) => out.push(record),
            Err((code, reason)) => return (out, Some(Break { at, code, reason })),
        }
        at = bytes.at;
    }
    (out, None)
}

/// Bytes that are taken one after another.
struct Bytes<'t> {
    data: &'t [u8],
    at: usize,
}

impl<'t> Bytes<'t> {
    fn take(&mut self, size: usize) -> Result<&'t [u8], Broken> {
        let end = self.at.checked_add(size);
        let found = end.and_then(|end| self.data.get(self.at..end));
        let found = found.ok_or_else(|| {
            ("mbus.record_incomplete", "the record reaches beyond the end of its telegram".to_owned())
        })?;
        self.at += size;
        Ok(found)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    /// The extension bytes from here on: each says in bit 7 whether another follows.
    fn extensions(&mut self, mut more: bool) -> Result<&'t [u8], Broken> {
        let start = self.at;
        while more {
            if self.at - start == MAX_EXTENSIONS {
                return Err(("mbus.extensions", format!("more than {MAX_EXTENSIONS} extensions")));
            }
            more = self.byte()? & 0x80 != 0;
        }
        Ok(&self.data[start..self.at])
    }
}

/// What DIF and VIF say of the data.
struct Meaning {
    quantity: Cow<'static, str>,
    unit: Option<String>,
    exponent: i32,
    kind: Kind,
    base: i32,
    words: Vec<Cow<'static, str>>,
    function: u8,
    storage: u64,
    tariff: u32,
    subunit: u32,
    offsets: Vec<i32>,
    error: Option<&'static str>,
}

impl Meaning {
    fn new(vif: &'static Vif, code: u8) -> Self {
        let mut meaning = Self::unknown(&*vif.quantity);
        meaning.unit.clone_from(&vif.unit);
        meaning.exponent = vif.exponent + i32::from(code) - i32::from(vif.first);
        (meaning.kind, meaning.base) = (vif.kind, vif.base);
        meaning
    }

    /// A number of which nothing but a name is known.
    fn unknown(quantity: impl Into<Cow<'static, str>>) -> Self {
        Self {
            quantity: quantity.into(),
            unit: None,
            exponent: 0,
            kind: Kind::Number,
            base: 0,
            words: Vec::new(),
            function: 0,
            storage: 0,
            tariff: 0,
            subunit: 0,
            offsets: Vec::new(),
            error: None,
        }
    }

    /// Take a modifier into account.
    fn modify(&mut self, m: &'static Modifier) {
        if m.effect == Effect::Error {
            self.error.get_or_insert(&m.word);
            return;
        }
        if !m.word.is_empty() {
            self.words.push(Cow::Borrowed(&m.word));
        }
        match m.effect {
            Effect::Unit => self.unit = Some(format!("{}{}", self.unit.as_deref().unwrap_or("1"), m.unit)),
            Effect::Count | Effect::Duration => {
                (self.unit, self.exponent, self.kind) = (Some(m.unit.clone()), 0, Kind::Number);
            }
            Effect::Date => (self.unit, self.kind) = (None, Kind::Date),
            Effect::Factor => self.exponent += m.exponent,
            Effect::Offset => self.offsets.push(m.exponent + self.base),
            Effect::Foreign => (self.unit, self.exponent) = (None, 0),
            Effect::Note | Effect::Error => {}
        }
    }

    /// The quantity in the words of docs/what-is-decoded.md.
    fn name(&self) -> String {
        let mut name = self.quantity.clone().into_owned();
        for word in &self.words {
            name.push(' ');
            name.push_str(word);
        }
        if let Some(function) = FUNCTIONS.get(usize::from(self.function)).filter(|f| !f.is_empty()) {
            name.push(' ');
            name.push_str(function);
        }
        let numbers =
            [("storage", self.storage), ("tariff", u64::from(self.tariff)), ("subunit", u64::from(self.subunit))];
        for (word, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
            // Writing to a string does not fail.
            let _ = write!(name, " {word} {number}");
        }
        name
    }

    /// An integer or real as the value in the unit.
    fn number(&self, value: f64) -> f64 {
        if matches!(self.kind, Kind::Identity | Kind::Flags) {
            return value;
        }
        self.offsets.iter().fold(scaled(value, self.exponent), |sum, offset| sum + scaled(1.0, *offset))
    }

    /// A binary number, least significant byte first.
    fn integer(&self, data: &[u8]) -> (Option<f64>, Option<String>) {
        if self.kind == Kind::Date {
            return (None, moment(data));
        }
        if data.is_empty() || data.len() > 8 {
            return (None, None);
        }
        let mut le = [0; 8];
        le[..data.len()].copy_from_slice(data);
        let unsigned = u64::from_le_bytes(le);
        let value = if self.kind == Kind::Number {
            let shift = 64 - 8 * data.len() as u32;
            ((unsigned << shift) as i64 >> shift) as f64
        } else {
            unsigned as f64
        };
        (Some(self.number(value)), None)
    }

    /// Digits, the last ones first; F before the first is a minus; with other letters they are no number.
    fn bcd(&self, data: &[u8]) -> (Option<f64>, Option<String>) {
        let digits = digits(data);
        let bare = digits.strip_prefix('F').unwrap_or(&digits);
        let number = if bare.is_empty() { Some(0) } else { bare.parse::<i64>().ok() };
        let plain = bare.bytes().all(|b| b.is_ascii_digit());
        let (Some(number), true, false) = (number, plain, self.kind == Kind::Date) else {
            return (None, (!digits.is_empty()).then_some(digits));
        };
        if digits.is_empty() {
            return (None, None);
        }
        let number = if digits.starts_with('F') { -number } else { number };
        let value = self.number(number as f64);
        (Some(value), (self.kind == Kind::Identity).then_some(digits))
    }
}

/// `value` times ten to the `exponent`, rounded once where the power is exact.
fn scaled(value: f64, exponent: i32) -> f64 {
    if exponent >= 0 { value * power(exponent.unsigned_abs()) } else { value / power(exponent.unsigned_abs()) }
}

/// The nearest number to a power of ten, which `powi` need not give.
fn power(exponent: u32) -> f64 {
    static POWERS: OnceLock<Vec<f64>> = OnceLock::new();
    let powers = POWERS.get_or_init(|| (0..128).map(|n| format!("1e{n}").parse().unwrap_or(f64::INFINITY)).collect());
    powers.get(exponent as usize).copied().unwrap_or(f64::INFINITY)
}

fn record<'t>(bytes: &mut Bytes<'t>, backwards: bool) -> Result<Record<'t>, Broken> {
    let start = bytes.at;
    let dif = bytes.byte()?;
    if dif & 0x0F == 0x0F {
        return Err(("mbus.dif", format!("DIF {dif:02X} is reserved")));
    }
    let (mut storage, mut tariff, mut subunit) = (u64::from(dif >> 6 & 1), 0, 0);
    for (n, dife) in bytes.extensions(dif & 0x80 != 0)?.iter().enumerate() {
        storage |= u64::from(dife & 0x0F) << (1 + 4 * n);
        tariff |= u32::from(dife >> 4 & 3) << (2 * n);
        subunit |= u32::from(dife >> 6 & 1) << n;
    }
    let mut meaning = meaning(bytes, backwards)?;
    (meaning.function, meaning.storage, meaning.tariff, meaning.subunit) = (dif >> 4 & 3, storage, tariff, subunit);
    let before = bytes.at;
    let (mut value, mut text) = data(bytes, dif & 0x0F, &meaning, backwards)?;
    let mut shown = bytes.at;
    if meaning.kind == Kind::Secret {
        (value, text, shown) = (None, None, before);
    }
    if let Some(error) = meaning.error {
        (value, text) = (None, Some(error.to_owned()));
    }
    Ok(Record { quantity: meaning.name(), raw: &bytes.data[start..shown], unit: meaning.unit, value, text })
}

fn meaning(bytes: &mut Bytes<'_>, backwards: bool) -> Result<Meaning, Broken> {
    let vif = bytes.byte()?;
    let (mut code, more) = (vif & 0x7F, vif & 0x80 != 0);
    if code == 0x7C {
        return plain_text(bytes, more, backwards);
    }
    let mut extensions = bytes.extensions(more)?;
    let (table, prefix) = match vif {
        0xFB => (Codes::Fb, "FB"),
        0xFD => (Codes::Second, "FD"),
        _ => (Codes::Primary, ""),
    };
    if table != Codes::Primary {
        if let [first, rest @ ..] = extensions {
            (code, extensions) = (first & 0x7F, rest);
        }
    } else if code == 0x7F {
        return Ok(Meaning::unknown(specific(extensions)));
    }
    let vif = Catalog::get().mbus.vif(table, code);
    let mut meaning =
        vif.map_or_else(|| Meaning::unknown(format!("VIF {prefix}{code:02X}")), |vif| Meaning::new(vif, code));
    modify(&mut meaning, extensions);
    Ok(meaning)
}

/// A manufacturer's own meaning, told apart by the extensions that follow.
fn specific(extensions: &[u8]) -> String {
    let mut name = "manufacturer specific".to_owned();
    if !extensions.is_empty() {
        name.push(' ');
        name.push_str(&values::digits(extensions));
    }
    name
}

/// A unit in words. Devices send it right behind the VIF; by later editions of the standard it follows the VIFEs.
fn plain_text(bytes: &mut Bytes<'_>, more: bool, backwards: bool) -> Result<Meaning, Broken> {
    let first = if more && !is_unit(bytes)? { bytes.extensions(true)? } else { &[] };
    let size = bytes.byte()?;
    let unit = text(bytes.take(usize::from(size))?, backwards);
    let behind = bytes.extensions(more && first.is_empty())?;
    let mut meaning = Meaning::unknown("plain text");
    meaning.unit = (!unit.is_empty()).then_some(unit);
    modify(&mut meaning, if first.is_empty() { behind } else { first });
    Ok(meaning)
}

fn is_unit(bytes: &Bytes<'_>) -> Result<bool, Broken> {
    let mut ahead = Bytes { data: bytes.data, at: bytes.at };
    let size = usize::from(ahead.byte()?);
    let printable = |b: &u8| (0x20..=0x7E).contains(b) || *b >= 0xA0;
    Ok((1..=LONGEST_UNIT).contains(&size) && ahead.take(size).is_ok_and(|text| text.iter().all(printable)))
}

fn modify(meaning: &mut Meaning, extensions: &[u8]) {
    let mut rest = extensions;
    while let [vife, behind @ ..] = rest {
        rest = behind;
        let (mut table, mut prefix, mut code) = (Codes::Primary, "", vife & 0x7F);
        if *vife == 0xFC {
            (table, prefix, code) = (Codes::Second, "FC", 0);
            if let [next, behind @ ..] = rest {
                (code, rest) = (next & 0x7F, behind);
            }
        } else if code == 0x7F {
            meaning.words.push(specific(rest).into());
            return;
        }
        match Catalog::get().mbus.modifier(table, code) {
            Some(modifier) => meaning.modify(modifier),
            None if code != 0 => meaning.words.push(format!("VIFE {prefix}{code:02X}").into()),
            None => {}
        }
    }
}

type Reading = (Option<f64>, Option<String>);

/// The data of a record: its bytes by the lower half of the DIF; D says its length itself.
fn data(bytes: &mut Bytes<'_>, coding: u8, meaning: &Meaning, backwards: bool) -> Result<Reading, Broken> {
    let size = match coding {
        0 | 8 => 0,
        1..=4 => usize::from(coding),
        5 => 4,
        6 => 6,
        7 => 8,
        9..=12 => usize::from(coding) - 8,
        14 => 6,
        _ => return variable(bytes, meaning, backwards),
    };
    let raw = ordered(bytes.take(size)?, backwards);
    if let (5, &[a, b, c, d]) = (coding, &*raw) {
        let value = f64::from(f32::from_le_bytes([a, b, c, d]));
        // Not a number, and infinity, are no values.
        let usable = value.is_finite() && meaning.kind != Kind::Date;
        return Ok((usable.then(|| meaning.number(value)), None));
    }
    Ok(if coding > 8 { meaning.bcd(&raw) } else { meaning.integer(&raw) })
}

/// Data that says its own length (LVAR): text, digits or a binary number.
fn variable(bytes: &mut Bytes<'_>, meaning: &Meaning, backwards: bool) -> Result<Reading, Broken> {
    let lvar = bytes.byte()?;
    let size = match lvar {
        0..0xC0 => return Ok((None, Some(text(bytes.take(usize::from(lvar))?, backwards)))),
        0xC0..=0xC9 => lvar - 0xC0,
        0xD0..=0xD9 => lvar - 0xD0,
        0xE0..=0xEF => lvar - 0xE0,
        0xF0..=0xF4 => 4 * (lvar - 0xEC),
        0xF5 => 48,
        0xF6 => 64,
        _ => return Err(("mbus.lvar", format!("length {lvar:02X} of variable data is reserved"))),
    };
    let raw = ordered(bytes.take(usize::from(size))?, backwards);
    if lvar < 0xE0 {
        let (value, text) = meaning.bcd(&raw);
        let negative = lvar >= 0xD0;
        return Ok((value.map(|v| if negative && v != 0.0 { -v } else { v }), text));
    }
    Ok(if raw.len() <= 8 { meaning.integer(&raw) } else { (None, None) })
}

fn digits(data: &[u8]) -> String {
    data.iter().rev().map(|b| format!("{b:02X}")).collect()
}

/// Text, whose last character comes first in mode 1.
fn text(data: &[u8], backwards: bool) -> String {
    let text: String = ordered(data, !backwards).iter().map(|b| char::from(*b)).collect();
    // What Python takes for space among the Latin-1 characters, and NUL.
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)).to_owned()
}

/// A date, a time or both, least significant byte first, in ISO 8601; `None` if it is not set or does not exist.
///
/// By the length: 2 bytes type G (date), 3 type J (time), 4 type F (to the minute), 6 type I (to the second).
fn moment(data: &[u8]) -> Option<String> {
    let year = |low: u8, high: u8| i64::from(low >> 5 | high >> 4 << 3);
    let (day, time) = match *data {
        [a, b] => return date(a & 0x1F, b & 0x0F, century(year(a, b), 0)),
        [a, b, c] => return time(c & 0x1F, b & 0x3F, a & 0x3F),
        [a, _, _, _] if a & 0x80 != 0 => return None,
        [a, b, c, d] => {
            let years = century(year(c, d), i64::from(b >> 5 & 3));
            (date(c & 0x1F, d & 0x0F, years), time(b & 0x1F, a & 0x3F, 0))
        }
        [_, b, ..] if data.len() == 6 && b & 0x80 != 0 => return None,
        [a, b, c, d, e, _] => (date(d & 0x1F, e & 0x0F, 2000 + year(d, e)), time(c & 0x1F, b & 0x3F, a & 0x3F)),
        _ => return None,
    };
    Some(format!("{}T{}", day?, time?))
}

/// The year of two digits; without hundreds it is 1981 to 2080. Beyond 99 there is none: 0.
fn century(year: i64, hundreds: i64) -> i64 {
    match year {
        100.. => 0,
        0..=80 if hundreds == 0 => 2000 + year,
        _ => 1900 + 100 * hundreds + year,
    }
}

fn date(day: u8, month: u8, year: i64) -> Option<String> {
    (year > 0 && values::exists(year, month, day)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn time(hour: u8, minute: u8, second: u8) -> Option<String> {
    (hour < 24 && minute < 60 && second < 60).then(|| format!("{hour:02}:{minute:02}:{second:02}"))
}
