//! Measurements: the present values of BT28 become one row each, scaled to the unit of their source.
//!
//! The present demands that stand before them are no rows. BT21 says how many values there are, BT27 what they are. Source:
//! MEP guide, BT27 and BT28, pp. 214-220; Optical guide pp. 53-57.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arrow_array::types::{Float64Type, Int16Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, View, field, missing, reject, table};
use super::register_dims::{Basis, Cache, Dim, dimensions, firmware};
use super::{BATCH_ROWS, Kind, Options};
use crate::catalog::{Catalog, SourceRow, TableIx};
use crate::columns::{Nulls, Stretches, Tile, Words, batch, full, schema};
use crate::image::{Part, Read};
use crate::layout::Missing;
use crate::reject::Reject;

pub(super) const NEEDS: [&str; 5] = ["BT01", "BT20", "BT21", "BT27", "BT28"];
const SIZE: usize = 4;
/// What BT21 can count.
const MAX_VALUES: usize = 255;
/// A full read from a Control Point Module (firmware 1.x) ends before this value (MEP guide p. 219).
const MODULE_VALUES: usize = 75;
const MODULE: i64 = 1;

struct Fields {
    bt27: TableIx,
    bt28: TableIx,
    source: Field,
    value: Field,
    dimensions: [TableIx; 3],
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| Fields {
        bt27: table("BT27"),
        bt28: table("BT28"),
        source: field(table("BT27"), "present_value.source"),
        value: field(table("BT28"), "present_value.value"),
        dimensions: ["BT20", "BT21", "BT27"].map(table),
    })
}

/// What a value is, and how the meter's integer becomes it: times `factor`, through `divisor`.
struct Measured {
    source: Option<i32>,
    quantity: Option<&'static str>,
    unit: Option<&'static str>,
    obis: Option<&'static str>,
    factor: f64,
    divisor: f64,
}

impl Measured {
    fn new(source: Option<i32>) -> Self {
        let row: Option<&'static SourceRow> =
            source.and_then(|id| Catalog::get().sources.get(usize::try_from(id).ok()?));
        let scale = row.and_then(|r| r.scale).unwrap_or(1.0);
        // Decimal scales are divisions: 228693 / 1000 is 228.693, and 228693 * 0.001 is not.
        let (factor, divisor) = if scale < 1.0 { (1.0, (1.0 / scale).round()) } else { (scale, 1.0) };
        Self {
            source,
            quantity: row.and_then(|r| r.quantity.as_deref()),
            unit: row.and_then(|r| r.unit.as_deref()),
            obis: row.and_then(|r| r.obis.as_deref()),
            factor,
            divisor,
        }
    }

    fn value(&self, raw: i32) -> f64 {
        f64::from(raw) * self.factor / self.divisor
    }
}

/// The present values of a meter: where they start, and what they are.
struct Plan {
    assumed: bool,
    module: bool,
    start: usize,
    measured: Vec<Measured>,
    /// The columns that are the same for every read, with the words of one batch.
    tiles: RefCell<Option<(u64, Rc<Tiles>)>>,
}

impl Plan {
    fn new(view: &View<'_, '_>, read: &Read<'_>, assume_defaults: bool) -> Result<Self, Missing> {
        let f = fields();
        let dims = dimensions(view, f.bt28, read, assume_defaults)?;
        let layout = view.layout_with(f.bt28, &dims.given(f.bt28))?;
        let start = layout.leaf(f.value.path).ok_or(Missing(f.bt28))?.offset as usize;
        let mut count = dims.get(Dim::PresentValues) as usize;
        if dims.assumed {
            // As many as there are bytes; more than BT21.9 can count are none.
            count = read.end().saturating_sub(start).div_ceil(SIZE).min(MAX_VALUES);
        }
        let captured = view.table(f.bt27).is_ok();
        let ids: Vec<Option<i32>> = if captured {
            let table = Catalog::get().table(f.bt27);
            let variables = [("present_demands", dims.get(Dim::PresentDemands)), ("present_values", count as i64)];
            let given: Vec<(u8, i64)> =
                variables.into_iter().filter_map(|(name, value)| Some((table.variable(name)?, value))).collect();
            let layout = view.layout_with(f.bt27, &given)?;
            let listed = |i| i32::try_from(view.get_in(&layout, f.source, &[i]).ok()?).ok();
            (0..count as i64).map(listed).collect()
        } else {
            (0..count).map(|i| Catalog::get().present_order.get(i).copied()).collect()
        };
        Ok(Self {
            assumed: dims.assumed || (assume_defaults && !captured),
            module: firmware(view).is_some_and(|firmware| firmware >> 12 == MODULE),
            start,
            measured: ids.into_iter().map(Measured::new).collect(),
            tiles: RefCell::new(None),
        })
    }

    fn tiles(&self, batch: u64, words: &mut [Words; 4]) -> Rc<Tiles> {
        let mut tiles = self.tiles.borrow_mut();
        match &*tiles {
            Some((of, tiles)) if *of == batch => tiles.clone(),
            _ => {
                let made = Rc::new(Tiles::new(&self.measured, words));
                *tiles = Some((batch, made.clone()));
                made
            }
        }
    }
}

/// Add the rows of a meter.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    meter.label.clone_into(&mut rows.label);
    for read in meter.reads(fields().bt28) {
        match rows.plan(meter, read) {
            Ok(plan) => values(meter, read, &plan, rows, rejects),
            Err(m) => rejects.push(missing(meter.label, read, m)),
        }
        if rows.raw.len() >= BATCH_ROWS {
            rows.take().into_iter().for_each(&mut *full);
        }
    }
}

/// Add the values of one read.
fn values(meter: &Meter<'_>, read: &Read<'_>, plan: &Rc<Plan>, rows: &mut Rows, rejects: &mut Vec<Reject>) {
    let count = plan.measured.len();
    if let Part::All(data) = read.part(plan.start as u64, (SIZE * count) as u64) {
        rows.all(plan, read, data);
        return;
    }
    let (mut absent, mut first) = (0, 0);
    for i in 0..count {
        match read.part((plan.start + SIZE * i) as u64, SIZE as u64) {
            Part::All(data) => rows.some(plan, read, i, data),
            Part::None => {
                if absent == 0 {
                    first = i;
                }
                absent += 1;
            }
            Part::Some(from, data) => {
                let reason = format!("{} of the value's {SIZE} bytes are there; read BT28 again", data.len());
                rejects.push(
                    reject(meter.label, read, "measurements.incomplete", reason)
                        .item(format!("value {i}"))
                        .offset(from as i64)
                        .data(data)
                        .length(SIZE as i64),
                );
            }
        }
    }
    if absent > 0 && read.whole && !(first == MODULE_VALUES && plan.module) {
        let end = read.end();
        let reason = format!(
            "BT28 ends after {end} bytes, before {absent} of the {count} values that BT21 counts; read BT28 again, and BT21 \
             with it"
        );
        rejects.push(
            reject(meter.label, read, "table.too_short", reason).item(format!("value {first}")).offset(end as i64),
        );
    }
}

/// The columns that are the same for every read of a plan.
struct Tiles {
    source: Tile<i32>,
    index: Tile<i16>,
    quantity: Tile<i32>,
    unit: Tile<i32>,
    obis: Tile<i32>,
}

impl Tiles {
    fn new(measured: &[Measured], [_, quantity, unit, obis]: &mut [Words; 4]) -> Self {
        let keys = |words: &mut Words, word: fn(&Measured) -> Option<&'static str>| {
            Tile::new(measured.iter().map(|m| word(m).map(|w| words.key(w))).collect::<Vec<_>>())
        };
        Self {
            source: Tile::new(measured.iter().map(|m| m.source)),
            index: Tile::new((0..measured.len()).map(|i| Some(i as i16))),
            quantity: keys(quantity, |m| m.quantity),
            unit: keys(unit, |m| m.unit),
            obis: keys(obis, |m| m.obis),
        }
    }
}

/// The columns of the measurements.
pub(super) struct Rows {
    schema: SchemaRef,
    assume_defaults: bool,
    plans: Cache<Rc<Plan>>,
    label: String,
    batch: u64,
    /// Meter, quantity, unit, OBIS.
    words: [Words; 4],
    meter: Stretches<i32>,
    source: Stretches<i32>,
    index: Stretches<i16>,
    quantity: Stretches<i32>,
    unit: Stretches<i32>,
    obis: Stretches<i32>,
    value: Vec<f64>,
    raw: Vec<i32>,
    read_at: Stretches<i64>,
    nulls: Nulls,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Measurements, options),
            assume_defaults: options.assume_defaults,
            plans: Cache::new(),
            label: String::new(),
            batch: 0,
            words: std::array::from_fn(|_| Words::new()),
            meter: Stretches::new(),
            source: Stretches::new(),
            index: Stretches::new(),
            quantity: Stretches::new(),
            unit: Stretches::new(),
            obis: Stretches::new(),
            value: Vec::new(),
            raw: Vec::new(),
            read_at: Stretches::new(),
            nulls: Nulls::new(),
        }
    }

    fn plan<'a>(&mut self, meter: &Meter<'a>, read: &Read<'a>) -> Result<Rc<Plan>, Missing> {
        let f = fields();
        let basis = Basis::new(meter, f.bt28, read, &f.dimensions).with_length(meter, read, self.assume_defaults);
        let plan = match self.plans.find(&basis) {
            Some(found) => found,
            None => {
                let made = Plan::new(&meter.view(Some(read)), read, self.assume_defaults)?;
                self.plans.put(&basis, Rc::new(made))
            }
        };
        if plan.assumed {
            meter.assumed.set(true);
        }
        Ok((*plan).clone())
    }

    /// Add all values of a read.
    fn all(&mut self, plan: &Plan, read: &Read<'_>, data: &[u8]) {
        let tiles = plan.tiles(self.batch, &mut self.words);
        let n = plan.measured.len();
        self.meter.repeat(Some(self.words[0].key(&self.label)), n);
        self.source.tile(&tiles.source, n);
        self.index.tile(&tiles.index, n);
        self.quantity.tile(&tiles.quantity, n);
        self.unit.tile(&tiles.unit, n);
        self.obis.tile(&tiles.obis, n);
        self.read_at.repeat(read.read_at, n);
        for (raw, measured) in data.as_chunks::<SIZE>().0.iter().zip(&plan.measured) {
            let raw = i32::from_le_bytes(*raw);
            self.raw.push(raw);
            self.value.push(measured.value(raw));
        }
    }

    /// Add one value.
    fn some(&mut self, plan: &Plan, read: &Read<'_>, i: usize, data: &[u8]) {
        let measured = &plan.measured[i];
        let [meter, quantity, unit, obis] = &mut self.words;
        self.meter.repeat(Some(meter.key(&self.label)), 1);
        self.source.repeat(measured.source, 1);
        self.index.repeat(Some(i as i16), 1);
        self.quantity.repeat(measured.quantity.map(|w| quantity.key(w)), 1);
        self.unit.repeat(measured.unit.map(|w| unit.key(w)), 1);
        self.obis.repeat(measured.obis.map(|w| obis.key(w)), 1);
        self.read_at.repeat(read.read_at, 1);
        let raw = data.first_chunk().map_or(0, |raw| i32::from_le_bytes(*raw));
        self.raw.push(raw);
        self.value.push(measured.value(raw));
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.raw.is_empty() {
            return None;
        }
        self.batch += 1;
        let n = &mut self.nulls;
        let [meter, quantity, unit, obis] = &mut self.words;
        let columns: Vec<ArrayRef> = vec![
            meter.finish(self.meter.finish(n)),
            Arc::new(self.source.finish::<Int32Type>(n)),
            Arc::new(self.index.finish::<Int16Type>(n)),
            quantity.finish(self.quantity.finish(n)),
            unit.finish(self.unit.finish(n)),
            obis.finish(self.obis.finish(n)),
            Arc::new(full::<Float64Type>(&mut self.value)),
            Arc::new(full::<Int32Type>(&mut self.raw)),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>(n).with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}
