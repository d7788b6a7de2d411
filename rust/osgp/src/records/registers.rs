//! Registers: BT23 to BT26.

use arrow_array::RecordBatch;

use super::Options;
use super::meter::Meter;
use crate::reject::Reject;

pub(super) const NEEDS: [&str; 2] = ["BT00", "BT01"];

pub(super) struct Rows;

impl Rows {
    pub(super) fn new(_: &Options) -> Self {
        Self
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        None
    }
}

pub(super) fn decode(_: &Meter<'_>, _: &mut Rows, _: &mut Vec<Reject>, _: &mut dyn FnMut(RecordBatch)) {}
