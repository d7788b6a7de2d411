//! M-Bus (EN 13757-3): what the codes of data records mean. The rows are those of `python/osgp_fast/catalog/mbus.py`.

use std::collections::HashMap;

use serde::Deserialize;

use super::expr::ExprError;

/// How the data of a record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed number, which is scaled.
    Number,
    /// Digits that name something.
    Identity,
    /// A date, a time, or both.
    Date,
    /// Bits.
    Flags,
    /// What is not shown.
    Secret,
}

/// Some codes of value information: the value is the integer times ten to the `exponent` + code - `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vif {
    /// The first code.
    pub first: u8,
    /// What is measured.
    pub quantity: String,
    /// In what.
    pub unit: Option<String>,
    /// The exponent of the first code.
    pub exponent: i32,
    /// How the data is read.
    pub kind: Kind,
    /// The exponent of the unit that the standard prints, in which it counts additive constants.
    pub base: i32,
}

/// What an extension does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Joins the quantity.
    Note,
    /// Appends to the unit.
    Unit,
    /// There is no value.
    Error,
    /// The value counts events.
    Count,
    /// The value is a date.
    Date,
    /// The value is a duration.
    Duration,
    /// Multiplies by a power of ten.
    Factor,
    /// Adds a power of ten.
    Offset,
    /// The unit is not metric.
    Foreign,
}

/// An extension of value information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modifier {
    /// What it does.
    pub effect: Effect,
    /// What joins the quantity.
    pub word: String,
    /// What is appended to the unit, or taken instead of it.
    pub unit: String,
    /// Of factors and offsets.
    pub exponent: i32,
}

/// A table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codes {
    /// The primary codes.
    Primary,
    /// The extension behind FB.
    Fb,
    /// The extension behind FD; of modifiers, that behind FC.
    Second,
    /// The units of the fixed structure.
    Fixed,
}

/// All tables.
#[derive(Clone, Debug)]
pub struct Mbus {
    vifs: HashMap<(Codes, u8), Vif>,
    modifiers: HashMap<(Codes, u8), Modifier>,
    media: HashMap<u8, String>,
    fixed_media: HashMap<u8, String>,
}

impl Mbus {
    /// What a code means.
    pub fn vif(&self, table: Codes, code: u8) -> Option<&Vif> {
        self.vifs.get(&(table, code))
    }
    /// What an extension means.
    pub fn modifier(&self, table: Codes, code: u8) -> Option<&Modifier> {
        self.modifiers.get(&(table, code))
    }
    /// What a device measures.
    pub fn medium(&self, code: u8) -> Option<&str> {
        self.media.get(&code).map(String::as_str)
    }
    /// What a device with the fixed structure measures.
    pub fn fixed_medium(&self, code: u8) -> Option<&str> {
        self.fixed_media.get(&code).map(String::as_str)
    }
}

type VifRow = (String, u8, u8, String, Option<String>, i32, String, i32);
type ModifierRow = (String, u8, String, String, String, i32);

/// The lists as they are embedded.
#[derive(Deserialize)]
pub(super) struct Rows {
    mbus_vifs: Vec<VifRow>,
    mbus_modifiers: Vec<ModifierRow>,
    mbus_media: Vec<(u8, String)>,
    mbus_fixed_media: Vec<(u8, String)>,
    mbus_fixed_units: Vec<VifRow>,
}

impl Rows {
    pub(super) fn read(self) -> Result<Mbus, ExprError> {
        let mut vifs = HashMap::new();
        for (table, first, last, quantity, unit, exponent, kind, base) in self.mbus_vifs {
            let table = codes(&table)?;
            let vif = Vif { first, quantity, unit, exponent, kind: self::kind(&kind)?, base };
            vifs.extend((first..=last).map(|code| ((table, code), vif.clone())));
        }
        for (_, first, last, quantity, unit, exponent, kind, base) in self.mbus_fixed_units {
            let vif = Vif { first, quantity, unit, exponent, kind: self::kind(&kind)?, base };
            vifs.extend((first..=last).map(|code| ((Codes::Fixed, code), vif.clone())));
        }
        let mut modifiers = HashMap::new();
        for (table, code, effect, word, unit, exponent) in self.mbus_modifiers {
            let modifier = Modifier { effect: self::effect(&effect)?, word, unit, exponent };
            modifiers.insert((codes(&table)?, code), modifier);
        }
        Ok(Mbus {
            vifs,
            modifiers,
            media: self.mbus_media.into_iter().collect(),
            fixed_media: self.mbus_fixed_media.into_iter().collect(),
        })
    }
}

fn codes(name: &str) -> Result<Codes, ExprError> {
    match name {
        "" => Ok(Codes::Primary),
        "FB" => Ok(Codes::Fb),
        "FD" | "FC" => Ok(Codes::Second),
        _ => Err(ExprError(format!("M-Bus table {name}?"))),
    }
}

fn kind(name: &str) -> Result<Kind, ExprError> {
    match name {
        "number" => Ok(Kind::Number),
        "identity" => Ok(Kind::Identity),
        "date" => Ok(Kind::Date),
        "flags" => Ok(Kind::Flags),
        "secret" => Ok(Kind::Secret),
        _ => Err(ExprError(format!("M-Bus kind {name}?"))),
    }
}

fn effect(name: &str) -> Result<Effect, ExprError> {
    Ok(match name {
        "note" => Effect::Note,
        "unit" => Effect::Unit,
        "error" => Effect::Error,
        "count" => Effect::Count,
        "date" => Effect::Date,
        "duration" => Effect::Duration,
        "factor" => Effect::Factor,
        "offset" => Effect::Offset,
        "foreign" => Effect::Foreign,
        _ => return Err(ExprError(format!("M-Bus effect {name}?"))),
    })
}
