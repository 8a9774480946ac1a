//! The bytes of a block: a version, then day by day what the metrics came to.

use std::collections::BTreeMap;

use keizoku_base::Micros;
use keizoku_base::time::Month;

use crate::domain::block::{Block, BlockDay, Cell, Last, Tally};
use crate::domain::pack::{Corrupt, Packer, Unpacker};

const VERSION: u8 = 1;

const COUNT: u8 = 1;
const SUM: u8 = 2;
const MAX: u8 = 3;
const LAST: u8 = 4;
const USERS: u8 = 5;

pub(super) fn encode(block: &Block) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.byte(VERSION);
    for (day, held) in &block.days {
        packer.unsigned(day.0.abs_diff(block.month.first().0));
        packer.signed(held.known_at.0);
        packer.unsigned(held.cells.len() as u128);
        let mut before = 0;
        for (no, cell) in &held.cells {
            packer.unsigned(no - before);
            before = *no;
            pack_cell(&mut packer, cell);
        }
    }
    packer.into_bytes()
}

pub(super) fn decode(month: Month, bytes: &[u8]) -> Result<Block, Corrupt> {
    let mut unpacker = Unpacker::new(bytes);
    if unpacker.byte()? != VERSION {
        return Err(Corrupt);
    }
    let mut block = Block::new(month);
    while !unpacker.is_empty() {
        let offset: i32 = unpacker.unsigned()?;
        let day = month.first().plus(offset);
        let in_order = block.days.last_key_value().is_none_or(|(last, _)| *last < day);
        if offset >= month.days() || !in_order {
            return Err(Corrupt);
        }
        let known_at = Micros(unpacker.signed()?);
        block.days.insert(day, BlockDay { known_at, cells: unpack_cells(&mut unpacker)? });
    }
    Ok(block)
}

fn unpack_cells(unpacker: &mut Unpacker<'_>) -> Result<BTreeMap<u32, Cell>, Corrupt> {
    let (count, mut cells, mut no) = (unpacker.unsigned::<u32>()?, BTreeMap::new(), 0_u32);
    for place in 0..count {
        let step: u32 = unpacker.unsigned()?;
        if step == 0 && place > 0 {
            return Err(Corrupt);
        }
        no = no.checked_add(step).ok_or(Corrupt)?;
        cells.insert(no, unpack_cell(unpacker)?);
    }
    Ok(cells)
}

pub(super) fn pack_cell(packer: &mut Packer, cell: &Cell) {
    match cell {
        Cell::Tally(tally) => pack_tally(packer, tally),
        Cell::Users(count) => {
            packer.byte(USERS);
            packer.unsigned(*count);
        }
    }
}

pub(super) fn pack_tally(packer: &mut Packer, tally: &Tally) {
    match tally {
        Tally::Count(count) => {
            packer.byte(COUNT);
            packer.unsigned(*count);
        }
        Tally::Sum(sum) => {
            packer.byte(SUM);
            packer.signed(*sum);
        }
        Tally::Max(value) => {
            packer.byte(MAX);
            packer.signed(*value);
        }
        Tally::Last(last) => {
            packer.byte(LAST);
            packer.signed(last.at.0);
            packer.raw(&last.key.0);
            packer.signed(last.value);
        }
    }
}

pub(super) fn unpack_cell(unpacker: &mut Unpacker<'_>) -> Result<Cell, Corrupt> {
    Ok(match unpacker.byte()? {
        COUNT => Cell::Tally(Tally::Count(unpacker.unsigned()?)),
        SUM => Cell::Tally(Tally::Sum(unpacker.signed()?)),
        MAX => Cell::Tally(Tally::Max(unpacker.signed()?)),
        LAST => {
            let at = Micros(unpacker.signed()?);
            Cell::Tally(Tally::Last(Last { at, key: unpacker.digest()?, value: unpacker.signed()? }))
        }
        USERS => Cell::Users(unpacker.unsigned()?),
        _ => return Err(Corrupt),
    })
}
